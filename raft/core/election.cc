// Elections: PreVote, CheckQuorum's part on the voters' side, votes (§5.2, §5.4.1,
// diss. 4.2.3, 9.6).
#include <algorithm>

#include "base/check.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

const char* ToString(RoleName name) {
  switch (name) {
    case RoleName::kFollower:
      return "follower";
    case RoleName::kPreCandidate:
      return "pre-candidate";
    case RoleName::kCandidate:
      return "candidate";
    case RoleName::kLeader:
      return "leader";
  }
  return "?";
}

MonotonicTime Raft::RandomElectionDeadline() {
  const int64_t least = config_.election_timeout_min.count();
  return now_ + Duration(random_.Between(least, 2 * least - 1));
}

// After a lost election: soon, since a pre-vote disturbs nobody, but later each time, so that slow
// disks and networks get the time that they need.
MonotonicTime Raft::RandomRetryDeadline() {
  constexpr int kDoublingsMax = 16;
  const int64_t least = std::min(config_.election_timeout_min.count(),
                                 2 * config_.heartbeat_interval.count()
                                     << std::min(failed_elections_, kDoublingsMax));
  return now_ + Duration(random_.Between(least, 2 * least - 1));
}

void Raft::BecomeFollower(Term term, std::optional<ReplicaId> leader) {
  CATAMARAN_CHECK(term >= this->term(), "nobody follows into the past");
  if (term > this->term()) SetHardState(term, std::nullopt);
  if (auto* follower = std::get_if<Follower>(&role_)) {
    follower->leader = leader;
    return;
  }
  if (auto* was_leader = std::get_if<Leader>(&role_)) {
    RefuseReads(was_leader);
    for (PendingProposal& proposal : proposals_) {
      if (!proposal.give_up) proposal.give_up = now_ + config_.election_timeout_min;
    }
  }
  role_ = Follower{leader, RandomElectionDeadline()};
}

void Raft::BecomePreCandidate() {
  CATAMARAN_CHECK(role() != RoleName::kLeader, "a leader doesn't campaign");
  PreCandidate role;
  role.votes[config_.self] = true;
  role.election_deadline = RandomRetryDeadline();
  role_ = std::move(role);
  for (const ReplicaId& id : AllIds(membership())) {
    if (id != config_.self && IsVoter(membership(), id)) {
      Send(id, Term(term().value() + 1), PreVoteRequest{log_.end()});
    }
  }
  CountPreVotes();
}

void Raft::BecomeCandidate(bool transfer) {
  CATAMARAN_CHECK(role() == RoleName::kPreCandidate || role() == RoleName::kFollower,
                  "candidates come from pre-candidates, or were told to campaign");
  SetHardState(Term(term().value() + 1), config_.self);
  vote_handle_ = last_handle_ + 1;
  Candidate role;
  role.transfer = transfer;
  role.election_deadline = RandomRetryDeadline();
  role_ = std::move(role);
  for (const ReplicaId& id : AllIds(membership())) {
    if (id != config_.self && IsVoter(membership(), id)) {
      SendTo(id, VoteRequest{log_.end(), transfer});
    }
  }
  if (CATAMARAN_RAFT_BUG(kSelfVoteBeforeSync)) OnOwnVoteDurable();
}

void Raft::BecomeLeader() {
  CATAMARAN_CHECK(role() == RoleName::kCandidate, "only an elected candidate leads");
  failed_elections_ = 0;
  incoming_.reset();
  leader_heard_at_.reset();
  Leader role;
  role.since = now_;
  role.quorum_check_due = now_ + config_.heartbeat_interval;
  role.term_start = log_.last() + 1;
  role_ = std::move(role);
  auto& leader = std::get<Leader>(role_);
  AdoptPeers(&leader);  // before the no-op, so that it's the first thing sent to who holds all else
  AppendToLog(Entry{log_.last() + 1, term(), EntryKind::kNoOp, Buffer()});
  BeginRound(&leader);
  MaybeCommit();
}

bool Raft::HearsLeader() const {
  if (role() == RoleName::kLeader) return true;
  return leader_heard_at_ && now_ - *leader_heard_at_ < config_.election_timeout_min;
}

void Raft::HearLeader(const ReplicaId& leader) {
  BecomeFollower(term(), leader);
  leader_heard_at_ = now_;
  failed_elections_ = 0;
  std::get<Follower>(role_).election_deadline = RandomElectionDeadline();
}

