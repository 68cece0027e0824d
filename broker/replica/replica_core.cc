#include "broker/replica/replica_core.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran::broker {

std::string_view ReplicaPhaseName(ReplicaPhase phase) {
  switch (phase) {
    case ReplicaPhase::kUnopened:
      return "unopened";
    case ReplicaPhase::kOpening:
      return "opening";
    case ReplicaPhase::kServing:
      return "serving";
    case ReplicaPhase::kFailed:
      return "failed";
    case ReplicaPhase::kClosing:
      return "closing";
    case ReplicaPhase::kClosed:
      return "closed";
  }
  return "?";
}

namespace {

// Rows: from; columns: to, in the order of ReplicaPhase.
constexpr bool kTransitions[6][6] = {
    /* unopened */ {false, true, false, false, false, true},
    /* opening  */ {true, false, true, true, true, true},
    /* serving  */ {false, false, false, false, true, false},
    /* failed   */ {false, false, false, false, false, true},
    /* closing  */ {false, false, false, false, false, true},
    /* closed   */ {false, false, false, false, false, false},
};

}  // namespace

ReplicaCore::ReplicaCore(storage::LogIdentity identity, ReplicaConfig config, LeaderEpoch epoch)
    : identity_(std::move(identity)), config_(config), epoch_(epoch) {}

void ReplicaCore::Become(ReplicaPhase phase) {
  CATAMARAN_CHECK(kTransitions[static_cast<int>(phase_)][static_cast<int>(phase)],
                  absl::StrCat(identity_.directory, ": ", std::string(ReplicaPhaseName(phase_)),
                               " to ", std::string(ReplicaPhaseName(phase))));
  phase_ = phase;
}

void ReplicaCore::Answer(absl::AnyInvocable<void()> call) {
  output_.answers.push_back(std::move(call));
  has_output_ = true;
}

void ReplicaCore::Note(MonotonicTime deadline) {
  next_deadline_ = std::min(next_deadline_, deadline);
}

PartitionView ReplicaCore::view() const {
  PartitionView view;
  view.leader_epoch = epoch_;
  if (log_ == nullptr) return view;
  view.log_start = log_->log_start();
  view.high_watermark = high_watermark_;
  // The first open transaction's first offset, once there are transactions.
  view.last_stable = high_watermark_;
  view.log_end = log_->end();
  return view;
}

absl::Status ReplicaCore::CheckEpoch(std::optional<LeaderEpoch> expected) const {
  if (!expected.has_value() || expected->value() < 0 || *expected == epoch_) {
    return absl::OkStatus();
  }
  ErrorMetadata metadata = {{"partition", identity_.directory},
                            {"leader_epoch", absl::StrCat(epoch_.value())},
                            {"request_epoch", absl::StrCat(expected->value())}};
  if (*expected < epoch_) {
    return MakeError(Reason::kFencedEpoch,
                     absl::StrCat("The leader epoch ", expected->value(), " of ",
                                  identity_.directory, " is over: it is ", epoch_.value(),
                                  " now. Refresh the metadata and send the request again."),
                     std::move(metadata));
  }
  return MakeError(
      Reason::kLeaderUnknown,
      absl::StrCat("This broker knows ", identity_.directory, " only up to leader epoch ",
                   epoch_.value(), ", not ", expected->value(), " yet. Try again in a moment."),
      std::move(metadata));
}

absl::Status ReplicaCore::Overloaded(std::string_view what, size_t limit) const {
  return MakeError(Reason::kOverloaded,
                   absl::StrCat("Too much waits for ", identity_.directory, ": ", std::string(what),
                                " reached its limit of ", limit,
                                ". Wait a little, then send the request again."),
                   {{"partition", identity_.directory},
                    {"limit", absl::StrCat(limit)},
                    {"retry_delay_ms", absl::StrCat(kOverloadedRetryMs)}});
}

// ---- opening ----

void ReplicaCore::Open() {
  if (phase_ != ReplicaPhase::kUnopened) return;
  Become(ReplicaPhase::kOpening);
  in_doubt_ = true;
  output_.open = true;
  has_output_ = true;
}

