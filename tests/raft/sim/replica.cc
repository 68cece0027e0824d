#include "tests/raft/sim/replica.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"

namespace catamaran::raft::sim {
namespace {

constexpr int64_t kMillion = 1'000'000;
// The operator's and the keeper's proposals, apart from the clients' numbers.
constexpr uint64_t kChangeRequests = uint64_t{1} << 60;

QuorumKeeperConfig KeeperConfig(const Plan& plan) {
  QuorumKeeperConfig config;
  config.target = plan.voters % 2 == 1 ? plan.voters : plan.voters - 1;
  config.dead_after = plan.config.election_timeout_min * 3;
  config.pause = plan.config.election_timeout_min;
  return config;
}

}  // namespace

Replica::Replica(Host* host, const Plan& plan, ClusterId cluster, ReplicaId id, uint64_t seed)
    : host_(host),
      plan_(plan),
      cluster_(cluster),
      id_(id),
      random_(seed),
      keeper_(KeeperConfig(plan)) {}

MonotonicTime Replica::Local(Nanos now) const {
  return {Duration(now + now / kMillion * drift_ppm)};
}

Nanos Replica::World(MonotonicTime local) const {
  if (local == kNever) return INT64_MAX;
  const Nanos at = local.since_start.count();
  return at - at / (kMillion + drift_ppm) * drift_ppm;
}

// ---- life ----

void Replica::Found(const Membership& first) {
  disk_.snapshot.last = kFoundation;
  disk_.snapshot.membership = first;
  disk_.log.Reset(kFoundation);
  disk_.files[kFoundation] = std::make_shared<const std::string>();
}

State Replica::Load(const SnapshotMeta& meta) const {
  State state;
  state.applied = meta.last.index;
  return meta.bytes == 0 ? state : *DecodeState(*disk_.files.at(meta.last));
}

void Replica::Wipe(ReplicaId id) {
  id_ = id;
  disk_ = Disk();
}

void Replica::Boot(Nanos now) {
  ++boots_;
  Config config = plan_.config;
  config.cluster = cluster_;
  config.self = id_;
  Recovered recovered;
  recovered.hard_state = disk_.hard_state;
  recovered.snapshot = disk_.snapshot;
  recovered.entries = disk_.log.Slice(disk_.log.first(), disk_.log.last(), SIZE_MAX, SIZE_MAX);
  recovered.unfinished_snapshot = disk_.unfinished;
  recovered.unfinished_bytes = disk_.unfinished_data.size();
  if (plan_.durable_state_machine) {
    state_ = disk_.state;
  } else {
    state_ = disk_.snapshot.last.index > kNoIndex ? Load(disk_.snapshot) : State();
  }
  recovered.applied = state_.applied;
  auto core = Raft::Create(config, std::move(recovered), random_.Fork(), Local(now));
  if (!core.ok()) {
    host_->Violation(
        absl::StrCat("R19: node ", node(), " can't recover: ", core.status().message()));
    return;
  }
  core_ = *std::move(core);
}

void Replica::Crash(Nanos now) {
  (void)now;
  if (writing_) {
    const HardState before = disk_.hard_state;
    switch (random_.Below(3)) {
      case 0:
        break;
      case 1:
        Write(*writing_, writing_->entries.size());
        break;
      default:
        // Torn: the entries' tail is missing.
        if (!writing_->entries.empty()) host_->Saw("torn write");
        Write(*writing_, random_.Below(writing_->entries.size() + 1));
        break;
    }
    host_->OnPersisted(*this, before);
  }
  if (disk_.unfinished && random_.OneIn(2)) {
    disk_.unfinished_data.resize(random_.Below(disk_.unfinished_data.size() + 1));
  }
  for (const auto& [number, op] : ops_) host_->history().EndUnknown(number);
  for (uint64_t number : asked_reads_) host_->history().EndUnknown(number);
  for (const WaitingRead& read : reads_) host_->history().EndUnknown(read.op);
  core_.reset();
  writing_.reset();
  receiving_.reset();
  taking_.reset();
  to_restore_.reset();
  to_apply_.clear();
  apply_scheduled_ = false;
  ops_.clear();
  asked_reads_.clear();
  reads_.clear();
  next_tick_ = INT64_MAX;
}

// ---- the disk ----

void Replica::Write(const PersistBatch& batch, size_t entries) {
  if (batch.hard_state) disk_.hard_state = *batch.hard_state;
  if (batch.snapshot) disk_.snapshot = *batch.snapshot;
  Log& log = disk_.log;
  if (batch.truncate_from) log.TruncateFrom(std::max(*batch.truncate_from, log.first()));
  if (batch.compact_through) {
    if (*batch.compact_through <= log.last()) {
      log.CompactThrough(*batch.compact_through);
    } else {
      log.Reset(disk_.snapshot.last);
    }
  }
  for (size_t i = 0; i < entries; ++i) {
    if (batch.entries[i].index != log.last() + 1) {
      host_->Violation(absl::StrCat("node ", node(), " writes entry ",
                                    batch.entries[i].index.value(), " after ", log.last().value()));
      return;
    }
    log.Append(batch.entries[i]);
  }
}

void Replica::OnPersistDone(Nanos now, uint64_t handle) {
  if (!writing_ || writing_->handle != handle) return;
  const HardState before = disk_.hard_state;
  Write(*writing_, writing_->entries.size());
  writing_.reset();
  host_->OnPersisted(*this, before);
  DropOldFiles();
  core_->PersistDone(Local(now), handle);
}

void Replica::DropOldFiles() {
  if (disk_.files.size() <= 1) return;
  const std::vector<LogPosition> in_use = core_->SnapshotsInUse();
  std::erase_if(disk_.files, [&](const auto& file) {
    return file.first != disk_.snapshot.last && file.first != core_->snapshot().last &&
           std::find(in_use.begin(), in_use.end(), file.first) == in_use.end();
  });
}

// ---- events ----

StepResult Replica::OnMessage(Nanos now, Message message) {
  const ReplicaId from = message.from;
  return core_->Step(Local(now), from, std::move(message));
}

void Replica::OnTick(Nanos now) {
  if (now >= next_tick_) next_tick_ = INT64_MAX;
  core_->Tick(Local(now));
}

void Replica::OnStreamClosed(Nanos now, const ReplicaId& peer) {
  core_->StreamClosed(Local(now), peer);
}

void Replica::OnSnapshotWritten(Nanos now, uint64_t id) {
  if (!receiving_ || receiving_->id != id) return;
  const SnapshotWrite write = *std::exchange(receiving_, std::nullopt);
  if (write.offset == 0) {
    disk_.unfinished = write.meta;
    disk_.unfinished_data.clear();
  }
  bool good = disk_.unfinished == write.meta && disk_.unfinished_data.size() == write.offset;
  if (good) disk_.unfinished_data += write.data.view();
  if (good && write.last) {
    good = disk_.unfinished_data.size() == write.meta.bytes &&
           Crc32c(disk_.unfinished_data) == write.meta.crc32c;
    if (good) {
      disk_.files[write.meta.last] =
          std::make_shared<const std::string>(std::move(disk_.unfinished_data));
    } else {
      host_->Saw("damaged snapshot found");
    }
    disk_.unfinished.reset();
    disk_.unfinished_data.clear();
  }
  core_->SnapshotWritten(Local(now), id, good);
}

void Replica::TakeSnapshot() {
  if (taking_ || state_.applied != core_->applied()) return;
  std::optional<SnapshotMeta> meta = core_->DescribeSnapshot(state_.applied);
  if (!meta) return;
  taking_data_ = EncodeState(state_, plan_.snapshot_bytes_min);
  meta->bytes = taking_data_.size();
  meta->crc32c = Crc32c(taking_data_);
  taking_ = std::move(meta);
  host_->Schedule(*this, host_->WriteDelay(*this), EventKind::kSnapshotTaken, 0);
}

void Replica::OnSnapshotTaken(Nanos) {
  if (!taking_) return;
  disk_.files[taking_->last] = std::make_shared<const std::string>(std::move(taking_data_));
  core_->SnapshotTaken(*std::exchange(taking_, std::nullopt));
  host_->Saw("snapshot taken");
}

void Replica::Submit(Nanos now, const Op& op, size_t padding) {
  const uint64_t number = op.command.op;
  if (op.kind == OpKind::kRead) {
    asked_reads_.push_back(number);
    core_->ReadIndex(Local(now), number);
    return;
  }
  ops_[number] = PendingOp();
  core_->Propose(Local(now), number, Buffer::FromString(EncodeCommand(op.command, padding)));
}

void Replica::Change(Nanos now, const MembershipChange& change) {
  core_->ProposeMembership(Local(now), kChangeRequests, change);
}

void Replica::Transfer(Nanos now, std::optional<ReplicaId> target) {
  if (core_->TransferLeadership(Local(now), target) == RejectReason::kNone) {
    host_->Saw("transfer begun");
  }
}

// ---- outputs ----

void Replica::Pump(Nanos now) {
  while (true) {
    Output output = core_->TakeOutput();
    if (output.snapshot_wanted) TakeSnapshot();
    if (output.empty()) break;
    Serve(now, std::move(output));
  }
  const Nanos due = World(core_->NextDeadline());
  if (due < next_tick_) {
    next_tick_ = due;
    // Rounding may wake it a little early; then it sets the timer again.
    host_->Schedule(*this, std::max<Nanos>(due - now, 1'000), EventKind::kTick, 0);
  }
}

void Replica::Serve(Nanos now, Output output) {
  for (Message& message : output.messages) {
    if (std::holds_alternative<SnapshotChunk>(message.body)) {
      FillChunk(now, std::move(message));
    } else {
      host_->OnSend(*this, message);
      host_->Deliver(*this, std::move(message));
    }
  }
  if (output.persist) {
    writing_ = std::move(output.persist);
    host_->Schedule(*this, host_->WriteDelay(*this), EventKind::kPersistDone, writing_->handle);
  }
  if (output.snapshot_write) {
    receiving_ = std::move(output.snapshot_write);
    host_->Schedule(*this, host_->WriteDelay(*this), EventKind::kSnapshotWritten, receiving_->id);
  }
  if (output.restore) {
    // What was to be applied before is part of it.
    to_apply_.clear();
    to_restore_ = std::move(output.restore);
  }
  for (Entry& entry : output.apply) to_apply_.push_back(std::move(entry));
  for (const ProposalResult& result : output.proposals) {
    if (result.id == kChangeRequests) {
      host_->Saw(result.outcome == ProposalOutcome::kCommitted  ? "change committed"
                 : result.outcome == ProposalOutcome::kRejected ? "change rejected"
                                                                : "change unknown");
      continue;
    }
    auto it = ops_.find(result.id);
    if (it == ops_.end()) continue;
    if (result.outcome == ProposalOutcome::kCommitted) {
      it->second.committed = true;
      it->second.index = result.position.index;
      MaybeEnd(result.id);
      continue;
    }
    ops_.erase(it);
    if (result.outcome == ProposalOutcome::kRejected) {
      host_->history().EndRejected(result.id);
      if (result.reason == RejectReason::kOverloaded) host_->Saw("proposal refused as overload");
      if (result.reason == RejectReason::kTransferring) host_->Saw("proposal refused in transfer");
      if (result.reason == RejectReason::kLeadershipLost) host_->Saw("proposal found overwritten");
    } else {
      host_->history().EndUnknown(result.id);
    }
  }
  for (const ReadResult& result : output.reads) {
    std::erase(asked_reads_, result.id);
    if (result.granted) {
      reads_.push_back({result.id, result.index});
    } else {
      host_->history().EndRejected(result.id);
    }
  }
  if (to_restore_ || !to_apply_.empty() || !reads_.empty()) {
    if (!plan_.slow_apply) {
      OnApplyDue(now);
    } else if (!apply_scheduled_) {
      apply_scheduled_ = true;
      host_->Schedule(*this, host_->WriteDelay(*this), EventKind::kApply, 0);
    }
  }
}

void Replica::FillChunk(Nanos now, Message message) {
  auto& chunk = std::get<SnapshotChunk>(message.body);
  if (chunk.length > 0) {
    auto file = disk_.files.find(chunk.meta.last);
    if (file == disk_.files.end()) {
      host_->Saw("snapshot to send is gone");
      core_->SnapshotUnreadable(Local(now), message.to);
      return;
    }
    std::string data = file->second->substr(chunk.offset, chunk.length);
    if (host_->DamagesSnapshot()) data[0] = static_cast<char>(data[0] ^ 1);
    chunk.data = Buffer::FromString(std::move(data));
  }
  host_->OnSend(*this, message);
  host_->Deliver(*this, std::move(message));
}

void Replica::OnApplyDue(Nanos) {
  apply_scheduled_ = false;
  if (to_restore_) Restore(*std::exchange(to_restore_, std::nullopt));
  while (!to_apply_.empty()) {
    Apply(to_apply_.front());
    to_apply_.pop_front();
  }
  if (plan_.durable_state_machine && random_.OneIn(4)) disk_.state = state_;
  core_->Applied(state_.applied);
  ServeReads();
}

void Replica::Restore(const SnapshotMeta& meta) {
  if (!disk_.files.contains(meta.last)) {
    host_->Violation("a snapshot is to be restored that isn't there");
    return;
  }
  const State state = Load(meta);
  if (state.applied < state_.applied) host_->Violation("R19: a restore goes back");
  state_ = state;
  if (plan_.durable_state_machine) disk_.state = state_;
  host_->OnRestore(*this, state_);
  host_->Saw("snapshot installed");
}

void Replica::Apply(const Entry& entry) {
  if (entry.index != state_.applied + 1) {
    host_->Violation(absl::StrCat("R7: node ", node(), " applies ", entry.index.value(), " after ",
                                  state_.applied.value()));
    return;
  }
  const bool changed = state_.Apply(entry);
  host_->OnApply(*this, entry, state_);
  if (entry.kind != EntryKind::kCommand) return;
  const std::optional<Command> command = DecodeCommand(entry.payload.view());
  if (!command) return;
  auto it = ops_.find(command->op);
  if (it == ops_.end()) return;
  it->second.applied = true;
  it->second.changed = changed;
  it->second.cell = state_.cells[command->key];
  MaybeEnd(command->op);
}

void Replica::MaybeEnd(uint64_t number) {
  auto it = ops_.find(number);
  if (!it->second.applied || !it->second.committed) return;
  const PendingOp op = it->second;
  ops_.erase(it);
  host_->history().EndCommitted(number, op.changed, op.cell, op.index);
}

void Replica::ServeReads() {
  std::erase_if(reads_, [&](const WaitingRead& read) {
    if (read.index > state_.applied) return false;
    const uint8_t key = host_->history().op(read.op).command.key;
    host_->history().EndRead(read.op, state_.cells[key], read.index);
    return true;
  });
}

}  // namespace catamaran::raft::sim
