#!/usr/bin/env python3
"""Adds a memory with its vector to a vault through the daemon's socket, in one transaction, and waits until it is
committed. Where the group has an index that is not rebuilt for it, the daemon saves the memory without the index after
`sync.max_invalid`; with `stale_index = "hold"` it does not, and this says so and ends.

    examples/remember.py SOCKET "the meeting moved to Thursday"

Python 3.9 or newer, nothing else. `cogzy-vault status --json` and `cogzy-vault doctor` tell where the socket is.
"""
import ast
import http.client
import json
import math
import os
import random
import socket
import struct
import sys
import time
import uuid
from urllib.parse import quote


class Daemon(http.client.HTTPConnection):
    """HTTP over a Unix socket; one request for each connection."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, resource, body=None):
    daemon = Daemon(path)
    daemon.request(method, resource, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
    answer = daemon.getresponse()
    document = json.loads(answer.read() or b"null")
    return answer.status, document


def read(root, path, otherwise):
    try:
        with open(os.path.join(root, path), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return otherwise


def stage(root, name, data):
    """Puts bytes where the daemon may take them from: the same disk, so that they need not travel."""
    incoming = os.path.join(root, "sync", "incoming")
    os.makedirs(incoming, exist_ok=True)
    with open(os.path.join(incoming, name), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return name


def shape_and_rows(stored):
    """The rows, the columns and the bytes of a matrix of <f4 in a file of numpy's; without a file, none of 8 columns."""
    if not stored:
        return 0, 8, b""
    at, size = (10, "<H") if stored[6] == 1 else (12, "<I")
    length = struct.unpack_from(size, stored, 8)[0]
    header = ast.literal_eval(stored[at : at + length].decode("latin1"))
    if header["descr"] != "<f4" or header["fortran_order"]:
        sys.exit(f"the vectors are {header['descr']}, in an order of their own: this example adds to rows of <f4")
    return *header["shape"], stored[at + length :]


def with_row(stored):
    """The same file with one more row: a unit vector, as an embedding is one."""
    rows, columns, data = shape_and_rows(stored)
    vector = [random.gauss(0, 1) for _ in range(columns)]
    length = math.sqrt(sum(x * x for x in vector))
    data += struct.pack(f"<{columns}f", *(x / length for x in vector))
    header = repr({"descr": "<f4", "fortran_order": False, "shape": (rows + 1, columns)}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def remember(path, root, text):
    """One try. The digests are asked for before the files are read: if somebody writes in between, the daemon says CONFLICT."""
    paths = ["corpus/nodes.json", "vectors/nodes.npy"]
    expected = {name: ask(path, "GET", "/v1/files?path=" + quote(name))[1]["digest"] for name in paths}
    corpus = json.loads(read(root, paths[0], b'{"nodes": []}'))
    nodes = corpus["nodes"] if isinstance(corpus, dict) else corpus
    nodes.append({"id": uuid.uuid4().hex, "content": text})
    matrix = with_row(read(root, paths[1], None))

    name = uuid.uuid4().hex
    return ask(path, "POST", "/v1/transactions", {
        "transaction_id": name,
        "source_id": "remember.py",
        "expected": expected,
        "writes": [
            {"path": paths[0], "staged": stage(root, name + ".json", json.dumps(corpus).encode())},
            {"path": paths[1], "staged": stage(root, name + ".npy", matrix)},
        ],
        "deletes": [],
    })


def committed(path, files, since):
    """The generation after `since` that holds what was written; None while there is none. Another may be committed before it."""
    for name, digest in files.items():
        # Left out of the answer before the first one.
        versions = ask(path, "GET", "/v1/history?path=" + quote(name))[1].get("versions", [])
        ours = [one["generation"] for one in versions if one["digest"] == digest and one["generation"] > since]
        if not ours:
            return None
    return max(ours)


def waiting(path, files):
    """Why the files wait, if something keeps them: most often the group's index, which was not rebuilt for the new entry."""
    ours = set(files) | {"group:nodes"}
    found = [one for one in ask(path, "GET", "/v1/outbox")[1]["waiting"] if one["path"] in ours and one["error"]]
    # A file that was written a moment ago waits to settle, and says so.
    held = [one for one in found if one["path"] == "group:nodes" and "fit" in one["error"]]
    return held[0]["error"] if held else None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path, text = sys.argv[1:]
    status = ask(path, "GET", "/v1/status")[1]
    generation = status["generation"]
    for _ in range(10):
        code, answer = remember(path, status["vault"], text)
        if answer.get("code") != "CONFLICT":
            break
    if code != 200:
        sys.exit(f"{answer['detail']}; next: {answer['next']}")
    print("written:", ", ".join(answer["files"]))
    told = None
    while True:
        made = committed(path, answer["files"], generation)
        if made:
            print("committed: generation", made)
            return
        why = waiting(path, answer["files"])
        if why and ask(path, "GET", "/v1/status")[1]["state"] == "error":
            sys.exit(f"kept on this device, and not in the backup yet: {why}; next: rebuild the index")
        if why and why != told:
            print("waits:", why, flush=True)
            told = why
        time.sleep(0.5)


if __name__ == "__main__":
    main()
