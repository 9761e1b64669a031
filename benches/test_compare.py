"""The benchmark's own parts, without a build, a server or a peer: `python3 -m unittest discover benches`."""
import json, pathlib, socketserver, struct, sys, tempfile, threading, unittest
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import decade
from compare import document, lines, medians, meter, plots, proxy, report, svg, tables, vault


def sample(line, tool, wall, up=1000.0, down=0, requests=1, rtt=0, round=0):
    return {"line": line, "tool": tool, "rtt": rtt, "round": round, "wall": wall, "cpu": wall / 2, "peak": 50e6, "up": up, "down": down, "requests": requests}


FOUND = [sample("first", "cogzy-vault", wall, up=90e6, rtt=rtt, round=at) for at, wall in enumerate((1.0, 9.0, 1.2)) for rtt in (0, 40)]
FOUND += [sample("first", tool, 2.0 + at, up=100e6 + at, rtt=rtt) for at, tool in enumerate(("restic", "s5cmd")) for rtt in (0, 40)]
FOUND += [sample("edited", "cogzy-vault", 0.5, up=5_000_000), sample("edited", "restic", 1.0, up=2_000_000)]


class Figures(unittest.TestCase):
    def test_the_median_counts_and_the_best_peer_is_named(self):
        known = medians.Medians(FOUND)
        self.assertEqual(known.at("first", 40, "cogzy-vault", "wall"), 1.2)
        self.assertEqual(known.best("first", 0, "wall"), (2.0, "restic"))
        self.assertEqual(known.tools, ["cogzy-vault", "restic", "s5cmd"])

    def test_each_limit_is_judged_by_its_own_peer_and_round_trip(self):
        known, by = medians.Medians(FOUND), {line.key: line for line in lines.ALL}
        wall, sent = [v for v in known.verdicts(by["first"]) if v.rtt == 0]
        self.assertTrue(wall.met)
        self.assertAlmostEqual(wall.ratio, 0.6)
        self.assertTrue(sent.met)
        self.assertEqual([v.met for v in known.verdicts(by["edited"])], [False, False])
        self.assertEqual(list(known.verdicts(by["dropped"])), [])

    def test_without_peers_a_ratio_is_not_measured_and_a_number_is(self):
        known = medians.Medians([sample("nothing", "cogzy-vault", 0.1)])
        by = {line.key: line for line in lines.ALL}
        self.assertEqual([(v.limit.measure, v.met) for v in known.verdicts(by["nothing"])], [("wall", None), ("requests", True)])

    def test_a_table_has_a_row_for_each_limit_and_says_what_is_not_met(self):
        rows = tables.limits(medians.Medians(FOUND)).splitlines()
        self.assertEqual(rows[0].count("|"), rows[1].count("|"))
        self.assertIn("| first upload | time | 0 ms | 1.20 s | 2.00 s (restic) | 0.60 | ≤ 0.6 × the best peer | met |", rows)
        self.assertIn("| one node edited | bytes up | 0 ms | 5.00 MB | 2.00 MB (restic) | 2.50 | ≤ 0.04 × the best peer | **not met** |", rows)
        self.assertEqual({row.count("|") for row in rows}, {9})
        self.assertIn("| first upload | 1.20 s | 2.00 s | 3.00 s | restic | 0.60 |", tables.times(medians.Medians(FOUND), 40))

    def test_figures_have_units(self):
        said = [tables.figure(*pair) for pair in [("wall", 0.066), ("wall", 13.6), ("peak", 72.4e6), ("up", 5900), ("up", 105e3), ("up", 1.31e6), ("requests", 2006), ("up", None)]]
        self.assertEqual(said, ["0.07 s", "13.6 s", "72 MB", "5.9 kB", "105 kB", "1.31 MB", "2,006", "–"])


