#!/usr/bin/env python3
"""House rules that a compiler doesn't check: who includes whom, banned calls, lengths, words.

  tidy.py [--root DIR]     checks the tree; prints "path:line: rule: message" per finding

Each rule has a name. An exception names a rule, a file and a reason, all in EXCEPTIONS below; one that no
longer excuses anything is itself a finding. tidy_test.py plants a violation of every rule.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import sys

# Who may include whom (ARCHITECTURE.md). A file belongs to its longest matching folder; a folder may always
# include itself. "proto" stands for every generated header.
BASE = ["base", "base/batch"]
ARROWS = {
    "base": [],
    "base/batch": ["base"],
    "raft/core": ["base"],
    "raft/store": ["raft/core", "base"],
    "raft/driver": ["raft/core", "raft/store", "base"],
    "storage": BASE,
    "metadata": ["raft/core", "raft/store", "raft/driver", "proto", *BASE],
    "broker/replica": ["metadata", "storage", *BASE],
    "broker/group": ["metadata", "storage", *BASE],
    "broker/metrics": BASE,
    "broker/shards": ["broker/metrics", "broker/replica", "broker/group", "metadata", "storage", *BASE],
    "broker/api": [
        "broker/metrics", "broker/shards", "broker/replica", "broker/group", "metadata", "storage", "proto",
        *BASE
    ],
    "broker/rpc": ["broker/metrics", "broker/api", "proto", *BASE],
    "broker": [
        "broker/metrics", "broker/api", "broker/rpc", "broker/shards", "broker/replica", "broker/group",
        "metadata", "storage", "raft/core", "raft/store", "raft/driver", "proto",
        *BASE
    ],
    "client/api": BASE,
    "client/core": ["client/api", *BASE],
    "client": ["client/api", "client/core", "proto", *BASE],
    "client/cli": ["client", "client/api", "client/core", "proto", *BASE],
    "client/examples": ["client", "client/api", "client/core", "proto", *BASE],
    "tests": ["*"],
}

# Files that stand lower than the folder in which they lie: below handlers, below the client's cores.
STANDS_IN = {
    "broker/metrics.cc": "broker/metrics",
    "broker/metrics.h": "broker/metrics",
    "broker/replica_manager.cc": "broker/shards",
    "broker/replica_manager.h": "broker/shards",
    "broker/replica_shard.cc": "broker/shards",
    "broker/replica_shard.h": "broker/shards",
    "broker/read_window.h": "broker/shards",
    "broker/space_budget.h": "broker/shards",
    "broker/topic_catalog.cc": "broker/shards",
    "broker/topic_catalog.h": "broker/shards",
    "client/client_options.h": "client/api",
    "client/consumer.h": "client/api",
    "client/producer.h": "client/api",
}

# Which folders may know a library. Folders inside a named one may too, unless they have a row in ARROWS.
LIBRARIES = [
    (r"rocksdb/", ["raft/store"]),
    (r"prometheus/", ["broker"]),
    (r"httplib\.h", ["broker"]),
    (r"spdlog/|fmt/", ["broker"]),
    (r"toml\+\+/|toml\.hpp", ["broker", "client/cli"]),
    (r"CLI/", ["broker", "client/cli", "client/examples"]),
    (r"nlohmann/", ["broker", "client/cli", "client/examples"]),
    (r"grpcpp/|grpc\+\+/|grpc/", ["broker", "broker/rpc", "client", "client/cli", "client/examples"]),
    (r"zstd|lz4|snappy|zlib\.h", ["base/batch"]),
]

# Libraries whose custom is to be included with quotes.
QUOTED_LIBRARIES = r"(absl|gmock|gtest|benchmark|google/protobuf)/"

# Rule, pattern over code without comments and literals, what to do instead.
BANNED = [
    ("no-sleep", r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(",
     "wait for a condition with a deadline, or use a timer of the executor"),
    ("no-clock", r"\b(system_clock|steady_clock|high_resolution_clock|gettimeofday|clock_gettime)\b",
     "take the time as an argument, or from base/clock.h"),
    ("no-chance", r"\brandom_device\b|\bmt19937(_64)?\b|\bs?rand\s*\(",
     "take a seeded base/random.h generator as an argument"),
    ("no-assert", r"(?<!static_)\bassert\s*\(", "use CATAMARAN_CHECK, which stays on in release"),
    ("no-std-mutex",
     r"\bstd::(mutex|shared_mutex|recursive_mutex|timed_mutex|condition_variable(_any)?|lock_guard"
     r"|unique_lock|scoped_lock|shared_lock)\b|\babsl::(Mutex|MutexLock|CondVar)\b",
     "use base/mutex.h, whose use clang proves"),
    ("no-std-thread", r"\bstd::(thread|jthread|async)\b(?!::hardware_concurrency)|\bpthread_create\b",
     "run it on an Executor or an IoPool"),
    ("no-ranges-format-coroutine", r"\bstd::(ranges|views|format)\b|\bco_(await|return|yield)\b",
     "clang 14 can't compile libstdc++'s"),
    ("no-throw", r"\bthrow\b", "return absl::Status"),
]
BANNED_INCLUDES = [
    ("no-assert", r"cassert|assert\.h", "use base/check.h"),
    ("no-ranges-format-coroutine", r"ranges|format|coroutine", "clang 14 can't compile libstdc++'s"),
]

# Their iteration order isn't the same on every platform, and these folders must replay from a seed.
DETERMINISTIC = [
    "base/batch", "raft/core", "raft/driver", "storage", "metadata", "broker/replica", "broker/group", "broker/api",
    "client", "tests/sim"
]

LINE_COLUMNS_MAX = 100
SCRIPT_COLUMNS_MAX = 120
HEADER_LINES_WARN = 300
HEADER_LINES_MAX = 400
SOURCE_LINES_MAX = 600
SOURCE_LINES_HARD_MAX = 700  # No exception beyond this.

# Spelled in halves, so that this file doesn't find itself.
UNFINISHED_WORDS = ["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]
MACHINE_PATHS = "/wo" + r"rk/(main|shared)\b|/t" + r"mp/(b-\w|helper)"


@dataclasses.dataclass(frozen=True)
class ExceptionRow:
    rule: str
    path: str
    reason: str


EXCEPTIONS = [
    ExceptionRow("no-clock", "base/clock.cc", "it is the clock that everything else uses"),
    ExceptionRow("no-std-mutex", "base/mutex.h", "it is the mutex that everything else uses"),
    ExceptionRow("no-std-thread", "base/io_thread_pool.cc", "its threads run the jobs that may block"),
    ExceptionRow("no-std-thread", "base/thread_executor.cc", "its thread is the shard"),
    ExceptionRow("no-std-thread", "broker/http_loop.cc", "one thread that waits for no client"),
    ExceptionRow("no-std-thread", "broker/rpc/peer_poller.cc", "its thread polls the completion queue"),
    ExceptionRow("no-std-thread", "broker/rpc/peer_poller.h", "its thread polls the completion queue"),
    ExceptionRow("no-std-thread", "client/rpc/rpc_client.cc", "its thread polls the completion queue"),
    ExceptionRow("no-std-thread", "client/rpc/rpc_client.h", "its thread polls the completion queue"),
    ExceptionRow("no-std-thread", "tests/base/executor_contract_test.cc", "it posts from several threads at once"),
    ExceptionRow("no-std-thread", "tests/broker/rpc_stream_test.cc", "gRPC's blocking client needs threads"),
    ExceptionRow("no-std-thread", "tests/broker/rpc_test.cc", "gRPC's blocking client needs threads"),
    ExceptionRow("no-clock", "tests/bench/storage_bench.cc", "it reads processor time, which no Clock tells"),
]

SKIPPED_FOLDERS = {".git", "out", ".cache", "__pycache__", "corpus", "golden", "node_modules"}
CXX = {".cc", ".h"}
SCRIPTS = {".py", ".sh", ".cmake"}
TEXT = CXX | SCRIPTS | {".proto", ".md", ".txt", ".toml", ".yaml", ".yml", ".json"}

LITERALS_AND_COMMENTS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^()\\\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">\n]+)[">]', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def code_only(text):
    """The text with comments and literals blanked; line numbers stay."""
    return LITERALS_AND_COMMENTS.sub(lambda match: " " + "\n" * match.group().count("\n"), text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def owner(path, folders):
    """The longest of `folders` that holds `path`; "" if none does."""
    best = ""
    for folder in folders:
        if (path == folder or path.startswith(folder + "/")) and len(folder) > len(best):
            best = folder
    return best


def folder_of(path):
    """The row of ARROWS that holds a file; "" if none does."""
    if path.endswith(".pb.h"):
        return "proto"
    return STANDS_IN.get(path) or owner(path, ARROWS)


def check_includes(root, path, text):
    own = folder_of(path)
    for match in INCLUDE.finditer(text):
        quote, name = match.groups()
        line = line_of(text, match.start())
        if quote == "<":
            for rule, pattern, advice in BANNED_INCLUDES:
                if re.fullmatch(pattern, name):
                    yield Finding(path, line, rule, f"<{name}>: {advice}")
        for pattern, folders in LIBRARIES:
            if re.match(pattern, name) and own not in [*folders, "tests"]:
                yield Finding(path, line, "library-arrow",
                              f"only {', '.join(folders)} and tests may include {name}")
        if quote == "<":
            continue
        target = folder_of(name)
        if re.match(QUOTED_LIBRARIES, name):
            continue
        if target == "proto":
            pass
        elif "/" not in name or not (root / name).is_file():
            if not any(re.match(pattern, name) for pattern, _ in LIBRARIES):
                yield Finding(path, line, "include-path", f'"{name}" is no file relative to the root')
            continue
        elif not target:
            yield Finding(path, line, "include-arrow", f'"{name}" lies in a folder without a row in ARROWS')
            continue
        allowed = ARROWS.get(own, [])
        if target != own and target not in allowed and "*" not in allowed:
            yield Finding(path, line, "include-arrow", f"{own or 'the root'} may not include {target} ({name})")


def check_cxx(root, path, text):
    yield from check_includes(root, path, text)
    code = code_only(text)
    for rule, pattern, advice in BANNED:
        for match in re.finditer(pattern, code):
            yield Finding(path, line_of(code, match.start()), rule, f"{match.group().strip()}: {advice}")
    if owner(path, DETERMINISTIC):
        for match in re.finditer(r"\bstd::unordered_\w+", code):
            yield Finding(path, line_of(code, match.start()), "no-unordered",
                          f"{match.group()}: use a sorted container or absl's, never iterating the latter")
    lines = text.count("\n")
    if path.endswith(".h"):
        if "#pragma once" not in code:
            yield Finding(path, 1, "pragma-once", "the header has no #pragma once")
        if lines > HEADER_LINES_MAX:
            yield Finding(path, lines, "header-length", f"{lines} lines, at most {HEADER_LINES_MAX}: split it")
    elif lines > SOURCE_LINES_HARD_MAX:
        yield Finding(path, lines, "source-length-hard",
                      f"{lines} lines, at most {SOURCE_LINES_HARD_MAX} even with an exception: split it")
    elif lines > SOURCE_LINES_MAX:
        yield Finding(path, lines, "source-length", f"{lines} lines, at most {SOURCE_LINES_MAX}: split it")


def check_text(path, text):
    suffix = pathlib.PurePosixPath(path).suffix
    columns_max = {**dict.fromkeys(CXX | {".proto"}, LINE_COLUMNS_MAX),
                   **dict.fromkeys(SCRIPTS, SCRIPT_COLUMNS_MAX)}.get(suffix)
    for number, line in enumerate(text.split("\n"), 1):
        if columns_max and len(line) > columns_max and "://" not in line and "#include" not in line:
            yield Finding(path, number, "line-length", f"{len(line)} columns, at most {columns_max}")
        if line.endswith((" ", "\t", "\r")):
            yield Finding(path, number, "trailing-space", "the line ends with white space")
        for word in UNFINISHED_WORDS:
            if re.search(rf"\b{word}\b", line):
                yield Finding(path, number, "unfinished", f"{word}: finish it or open an issue")
        if re.search(MACHINE_PATHS, line):
            yield Finding(path, number, "machine-path", "a path of somebody's machine")
    if text and not text.endswith("\n"):
        yield Finding(path, text.count("\n") + 1, "final-newline", "the file doesn't end with a newline")


def check_proto(path, text):
    if path.startswith("proto/catamaran/internal/"):
        code = code_only(text)
        for match in re.finditer(r"\bmap\s*<", code):
            yield Finding(path, line_of(code, match.start()), "no-record-map",
                          "a map's bytes have no fixed order, and records must replay to equal bytes")


def files_of(root, suffixes=TEXT):
    """The tree's own files, in order: those with one of the suffixes, or all if None."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders
                            if name not in SKIPPED_FOLDERS and not name.startswith("build"))
        for name in sorted(names):
            path = pathlib.Path(directory, name)
            if (suffixes is None or path.suffix in suffixes) and path.is_file():
                yield path


