// One-line bugs, planted where Raft implementations have had them, so that a test can prove that
// the simulation finds each (tests/raft/sim). Only in the variant of the library that is compiled
// with CATAMARAN_RAFT_BUGS; otherwise CATAMARAN_RAFT_BUG is the constant false.
#pragma once

// X(enumerator, name on the command line)
#define CATAMARAN_RAFT_PLANTED_BUGS(X)                   \
  X(kVoteBeforeSync, "vote_before_sync")                 \
  X(kAckBeforeSync, "ack_before_sync")                   \
  X(kEmptyAckBeforeSync, "empty_ack_before_sync")        \
  X(kSelfVoteBeforeSync, "self_vote_before_sync")        \
  X(kVoteTwice, "vote_twice")                            \
  X(kVoteIgnoresLog, "vote_ignores_log")                 \
  X(kTermNotPersisted, "term_not_persisted")             \
  X(kCommitOldTerm, "commit_old_term")                   \
  X(kQuorumOffByOne, "quorum_off_by_one")                \
  X(kLearnerCounted, "learner_counted")                  \
  X(kLeaderCountsEarly, "leader_counts_early")           \
  X(kAckSaysLogEnd, "ack_says_log_end")                  \
  X(kReadWithoutOwnCommit, "read_without_own_commit")    \
  X(kReadReusesRound, "read_reuses_round")               \
  X(kConfigOnCommit, "config_on_commit")                 \
  X(kJointLeftEarly, "joint_left_early")                 \
  X(kJointOneHalf, "joint_one_half")                     \
  X(kSecondChange, "second_change")                      \
  X(kChangeBeforeOwnCommit, "change_before_own_commit")  \
  X(kSnapshotKeepsSuffix, "snapshot_keeps_suffix")       \
  X(kSnapshotOldMembership, "snapshot_old_membership")   \
  X(kRestoreBeforeSync, "restore_before_sync")           \
  X(kApplyUncommitted, "apply_uncommitted")              \
  X(kPreVoteRaisesTerm, "pre_vote_raises_term")          \
  X(kIgnoresLease, "ignores_lease")                      \
  X(kNoCheckQuorum, "no_check_quorum")                   \
  X(kTransferTakesProposals, "transfer_takes_proposals") \
  X(kTransferToLagging, "transfer_to_lagging")           \
  X(kTruncatesOnOldAppend, "truncates_on_old_append")    \
  X(kPromotesLagging, "promotes_lagging")                \
  X(kRestartForgetsMembership, "restart_forgets_membership")

#if defined(CATAMARAN_RAFT_BUGS)

#include <cstdint>

namespace catamaran::raft {
enum class PlantedBug : uint8_t {
  kNone,
#define X(enumerator, name) enumerator,
  CATAMARAN_RAFT_PLANTED_BUGS(X)
#undef X
};
inline PlantedBug planted_bug = PlantedBug::kNone;  // set before any core runs
}  // namespace catamaran::raft

#define CATAMARAN_RAFT_BUG(bug) \
  (::catamaran::raft::planted_bug == ::catamaran::raft::PlantedBug::bug)
#else
#define CATAMARAN_RAFT_BUG(bug) false
#endif
