#!/usr/bin/env python3
"""Writes versions of groups of memories, and reads what became of them: faiss_groups.py make|check FOLDER COUNT SEED

tests/scenario/merge_faiss.rs has it write, merges the versions, and has it read the result with numpy and faiss. Each
memory has a `seed`, which its vector follows from: so every row and every neighbour can be told from the corpus alone.
"""
import json
import os
import random
import sys

import faiss
import numpy as np

DIM = 16
KINDS = ["Flat", "IDMap", "IDMap2", "HNSW"]


def vector(seed):
    """Of length 1, and the same in every type."""
    made = np.random.default_rng(seed).normal(size=DIM)
    return (made / np.linalg.norm(made)).astype("<f2").astype("<f4")


def index_of(kind, metric, memories, ids):
    rows = np.array([vector(memory["seed"]) for memory in memories], dtype="<f4").reshape(len(memories), DIM)
    if kind == "HNSW":
        index = faiss.IndexHNSWFlat(DIM, 8, metric)
        index.add(rows)
        return index
    index = faiss.IndexFlatL2(DIM) if metric == faiss.METRIC_L2 else faiss.IndexFlatIP(DIM)
    if kind == "Flat":
        index.add(rows)
        return index
    index = faiss.IndexIDMap2(index) if kind == "IDMap2" else faiss.IndexIDMap(index)
    index.add_with_ids(rows, np.array(ids(memories), dtype="int64"))
    return index


def ids_of(case):
    if case["numbered"]:
        return lambda memories: list(range(len(memories)))
    return lambda memories: [memory["own"] for memory in memories]


def edited(chance, base, name, new):
    memories = [dict(memory) for memory in base]
    for memory in chance.sample(memories, chance.randrange(len(memories))):
        memory["seed"] = new()
    for _ in range(chance.randrange(4)):
        memories.pop(chance.randrange(len(memories)))
    memories += [{"id": f"{name}-{at}", "seed": new(), "own": new()} for at in range(chance.randrange(5))]
    if chance.random() < 0.3:
        chance.shuffle(memories)
    return memories


def write(folder, memories, case):
    os.makedirs(folder)
    with open(os.path.join(folder, "nodes.json"), "w") as file:
        json.dump({"nodes": memories}, file)
    rows = np.array([vector(memory["seed"]) for memory in memories]).astype(case["dtype"])
    np.save(os.path.join(folder, "nodes.npy"), np.asfortranarray(rows) if case["fortran"] else rows)
    index = index_of(case["kind"], case["metric"], memories, ids_of(case))
    faiss.write_index(index, os.path.join(folder, "nodes.index"))


def make(folder, count, seed):
    chance = random.Random(seed)
    numbers = iter(range(1, 1 << 40))
    for number in range(count):
        case = {"kind": chance.choice(KINDS), "metric": chance.choice([faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT]),
                "dtype": chance.choice(["<f2", "<f4"]), "numbered": chance.random() < 0.5,
                "fortran": chance.random() < 0.1}
        here = os.path.join(folder, str(number))
        base = [{"id": f"n{at}", "seed": next(numbers), "own": next(numbers)} for at in range(chance.randrange(8, 40))]
        versions = {"base": base}
        for name in ("here", "there"):
            versions[name] = edited(chance, base, name, lambda: next(numbers))
        for name, memories in versions.items():
            write(os.path.join(here, name), memories, case)
        with open(os.path.join(here, "case.json"), "w") as file:
            json.dump(case, file)


def corpus(folder, number, version):
    with open(os.path.join(folder, str(number), version, "nodes.json")) as file:
        return json.load(file)


def check(folder, count):
    """Reads every merged group. The index may have been left out only where it is not flat, or where
    its ids are no row numbers and its rows cannot be compared with those of the array."""
    read, searched = 0, 0
    for number in range(count):
        merged = os.path.join(folder, str(number), "merged")
        with open(os.path.join(folder, str(number), "case.json")) as file:
            case = json.load(file)
        if case["fortran"]:
            assert not os.path.exists(merged), number
            continue
        memories = corpus(folder, number, "merged")["nodes"]
        expected = np.array([vector(memory["seed"]) for memory in memories])
        rows = np.load(os.path.join(merged, "nodes.npy"), allow_pickle=False)
        assert rows.dtype == np.dtype(case["dtype"]) and rows.flags.c_contiguous, (number, rows.dtype)
        assert np.array_equal(rows.astype("<f4"), expected), number
        read += 1
        place = os.path.join(merged, "nodes.index")
        own_ids = case["kind"].startswith("IDMap") and not case["numbered"]
        if case["kind"] == "HNSW" or own_ids and case["dtype"] != "<f4":
            # It stays only where one side changed nothing, so that the result is the other one.
            one_sided = any(corpus(folder, number, name) == corpus(folder, number, "base") for name in ("here", "there"))
            assert os.path.exists(place) == one_sided, number
            continue
        found = faiss.read_index(place)
        anew = index_of(case["kind"], case["metric"], memories, ids_of(case))
        assert (found.ntotal, found.d, found.metric_type) == (anew.ntotal, DIM, case["metric"]), number
        assert type(found) is type(anew), number
        queries = np.concatenate([expected, np.random.default_rng(number).normal(size=(5, DIM)).astype("<f4")])
        distances, neighbours = found.search(queries, 5)
        of_anew, wanted = anew.search(queries, 5)
        assert np.array_equal(neighbours, wanted) and np.array_equal(distances, of_anew), number
        own = ids_of(case)(memories) if case["kind"] != "Flat" else list(range(len(memories)))
        assert neighbours[:len(memories), 0].tolist() == own, number
        if case["kind"] == "IDMap2":
            for at, name in enumerate(own):
                assert np.array_equal(found.reconstruct(name), expected[at]), number
        searched += 1
    print(json.dumps({"read": read, "searched": searched}))


if sys.argv[1] == "make":
    make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
else:
    check(sys.argv[2], int(sys.argv[3]))