class Decade(unittest.TestCase):
    TOLD = """running 1 test
| years | commits | KB | checkpoints | KB | packs | KB | a start: requests | a save | a new device | real time, s |
|---|---|---|---|---|---|---|---|---|---|---|
| 0.08 | 169 | 237 | 3 | 1 | 44 | 324 | 1 | 5 | 62 | 1 |
| 10.00 | 19522 | 30752 | 3 | 11 | 63 | 3794 | 20 | 4 | 151 | 565 |
"""

    def test_what_the_simulation_tells_becomes_a_table_and_a_plot(self):
        rows = decade.parsed(self.TOLD)
        self.assertEqual([(row["commits"], row["join"]) for row in rows], [(169, 62), (19522, 151)])
        written = decade.table(rows).splitlines()
        self.assertEqual(len({row.count("|") for row in written}), 1)
        self.assertEqual(written[-1], "| 10.0 | 19,522 | 30.8 | 3 | 63 | 3.8 | 20 | 4 | 151 |")
        root = xml.fromstring(decade.plot(rows))
        self.assertEqual(len(root.findall(".//{http://www.w3.org/2000/svg}path")), 5)


class Drawings(unittest.TestCase):
    def test_a_picture_is_sound_xml_with_a_title_and_both_colours(self):
        picture = svg.Picture(100, 50, "a < b & c")
        picture.text(1, 2.04, "x < y")
        drawn = picture.render()
        root = xml.fromstring(drawn)
        self.assertEqual(root.get("aria-label"), "a < b & c")
        self.assertIn("prefers-color-scheme: dark", drawn)
        self.assertIn('y="2"', drawn)
        self.assertEqual([node.text for node in root.iter("{http://www.w3.org/2000/svg}text")], ["x < y"])

    def test_all_that_is_drawn_lies_inside_and_longer_times_are_longer_bars(self):
        known = medians.Medians(FOUND)
        costs = [{"files": 10**size, "edited": 0.005, "new": 0.006, "wrote_edited": 1, "wrote_new": 1, "resident": 1} for size in (3, 4, 5)]
        for drawn in (plots.times(known), plots.changes(known), plots.saves(costs, 0.02)):
            root = xml.fromstring(drawn)
            width, height = float(root.get("width")), float(root.get("height"))
            for node in root.iter():
                for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2"), ("cx", "cy")):
                    if node.get(x):
                        self.assertTrue(0 <= float(node.get(x)) <= width and 0 <= float(node.get(y)) <= height, node.attrib)
            bars = [float(node.get("x")) + float(node.get("width")) for node in root.iter("{http://www.w3.org/2000/svg}rect")]
            self.assertLessEqual(max(bars), width)
        bars = [node for node in xml.fromstring(plots.times(known)).iter("{http://www.w3.org/2000/svg}rect") if node.get("class") != "ground"]
        ours, restic, s5cmd = (float(node.get("width")) for node in bars[:3])
        self.assertTrue(ours < restic < s5cmd)

    def test_the_line_of_a_save_is_flat_where_the_cost_is(self):
        costs = [{"files": 10**size, "edited": 0.005, "new": 0.005} for size in (3, 6)]
        path = next(xml.fromstring(plots.saves(costs, 0.02)).iter("{http://www.w3.org/2000/svg}path")).get("d")
        (_, left), (_, right) = (point.split(" ") for point in path[1:].split(" L"))
        self.assertEqual(left, right)


class Documents(unittest.TestCase):
    def test_what_is_measured_is_replaced_and_prose_is_kept(self):
        text = f"prose\n\n{document.marked('times', 'old')}\n\nmore \\1 prose\n"
        new = document.filled(text, {"times": r"new \1 |"})
        self.assertEqual(new, text.replace("old", r"new \1 |"))
        self.assertEqual(document.filled(new, {"times": "old"}), text)
        with self.assertRaises(KeyError):
            document.filled(text, {"bytes": "new"})

    def test_a_part_of_the_lines_is_written_without_the_plots_of_the_others(self):
        only_many = [sample("many-first", tool, 2.0) for tool in ("cogzy-vault", "restic")]
        about = {"date": "today", "machine": "one", "load": 0.0, "server": "one", "command": "run", "rounds": 1, "versions": {}, "missing": {}}
        with tempfile.TemporaryDirectory() as folder:
            text = (pathlib.Path(__file__).resolve().parent.parent / "docs/BENCHMARKS.md").read_text()
            pathlib.Path(folder, "BENCHMARKS.md").write_text(text)
            report.write({"about": about, "errors": [], "samples": only_many, "saves": []}, folder)
            self.assertEqual([drawn.name for drawn in pathlib.Path(folder, "benchmarks").iterdir()], ["times.svg"])

    def test_the_project_s_document_has_a_place_for_all(self):
        text = (pathlib.Path(__file__).resolve().parent.parent / "docs/BENCHMARKS.md").read_text()
        document.filled(text, dict.fromkeys(report.BLOCKS, ""))


