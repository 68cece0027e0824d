"""What the end-to-end tests share: a real broker, the real command line, deadlines instead of sleeps."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

READY_SECONDS_MAX = 60
RUN_SECONDS_MAX = 90
STOP_SECONDS_MAX = 40
CATAMARAN = ""  # set by the test's main
CATAMARAND = ""


class Broker:
    """One catamarand on a directory of its own; a kill or stop can be followed by another start."""

    def __init__(self, *flags):
        self.flags = list(flags)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="catamaran-cli-test."))
        self.address = "127.0.0.1:0"
        self.process = None
        self.start()

    def start(self):
        ports = self.directory / "ports"
        ports.unlink(missing_ok=True)
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [CATAMARAND, "--data.directory=" + str(self.directory / "data"), "--node.id=1",
                 "--listen.client=" + self.address, "--listen.http=127.0.0.1:0", "--ports-file=" + str(ports),
                 *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ports.exists():
            try:
                self.process.wait(timeout=0.02)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            raise AssertionError("the broker didn't get ready:\n" + self.log())
        lines = dict(line.split("=", 1) for line in ports.read_text().splitlines())
        self.address = lines["client"]

    def log(self):
        return (self.directory / "log").read_text(errors="replace")[-4000:]

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS_MAX)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def environment(address):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CATAMARAN_")}
    return {**clean, "CATAMARAN_BROKERS": address, "NO_COLOR": "1"}


def run(address, *words, stdin=b"", seconds=RUN_SECONDS_MAX):
    """Runs the command line; stdout and stderr are bytes."""
    return subprocess.run([CATAMARAN, *words], input=stdin, capture_output=True, timeout=seconds, check=False,
                          env=environment(address))


def error_of(result):
    """The error object that JSON mode wrote."""
    return json.loads(result.stderr.decode().strip().splitlines()[-1])["error"]


def json_lines(data):
    return [json.loads(line) for line in data.decode().splitlines()]
