"""What one saved file costs a daemon that knows 1,000, 10,000 and 100,000 files: CPU, bytes written, resident memory."""
import argparse, pathlib, statistics, tempfile, time
from harness import Daemon, Device, until

# Seconds of CPU for a save of some hundred bytes, whatever else the vault holds.
CPU = 0.020

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, nargs="+", default=[1_000, 10_000, 100_000])
parser.add_argument("--saves", type=int, default=20)
arguments = parser.parse_args()


def cpu(daemon):
    """Finer than the ticks of /proc/PID/stat: a save costs less than two of them."""
    tasks = pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def written(daemon):
    lines = pathlib.Path(f"/proc/{daemon.process.pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def saved(one, daemon, path, data):
    """Saves a file and waits for its generation; seconds of CPU and bytes written for it."""
    before, used, wrote = daemon.status()["generation"], cpu(daemon), written(daemon)
    one.save(path, data)
    # Each question costs the daemon a little, too.
    until(lambda: daemon.status()["generation"] > before, 120, "the save is committed", every=0.2)
    time.sleep(1)
    return cpu(daemon) - used, written(daemon) - wrote


for files in arguments.files:
    with tempfile.TemporaryDirectory() as place:
        one = Device(place, "one", sync__settle="100ms", sync__batch_interval="0s")
        pathlib.Path(place, "remote").mkdir()
        for number in range(files):
            folder = one.root / f"traces/{number // 1000:04}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:07}.json").write_text(f'{{"trace": {number}}}')
        one.run("init"), one.run("sync")
        daemon = Daemon(one)
        # The first look at the vault is none of a save's cost, and neither is the first save's index of chunks.
        time.sleep(5)
        saved(one, daemon, "traces/0000/first.json", b"first")
        edits = [saved(one, daemon, "traces/0000/0000005.json", f"edit {n}".encode()) for n in range(arguments.saves // 2)]
        new = [saved(one, daemon, f"traces/0000/new-{n}.json", f"new {n}".encode()) for n in range(arguments.saves // 2)]
        for name, costs in [("edited", edits), ("new", new)]:
            used, wrote = statistics.median(cost[0] for cost in costs), statistics.median(cost[1] for cost in costs)
            print(f"{files:9,} files, one {name:7} {used * 1000:7.1f} ms of CPU  {used / CPU:5.2f} of the limit   {wrote / 1e3:8.0f} kB written"
                  f"   {daemon.resident() / 1e6:6.1f} MB resident", flush=True)
        daemon.stop()
