#!/usr/bin/env python3
"""Drives the real catamaran against a real catamarand.

  end_to_end_test.py --catamaran PATH --catamarand PATH [unittest arguments]
"""

import argparse
import base64
import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import harness


class WithBroker(unittest.TestCase):
    """One broker for the tests of a class; every test makes its own topics."""

    @classmethod
    def setUpClass(cls):
        cls.broker = harness.Broker()

    @classmethod
    def tearDownClass(cls):
        cls.broker.close()

    def run_cli(self, *words, stdin=b"", code=0):
        result = harness.run(self.broker.address, *words, stdin=stdin)
        self.assertEqual(result.returncode, code, f"{words}: {result.stderr.decode()}")
        return result

    def topic(self, name, partitions=1):
        self.run_cli("topic", "create", name, "--partitions", str(partitions))
        return name

    def consume(self, topic, *words):
        return self.run_cli("consume", topic, "--offset", "start:end", *words).stdout


class TopicTest(WithBroker):

    def test_life_of_a_topic(self):
        created = self.run_cli("topic", "create", "life", "-p", "2", "-c", "retention.ms=3600000")
        self.assertIn(b"Created topic life: 2 partitions, replication factor 1.", created.stdout)
        self.assertIn(b"Next: ", created.stderr)
        self.assertIn(b"TOPIC_EXISTS", self.run_cli("topic", "create", "life", "-o", "json", code=4).stderr)
        again = self.run_cli("topic", "create", "life", "--if-not-exists", "-o", "json")
        self.assertEqual(json.loads(again.stdout)["topics"][0]["outcome"], "exists")

        described = json.loads(self.run_cli("topic", "describe", "life", "-o", "json").stdout)["topics"][0]
        self.assertEqual(described["name"], "life")
        self.assertEqual(len(described["topic_id"]), 36)
        self.assertEqual([p["partition"] for p in described["partitions"]], [0, 1])
        self.assertEqual(described["partitions"][0]["high_watermark"], 0)
        configs = {config["name"]: config for config in described["configs"]}
        self.assertEqual(configs["retention.ms"], {"name": "retention.ms", "value": "3600000", "origin": "topic"})

        dry = self.run_cli("topic", "alter", "life", "--set", "retention.ms=5000", "--dry-run")
        self.assertIn(b"Would change topic life: retention.ms=5000.", dry.stdout)
        self.run_cli("topic", "alter", "life", "--set", "retention.ms=7200000",
                     "--expected-version", str(described["version"]))
        conflict = self.run_cli("topic", "alter", "life", "--unset", "retention.ms", "--expected-version",
                                str(described["version"]), "-o", "json", code=4)
        self.assertEqual(harness.error_of(conflict)["reason"], "VERSION_MISMATCH")
        table = self.run_cli("topic", "describe", "life").stdout.decode()
        self.assertRegex(table, r"retention\.ms +7200000 +topic")

        self.run_cli("topic", "add-partitions", "life", "-p", "4", "--dry-run")
        self.run_cli("topic", "add-partitions", "life", "-p", "3")
        listed = json.loads(self.run_cli("topic", "list", "-o", "json").stdout)["topics"]
        self.assertEqual({t["name"]: len(t["partitions"]) for t in listed}["life"], 3)
        self.assertIn(b"life\n", self.run_cli("topic", "list", "-o", "name").stdout)
        self.assertIn(b"name: life\n", self.run_cli("topic", "list", "-o", "yaml").stdout)

        refused = self.run_cli("topic", "delete", "life", "-o", "json", code=2)
        self.assertEqual(harness.error_of(refused)["reason"], "CONFIRMATION_NEEDED")
        self.run_cli("topic", "delete", "life", "--dry-run")
        self.run_cli("topic", "delete", "life", "--yes")
        self.run_cli("topic", "describe", "life", code=3)
        self.run_cli("topic", "delete", "life", "--yes", code=3)
        self.run_cli("topic", "delete", "life", "--yes", "--if-exists")

    def test_dry_run_creates_nothing(self):
        self.run_cli("topic", "create", "ghost", "--dry-run")
        self.run_cli("topic", "describe", "ghost", code=3)
        self.run_cli("topic", "create", "ghost/slash", "--dry-run", code=2)

    def test_some_of_several_fail(self):
        self.topic("one")
        created = self.run_cli("topic", "create", "one", "two", "-o", "json", code=8)
        outcomes = {t["name"]: t["outcome"] for t in json.loads(created.stdout)["topics"]}
        self.assertEqual(outcomes, {"one": "failed", "two": "created"})
        self.assertEqual(harness.error_of(created)["reason"], "TOPIC_EXISTS")
        self.run_cli("topic", "delete", "one", "absent", "--yes", code=8)
        self.run_cli("topic", "delete", "absent1", "absent2", "--yes", code=3)

    def test_delete_records(self):
        self.topic("trim")
        self.run_cli("produce", "trim", stdin=b"a\nb\nc\nd\n")
        self.run_cli("topic", "delete-records", "trim", "-p", "0", "--before", "2", code=2)
        dry = self.run_cli("topic", "delete-records", "trim", "-p", "0", "--before", "2", "--dry-run")
        self.assertIn(b"Would delete 2 records of trim partition 0: offsets 0 to 1.", dry.stdout)
        self.assertEqual(self.consume("trim"), b"a\nb\nc\nd\n")
        self.run_cli("topic", "delete-records", "trim", "-p", "0", "--before", "2", "--yes")
        self.assertEqual(self.consume("trim"), b"c\nd\n")
        self.run_cli("topic", "delete-records", "trim", "-p", "0", "--before", "99", "--yes", code=4)
        self.run_cli("topic", "delete-records", "trim", "-p", "7", "--before", "2", "--yes", code=3)
        self.run_cli("consume", "trim", "--offset", "0:end", code=4)

    def test_a_person_is_asked(self):
        for answer, code in ((b"n\n", 1), (b"y\n", 0)):
            self.run_cli("topic", "create", "asked", "--if-not-exists")
            parent, child = pty.openpty()
            process = subprocess.Popen([harness.CATAMARAN, "topic", "delete", "asked"], stdin=child, stderr=child,
                                       stdout=subprocess.DEVNULL, env=harness.environment(self.broker.address))
            os.close(child)
            text = b""
            while b"[y/N]" not in text:
                text += os.read(parent, 1024)
            self.assertIn(b"Delete for ever: asked (1 partition, 0 records)?", text)
            os.write(parent, answer)
            self.assertEqual(process.wait(timeout=harness.RUN_SECONDS_MAX), code)
            os.close(parent)


