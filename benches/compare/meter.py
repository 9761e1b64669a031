"""Runs one command and says what it took: seconds of wall and CPU, peak memory.

The command is started by a process of its own, which is this file run as a program: the system's account of a child's
memory begins with that of whoever started it, and a benchmark that holds a vault in memory is not small.
"""
import json, os, pathlib, signal, subprocess, sys, time
from typing import NamedTuple


class Took(NamedTuple):
    """Seconds, seconds of CPU of the command and its children, and bytes of its peak memory."""

    wall: float
    cpu: float
    peak: float


class Failed(Exception):
    """A command that ended with an error, or was ended because it took too long."""


def measure(command, environment, log, cwd=None, patience=600):
    """Runs a command to its end, with what it says in a file. Raises `Failed`."""
    meter = [sys.executable, "-S", "-E", __file__, str(log), str(patience), *map(str, command)]
    with subprocess.Popen(meter, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            said = json.loads(process.stdout.read())
        except BaseException:
            # Whoever gives up leaves no command behind.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if said["code"] != 0:
        tail = pathlib.Path(log).read_text(errors="replace")[-600:]
        raise Failed(f"{' '.join(map(str, command))} ended with {said['code']} after {said['wall']:.1f} s: {tail}")
    return Took(said["wall"], said["cpu"], said["peak"])


def main(log, patience, *command):
    began = time.monotonic()
    child = os.fork()
    if not child:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            os.write(2, f"{command[0]}: {error}\n".encode())
            os._exit(127)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(int(patience))
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - began
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps({"code": code, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * unit}))


if __name__ == "__main__":
    main(*sys.argv[1:])
