// Serves the core's outputs in the order that raft/core/output.h asks for.
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "raft/core/encoding.h"
#include "raft/driver/persist_job.h"
#include "raft/driver/raft_node_impl.h"

namespace catamaran::raft {
namespace {

Lane LaneOf(const MessageBody& body) {
  if (std::holds_alternative<AppendRequest>(body)) return Lane::kBulk;
  if (std::holds_alternative<SnapshotChunk>(body)) return Lane::kSnapshot;
  return Lane::kControl;
}

}  // namespace

// Inputs that are queued already are taken together: their entries share a write and a message.
void RaftNode::Impl::SchedulePump() {
  if (pump_posted_) return;
  pump_posted_ = true;
  options_.executor->Post([this, alive = alive_] {
    if (!*alive) return;
    pump_posted_ = false;
    Pump();
  });
}

void RaftNode::Impl::Pump() {
  while (state_ == NodeState::kRunning) {
    Output output = core_->TakeOutput();
    if (output.snapshot_wanted) MaybeTakeSnapshot();
    if (output.removed) removed_ = true;
    if (output.empty()) break;
    Serve(std::move(output));
  }
  if (state_ == NodeState::kRunning) ArmTimer();
}

void RaftNode::Impl::ArmTimer() {
  const MonotonicTime due = core_->NextDeadline();
  if (timer_ != kNoTimer && timer_at_ <= due) return;  // it looks again when it fires
  if (timer_ != kNoTimer) options_.executor->Cancel(timer_);
  timer_ = kNoTimer;
  if (due == kNever) return;
  timer_at_ = due;
  timer_ = options_.executor->PostAt(due, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = kNoTimer;
    if (state_ != NodeState::kRunning) return;
    core_->Tick(Now());
    Pump();
  });
}

void RaftNode::Impl::Serve(Output output) {
  for (Message& message : output.messages) SendMessage(std::move(message));
  if (output.persist) Persist(*std::move(output.persist));
  if (output.snapshot_write) WriteSnapshot(*std::move(output.snapshot_write));
  // Before what is applied, so that results find out whether they must wait.
  for (const ProposalResult& result : output.proposals) OnProposalResult(result);
  for (const ReadResult& result : output.reads) OnReadResult(result);
  if (output.restore) applier_->Restore(*std::move(output.restore));
  if (!output.apply.empty()) applier_->Apply(std::move(output.apply));
}

// ---- messages ----

void RaftNode::Impl::SendMessage(Message message) {
  const auto* chunk = std::get_if<SnapshotChunk>(&message.body);
  if (chunk != nullptr && chunk->length > 0) {
    SendChunk(std::move(message));
    return;
  }
  network_->Send(message.to, LaneOf(message.body),
                 RaftFrame{Buffer::FromString(EncodeMessage(message))});
}

void RaftNode::Impl::SendChunk(Message message) {
  auto shared = std::make_shared<Message>(std::move(message));
  const auto& chunk = std::get<SnapshotChunk>(shared->body);
  snapshots_.Read(chunk.meta.last, chunk.offset, chunk.length,
                  [this, shared](absl::StatusOr<Buffer> data) {
                    if (state_ != NodeState::kRunning) return;
                    if (!data.ok()) {
                      core_->SnapshotUnreadable(Now(), shared->to);
                      SchedulePump();
                      return;
                    }
                    std::get<SnapshotChunk>(shared->body).data = *std::move(data);
                    network_->Send(shared->to, Lane::kSnapshot,
                                   RaftFrame{Buffer::FromString(EncodeMessage(*shared))});
                  });
}

// ---- the disk ----

void RaftNode::Impl::Persist(PersistBatch batch) {
  const uint64_t handle = batch.handle;
  const bool has_snapshot = batch.snapshot.has_value();
  store_.Submit(
      StoreWork::kPersist,
      [job = PersistJob(std::move(batch)), has_snapshot,
       slot = snapshots_.slot()](LogStore& store) mutable {
        const absl::Status done = job.Run(store);
        if (done.ok() && has_snapshot) slot->meta.reset();
        return done;
      },
      [this, handle, has_snapshot](absl::Status status) {
        if (state_ != NodeState::kRunning) return;
        if (!status.ok()) return Fail(std::move(status));
        core_->PersistDone(Now(), handle);
        if (has_snapshot) {
          to_finish_.reset();
          OnSnapshotSlotFree();
        }
        SchedulePump();
      });
}

