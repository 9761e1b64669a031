"""Runs the lines: each tool on its own server behind the one proxy, line by line in turn, and keeps what each run took."""
import copy, filecmp, os, pathlib, time
from compare.meter import Failed
from compare.peers import Ours


class Fleet:
    """The tools of one round, each with a server of its own. When it ends, only small files are left of it."""

    def __init__(self, tools, serve, proxy, place):
        self.proxy, self.place, self.servers = proxy, pathlib.Path(place), {}
        self.failed, self.joined = set(), set()
        # The peers only read what they send.
        shared = self.place / "source"
        shared.mkdir(parents=True)
        endpoint = f"http://127.0.0.1:{proxy.port}"
        self.tools = [kind(binary, self.place / kind.NAME, endpoint, shared) for kind, binary in tools]
        try:
            for tool in self.tools:
                self.servers[tool.NAME] = serve(self.place / f"server-{tool.NAME}")
        except BaseException:
            self.__exit__()
            raise

    def sources(self):
        """The folders that are sent, each once."""
        return list(dict.fromkeys(tool.source for tool in self.tools))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.stop()
        emptied(self.place)

    def at(self, tool, rtt):
        """Leads the proxy to a tool's server; what was counted until now."""
        return self.proxy.turn(self.servers[tool.NAME].port, rtt)

    def attempt(self, tool, what, note):
        """Does something that may fail. A tool that failed once takes no further part in this round."""
        if tool.NAME in self.failed:
            return None
        try:
            return what()
        except Failed as why:
            self.failed.add(tool.NAME)
            note(tool, str(why))
            return None


def emptied(place, least=1 << 16):
    """Frees the room of large files and deletes none: on ext4, whoever makes files soon after many were deleted pays for it."""
    for folder, _, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.path.getsize(path) > least:
                os.chmod(path, 0o600)
                os.truncate(path, 0)


def turned(tools, by):
    """The tools in another order: nobody is always the first after a change."""
    by %= len(tools)
    return tools[by:] + tools[:by]


class Runner:
    """Runs rounds, and adds to what was found a sample for each line, tool, round trip and round."""

    def __init__(self, found, place, tools, serve, proxy, tell):
        self.place, self.tools, self.serve, self.proxy, self.tell = pathlib.Path(place), tools, serve, proxy, tell
        self.samples, self.errors = found["samples"], found["errors"]

    def only(self, wanted):
        """The same run, with the kinds of tools that are wanted."""
        other = copy.copy(self)
        other.tools = [tool for tool in self.tools if wanted(tool[0])]
        return other

    def round(self, number, rtt, lines, fill, change):
        """All lines in order, over a vault that `fill` makes and `change` alters, both for a list of folders."""
        with Fleet(self.tools, self.serve, self.proxy, self.place / f"{lines[0].key}-{rtt}-{number}") as fleet:
            note = lambda tool, why: self.note(number, rtt, tool, why)
            for tool in fleet.tools:
                fleet.at(tool, 0)
                fleet.attempt(tool, tool.prepare, note)
            fill(fleet.sources())
            for turn, line in enumerate(lines):
                for tool in fleet.tools if line.aged else ():
                    fleet.at(tool, 0)
                    fleet.attempt(tool, tool.age, note)
                if line.change:
                    change(line.change, fleet.sources())
                for tool in turned(fleet.tools, number + turn):
                    if line.alone and not isinstance(tool, Ours):
                        continue
                    sample = fleet.attempt(tool, lambda: self.line(fleet, tool, line, rtt), note)
                    if sample:
                        self.keep(sample | {"line": line.key, "tool": tool.NAME, "rtt": rtt, "round": number})

    def line(self, fleet, tool, line, rtt):
        if line.way == "down" and tool.NAME not in fleet.joined:
            fleet.joined.add(tool.NAME)
            fleet.at(tool, 0)
            tool.prepare_copy()
        # What was written before must not be flushed at this tool's cost, and its files must have settled.
        os.sync()
        time.sleep(0.2)
        fleet.at(tool, rtt / 1000)
        took = tool.up() if line.way == "up" else tool.down()
        methods = fleet.at(tool, rtt / 1000)
        if line.way == "down":
            same(tool.source, tool.copy)
        return {"wall": took.wall, "cpu": took.cpu, "peak": took.peak, "methods": methods} | totals(methods)

    def keep(self, sample):
        self.samples.append(sample)
        self.tell(f"{sample['line']:14} {sample['tool']:12} {sample['rtt']:3} ms  {sample['wall']:8.2f} s  CPU {sample['cpu']:7.2f} s  "
                  f"{sample['peak'] / 1e6:6.0f} MB  {sample['up'] / 1e6:9.3f} MB up  {sample['down'] / 1e6:9.3f} MB down  {sample['requests']:6} requests")

    def note(self, number, rtt, tool, why):
        self.errors.append({"round": number, "rtt": rtt, "tool": tool.NAME, "why": why})
        self.tell(f"{tool.NAME} failed, and is left out for the rest of this round: {why}")


def totals(methods):
    requests, up, down = (sum(counts[at] for counts in methods.values()) for at in range(3))
    return {"requests": requests, "up": up, "down": down}


def same(source, copy):
    """Raises `Failed` where a copy differs from its source, but for what a vault keeps for itself."""
    def files(root):
        found = {}
        for folder, names, leaves in os.walk(root):
            below = os.path.relpath(folder, root)
            if below == ".":
                names[:] = [name for name in names if name != "sync"]
            found |= {os.path.join(below, leaf): os.path.join(folder, leaf) for leaf in leaves if not leaf.startswith(".cogzy-vault")}
        return found

    one, two = files(source), files(copy)
    if one.keys() != two.keys():
        raise Failed(f"{len(one)} files were sent, {len(two)} came back: {sorted(one.keys() ^ two.keys())[:3]}")
    for path in one:
        if not filecmp.cmp(one[path], two[path], shallow=False):
            raise Failed(f"{path} came back as another file")
