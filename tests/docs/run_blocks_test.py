#!/usr/bin/env python3
"""Checks that run_blocks.py runs what it should and fails where it should."""

import os
import pathlib
import tempfile
import unittest

import run_blocks


def run(text):
    with tempfile.TemporaryDirectory() as directory:
        page = pathlib.Path(directory, "page.md")
        page.write_text(text)
        return run_blocks.run_file(page, os.environ["PATH"])


def page(info, body):
    return f"Text.\n\n```{info}\n{body}\n```\n\nText.\n"


class RunBlocksTest(unittest.TestCase):

    def assert_passes(self, text, count):
        self.assertEqual((count, []), run(text))

    def assert_fails(self, text, words):
        _, failures = run(text)
        self.assertEqual(1, len(failures), "the page passed")
        self.assertIn(words, failures[0])

    def test_compares_output(self):
        self.assert_passes(page("console", "$ printf 'a\\nb\\n'\na\nb"), 1)
        self.assert_fails(page("console", "$ printf 'a\\nb\\n'\na"), "where the page shows")
        self.assert_fails(page("console", "$ printf 'a\\n'\na\nb"), "where the page shows")

    def test_dots_match_anything(self):
        self.assert_passes(page("console", "$ echo offset 17 of 20\noffset ... of ..."), 1)
        self.assert_passes(page("console", "$ seq 9\n1\n...\n9"), 1)
        self.assert_passes(page("console", "$ seq 9\n..."), 1)
        self.assert_fails(page("console", "$ seq 9\n1\n...\n8"), "where the page shows")
        self.assert_fails(page("console", "$ echo offset 17\noffset ... of ..."), "where the page shows")

    def test_checks_exit_codes(self):
        self.assert_fails(page("console", "$ false"), "exited 1, not 0")
        self.assert_passes(page("console", "$ (exit 3)\n[exit 3]"), 1)
        self.assert_fails(page("console", "$ true\n[exit 3]"), "exited 0, not 3")
        self.assert_fails(page("bash", "false\ntrue"), "exited 1")

    def test_joins_continued_lines(self):
        self.assert_passes(page("console", "$ echo a \\\n    b\na b"), 1)

    def test_carries_variables_and_directory_over(self):
        first = page("bash", "export X=5; mkdir d; cd d")
        self.assert_passes(first + page("console", '$ echo "$X" "${PWD##*/}"\n5 d'), 2)

    def test_runs_in_a_directory_that_links_to_the_tree(self):
        self.assert_passes(page("bash", "test -e tests/docs/run_blocks.py"), 1)

    def test_stops_what_runs_on(self):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, "pid")
            self.assert_passes(
                page("console", f"$ echo $BASHPID >{file}; exec tail -f /dev/null &") +
                page("bash", f"until [[ -s {file} ]]; do :; done"), 2)
            with self.assertRaises(ProcessLookupError):
                os.kill(int(file.read_text()), 0)

    def test_no_run_checks_syntax_and_wants_a_reason(self):
        self.assert_passes(page("bash no-run it powers the machine off", "exit 1"), 1)
        self.assert_fails(page("bash no-run", "exit 1"), "needs a reason")
        self.assert_fails(page("bash no-run it is broken", "if then"), "syntax error")

    def test_leaves_other_blocks_alone(self):
        self.assert_passes(page("text", "$ false") + page("", "$ false") + page("toml", "x"), 0)

    def test_indented_blocks_run(self):
        self.assert_fails("1. Item\n\n   ```bash\n   false\n   ```\n", "exited 1")

    def test_a_console_block_needs_a_command(self):
        self.assert_fails(page("console", "output only"), "starts with a '$ command'")

    def test_names_the_line(self):
        _, failures = run("One.\n\n" + page("bash", "false"))
        self.assertIn(":5:", failures[0])


if __name__ == "__main__":
    unittest.main()
