#!/usr/bin/env python3
"""Lints the .proto files offline (buf's STANDARD and COMMENTS rules) and holds them against a baseline.

  proto_lint.py [--root proto]              lints, then compares with ROOT/baseline.json
  proto_lint.py --update                    takes additions into the baseline
  proto_lint.py --update --accept-breaking  takes removals and changes too: old clients or disks break

The baseline lists every number with its name and type. What it lists may not be removed or changed, and
what it doesn't list yet has to be taken in, so that it is held from then on.
"""

import argparse
import json
import pathlib
import re
import sys

import descriptors

OURS = "catamaran/"
LOWER_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
UPPER_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
VERSIONED_PACKAGE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\.v[1-9][0-9]*((alpha|beta)[0-9]*)?")


def upper_snake(pascal):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", pascal).upper()


def lint_file(item):
    directory, _, name = item.file.rpartition("/")
    if item.syntax != "proto3":
        yield "syntax-proto3", "the file isn't proto3"
    if not VERSIONED_PACKAGE.fullmatch(item.package):
        yield "package-version", f"package {item.package} doesn't end in a version such as v1"
    if directory != item.package.replace(".", "/"):
        yield "package-directory", f"package {item.package} lies in {directory}"
    if not LOWER_SNAKE.fullmatch(name.removesuffix(".proto")):
        yield "file-name", f"{name} isn't lower_snake_case"


def lint_rpc(item, users):
    if not PASCAL.fullmatch(item.short):
        yield "pascal-case", f"rpc {item.short}"
    service = item.parent.rsplit(".", 1)[-1]
    for role, used in (("Request", item.request), ("Response", item.response)):
        names = {item.short + role, service + item.short + role}
        if used.rsplit(".", 1)[-1] not in names:
            yield "rpc-message-name", f"rpc {item.short} takes or gives {used}; name it {item.short}{role}"
        if len(users[used]) > 1:
            yield "rpc-message-unique", f"{used} serves {' and '.join(sorted(users[used]))}"


def lint_item(item, users):
    """(rule, message) of each fault of one declaration."""
    if item.kind == "file":
        yield from lint_file(item)
        return
    if not item.comment:
        yield "comment", f"{item.kind} {item.name} has no comment"
    if item.kind in ("message", "enum", "service") and not PASCAL.fullmatch(item.short):
        yield "pascal-case", f"{item.kind} {item.short}"
    if item.kind in ("field", "oneof") and not LOWER_SNAKE.fullmatch(item.short):
        yield "lower-snake-case", f"{item.kind} {item.name}"
    if item.kind == "enum" and item.alias:
        yield "enum-alias", f"enum {item.name} allows aliases"
    if item.kind == "value":
        prefix = upper_snake(item.parent.rsplit(".", 1)[-1]) + "_"
        if not UPPER_SNAKE.fullmatch(item.short) or not item.short.startswith(prefix):
            yield "enum-value-prefix", f"{item.short} doesn't start with {prefix}"
        if (item.number == 0) != (item.short == prefix + "UNSPECIFIED"):
            yield "enum-zero", f"{item.short} = {item.number}: zero is {prefix}UNSPECIFIED and only that"
    if item.kind == "service" and not item.short.endswith("Service"):
        yield "service-suffix", f"service {item.short} doesn't end in Service"
    if item.kind == "rpc":
        yield from lint_rpc(item, users)


def lint(items):
    """Findings as lines of text, only for files of ours."""
    ours = [item for item in items if item.file.startswith(OURS)]
    users = {}
    for item in ours:
        if item.kind == "rpc":
            users.setdefault(item.request, set()).add(item.short + " as request")
            users.setdefault(item.response, set()).add(item.short + " as response")
    return [f"{item.file}:{item.line}: {rule}: {message}" for item in ours for rule, message in lint_item(item, users)]


def shape(items):
    """What must not change: {declaration: {number or rpc: "name type"}}."""
    result = {}
    for item in items:
        if item.kind in ("message", "enum", "service"):
            result.setdefault(f"{item.kind} {item.name}", {})
        elif item.kind in ("field", "value"):
            owner = ("message " if item.kind == "field" else "enum ") + item.parent
            result.setdefault(owner, {})[str(item.number)] = f"{item.short} {item.type}".strip()
        elif item.kind == "rpc":
            result.setdefault(f"service {item.parent}", {})[item.short] = item.type
    return {owner: dict(sorted(members.items(), key=lambda pair: (pair[0].rjust(12), pair[0])))
            for owner, members in sorted(result.items())}


def compare(baseline, current):
    """(breaking, added): what the baseline has and the tree hasn't, and the other way round."""
    breaking, added = [], []
    for owner, members in baseline.items():
        if owner not in current:
            breaking.append(f"{owner} was removed")
            continue
        for key, was in members.items():
            now = current[owner].get(key)
            if now is None:
                breaking.append(f"{owner}: {key} ({was}) was removed")
            elif now != was:
                breaking.append(f"{owner}: {key} was '{was}' and is '{now}'")
    for owner, members in current.items():
        if owner not in baseline:
            added.append(owner)
        added += [f"{owner}: {key} ({now})" for key, now in members.items() if key not in baseline.get(owner, {})]
    return breaking, added


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[3] / "proto")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--accept-breaking", action="store_true")
    options = parser.parse_args()
    try:
        items = descriptors.load(options.root)
    except RuntimeError as error:
        print(error)
        return 1
    findings = lint(items)
    file = options.root / "baseline.json"
    baseline = json.loads(file.read_text()) if file.exists() else {}
    breaking, added = compare(baseline, shape(items))
    if options.update and (options.accept_breaking or not breaking):
        file.write_text(json.dumps(shape(items), indent=1) + "\n")
        print(f"proto_lint: {file} has {len(breaking)} removals or changes and {len(added)} additions more")
        breaking, added = [], []
    findings += [f"breaking: {line}" for line in breaking]
    if added:
        findings += [f"not in the baseline: {line}" for line in added]
        findings.append("take additions in with: python3 tests/proto/lint/proto_lint.py --update")
    for line in findings:
        print(line)
    print(f"proto_lint: {sum(item.kind == 'file' for item in items)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
