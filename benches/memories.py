"""Programs that each post one memory after the other to a daemon: memories per second, bytes written for each, and how long one waits,
against one program alone. The vault holds 100,000 memories with vectors, and a flat index over them."""
import argparse, base64, http.client, json, pathlib, random, socket, struct, tempfile, threading, time
from harness import Daemon, Device

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--rows", type=int, default=100_000)
parser.add_argument("--dim", type=int, default=384, help="1536: 614 MB of vectors")
parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
parser.add_argument("--seconds", type=float, default=20, help="how long each number of programs posts")
parser.add_argument("--no-index", action="store_true")
parser.add_argument("--place", help="a folder to work in, such as one on a file system that shares blocks")
arguments = parser.parse_args()
ROWS, DIM = arguments.rows, arguments.dim
HEAD = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}".ljust(117).encode() + b"\n"
draw = random.Random(1)


def vector():
    return struct.pack(f"<{DIM}f", *(draw.random() - 0.5 for _ in range(DIM)))


def begin(one):
    """The files of an app. A thousand vectors again and again: what counts here is how many bytes they are."""
    for folder in ("corpus", "vectors", "indexes"):
        (one.root / folder).mkdir(exist_ok=True)
    some = [vector() for _ in range(1000)]
    with open(one.root / "vectors/nodes.npy", "wb") as array:
        array.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + HEAD)
        array.writelines(some[row % 1000] for row in range(ROWS))
    if not arguments.no_index:
        with open(one.root / "indexes/nodes.index", "wb") as index:
            index.write(b"IxF2" + struct.pack("<iqqqBiQ", DIM, ROWS, 1 << 20, 1 << 20, 1, 1, ROWS * DIM))
            index.writelines(some[row % 1000] for row in range(ROWS))
    with open(one.root / "corpus/nodes.json", "w") as corpus:
        corpus.write("[\n")
        text = "a memory of some two hundred characters, as an app has them, " * 3
        corpus.write(",\n".join(json.dumps({"id": f"m{row}", "content": f"{row} {text}", "at": 1e9 + row}) for row in range(ROWS)))
        corpus.write("\n]\n")


def post(one, body):
    connection = http.client.HTTPConnection("localhost", timeout=600)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(one.root / "sync/control/daemon.sock"))
    connection.request("POST", "/v1/transactions", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{answer.status}: {said}")


def account(daemon):
    """Bytes it has written: as it asked the system, and as these went to the disk."""
    fields = dict(line.split(": ") for line in pathlib.Path(f"/proc/{daemon.process.pid}/io").read_text().splitlines())
    return int(fields["wchar"]), int(fields["write_bytes"])


def posted(one, count, name):
    """Seconds that each memory took, and all of them together."""
    waits, end = [], time.monotonic() + arguments.seconds

    def client(number):
        turn = 0
        while turn == 0 or time.monotonic() < end:
            entry = {"id": f"{name}-{number}-{turn}", "content": "a new memory", "at": time.time()}
            put = {"group": "nodes", "entry": entry, "vector": {"base64": base64.b64encode(vector()).decode()}}
            body = json.dumps({"transaction_id": entry["id"], "puts": [put]})
            began = time.monotonic()
            post(one, body)
            waits.append(time.monotonic() - began)
            turn += 1

    began = time.monotonic()
    clients = [threading.Thread(target=client, args=(number,)) for number in range(count)]
    [client.start() for client in clients], [client.join() for client in clients]
    return sorted(waits), time.monotonic() - began


with tempfile.TemporaryDirectory(dir=arguments.place) as place:
    one = Device(place, "one", sync__poll_interval="1h")
    pathlib.Path(place, "remote").mkdir()
    begin(one)
    one.run("init"), one.run("sync")
    # Nothing is sent meanwhile: this is about the local files.
    one.environment["COGZY_VAULT__SYNC__SETTLE"] = "1h"
    daemon, alone = Daemon(one), None
    for count in arguments.clients:
        wrote, disk = account(daemon)
        waits, seconds = posted(one, count, f"c{count}")
        each = len(waits)
        wrote, disk = ((now - before) / each / 1e6 for now, before in zip(account(daemon), (wrote, disk)))
        rate = each / seconds
        alone = alone or rate
        at = lambda share: waits[min(each - 1, int(share * each))]
        print(f"{ROWS:,} x {DIM}, {count:3} programs  {rate:7.2f} memories/s, {rate / alone:6.1f} times one program   "
              f"{wrote:8.2f} MB written for each ({disk:.2f} MB to the disk)   p50 {at(0.5):6.2f} s  p99 {at(0.99):6.2f} s"
              f"   ({each} memories)", flush=True)
    daemon.stop()
