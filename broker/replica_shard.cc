#include "broker/replica_shard.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran::broker {
namespace {

absl::Status ShuttingDown() {
  return MakeError(Reason::kShuttingDown,
                   "This broker is shutting down. Try again: another one leads soon, or this one "
                   "is back.");
}

absl::Status StorageFull() {
  return MakeError(
      Reason::kStorageFull,
      "The broker's disk is full up to its reserve. Nothing was stored: delete records "
      "or topics, lower retention or add space; service resumes by itself.");
}

// So many directories may be put aside before an operator has to look.
constexpr int kStrayDirectoriesMax = 10'000;

}  // namespace

absl::Status MoveAside(FileSystem& fs, const std::string& directory) {
  for (int i = 0; i < kStrayDirectoriesMax; ++i) {
    std::string aside = absl::StrCat("stray.", i);
    if (!absl::IsNotFound(fs.Stat(aside).status())) continue;
    CATAMARAN_RETURN_IF_ERROR(fs.Rename(directory, aside));
    return fs.SyncDirectory(ParentDirectory(directory));
  }
  return MakeError(Reason::kLimitExceeded,
                   "Too many stray.<n> directories lie in the data directory: look at them and "
                   "remove those that nobody needs.");
}

ReplicaShard::ReplicaShard(Executor* executor, NodeSeams seams,
                           std::shared_ptr<TopicCatalog> catalog,
                           std::function<bool(std::string_view, PartitionIndex)> owns,
                           std::shared_ptr<SpaceBudget> space, int64_t read_bytes_max)
    : executor_(executor),
      seams_(std::move(seams)),
      catalog_(std::move(catalog)),
      owns_(std::move(owns)),
      space_(std::move(space)),
      read_window_(read_bytes_max) {}

Times ReplicaShard::Now() const { return {seams_.clock->Now(), seams_.clock->WallNow()}; }

void ReplicaShard::Warn(const std::string& text) const {
  if (seams_.warn) seams_.warn(text);
}

// ---- requests ----

void ReplicaShard::Produce(TopicPartitionId partition, ProduceCommand command) {
  executor_->Post([self = shared_from_this(), partition, command = std::move(command)]() mutable {
    if (!self->space_->Take(static_cast<int64_t>(command.batch.size()))) {
      if (command.reply != nullptr) command.reply(StorageFull());
      return;
    }
    absl::StatusOr<ReplicaRef> replica = self->FindOrCreate(partition);
    if (!replica.ok()) {
      if (command.reply != nullptr) command.reply(replica.status());
      return;
    }
    (*replica)->core.Produce(std::move(command), self->Now());
    self->Drain(*replica);
  });
}

void ReplicaShard::Read(TopicPartitionId partition, ReadCommand command) {
  executor_->Post([self = shared_from_this(), partition, command = std::move(command)]() mutable {
    absl::StatusOr<ReplicaRef> replica = self->FindOrCreate(partition);
    if (!replica.ok()) {
      ReadOutcome outcome;
      outcome.data.next_offset = command.offset;
      command.reply(replica.status(), std::move(outcome));
      return;
    }
    (*replica)->core.Read(std::move(command), self->Now());
    self->Drain(*replica);
  });
}

void ReplicaShard::CancelReads(TopicPartitionId partition, uint64_t token) {
  executor_->Post([self = shared_from_this(), partition, token]() {
    auto it = self->replicas_.find(partition);
    if (it == self->replicas_.end()) return;
    ReplicaRef replica = it->second;
    replica->core.CancelReads(token);
    self->Drain(replica);
  });
}

void ReplicaShard::ListOffset(TopicPartitionId partition, OffsetCommand command) {
  executor_->Post([self = shared_from_this(), partition, command = std::move(command)]() mutable {
    absl::StatusOr<ReplicaRef> replica = self->FindOrCreate(partition);
    if (!replica.ok()) {
      command.reply(replica.status());
      return;
    }
    (*replica)->core.ListOffset(std::move(command));
    self->Drain(*replica);
  });
}

