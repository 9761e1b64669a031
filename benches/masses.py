"""What happens to all files at once: deleted, approved, taken back, overwritten, renamed, kept waiting. Four times the files must not cost more than twice four times."""
import argparse, json, pathlib, shutil, subprocess, sys, tempfile, time
import harness
from harness import Device

TIMES, LIMIT = 4, 2.0
# Below that, what a process needs to begin and to end counts for more than the files.
SHORT = 0.3

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--files", type=int, default=5_000, help="files of the smaller vault; the larger one has four times as many")
parser.add_argument("--binary", type=pathlib.Path, default=harness.BINARY)
arguments = parser.parse_args()
harness.BINARY = arguments.binary


def write(root, count, text):
    for number in range(count):
        if number % 1000 == 0:
            folder = root / "traces/all" / f"{number // 1000:04}"
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:07}.json").write_text(f'{{"trace": {number}, "text": "{text}"}}')


def held(said):
    return [hold["id"] for hold in said["holds"]]


def events(place, count):
    """Each event's name, with the seconds that it took."""
    took = {}

    def run(what, device, *verb, codes=(0, 4)):
        began = time.monotonic()
        ran = subprocess.run([harness.BINARY, "--json", *verb], env=device.environment, capture_output=True, text=True)
        # 4: a decision is asked for.
        assert ran.returncode in codes, f"{what}: {ran.stderr}"
        took[what] = took.get(what, 0) + time.monotonic() - began
        return json.loads(ran.stdout)

    def decided(what, device):
        """A sync that a brake holds, the decision, and the sync that carries it out."""
        said = run(f"{what}: held", device, "sync")
        assert held(said), f"nothing is held: {what}"
        for hold in held(said):
            run(f"{what}: approved", device, "approve", hold)
        assert not held(run(f"{what}: carried out", device, "sync")), f"still held: {what}"

    one, two, three = (Device(place, name) for name in ("one", "two", "three"))
    write(one.root, count, "first")
    write(three.root, count, "first")
    for device in (one, two, three):
        device.run("init")
    run("first push", one, "sync")
    run("first pull", two, "sync")
    run("the same files joined", three, "sync")
    shutil.rmtree(one.root / "traces/all")
    decided("deleted", one)
    decided("deletion pulled", two)
    run("deletion undone", one, "undo", "--yes", str(run("asked", one, "sync")["generation"]))
    run("brought back", two, "sync")
    write(one.root, count, "second")
    decided("overwritten", one)
    decided("overwriting pulled", two)
    (one.root / "traces/all").rename(one.root / "traces/other")
    run("renamed", one, "sync")
    run("renaming pulled", two, "sync")
    # A link is never followed: what stood at its name waits for a person.
    for file in (two.root / "traces/other").glob("*/*.json"):
        file.unlink()
        file.symlink_to("elsewhere")
    run("all wait", two, "sync", codes=(9,))
    return took


found = []
for count in (arguments.files, arguments.files * TIMES):
    with tempfile.TemporaryDirectory() as place:
        found.append(events(pathlib.Path(place), count))
slow = []
print(f"{'':34} {arguments.files:>9,} {arguments.files * TIMES:>9,}   of {TIMES} times as much")
for what, few in found[0].items():
    many = found[1][what]
    ratio = many / few / TIMES
    print(f"{what:34} {few:7.2f} s {many:7.2f} s   {ratio:5.2f}", flush=True)
    if many > SHORT * TIMES and ratio > LIMIT:
        slow.append(what)
if slow:
    sys.exit(f"more than {LIMIT} times what the files explain: {', '.join(slow)}")
