// The leader's side: proposals, appends to followers, commit, CheckQuorum, transfer (§5.3, §5.4.2,
// diss. 3.10, 6.2, 10.2).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

void Raft::RejectProposal(RequestId id, RejectReason reason) {
  output_.proposals.push_back({id, ProposalOutcome::kRejected, reason, LogPosition()});
}

void Raft::Propose(MonotonicTime now, RequestId id, Buffer payload) {
  Advance(now);
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return RejectProposal(id, RejectReason::kNotLeader);
  if (leader->transfer && !CATAMARAN_RAFT_BUG(kTransferTakesProposals)) {
    return RejectProposal(id, RejectReason::kTransferring);
  }
  if (payload.size() > kEntryPayloadBytesMax) return RejectProposal(id, RejectReason::kTooLarge);
  const auto uncommitted = static_cast<size_t>(log_.last() - commit_);
  const size_t cost = payload.size() + kEntryOverheadBytes;
  if (uncommitted >= config_.uncommitted_entries_max ||
      leader->uncommitted_bytes + cost > config_.uncommitted_bytes_max) {
    return RejectProposal(id, RejectReason::kOverloaded);
  }
  Entry entry{log_.last() + 1, term(), EntryKind::kCommand, std::move(payload)};
  leader->uncommitted_bytes += cost;
  proposals_.push_back({id, {entry.term, entry.index}, std::nullopt});
  AppendToLog(std::move(entry));
}

Progress* Raft::Peer(const ReplicaId& id) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return nullptr;
  auto it = leader->peers.find(id);
  return it == leader->peers.end() ? nullptr : &it->second;
}

LogIndex Raft::MatchOf(const Leader& leader, const ReplicaId& id) const {
  if (id == config_.self) return CATAMARAN_RAFT_BUG(kLeaderCountsEarly) ? log_.last() : durable_;
  auto it = leader.peers.find(id);
  return it == leader.peers.end() ? kNoIndex : it->second.match();
}

void Raft::MaybeCommit() {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  const LogIndex reached =
      QuorumIndex(membership(), [&](const ReplicaId& id) { return MatchOf(*leader, id); });
  // §5.4.2: entries of earlier terms are committed by one of this term after them only.
  if (reached > commit_ && (reached >= leader->term_start || CATAMARAN_RAFT_BUG(kCommitOldTerm))) {
    CommitTo(reached);
  }
}

StepResult Raft::Handle(const ReplicaId& from, Term, const AppendReply& reply) {
  Progress* progress = Peer(from);
  if (progress == nullptr) return StepResult::kTaken;
  if (reply.match > log_.last()) return StepResult::kMalformed;
  progress->heard_at = now_;
  if (!reply.success) {
    progress->LowerNext(reply.refused, log_.LastAtMost(reply.hint.index, reply.hint.term).index);
    return StepResult::kTaken;
  }
  const bool raised = progress->RaiseMatch(reply.match);
  const SendingSnapshot* snapshot = progress->snapshot();
  if (progress->probing() != nullptr ||
      (snapshot != nullptr && progress->match() >= log_.base().index)) {
    progress->BecomeReplicating();
  } else if (snapshot != nullptr && progress->match() >= snapshot->meta.last.index) {
    progress->BecomeSendingSnapshot(snapshot_);  // what it was being sent is of no use any more
  }
  if (raised) OnMatchRaised(from);
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term, const HeartbeatReply& reply) {
  auto* leader = std::get_if<Leader>(&role_);
  Progress* progress = Peer(from);
  if (progress == nullptr) return StepResult::kTaken;
  if (reply.round > leader->round) return StepResult::kMalformed;
  progress->heard_at = now_;
  progress->acked_round = std::max(progress->acked_round, reply.round);
  progress->MaybeForget(config_, now_);
  progress->ObserveCatchUp(config_, log_.last(), now_);
  ReleaseReads(leader);
  return StepResult::kTaken;
}

void Raft::OnMatchRaised(const ReplicaId& id) {
  Peer(id)->ObserveCatchUp(config_, log_.last(), now_);
  // First, since it may append the end of a joint configuration, or end the leadership.
  MaybeCommit();
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr || !leader->transfer) return;
  if (leader->transfer->target == id) MaybeFinishTransfer(leader);
}

void Raft::BeginRound(Leader* leader) {
  ++leader->round;
  leader->heartbeat_due = now_ + config_.heartbeat_interval;
  for (auto& [id, progress] : leader->peers) {
    const LogIndex commit = std::min(commit_, progress.match());
    progress.commit_sent = std::max(progress.commit_sent, commit);
    SendTo(id, Heartbeat{commit, leader->round});
  }
  ReleaseReads(leader);  // a sole voter has answered itself
}