void ReplicaShard::DeleteRecords(TopicPartitionId partition, DeleteRecordsCommand command) {
  executor_->Post([self = shared_from_this(), partition, command = std::move(command)]() mutable {
    absl::StatusOr<ReplicaRef> replica = self->FindOrCreate(partition);
    if (!replica.ok()) {
      command.reply(replica.status());
      return;
    }
    (*replica)->core.DeleteRecords(std::move(command));
    self->Drain(*replica);
  });
}

absl::StatusOr<ReplicaShard::ReplicaRef> ReplicaShard::FindOrCreate(TopicPartitionId partition) {
  auto it = replicas_.find(partition);
  if (it != replicas_.end()) return it->second;
  if (stopping_) return ShuttingDown();
  CATAMARAN_ASSIGN_OR_RETURN(CatalogTopicRef topic, catalog_->FindById(partition.topic));
  CATAMARAN_RETURN_IF_ERROR(catalog_->CheckLeader(*topic, partition.partition));
  return Create(*topic, partition.partition);
}

ReplicaShard::ReplicaRef ReplicaShard::Create(const CatalogTopic& topic, PartitionIndex partition) {
  const metadata::PartitionState& state =
      topic.topic->partitions[static_cast<size_t>(partition.value())];
  TopicPartitionId id{topic.topic->id, partition};
  auto replica = std::make_shared<Replica>(
      storage::LogIdentity{PartitionName(topic.topic->name, partition), id},
      ToReplicaConfig(topic.config, state), state.leader_epoch);
  bool inserted = replicas_.emplace(id, replica).second;
  CATAMARAN_CHECK(inserted, replica->core.identity().directory);
  return replica;
}

// ---- metadata ----

void ReplicaShard::Start(std::shared_ptr<const std::vector<std::string>> directories,
                         absl::AnyInvocable<void()> ready) {
  executor_->Post([self = shared_from_this(), directories = std::move(directories),
                   ready = std::move(ready)]() mutable {
    self->directories_ = std::move(directories);
    self->ready_ = std::move(ready);
    self->seams_.metadata->Subscribe(
        self->executor_, [weak = self->weak_from_this()](
                             const metadata::ImageRef& image,
                             const std::shared_ptr<const metadata::MetadataDelta>& delta) {
          if (auto shard = weak.lock()) shard->ApplyDelta(image, *delta);
        });
    self->ScheduleMaintenance();
  });
}

void ReplicaShard::ApplyDelta(const metadata::ImageRef& image,
                              const metadata::MetadataDelta& delta) {
  if (stopping_) return;
  for (const metadata::TopicRef& removed : delta.topics_removed) {
    for (size_t i = 0; i < removed->partitions.size(); ++i) {
      auto it = replicas_.find({removed->id, PartitionIndex(static_cast<int32_t>(i))});
      if (it == replicas_.end()) continue;
      CloseReplica(
          it->second, /*remove=*/true,
          MakeError(Reason::kUnknownTopic, absl::StrCat("Topic '", removed->name, "' was deleted."),
                    {{"topic", removed->name}}));
    }
  }
  for (const metadata::TopicRef& updated : delta.topics_updated) {
    // The image may be newer than the delta: then a later delta says so, and this one is history.
    if (image->FindTopic(updated->id) == nullptr) continue;
    absl::StatusOr<CatalogTopicRef> topic = catalog_->FindById(updated->id);
    if (topic.ok()) ApplyTopic(**topic);
  }
  if (!started_) {
    started_ = true;
    directories_ = nullptr;
    if (opening_at_start_ == 0 && ready_ != nullptr) std::exchange(ready_, nullptr)();
  }
}

