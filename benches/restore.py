"""A vault of 267 MB into an empty folder, beside what restic and rclone take for the same files; then the pull of an update."""
import argparse, filecmp, os, pathlib, shutil, sys, tempfile
from harness import Device, Memory, measured

LIMIT = 200e6
# A device that has the old files fetches no more than this of what was sent for the new ones.
PULL = 1.3

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rclone", default=shutil.which("rclone"), help="an rclone binary")
parser.add_argument("--restic", default=shutil.which("restic"), help="a restic binary")
parser.add_argument("--rounds", type=int, default=3, help="how often each restores; the median counts")
arguments = parser.parse_args()


def tell(name, runs, ours=None):
    seconds, peak = sorted(run[0] for run in runs)[len(runs) // 2], max(run[1] for run in runs)
    ratio = f"  ours takes {ours / seconds:5.2f} of it" if ours else ""
    print(f"{name:32} {seconds:6.2f} s  peak {peak / 1e6:6.0f} MB  {peak / LIMIT:5.2f} of the limit{ratio}", flush=True)
    return seconds, peak


def same(one, two):
    """Whether two folders hold the same files, but for what a vault keeps for itself."""
    files = lambda root: {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()
                          and not str(path.relative_to(root)).startswith(("sync/", ".cogzy-vault"))}
    one, two = files(one), files(two)
    return one.keys() == two.keys() and all(filecmp.cmp(one[path], two[path], shallow=False) for path in one)


def peers(place, root):
    """How the others fetch the same files; each from a store of its own on this disk."""
    if arguments.restic:
        environment = {"PATH": os.environ["PATH"], "HOME": str(place), "RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": f"{place}/restic"}
        measured([arguments.restic, "init"], environment)
        measured([arguments.restic, "backup", str(root), "--exclude", str(root / "sync")], environment)
        yield "restic restore", lambda to: ([arguments.restic, "restore", "latest", "--target", str(to)], environment)
    if arguments.rclone:
        copy = [arguments.rclone, "--config", "/dev/null", "copy"]
        measured([*copy, str(root), f"{place}/copied", "--exclude", "sync/**"])
        yield "rclone copy", lambda to: ([*copy, f"{place}/copied", str(to)], None)


with tempfile.TemporaryDirectory() as place:
    place, memory = pathlib.Path(place), Memory()
    one = Device(place, "one")
    memory.save(one.root)
    total = sum(path.stat().st_size for path in one.root.rglob("*") if path.is_file())
    one.run("init")
    one.run("sync")

    runs = []
    for number in range(arguments.rounds):
        fresh = Device(place, f"fresh{number}")
        fresh.run("init")
        runs.append(fresh.run("sync"))
        if not same(one.root, fresh.root):
            sys.exit("what came back differs")
    ours, peak = tell(f"cogzy-vault sync, {total / 1e6:.0f} MB", runs)
    runs = []
    for number in range(arguments.rounds):
        runs.append(one.run("export", f"{place}/export{number}"))
        shutil.rmtree(f"{place}/export{number}")
    _, also = tell("cogzy-vault export", runs, ours)
    for name, command in peers(place, one.root):
        runs = []
        for number in range(arguments.rounds):
            runs.append(measured(*command(place / "restored")))
            shutil.rmtree(place / "restored")
        tell(name, runs, ours)
    if max(peak, also) > LIMIT:
        sys.exit("over the limit")

    memory.edit()
    memory.save(one.root)
    sent = one.run("sync")[2]["transfer"]["bytes_up"]
    fetched = fresh.run("sync")[2]["transfer"]["bytes_down"]
    if not same(one.root, fresh.root):
        sys.exit("what came back differs")
    print(f"an update: {sent / 1e6:.2f} MB sent, {fetched / 1e6:.2f} MB fetched: {fetched / sent:.2f} times, at most {PULL}")
    if fetched > PULL * sent:
        sys.exit("over the limit")