class RecordTest(WithBroker):

    def test_a_file_comes_back_byte_for_byte(self):
        self.topic("file")
        chance = random.Random(7)
        content = b"".join(bytes(chance.choices(b"\n\r\0\xff\xc3abc", k=chance.randrange(40))) + b"\n"
                           for _ in range(2000))
        content += b"\n\nno newline at the end"
        stored = self.run_cli("produce", "file", "--keep-delimiter", "-o", "json", stdin=content)
        self.assertEqual(json.loads(stored.stdout)["bytes"], len(content))
        self.assertEqual(self.consume("file", "-f", "%v"), content)

    def test_lines_and_keys(self):
        self.topic("lines", partitions=3)
        self.run_cli("produce", "lines", "--key-separator", ":", stdin=b"a:1\nb:2\na:3\n:4\n")
        lines = sorted(self.consume("lines", "-f", "%k=%v\\n").splitlines())
        self.assertEqual(lines, [b"=4", b"a=1", b"a=3", b"b=2"])
        a_records = [r for r in harness.json_lines(self.consume("lines", "-o", "json")) if r["key"] == "a"]
        self.assertEqual([r["value"] for r in a_records], ["1", "3"])
        self.assertEqual(len({r["partition"] for r in a_records}), 1)
        bad = self.run_cli("produce", "lines", "--key-separator", ":", "-o", "json", stdin=b"x:1\nbad\n", code=8)
        self.assertEqual(harness.error_of(bad)["reason"], "INVALID_RECORD")
        self.assertEqual(json.loads(bad.stdout)["records"], 1)

    def test_binary_keys_values_headers_through_templates(self):
        self.topic("binary")
        key, value, header = bytes(range(256)), bytes(reversed(range(256))) * 3, b"\x00\xff,=\n"
        line = json.dumps([{"key": "h", "value_base64": base64.b64encode(header).decode()}])
        text = f"{key.hex()}|{base64.b64encode(value).decode()}|{line}\n".encode()
        template = "%k{hex}|%v{base64}|%h{json}\\n"
        self.run_cli("produce", "binary", "-f", template, stdin=text)
        back = self.consume("binary", "-f", template).decode().rstrip("\n").split("|")
        self.assertEqual(bytes.fromhex(back[0]), key)
        self.assertEqual(base64.b64decode(back[1]), value)
        self.assertEqual(base64.b64decode(json.loads(back[2])[0]["value_base64"]), header)

    def test_json_lines_copy_a_topic(self):
        self.topic("from", partitions=2)
        self.topic("to", partitions=2)
        chance = random.Random(11)
        records = []
        for i in range(200):
            records.append({"key_base64": base64.b64encode(chance.randbytes(8)).decode(), "timestamp_ms": 1000 + i,
                            "value": None if i % 7 == 0 else f"v{i} \u00e9\u0000",
                            "headers": [{"key": "n", "value": str(i)}, {"key": "none", "value": None}]})
        self.run_cli("produce", "from", "--json", stdin="\n".join(map(json.dumps, records)).encode())
        first = self.consume("from", "-o", "json")
        self.run_cli("produce", "to", "--json", stdin=first)
        second = self.consume("to", "-o", "json")

        def essence(data):
            return sorted(json.dumps({**record, "topic": ""}, sort_keys=True) for record in harness.json_lines(data))
        self.assertEqual(essence(first), essence(second))
        self.assertEqual(len(essence(first)), 200)

    def test_single_records(self):
        self.topic("single")
        data = random.Random(3).randbytes(700_000)
        path = self.broker.directory / "value"
        path.write_bytes(data)
        self.run_cli("produce", "single", "-k", "photo", "--value-file", str(path), "-H", "type=image", "-H", "none")
        self.run_cli("produce", "single", "--value", "")
        self.run_cli("produce", "single", "-k", "photo", "--tombstone")
        self.run_cli("produce", "single", "--value-file", "-", stdin=b"in\nput")
        self.assertEqual(self.run_cli("consume", "single", "--num", "1", "-f", "%v").stdout, data)
        rest = harness.json_lines(self.run_cli("consume", "single", "--offset", "1:end", "-o", "json").stdout)
        self.assertEqual([(r["key"], r["value"]) for r in rest], [(None, ""), ("photo", None), (None, "in\nput")])
        head = self.run_cli("consume", "single", "--num", "1", "-f", "%k %h").stdout
        self.assertEqual(head, b"photo type=image,none")
        for unreadable in ("/nowhere/at/all", "/tmp"):
            refused = self.run_cli("produce", "single", "--value-file", unreadable, "-o", "json", code=2)
            self.assertEqual(harness.error_of(refused)["reason"], "FILE_NOT_READABLE")

    def test_offsets(self):
        self.topic("offsets")
        for second in range(10):
            line = json.dumps({"value": str(second), "timestamp_ms": second * 1000})
            self.run_cli("produce", "offsets", "--json", stdin=line.encode())

        def read(offset, *words):
            return self.run_cli("consume", "offsets", "--offset", offset, *words).stdout.decode().split()
        self.assertEqual(read("start:end"), [str(n) for n in range(10)])
        self.assertEqual(read("-3:end"), ["7", "8", "9"])
        self.assertEqual(read("2:5"), ["2", "3", "4"])
        self.assertEqual(read(":3"), ["0", "1", "2"])
        self.assertEqual(read("@7500:end"), ["8", "9"])
        self.assertEqual(read("@2000:@4000"), ["2", "3"])
        self.assertEqual(read("@1970-01-01T00:00:09Z:end"), ["9"])
        self.assertEqual(read("end:end"), [])
        self.assertEqual(read("-100", "-n", "2"), ["0", "1"])
        self.run_cli("consume", "offsets", "--offset", "50:60", code=4)
        backwards = self.run_cli("consume", "offsets", "--offset", "5:2", code=2)
        self.assertIn(b"whose end isn't before its start", backwards.stderr)
        self.run_cli("consume", "offsets", "--offset", "end:start", code=2)
        self.assertEqual(read("5:5"), [])
        empty = self.run_cli("consume", "offsets", "--offset", "-2:3")
        self.assertEqual(empty.stdout, b"")
        self.assertIn(b"starts at offset 8 and ends at 3", empty.stderr)
        self.run_cli("consume", "offsets", "-p", "3", code=3)
        self.run_cli("consume", "nothing-here", code=3)
        self.run_cli("produce", "nothing-here", stdin=b"x\n", code=3)

    def test_bad_input_is_the_callers_mistake(self):
        self.topic("bad-input")
        for words, text, line in ((["--json"], b"\n{\"value\":7}\n", "2"), (["--json"], b"{\n", "1"),
                                  (["--json"], b'{"partition":-1}\n', "1"), (["-f", "%k|%v\\n"], b"none\n", "1"),
                                  (["--key-separator", ":"], b"none\n", "1")):
            error = harness.error_of(self.run_cli("produce", "bad-input", *words, "-o", "json", stdin=text, code=2))
            self.assertEqual((error["reason"], error["metadata"]["line_number"]), ("INVALID_RECORD", line), words)
        self.assertEqual(self.consume("bad-input"), b"")

    def test_a_large_compressed_record(self):
        self.topic("large")
        data = b"large " * 6_000_000
        path = self.broker.directory / "large"
        path.write_bytes(data)
        self.run_cli("produce", "large", "--value-file", str(path), "--compression", "zstd")
        self.assertEqual(self.run_cli("consume", "large", "--num", "1", "-f", "%v").stdout, data)

    def test_every_codec_and_acknowledgement(self):
        self.topic("codecs")
        expected = b""
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            line = codec.encode() * 300 + b"\n"
            self.run_cli("produce", "codecs", "--compression", codec, stdin=line)
            expected += line
        for words in (["--acks", "leader"], ["--durability", "sync"]):
            self.run_cli("produce", "codecs", *words, stdin=b"x\n")
            expected += b"x\n"
        self.assertEqual(self.consume("codecs"), expected)
        self.run_cli("produce", "codecs", "--acks", "none", stdin=b"perhaps\n")

    def test_receipts(self):
        self.topic("receipts")
        lines = self.run_cli("produce", "receipts", "--receipts", stdin=b"a\nb\n").stdout
        self.assertEqual(lines, b"1 0 0\n2 0 1\n")
        receipts = harness.json_lines(self.run_cli("produce", "receipts", "--receipts", "-o", "json",
                                                   stdin=b"c\n").stdout)
        self.assertEqual((receipts[0]["record"], receipts[0]["offset"]), (1, 2))

    def test_following_until_interrupted(self):
        self.topic("follow")
        process = subprocess.Popen([harness.CATAMARAN, "consume", "follow", "-o", "json"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=harness.environment(self.broker.address))
        try:
            self.assertIn(b"Ctrl-C stops", process.stderr.readline())
            for text in ("one", "two"):
                self.run_cli("produce", "follow", stdin=text.encode())
                self.assertEqual(json.loads(process.stdout.readline())["value"], text)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=harness.RUN_SECONDS_MAX), 130)
        finally:
            process.kill()
            process.communicate()

    def test_interrupted_produce_has_stored_what_it_read(self):
        self.topic("interrupted")
        process = subprocess.Popen([harness.CATAMARAN, "produce", "interrupted", "--receipts"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=harness.environment(self.broker.address))
        try:
            process.stdin.write(b"kept\n")
            process.stdin.flush()
            self.assertEqual(process.stdout.readline(), b"1 0 0\n")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=harness.RUN_SECONDS_MAX), 130)
        finally:
            process.kill()
            process.communicate()
        self.assertEqual(self.consume("interrupted"), b"kept\n")

    def test_a_closed_pipe_is_silent(self):
        self.topic("pipe")
        self.run_cli("produce", "pipe", stdin=b"x" * 100 + b"\n" + b"y" * 1000 + b"\n")
        process = subprocess.Popen([harness.CATAMARAN, "-q", "consume", "pipe"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=harness.environment(self.broker.address))
        process.stdout.readline()
        process.stdout.close()
        self.run_cli("produce", "pipe", stdin=b"z\n")
        self.assertEqual(process.wait(timeout=harness.RUN_SECONDS_MAX), 0)
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()


class OtherTest(WithBroker):

    def test_cluster_info(self):
        info = json.loads(self.run_cli("cluster", "info", "-o", "json").stdout)
        self.assertEqual(len(info["cluster_id"]), 36)
        self.assertEqual([b["broker_id"] for b in info["brokers"]], [1])
        self.assertEqual(info["brokers"][0]["state"], "running")
        self.assertIn("ADDRESS", self.run_cli("cluster", "info").stdout.decode())
        self.assertEqual(self.run_cli("cluster", "info", "-o", "name").stdout, b"1\n")

    def test_bench(self):
        self.topic("speed", partitions=2)
        stored = json.loads(self.run_cli("bench", "produce", "speed", "-n", "2000", "-s", "100", "-o", "json").stdout)
        self.assertEqual((stored["records"], stored["bytes"]), (2000, 200_000))
        paced = json.loads(self.run_cli("bench", "produce", "speed", "-n", "200", "--rate", "1000", "--keys", "5",
                                        "-o", "json").stdout)
        self.assertGreaterEqual(paced["seconds"], 0.19)
        self.assertLessEqual(paced["latency_ms"]["p50"], paced["latency_ms"]["max"])
        read = json.loads(self.run_cli("bench", "consume", "speed", "-o", "json").stdout)
        self.assertEqual(read["records"], 2200)
        self.run_cli("bench", "produce", "not-there", code=3)

    def test_completion(self):
        self.topic("completed-topic")
        self.assertEqual(self.run_cli("__complete", "consume", "compl").stdout, b"completed-topic\n")
        self.assertEqual(self.run_cli("__complete", "topic", "al").stdout, b"alter\n")
        for shell in ("bash", "zsh", "fish"):
            self.assertIn(b"__complete", self.run_cli("completion", shell, "-o", "json").stdout)
        script = self.run_cli("completion", "bash").stdout
        subprocess.run(["bash", "-n"], input=script, check=True)
        asked = subprocess.run(
            ["bash", "-c", script.decode() + f"""
             COMP_WORDS=({harness.CATAMARAN} consume compl) COMP_CWORD=2; _catamaran; echo "${{COMPREPLY[@]}}" """],
            capture_output=True, check=True, env=harness.environment(self.broker.address))
        self.assertEqual(asked.stdout, b"completed-topic\n")

    def test_version(self):
        self.assertRegex(self.run_cli("version").stdout.decode(), r"^catamaran \d+\.\d+\.\d+\n$")


class FullDiskTest(unittest.TestCase):
    """A broker whose reserve is more than the disk has free."""

    def test_produce_says_unavailable_and_why(self):
        broker = harness.Broker("--storage.free_bytes_reserve=1024GiB")
        self.addCleanup(broker.close)
        self.assertEqual(harness.run(broker.address, "topic", "create", "full").returncode, 0)
        result = harness.run(broker.address, "produce", "full", "--timeout", "1s", "-o", "json", stdin=b"x\n")
        error = harness.error_of(result)
        self.assertEqual((result.returncode, error["reason"]), (6, "STORAGE_FULL"), result.stderr)
        self.assertIn("Free space", error["hint"])
        # Reading goes on.
        self.assertEqual(harness.run(broker.address, "consume", "full", "--offset", "start:end").returncode, 0)


class NoBrokerTest(unittest.TestCase):
    """Port 1 is nobody's."""

    def test_the_address_is_named(self):
        result = harness.run("127.0.0.1:1", "topic", "list", "-o", "json", seconds=10)
        self.assertEqual(result.returncode, 6)
        error = harness.error_of(result)
        self.assertEqual((error["code"], error["reason"]), ("UNAVAILABLE", "CONNECT_FAILED"))
        self.assertIn("127.0.0.1:1 (Connection refused)", error["message"])
        self.assertIn("CATAMARAN_BROKERS", error["hint"])

    def test_every_command_says_so(self):
        for words in (["cluster", "info"], ["produce", "t"], ["consume", "t"], ["topic", "create", "t"],
                      ["bench", "produce", "t"], ["bench", "consume", "t"]):
            self.assertEqual(harness.run("127.0.0.1:1", *words, seconds=10).returncode, 6, words)

    def test_completion_is_silent(self):
        started = time.monotonic()
        result = harness.run("127.0.0.1:1", "__complete", "consume", "")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, b"", b""))
        self.assertLess(time.monotonic() - started, 5)

    def test_usage(self):
        for words in (["tpoic"], ["topic", "create"], ["produce", "t", "--acks", "x"], []):
            self.assertEqual(harness.run("127.0.0.1:1", *words).returncode, 2, words)
        self.assertEqual(harness.run("127.0.0.1:1", "--help").returncode, 0)


