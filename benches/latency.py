"""How long a save takes to the bucket, and from there to another device: two daemons over an S3 server on this machine."""
import argparse, random, tempfile, time
from harness import Daemon, Device, Server, tell, until

SETTLE, POLL = 2.0, 1.0

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--saves", type=int, default=100)
parser.add_argument("--rclone", help="the rclone binary that serves")
arguments = parser.parse_args()

with tempfile.TemporaryDirectory() as place:
    server = Server(place, arguments.rclone)
    # Each save comes after a quiet spell, so nothing is waited for but the settle window; polls as short as they are bring 100
    # saves into a few minutes.
    settings = {"sync__settle": f"{SETTLE * 1000:.0f}ms", "sync__batch_interval": "0ms",
                "sync__poll_interval": f"{POLL * 1000:.0f}ms", "sync__poll_interval_active": f"{POLL * 1000:.0f}ms"}
    one, two = (Device(place, name, server, **settings) for name in ("one", "two"))
    one.run("init"), two.run("init")
    daemons = [Daemon(one), Daemon(two)]
    draw, committed, applied = random.Random(1), [], []
    for number in range(arguments.saves):
        time.sleep(draw.uniform(0, POLL))
        known, path = server.commits(), f"traces/{number}.json"
        one.save(path, draw.randbytes(2000))
        saved = time.monotonic()
        there = until(lambda: server.commits() - known, 60, "committed", every=0.005)
        here = until((two.root / path).exists, 60, "applied", every=0.005)
        committed.append(there - saved)
        applied.append(here - there)
    tell("saved to committed", committed, SETTLE + 1)
    tell("committed to applied", applied, POLL + 1)
    for daemon in daemons:
        daemon.stop()
    server.stop()
