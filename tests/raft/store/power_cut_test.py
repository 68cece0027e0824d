#!/usr/bin/env python3
"""Power cuts on a real file system: an image is mounted through a loop device, a writer's store lies in it, and
while it writes the image's backing file is copied. The copy is what a disk would hold had the power failed
then: the kernel's dirty pages of the mounted file system aren't in it. It's mounted, and the store in it must hold
every write that had been acknowledged before the copy began, and nothing that wasn't written.

  power_cut_test.py WRITER [--rounds N]

Needs root and loop devices. Where a machine can't mount, this says so and exits with 77 (skipped).
The writer is stopped by SIGSTOP while the file is copied, because a copy takes a moment and a power cut doesn't.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SKIPPED = 77
IMAGE_BYTES = 96 << 20
WRITES_BEFORE_CUT_MAX = 150
ACKNOWLEDGEMENT_SECONDS_MAX = 60


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def skip(why):
    print("*" * 78)
    print(f"*** SKIPPED: no power cut was tested, because {why}")
    print("*" * 78)
    sys.exit(SKIPPED)


class Mounted:
    """An image under a directory while the block runs."""

    def __init__(self, image, directory):
        self.image, self.directory = image, directory

    def __enter__(self):
        self.directory.mkdir(exist_ok=True)
        done = run("mount", "-t", "ext4", "-o", "loop", str(self.image), str(self.directory))
        if done.returncode != 0:
            raise OSError(done.stdout)
        return self.directory

    def __exit__(self, *_):
        deadline = time.monotonic() + 20
        while run("umount", str(self.directory)).returncode != 0 and time.monotonic() < deadline:
            os.sync()


class Writer:
    """The writing process, and the last write that it has acknowledged."""

    def __init__(self, program, directory):
        self.process = subprocess.Popen([program, "write", str(directory)], stdout=subprocess.PIPE, text=True)
        self.acknowledged = 0
        self.failure = None
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                if line.strip().isdigit():
                    self.acknowledged = int(line)
                else:
                    self.failure = line
                self.changed.notify_all()
        with self.changed:
            self.failure = self.failure or "the writer has ended"
            self.changed.notify_all()

    def wait_for(self, index):
        with self.changed:
            self.changed.wait_for(lambda: self.acknowledged >= index or self.failure, ACKNOWLEDGEMENT_SECONDS_MAX)
            if self.failure or self.acknowledged < index:
                raise OSError(self.failure or "the writer hangs")
            return self.acknowledged

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


def wait_until_stopped(pid):
    """The signal is taken when the system call in progress, a sync above all, has ended."""
    deadline = time.monotonic() + ACKNOWLEDGEMENT_SECONDS_MAX
    tasks = pathlib.Path(f"/proc/{pid}/task")
    while time.monotonic() < deadline:
        states = [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in tasks.iterdir()]
        if all(state == "T" for state in states):
            return
        os.sched_yield()
    raise OSError("the writer doesn't stop")


def cut(writer, chance, image, copy):
    """Copies the image in the middle of writing; returns what was acknowledged before."""
    acknowledged = writer.wait_for(writer.acknowledged + chance.randrange(1, WRITES_BEFORE_CUT_MAX))
    if chance.randrange(2):
        # Between two system calls somewhere.
        for _ in range(chance.randrange(2000)):
            os.sched_yield()
    writer.process.send_signal(signal.SIGSTOP)
    wait_until_stopped(writer.process.pid)
    shutil.copyfile(image, copy)
    writer.process.send_signal(signal.SIGCONT)
    return acknowledged


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("writer")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip("only root may mount")
    if shutil.which("mkfs.ext4") is None:
        skip("there's no mkfs.ext4")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="catamaran-power-cut-") as root:
        root = pathlib.Path(root)
        image, copy = root / "image", root / "copy"
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        made = run("mkfs.ext4", "-q", "-F", str(image))
        if made.returncode != 0:
            skip(f"mkfs.ext4 failed: {made.stdout}")
        try:
            with Mounted(image, root / "mounted"):
                pass
        except OSError as error:
            skip(f"this machine can't mount a loop device: {error}")
        with Mounted(image, root / "mounted") as directory:
            writer = Writer(options.writer, directory)
            try:
                for number in range(options.rounds):
                    acknowledged = cut(writer, chance, image, copy)
                    with Mounted(copy, root / "after") as after:
                        done = run(options.writer, "check", str(after), str(acknowledged))
                    print(f"cut {number}: {done.stdout.strip()}", flush=True)
                    if done.returncode != 0:
                        print(f"round {number}, seed {options.seed}: acknowledged up to {acknowledged}")
                        return 1
            finally:
                writer.end()
    print(f"{options.rounds} power cuts, nothing acknowledged was lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
