"""Medians of the samples, and how ours stand to each limit."""
import statistics
from typing import NamedTuple, Optional
from compare import lines

OURS = "cogzy-vault"
MEASURES = ("wall", "cpu", "peak", "up", "down", "requests")


class Verdict(NamedTuple):
    """A limit at one round trip: our figure, what it is held against, and whether it is met. `None` where there is no figure."""

    line: lines.Line
    limit: lines.Limit
    rtt: int
    ours: Optional[float]
    against: Optional[float]
    name: str

    @property
    def ratio(self):
        """Ours, of what it is held against."""
        return self.ours / self.against if self.ours is not None and self.against else None

    @property
    def met(self):
        bound = self.limit.factor if self.limit.of != "number" else 1
        return None if self.ratio is None else self.ratio <= bound


class Medians:
    """Medians by line, round trip in milliseconds, tool and measure."""

    def __init__(self, samples):
        by = {}
        for sample in samples:
            by.setdefault((sample["line"], sample["rtt"], sample["tool"]), []).append(sample)
        self.by = {key: {measure: statistics.median(run[measure] for run in runs) for measure in MEASURES} for key, runs in by.items()}
        self.runs = {key: len(runs) for key, runs in by.items()}
        self.rtts = sorted({rtt for _, rtt, _ in by})
        # In the order in which they were first measured: ours, then the peers.
        names = dict.fromkeys(tool for _, _, tool in by)
        self.tools = [OURS] * (OURS in names) + sorted(name for name in names if name != OURS)

    def at(self, line, rtt, tool, measure):
        return self.by.get((line, rtt, tool), {}).get(measure)

    def best(self, line, rtt, measure):
        """The best peer's figure and name."""
        peers = [(self.at(line, rtt, tool, measure), tool) for tool in self.tools if tool != OURS]
        return min((peer for peer in peers if peer[0] is not None), default=(None, "no peer"))

    def verdicts(self, line):
        """Each limit of a line, at each round trip that was measured."""
        for limit in line.limits:
            for rtt in self.rtts:
                if limit.rtt in (None, rtt) and any(key[:2] == (line.key, rtt) for key in self.by):
                    yield Verdict(line, limit, rtt, self.at(line.key, rtt, OURS, limit.measure), *self.against(line, limit, rtt))

    def against(self, line, limit, rtt):
        if limit.of == "number":
            return limit.factor, "the limit"
        if limit.of == "best":
            return self.best(line.key, rtt, limit.measure)
        if limit.of in (known.key for known in lines.ALL):
            # What a device fetches is held against what was sent for it.
            return self.at(limit.of, rtt, OURS, "up"), "its upload"
        return self.at(line.key, rtt, limit.of, limit.measure), limit.of
