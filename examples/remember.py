#!/usr/bin/env python3
"""Adds a memory with its vector to a vault through the daemon's socket, and waits until it is committed. Where the group
has an index of another kind than flat, which is not rebuilt for it, the daemon saves the memory without the index after
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


def columns(root):
    """The columns of the vectors that are there; 8 where there are none yet."""
    try:
        with open(os.path.join(root, "vectors", "nodes.npy"), "rb") as file:
            start = file.read(12)
            at, size = (10, "<H") if start[6] == 1 else (12, "<I")
            file.seek(at)
            header = ast.literal_eval(file.read(struct.unpack_from(size, start, 8)[0]).decode("latin1"))
            return header["shape"][1]
    except FileNotFoundError:
        return 8


def embed(count):
    """A unit vector, as an embedding is one; a real app asks its model."""
    vector = [random.gauss(0, 1) for _ in range(count)]
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def remember(path, root, text):
    """The daemon puts the memory and its vector into the files, beside what other programs write. A flat index follows."""
    entry = {"id": uuid.uuid4().hex, "content": text}
    return ask(path, "POST", "/v1/transactions", {
        "transaction_id": entry["id"],
        "source_id": "remember.py",
        "puts": [{"group": "nodes", "entry": entry, "vector": embed(columns(root))}],
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
    code, answer = remember(path, status["vault"], text)
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
