#!/usr/bin/env python3
"""Plants a violation of every rule of tidy.py in a temporary tree and checks that it is found."""

import pathlib
import tempfile
import unittest

import tidy

HEADER = "#pragma once\n"
# Rule, path, text that breaks it; written so that the line says what a person might really write.
VIOLATIONS = [
    ("include-arrow", "base/a.h", HEADER + '#include "storage/log.h"\n'),
    ("include-arrow", "base/a.h", HEADER + '#include "base/batch/batch.h"\n'),
    ("include-arrow", "client/a.cc", '#include "storage/log.h"\n'),
    ("include-arrow", "client/a.cc", '#include "metadata/image.h"\n'),
    ("include-arrow", "client/a.cc", '#include "broker/node.h"\n'),
    ("include-arrow", "client/core/a.cc", '#include "client/admin.h"\n'),
    ("include-arrow", "client/core/a.cc", '#include "catamaran/v1/common.pb.h"\n'),
    ("library-arrow", "client/core/a.cc", "#include <grpcpp/grpcpp.h>\n"),
    ("include-arrow", "storage/a.cc", '#include "catamaran/v1/common.pb.h"\n'),
    ("include-arrow", "broker/replica/a.cc", '#include "broker/node.h"\n'),
    ("include-arrow", "broker/replica/a.cc", '#include "catamaran/v1/common.pb.h"\n'),
    ("include-arrow", "broker/api/a.cc", '#include "broker/node.h"\n'),
    ("include-arrow", "broker/topic_catalog.cc", '#include "broker/node.h"\n'),
    ("include-arrow", "broker/rpc/a.cc", '#include "storage/log.h"\n'),
    ("include-arrow", "storage/a.cc", '#include "elsewhere/a.h"\n'),
    ("include-path", "storage/a.cc", '#include "log.h"\n'),
    ("include-path", "storage/a.cc", '#include "storage/missing.h"\n'),
    ("library-arrow", "storage/a.cc", "#include <rocksdb/db.h>\n"),
    ("library-arrow", "broker/api/a.cc", "#include <grpcpp/grpcpp.h>\n"),
    ("library-arrow", "client/a.cc", '#include "prometheus/registry.h"\n'),
    ("library-arrow", "broker/replica/a.cc", "#include <spdlog/spdlog.h>\n"),
    ("no-sleep", "storage/a.cc", "void F() { std::this_thread::sleep_for(kSecond); }\n"),
    ("no-sleep", "tests/storage/a_test.cc", "void F() { usleep(10); }\n"),
    ("no-clock", "storage/a.cc", "auto now = std::chrono::steady_clock::now();\n"),
    ("no-clock", "client/a.cc", "auto now = std::chrono::system_clock::now();\n"),
    ("no-clock", "client/a.cc", "auto now = std::chrono::high_resolution_clock::now();\n"),
    ("no-chance", "storage/a.cc", "std::random_device device;\n"),
    ("no-chance", "storage/a.cc", "int x = std::rand();\n"),
    ("no-assert", "storage/a.cc", "void F(int x) { assert(x); }\n"),
    ("no-assert", "storage/a.cc", "#include <cassert>\n"),
    ("no-std-mutex", "storage/a.cc", "std::mutex mutex;\n"),
    ("no-std-mutex", "storage/a.cc", "std::condition_variable changed;\n"),
    ("no-std-mutex", "storage/a.cc", "absl::Mutex mutex;\n"),
    ("no-std-thread", "storage/a.cc", "std::thread thread(Run);\n"),
    ("no-ranges-format-coroutine", "storage/a.cc", "#include <ranges>\n"),
    ("no-ranges-format-coroutine", "storage/a.cc", "#include <format>\n"),
    ("no-ranges-format-coroutine", "storage/a.cc", "#include <coroutine>\n"),
    ("no-ranges-format-coroutine", "storage/a.cc", "void F() { std::ranges::sort(v); }\n"),
    ("no-throw", "storage/a.cc", "void F() { throw 1; }\n"),
    ("no-unordered", "storage/a.cc", "std::unordered_map<int, int> map;\n"),
    ("pragma-once", "storage/a.h", "int F();\n"),
    ("header-length", "storage/a.h", HEADER + "\n" * tidy.HEADER_LINES_MAX),
    ("source-length", "storage/a.cc", "\n" * (tidy.SOURCE_LINES_MAX + 1)),
    ("source-length-hard", "storage/a.cc", "\n" * (tidy.SOURCE_LINES_HARD_MAX + 1)),
    ("line-length", "storage/a.cc", "// " + "x" * tidy.LINE_COLUMNS_MAX + "\n"),
    ("trailing-space", "docs/a.md", "text \n"),
    ("final-newline", "docs/a.md", "text"),
    ("encoding", "docs/a.md", b"\xff\n"),
    ("no-record-map", "proto/catamaran/internal/v1/a.proto", "message A { map<string, int32> b = 1; }\n"),
    ("machine-path", "docs/a.md", "see /wo" + "rk/main/base\n"),
    *[("unfinished", "docs/a.md", f"{word}: later\n") for word in tidy.UNFINISHED_WORDS],
]
# Text that looks like a violation and is none.
CLEAN = [
    ("storage/a.cc", "// sleep_for(1) and std::mutex and assert(x) are banned.\n"),
    ("storage/a.cc", '/* std::thread\n */ const char* text = "throw std::rand()";\n'),
    ("storage/a.cc", 'const char* raw = R"x(assert(1) " std::mutex)x";\n'),
    ("storage/a.cc", "static_assert(1'000'000 > 0);\n"),
    ("storage/a.cc", '#include "base/ids.h"\n#include "base/batch/batch.h"\n#include "absl/status/status.h"\n'),
    ("base/batch/a.cc", '#include "base/ids.h"\n#include <zstd.h>\n'),
    ("broker/api/a.cc", '#include "broker/topic_catalog.h"\n'),
    ("broker/a.cc", '#include "storage/log.h"\n#include "catamaran/v1/common.pb.h"\n#include <spdlog/spdlog.h>\n'),
    ("client/core/a.cc", '#include "client/producer.h"\n'),
    ("client/a.cc", '#include "base/batch/batch.h"\n#include <grpcpp/grpcpp.h>\n'),
    ("tests/sim/a.cc", '#include "broker/node.h"\n#include "client/producer.h"\n'),
    ("storage/a.h", HEADER + "\n" * (tidy.HEADER_LINES_WARN - 1)),
    ("storage/a.cc", "\n" * tidy.SOURCE_LINES_MAX),
    ("docs/a.md", "mktemp -d /tmp/a.XXXXXX\n"),
    ("proto/catamaran/v1/a.proto", "message A { map<string, int32> b = 1; }\n"),
]
NEIGHBOURS = [
    "base/ids.h", "base/batch/batch.h", "storage/log.h", "metadata/image.h", "broker/node.h",
    "broker/topic_catalog.h", "client/admin.h", "client/producer.h", "elsewhere/a.h"
]


