"""How soon `status --json` answers while 1 GB is on its way and 100,000 files are known."""
import argparse, random, tempfile, time
from harness import BINARY, Daemon, Device, Server, measured, tell, until

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=100_000)
parser.add_argument("--mb", type=int, default=1000)
parser.add_argument("--rclone", help="the rclone binary that serves")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as place:
    server = Server(place, arguments.rclone)
    one = Device(place, "one", server, limits__upload="25MiB")
    draw = random.Random(1)
    for number in range(arguments.files):
        folder = one.root / f"traces/{number % 500}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.json").write_text(f"{number}")
    one.run("init"), one.run("sync")
    daemon = Daemon(one)
    one.save("vectors/large.npy", b"".join(draw.randbytes(1 << 20) for _ in range(arguments.mb)))
    until(lambda: (daemon.status().get("progress") or {}).get("phase") == "upload", 300, "the upload runs")
    asked, verb, bare = [], [], []
    while (status := daemon.status())["state"] != "in-sync":
        began = time.monotonic()
        daemon.status()
        asked.append(time.monotonic() - began)
        verb.append(measured([str(BINARY), "--json", "status"], one.environment)[0])
        bare.append(measured([str(BINARY), "--version"], one.environment)[0])
        time.sleep(0.1)
    assert status["files"] == arguments.files + 1, status
    tell("GET /v1/status", asked, 0.05)
    tell("status --json, a process", verb, 0.05)
    # What starting a process costs on this machine at this moment.
    tell("--version, a process", bare, 0.05)
    daemon.stop()
    server.stop()
