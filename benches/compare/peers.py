"""What each tool is told for a first upload, an upload and a download: ours and its peers, each over the same bucket.

Flags are those that make a peer fastest on these lines without making it careless: enough connections for a slow line,
and no request for each file where a listing says as much.
"""
import json, os, pathlib
from compare.lines import AGE
from compare.meter import measure
from compare.servers import BUCKET, KEY, SECRET
from harness import Device


class Tool:
    """A tool on two devices: one sends a folder, one fetches it. Each device has a home of its own."""

    NAME = None
    # A tool that keeps one object for each file.
    FILEWISE = False

    def __init__(self, binary, place, endpoint, source):
        """A tool that keeps its own things in `place` and sends the folder `source`, which it only reads."""
        self.binary, self.place, self.endpoint = binary, pathlib.Path(place), endpoint
        self.source, self.copy = source, self.place / "copy"
        for folder in (self.copy, self.place / "home-source", self.place / "home-copy"):
            folder.mkdir(parents=True)

    def environment(self, device):
        home = self.place / f"home-{device}"
        return {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"),
                "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", **self.settings()}

    def settings(self):
        return {}

    def run(self, device, command, patience=900):
        return measure([self.binary, *command], self.environment(device), self.place / f"{device}.log", patience=patience)

    def prepare(self):
        """Makes what has to be there before the first upload; not measured."""

    def prepare_copy(self):
        """Makes what has to be there before the first download; not measured."""

    def age(self):
        """Makes of a new repository or vault one that has been saved to for a while, where that matters; not measured."""

    def up(self):
        return self.run("source", self.up_command())

    def down(self):
        return self.run("copy", self.down_command())


class Ours(Tool):
    NAME = "cogzy-vault"

    def __init__(self, binary, place, endpoint, _):
        """Ours has a source of its own: it keeps its state inside the vault."""
        self.binary, self.place, self.endpoint = binary, pathlib.Path(place), endpoint
        # Files settle for as long as the measurements had them settle.
        self.devices = {name: Device(place, name, sync__settle="100ms", remote=f"s3://{BUCKET}/m", s3__region="us-east-1", s3__endpoint=endpoint)
                        for name in ("source", "copy")}
        self.source, self.copy = (self.devices[name].root for name in ("source", "copy"))

    def environment(self, device):
        return self.devices[device].environment | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def prepare(self):
        self.run("source", ["init"])

    def prepare_copy(self):
        self.run("copy", ["init"])

    def age(self):
        for number in range(AGE):
            self.devices["source"].save("traces/often.json", json.dumps({"saved": number}).encode())
            self.run("source", ["sync"])

    def up_command(self):
        return ["sync"]

    down_command = up_command


class Rclone(Tool):
    NAME = "rclone"
    FILEWISE = True
    # Without the last two, a HEAD for each file asks when it was changed.
    FLAGS = ["--config", "/dev/null", "--transfers", "32", "--checkers", "32", "--fast-list", "--update", "--use-server-modtime"]

    def settings(self):
        options = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": self.endpoint, "REGION": "us-east-1", "ACCESS_KEY_ID": KEY,
                   "SECRET_ACCESS_KEY": SECRET, "NO_CHECK_BUCKET": "true"}
        return {f"RCLONE_CONFIG_HERE_{key}": value for key, value in options.items()}

    def up_command(self):
        return ["sync", *self.FLAGS, self.source, f"here:{BUCKET}/rclone"]

    def down_command(self):
        return ["sync", *self.FLAGS, f"here:{BUCKET}/rclone", self.copy]


class S5cmd(Tool):
    NAME = "s5cmd"
    FILEWISE = True

    def settings(self):
        return {"S3_ENDPOINT_URL": self.endpoint}

    def up_command(self):
        return ["--log", "error", "sync", f"{self.source}/", f"s3://{BUCKET}/s5cmd/"]

    def down_command(self):
        return ["--log", "error", "sync", f"s3://{BUCKET}/s5cmd/*", f"{self.copy}/"]


class Restic(Tool):
    NAME = "restic"

    def settings(self):
        return {"RESTIC_REPOSITORY": f"s3:{self.endpoint}/{BUCKET}/restic", "RESTIC_PASSWORD": "bench"}

    def prepare(self):
        self.run("source", ["init"])

    def up_command(self):
        return ["backup", "--no-scan", "--quiet", "-o", "s3.connections=16", self.source]

    def down_command(self):
        return ["restore", "--quiet", "--overwrite", "if-changed", "-o", "s3.connections=16", f"latest:{self.source}", "--target", self.copy]


class Rustic(Tool):
    NAME = "rustic"

    def settings(self):
        options = {"BUCKET": BUCKET, "ROOT": "/rustic", "ENDPOINT": self.endpoint, "REGION": "us-east-1", "ACCESS_KEY_ID": KEY,
                   "SECRET_ACCESS_KEY": SECRET}
        return {"RUSTIC_REPOSITORY": "opendal:s3", "RUSTIC_PASSWORD": "bench", "RUSTIC_NO_PROGRESS": "true",
                **{f"RUSTIC_REPO_OPT_{key}": value for key, value in options.items()}}

    def prepare(self):
        self.run("source", ["init"])

    def up_command(self):
        return ["backup", self.source]

    def down_command(self):
        return ["restore", f"latest:{self.source}", self.copy]


PEERS = {tool.NAME: tool for tool in (Rclone, S5cmd, Restic, Rustic)}
