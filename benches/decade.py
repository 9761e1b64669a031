#!/usr/bin/env python3
"""Ten simulated years of three devices: what the bucket comes to and what a start, a save and a new device cost then.

Runs the simulation (`--decade`), and writes its table and a plot into docs/SCALE.md. 20,000 saves take some ten minutes of one
core; the time grows with their square, since the simulation itself looks at all of its disks.
"""
import argparse, pathlib, subprocess, sys

from compare.document import filled
from compare.svg import Picture

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
COLUMNS = ["years", "commits", "commits_kb", "checkpoints", "checkpoints_kb", "packs", "packs_kb", "start", "save", "join", "seconds"]
HEAD = ["years", "commits", "MB", "checkpoints", "packs", "MB", "requests of a start", "of a save", "of a new device"]


def parsed(text):
    """The rows of the simulation's table, by the names of its columns."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [dict(zip(COLUMNS, map(float, row))) for row in cells if row[0] != "years"]


def table(rows):
    """Markdown, with bytes in MB."""
    def told(row):
        counts = {name: f"{row[name]:,.0f}" for name in COLUMNS}
        return [f"{row['years']:.1f}", counts["commits"], f"{row['commits_kb'] / 1000:.1f}", counts["checkpoints"], counts["packs"],
                f"{row['packs_kb'] / 1000:.1f}", counts["start"], counts["save"], counts["join"]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [HEAD, ["---"] * len(HEAD), *map(told, rows)])


def panel(picture, left, title, rows, lines, unit):
    """Lines over the years; each is a name, a colour and a figure of a row."""
    right, top, bottom = left + 320, 70, 280
    most = max(value(row) for row in rows for _, _, value in lines) * 1.1
    across = lambda years: left + (right - left) * years / 10
    up = lambda value: bottom - (bottom - top) * value / most
    picture.text(left, 50, title, weight="bold")
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / step < 8)
    for tick in range(int(most / step) + 1):
        picture.line(left, up(tick * step), right, up(tick * step))
        picture.text(left - 8, up(tick * step) + 4, f"{tick * step:,}", "faint", "end")
    for year in range(0, 11, 2):
        picture.text(across(year), bottom + 18, str(year), "faint", "middle")
    picture.text((left + right) / 2, bottom + 38, f"years; {unit}", "faint", "middle")
    for at, (name, colour, value) in enumerate(lines):
        picture.path([(across(row["years"]), up(value(row))) for row in rows], colour)
        picture.dot(left + 10, top + 8 + at * 18, colour)
        picture.text(left + 20, top + 12 + at * 18, name)


def plot(rows):
    """What there is, and what things cost, side by side."""
    picture = Picture(780, 330, "What a vault comes to in ten years, and what things cost then")
    picture.text(20, 26, "Ten years of three devices", size=16, weight="bold")
    there = [("commits", "ours", lambda row: row["commits_kb"] / 1000), ("packs", "second", lambda row: row["packs_kb"] / 1000)]
    cost = [("a new device", "second", lambda row: row["join"]), ("a start", "ours", lambda row: row["start"]), ("a save", "limit", lambda row: row["save"])]
    panel(picture, 60, "In the bucket", rows, there, "MB")
    panel(picture, 440, "Requests", rows, cost, "requests")
    return picture.render()


def told(command):
    """What the simulation says; ends with that if it fails."""
    done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=20_000, help="saves of the decade (default 20,000)")
    parser.add_argument("--from", dest="found", type=pathlib.Path, help="simulate nothing: take the table from this file")
    arguments = parser.parse_args()
    command = ["cargo", "test", "-p", "cogzy-engine", "--test", "simulation", "--", "--decade", str(arguments.saves)]
    text = arguments.found.read_text() if arguments.found else told(command)
    rows = parsed(text)
    document = DOCS / "SCALE.md"
    document.write_text(filled(document.read_text(), {"decade": table(rows)}))
    (DOCS / "scale" / "decade.svg").write_text(plot(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
