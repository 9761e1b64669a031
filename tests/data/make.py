#!/usr/bin/env python3
"""Makes the files beside it with numpy and FAISS themselves: python3 make.py (needs numpy and faiss-cpu).

Made with numpy 2.4 and faiss-cpu 1.15 and checked in, so that the tests need neither. 40 vectors of 8 dimensions; what each
file holds is told by its name, and by the table in src/vault/validate/tests.rs.
"""
import os

import faiss
import numpy as np
from numpy.lib import format as npy

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, DIM = 40, 8
vectors = np.random.default_rng(7).standard_normal((ROWS, DIM)).astype("float32")


def path(name):
    return os.path.join(HERE, name)


def array(name, values, version=(1, 0)):
    with open(path(name), "wb") as file:
        npy.write_array(file, values, version=version, allow_pickle=True)


for dtype in ("f2", "f4", "f8"):
    array(f"{dtype}_c.npy", vectors.astype("<" + dtype))
    array(f"{dtype}_fortran.npy", np.asfortranarray(vectors.astype("<" + dtype)))
array("f4_big_endian.npy", vectors.astype(">f4"))
array("f4_v2.npy", vectors, version=(2, 0))
array("f4_v3.npy", vectors, version=(3, 0))
array("empty.npy", np.zeros((0, DIM), dtype="<f4"))
array("flat.npy", vectors[:, 0])
array("i8.npy", np.arange(ROWS * DIM, dtype="<i8").reshape(ROWS, DIM))
array("objects.npy", np.array([{"a": 1}, None], dtype=object))
array("records.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i4")]))
for name, value in (("nan", np.nan), ("inf", np.inf), ("minus_inf", -np.inf)):
    for dtype in ("f2", "f4", "f8"):
        wrong = vectors.astype("<" + dtype)
        wrong[17, 3] = value
        array(f"{dtype}_{name}.npy", wrong)
wrong = np.asfortranarray(vectors.copy())
wrong[17, 3] = np.nan
array("f4_fortran_nan.npy", wrong)

l2, ip = faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT


def index(name, made, ids=False):
    made.train(vectors)
    if ids:
        made.add_with_ids(vectors, np.arange(ROWS, dtype="int64") * 3)
    else:
        made.add(vectors)
    faiss.write_index(made, path(name + ".index"))


index("flat_l2", faiss.IndexFlatL2(DIM))
index("flat_ip", faiss.IndexFlatIP(DIM))
index("flat_l1", faiss.IndexFlat(DIM, faiss.METRIC_L1))
index("ivf_flat", faiss.IndexIVFFlat(faiss.IndexFlatL2(DIM), DIM, 4))
index("ivf_sparse", faiss.IndexIVFFlat(faiss.IndexFlatL2(DIM), DIM, 32))
mapped = faiss.IndexIVFFlat(faiss.IndexFlatIP(DIM), DIM, 4, ip)
mapped.train(vectors)
mapped.add(vectors)
mapped.make_direct_map()
faiss.write_index(mapped, path("ivf_mapped.index"))
index("ivf_pq", faiss.IndexIVFPQ(faiss.IndexFlatL2(DIM), DIM, 4, 4, 4))
index("ivf_sq", faiss.IndexIVFScalarQuantizer(faiss.IndexFlatL2(DIM), DIM, 4, faiss.ScalarQuantizer.QT_8bit))
index("ivf_hnsw", faiss.IndexIVFFlat(faiss.IndexHNSWFlat(DIM, 4), DIM, 4))
index("hnsw_flat", faiss.IndexHNSWFlat(DIM, 8))
index("hnsw_sq", faiss.IndexHNSWSQ(DIM, faiss.ScalarQuantizer.QT_8bit, 8))
index("pq", faiss.IndexPQ(DIM, 4, 4))
index("sq", faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_fp16))
index("id_map", faiss.IndexIDMap(faiss.IndexFlatL2(DIM)), ids=True)
index("id_map2", faiss.IndexIDMap2(faiss.IndexFlatL2(DIM)), ids=True)
index("id_map_hnsw", faiss.IndexIDMap2(faiss.IndexHNSWFlat(DIM, 8)), ids=True)
index("unknown_lsh", faiss.IndexLSH(DIM, 16))
