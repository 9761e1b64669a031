"""What a daemon costs that has nothing to do: CPU, memory and requests of one that keeps 10,000 files."""
import argparse, random, tempfile, time
from harness import Daemon, Device, Server

CPU, RESIDENT = 0.002, 40e6

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=10_000)
parser.add_argument("--minutes", type=float, default=10)
parser.add_argument("--rclone", help="the rclone binary that serves")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as place:
    server = Server(place, arguments.rclone)
    one = Device(place, "one", server)
    draw = random.Random(1)
    for number in range(arguments.files):
        one.save(f"traces/{number % 100}/{number}.json", draw.randbytes(500).hex().encode())
    one.run("init"), one.run("sync")
    daemon = Daemon(one)
    # The first look at the vault is no idling.
    time.sleep(15)
    began, cpu, requests, resident = time.monotonic(), daemon.seconds_of_cpu(), daemon.status()["transfer"]["requests"], []
    served, cycles = server.requests(), daemon.said.read_text().count("nothing new")
    while time.monotonic() - began < arguments.minutes * 60:
        resident.append(daemon.resident())
        time.sleep(5)
    share = (daemon.seconds_of_cpu() - cpu) / (time.monotonic() - began)
    polls = daemon.said.read_text().count("nothing new") - cycles
    requests, served = daemon.status()["transfer"]["requests"] - requests, server.requests() - served
    print(f"CPU       {share * 100:.3f} % of a core   {share / CPU:.2f} of the limit")
    print(f"resident  {resident[-1] / 1e6:.1f} MB at the end, {max(resident) / 1e6:.1f} MB at most  {max(resident) / RESIDENT:.2f} of the limit")
    print(f"requests  {requests} by its own count, {served} by the server's, in {polls} polls")
    daemon.stop()
    server.stop()
