"""A proxy in front of an S3 server that adds a round trip and counts requests and bytes by method.

Run as a program it takes one line of JSON from its input for each phase, `{"target": port, "rtt": seconds}`, and answers
with what it counted until then: `{"GET": [requests, bytes up, bytes down], …}`. It ends when its input does. A GET of a
bucket rather than of an object counts as LIST. Bytes are those of TCP: heads count.
"""
import asyncio, collections, json, subprocess, sys

# Bytes on their way in one direction of a connection: as much as a fast line holds in 20 ms.
WINDOW = 16 << 20


class Framing:
    """Follows HTTP/1.1 in one direction: where each request begins, whatever the buffers split."""

    def __init__(self, begun):
        self.begun, self.state, self.left, self.head = begun, "head", 0, b""

    def feed(self, data):
        """Takes what arrived; yields pieces of it, each after `begun` was called for the request it belongs to."""
        at = 0
        while at < len(data):
            start = at
            if self.state in ("body", "chunk"):
                at = min(len(data), at + self.left)
                self.left -= at - start
                if not self.left:
                    self.state = "head" if self.state == "body" else "size"
            else:
                at = self.line(data, at)
            yield at - start

    def line(self, data, at):
        """Reads on in what ends with a line: a head, the size of a chunk, or a trailer; where it ends in `data`."""
        end, known = b"\r\n\r\n" if self.state == "head" else b"\r\n", len(self.head)
        self.head += data[at:]
        found = self.head.find(end, max(0, known - 3))
        if found < 0:
            return len(data)
        head, self.head = self.head[:found], b""
        if self.state == "size":
            size = int(head.split(b";")[0] or b"0", 16)
            # A chunk ends with a line break of its own.
            self.state, self.left = ("chunk", size + 2) if size else ("trailer", 0)
        elif self.state == "trailer":
            self.state = "trailer" if head else "head"
        else:
            self.request(head.lstrip(b"\r\n"))
        return at + found + len(end) - known

    def request(self, head):
        first, *fields = head.split(b"\r\n")
        method, target = (first.split(b" ") + [b""])[:2]
        self.begun(kind(method.decode("latin1"), target.decode("latin1")))
        for field in fields:
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length" and int(value):
                self.state, self.left = "body", int(value)
            if name.lower() == b"transfer-encoding" and b"chunked" in value.lower():
                self.state = "size"
                return


def kind(method, target):
    path, _, query = target.partition("?")
    return "LIST" if method == "GET" and query and not path.strip("/").partition("/")[2] else method


class Counts:
    def __init__(self):
        self.by_method = collections.defaultdict(lambda: [0, 0, 0])

    def take(self):
        taken, self.by_method = dict(self.by_method), collections.defaultdict(lambda: [0, 0, 0])
        return taken


class Way:
    """One direction of a connection: what is read on one side is written on the other, half a round trip later."""

    def __init__(self, delay, source, sink):
        self.delay, self.source, self.sink = delay, source, sink
        self.queue, self.flying, self.timer = collections.deque(), 0, None
        self.full = False

    def push(self, data):
        if not self.delay:
            return self.deliver(data)
        loop = asyncio.get_running_loop()
        self.queue.append((loop.time() + self.delay, data))
        self.flying += len(data or b"")
        self.timer = self.timer or loop.call_at(self.queue[0][0], self.flush)
        self.brake()

    def flush(self):
        loop = asyncio.get_running_loop()
        while self.queue and self.queue[0][0] <= loop.time():
            _, data = self.queue.popleft()
            self.flying -= len(data or b"")
            self.deliver(data)
        self.timer = loop.call_at(self.queue[0][0], self.flush) if self.queue else None
        self.brake()

    def deliver(self, data):
        if data is None:
            self.sink.close()
        elif not self.sink.is_closing():
            self.sink.write(data)

    def brake(self):
        if self.source.is_closing():
            return
        if self.full or self.flying > WINDOW:
            self.source.pause_reading()
        else:
            self.source.resume_reading()


class Side(asyncio.Protocol):
    """One end of a connection: hands on what it reads by `out`, and slows `into` down when it cannot write."""

    def __init__(self, seen):
        self.seen, self.out, self.into = seen, None, None

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 20)

    def data_received(self, data):
        self.seen(data)
        self.out.push(data)

    def connection_lost(self, _):
        if self.out:
            self.out.push(None)

    def pause_writing(self):
        self.into.full = True
        self.into.brake()

    def resume_writing(self):
        self.into.full = False
        self.into.brake()


class Near(Side):
    """The client's end: asks the server's end for a connection, and tells requests apart."""

    def __init__(self, proxy):
        super().__init__(self.up)
        self.proxy, self.method = proxy, "none"
        self.framing = Framing(self.begin)

    def begin(self, method):
        self.method = method
        self.proxy.counts.by_method[method][0] += 1

    def up(self, data):
        at = self.proxy.counts.by_method
        for piece in self.framing.feed(data):
            at[self.method][1] += piece

    def down(self, data):
        self.proxy.counts.by_method[self.method][2] += len(data)

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.pause_reading()
        asyncio.get_running_loop().create_task(self.join())

    async def join(self):
        proxy = self.proxy
        # A connection is made in one round trip.
        await asyncio.sleep(proxy.rtt)
        try:
            _, far = await asyncio.get_running_loop().create_connection(lambda: Side(self.down), "127.0.0.1", proxy.target)
        except OSError:
            return self.transport.abort()
        up, down = Way(proxy.rtt / 2, self.transport, far.transport), Way(proxy.rtt / 2, far.transport, self.transport)
        self.out, self.into, far.out, far.into = up, down, down, up
        if self.transport.is_closing():
            return far.transport.close()
        self.transport.resume_reading()


class Listener:
    def __init__(self):
        self.counts, self.rtt, self.target = Counts(), 0.0, None

    async def serve(self):
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(lambda: Near(self), "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)

        def told():
            line = sys.stdin.readline()
            if not line:
                return ended.set()
            wanted = json.loads(line)
            self.rtt, self.target = wanted["rtt"], wanted["target"]
            print(json.dumps(self.counts.take()), flush=True)

        loop.add_reader(sys.stdin, told)
        await ended.wait()


class Proxy:
    """The proxy as the benchmark holds it: a process on a port."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-S", "-E", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def turn(self, target, rtt):
        """Leads to another server from now on, `rtt` seconds away; what was counted until now, by method."""
        self.process.stdin.write(json.dumps({"target": target, "rtt": rtt}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        with self.process:
            self.process.stdin.close()


if __name__ == "__main__":
    asyncio.run(Listener().serve())