def check(path, text, exceptions=()):
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory).resolve()
        for name in NEIGHBOURS:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(HEADER)
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        findings, _ = tidy.check_tree(root, exceptions)
        return findings


class TidyTest(unittest.TestCase):

    def test_finds_each_planted_violation(self):
        for rule, path, text in VIOLATIONS:
            with self.subTest(rule=rule, path=path, text=text[:60]):
                self.assertIn((rule, path), [(found.rule, found.path) for found in check(path, text)])

    def test_accepts_what_only_looks_like_one(self):
        for path, text in CLEAN:
            with self.subTest(path=path, text=text[:60]):
                self.assertEqual([], [str(found) for found in check(path, text)])

    def test_plants_every_rule_of_the_tables(self):
        planted = {rule for rule, _, _ in VIOLATIONS}
        self.assertLessEqual({row[0] for row in tidy.BANNED + tidy.BANNED_INCLUDES}, planted)

    def test_an_exception_excuses_its_rule_in_its_file_only(self):
        row = tidy.ExceptionRow("no-sleep", "storage/a.cc", "test")
        sleeps = "void F() { usleep(10); }\n"
        self.assertEqual([], check("storage/a.cc", sleeps, [row]))
        self.assertIn("no-sleep", [found.rule for found in check("storage/b.cc", sleeps, [row])])
        self.assertIn("no-assert", [found.rule for found in check("storage/a.cc", sleeps + "#include <cassert>\n", [row])])

    def test_an_exception_that_matches_nothing_fails(self):
        row = tidy.ExceptionRow("no-sleep", "storage/gone.cc", "test")
        self.assertEqual(["unused-exception"], [found.rule for found in check("docs/a.md", "text\n", [row])])

    def test_reports_the_line(self):
        found = check("storage/a.cc", "/* one\ntwo */\nint x;\nvoid F() { usleep(1); }\n")
        self.assertEqual([4], [finding.line for finding in found])


if __name__ == "__main__":
    unittest.main()
