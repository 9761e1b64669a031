"""The vault that everything is measured with, and what its app does to it: made from a seed, so it is the same everywhere.

20,000 nodes with their vectors of 1,536 numbers, a flat index with the same rows, 1,000 episodes and 2,000 traces: 2,006
files, 274 MB.
"""
import array, copy, json, os, pathlib, random, statistics, struct, sys

WORDS = ("memory vault local cloud sync agent note meeting idea plan user answer question project graph cluster "
         "trace vector index search recall tool result error budget summer winter garden music paper city train").split()


# One word in seven has a number behind it.
TERMS = [word for word in WORDS for _ in range(850)] + [f"{word}{number}" for word in WORDS for number in range(0, 1000, 7)]


def prose(draw, count):
    return " ".join(draw.choices(TERMS, k=count))


def node(draw, number):
    """A memory of the corpus, as JSON."""
    return json.dumps({
        "id": f"{draw.getrandbits(128):032x}", "seq": number, "type": draw.choice(["fact", "event", "person", "idea"]),
        "content": prose(draw, draw.randrange(30, 120)), "tags": draw.choices(WORDS, k=4),
        "created_at": f"2026-{draw.randrange(1, 12):02}-{draw.randrange(1, 28):02}T{draw.randrange(24):02}:{draw.randrange(60):02}:00Z",
        "importance": round(draw.random(), 4), "links": [f"{draw.getrandbits(128):032x}" for _ in range(3)]})


def trace(draw, words=60):
    return json.dumps({"steps": [prose(draw, words) for _ in range(6)]}).encode()


class Floats:
    """Rows of 32-bit numbers, drawn as those of vectors of length one are: normal, of a spread that follows the dimension."""

    def __init__(self, draw, dim):
        self.draw, self.dim = draw, dim
        normal = statistics.NormalDist(0, dim**-0.5)
        # The upper half of a number is drawn by its share, the lower half is noise.
        self.upper = [struct.unpack("<I", struct.pack("<f", normal.inv_cdf((at + 0.5) / 65536)))[0] >> 16 for at in range(65536)]

    def rows(self, count):
        numbers = count * self.dim
        drawn = array.array("H", self.draw.randbytes(2 * numbers))
        upper = array.array("H", map(self.upper.__getitem__, drawn))
        if sys.byteorder == "big":
            upper.byteswap()
        upper, noise, rows = upper.tobytes(), self.draw.randbytes(2 * numbers), bytearray(4 * numbers)
        rows[0::4], rows[1::4], rows[2::4], rows[3::4] = noise[0::2], noise[1::2], upper[0::2], upper[1::2]
        return rows


def npy(rows, dim):
    """The head of a NumPy array of that many rows."""
    shape = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + shape.ljust(117).encode() + b"\n"


def flat_index(rows, dim):
    """The head of a flat FAISS index by inner product."""
    return b"IxFI" + struct.pack("<iqqqBiQ", dim, rows, 1 << 20, 1 << 20, 1, 0, rows * dim)


class Vault:
    """A vault in memory: each change says which files it wrote, as pieces of bytes by path."""

    def __init__(self, rows=20_000, dim=1536, traces=2_000, seed=1):
        self.draw, self.dim, self.traces = random.Random(seed), dim, traces
        self.floats = Floats(self.draw, dim)
        self.nodes = [node(self.draw, number) for number in range(rows)]
        self.matrix = self.floats.rows(rows)
        episodes = [node(self.draw, number) for number in range(rows // 20)]
        self.files = self.memories() | {
            "corpus/episodes.json": [self.corpus("episodes", episodes)],
            "vectors/episodes.npy": [npy(len(episodes), dim), self.floats.rows(len(episodes))]}
        self.files |= {f"traces/t{number}.json": [trace(self.draw)] for number in range(traces)}

    def again(self):
        """The same vault for another round, which makes the same changes to it."""
        other = copy.copy(self)
        other.draw, other.nodes, other.matrix = copy.copy(self.draw), list(self.nodes), bytearray(self.matrix)
        other.floats = copy.copy(self.floats)
        other.floats.draw = other.draw
        return other

    @staticmethod
    def corpus(name, nodes):
        return f'{{"version": 1, "{name}": [{", ".join(nodes)}]}}'.encode()

    def memories(self):
        """The four files that an app writes together whenever its memories change."""
        rows = len(self.nodes)
        clusters = {"k": 64, "assign": [number % 64 for number in range(rows)]}
        return {"corpus/nodes.json": [self.corpus("nodes", self.nodes)],
                "vectors/nodes.npy": [npy(rows, self.dim), self.matrix],
                "indexes/faiss.index": [flat_index(rows, self.dim), self.matrix],
                "indexes/clusters.json": [json.dumps(clusters).encode()]}

    def append(self, count):
        """More nodes at the end, and a trace for each ten of them."""
        known = len(self.nodes)
        self.nodes += [node(self.draw, known + number) for number in range(count)]
        self.matrix += self.floats.rows(count)
        return self.memories() | {f"traces/t{known + count}-{number}.json": [trace(self.draw)] for number in range(count // 10)}

    def edit_one(self):
        """Another text for the node in the middle, and another row for it."""
        at = len(self.nodes) // 2
        edited = json.loads(self.nodes[at])
        edited["content"] = prose(self.draw, 80)
        self.nodes[at] = json.dumps(edited)
        row = 4 * self.dim
        self.matrix[at * row : (at + 1) * row] = self.floats.rows(1)
        return self.memories()

    def drop_front(self, count):
        """The oldest nodes are forgotten: every later row stands elsewhere."""
        del self.nodes[:count]
        del self.matrix[: count * 4 * self.dim]
        return self.memories()

    def change_trace(self):
        """One trace of 4 KB is written anew."""
        return {f"traces/t{self.traces // 2}.json": [json.dumps({"steps": [prose(self.draw, 1000)[:4081]]}).encode()]}


def write(root, files):
    """Writes files as careful apps do: a new file each, then a rename."""
    for path, pieces in files.items():
        path = pathlib.Path(root, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".tmp~")
        with open(new, "wb") as file:
            file.writelines(pieces)
        os.replace(new, path)


# The folder that many files are in, and that is renamed.
MANY = "traces/kept"


def write_many(root, count, seed=1):
    """Many small files, a thousand a folder: some hundred bytes of JSON each."""
    draw = random.Random(seed)
    text = prose(draw, 100_000)
    for number in range(count):
        if number % 1000 == 0:
            folder = pathlib.Path(root, MANY, f"{number // 1000:04}")
            folder.mkdir(parents=True)
        start = draw.randrange(len(text) - 400)
        with open(folder / f"{number:07}.json", "w") as file:
            file.write(f'{{"trace": {number}, "text": "{text[start : start + draw.randrange(100, 400)]}"}}')