void ReplicaShard::ApplyTopic(const CatalogTopic& topic) {
  if (!started_) OpenAtStart(topic);
  for (size_t i = 0; i < topic.topic->partitions.size(); ++i) {
    PartitionIndex index(static_cast<int32_t>(i));
    auto it = replicas_.find({topic.topic->id, index});
    if (it == replicas_.end()) continue;
    ReplicaRef replica = it->second;
    const metadata::PartitionState& state = topic.topic->partitions[i];
    if (state.leader != catalog_->self()) {
      CloseReplica(replica, /*remove=*/false, catalog_->CheckLeader(topic, index));
      continue;
    }
    replica->core.SetLeaderEpoch(state.leader_epoch);
    replica->core.SetConfig(ToReplicaConfig(topic.config, state), Now());
    Drain(replica);
  }
}

// A partition whose directory is there is opened now, since recovery and retention mustn't wait for
// a reader; any other is made by its first request.
void ReplicaShard::OpenAtStart(const CatalogTopic& topic) {
  for (size_t i = 0; i < topic.topic->partitions.size(); ++i) {
    PartitionIndex index(static_cast<int32_t>(i));
    if (topic.topic->partitions[i].leader != catalog_->self()) continue;
    if (!owns_(topic.topic->name, index)) continue;
    std::string directory = PartitionName(topic.topic->name, index);
    if (!std::binary_search(directories_->begin(), directories_->end(), directory)) continue;
    auto it = replicas_.find({topic.topic->id, index});
    ReplicaRef replica = it == replicas_.end() ? Create(topic, index) : it->second;
    if (replica->core.phase() != ReplicaPhase::kUnopened) continue;
    replica->opening_at_start = true;
    ++opening_at_start_;
    replica->core.Open();
    Drain(replica);
  }
}

void ReplicaShard::CountOpenedAtStart(const ReplicaRef& replica) {
  if (!replica->opening_at_start || replica->core.phase() == ReplicaPhase::kOpening) return;
  replica->opening_at_start = false;
  --opening_at_start_;
  if (opening_at_start_ == 0 && started_ && ready_ != nullptr) std::exchange(ready_, nullptr)();
}

// By value: the map's own reference goes here.
void ReplicaShard::CloseReplica(ReplicaRef replica, bool remove, const absl::Status& reason) {
  const storage::LogIdentity& identity = replica->core.identity();
  closing_.try_emplace(identity.directory, Closing{replica, nullptr});
  replicas_.erase(identity.partition);
  replica->core.Close(remove, reason);
  // An older log of this directory still closes: this one waited for it, and is never opened.
  Closing& closing = closing_.at(identity.directory);
  if (closing.next == replica) {
    closing.next = nullptr;
    replica->core.OnOpened(reason, Now());
  }
  Drain(replica);
}

void ReplicaShard::OnClosed(const ReplicaRef& replica) {
  in_doubt_ |= replica->core.closed_in_doubt();
  auto it = closing_.find(replica->core.identity().directory);
  if (it != closing_.end() && it->second.owner == replica) {
    ReplicaRef next = std::move(it->second.next);
    closing_.erase(it);
    if (next != nullptr) StartOpen(next);
  }
  MaybeFinishStopping();
}

// ---- effects ----

void ReplicaShard::Drain(const ReplicaRef& replica) {
  while (replica->core.has_output()) {
    ReplicaCore::Output out = replica->core.TakeOutput();
    if (out.write.has_value()) StartWrite(replica, *std::move(out.write));
    if (out.sync.has_value()) StartSync(replica, *std::move(out.sync));
    if (out.maintenance.has_value()) StartMaintenance(replica, *std::move(out.maintenance));
    for (ReplicaCore::Output::Read& read : out.reads) StartRead(replica, std::move(read));
    for (ReplicaCore::Output::Lookup& lookup : out.lookups) StartLookup(replica, std::move(lookup));
    if (out.memory_reads > 0) seams_.counters->Add(Counter::kFetchFromMemory, out.memory_reads);
    for (auto& answer : out.answers) answer();
    if (out.open) StartOpen(replica);
    if (out.closed) OnClosed(replica);
  }
  if (replica->opening_at_start) CountOpenedAtStart(replica);
  CountLevels(*replica);
  Arm(replica);
}

