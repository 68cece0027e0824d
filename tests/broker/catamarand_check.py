#!/usr/bin/env python3
"""The broker as a process: start, probes, metrics, exit codes, stop.

  catamarand_check.py PATH_OF_CATAMARAND

Prints how long the start took and how much memory the idle broker holds.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

CATAMARAND = None
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 40
IDLE_MIB_MAX = 40
POLL_SECONDS = 0.005


class Broker:
    """A broker on free ports; `data` is its directory."""

    def __init__(self, data, *flags):
        self.ports_file = pathlib.Path(str(data) + ".ports")
        self.ports_file.unlink(missing_ok=True)
        began = time.monotonic()
        self.process = subprocess.Popen(
            [CATAMARAND, f"--data={data}", "--listen=127.0.0.1:0", "--http=127.0.0.1:0",
             f"--ports-file={self.ports_file}", *flags],
            stderr=subprocess.PIPE, text=True)
        deadline = began + START_SECONDS_MAX
        while not self.ports_file.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.process.stderr.read()}")
            if time.monotonic() > deadline:
                raise AssertionError("not ready in time")
            time.sleep(POLL_SECONDS)
        self.start_seconds = time.monotonic() - began
        self.ports = dict(line.split("=", 1) for line in self.ports_file.read_text().splitlines())

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.ports['http']}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def resident_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        _, text = self.process.communicate(timeout=STOP_SECONDS_MAX)
        return self.process.returncode, text


def sanitized():
    """Whether the broker is built with a sanitizer, whose shadow memory no limit of ours counts."""
    return "ASAN_OPTIONS" in os.environ


def run(*flags, env=None):
    return subprocess.run([CATAMARAND, *flags], capture_output=True, text=True, timeout=START_SECONDS_MAX,
                          env={**os.environ, **(env or {})}, check=False)


class CatamarandTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="catamarand-check."))
        self.data = self.folder / "data"
        self.brokers = []

    def tearDown(self):
        for broker in self.brokers:
            if broker.process.poll() is None:
                broker.process.kill()
                broker.process.communicate()
        shutil.rmtree(self.folder)

    def start(self, *flags, data=None):
        broker = Broker(data or self.data, *flags)
        self.brokers.append(broker)
        return broker

    def test_start_serve_stop_restart(self):
        broker = self.start()
        self.assertEqual(broker.get("/livez"), (200, "[+] event_loops\nok\n"))
        self.assertEqual(broker.get("/startupz")[0], 200)
        status, body = broker.get("/readyz")
        self.assertEqual(status, 200, body)
        self.assertIn("[+] metadata: loaded", body)
        resident = broker.resident_mib()
        print(f"ready after {broker.start_seconds * 1000:.0f} ms on an empty directory, "
              f"{resident:.1f} MiB resident", file=sys.stderr)
        if not sanitized():
            self.assertLess(resident, IDLE_MIB_MAX)
        code, text = broker.stop()
        self.assertEqual(code, 0, text)
        self.assertIn("broker_stopped: Stopped cleanly.", text)
        again = self.start("--log-format=json")
        code, text = again.stop(signal.SIGINT)
        self.assertEqual(code, 0, text)
        for line in text.splitlines():
            self.assertIn("event", json.loads(line))

    def test_metrics_are_clean(self):
        broker = self.start()
        status, body = broker.get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("catamaran_metadata_healthy 1", body)
        self.assertIn("catamaran_build_info{version=", body)
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool isn't installed")
        checked = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, text=True,
                                 timeout=60, check=False)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_a_killed_broker_starts_again(self):
        broker = self.start()
        broker.process.kill()
        broker.process.communicate()
        self.assertEqual(self.start().stop()[0], 0)

    def test_a_directory_belongs_to_one_process_and_one_node(self):
        broker = self.start()
        second = run(f"--data={self.data}", "--listen=127.0.0.1:0", "--http=127.0.0.1:0")
        self.assertEqual(second.returncode, 4, second.stderr)
        self.assertIn("DIRECTORY_IN_USE", second.stderr)
        broker.stop()
        other = run(f"--data={self.data}", "--node-id=2", "--listen=127.0.0.1:0", "--http=127.0.0.1:0")
        self.assertEqual(other.returncode, 4, other.stderr)
        self.assertIn("DIRECTORY_MISMATCH", other.stderr)

    def test_lost_metadata_is_told(self):
        self.start().stop()
        (self.data / "t-0").mkdir()
        (self.data / "t-0" / "topic-id").write_bytes(b"of a partition")
        shutil.rmtree(self.data / "metadata")
        result = run(f"--data={self.data}", "--listen=127.0.0.1:0", "--http=127.0.0.1:0")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("'t-0'", result.stderr)
        self.assertIn("'metadata' was lost", result.stderr)

    def test_a_taken_port_is_told(self):
        broker = self.start()
        for flag, name in (("--listen", "client"), ("--http", "http")):
            other = {"--listen": "--http", "--http": "--listen"}[flag]
            second = run(f"--data={self.folder / name}", f"{flag}={broker.ports[name]}", f"{other}=127.0.0.1:0")
            self.assertEqual(second.returncode, 4, second.stderr)
            self.assertIn(broker.ports[name].split(":")[1], second.stderr)

    def test_configuration_errors(self):
        wrong = run("--limits.request_byte=1")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("limits.request_bytes", wrong.stderr)
        wrong = run("--check-config", env={"CATAMARAN_LOG_LEVEL": "loud"})
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("CATAMARAN_LOG_LEVEL", wrong.stderr)
        self.assertEqual(run("--config=/nowhere").returncode, 2)
        self.assertEqual(run("serve").returncode, 2)
        self.assertEqual(run("--node.id").returncode, 2)

    def test_texts(self):
        self.assertIn("--ports-file", run("--help").stdout)
        self.assertRegex(run("--version").stdout, r"^catamarand \d+\.\d+\.\d+\n$")
        printed = run("--print-config", "--limits.calls=9", env={"CATAMARAN_NODE_RACK": "r"})
        self.assertEqual(printed.returncode, 0)
        self.assertIn("calls = 9  # flag --limits.calls", printed.stdout)
        self.assertIn('rack = "r"  # environment CATAMARAN_NODE_RACK', printed.stdout)
        self.assertEqual(run("--check-config").stdout, "The configuration is valid.\n")


if __name__ == "__main__":
    CATAMARAND = sys.argv.pop(1)
    unittest.main()
