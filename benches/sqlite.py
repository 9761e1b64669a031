"""A SQLite database of 200 MB under a constant writer: the time of a sync, peak memory, the writer's
longest wait, and whether every pulled copy is sound."""
import argparse, sqlite3, tempfile, threading, time
from harness import Device

LIMIT = 200e6

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--mb", type=int, default=200)
parser.add_argument("--rounds", type=int, default=5)
arguments = parser.parse_args()


class Writer(threading.Thread):
    """Commits two rows every ten milliseconds, until it is stopped."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.over, self.longest, self.count = path, threading.Event(), 0, 0

    def run(self):
        program = sqlite3.connect(self.path, timeout=60)
        while not self.over.wait(0.01):
            began = time.monotonic()
            with program:
                program.executemany("INSERT INTO t (x) VALUES (randomblob(?))", [(500,)] * 2)
            self.longest, self.count = max(self.longest, time.monotonic() - began), self.count + 1


with tempfile.TemporaryDirectory() as place:
    one, two = Device(place, "one"), Device(place, "two")
    path = one.root / "mem.db"
    program = sqlite3.connect(path)
    program.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB); CREATE INDEX i ON t (substr(x, 1, 16))")
    for _ in range(arguments.mb):
        with program:
            program.executemany("INSERT INTO t (x) VALUES (randomblob(?))", [(1000,)] * 950)
    print(f"database {path.stat().st_size / 1e6:.0f} MB")
    one.run("init")
    two.run("init")
    writer = Writer(path)
    writer.start()
    seen = 0
    for number in range(arguments.rounds):
        for name, device in [("send", one), ("fetch", two)]:
            seconds, peak, _ = device.run("sync")
            print(f"{number} {name:6} {seconds:6.2f} s  peak {peak / 1e6:6.0f} MB  {peak / LIMIT:5.2f} of the limit")
            assert peak < LIMIT, "over the limit"
        copy = sqlite3.connect(two.root / "mem.db")
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",), "a copy is damaged"
        rows, most = copy.execute("SELECT count(*), max(id) FROM t").fetchone()
        assert rows == most and rows % 2 == 0 and rows > seen, (rows, most, seen)
        seen = rows
        copy.close()
    writer.over.set()
    writer.join()
    print(f"the writer committed {writer.count} times and waited {writer.longest * 1000:.0f} ms at most")
