// Changes of the membership (§6, diss. 4): the guards, the way into a joint configuration and out.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/encoding.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

// R13, R18: one at a time, and none before an entry of the own term is committed (the erratum of
// the single-server change: two leaders could otherwise each hold a change that the other lacks).
RejectReason Raft::CheckChange(const Leader& leader) const {
  if (leader.transfer) return RejectReason::kTransferring;
  if (commit_ < leader.term_start && !CATAMARAN_RAFT_BUG(kChangeBeforeOwnCommit)) {
    return RejectReason::kNoCommitInTerm;
  }
  if (membership().is_joint()) return RejectReason::kChangeInProgress;
  if (membership_index() > commit_ && !CATAMARAN_RAFT_BUG(kSecondChange)) {
    return RejectReason::kChangeInProgress;
  }
  return RejectReason::kNone;
}

// R15: a new voter must have caught up, and a majority of the new voters must answer; otherwise the
// change would only stop the group.
RejectReason Raft::CheckNewVoters(const Leader& leader, const Membership& to) const {
  if (!to.is_joint()) return RejectReason::kNone;
  for (const Member& voter : to.voters) {
    if (IsVoter(membership(), voter.id) || CATAMARAN_RAFT_BUG(kPromotesLagging)) continue;
    auto it = leader.peers.find(voter.id);
    if (it == leader.peers.end() || !it->second.IsCaughtUp(config_, now_)) {
      return RejectReason::kNotCaughtUp;
    }
  }
  Membership incoming;
  incoming.voters = to.voters;
  const bool reachable = HasQuorum(incoming, [&](const ReplicaId& id) {
    if (id == config_.self) return true;
    auto it = leader.peers.find(id);
    return it != leader.peers.end() && it->second.heard_at &&
           now_ - *it->second.heard_at < config_.election_timeout_min;
  });
  return reachable ? RejectReason::kNone : RejectReason::kUnreachable;
}

void Raft::ProposeMembership(MonotonicTime now, RequestId id, const MembershipChange& change) {
  Advance(now);
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return RejectProposal(id, RejectReason::kNotLeader);
  if (const RejectReason reason = CheckChange(*leader); reason != RejectReason::kNone) {
    return RejectProposal(id, reason);
  }
  absl::StatusOr<Membership> to = ApplyChange(membership(), change);
  if (!to.ok()) return RejectProposal(id, RejectReason::kInvalidChange);
  if (const RejectReason reason = CheckNewVoters(*leader, *to); reason != RejectReason::kNone) {
    return RejectProposal(id, reason);
  }
  AppendMembership(leader, *to);
  proposals_.push_back({id, log_.end(), std::nullopt});
}

void Raft::AppendMembership(Leader* leader, const Membership& membership) {
  AppendToLog(Entry{log_.last() + 1, term(), EntryKind::kMembership,
                    Buffer::FromString(EncodeMembership(membership))});
  AdoptPeers(leader);
  if (CATAMARAN_RAFT_BUG(kJointLeftEarly) && membership.is_joint()) {
    AppendMembership(leader, LeaveJoint(membership));
  }
}

// The leader replicates to whom the latest membership names.
void Raft::AdoptPeers(Leader* leader) {
  std::erase_if(leader->peers,
                [&](const auto& peer) { return FindMember(membership(), peer.first) == nullptr; });
  for (const ReplicaId& id : AllIds(membership())) {
    if (id != config_.self) leader->peers.try_emplace(id, log_.last() + 1, now_);
  }
  if (leader->transfer && !leader->peers.contains(leader->transfer->target)) {
    leader->transfer.reset();
  }
}

// Also called when more is committed after it: a leader that inherits a joint configuration leaves
// it only after an entry of its own term (R14).
void Raft::OnMembershipCommitted() {
  auto* leader = std::get_if<Leader>(&role_);
  if (CATAMARAN_RAFT_BUG(kConfigOnCommit) && leader != nullptr) AdoptPeers(leader);
  const bool is_member = FindMember(membership(), config_.self) != nullptr;
  if (was_member_ && !is_member) output_.removed = true;
  was_member_ = was_member_ || is_member;
  if (leader == nullptr || commit_ < leader->term_start) return;
  if (membership().is_joint()) {
    if (membership_index() <= commit_) AppendMembership(leader, LeaveJoint(membership()));
    return;
  }
  if (IsVoter(membership(), config_.self)) return;
  // Diss. 4.2.2: it has led until the configuration without itself was committed; whoever has all
  // of the log need not wait for a timeout.
  for (const Member& voter : membership().voters) {
    if (MatchOf(*leader, voter.id) == log_.last()) {
      SendTo(voter.id, TimeoutNow{});
      break;
    }
  }
  BecomeFollower(term(), std::nullopt);
}

}  // namespace catamaran::raft
