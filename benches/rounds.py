"""A vault with two 120 MB files that share their rows: first sync, an edit of one row, and its pull."""
import argparse, array, json, pathlib, random, shutil, struct, tempfile
from harness import Device, measured

ROWS, DIM = 20_000, 1536
# The heads of a NumPy array and of a flat FAISS index: what does not fit together is not sent.
SHAPE = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}"
NPY = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + SHAPE.ljust(117).encode() + b"\n"
FAISS = b"IxF2" + struct.pack("<iqqqBiQ", DIM, ROWS, 1 << 20, 1 << 20, 1, 1, ROWS * DIM)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rclone", help="an rclone binary, to copy the same files with")
arguments = parser.parse_args()


def vectors(draw, rows):
    return array.array("f", (draw.gauss(0, 1 / DIM**0.5) for _ in range(rows * DIM))).tobytes()


def save(root, matrix, texts):
    for folder in ("corpus", "vectors", "indexes", "traces"):
        (root / folder).mkdir(exist_ok=True)
    (root / "vectors" / "nodes.npy").write_bytes(NPY + matrix)
    (root / "indexes" / "faiss.index").write_bytes(FAISS + matrix)
    (root / "corpus" / "nodes.json").write_text(json.dumps({"nodes": texts}))


def tell(name, seconds, said, peer=None):
    transfer = said["transfer"]
    line = f"{name:22} {seconds:6.2f} s  {transfer['bytes_up'] / 1e6:8.2f} MB up  {transfer['bytes_down'] / 1e6:8.2f} MB down  {transfer['requests']:4} requests"
    print(line + (f"  {seconds / peer:5.2f} of rclone's time" if peer else ""))


def peer(place, root):
    if not arguments.rclone:
        return None
    copy = pathlib.Path(place) / "rclone-copy"
    return measured([arguments.rclone, "--config", "/dev/null", "sync", str(root), str(copy), "--exclude", "sync/**"])[0]


with tempfile.TemporaryDirectory() as place:
    one, two = Device(place, "one"), Device(place, "two")
    draw = random.Random(1)
    # Drawing 30 million numbers takes longer than all the rest: rows repeat after 2,000, each shifted by a byte of its own.
    block = vectors(draw, 2000)
    matrix = b"".join(bytes([n]) + block[1:] for n in range(ROWS // 2000))
    texts = [" ".join(draw.choice("memory vault note idea plan graph trace".split()) for _ in range(60)) for _ in range(ROWS)]
    save(one.root, matrix, texts)
    for n in range(2000):
        (one.root / "traces" / f"{n}.json").write_text(json.dumps({"step": n, "text": texts[n]}))
    one.run("init")
    other = peer(place, one.root)
    tell("first sync", *one.run("sync")[::2], other)
    two.run("init")
    tell("first pull", *two.run("sync")[::2])
    row = DIM * 4
    matrix = matrix[: 9000 * row] + vectors(draw, 1) + matrix[9001 * row :]
    texts[9000] = "edited"
    save(one.root, matrix, texts)
    other = peer(place, one.root)
    tell("edit of one row", *one.run("sync")[::2], other)
    tell("pull of the edit", *two.run("sync")[::2])
    tell("nothing to do", *two.run("sync")[::2])
    shutil.rmtree(one.root)
