#!/usr/bin/env python3
"""Runs a formatter or linter of Debian's over all files of the tree that it is for.

  tools.py format [--fix]   clang-format-14 over C++ and proto files
  tools.py shell            shellcheck and bash -n over shell scripts
"""

import argparse
import pathlib
import subprocess
import sys

import tidy

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMATTED = {".cc", ".h", ".proto"}


def run(command):
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def shell_scripts():
    """Files that end in .sh or start with a shell's #! line."""
    for file in tidy.files_of(ROOT, suffixes=None):
        with file.open("rb") as stream:
            first = stream.readline(64)
        if file.suffix == ".sh" or (first.startswith(b"#!") and first.rstrip().endswith((b"bash", b"/sh"))):
            yield str(file.relative_to(ROOT))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tool", choices=["format", "shell"])
    parser.add_argument("--fix", action="store_true", help="format: rewrite the files")
    options = parser.parse_args()
    if options.tool == "format":
        files = [str(file.relative_to(ROOT)) for file in tidy.files_of(ROOT, FORMATTED)]
        arguments = ["-i"] if options.fix else ["--dry-run", "-Werror"]
        ok = run(["clang-format-14", *arguments, *files])
        advice = "python3 tests/tidy/tools.py format --fix rewrites them"
    else:
        files = list(shell_scripts())
        ok = all([run(["bash", "-n", file]) for file in files])
        ok = run(["shellcheck", "--external-sources", *files]) and ok
        advice = "fix what stands above"
    print(f"{options.tool}: {len(files)} files" + ("" if ok else f"; not all are right: {advice}"))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
