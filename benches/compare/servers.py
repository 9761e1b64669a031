"""The S3 server on loopback: Garage, or rclone where that is missing. Each tool gets one of its own, empty."""
import os, pathlib, socket, subprocess, tempfile, time
from harness import is_open

# One key and one bucket for all; the forms are Garage's.
KEY, SECRET, BUCKET = "GK" + "be" * 12, "5ec2e7" * 10 + "0bec", "bench"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Broken(Exception):
    """A server that does not start, and what it said."""


def tried(serve):
    """Starts a server and stops it. Raises `Broken`."""
    with tempfile.TemporaryDirectory() as place:
        serve(pathlib.Path(place, "tried")).stop()


class Served:
    """A server over a folder of its own."""

    def __init__(self, place):
        self.place = pathlib.Path(place)
        self.place.mkdir(parents=True)
        self.port = free_port()
        self.log = open(self.place / "server.log", "w")

    def started(self, command, **environment):
        self.process = subprocess.Popen(list(map(str, command)), env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 30
        while not is_open(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                raise Broken(f"it did not start: {(self.place / 'server.log').read_text(errors='replace').strip()[-300:]}")
            time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


class Garage(Served):
    NAME = "Garage"
    # No compression: its time would be taken from the tool that is measured.
    CONFIG = """
replication_factor = 1
metadata_dir = "{place}/meta"
data_dir = "{place}/data"
db_engine = "lmdb"
compression_level = "none"
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_secret = "{secret}"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{port}"
"""

    def __init__(self, binary, place):
        super().__init__(place)
        config = self.place / "garage.toml"
        config.write_text(self.CONFIG.format(place=self.place, rpc=free_port(), port=self.port, secret=SECRET))
        self.started([binary, "-c", config, "server", "--single-node", "--default-bucket"],
                     GARAGE_DEFAULT_ACCESS_KEY=KEY, GARAGE_DEFAULT_SECRET_KEY=SECRET, GARAGE_DEFAULT_BUCKET=BUCKET, RUST_LOG="garage=warn")


class Rclone(Served):
    NAME = "rclone serve s3"

    def __init__(self, binary, place):
        super().__init__(place)
        (self.place / "served" / BUCKET).mkdir(parents=True)
        self.started([binary, "--config", "/dev/null", "serve", "s3", self.place / "served", "--addr", f"127.0.0.1:{self.port}",
                      "--auth-key", f"{KEY},{SECRET}", "--vfs-cache-mode", "off"])
