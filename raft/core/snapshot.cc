// Snapshots (§7, diss. 5): taking one, sending it in chunks, receiving it, installing it.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

// ---- taking ----

std::optional<SnapshotMeta> Raft::DescribeSnapshot(LogIndex index) const {
  if (index <= snapshot_.last.index || index > applied_) return std::nullopt;
  CATAMARAN_CHECK(!memberships_.At(index).voters.empty(), "who has applied something is a member");
  SnapshotMeta meta;
  meta.last = {*log_.TermAt(index), index};
  meta.membership = memberships_.At(index);
  return meta;
}

void Raft::SnapshotTaken(SnapshotMeta meta) {
  if (meta.last.index <= snapshot_.last.index) return;  // overtaken by one that was received
  CATAMARAN_CHECK(meta.last.index <= applied_ && log_.Matches(meta.last),
                  "a snapshot is of what was applied");
  LogIndex through = meta.last.index - config_.entries_kept;
  // Whoever is being sent an older snapshot needs what follows it, or would never be done; unless
  // it takes so long that the log grows without bound.
  constexpr size_t kOvergrown = 4;
  if (log_.bytes() < kOvergrown * config_.snapshot_after_bytes) {
    for (const LogPosition& in_use : SnapshotsInUse()) through = std::min(through, in_use.index);
  }
  if (log_.bytes() >= config_.snapshot_after_bytes) through = meta.last.index;
  snapshot_ = std::move(meta);
  snapshot_dirty_ = true;
  memberships_.ForgetBefore(snapshot_.last.index);
  if (through <= log_.base().index) return;
  log_.CompactThrough(through);
  compact_through_ = std::max(compact_through_.value_or(through), through);
}

std::vector<LogPosition> Raft::SnapshotsInUse() const {
  std::vector<LogPosition> in_use;
  const auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return in_use;
  for (const auto& [id, progress] : leader->peers) {
    const SendingSnapshot* snapshot = progress.snapshot();
    if (snapshot == nullptr || !progress.heard_at) continue;
    if (now_ - *progress.heard_at >= config_.election_timeout_min) continue;
    in_use.push_back(snapshot->meta.last);
  }
  return in_use;
}

// ---- sending ----

void Raft::SendChunk(const ReplicaId& to, Progress* progress) {
  SendingSnapshot& sending = *progress->snapshot();
  SnapshotChunk chunk;
  chunk.meta = sending.meta;
  chunk.offset = sending.offset;
  const uint64_t rest = sending.meta.bytes - sending.offset;
  // An offer first: the follower may have a part of it already.
  chunk.length = sending.offered ? std::min<uint64_t>(rest, config_.snapshot_chunk_bytes_max) : 0;
  chunk.sequence = ++sending.sequence;
  sending.in_flight = true;
  sending.sent_at = now_;
  SendTo(to, std::move(chunk));
}

StepResult Raft::Handle(const ReplicaId& from, Term, const SnapshotReply& reply) {
  Progress* progress = Peer(from);
  if (progress == nullptr) return StepResult::kTaken;
  progress->heard_at = now_;
  SendingSnapshot* sending = progress->snapshot();
  if (sending == nullptr || sending->meta.last != reply.last ||
      sending->sequence != reply.sequence) {
    return StepResult::kTaken;  // late or double: the one in flight is answered once
  }
  switch (reply.status) {
    case SnapshotStatus::kContinue:
      if (reply.next_offset > sending->meta.bytes) return StepResult::kMalformed;
      sending->offset = reply.next_offset;
      sending->offered = true;
      sending->in_flight = false;
      break;
    case SnapshotStatus::kInstalled:
      progress->RaiseMatch(reply.last.index);
      progress->BecomeProbing();
      OnMatchRaised(from);
      break;
    case SnapshotStatus::kDamaged:
      progress->BecomeSendingSnapshot(snapshot_);
      break;
  }
  return StepResult::kTaken;
}

void Raft::SnapshotUnreadable(MonotonicTime now, const ReplicaId& to) {
  Advance(now);
  Progress* progress = Peer(to);
  if (progress == nullptr || progress->snapshot() == nullptr) return;
  progress->BecomeSendingSnapshot(snapshot_);
}

