"""What the benchmarks share: devices of their own, and processes measured from outside."""
import json, os, pathlib, subprocess, sys, time

BINARY = pathlib.Path(__file__).resolve().parent.parent / "target" / "release" / "cogzy-vault"


class Device:
    """A vault folder with a home of its own, kept in a folder remote that all devices of one `place` share."""

    def __init__(self, place, name):
        self.root = pathlib.Path(place) / name
        self.root.mkdir(parents=True)
        home = pathlib.Path(place) / f"home-{name}"
        home.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COGZY_VAULT_DIR": str(self.root),
                            "COGZY_VAULT__DEVICE_NAME": name, "COGZY_VAULT__REMOTE": f"file://{place}/remote",
                            # What is measured is work, not the wait for files to settle.
                            "COGZY_VAULT__SYNC__SETTLE": "0ms"}

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
