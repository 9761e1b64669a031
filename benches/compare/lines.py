"""The lines of the table: what each one does, and what the issue wants of it."""
from typing import NamedTuple, Optional

# How many rows are forgotten at the front, and how many nodes are added.
DROPPED, ADDED = 100, 200
# How many saves a vault has seen that is no longer new.
AGE = 33


class Limit(NamedTuple):
    """`measure` must be at most `factor` of what `of` says: the best peer, a peer by name, our own upload, or the plain number."""

    measure: str
    factor: float
    of: str = "best"
    # For one round trip only, in milliseconds.
    rtt: Optional[int] = None


class Line(NamedTuple):
    """A step of the sequence: what changes before it, which way the bytes go, and its limits."""

    key: str
    title: str
    way: str
    change: Optional[str] = None
    limits: tuple = ()
    # Peers are not asked: they would send everything again, or the limit is a number anyway.
    alone: bool = False
    # Ours has made `AGE` small saves before: from then on its small saves are one object each.
    aged: bool = False


TRACE = (Limit("wall", 0.35, rtt=0), Limit("wall", 0.6, rtt=40), Limit("up", 6000, "number"), Limit("requests", 3, "number"))

SMALL = (
    Line("first", "first upload", "up", None, (Limit("wall", 0.6), Limit("up", 0.92))),
    Line("nothing", "nothing changed", "up", None, (Limit("wall", 0.3), Limit("requests", 1, "number"))),
    Line("download", "full download", "down", None, (Limit("wall", 0.9), Limit("requests", 30, "number"))),
    Line("added-up", f"+{ADDED} nodes, up", "up", "append", (Limit("wall", 0.35), Limit("up", 0.35))),
    Line("added-down", f"+{ADDED} nodes, down", "down", None, (Limit("wall", 0.5), Limit("down", 1.1, "added-up"))),
    Line("edited", "one node edited", "up", "edit_one", (Limit("wall", 0.35), Limit("up", 0.04))),
    Line("trace", "one 4 KB trace changed", "up", "change_trace", TRACE),
    Line("dropped", f"{DROPPED} rows deleted at the front", "up", "drop_front", (Limit("up", 0.5, "restic"),)),
    Line("trace-later", f"one 4 KB trace changed, {AGE} saves later", "up", "change_trace", TRACE, aged=True),
)

MANY = (
    Line("many-first", "100,000 files: first upload", "up", None, (Limit("wall", 0.5), Limit("peak", 150e6, "number"))),
    Line("many-nothing", "100,000 files: nothing changed", "up", None, (Limit("wall", 0.2), Limit("peak", 150e6, "number"))),
    Line("many-download", "100,000 files: download", "down", None, (Limit("wall", 0.7), Limit("peak", 150e6, "number"))),
    Line("many-renamed", "100,000 files: their folder renamed", "up", "rename", (Limit("cpu", 1.5, "number"), Limit("up", 0.25, "many-first")), alone=True),
)

MILLION = (
    Line("million-first", "1,000,000 files: first upload", "up", alone=True),
    Line("million-nothing", "1,000,000 files: nothing changed", "up", None, (Limit("wall", 6, "number"), Limit("peak", 500e6, "number")), alone=True),
)

ALL = SMALL + MANY + MILLION