void ReplicaCore::OnOpened(absl::StatusOr<std::unique_ptr<storage::PartitionLog>> log,
                           const Times& now) {
  CATAMARAN_CHECK(phase_ == ReplicaPhase::kOpening, identity_.directory);
  if (!log.ok()) {
    FailOpening(log.status());
    return;
  }
  log_ = *std::move(log);
  sync_requested_ = log_->synced_end();
  if (!refusal_.ok()) {  // closed while it opened
    Become(ReplicaPhase::kClosing);
    MaybeFinishClosing();
    return;
  }
  // What was readable before a crash must be readable after it. On a sync topic that is the synced
  // end, which may lie past what the recovery point proves: so everything is synced before the
  // partition serves. OnSyncDone goes on.
  if (config_.sync && log_->needs_sync()) {
    MaybeSync();
    return;
  }
  StartServing(now);
}

void ReplicaCore::FailOpening(const absl::Status& status) {
  Reason reason = ReasonOf(status);
  // A full disk or a missing descriptor passes: the next request tries again.
  bool passing = reason == Reason::kStorageFull || reason == Reason::kLimitExceeded;
  if (!refusal_.ok()) {
    Become(ReplicaPhase::kClosed);
    output_.closed = has_output_ = true;
  } else if (passing) {
    log_ = nullptr;
    Become(ReplicaPhase::kUnopened);
  } else {
    refusal_ = status;
    Become(ReplicaPhase::kFailed);
  }
  RefuseWaiting(status);
}

void ReplicaCore::RefuseWaiting(const absl::Status& status) {
  std::unique_ptr<Waiting> waiting = std::move(waiting_);
  if (waiting == nullptr) return;
  queued_bytes_ = 0;
  for (ProduceCommand& command : waiting->produces) Refuse(&command, status);
  for (ReadCommand& command : waiting->reads) Refuse(&command, status);
  for (OffsetCommand& command : waiting->offsets) Refuse(&command, status);
  for (DeleteRecordsCommand& command : waiting->deletions) Refuse(&command, status);
}

void ReplicaCore::StartServing(const Times& now) {
  Become(ReplicaPhase::kServing);
  high_watermark_ = config_.sync ? log_->synced_end() : log_->end();
  std::unique_ptr<Waiting> waiting = std::move(waiting_);
  if (waiting == nullptr) return;
  queued_bytes_ = 0;
  for (ProduceCommand& command : waiting->produces) Produce(std::move(command), now);
  for (ReadCommand& command : waiting->reads) Read(std::move(command), now);
  for (OffsetCommand& command : waiting->offsets) ListOffset(std::move(command));
  for (DeleteRecordsCommand& command : waiting->deletions) DeleteRecords(std::move(command));
}

template <class Command>
bool ReplicaCore::DeferOrRefuse(Command* command) {
  if (phase_ == ReplicaPhase::kServing) return false;
  if (!refusal_.ok()) {
    Refuse(command, refusal_);
    return true;
  }
  if (waiting_ == nullptr) waiting_ = std::make_unique<Waiting>();
  if (waiting_->size() >= kWaitingForOpenMax) {
    Refuse(command, Overloaded("the number of requests while its log opens", kWaitingForOpenMax));
    return true;
  }
  Keep(std::move(*command));
  Open();
  return true;
}
template bool ReplicaCore::DeferOrRefuse(ProduceCommand*);
template bool ReplicaCore::DeferOrRefuse(ReadCommand*);
template bool ReplicaCore::DeferOrRefuse(OffsetCommand*);
template bool ReplicaCore::DeferOrRefuse(DeleteRecordsCommand*);

void ReplicaCore::Keep(ProduceCommand command) {
  if (queued_bytes_ + command.batch.size() > kQueuedProduceBytesMax) {
    Refuse(&command, Overloaded("the bytes queued for it", kQueuedProduceBytesMax));
    return;
  }
  queued_bytes_ += command.batch.size();
  Note(command.deadline);
  waiting_->produces.push_back(std::move(command));
}
void ReplicaCore::Keep(ReadCommand command) { waiting_->reads.push_back(std::move(command)); }
void ReplicaCore::Keep(OffsetCommand command) { waiting_->offsets.push_back(std::move(command)); }
void ReplicaCore::Keep(DeleteRecordsCommand command) {
  waiting_->deletions.push_back(std::move(command));
}

