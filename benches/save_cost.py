"""What one saved file costs a daemon that knows 1,000, 10,000 and 100,000 files: CPU, bytes written, resident memory."""
import argparse, pathlib, statistics, tempfile, time
from harness import Daemon, Device, until

# Seconds of CPU for a save of some hundred bytes, whatever else the vault holds.
CPU = 0.020
SIZES = (1_000, 10_000, 100_000)


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


def costs(files, saves):
    """Medians with that many files known: CPU of a file edited and of a new one, bytes written, resident memory."""
    with tempfile.TemporaryDirectory() as place:
        one = Device(place, "one", sync__settle="100ms", sync__batch_interval="0s")
        pathlib.Path(place, "remote").mkdir()
        for number in range(files):
            folder = one.root / f"traces/{number // 1000:04}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:07}.json").write_text(f'{{"trace": {number}}}')
        one.run("init"), one.run("sync")
        daemon = Daemon(one)
        try:
            # The first look at the vault is none of a save's cost, and neither is the first save's index of chunks.
            time.sleep(5)
            saved(one, daemon, "traces/0000/first.json", b"first")
            edits = [saved(one, daemon, "traces/0000/0000005.json", f"edit {n}".encode()) for n in range(saves // 2)]
            new = [saved(one, daemon, f"traces/0000/new-{n}.json", f"new {n}".encode()) for n in range(saves // 2)]
            middle = lambda runs, at: statistics.median(run[at] for run in runs)
            return {"files": files, "edited": middle(edits, 0), "new": middle(new, 0), "wrote_edited": middle(edits, 1),
                    "wrote_new": middle(new, 1), "resident": daemon.resident()}
        finally:
            daemon.stop()


def tell(cost):
    """A line for each kind of save."""
    return "\n".join(
        f"{cost['files']:9,} files, one {kind:7} {cost[kind] * 1000:7.1f} ms of CPU  {cost[kind] / CPU:5.2f} of the limit   "
        f"{cost[f'wrote_{kind}'] / 1e3:8.0f} kB written   {cost['resident'] / 1e6:6.1f} MB resident" for kind in ("edited", "new"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, nargs="+", default=SIZES)
    parser.add_argument("--saves", type=int, default=20)
    arguments = parser.parse_args()
    for files in arguments.files:
        print(tell(costs(files, arguments.saves)), flush=True)
