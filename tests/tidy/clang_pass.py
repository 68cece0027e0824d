#!/usr/bin/env python3
"""Runs clang's front end over every source of ours: thread-safety proofs and a second set of warnings.

The build uses GCC. This pass takes the compile database of a build tree whose generated sources exist,
keeps include paths and definitions, and checks each file with -fsyntax-only and warnings as errors.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLANG = "clang++-14"
WARNINGS = [
    "-Wall", "-Wextra", "-Werror", "-Wthread-safety", "-Wshadow", "-Wnon-virtual-dtor",
    "-Woverloaded-virtual", "-Wno-missing-field-initializers"
]


def is_ours(path, build):
    """True for a source that a person wrote: in the tree and not generated into the build tree."""
    return path.is_relative_to(ROOT) and not path.is_relative_to(build) and not path.is_relative_to(
        ROOT / "build")


def front_end_arguments(entry, build):
    """The arguments that decide what the front end sees, and the precompiled header if one is used."""
    words = shlex.split(entry["command"]) if "command" in entry else entry["arguments"]
    kept, header = [], None
    position = 0
    while position < len(words):
        word = words[position]
        if word in ("-I", "-isystem", "-D", "-include"):
            position += 1
            word, value = word, words[position]
        elif word.startswith(("-I", "-D")):
            word, value = word[:2], word[2:]
        elif word.startswith("-std="):
            kept.append(word)
            position += 1
            continue
        else:
            position += 1
            continue
        position += 1
        if word == "-include":
            header = value
        elif word == "-I" and (pathlib.Path(value) / "x").is_relative_to(build):
            # Generated headers owe nothing to our warnings.
            kept += ["-isystem", value]
        else:
            kept += [word, value]
    return kept, header


def run(command, cwd):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0, done.stdout


def precompile(header, arguments, build):
    """Makes clang's own precompiled form of `header`; GCC's is of no use to it."""
    directory = build / "clang"
    directory.mkdir(exist_ok=True)
    result = directory / "headers.pch"
    ok, output = run([CLANG, *arguments, "-x", "c++-header", header, "-o", str(result)], build)
    if not ok:
        sys.exit(f"clang_pass: can't precompile {header}:\n{output}")
    return str(result)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*", help="only these sources; default: all in the database")
    options = parser.parse_args()
    build = options.build.resolve()
    database = build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"clang_pass: {database} is missing; configure the build tree first")
    only = {pathlib.Path(name).resolve() for name in options.files}

    work, precompiled = {}, {}
    for entry in json.loads(database.read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not is_ours(path, build) or path in work or (only and path not in only):
            continue
        arguments, header = front_end_arguments(entry, build)
        if header is not None:
            if header not in precompiled:
                precompiled[header] = precompile(header, arguments, build)
            arguments += ["-include-pch", precompiled[header]]
        work[path] = ([CLANG, "-fsyntax-only", *WARNINGS, *arguments, str(path)], entry["directory"])
    if not work:
        sys.exit("clang_pass: the compile database names no source of ours")

    started, failures = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = {pool.submit(run, *task): path for path, task in sorted(work.items())}
        for future in concurrent.futures.as_completed(results):
            ok, output = future.result()
            if not ok:
                failures += 1
                print(f"clang_pass: {results[future].relative_to(ROOT)}\n{output}", flush=True)
    print(f"clang_pass: {len(work)} sources, {failures} failed, {time.monotonic() - started:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