void ReplicaShard::CountLevels(Replica& replica) {
  const ReplicaCore& core = replica.core;
  auto level = [this](Gauge gauge, auto& counted, auto now) {
    if (counted == now) return;
    seams_.counters->Change(gauge, static_cast<int64_t>(now) - static_cast<int64_t>(counted));
    counted = now;
  };
  const bool closed = core.phase() == ReplicaPhase::kClosed;
  const bool unhealthy = core.phase() == ReplicaPhase::kFailed ||
                         (core.log() != nullptr && !core.log()->health().ok());
  level(Gauge::kParkedFetches, replica.parked_reads, static_cast<int64_t>(core.parked_reads()));
  level(Gauge::kLogsOpen, replica.open, core.log() != nullptr && !closed);
  level(Gauge::kLogsFailed, replica.failed,
        (replica.failed || unhealthy) && !(closed && core.removed()));
}

void ReplicaShard::StartOpen(const ReplicaRef& replica) {
  const storage::LogIdentity& identity = replica->core.identity();
  if (auto it = closing_.find(identity.directory); it != closing_.end()) {
    CATAMARAN_CHECK(it->second.next == nullptr, identity.directory);
    it->second.next = replica;
    return;
  }
  using Opened = absl::StatusOr<std::unique_ptr<storage::PartitionLog>>;
  auto opened = std::make_shared<Opened>(absl::CancelledError());
  Times now = Now();
  seams_.pool->Submit(
      IoLane::kRead,
      [opened, fs = seams_.fs, identity, config = replica->core.config().log, now]() {
        *opened = storage::PartitionLog::Open(*fs, identity, config, now.wall);
        if (!opened->ok() && ReasonOf(opened->status()) == Reason::kTopicIdMismatch) {
          // Left by a topic of this name that was deleted: it's put aside, never deleted on a
          // guess.
          if (MoveAside(*fs, identity.directory).ok()) {
            *opened = storage::PartitionLog::Open(*fs, identity, config, now.wall);
          }
        }
      },
      executor_,
      [self = shared_from_this(), replica, opened]() {
        if (opened->ok()) {
          self->seams_.counters->Add(Counter::kLogsOpened);
          storage::LogStats stats = (**opened)->stats();
          if (stats.recovered_bytes > 0) self->seams_.counters->Add(Counter::kLogRecoveries);
          if (stats.truncated_bytes > 0) {
            self->seams_.counters->Add(Counter::kLogTailsCut);
            self->Warn(absl::StrCat("the last ", stats.truncated_bytes, " bytes of ",
                                    replica->core.identity().directory,
                                    " were no whole batch and are cut, as after a crash in the "
                                    "middle of an append; the log ends at offset ",
                                    (**opened)->end().value()));
          }
        } else {
          self->Warn(absl::StrCat("can't open the log of ", replica->core.identity().directory,
                                  ": ", std::string(opened->status().message())));
        }
        replica->core.OnOpened(std::move(*opened), self->Now());
        self->Drain(replica);
      });
}

void ReplicaShard::StartWrite(const ReplicaRef& replica, storage::WriteJob write) {
  struct Running {
    storage::WriteJob job;
    Duration took{};
  };
  auto running = std::make_shared<Running>(Running{std::move(write)});
  seams_.pool->Submit(
      IoLane::kWrite,
      [running, clock = seams_.clock]() {
        MonotonicTime start = clock->Now();
        running->job.Run();
        running->took = clock->Now() - start;
      },
      executor_,
      [self = shared_from_this(), replica, running]() {
        self->seams_.counters->Add(Counter::kLogAppends);
        self->seams_.counters->Observe(Histogram::kLogAppend, running->took);
        if (!running->job.status().ok()) {
          self->seams_.counters->Add(Counter::kLogAppendErrors);
          self->Warn(absl::StrCat("a write to ", replica->core.identity().directory,
                                  " failed: ", std::string(running->job.status().message())));
        }
        replica->core.OnWriteDone(std::move(running->job), self->Now());
        self->Drain(replica);
      });
}

