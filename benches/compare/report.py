"""Writes what was found into docs/BENCHMARKS.md and its plots."""
import datetime, os, pathlib, platform, textwrap
from compare import plots, tables
from compare.document import filled
from compare.medians import Medians
import save_cost


BLOCKS = ("conditions", "limits", "times", "saves", "details")


def machine():
    """The machine in one line: processor, cores, memory, system."""
    name = platform.processor() or platform.machine()
    try:
        known = dict(line.split(":", 1) for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines() if ":" in line)
        name = next(value.strip() for key, value in known.items() if key.strip() == "model name")
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {name}, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}"


def today():
    return datetime.date.today().isoformat()


def conditions(found):
    """On what, with what and how it was measured."""
    about = found["about"]
    rows = [f"- {about['date']}, {about['machine']}; load before the run {about['load']:.1f}.",
            f"- Server: {about['server']} on loopback, behind the counting proxy.",
            f"- Command: `{about['command']}`; rounds: {about['rounds']}."]
    rows += [f"- {name}: {said}" for name, said in about["versions"].items()]
    rows += [f"- {name} could not be installed: {why}" for name, why in about["missing"].items()]
    rows += [f"- Round {error['round'] + 1} at {error['rtt']} ms went on without {error['tool']}: {error['why'][:200]}" for error in found["errors"]]
    return "\n".join(textwrap.fill(row, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for row in rows)


def blocks(found):
    """The measured parts of the document by name: only those for which there are figures."""
    medians, written = Medians(found["samples"]), {"conditions": conditions(found)}
    if found["samples"]:
        written["limits"] = tables.limits(medians)
        written["times"] = "\n\n".join(f"Round trip of {rtt} ms:\n\n{tables.times(medians, rtt)}" for rtt in medians.rtts)
        written["details"] = "\n\n".join(f"Round trip of {rtt} ms:\n\n{tables.details(medians, rtt)}" for rtt in medians.rtts)
    if found["saves"]:
        written["saves"] = tables.saves(found["saves"], save_cost.CPU)
    return written


def write(found, folder):
    """Writes the document's measured parts and the plots below a folder."""
    document, drawn = pathlib.Path(folder, "BENCHMARKS.md"), pathlib.Path(folder, "benchmarks")
    document.write_text(filled(document.read_text(), blocks(found)))
    drawn.mkdir(exist_ok=True)
    medians = Medians(found["samples"])
    if found["samples"]:
        (drawn / "times.svg").write_text(plots.times(medians))
        if changes := plots.changes(medians):
            (drawn / "changes.svg").write_text(changes)
    if found["saves"]:
        (drawn / "saves.svg").write_text(plots.saves(found["saves"], save_cost.CPU))
