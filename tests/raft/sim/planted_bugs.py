#!/usr/bin/env python3
"""Proves that the simulation finds each planted bug (raft/core/planted_bugs.h) within its number of seeds.

  planted_bugs.py BINARY [NAME...]     BINARY is catamaran_raft_sim_bugs; without names: all

The numbers are about three times and more what was needed when they were set, so that a change of the order in which
things happen doesn't matter, but a checker that went blind does. Fails, too, when a bug has no row here.
"""

import re
import subprocess
import sys
import time

# Name: seeds, from seed 1 on.
BUDGETS = {
    "vote_before_sync": 40,
    "ack_before_sync": 40,
    "empty_ack_before_sync": 40,
    "self_vote_before_sync": 40,
    "vote_twice": 40,
    "vote_ignores_log": 40,
    "term_not_persisted": 40,
    "commit_old_term": 40,
    "quorum_off_by_one": 40,
    "learner_counted": 40,
    "leader_counts_early": 40,
    "read_without_own_commit": 40,
    "config_on_commit": 40,
    "snapshot_old_membership": 40,
    "restore_before_sync": 40,
    "apply_uncommitted": 40,
    "pre_vote_raises_term": 40,
    "ignores_lease": 40,
    "no_check_quorum": 40,
    "transfer_to_lagging": 40,
    "truncates_on_old_append": 40,
    "joint_left_early": 60,
    "transfer_takes_proposals": 60,
    "second_change": 100,
    "restart_forgets_membership": 100,
    "promotes_lagging": 200,
    "change_before_own_commit": 100,
    "read_reuses_round": 200,
    "snapshot_keeps_suffix": 2_000,
    "ack_says_log_end": 2_000,
    "joint_one_half": 4_000,
}

TIMEOUT_SECONDS = 280


def run(binary, *arguments):
    done = subprocess.run([binary, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_SECONDS, check=False)
    return done.returncode, done.stdout


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, names = sys.argv[1], sys.argv[2:]
    _, usage = run(binary, "--help")
    known = usage.split("Planted bugs:")[-1].split()
    problems = [f"{name}: no row in BUDGETS" for name in known if name not in BUDGETS]
    problems += [f"{name}: no such bug in the binary" for name in BUDGETS if name not in known]
    for name in names or BUDGETS:
        began = time.monotonic()
        status, output = run(binary, f"--bug={name}", "--start=1", f"--seeds={BUDGETS[name]}")
        how = re.search(r"seed (\d+): found: (.*)|found by a CHECK in seed (\d+)", output)
        found = status == 0 and how is not None
        seed = (how.group(1) or how.group(3)) if how else "-"
        why = (how.group(2) or "a CHECK of the core") if how else "NOT FOUND"
        print(f"{name:26} seed {seed:>5} of {BUDGETS[name]:>5}  {time.monotonic() - began:6.1f} s  {why}", flush=True)
        if not found:
            problems.append(f"{name}: not found within {BUDGETS[name]} seeds")
    for problem in problems:
        print("planted_bugs:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
