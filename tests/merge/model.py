#!/usr/bin/env python3
"""A model of the merge of memories, as plain as it can be: python3 model.py < TRIPLES

tests/scenario/merge_model.rs runs it and holds the program's own merge against it. Each line is one case, a JSON object
with `base` (or null), `here` and `there`: lists of [memory, vector], in order; and `rules`, true if there are ranks and fields
that no vector comes from. Each answer is a line: the merged list and the clashes as [id, field or null, whether here won],
or why nothing is merged. docs/MERGING.md has the rules in words.
"""
import json
import sys

QUIET = {"seen"}
NO_EMBED = {"tags"}
RANKED, ORDER = "source", ["user", "agent"]


def by_id(version):
    return {memory["id"]: (memory, vector) for memory, vector in version}


def fields(memory):
    return {name: value for name, value in memory.items() if name != "id"}


def content(memory):
    return json.dumps(fields(memory), sort_keys=True)


def essence(memory):
    """What counts of it where it is deleted elsewhere."""
    return json.dumps({name: value for name, value in fields(memory).items() if name not in QUIET}, sort_keys=True)


def row_number(version):
    """A field that is the number of its memory in every one of them."""
    if len(version) < 2:
        return False
    names = set.intersection(*(set(memory) for memory, _ in version))
    return any(all(memory[name] == at and memory[name] is not False and memory[name] is not True
                   for at, (memory, _) in enumerate(version)) for name in names - QUIET)


def embedded_anew(old, new, other):
    both = [key for key in old if key in new]
    # What the other side has with the very same vector says nothing.
    agreed = [key for key in both if key in other and content(new[key][0]) == content(other[key][0])
              and new[key][1] == other[key][1]]
    alone = [key for key in both if key not in agreed and essence(old[key][0]) == essence(new[key][0])]
    return sum(old[key][1] != new[key][1] for key in alone) * 2 > len(alone) + len(agreed)


def changed(memory, base):
    one, other = fields(memory), fields(base)
    return {name for name in one.keys() | other.keys() if (name in one, one.get(name)) != (name in other, other.get(name))}


def onto(base, here, there, no_embed):
    """Both sides changed it: the memory as it stands there with changes from here, its vector, and the fields that lost."""
    same = {name for name in fields(here[0]).keys() | fields(there[0]).keys() | fields(base[0]).keys()
            if (name in here[0], here[0].get(name)) == (name in there[0], there[0].get(name))}
    theirs = changed(there[0], base[0])
    ours = changed(here[0], base[0]) - same - (QUIET & theirs)
    clash = ours & theirs
    new_here, new_there = here[1] != base[1], there[1] != base[1]
    taken, lost, vector = ours - clash, clash, there[1]
    if here[1] != there[1] and new_here:
        # The vector and the fields that it came with are one.
        unit = ours - no_embed
        if new_there or clash & unit:
            taken, lost = taken - unit, (unit - QUIET) | (clash - unit)
        else:
            vector = here[1]
    memory = {name: value for name, value in there[0].items() if name not in taken}
    memory.update({name: here[0][name] for name in taken if name in here[0]})
    return memory, vector, lost


def rank(memory):
    value = memory.get(RANKED)
    return ORDER.index(value) if value in ORDER else len(ORDER)


def mixed(base, here, there, rules):
    """As above, and whether the side here stands where both changed the same."""
    no_embed = NO_EMBED if rules else set()
    memory, vector, lost = onto(base, here, there, no_embed)
    if not lost or not rules or rank(here[0]) >= rank(there[0]):
        return memory, vector, lost, False
    memory, vector, lost = onto(base, there, here, no_embed)
    for name in QUIET & changed(there[0], base[0]):
        memory.pop(name, None)
        memory.update({name: there[0][name]} if name in there[0] else {})
    return memory, vector, lost, True


def merge(base, here, there, rules):
    for version in (base, here, there):
        if version is not None and row_number(version):
            return {"refused": "row number"}
    old, ours, theirs = by_id(base or []), by_id(here), by_id(there)
    if base is not None and base == here:
        return {"merged": there, "clashes": []}
    if base is not None and base == there:
        return {"merged": here, "clashes": []}
    if base is None:
        anew = embedded_anew(theirs, ours, {})
    else:
        anew = embedded_anew(old, ours, theirs) or embedded_anew(old, theirs, ours)
    if anew:
        return {"refused": "embedded anew"}
    merged, clashes = [], []
    # Equal memories of which the other side deleted another one.
    spare = [essence(old[key][0]) for key in old
             if key not in theirs and key in ours and essence(ours[key][0]) == essence(old[key][0])]
    for key, (memory, vector) in theirs.items():
        was, mine = old.get(key), ours.get(key)
        if mine is None:
            if was is not None and essence(was[0]) == essence(memory):
                if essence(memory) not in spare:
                    continue
                spare.remove(essence(memory))
            merged.append([memory, vector])
        elif content(mine[0]) == content(memory):
            only_here = was is not None and was[1] == vector
            merged.append([memory, mine[1] if only_here else vector])
        elif was is None:
            if essence(mine[0]) != essence(memory):
                clashes.append([key, None, False])
            merged.append([memory, vector])
        elif mine == was:
            merged.append([memory, vector])
        elif (memory, vector) == was:
            merged.append([mine[0], mine[1]])
        else:
            memory, vector, lost, here_wins = mixed(was, mine, (memory, vector), rules)
            clashes.extend([key, name, here_wins] for name in lost)
            merged.append([memory, vector])
    for key, (memory, vector) in ours.items():
        if key in theirs:
            continue
        if key not in old:
            merged.append([memory, vector])
        elif essence(memory) != essence(old[key][0]):
            clashes.append([key, None, False])
    return {"merged": merged, "clashes": sorted(clashes, key=json.dumps)}


for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps(merge(case["base"], case["here"], case["there"], case["rules"])))