void ReplicaCore::Refuse(ProduceCommand* command, const absl::Status& status) {
  if (command->reply == nullptr) return;
  Answer([reply = std::move(command->reply), status]() mutable { reply(status); });
}
void ReplicaCore::Refuse(ReadCommand* command, const absl::Status& status) {
  AnswerRead(command, status, {});
}
void ReplicaCore::Refuse(OffsetCommand* command, const absl::Status& status) {
  Answer([reply = std::move(command->reply), status]() mutable { reply(status); });
}
void ReplicaCore::Refuse(DeleteRecordsCommand* command, const absl::Status& status) {
  Answer([reply = std::move(command->reply), status]() mutable { reply(status); });
}

// ---- settings and time ----

void ReplicaCore::SetConfig(const ReplicaConfig& config, const Times& now) {
  config_ = config;
  if (log_ == nullptr || phase_ != ReplicaPhase::kServing) return;
  log_->SetConfig(config.log);
  AdvanceHighWatermark(now);  // async now: what is written may be read
  MaybeSync();                // sync now: what is written must be synced
}

void ReplicaCore::SetLeaderEpoch(LeaderEpoch epoch) {
  CATAMARAN_CHECK(epoch >= epoch_, "leader epochs rise");
  epoch_ = epoch;
}

void ReplicaCore::Tick(const Times& now) {
  if (now.mono < next_deadline_) return;
  next_deadline_ = kNever;
  if (waiting_ != nullptr) ExpireQueue(&waiting_->produces, now);
  ExpireQueue(&queue_, now);
  for (Waiter& waiter : writing_) Expire(&waiter, now);
  for (Waiter& waiter : awaiting_sync_) Expire(&waiter, now);
  for (Waiter& waiter : awaiting_high_watermark_) Expire(&waiter, now);
  auto expired =
      std::stable_partition(parked_.begin(), parked_.end(),
                            [&](const ReadCommand& read) { return read.deadline > now.mono; });
  std::vector<ReadCommand> over(std::make_move_iterator(expired),
                                std::make_move_iterator(parked_.end()));
  parked_.erase(expired, parked_.end());
  for (ReadCommand& read : over) AnswerRead(&read, absl::OkStatus(), {});
  for (const ReadCommand& read : parked_) Note(read.deadline);
}

// ---- maintenance ----

void ReplicaCore::Maintain(const Times& now) {
  if (phase_ != ReplicaPhase::kServing || maintenance_in_flight_) return;
  if (std::optional<storage::MaintenanceJob> job =
          log_->TakeMaintenance(now.wall, high_watermark_)) {
    TakeMaintenanceJob(*std::move(job));
  }
}

void ReplicaCore::TakeMaintenanceJob(storage::MaintenanceJob job) {
  CATAMARAN_CHECK(!maintenance_in_flight_, identity_.directory);
  maintenance_in_flight_ = true;
  output_.maintenance = std::move(job);
  has_output_ = true;
}

void ReplicaCore::DeleteRecords(DeleteRecordsCommand command) {
  if (DeferOrRefuse(&command)) return;
  deletions_.push_back(std::move(command));
  MaybeDeleteRecords();
}

void ReplicaCore::MaybeDeleteRecords() {
  while (!maintenance_in_flight_ && !deletions_.empty()) {
    DeleteRecordsCommand command = std::move(deletions_.front());
    deletions_.erase(deletions_.begin());
    Offset before = command.before.value_or(high_watermark_);
    absl::StatusOr<storage::MaintenanceJob> job =
        log_->DeleteRecordsBefore(before, high_watermark_);
    if (!job.ok()) {
      Refuse(&command, job.status());
      continue;
    }
    deleting_ = std::move(command);
    TakeMaintenanceJob(*std::move(job));
  }
}

