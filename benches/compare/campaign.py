"""What is run, in which order: the rounds over the vault, the many small files, and what a daemon's saves cost."""
import os, pathlib
import save_cost
from compare import lines, vault
from compare.peers import Ours


class Scale:
    """How large everything is, and how often it is run."""

    def __init__(self, rounds, small=False, large=False):
        self.rounds, self.large, self.small = rounds, large, small
        self.vault = dict(rows=400, dim=64, traces=100) if small else {}
        self.many = 1_000 if small else 100_000
        self.million = 0 if not large else 10_000 if small else 1_000_000
        # One round of many files takes as long as the rest.
        self.many_rounds = rounds if large else 1
        self.save_sizes = (500,) if small else save_cost.SIZES + ((1_000_000,) if large else ())
        self.saves = 4 if small else 10


def small_vault(runner, rtts, scale, tell):
    """The rounds over the vault of an app: each begins with the same files, and makes the same changes."""
    tell("making the vault")
    base = vault.Vault(**scale.vault)
    for number in range(scale.rounds):
        for rtt in rtts:
            now = base.again()
            changes = {"append": lambda: now.append(lines.ADDED), "edit_one": now.edit_one, "change_trace": now.change_trace,
                       "drop_front": lambda: now.drop_front(lines.DROPPED)}
            tell(f"round {number + 1} of {scale.rounds}, a round trip of {rtt} ms")
            runner.round(number, rtt, lines.SMALL, lambda roots: each(roots, vault.write, now.files),
                         lambda change, roots: each(roots, vault.write, changes[change]()))


def many_files(runner, rtts, scale, tell):
    """100,000 small files, and on request a million, which only ours is asked to keep.

    A tool that keeps one object for each file takes minutes for each line here, and is asked on request, too.
    """
    runner = runner if scale.large else runner.only(lambda tool: not tool.FILEWISE)
    for number in range(scale.many_rounds):
        for rtt in rtts:
            tell(f"{scale.many:,} files, round {number + 1} of {scale.many_rounds}, a round trip of {rtt} ms")
            runner.round(number, rtt, lines.MANY, lambda roots: each(roots, vault.write_many, scale.many), lambda _, roots: each(roots, renamed))
    if scale.million:
        tell(f"{scale.million:,} files")
        runner.only(lambda tool: tool is Ours).round(0, rtts[0], lines.MILLION, lambda roots: each(roots, vault.write_many, scale.million), None)


def saves(scale, tell):
    """What a saved file costs a daemon, for each number of files known."""
    found = []
    for files in scale.save_sizes:
        tell(f"what a save costs with {files:,} files known")
        found.append(save_cost.costs(files, scale.saves))
        tell(save_cost.tell(found[-1]))
    return found


def each(roots, what, *more):
    for root in roots:
        what(root, *more)


def renamed(root):
    os.rename(pathlib.Path(root, vault.MANY), pathlib.Path(root, vault.MANY + "-elsewhere"))