void ReplicaShard::StartSync(const ReplicaRef& replica, storage::SyncTarget target) {
  std::vector<std::shared_ptr<File>> files = target.files;
  seams_.sync->Sync(
      std::move(files), executor_,
      [self = shared_from_this(), replica, target = std::move(target)](const absl::Status& status) {
        if (!status.ok()) {
          self->Warn(absl::StrCat("a sync of ", replica->core.identity().directory,
                                  " failed: ", std::string(status.message()),
                                  " Its log takes nothing more until the broker is restarted."));
        }
        replica->core.OnSyncDone(target, status, self->Now());
        self->Drain(replica);
      });
}

void ReplicaShard::StartMaintenance(const ReplicaRef& replica, storage::MaintenanceJob job) {
  auto running = std::make_shared<storage::MaintenanceJob>(std::move(job));
  // Closing is waited for, and many logs close together: they share the lane with more threads.
  const bool closing = replica->core.phase() == ReplicaPhase::kClosing;
  const IoLane lane = closing ? IoLane::kSync : IoLane::kBackground;
  seams_.pool->Submit(
      lane, [running]() { running->Run(); }, executor_,
      [self = shared_from_this(), replica, running, closing]() {
        if (!running->status().ok()) {
          self->Warn(absl::StrCat("maintenance of ", replica->core.identity().directory,
                                  " failed: ", std::string(running->status().message())));
          // A log that isn't closed cleanly keeps the run from being told as clean.
          if (closing && !replica->failed) {
            replica->failed = true;
            self->seams_.counters->Change(Gauge::kLogsFailed, 1);
          }
        } else if (running->segments_to_remove() > 0) {
          self->seams_.counters->Add(Counter::kSegmentsDeleted,
                                     static_cast<int64_t>(running->segments_to_remove()));
        }
        replica->core.OnMaintenanceDone(std::move(*running));
        self->Drain(replica);
      });
}

void ReplicaShard::StartRead(const ReplicaRef& replica, ReplicaCore::Output::Read read) {
  waiting_reads_.push_back({replica, std::move(read)});
  StartWaitingReads();
}

// In the order they came. What makes room may be a buffer that another thread drops, which tells
// nobody: as long as reads wait, the timer looks again.
void ReplicaShard::StartWaitingReads() {
  while (!waiting_reads_.empty()) {
    WaitingRead& next = waiting_reads_.front();
    const auto bytes = static_cast<int64_t>(next.read.command.bytes_max);
    if (!read_window_.Fits(bytes)) {
      ArmTimer(seams_.clock->Now() + kDeadlineResolution);
      return;
    }
    WaitingRead read = std::move(next);
    waiting_reads_.pop_front();
    SubmitRead(read.replica, std::move(read.read), read_window_.Take(bytes));
  }
}

void ReplicaShard::SubmitRead(const ReplicaRef& replica, ReplicaCore::Output::Read read,
                              ReadWindow::Credit credit) {
  struct Running {
    ReplicaCore::Output::Read read;
    ReadWindow::Credit credit;
    absl::StatusOr<storage::ReadResult> result = absl::CancelledError();
    Duration took{};
  };
  auto running = std::make_shared<Running>(Running{std::move(read), std::move(credit)});
  seams_.counters->Add(Counter::kFetchFromDisk);
  seams_.pool->Submit(
      IoLane::kRead,
      [running, clock = seams_.clock]() {
        MonotonicTime start = clock->Now();
        running->result = running->read.job.Run();
        running->took = clock->Now() - start;
      },
      executor_,
      [self = shared_from_this(), replica, running]() {
        self->seams_.counters->Observe(Histogram::kFetchDisk, running->took);
        running->credit = nullptr;
        if (running->result.ok()) self->read_window_.Hold(&*running->result);
        if (!running->result.ok()) {
          self->Warn(absl::StrCat("a read of ", replica->core.identity().directory,
                                  " failed: ", std::string(running->result.status().message())));
        }
        replica->core.OnReadDone(std::move(running->read), std::move(running->result));
        self->Drain(replica);
        self->StartWaitingReads();
      });
}

