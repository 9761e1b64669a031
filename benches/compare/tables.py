"""The tables of docs/BENCHMARKS.md, in Markdown."""
from compare import lines
from compare.medians import OURS, MEASURES

WHAT = {"wall": "time", "cpu": "CPU", "peak": "peak memory", "up": "bytes up", "down": "bytes down", "requests": "requests"}


def figure(measure, value):
    """A figure with its unit, to three digits or so; a dash where there is none."""
    if value is None:
        return "–"
    if measure in ("wall", "cpu"):
        return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
    if measure == "requests":
        return f"{value:,.0f}"
    if measure == "peak":
        return f"{value / 1e6:,.0f} MB"
    return bytes_of(value)


def bytes_of(value):
    if value < 1e6:
        return f"{value / 1e3:.1f} kB" if value < 1e5 else f"{value / 1e3:.0f} kB"
    return f"{value / 1e6:.2f} MB" if value < 1e7 else f"{value / 1e6:,.1f} MB"


def table(head, rows):
    """A Markdown table whose first column is text and whose others are figures."""
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def ratio(value):
    return "–" if value is None else f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def said(verdict):
    return {None: "not measured", True: "met", False: "**not met**"}[verdict.met]


def limit_of(verdict):
    limit = verdict.limit
    if limit.of == "number":
        return f"≤ {figure(limit.measure, limit.factor)}"
    return f"≤ {limit.factor:g} × {'the best peer' if limit.of == 'best' else verdict.name}"


def limits(medians):
    """Each limit, what stands against it, and whether it is met."""
    rows = []
    for line in lines.ALL:
        for verdict in medians.verdicts(line):
            limit = verdict.limit
            peer = "" if limit.of == "number" else f"{figure(limit.measure, verdict.against)} ({verdict.name})"
            rows.append([line.title, WHAT[limit.measure], f"{verdict.rtt} ms", figure(limit.measure, verdict.ours), peer,
                         ratio(verdict.ratio), limit_of(verdict), said(verdict)])
    return table(["line", "measure", "round trip", "ours", "held against", "ratio", "limit", ""], rows)


def times(medians, rtt):
    """Seconds by line and tool at one round trip, and ours as a share of the best peer's."""
    rows = []
    for line in lines.ALL:
        if any(key[:2] == (line.key, rtt) for key in medians.by):
            best, name = medians.best(line.key, rtt, "wall")
            ours = medians.at(line.key, rtt, OURS, "wall")
            rows.append([line.title, *(figure("wall", medians.at(line.key, rtt, tool, "wall")) for tool in medians.tools),
                         name, ratio(ours / best if ours is not None and best else None)])
    return table(["line", *medians.tools, "best peer", "ours / best"], rows)


def details(medians, rtt):
    """All that was measured at one round trip: a row for each line and tool."""
    rows = []
    for line in lines.ALL:
        for tool in medians.tools:
            if (line.key, rtt, tool) in medians.by:
                rows.append([line.title, tool, *(figure(measure, medians.at(line.key, rtt, tool, measure)) for measure in MEASURES)])
    return table(["line", "tool", *(WHAT[measure] for measure in MEASURES)], rows)


def saves(costs, limit):
    """What one saved file costs a daemon, by how many files it knows."""
    rows = [[f"{cost['files']:,}", f"{cost['edited'] * 1000:.1f} / {cost['new'] * 1000:.1f} ms", ratio(max(cost["edited"], cost["new"]) / limit),
             f"{cost['wrote_edited'] / 1e3:.0f} / {cost['wrote_new'] / 1e3:.0f} kB", f"{cost['resident'] / 1e6:.0f} MB"] for cost in costs]
    return table(["files known", "CPU, edited / new", f"of the limit of {limit * 1000:.0f} ms", "written", "resident"], rows)


def not_met(medians):
    """The limits that are not met, for the terminal."""
    return [f"{line.title}, {WHAT[v.limit.measure]} at {v.rtt} ms: {figure(v.limit.measure, v.ours)}, {ratio(v.ratio)} of {v.name}; {limit_of(v)}"
            for line in lines.ALL for v in medians.verdicts(line) if v.met is False]
