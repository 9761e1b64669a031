"""A server that is away for 3 minutes in the middle of an upload: how soon sync goes on, and whether anything is lost."""
import argparse, random, tempfile, time
from harness import Daemon, Device, Server, until

LIMIT = 5.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seconds", type=float, default=180)
parser.add_argument("--rclone", help="the rclone binary that serves")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as place:
    server = Server(place, arguments.rclone)
    one, two = (Device(place, name, server, limits__upload="20MiB") for name in ("one", "two"))
    one.run("init"), two.run("init")
    one.save("traces/known.json", b"before")
    daemon, draw = Daemon(one), random.Random(1)
    packs = lambda: sum(1 for _ in server.folder.glob("bench/m/users/default/packs/*/*"))
    one.save("vectors/large.npy", b"".join(draw.randbytes(1 << 20) for _ in range(300)))
    until(lambda: packs() >= 4, 120, "some packs are there")
    server.stop()
    until(lambda: daemon.status()["state"] == "offline", 120, "it is offline")
    one.save("traces/offline.json", b"saved offline"), one.save("traces/known.json", b"changed offline")
    shown = until(lambda: daemon.status()["pending"]["up"]["files"] == 3, 60, "what was saved is shown")
    end, states = time.monotonic() + arguments.seconds, set()
    while time.monotonic() < end:
        status = daemon.status()
        states.add((status["state"], max((error["attempts"] for error in status["errors"]), default=0)))
        time.sleep(0.5)
    before = packs()
    server.start()
    began = time.monotonic()
    resumed = until(lambda: packs() > before, 60, "a pack arrives", every=0.005) - began
    until(lambda: daemon.status()["state"] == "in-sync", 120, "it is in sync")
    daemon.stop()
    two.run("sync")
    lost = [path for path in ("vectors/large.npy", "traces/offline.json", "traces/known.json") if (one.root / path).read_bytes() != (two.root / path).read_bytes()]
    print(f"meanwhile (state, attempts): {states}; lost: {lost or 'nothing'}")
    print(f"the first pack after the start: {resumed:.1f} s, {resumed / LIMIT:.2f} of the limit")
    assert not lost and {state for state, _ in states} == {"offline"} and {attempts for _, attempts in states} == {0}
    server.stop()