void ReplicaCore::OnMaintenanceDone(storage::MaintenanceJob job) {
  CATAMARAN_CHECK(maintenance_in_flight_, identity_.directory);
  maintenance_in_flight_ = false;
  if (closing_job_in_flight_) {
    // Nothing more can be done about a failed close: the next start recovers as after a crash.
    closing_job_in_flight_ = false;
    in_doubt_ = !log_->FinishMaintenance(std::move(job)).ok() || !log_->health().ok();
    Become(ReplicaPhase::kClosed);
    output_.closed = has_output_ = true;
    return;
  }
  absl::Status status = log_->FinishMaintenance(std::move(job));
  if (deleting_.has_value()) {
    DeleteRecordsCommand command = *std::exchange(deleting_, std::nullopt);
    if (status.ok()) {
      Answer([reply = std::move(command.reply), start = log_->log_start()]() mutable {
        reply(start);
      });
    } else {
      Refuse(&command, status);
    }
  }
  MaybeDeleteRecords();
  MaybeFinishClosing();
}

// ---- closing ----

void ReplicaCore::Close(bool remove, const absl::Status& reason) {
  CATAMARAN_CHECK(!reason.ok(), "requests after the close need an answer");
  remove_ = remove_ || remove;
  if (phase_ == ReplicaPhase::kClosing || phase_ == ReplicaPhase::kClosed) return;
  refusal_ = reason;
  RefuseWaiting(reason);
  for (ProduceCommand& command : queue_) Refuse(&command, reason);
  queue_.clear();
  queued_bytes_ = 0;
  for (ReadCommand& read : std::exchange(parked_, {})) AnswerRead(&read, reason, {});
  for (DeleteRecordsCommand& command : std::exchange(deletions_, {})) Refuse(&command, reason);
  if (phase_ == ReplicaPhase::kOpening) return;  // OnOpened goes on
  if (phase_ != ReplicaPhase::kServing) {
    Become(ReplicaPhase::kClosed);
    output_.closed = has_output_ = true;
    return;
  }
  Become(ReplicaPhase::kClosing);
  MaybeFinishClosing();
}

void ReplicaCore::MaybeFinishClosing() {
  if (phase_ != ReplicaPhase::kClosing || closing_job_in_flight_) return;
  if (write_in_flight_ || syncs_in_flight_ > 0 || maintenance_in_flight_) return;
  if (log_->health().ok() && WantsSync()) {
    MaybeSync();
    return;
  }
  FailWaiting(refusal_);
  closing_job_in_flight_ = true;
  TakeMaintenanceJob(remove_ ? log_->Delete() : log_->Close());
}

void ReplicaCore::CheckInvariants() const {
  const std::string& name = identity_.directory;
  CATAMARAN_CHECK(write_in_flight_ || (queue_.empty() && writing_.empty()), name);
  CATAMARAN_CHECK(syncs_in_flight_ >= 0 && syncs_in_flight_ <= kSyncsInFlightMax, name);
  size_t bytes = 0;
  for (const ProduceCommand& command : queue_) bytes += command.batch.size();
  if (waiting_ != nullptr) {
    for (const ProduceCommand& command : waiting_->produces) bytes += command.batch.size();
  }
  CATAMARAN_CHECK(bytes == queued_bytes_ && bytes <= kQueuedProduceBytesMax, name);
  CATAMARAN_CHECK(phase_ != ReplicaPhase::kServing || (log_ != nullptr && waiting_ == nullptr),
                  name);
  for (const WaitingRoom* room : {&awaiting_sync_, &awaiting_high_watermark_}) {
    CATAMARAN_CHECK(std::is_sorted(room->begin(), room->end(),
                                   [](const Waiter& a, const Waiter& b) {
                                     return a.appended.last_offset < b.appended.last_offset;
                                   }),
                    name);
  }
  if (log_ == nullptr || phase_ != ReplicaPhase::kServing) return;
  log_->CheckInvariants();
  CATAMARAN_CHECK(log_->write_in_flight() == write_in_flight_, name);
  CATAMARAN_CHECK(log_->log_start() <= high_watermark_ && high_watermark_ <= log_->end(), name);
  // What is answered as durable is durable: on a sync topic the watermark never passes the disk,
  // unless it was exposed while the topic was async.
  for (const ReadCommand& read : parked_) {
    CATAMARAN_CHECK(read.offset >= ReadLimit(read.read_committed), name);
  }
}

}  // namespace catamaran::broker
