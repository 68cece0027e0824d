#!/usr/bin/env python3
"""docs/cli.md is what `catamaran __reference` prints.   reference_test.py PATH-OF-CATAMARAN"""

import difflib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    printed = subprocess.run([sys.argv[1], "__reference"], capture_output=True, check=True, timeout=60).stdout.decode()
    written = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    if printed == written:
        return 0
    sys.stdout.writelines(difflib.unified_diff(written.splitlines(True), printed.splitlines(True), "docs/cli.md",
                                               "catamaran __reference"))
    print("docs/cli.md is old: catamaran __reference > docs/cli.md writes it again")
    return 1


if __name__ == "__main__":
    sys.exit(main())