void ReplicaShard::StartLookup(const ReplicaRef& replica, ReplicaCore::Output::Lookup lookup) {
  struct Running {
    ReplicaCore::Output::Lookup lookup;
    absl::StatusOr<std::optional<storage::OffsetAndTimestamp>> result = absl::CancelledError();
  };
  auto running = std::make_shared<Running>(Running{std::move(lookup)});
  seams_.pool->Submit(
      IoLane::kRead, [running]() { running->result = running->lookup.job(); }, executor_,
      [self = shared_from_this(), replica, running]() {
        replica->core.OnLookupDone(std::move(running->lookup), std::move(running->result));
        self->Drain(replica);
      });
}

// ---- time ----

void ReplicaShard::Arm(const ReplicaRef& replica) {
  MonotonicTime deadline = replica->core.next_deadline();
  if (deadline == kNever) return;
  if (!replica->armed) {
    replica->armed = true;
    armed_.push_back(replica);
  }
  ArmTimer(deadline);
}

void ReplicaShard::ArmTimer(MonotonicTime when) {
  when = std::max(when, seams_.clock->Now() + kDeadlineResolution);
  if (timer_at_ <= when) return;
  if (timer_ != kNoTimer) executor_->Cancel(timer_);
  timer_at_ = when;
  timer_ = executor_->PostAt(when, [self = shared_from_this()]() { self->OnDeadlines(); });
}

void ReplicaShard::OnDeadlines() {
  timer_at_ = kNever;
  timer_ = kNoTimer;
  Times now = Now();
  std::vector<ReplicaRef> due = std::exchange(armed_, {});
  for (const ReplicaRef& replica : due) {
    replica->armed = false;
    replica->core.Tick(now);
    Drain(replica);
  }
  StartWaitingReads();
}

void ReplicaShard::ScheduleMaintenance() {
  executor_->PostAt(seams_.clock->Now() + kMaintenanceRound / kMaintenanceStepsPerRound,
                    [weak = weak_from_this()]() {
                      if (auto self = weak.lock()) self->OnMaintenanceStep();
                    });
}

void ReplicaShard::OnMaintenanceStep() {
  if (stopping_) return;
  size_t count = (replicas_.size() + kMaintenanceStepsPerRound - 1) / kMaintenanceStepsPerRound;
  Times now = Now();
  for (size_t i = 0; i < count; ++i) {
    auto it = replicas_.upper_bound(maintenance_after_);
    if (it == replicas_.end()) it = replicas_.begin();
    maintenance_after_ = it->first;
    ReplicaRef replica = it->second;
    replica->core.Maintain(now);
    Drain(replica);
  }
  ScheduleMaintenance();
}

// ---- stop ----

void ReplicaShard::Stop(absl::AnyInvocable<void(bool clean)> done) {
  executor_->Post([self = shared_from_this(), done = std::move(done)]() mutable {
    self->stopping_ = true;
    self->stopped_ = std::move(done);
    self->ready_ = nullptr;
    std::vector<ReplicaRef> all;
    for (const auto& [id, replica] : self->replicas_) all.push_back(replica);
    for (const ReplicaRef& replica : all) {
      self->CloseReplica(replica, /*remove=*/false, ShuttingDown());
    }
    self->MaybeFinishStopping();
  });
}

void ReplicaShard::MaybeFinishStopping() {
  if (stopping_ && closing_.empty() && stopped_ != nullptr)
    std::exchange(stopped_, nullptr)(!in_doubt_);
}

void ReplicaShard::ForEachReplica(const std::function<void(const ReplicaCore&)>& visit) const {
  for (const auto& [id, replica] : replicas_) visit(replica->core);
}

void ReplicaShard::CheckInvariants() const {
  for (const auto& [id, replica] : replicas_) {
    replica->core.CheckInvariants();
    CATAMARAN_CHECK(id == replica->core.identity().partition, replica->core.identity().directory);
  }
}

}  // namespace catamaran::broker
