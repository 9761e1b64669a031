"""What years and terabytes come to: a vault of many files, and one of many bytes in files with holes; time, peak memory, commits."""
import argparse, os, pathlib, random, sys, tempfile
import harness
from harness import Device

MEMORY = 300e6
COMMIT = 8 << 20
# Of each piece of a file some bytes are noise; the rest is a hole, which takes no disk.
PIECE, NOISE, FILE = 1 << 16, 100, 4 << 30

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=1_000_000, help="small files of the first vault; 0 for none")
parser.add_argument("--gib", type=int, default=20, help="size of the second vault; its noise takes a twelfth of that, a pull all of it; 0 for none")
parser.add_argument("--without-pull", action="store_true", help="only push and verify the second vault")
parser.add_argument("--place", help="a folder on a disk with room")
parser.add_argument("--binary", type=pathlib.Path, default=harness.BINARY)
arguments = parser.parse_args()
harness.BINARY = arguments.binary


def tell(what, run, size, limit=None):
    seconds, peak, said = run
    transfer = (said or {}).get("transfer", {})
    against = f"  {peak / limit:4.2f} of the limit" if limit else ""
    print(f"{what:8} {seconds:7.1f} s  {size / seconds / 1e6:7.1f} MB/s  peak {peak / 1e6:6.0f} MB{against}  "
          f"{transfer.get('requests', 0):,} requests  {transfer.get('bytes_up', 0) / 1e6:.1f} MB up  {transfer.get('bytes_down', 0) / 1e6:.1f} MB down", flush=True)


def many_files(place, count):
    one = Device(place, "one")
    for number in range(count):
        if number % 1000 == 0:
            folder = one.root / "traces" / f"{number // 100_000:04}" / f"{number // 1000:06}"
            folder.mkdir(parents=True)
        (folder / f"{number:08}.json").write_text(f'{{"trace": {number}}}')
    one.run("init")
    print(f"{count:,} files")
    tell("push", one.run("sync"), count * 20)
    commits = [path.stat().st_size for path in (place / "remote").rglob("commits/*")]
    largest = max(commits)
    print(f"{len(commits):,} commits, the largest of {largest:,} bytes: {largest / COMMIT:.2f} of the limit")
    tell("nothing", one.run("sync"), count * 20)
    assert largest <= COMMIT, "a commit is larger than the limit"


def many_bytes(place, gib):
    one = Device(place, "one")
    (one.root / "vectors").mkdir()
    draw, size = random.Random(1), gib << 30
    for begin in range(0, size, FILE):
        length = min(FILE, size - begin)
        with open(one.root / "vectors" / f"{begin >> 30:05}.npy", "wb") as file:
            for at in range(0, length, PIECE):
                os.pwrite(file.fileno(), draw.randbytes(NOISE), at)
            file.truncate(length)
    one.run("init")
    print(f"{gib} GiB")
    steps = [("push", one, "sync"), ("verify", one, "verify")]
    if not arguments.without_pull:
        two = Device(place, "two")
        two.run("init")
        steps.append(("pull", two, "sync"))
    over = []
    for what, device, verb in steps:
        run = device.run(verb)
        tell(what, run, size, MEMORY)
        over += [what] if run[1] > MEMORY else []
    if over:
        sys.exit(f"over the limit: {', '.join(over)}")


for amount, measure in [(arguments.files, many_files), (arguments.gib, many_bytes)]:
    if amount:
        with tempfile.TemporaryDirectory(dir=arguments.place) as place:
            measure(pathlib.Path(place), amount)
