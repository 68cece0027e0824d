#include "raft/core/quorum_keeper.h"

#include <algorithm>

#include "base/check.h"
#include "raft/core/config.h"

namespace catamaran::raft {
namespace {

// Voters that are dead, and learners that may take a place, in the order of their ids.
struct Candidates {
  std::vector<ReplicaId> dead_voters;
  std::vector<ReplicaId> live_voters;  // without the leader
  std::vector<ReplicaId> ready_learners;
};

Candidates Sort(const QuorumKeeperConfig& config, const Membership& membership, Duration led_for,
                const std::vector<MemberStatus>& members) {
  Candidates sorted;
  for (const MemberStatus& member : members) {
    if (member.voter) {
      const Duration silent = member.silent_for.value_or(led_for);
      (silent >= config.dead_after ? sorted.dead_voters : sorted.live_voters).push_back(member.id);
      continue;
    }
    // A node that votes under another directory already gives no second voter.
    const bool node_votes =
        std::any_of(membership.voters.begin(), membership.voters.end(),
                    [&](const Member& voter) { return voter.id.node == member.id.node; });
    if (member.caught_up && !node_votes) sorted.ready_learners.push_back(member.id);
  }
  return sorted;
}

// The dead one's place goes to another; it stays as a learner, and may come back into its own.
MembershipChange Replace(const Candidates& candidates) {
  MembershipChange change;
  const size_t count = std::min(candidates.dead_voters.size(), candidates.ready_learners.size());
  for (size_t i = 0; i < count; ++i) {
    change.push_back(PromoteLearner{candidates.ready_learners[i]});
    change.push_back(DemoteVoter{candidates.dead_voters[i]});
  }
  return change;
}

}  // namespace

QuorumKeeper::QuorumKeeper(const QuorumKeeperConfig& config) : config_(config) {
  CATAMARAN_CHECK(
      config.target >= 1 && config.target <= static_cast<int>(kVotersMax) && config.target % 2 == 1,
      "the target is 1, 3, 5 or 7");
}

std::optional<MembershipChange> QuorumKeeper::Advise(MonotonicTime now, const ReplicaId& self,
                                                     const Membership& membership, bool busy,
                                                     MonotonicTime since,
                                                     const std::vector<MemberStatus>& members) {
  const bool too_soon = advised_at_ && now - *advised_at_ < config_.pause;
  if (busy || too_soon || membership.is_joint() || !IsVoter(membership, self)) return std::nullopt;
  const Candidates candidates = Sort(config_, membership, now - since, members);
  const auto voters = static_cast<int>(membership.voters.size());
  MembershipChange change;
  if (voters > config_.target || (voters == config_.target && voters % 2 == 0)) {
    // The dead first; among the living anyone but the leader.
    const auto& leaving =
        candidates.dead_voters.empty() ? candidates.live_voters : candidates.dead_voters;
    if (!leaving.empty()) change.push_back(DemoteVoter{leaving.back()});
  } else if (!candidates.dead_voters.empty() && !candidates.ready_learners.empty()) {
    change = Replace(candidates);
  } else if (voters < config_.target) {
    // To an odd number: from an even one by one, from an odd one by two.
    const size_t missing = voters % 2 == 0 ? 1 : 2;
    for (size_t i = 0; i < missing && candidates.ready_learners.size() >= missing; ++i) {
      change.push_back(PromoteLearner{candidates.ready_learners[i]});
    }
  }
  if (change.empty()) return std::nullopt;
  advised_at_ = now;
  return change;
}

std::optional<MembershipChange> QuorumKeeper::Advise(MonotonicTime now, const Raft& raft) {
  const std::optional<MonotonicTime> since = raft.leader_since();
  if (!since) return std::nullopt;
  const bool busy = raft.transferring() || raft.membership_index() > raft.commit();
  return Advise(now, raft.config().self, raft.membership(), busy, *since, raft.MemberStatuses());
}

}  // namespace catamaran::raft
