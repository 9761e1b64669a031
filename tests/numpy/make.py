#!/usr/bin/env python3
"""Writes .npy files, well-formed and not, and what numpy makes of each: python3 make.py FOLDER COUNT SEED

tests/scenario/numpy.rs runs it and holds our own reader against it. One line of JSON for each file: its name, whether
numpy wrote it as it is, whether its elements are numbers, and shape and type as numpy reads them, or null.
"""
import io
import json
import math
import os
import random
import re
import resource
import sys
import warnings

import numpy as np
from numpy.lib import format as npy

folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
warnings.simplefilter("ignore")
# A header may claim any size: then numpy ends at once.
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

NUMBERS = ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "|i1", "|u1", "<i2", "<i4", "<i8", ">i4", "<u2", "<u4", "<u8",
           "|b1", "<c8", "<c16", "<f16"]
OTHERS = ["<U3", "|S4", "<M8[ns]", "<m8[s]", "|V5", "O"]
RECORDS = [[("a", "<f4"), ("b", "<i4")], [("ä", "<f4")], [("v", "<f4", (8,))]]
SPELLINGS = ["float32", "f4", "f", "=f4", "|f4", "<f04", "<f+4", "< f4", "<f4 ", "<f5", "<f3", "<b2", "<i16", "<c4", "?",
             "<g", "f4,f4", "<F4", "!f4", "<f4\\n", "<f\\x34", "", "<", "4", "(2,)f4", "<f400000000000000000000"]
# Text that finds its way into a header.
PIECES = ["'", '"', "(", ")", "{", "}", "[", "]", ",", ":", "0", "1", "7", "40", "007", "00", "0x8", "8_0", "-1", "+4", "1.0",
          "True", "False", "None", "L", " L", "l", " ", "\n", "\t", "\r", "\f", "\v", "#", "\\", "descr", "shape",
          "fortran_order", "b", "r", "u'", "ä", "\0", "\xa0", "\u3000", "''", "\\\n"]


def shape():
    sides = chance.choice([0, 1, 1, 2, 2, 2, 2, 3, 4, 64])
    most = [0, 1, 2, 3, 8, 40] if sides < 3 else [0, 1, 2, 3]
    return tuple(1 if sides == 64 else chance.choice(most) for _ in range(sides))


def array(dtype):
    made = np.zeros(shape() if dtype != "O" else 2, dtype=dtype)
    return np.asfortranarray(made) if chance.random() < 0.3 else made


def written(values, version):
    file = io.BytesIO()
    npy.write_array(file, values, version=version, allow_pickle=True)
    return file.getvalue()


def space():
    return chance.choice(["", "", "", " ", "  ", "\n", "\t", "\n ", "\r\n"])


def side():
    return chance.choice(["0", "1", "8", "8", "40", "00", "007", "8L", "8 L", "0x8", "8_0", "-1", "True", "8.0", "'8'", "1 + 7",
                          "99999999999", "9223372036854775807", "18446744073709551616"])


def tuple_text():
    sides = [side() if chance.random() < 0.25 else "8" for _ in range(chance.choice([0, 1, 1, 2, 2, 3]))]
    end = "," if len(sides) == 1 and chance.random() < 0.7 or chance.random() < 0.2 else ""
    left, right = ("(", ")") if chance.random() < 0.95 else ("[", "]")
    return left + space() + ("," + chance.choice([" ", "", "\n", "\t"])).join(sides) + space() + end + space() + right


def header_text():
    quote = chance.choice(["'", "'", "'", '"'])
    descr = chance.choice(NUMBERS) if chance.random() < 0.75 else chance.choice(SPELLINGS + OTHERS)
    order = chance.choice(["False", "False", "True", "0", "1", "None", "not 1", "false", "'True'"])
    order = order if chance.random() < 0.3 else "False"
    members = [("descr", quote + descr + quote), ("fortran_order", order), ("shape", tuple_text())]
    if chance.random() < 0.1:
        members.append(chance.choice(members + [("more", "1"), ("shape", "(2,)")]))
    if chance.random() < 0.05:
        members.pop(chance.randrange(len(members)))
    if chance.random() < 0.2:
        chance.shuffle(members)
    text = ("," + space()).join(f"{quote}{name}{quote}{space()}:{space()}{value}" for name, value in members)
    return (space() + "{" + space() + text + chance.choice([",", ", ", "", " ,", ",,"]) + space() + "}"
            + chance.choice(["", " ", "\n", "   \n", "\n  \n", " \n ", ";", "#", "\t", "{}"]))


def framed(text, version, data):
    header = text.encode("utf-8" if version == 3 or chance.random() < 0.5 else "latin1", "replace")
    length = len(header)
    if chance.random() < 0.05:
        length = max(chance.choice([0, 70_000, length - 1, length + 1]), 0)
    # Older versions are searched for an `L` of Python 2, which takes numpy minutes in long white space.
    if version == 3 and chance.random() < 0.1:
        pad = chance.choice([9_999, 10_000, 10_001, 60_000]) - len(header)
        header, length = header + b" " * pad, len(header) + pad
    size = (length & 0xffff).to_bytes(2, "little") if version == 1 else length.to_bytes(4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + data


def spelled():
    """A header in some spelling, mostly with as many bytes as its numbers ask for, whoever may read them."""
    text = header_text()
    sides = re.findall(r"\d+", text[text.rfind("shape"):])
    size = re.findall(r"\d+", text[text.find("descr"):])[:1] or ["4"]
    count = min(math.prod(map(int, sides + size)), 10_000)
    if chance.random() < 0.15:
        count = chance.choice([0, 1, 32, count + 1, count + 8, max(count - 1, 0)])
    return framed(text, chance.choice([1, 1, 2, 3]), bytes(count))


def mutated(content):
    made = bytearray(content)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.randrange(len(made)) if chance.random() < 0.3 else chance.randrange(min(len(made), 100))
        how = chance.randrange(7)
        piece = chance.choice(PIECES).encode()
        if how == 0:
            made[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del made[at:at + chance.choice([1, 1, 2, 8])]
        elif how == 2:
            made[at:at] = piece
        elif how == 3:
            made[at:at + len(piece)] = piece
        elif how == 4:
            del made[chance.randrange(len(made)):]
        elif how == 5:
            made += bytes(chance.choice([1, 4, 32]))
        else:
            made[6:7] = bytes([chance.choice([0, 1, 2, 3, 4, 255])])
        if not made:
            return b""
    return bytes(made)


def verdict(path):
    """Shape and type, or None twice."""
    try:
        with open(path, "rb") as file:
            values = npy.read_array(file, allow_pickle=False)
    except Exception:  # Whatever numpy ends with, it has not read an array.
        return None, None
    return values.shape, values.dtype


for number in range(count):
    kind = chance.random()
    as_written = kind < 0.25
    if kind < 0.6:
        dtype = chance.choice(NUMBERS) if chance.random() < 0.85 else chance.choice(OTHERS + RECORDS)
        # Names of more than ASCII need the third version.
        version = (3, 0) if "ä" in str(dtype) else chance.choice([(1, 0), (2, 0), (3, 0)])
        content = written(array(dtype), version)
        content = content if as_written else mutated(content)
    else:
        content = spelled()
        content = mutated(content) if kind > 0.9 else content
    name = f"{number}.npy"
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)
    found, dtype = verdict(os.path.join(folder, name))
    numbers = dtype is not None and dtype.kind in "fiubc" and dtype.names is None
    text = dtype.str if numbers else None
    print(json.dumps({"name": name, "written": as_written, "numbers": numbers, "shape": found, "dtype": text}))