// ---- receiving ----

StepResult Raft::Handle(const ReplicaId& from, Term, const SnapshotChunk& chunk) {
  const bool fits = chunk.data.size() == chunk.length && chunk.offset <= chunk.meta.bytes &&
                    chunk.length <= chunk.meta.bytes - chunk.offset;
  if (role() == RoleName::kLeader || !fits || !Validate(chunk.meta.membership).ok()) {
    return StepResult::kMalformed;
  }
  HearLeader(from);
  if (chunk.meta.last.index <= commit_) {
    SendTo(from, AppendReply{true, commit_});  // nothing new: go on with the log from here
    return StepResult::kTaken;
  }
  if (!incoming_ || incoming_->meta != chunk.meta) {
    incoming_ = IncomingSnapshot();  // a write of another one that still runs is nobody's then
    incoming_->meta = chunk.meta;
  }
  incoming_->from = from;
  incoming_->sequence = chunk.sequence;
  if (incoming_->write_id != 0) return StepResult::kTaken;  // answered when the write is done
  const bool wanted = chunk.offset == incoming_->received && (chunk.length > 0 || chunk.last());
  if (!wanted || output_.snapshot_write) {
    ReplyToChunk(SnapshotStatus::kContinue);
    return StepResult::kTaken;
  }
  incoming_->write_id = ++last_write_id_;
  incoming_->write_bytes = chunk.length;
  incoming_->write_is_last = chunk.last();
  output_.snapshot_write =
      SnapshotWrite{last_write_id_, chunk.meta, chunk.offset, chunk.data, chunk.last()};
  return StepResult::kTaken;
}

void Raft::ReplyToChunk(SnapshotStatus status) {
  SendTo(incoming_->from,
         SnapshotReply{incoming_->meta.last, status, incoming_->received, incoming_->sequence});
}

void Raft::SnapshotWritten(MonotonicTime now, uint64_t id, bool good) {
  Advance(now);
  if (!incoming_ || incoming_->write_id != id) return;
  incoming_->write_id = 0;
  // What it replaces may have been committed meanwhile, and a leader's log is never replaced.
  if (role() != RoleName::kFollower || incoming_->meta.last.index <= commit_) {
    incoming_.reset();
    return;
  }
  if (!good) {
    incoming_->received = 0;
    ReplyToChunk(SnapshotStatus::kDamaged);
    return;
  }
  incoming_->received += incoming_->write_bytes;
  if (!incoming_->write_is_last) {
    ReplyToChunk(SnapshotStatus::kContinue);
    return;
  }
  InstallSnapshot(incoming_->meta);
  ReplyToChunk(SnapshotStatus::kInstalled);
  incoming_.reset();
}

// §7: entries that follow a matching one stay; otherwise nothing of the log is worth keeping.
void Raft::InstallSnapshot(SnapshotMeta meta) {
  const LogIndex last = meta.last.index;
  const bool keeps_suffix =
      log_.Matches(meta.last) ||
      (CATAMARAN_RAFT_BUG(kSnapshotKeepsSuffix) && log_.last() > last && log_.base().index < last);
  if (keeps_suffix) {
    log_.CompactThrough(last);
    memberships_.ForgetBefore(last);
    unpersisted_from_ = std::max(unpersisted_from_, last + 1);
  } else {
    log_.Reset(meta.last);
    if (!CATAMARAN_RAFT_BUG(kSnapshotOldMembership)) memberships_.Reset(last, meta.membership);
    removed_ = false;
    truncate_from_ = LogIndex(1);
    durable_ = kNoIndex;
    if (in_flight_) in_flight_->last = kNoIndex;
    unpersisted_from_ = last + 1;
  }
  compact_through_ = std::max(compact_through_.value_or(last), last);
  snapshot_ = std::move(meta);
  snapshot_dirty_ = true;
  restore_after_ = last_handle_ + 1;
  CommitTo(last);
}

}  // namespace catamaran::raft
