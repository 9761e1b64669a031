"""A vault of 267 MB: first sync, an edit of one row, and its pull, over a folder."""
import argparse, pathlib, tempfile
from harness import Device, Memory, measured

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rclone", help="an rclone binary, to copy the same files with")
arguments = parser.parse_args()


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
    memory = Memory()
    memory.save(one.root)
    one.run("init")
    other = peer(place, one.root)
    tell("first sync", *one.run("sync")[::2], other)
    two.run("init")
    tell("first pull", *two.run("sync")[::2])
    memory.edit()
    memory.save(one.root)
    other = peer(place, one.root)
    tell("edit of one row", *one.run("sync")[::2], other)
    tell("pull of the edit", *two.run("sync")[::2])
    tell("nothing to do", *two.run("sync")[::2])
