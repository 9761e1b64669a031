"""What the benchmarks share: devices of their own, servers, daemons, and processes measured from outside."""
import http.client, json, os, pathlib, random, re, shutil, signal, socket, struct, subprocess, sys, time

TARGET = os.environ.get("CARGO_TARGET_DIR") or pathlib.Path(__file__).resolve().parent.parent / "target"
BINARY = pathlib.Path(TARGET) / "release" / "cogzy-vault"


class Server:
    """`rclone serve s3` over a folder, on a port of its own: what it holds outlives a stop."""

    def __init__(self, place, rclone=None):
        self.rclone = rclone or shutil.which("rclone") or sys.exit("no rclone found: give one with --rclone")
        self.folder = pathlib.Path(place) / "served"
        (self.folder / "bench").mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = pathlib.Path(place) / "server.log"
        self.start()

    def start(self):
        command = [self.rclone, "--config", "/dev/null", "serve", "s3", str(self.folder), "--addr", f"127.0.0.1:{self.port}",
                   "--auth-key", "bench,benchsecret", "--vfs-cache-mode", "off", "-vv"]
        self.process = subprocess.Popen(command, stderr=open(self.log, "a"), stdout=subprocess.DEVNULL)
        until(lambda: is_open(self.port), 30, "the server listens")

    def stop(self):
        self.process.kill()
        self.process.wait()

    def commits(self):
        return {path.name for path in self.folder.glob("bench/m/users/default/commits/*")}

    def requests(self):
        """How many requests it has answered."""
        with open(self.log, errors="replace") as log:
            return sum(bool(re.search(r"serve s3: [A-Z]{3,}", line)) for line in log)


class Daemon:
    """`run` on a device, asked over its socket."""

    def __init__(self, device):
        self.device, self.said = device, device.root.parent / f"{device.root.name}.log"
        self.process = subprocess.Popen([str(BINARY), "run"], env=device.environment, stdout=subprocess.DEVNULL, stderr=open(self.said, "w"))
        until(lambda: self.status()["state"] == "in-sync", 300, "the daemon is in sync")

    def status(self):
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.device.root / "sync/control/daemon.sock"))
            connection.request("GET", "/v1/status")
            return json.load(connection.getresponse())
        except (ConnectionError, FileNotFoundError):
            return {"state": "none"}
        finally:
            connection.close()

    def seconds_of_cpu(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Memory:
    """267 MB: a corpus of 20,000 nodes, their embeddings of 1,536 dimensions, a flat index with the same rows, and 2,000 traces."""

    ROWS, DIM = 20_000, 1536
    # The heads of a NumPy array and of a flat FAISS index: what does not fit together is not sent.
    SHAPE = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}"
    NPY = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + SHAPE.ljust(117).encode() + b"\n"
    FAISS = b"IxF2" + struct.pack("<iqqqBiQ", DIM, ROWS, 1 << 20, 1 << 20, 1, 1, ROWS * DIM)

    def __init__(self):
        self.draw = random.Random(1)
        self.matrix = self.floats(self.ROWS * self.DIM)
        words = "memory vault note idea plan graph trace".split()
        self.texts = [" ".join(self.draw.choice(words) for _ in range(100)) for _ in range(self.ROWS)]
        self.traces = [json.dumps({"step": step, "text": text * 6}) for step, text in enumerate(self.texts[:2000])]

    def floats(self, count):
        """Numbers of about a hundredth: noise in the mantissa, little in what is before it."""
        drawn = bytearray(4 * count)
        for at in range(3):
            drawn[at::4] = self.draw.randbytes(count)
        drawn[3::4] = self.draw.randbytes(count).translate(bytes(60 if byte % 2 else 188 for byte in range(256)))
        return drawn

    def edit(self):
        """Another text, and another row for it."""
        self.matrix[9000 * self.DIM * 4 : 9001 * self.DIM * 4] = self.floats(self.DIM)
        self.texts[9000] = "edited"

    def save(self, root):
        for folder in ("corpus", "vectors", "indexes", "traces"):
            (root / folder).mkdir(exist_ok=True)
        (root / "vectors/nodes.npy").write_bytes(self.NPY + self.matrix)
        (root / "indexes/faiss.index").write_bytes(self.FAISS + self.matrix)
        (root / "corpus/nodes.json").write_text(json.dumps({"nodes": self.texts}))
        for step, trace in enumerate(self.traces):
            (root / f"traces/{step}.json").write_text(trace)


def is_open(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def until(holds, patience, what, every=0.02):
    """Waits until something holds; when that was."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            sys.exit(f"it never came to this within {patience} s: {what}")
        time.sleep(every)
    return time.monotonic()


def tell(name, seconds, limit):
    """A line of percentiles, and how they stand to the limit."""
    seconds = sorted(seconds)
    at = lambda share: seconds[min(len(seconds) - 1, int(share * len(seconds)))]
    figures = "  ".join(f"{name} {at(share) * 1000:7.1f} ms" for name, share in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)])
    print(f"{name:24} {figures}  limit {limit * 1000:.0f} ms: p99 is {at(0.99) / limit:.2f} of it  ({len(seconds)} times)", flush=True)


class Device:
    """A vault folder with a home of its own, kept in the remote that all devices of one `place` share: a server's, or a folder."""

    def __init__(self, place, name, server=None, **settings):
        self.root = pathlib.Path(place) / name
        self.root.mkdir(parents=True)
        home = pathlib.Path(place) / f"home-{name}"
        home.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COGZY_VAULT_DIR": str(self.root),
                            "COGZY_VAULT__DEVICE_NAME": name, "COGZY_VAULT__REMOTE": f"file://{place}/remote",
                            # What is measured is work, not the wait for files to settle.
                            "COGZY_VAULT__SYNC__SETTLE": "0ms"}
        if server:
            self.environment |= {"COGZY_VAULT__REMOTE": "s3://bench/m", "COGZY_VAULT__S3__REGION": "us-east-1",
                                 "COGZY_VAULT__S3__ENDPOINT": f"http://127.0.0.1:{server.port}",
                                 "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "benchsecret"}
        self.environment |= {f"COGZY_VAULT__{key.upper()}": value for key, value in settings.items()}

    def save(self, path, data):
        """As careful programs write: a new file, then a rename."""
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_bytes(data)
        path.with_suffix(".tmp").rename(path)

    def run(self, *verb):
        """Runs a verb; gives seconds, peak memory in bytes, and what it said as JSON."""
        return measured([str(BINARY), "--json", *verb], self.environment)


def measured(command, environment=None):
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = 0
    # The system's own account of a child begins with the memory of whoever forked it, so the high-water mark is read here.
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(0.005)
    said = process.stdout.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    said = json.loads(said) if said.strip().startswith(b"{") else None
    return time.monotonic() - began, peak, said


def high_water(pid):
    try:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