bool Raft::HeardQuorum(const Leader& leader, Duration within) const {
  return HasQuorum(membership(), [&](const ReplicaId& id) {
    if (id == config_.self) return true;
    auto it = leader.peers.find(id);
    return it != leader.peers.end() && it->second.heard_at && now_ - *it->second.heard_at < within;
  });
}

void Raft::TickLeader() {
  auto* leader = &std::get<Leader>(role_);
  if (leader->transfer && now_ >= leader->transfer->deadline) leader->transfer.reset();
  if (now_ >= leader->quorum_check_due) {
    leader->quorum_check_due = now_ + config_.heartbeat_interval;
    if (now_ - leader->since >= config_.election_timeout_min &&
        !HeardQuorum(*leader, config_.election_timeout_min) &&
        !CATAMARAN_RAFT_BUG(kNoCheckQuorum)) {
      BecomeFollower(term(), std::nullopt);
      return;
    }
  }
  if (now_ < leader->heartbeat_due) return;
  if (leader->transfer) {
    leader->transfer->told = false;  // TimeoutNow may have been lost
    MaybeFinishTransfer(leader);
  }
  BeginRound(leader);
}

// ---- appends ----

void Raft::SendAppends(Leader* leader) {
  for (auto& [id, progress] : leader->peers) {
    while (progress.MaySend(config_)) {
      if (progress.snapshot() != nullptr) {
        SendChunk(id, &progress);
        break;
      }
      if (!log_.TermAt(progress.next() - 1)) {
        progress.BecomeSendingSnapshot(snapshot_);
        continue;
      }
      if (progress.replicating() != nullptr && progress.next() > log_.last()) break;
      SendAppend(id, &progress);
    }
    // What was sent before it was committed is committed now.
    const LogIndex commit = std::min(commit_, progress.match());
    if (commit > progress.commit_sent && progress.next() > log_.last()) {
      progress.commit_sent = commit;
      SendTo(id, Heartbeat{commit, 0});
    }
  }
}

void Raft::SendAppend(const ReplicaId& to, Progress* progress) {
  AppendRequest request;
  request.previous = {*log_.TermAt(progress->next() - 1), progress->next() - 1};
  request.commit = commit_;
  request.entries = log_.Slice(progress->next(), log_.last(), config_.append_entries_max,
                               config_.append_bytes_max);
  const LogIndex last = request.previous.index + static_cast<int64_t>(request.entries.size());
  size_t bytes = 0;
  for (const Entry& entry : request.entries) bytes += CostOf(entry);
  progress->commit_sent = std::max(progress->commit_sent, std::min(commit_, last));
  progress->Sent(last, bytes, now_);
  SendTo(to, std::move(request));
}

// ---- transfer ----

RejectReason Raft::TransferLeadership(MonotonicTime now, std::optional<ReplicaId> target) {
  Advance(now);
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return RejectReason::kNotLeader;
  if (leader->transfer) return RejectReason::kTransferring;
  if (!target) {
    for (const Member& voter : membership().voters) {
      const Progress* progress = Peer(voter.id);
      if (progress == nullptr) continue;
      if (!target || Peer(*target)->match() < progress->match()) target = voter.id;
    }
  }
  if (!target || *target == config_.self || !IsIncomingVoter(membership(), *target)) {
    return RejectReason::kInvalidChange;
  }
  leader->transfer = Transfer{*target, now_ + config_.election_timeout_min};
  MaybeFinishTransfer(leader);
  return RejectReason::kNone;
}

void Raft::MaybeFinishTransfer(Leader* leader) {
  Transfer& transfer = *leader->transfer;
  const bool complete = MatchOf(*leader, transfer.target) == log_.last();
  if (transfer.told || (!complete && !CATAMARAN_RAFT_BUG(kTransferToLagging))) return;
  transfer.told = true;
  SendTo(transfer.target, TimeoutNow{});
}

bool Raft::transferring() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && leader->transfer.has_value();
}

// ---- what there is ----

std::optional<MonotonicTime> Raft::leader_since() const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return std::nullopt;
  return leader->since;
}

std::vector<MemberStatus> Raft::MemberStatuses() const {
  std::vector<MemberStatus> statuses;
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return statuses;
  for (const auto& [id, progress] : leader->peers) {
    MemberStatus status;
    status.id = id;
    status.voter = IsVoter(membership(), id);
    status.match = progress.match();
    status.next = progress.next();
    if (progress.heard_at) status.silent_for = now_ - *progress.heard_at;
    status.caught_up = progress.IsCaughtUp(config_, now_);
    status.phase = progress.phase_name();
    statuses.push_back(status);
  }
  return statuses;
}

}  // namespace catamaran::raft
