#!/usr/bin/env python3
"""Plants a fault for every rule of proto_lint.py and checks that it is found."""

import pathlib
import tempfile
import unittest

import descriptors
import proto_lint

GOOD = """syntax = "proto3";
package catamaran.v1;
// A service.
service ThingService {
  // Gets one.
  rpc GetThing(GetThingRequest) returns (stream GetThingResponse);
}
// Asks.
message GetThingRequest {
  // The name.
  string thing_name = 1;
  map<string, int32> labels = 2;  // Labels.
  // One of two.
  oneof way {
    // This.
    int64 by_id = 3;
    bytes by_key = 4;  // That.
  }
  // Perhaps.
  optional bool fresh = 5;
}
// Answers.
message GetThingResponse {
  // Many.
  repeated Color colors = 1;
  // Inside.
  message Inner {
    // Deep.
    sint32 depth = 1;
  }
}
// Colours.
enum Color {
  // Not said.
  COLOR_UNSPECIFIED = 0;
  // Red.
  COLOR_RED = 1;
}
"""
# Rule, text in GOOD, what stands there instead.
FAULTS = [
    ("package-version", "catamaran.v1", "catamaran.one"),
    ("package-directory", "catamaran.v1", "catamaran.v2"),
    ("comment", "// A service.\n", ""),
    ("comment", "  // Gets one.\n", ""),
    ("comment", "// Asks.\n", ""),
    ("comment", "  // The name.\n", ""),
    ("comment", "  // Labels.", ""),
    ("comment", "  // One of two.\n", ""),
    ("comment", "  // That.", ""),
    ("comment", "  // Perhaps.\n", ""),
    ("comment", "    // Deep.\n", ""),
    ("comment", "// Colours.\n", ""),
    ("comment", "  // Red.\n", ""),
    ("pascal-case", "message Inner", "message inner"),
    ("lower-snake-case", "thing_name", "thingName"),
    ("lower-snake-case", "oneof way", "oneof Way"),
    ("enum-value-prefix", "COLOR_RED", "RED"),
    ("enum-zero", "COLOR_UNSPECIFIED", "COLOR_NONE"),
    ("enum-alias", "  COLOR_RED = 1;\n",
     "  COLOR_RED = 1;\n  option allow_alias = true;\n  // Too.\n  COLOR_ROUGE = 1;\n"),
    ("service-suffix", "ThingService", "Things"),
    ("rpc-message-name", "GetThingRequest", "ThingQuery"),
    ("rpc-message-name", "GetThingResponse", "Thing"),
    ("rpc-message-unique", "  // Gets one.\n",
     "  // Once.\n  rpc Once(GetThingRequest) returns (GetThingResponse);\n  // Gets one.\n"),
    ("syntax-proto3", 'syntax = "proto3"', 'syntax = "proto2"'),
]
# Change of GOOD that old clients or old bytes notice.
BREAKS = [
    ("string thing_name = 1", "string thing_name = 9"),
    ("string thing_name", "bytes thing_name"),
    ("thing_name", "renamed"),
    ("  // Perhaps.\n  optional bool fresh = 5;\n", ""),
    ("optional bool", "bool"),
    ("repeated Color", "Color"),
    ("map<string, int32>", "repeated int32"),
    ("map<string, int32>", "map<string, int64>"),
    ("returns (stream ", "returns ("),
    ("  // Red.\n  COLOR_RED = 1;\n", ""),
    ("COLOR_RED = 1", "COLOR_RED = 2"),
    ("message Inner", "message Outer"),
]


def load(text, name="catamaran/v1/thing.proto"):
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, name)
        file.parent.mkdir(parents=True)
        file.write_text(text)
        return descriptors.load(directory)


def rules(text, name="catamaran/v1/thing.proto"):
    return [line.split(": ")[1] for line in proto_lint.lint(load(text, name))]


class ProtoLintTest(unittest.TestCase):

    def test_accepts_a_good_file(self):
        self.assertEqual([], proto_lint.lint(load(GOOD)))

    def test_finds_each_planted_fault(self):
        for rule, old, new in FAULTS:
            with self.subTest(rule=rule, old=old):
                self.assertIn(old, GOOD)
                text = GOOD.replace(old, new)
                if rule == "syntax-proto3":
                    text = text.replace("string thing_name", "optional string thing_name").replace(
                        "sint32 depth", "optional sint32 depth")
                self.assertIn(rule, rules(text))

    def test_checks_the_file_name(self):
        self.assertEqual(["file-name"], rules(GOOD, "catamaran/v1/Thing.proto"))

    def test_leaves_other_projects_files_alone(self):
        text = GOOD.replace("catamaran.v1", "google.rpc").replace("// Asks.\n", "")
        self.assertEqual([], rules(text, "google/rpc/thing.proto"))

    def test_reports_a_file_that_does_not_compile(self):
        with self.assertRaisesRegex(RuntimeError, "thing.proto"):
            load(GOOD.replace("string thing_name", "strong thing_name"))

    def test_sees_breaking_changes(self):
        baseline = proto_lint.shape(load(GOOD))
        for old, new in BREAKS:
            with self.subTest(old=old, new=new):
                self.assertIn(old, GOOD)
                breaking, _ = proto_lint.compare(baseline, proto_lint.shape(load(GOOD.replace(old, new))))
                self.assertNotEqual([], breaking)

    def test_an_addition_breaks_nothing_but_is_named(self):
        baseline = proto_lint.shape(load(GOOD))
        text = GOOD.replace("  // Many.\n", "  // New.\n  int32 count = 7;\n  // Many.\n")
        breaking, added = proto_lint.compare(baseline, proto_lint.shape(load(text)))
        self.assertEqual([], breaking)
        self.assertEqual(["message catamaran.v1.GetThingResponse: 7 (count int32)"], added)

    def test_the_same_tree_differs_in_nothing(self):
        baseline = proto_lint.shape(load(GOOD))
        self.assertEqual(([], []), proto_lint.compare(baseline, baseline))
        self.assertEqual("labels map<string, int32>",
                         baseline["message catamaran.v1.GetThingRequest"]["2"])


if __name__ == "__main__":
    unittest.main()
