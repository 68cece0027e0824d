// What a follower does with a leader's appends and heartbeats (§5.3).
#include <algorithm>

#include "base/check.h"
#include "raft/core/encoding.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {
namespace {

// What a correct leader keeps: entries follow without gaps, terms don't fall, payloads can be read.
bool IsWellFormed(Term term, const AppendRequest& request) {
  if (request.previous.index < kNoIndex || request.commit < kNoIndex) return false;
  if (request.entries.size() > kAppendEntriesMax) return false;
  LogPosition at = request.previous;
  for (const Entry& entry : request.entries) {
    if (entry.index != at.index + 1 || entry.term < at.term) return false;
    if (entry.payload.size() > kEntryPayloadBytesMax) return false;
    if (entry.kind == EntryKind::kMembership && !DecodeMembership(entry.payload.view()).ok()) {
      return false;
    }
    at = {entry.term, entry.index};
  }
  return at.term <= term;
}

}  // namespace

StepResult Raft::Handle(const ReplicaId& from, Term term, const AppendRequest& request) {
  if (role() == RoleName::kLeader || !IsWellFormed(term, request)) return StepResult::kMalformed;
  HearLeader(from);
  const LogIndex last_sent = request.previous.index + static_cast<int64_t>(request.entries.size());
  if (request.previous.index < commit_ && !CATAMARAN_RAFT_BUG(kTruncatesOnOldAppend)) {
    // Late or double: what is committed is known to agree.
    SendTo(from, AppendReply{true, commit_});
    return StepResult::kTaken;
  }
  if (!log_.Matches(request.previous)) {
    SendTo(from, AppendReply{false, kNoIndex, request.previous.index,
                             log_.LastAtMost(request.previous.index, request.previous.term)});
    return StepResult::kTaken;
  }
  if (CATAMARAN_RAFT_BUG(kTruncatesOnOldAppend) && log_.last() > last_sent) {
    TruncateLog(last_sent + 1);
  }
  bool changed = false;
  for (const Entry& entry : request.entries) {
    const std::optional<Term> here = log_.TermAt(entry.index);
    if (here == entry.term) continue;  // what stands there agrees, and all that follows may
    if (here) TruncateLog(entry.index);
    AppendToLog(entry);
    changed = true;
  }
  CommitTo(std::min(request.commit, last_sent));
  const LogIndex match = CATAMARAN_RAFT_BUG(kAckSaysLogEnd) ? log_.last() : last_sent;
  if (CATAMARAN_RAFT_BUG(kEmptyAckBeforeSync) && !changed) {
    output_.messages.push_back(
        {config_.cluster, config_.self, from, term, AppendReply{true, match}});
    return StepResult::kTaken;
  }
  SendTo(from, AppendReply{true, match});
  return StepResult::kTaken;
}

StepResult Raft::Handle(const ReplicaId& from, Term, const Heartbeat& request) {
  if (role() == RoleName::kLeader) return StepResult::kMalformed;
  HearLeader(from);
  // At most what this log was proved to share with the leader's.
  CommitTo(request.commit);
  if (request.round != 0) SendTo(from, HeartbeatReply{request.round});
  return StepResult::kTaken;
}

}  // namespace catamaran::raft