def check_tree(root, exceptions):
    """All findings of the tree under `root`, and warnings. Exceptions that excuse nothing are findings."""
    findings, warnings = [], []
    for file in files_of(root):
        path = file.relative_to(root).as_posix()
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            findings.append(Finding(path, 1, "encoding", "the file isn't UTF-8"))
            continue
        findings += check_text(path, text)
        if file.suffix in CXX:
            findings += check_cxx(root, path, text)
        if file.suffix == ".proto":
            findings += check_proto(path, text)
        if file.suffix == ".h" and HEADER_LINES_WARN < text.count("\n") <= HEADER_LINES_MAX:
            warnings.append(f"{path}: warning: {text.count(chr(10))} lines; headers stay near 250")
    rows = {(row.rule, row.path): row for row in exceptions}
    used = {(finding.rule, finding.path) for finding in findings} & rows.keys()
    remaining = [finding for finding in findings if (finding.rule, finding.path) not in used]
    for key in sorted(rows.keys() - used):
        remaining.append(Finding(key[1], 1, "unused-exception", f"nothing breaks {key[0]}: drop its row"))
    return remaining, warnings


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    options = parser.parse_args()
    findings, warnings = check_tree(options.root.resolve(), EXCEPTIONS)
    for line in [*warnings, *findings]:
        print(line)
    print(f"tidy: {len(findings)} findings, {len(warnings)} warnings, {len(EXCEPTIONS)} exceptions")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
