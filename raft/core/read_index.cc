// Linearizable reads without clocks (diss. 6.4): the commit index of a leader that has committed in
// its term, once a quorum has answered a heartbeat that was sent after the read came.
#include <algorithm>
#include <utility>

#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

void Raft::ReadIndex(MonotonicTime now, RequestId id) {
  Advance(now);
  if (auto* leader = std::get_if<Leader>(&role_)) {
    AddRead(leader, WaitingRead{id});
    return;
  }
  const std::optional<ReplicaId> to = this->leader();
  if (!to || asked_reads_.size() >= config_.reads_waiting_max) {
    output_.reads.push_back({id, false, kNoIndex});
    return;
  }
  asked_reads_.push_back({id, now_ + config_.election_timeout_min});
  SendTo(*to, ReadIndexRequest{id, nonce_});
}

void Raft::AddRead(Leader* leader, WaitingRead read) {
  if (leader->reads.size() >= config_.reads_waiting_max) {
    AnswerRead(read, false);
    return;
  }
  leader->reads.push_back(std::move(read));
}

// All reads that came since the last output share one round.
void Raft::BeginReads(Leader* leader) {
  if (commit_ < leader->term_start && !CATAMARAN_RAFT_BUG(kReadWithoutOwnCommit)) return;
  const bool any = std::any_of(leader->reads.begin(), leader->reads.end(),
                               [](const WaitingRead& read) { return read.round == 0; });
  if (!any) return;
  const uint64_t round = CATAMARAN_RAFT_BUG(kReadReusesRound) ? 1 : leader->round + 1;
  for (WaitingRead& read : leader->reads) {
    if (read.round != 0) continue;
    read.round = round;
    read.index = commit_;
  }
  if (CATAMARAN_RAFT_BUG(kReadReusesRound)) {
    ReleaseReads(leader);
  } else {
    BeginRound(leader);
  }
}

void Raft::ReleaseReads(Leader* leader) {
  std::erase_if(leader->reads, [&](const WaitingRead& read) {
    if (read.round == 0) return false;
    const bool proved = HasQuorum(membership(), [&](const ReplicaId& id) {
      if (id == config_.self) return true;
      auto it = leader->peers.find(id);
      return it != leader->peers.end() && it->second.acked_round >= read.round;
    });
    if (proved) AnswerRead(read, true);
    return proved;
  });
}

void Raft::AnswerRead(const WaitingRead& read, bool granted) {
  const LogIndex index = granted ? read.index : kNoIndex;
  if (read.asked_by) {
    SendTo(*read.asked_by, ReadIndexReply{read.id, read.nonce, granted, index});
  } else {
    output_.reads.push_back({read.id, granted, index});
  }
}

void Raft::RefuseReads(Leader* leader) {
  for (const WaitingRead& read : leader->reads) AnswerRead(read, false);
  leader->reads.clear();
}

StepResult Raft::Handle(const ReplicaId& from, Term, const ReadIndexRequest& request) {
  WaitingRead read{request.id, from, request.nonce};
  if (auto* leader = std::get_if<Leader>(&role_)) {
    AddRead(leader, std::move(read));
  } else {
    AnswerRead(read, false);
  }
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId&, Term, const ReadIndexReply& reply) {
  if (reply.nonce != nonce_) return StepResult::kTaken;
  auto it = std::find_if(asked_reads_.begin(), asked_reads_.end(),
                         [&](const AskedRead& read) { return read.id == reply.id; });
  if (it == asked_reads_.end()) return StepResult::kTaken;
  output_.reads.push_back({reply.id, reply.granted, reply.index});
  asked_reads_.erase(it);
  return StepResult::kTaken;
}

}  // namespace catamaran::raft
