#!/usr/bin/env python3
"""Keeps a copy of a vault's memories in a file, as an app keeps what it has read: each run asks the daemon what has
changed since the one before, and says it.

    examples/follow.py SOCKET COPY.json

Python 3.9 or newer, nothing else. `cogzy-vault status --json` and `cogzy-vault doctor` tell where the socket is.
"""
import json
import os
import sys

from remember import ask

BEGINNING = {"until": "0", "memories": {}}


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return BEGINNING


def save(path, copy):
    """The generation and what it has come together, or not at all."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(copy, file)
    os.replace(path + ".new", path)


def catch_up(socket, copy):
    """The copy with all that has changed. An id may be a text or a number, so its JSON is the key."""
    memories = dict(copy["memories"])
    resource = "/v1/memories?group=nodes&since=" + copy["until"]
    while resource:
        status, page = ask(socket, "GET", resource)
        if status == 410:
            print("the daemon no longer knows that generation: reading all memories anew")
            return catch_up(socket, BEGINNING)
        if status != 200:
            sys.exit(f"{page['detail']}; next: {page['next']}")
        for memory in page["memories"]:
            memories[json.dumps(memory["id"])] = memory["entry"]
            print("changed:", memory["id"])
        for known in page["deleted"]:
            memories.pop(json.dumps(known), None)
            print("deleted:", known)
        resource = page["next"]
    return {"until": page["until"], "memories": memories}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    socket, path = sys.argv[1:]
    copy = catch_up(socket, load(path))
    save(path, copy)
    print(len(copy["memories"]), "memories, as in generation", copy["until"])


if __name__ == "__main__":
    main()