// ---- snapshots ----

void RaftNode::Impl::WriteSnapshot(SnapshotWrite write) {
  if (taking_ || to_finish_) {
    // An older one that waited is nobody's any more: the core has at most one of a snapshot.
    held_write_ = std::move(write);
    return;
  }
  received_at_ = Now();
  const uint64_t id = write.id;
  const bool last = write.last;
  const LogPosition end = write.meta.last;
  snapshots_.Write(std::move(write), [this, id, last, end](bool good) {
    if (state_ != NodeState::kRunning) return;
    core_->SnapshotWritten(Now(), id, good);
    if (last) {
      received_at_.reset();
      if (good && core_->snapshot().last == end) to_finish_ = end;
    }
    SchedulePump();
  });
}

void RaftNode::Impl::OnSnapshotSlotFree() {
  if (taking_ || to_finish_ || !held_write_) return;
  WriteSnapshot(*std::exchange(held_write_, std::nullopt));
}

void RaftNode::Impl::MaybeTakeSnapshot() {
  if (taking_ || to_finish_ || held_write_ || store_.full()) return;
  if (received_at_ && Now() - *received_at_ < kReceiveIdleMax) return;
  // The store keeps the current snapshot only: a new one would end a transfer that is under way.
  constexpr size_t kOvergrown = 4;
  const bool overgrown = core_->log().bytes() >= kOvergrown * core_->config().snapshot_after_bytes;
  if (!core_->SnapshotsInUse().empty() && !overgrown) return;
  taking_ = true;
  applier_->TakeImage([this](LogIndex index, absl::StatusOr<SnapshotParts> parts) {
    OnImage(index, std::move(parts));
  });
}

void RaftNode::Impl::OnImage(LogIndex index, absl::StatusOr<SnapshotParts> parts) {
  if (state_ != NodeState::kRunning) return;
  std::optional<SnapshotMeta> meta = core_->DescribeSnapshot(index);
  if (!parts.ok() || !meta) {
    taking_ = false;
    OnSnapshotSlotFree();
    return;
  }
  snapshots_.Store(*std::move(meta), *std::move(parts), [this](absl::StatusOr<SnapshotMeta> taken) {
    if (state_ != NodeState::kRunning) return;
    taking_ = false;
    if (taken.ok()) {
      core_->SnapshotTaken(*taken);
      if (core_->snapshot().last == taken->last) to_finish_ = taken->last;
    }
    OnSnapshotSlotFree();
    SchedulePump();
  });
}

// ---- answers ----

void RaftNode::Impl::OnProposalResult(const ProposalResult& result) {
  auto it = proposals_.find(result.id);
  if (it == proposals_.end()) return;
  ProposeDone done = std::move(it->second);
  proposals_.erase(it);
  if (result.outcome != ProposalOutcome::kCommitted) {
    done(StatusOf(result));
  } else if (result.position.index <= applier_->applied()) {
    done(result.position);
  } else {
    committed_.emplace(result.position.index, Committed{result.position, std::move(done)});
  }
}

void RaftNode::Impl::OnReadResult(const ReadResult& result) {
  auto it = reads_.find(result.id);
  if (it == reads_.end()) return;
  ReadDone done = std::move(it->second);
  reads_.erase(it);
  if (!result.granted) {
    done(MakeError(Reason::kLeaderUnknown,
                   "No leader could vouch for what is committed; try again shortly."));
  } else if (result.index <= applier_->applied()) {
    done(result.index);
  } else {
    granted_.emplace(result.index, std::move(done));
  }
}

void RaftNode::Impl::OnApplied(LogIndex index) {
  if (state_ != NodeState::kRunning) return;
  core_->Applied(index);
  while (!committed_.empty() && committed_.begin()->first <= index) {
    Committed first = std::move(committed_.begin()->second);
    committed_.erase(committed_.begin());
    first.done(first.position);
  }
  while (!granted_.empty() && granted_.begin()->first <= index) {
    auto first = std::move(*granted_.begin());
    granted_.erase(granted_.begin());
    first.second(first.first);
  }
  SchedulePump();
}

}  // namespace catamaran::raft