// Diss. 4.2.2: who loses its vote by a configuration that may not be committed still campaigns. It
// may be the only one with that entry, and then nobody else can be elected.
bool Raft::MayCampaign() const {
  if (removed_) return false;
  return IsVoter(membership(), config_.self) || IsVoter(memberships_.At(commit_), config_.self);
}

void Raft::TickElection() {
  if (auto* follower = std::get_if<Follower>(&role_)) {
    if (now_ < follower->election_deadline) return;
    if (!MayCampaign()) {
      follower->leader.reset();
      follower->election_deadline = RandomElectionDeadline();
      return;
    }
    Campaign();
    return;
  }
  const MonotonicTime deadline = role() == RoleName::kPreCandidate
                                     ? std::get<PreCandidate>(role_).election_deadline
                                     : std::get<Candidate>(role_).election_deadline;
  if (now_ < deadline) return;
  ++failed_elections_;
  if (MayCampaign()) {
    Campaign();
  } else {
    BecomeFollower(term(), std::nullopt);
  }
}

void Raft::Campaign() {
  const Membership& group = membership();
  const bool alone =
      group.voters.size() == 1 && !group.is_joint() && IsIncomingVoter(group, config_.self);
  if (!alone) {
    BecomePreCandidate();
    return;
  }
  // A sole voter whose vote isn't durable yet waits for it; a new term would gain nothing.
  if (auto* candidate = std::get_if<Candidate>(&role_)) {
    candidate->election_deadline = RandomElectionDeadline();
    return;
  }
  BecomeCandidate(false);
}

void Raft::CountPreVotes() {
  const auto& votes = std::get<PreCandidate>(role_).votes;
  const bool won = HasQuorum(membership(), [&](const ReplicaId& id) {
    auto it = votes.find(id);
    return it != votes.end() && it->second;
  });
  if (won) BecomeCandidate(false);
}

void Raft::CountVotes() {
  const auto& votes = std::get<Candidate>(role_).votes;
  const bool won = HasQuorum(membership(), [&](const ReplicaId& id) {
    auto it = votes.find(id);
    return it != votes.end() && it->second;
  });
  if (won) BecomeLeader();
}

void Raft::OnOwnVoteDurable() {
  std::get<Candidate>(role_).votes[config_.self] = true;
  CountVotes();
}

StepResult Raft::Handle(const ReplicaId& from, Term term, const PreVoteRequest& request) {
  if (CATAMARAN_RAFT_BUG(kPreVoteRaisesTerm) && term > this->term() && !HearsLeader()) {
    BecomeFollower(term, std::nullopt);
    Send(from, term, PreVoteReply{LogIsAtLeast(request.last)});
    return StepResult::kTaken;
  }
  if (HearsLeader() && !CATAMARAN_RAFT_BUG(kIgnoresLease)) return StepResult::kTaken;
  if (term > this->term() && LogIsAtLeast(request.last)) {
    Send(from, term, PreVoteReply{true});
  } else {
    SendTo(from, PreVoteReply{false});
  }
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term term, const PreVoteReply& reply) {
  auto* role = std::get_if<PreCandidate>(&role_);
  if (role == nullptr) return StepResult::kTaken;
  if (reply.granted && term.value() != this->term().value() + 1) return StepResult::kTaken;
  role->votes[from] = reply.granted;
  CountPreVotes();
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term term, const VoteRequest& request) {
  const bool free =
      !hard_state_.vote || *hard_state_.vote == from || CATAMARAN_RAFT_BUG(kVoteTwice);
  const bool granted = free && (LogIsAtLeast(request.last) || CATAMARAN_RAFT_BUG(kVoteIgnoresLog));
  if (granted) {
    if (hard_state_.vote != from) SetHardState(term, from);
    if (auto* follower = std::get_if<Follower>(&role_)) {
      follower->election_deadline = RandomElectionDeadline();
    }
  }
  SendTo(from, VoteReply{granted});
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term, const VoteReply& reply) {
  auto* role = std::get_if<Candidate>(&role_);
  if (role == nullptr) return StepResult::kTaken;
  role->votes[from] = reply.granted;
  CountVotes();
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term, const TimeoutNow&) {
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != from || !MayCampaign()) return StepResult::kTaken;
  BecomeCandidate(true);
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId&, Term, const NotMember& notice) {
  // Who knows a newer membership knows better.
  if (notice.membership_index < membership_index()) return StepResult::kTaken;
  removed_ = true;
  output_.removed = true;
  if (role() != RoleName::kLeader) BecomeFollower(term(), std::nullopt);
  return StepResult::kTaken;
}

}  // namespace catamaran::raft
