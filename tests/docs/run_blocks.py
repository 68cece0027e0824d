#!/usr/bin/env python3
"""Runs the fenced code blocks of the documentation as a reader would paste them.

  run_blocks.py [--bin DIR] FILE...

The word after the fence says what a block is:

  console       lines "$ command" (continued by a trailing backslash), each followed by the output to expect.
                In expected lines `...` matches anything within the line; a line that is only `...` matches any
                number of lines. An expected line "[exit N]" asserts the exit code, which else must be 0.
                "$ command &" starts what runs on; its output isn't compared, and the end of the file stops it.
  bash          runs whole, and must exit 0
  bash no-run WHY   only its syntax is checked; WHY says why it can't run here
  anything else isn't run

The blocks of one file share one shell's surroundings: they run in order in a temporary directory that links to
the tree, with DIR and the client's and the broker's build folders on PATH, so a file's first block can start
the broker that later ones use. Every file starts afresh. A script that looks for the tree from its own place
must resolve links (cd -P); blocks that run tests/run.sh or deploy/quickstart.sh are no-run, since tests/run.sh
runs the latter as a stage of its own.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMAND_SECONDS_MAX = 120
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$",
                   re.DOTALL | re.MULTILINE)
EXIT = re.compile(r"\[exit (\d+)\]")


@dataclasses.dataclass(frozen=True)
class Block:
    file: str
    line: int
    info: str
    body: str

    @property
    def place(self):
        return f"{self.file}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Step:
    """A command, what it must print (None: anything) and its exit code."""
    command: str
    expected: tuple
    exit_code: int = 0


class Failure(Exception):
    pass


def blocks_of(file, text):
    for match in FENCE.finditer(text):
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        yield Block(file, text.count("\n", 0, match.start()) + 1, match["info"].strip(), body)


def steps_of(body):
    """The steps of a console block."""
    steps, command, expected, exit_code = [], None, [], 0
    continued = False
    for line in body.splitlines():
        if continued:
            command += "\n" + line.removeprefix("> ")
            continued = line.endswith("\\")
        elif line.startswith("$ "):
            if command is not None:
                steps.append(Step(command, tuple(expected), exit_code))
            command, expected, exit_code = line[2:], [], 0
            continued = line.endswith("\\")
        elif command is None:
            raise Failure(f"a console block starts with a '$ command' line, not with: {line}")
        elif EXIT.fullmatch(line):
            exit_code = int(EXIT.fullmatch(line)[1])
        else:
            expected.append(line)
    if command is None:
        raise Failure("a console block without a command")
    return [*steps, Step(command, tuple(expected), exit_code)]


def line_matches(pattern, line):
    parts = [re.escape(part) for part in pattern.rstrip().split("...")]
    return re.fullmatch(".*".join(parts), line.rstrip()) is not None


def output_matches(expected, actual):
    """True when the lines match; reach[i] says whether the patterns so far match the first i lines."""
    reach = [True] + [False] * len(actual)
    for pattern in expected:
        if pattern.strip() == "...":
            first = reach.index(True) if True in reach else len(reach)
            reach = [index >= first for index in range(len(reach))]
        else:
            reach = [False] + [reach[index] and line_matches(pattern, line) for index, line in enumerate(actual)]
    return reach[-1]


class Shell:
    """Runs one command after another with one directory and one set of exported variables."""

    def __init__(self, directory, path):
        self.directory = directory
        self.state = pathlib.Path(directory, ".state")
        self.environment = {**os.environ, "PATH": path, "HOME": str(directory), "NO_COLOR": "1"}
        self.groups = []

    def run(self, command, keep_running=False):
        """(exit code, output of both streams). Variables and the working directory carry over."""
        state = str(self.state)
        script = (f'[[ -e {state} ]] && source {state}\n{command}\nstatus=$?\n'
                  f'{{ export -p; printf "cd %q\\n" "$PWD"; }} >{state}\nexit $status\n')
        if keep_running:
            script = f"[[ -e {state} ]] && source {state}\n{command}\n"
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(["bash", "-c", script], cwd=self.directory, env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
            self.groups.append(process)
            if keep_running:
                return 0, ""
            try:
                code = process.wait(COMMAND_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                raise Failure(f"'{command}' still runs after {COMMAND_SECONDS_MAX} s") from None
            log.seek(0)
            return code, log.read()

    def stop(self):
        """Ends what the commands left running: it is in their process groups."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for process in self.groups:
                try:
                    os.killpg(process.pid, sent)
                except ProcessLookupError:
                    continue
                if sent == signal.SIGTERM:
                    try:
                        process.wait(10)
                    except subprocess.TimeoutExpired:
                        pass


def run_step(shell, step):
    command = step.command.rstrip()
    if command.endswith("&") and not command.endswith("&&"):
        shell.run(command[:-1], keep_running=True)
        return
    code, output = shell.run(command)
    if code != step.exit_code:
        raise Failure(f"'{command}' exited {code}, not {step.exit_code}:\n{output}")
    if not output_matches(step.expected, output.splitlines()):
        wanted = "\n".join(step.expected)
        raise Failure(f"'{command}' printed\n{output}where the page shows\n{wanted}")


def run_block(shell, block):
    """True when the block ran or was checked; False when it isn't code to run."""
    words = block.info.split(None, 2)
    if words[:1] == ["console"]:
        for step in steps_of(block.body):
            run_step(shell, step)
        return True
    if words[:1] not in (["bash"], ["sh"]):
        return False
    if words[1:2] == ["no-run"]:
        if len(words) < 3:
            raise Failure("no-run needs a reason after it")
        checked = subprocess.run(["bash", "-n"], input=block.body, text=True, capture_output=True, check=False)
        if checked.returncode != 0:
            raise Failure(checked.stderr)
        return True
    if words[1:]:
        raise Failure(f"unknown words after bash: {' '.join(words[1:])}")
    code, output = shell.run("set -e\n" + block.body)
    if code != 0:
        raise Failure(f"exited {code}:\n{output}")
    return True


def run_file(file, path):
    """(blocks run, failures) of one page. The first failure ends the page: later blocks build on it."""
    name = str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="catamaran-docs-"))
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".git"):
            (directory / entry.name).symlink_to(entry)
    shell, count = Shell(directory, path), 0
    try:
        for block in blocks_of(name, file.read_text()):
            try:
                count += run_block(shell, block)
            except Failure as failure:
                return count, [f"{block.place}: {failure}"]
        return count, []
    finally:
        shell.stop()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release", help="build tree of the programs")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    build = options.bin.resolve()
    path = os.pathsep.join([str(build / folder) for folder in ("broker", "client/cli", "client/examples")]
                           + [str(build), os.environ["PATH"]])
    failures, count = [], 0
    for file in options.files:
        ran, failed = run_file(file.resolve(), path)
        count += ran
        failures += failed
    for failure in failures:
        print(failure)
    print(f"docs: {count} blocks of {len(options.files)} pages, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
