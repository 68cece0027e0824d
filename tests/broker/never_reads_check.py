#!/usr/bin/env python3
"""Clients that ask for much and never read an answer: the broker's memory stays bounded and others are served.

  never_reads_check.py PATH_OF_CATAMARAND PATH_OF_CATAMARAN

Speaks HTTP/2 by hand, since a gRPC library always reads.
"""

import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import catamarand_check  # pylint: disable=wrong-import-position

CATAMARAN = None
RECORDS_BYTES = 16 << 20
LINE_BYTES = 4000
RECORDS_MAX = 10000
CONNECTIONS = 3
CALLS = 200
FETCH_BYTES = 15 << 20
INFLIGHT_MIB = 64
# What the limit doesn't count: reads under way, gRPC's own buffers, the allocator.
SLACK_MIB = 256
WATCH_SECONDS = 5
POLL_SECONDS = 0.05

WINDOW_MAX = 0x7FFFFFFF
WINDOW_DEFAULT = 65535
DATA, HEADERS, SETTINGS, WINDOW_UPDATE = 0, 1, 4, 8
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    """A literal header without indexing (RFC 7541, 6.2.2); both under 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def fetch_request(topic):
    """catamaran.v1.FetchRequest: topic = 1, offset = 4, max_records = 5, max_bytes = 6."""
    return (b"\x0a" + varint(len(topic)) + topic.encode() + b"\x20\x00" + b"\x28" + varint(RECORDS_MAX) +
            b"\x30" + varint(FETCH_BYTES))


class SilentClient:
    """Sends calls on one connection, opens the windows wide and never reads."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=10)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
            frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW_MAX)) +
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW_MAX - WINDOW_DEFAULT)))

    def call(self, number, path, message):
        stream = 2 * number + 1
        headers = b"".join(header(*pair) for pair in (
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"),
            ("content-type", "application/grpc"), ("te", "trailers")))
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, headers) +
                            frame(DATA, END_STREAM, stream, b"\0" + struct.pack(">I", len(message)) + message))


class NeverReadsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="catamaran-never-reads."))
        self.broker = catamarand_check.Broker(self.folder / "data", f"--limits.inflight_bytes={INFLIGHT_MIB}MiB")
        self.address = self.broker.ports["client"]

    def tearDown(self):
        self.broker.process.kill()
        self.broker.process.communicate()
        shutil.rmtree(self.folder)

    def cli(self, *words, stdin=None):
        return subprocess.run([CATAMARAN, "-b", self.address, *words], input=stdin, capture_output=True,
                              timeout=60, check=True).stdout

    def test_memory_stays_bounded(self):
        self.cli("topic", "create", "much")
        line = b"x" * (LINE_BYTES - 1) + b"\n"
        self.cli("produce", "much", stdin=line * (RECORDS_BYTES // LINE_BYTES))
        before = self.broker.resident_mib()
        clients = [SilentClient(self.address) for _ in range(CONNECTIONS)]
        for number in range(CALLS):
            for client in clients:
                client.call(number, "/catamaran.v1.ConsumerService/Fetch", fetch_request("much"))
        most = before
        end = time.monotonic() + WATCH_SECONDS
        while time.monotonic() < end:
            most = max(most, self.broker.resident_mib())
            time.sleep(POLL_SECONDS)
        print(f"{before:.0f} MiB resident before, {most:.0f} at most under {CONNECTIONS * CALLS} answers of "
              f"{FETCH_BYTES >> 20} MiB that nobody reads", file=sys.stderr)
        if not catamarand_check.sanitized():
            self.assertLess(most, before + INFLIGHT_MIB + SLACK_MIB)
        _, text = self.broker.get("/metrics")
        refused = [row for row in text.splitlines() if row.startswith("catamaran_rpc_refused_overload_total")]
        self.assertGreater(float(refused[0].split()[-1]), 0, "nothing was refused: was anything asked?")
        # Somebody else gets what small answers need.
        self.assertIn(b"much", self.cli("topic", "list", "-o", "name"))
        for client in clients:
            client.socket.close()


if __name__ == "__main__":
    catamarand_check.CATAMARAND = str(pathlib.Path(sys.argv[1]).resolve())
    CATAMARAN = str(pathlib.Path(sys.argv[2]).resolve())
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
