"""The plots of docs/BENCHMARKS.md: time by line and tool, bytes for each change, and the cost of a save over the size of the vault."""
import math
from compare import lines
from compare.medians import OURS
from compare.svg import Picture
from compare.tables import bytes_of, figure

NAMES, BAR, VALUE = 96, 16, 70


def panel(picture, x, y, width, bars, scale, said, mark=None):
    """Bars by tool, each with its figure behind it; `scale` brings a value to a share of the width, `mark` is our limit."""
    room, top = width - NAMES - VALUE, lambda row: y + row * (BAR + 3)
    for row, (name, value) in enumerate(bars):
        if value is not None:
            picture.rect(x + NAMES, top(row), max(1.0, room * scale(value)), BAR, "ours" if name == OURS else "peer", round=2)
    if mark is not None:
        at = x + NAMES + room * min(1.0, scale(mark))
        picture.line(at, y - 4, at, y + BAR + 4, "limit", 3)
    for row, (name, value) in enumerate(bars):
        kind, weight, base = ("ink", "bold", top(row) + BAR - 4) if name == OURS else ("faint", "normal", top(row) + BAR - 4)
        end = 0 if value is None else max(1.0, room * scale(value)) + 6
        picture.text(x + NAMES - 8, base, name, kind, "end", weight=weight)
        picture.text(x + NAMES + end, base, "–" if value is None else said(value), kind, weight=weight)


def key(picture, words):
    """Says at the right what the dashes are."""
    right = picture.width - 20
    picture.text(right, 26, words, "faint", "end")
    picture.line(right - 6.5 * len(words), 16, right - 6.5 * len(words), 30, "limit", 3)


def height_of(medians):
    return 34 + len(medians.tools) * (BAR + 3)


def times(medians):
    """A panel for each line, a column for each round trip: every row of panels has its own scale."""
    shown = [line for line in lines.ALL if any(known[0] == line.key for known in medians.by)]
    column, each = 440, height_of(medians)
    picture = Picture(20 + column * len(medians.rtts), 70 + each * len(shown), "Seconds by line and tool, medians")
    picture.text(20, 26, "Seconds by line and tool", size=16, weight="bold")
    key(picture, "the limit for cogzy-vault")
    for at, rtt in enumerate(medians.rtts):
        picture.text(20 + at * column + NAMES, 52, f"round trip of {rtt} ms", "faint", weight="bold")
    for row, line in enumerate(shown):
        y = 74 + row * each
        longest = max(medians.at(*known, "wall") for known in medians.by if known[0] == line.key)
        picture.text(20, y + 4, line.title, weight="bold")
        for at, rtt in enumerate(medians.rtts):
            mark = next((bound(v) for v in medians.verdicts(line) if v.limit.measure == "wall" and v.rtt == rtt), None)
            bars = [(tool, medians.at(line.key, rtt, tool, "wall")) for tool in medians.tools]
            panel(picture, 20 + at * column, y + 14, column - 20, bars, lambda value: value / longest, lambda value: figure("wall", value), mark)
    return picture.render()


def bound(verdict):
    """The most that a limit allows, as a figure; `None` where there is nothing to hold against."""
    if verdict.limit.of == "number":
        return verdict.limit.factor
    return None if verdict.against is None else verdict.against * verdict.limit.factor


def changes(medians):
    """Bytes that each tool sends for each change: on a scale of powers of ten, since they differ so. None without a change."""
    rtt, each = medians.rtts[0], height_of(medians)
    shown = [line for line in lines.SMALL if line.change and any(known[:2] == (line.key, rtt) for known in medians.by)]
    if not shown:
        return None
    picture = Picture(760, 52 + each * len(shown), "Bytes sent for a change, by tool")
    picture.text(20, 26, "Bytes sent for a change, on a scale of powers of ten", size=16, weight="bold")
    key(picture, "the limit for cogzy-vault")
    sent = [medians.at(*known, "up") for known in medians.by if known[0] in {line.key for line in shown}]
    low, high = math.floor(math.log10(max(1, min(sent)))), math.log10(max(sent))
    scale = lambda value: max(0.0, (math.log10(max(1, value)) - low) / max(0.1, high - low))
    for row, line in enumerate(shown):
        y = 58 + row * each
        mark = next((bound(v) for v in medians.verdicts(line) if v.limit.measure == "up" and v.rtt == rtt), None)
        picture.text(20, y + 4, line.title, weight="bold")
        panel(picture, 20, y + 14, 720, [(tool, medians.at(line.key, rtt, tool, "up")) for tool in medians.tools], scale, bytes_of, mark)
    return picture.render()


def saves(costs, limit):
    """CPU of one save over the number of files known, beside the limit."""
    picture, left, right, top, bottom = Picture(760, 360, "CPU of one save over the size of the vault"), 70, 730, 60, 300
    picture.text(20, 26, "CPU that a daemon spends on one saved file", size=16, weight="bold")
    sizes = [cost["files"] for cost in costs]
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    most = 1.15 * max([limit] + [cost[kind] for cost in costs for kind in ("edited", "new")])
    across = lambda files: left + 30 + (right - left - 60) * ((math.log10(files) - low) / (high - low) if high > low else 0.5)
    up = lambda seconds: bottom - (bottom - top) * seconds / most
    step = next(step for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 10) if most / step < 8)
    for tick in range(int(most / step) + 1):
        picture.line(left, up(tick * step), right, up(tick * step))
        picture.text(left - 8, up(tick * step) + 4, f"{tick * step * 1000:g} ms", "faint", "end")
    picture.line(left, up(limit), right, up(limit), "limit", 1.5, "3 2")
    picture.text(right, up(limit) - 6, f"the limit: {limit * 1000:g} ms", "limit", "end")
    for files in sizes:
        picture.text(across(files), bottom + 20, f"{files:,}", "faint", "middle")
    picture.text((left + right) / 2, bottom + 42, "files that the daemon knows", "faint", "middle")
    for kind, colour, words, at in (("edited", "ours", "a file edited", 480), ("new", "second", "a new file", 610)):
        points = [(across(cost["files"]), up(cost[kind])) for cost in costs]
        picture.path(points, colour)
        for x, y in points:
            picture.dot(x, y, colour)
        picture.dot(at, 22, colour)
        picture.text(at + 10, 26, words, "ink")
    return picture.render()
