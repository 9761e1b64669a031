"""Peak memory and time of one large file, sent and fetched, against the limit of 200 MB."""
import argparse, filecmp, random, tempfile
from harness import Device

LIMIT = 200e6

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--gib", type=float, default=2)
arguments = parser.parse_args()
size = int(arguments.gib * 2**30)

with tempfile.TemporaryDirectory() as place:
    one, two = Device(place, "one"), Device(place, "two")
    draw, written = random.Random(1), 0
    (one.root / "vectors").mkdir()
    with open(one.root / "vectors" / "large.npy", "wb") as file:
        while written < size:
            piece = draw.randbytes(min(1 << 24, size - written))
            file.write(piece)
            written += len(piece)
    one.run("init")
    for name, device, verb in [("send", one, "sync"), ("init", two, "init"), ("fetch", two, "sync")]:
        seconds, peak, _ = device.run(verb)
        print(f"{name:6} {seconds:6.1f} s  {size / seconds / 1e6:7.0f} MB/s  peak {peak / 1e6:6.0f} MB  {peak / LIMIT:5.2f} of the limit")
        assert peak < LIMIT, "over the limit"
    paths = [device.root / "vectors" / "large.npy" for device in (one, two)]
    assert filecmp.cmp(*paths, shallow=False), "the files differ"