class Counting(unittest.TestCase):
    def test_requests_are_told_apart_however_they_are_split(self):
        sent = (b"PUT /bench/a HTTP/1.1\r\nContent-Length: 14\r\n\r\nGET / HTTP/1.1" b"GET /bench?list-type=2 HTTP/1.1\r\n\r\n"
                b"PUT /bench/b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\nX: y\r\n\r\n" b"GET /bench/a?x HTTP/1.1\r\n\r\n")
        for size in (1, 3, 7, len(sent)):
            seen = []
            framing = proxy.Framing(seen.append)
            passed = sum(sum(framing.feed(sent[at : at + size])) for at in range(0, len(sent), size))
            self.assertEqual((seen, passed), (["PUT", "LIST", "PUT", "GET"], len(sent)))

    def test_the_proxy_counts_and_delays(self):
        class Answer(socketserver.StreamRequestHandler):
            def handle(self):
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            through = proxy.Proxy()
            try:
                through.turn(server.server_address[1], 0.1)
                request = b"GET /bench/key HTTP/1.1\r\n\r\n"
                with tempfile.TemporaryDirectory() as place:
                    code = f"import socket; s = socket.create_connection(('127.0.0.1', {through.port})); s.sendall({request!r}); print(len(s.recv(99)))"
                    took = meter.measure([sys.executable, "-c", code], {}, pathlib.Path(place, "log"))
                self.assertEqual(through.turn(0, 0), {"GET": [1, len(request), 40]})
                # One round trip to connect, one for the answer.
                self.assertGreaterEqual(took.wall, 0.2)
            finally:
                through.stop()
                server.shutdown()

    def test_a_command_is_measured_from_outside(self):
        with tempfile.TemporaryDirectory() as place:
            log = pathlib.Path(place, "log")
            took = meter.measure([sys.executable, "-c", "b'x' * (64 << 20); sum(range(3_000_000))"], {}, log)
            self.assertGreater(took.peak, 64 << 20)
            self.assertGreater(took.cpu, 0)
            with self.assertRaisesRegex(meter.Failed, "ended with 3"):
                meter.measure([sys.executable, "-c", "raise SystemExit(3)"], {}, log)
            with self.assertRaisesRegex(meter.Failed, "ended with -9"):
                meter.measure([sys.executable, "-c", "import time; time.sleep(60)"], {}, log, patience=1)


class Vaults(unittest.TestCase):
    def test_a_vault_is_the_same_each_time_and_its_files_fit_together(self):
        made = vault.Vault(rows=40, dim=8, traces=3)
        one, two = made.again(), made.again()
        for change in ("append", "edit_one", "change_trace", "drop_front"):
            argument = {"append": [20], "drop_front": [10]}.get(change, [])
            files, same = getattr(one, change)(*argument), getattr(two, change)(*argument)
            self.assertEqual(*({path: b"".join(pieces) for path, pieces in which.items()} for which in (files, same)))
        array, corpus = b"".join(files["vectors/nodes.npy"]), json.loads(b"".join(files["corpus/nodes.json"]))
        self.assertEqual(len(corpus["nodes"]), 50)
        self.assertEqual(len(array), 128 + 50 * 8 * 4)
        self.assertEqual(array[128:], b"".join(files["indexes/faiss.index"])[-50 * 8 * 4 :])
        norm = sum(number * number for number in struct.unpack("<400f", array[128:])) / 50
        self.assertTrue(0.7 < norm < 1.3, norm)
        self.assertEqual(len(made.nodes), 40)

    def test_a_changed_trace_has_four_kilobytes(self):
        (path, pieces), = vault.Vault(rows=40, dim=8, traces=4).change_trace().items()
        self.assertEqual(len(b"".join(pieces)), 4096)
        json.loads(b"".join(pieces))


if __name__ == "__main__":
    unittest.main()