class KillTest(unittest.TestCase):
    """A broker that dies by kill -9 during a produce run loses nothing that was acknowledged."""

    RECEIPTS_BEFORE = 2000
    RECEIPTS_AFTER = 2000
    UNACKNOWLEDGED_MAX = 3000  # more would only wait in the producer's buffer

    def setUp(self):
        self.broker = harness.Broker()
        self.addCleanup(self.broker.close)

    @staticmethod
    def feed(pipe, stop, room):
        number = 0
        try:
            while room.acquire() and not stop.is_set():
                number += 1
                pipe.write(b"record %d\n" % number)
            pipe.close()
        except BrokenPipeError:
            pass

    def test_acknowledged_records_survive(self):
        address = self.broker.address
        self.assertEqual(harness.run(address, "topic", "create", "kill", "-p", "2").returncode, 0)
        process = subprocess.Popen(
            [harness.CATAMARAN, "produce", "kill", "--receipts", "--batch-bytes", "1k", "--timeout", "60s", "-q"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=harness.environment(address))
        stop = threading.Event()
        room = threading.Semaphore(self.UNACKNOWLEDGED_MAX)
        feeder = threading.Thread(target=self.feed, args=(process.stdin, stop, room))

        def receipt():
            line = process.stdout.readline()
            room.release()
            return line
        watchdog = threading.Timer(harness.RUN_SECONDS_MAX, process.kill)
        watchdog.start()
        feeder.start()
        receipts = [receipt() for _ in range(self.RECEIPTS_BEFORE)]
        self.broker.kill()
        self.broker.start()
        self.assertEqual(self.broker.address, address)
        receipts += [receipt() for _ in range(self.RECEIPTS_AFTER)]
        stop.set()
        room.release()
        receipts += process.stdout.readlines()  # communicate() would pass over what readline() has buffered
        errors = process.stderr.read()
        process.wait(timeout=harness.RUN_SECONDS_MAX)
        feeder.join()
        watchdog.cancel()
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(process.returncode, 0, errors)

        read = harness.run(address, "consume", "kill", "--offset", "start:end", "-f", "%p %o %v\\n")
        self.assertEqual(read.returncode, 0, read.stderr)
        stored = {}
        for line in read.stdout.splitlines():
            partition, offset, value = line.split(b" ", 2)
            stored[(int(partition), int(offset))] = value
        for line in receipts:
            number, partition, offset = map(int, line.split())
            self.assertEqual(stored.get((partition, offset)), b"record %d" % number)
        # Retries made no duplicates: as many records as receipts, each value once.
        self.assertEqual(len(stored), len(receipts))
        self.assertEqual(len(set(stored.values())), len(receipts))
        for partition in (0, 1):
            numbers = [int(stored[place].split()[1]) for place in sorted(stored) if place[0] == partition]
            self.assertEqual(numbers, sorted(numbers))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catamaran", required=True)
    parser.add_argument("--catamarand", required=True)
    options, rest = parser.parse_known_args()
    harness.CATAMARAN, harness.CATAMARAND = options.catamaran, options.catamarand
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
