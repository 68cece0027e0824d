// ReplicaCore: from a produce to its answer.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "broker/replica/replica_core.h"

namespace catamaran::broker {
namespace {

// The epoch under which `offset` was appended; kNoLeaderEpoch when the history doesn't reach back
// so far.
LeaderEpoch EpochAt(const std::vector<storage::EpochStart>& epochs, Offset offset) {
  LeaderEpoch epoch = kNoLeaderEpoch;
  for (const storage::EpochStart& start : epochs) {
    if (start.start_offset <= offset) epoch = start.epoch;
  }
  return epoch;
}

}  // namespace

// ---- waiting rooms ----

void ReplicaCore::WaitingRoom::Insert(Waiter waiter) {
  if (head_ > 0 && head_ * 2 >= items_.size()) {  // amortized: as many left as stay
    items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(head_));
    head_ = 0;
  }
  // New batches come in offset order; only the retry of an older one goes further forward.
  auto at = items_.end();
  while (at != items_.begin() + static_cast<ptrdiff_t>(head_) &&
         (at - 1)->appended.last_offset > waiter.appended.last_offset) {
    --at;
  }
  items_.insert(at, std::move(waiter));
}

ReplicaCore::Waiter ReplicaCore::WaitingRoom::TakeFront() {
  Waiter waiter = std::move(items_[head_++]);
  if (head_ == items_.size()) {
    items_.clear();
    head_ = 0;
    if (items_.capacity() > 64) items_.shrink_to_fit();
  }
  return waiter;
}

// ---- admission ----

absl::Status ReplicaCore::AdmitProduce(const ProduceCommand& command, const Times& now) const {
  CATAMARAN_RETURN_IF_ERROR(CheckEpoch(command.expected_epoch));
  CATAMARAN_RETURN_IF_ERROR(log_->health());
  if (command.acks == Acks::kAll && config_.replicas_in_sync < config_.min_insync_replicas) {
    return MakeError(
        Reason::kNotEnoughReplicas,
        absl::StrCat(identity_.directory, " has ", config_.replicas_in_sync,
                     " replicas in sync and min.insync.replicas is ", config_.min_insync_replicas,
                     ". Try again when more replicas are back, or lower the setting."),
        {{"partition", identity_.directory},
         {"in_sync", absl::StrCat(config_.replicas_in_sync)},
         {"min_insync_replicas", absl::StrCat(config_.min_insync_replicas)}});
  }
  if (command.deadline <= now.mono) {
    return MakeError(Reason::kDeadlineExceeded,
                     "The deadline passed before the batch could be appended. Nothing was stored: "
                     "send it again with more time.",
                     {{"partition", identity_.directory}});
  }
  if (queue_.size() >= kQueuedProducesMax) {
    return Overloaded("the number of batches queued for it", kQueuedProducesMax);
  }
  if (queued_bytes_ + command.batch.size() > kQueuedProduceBytesMax) {
    return Overloaded("the bytes queued for it", kQueuedProduceBytesMax);
  }
  if (awaiting_sync_.size() + awaiting_high_watermark_.size() >= kWaitingAcksMax) {
    return Overloaded("the number of acknowledgements that it owes", kWaitingAcksMax);
  }
  return absl::OkStatus();
}

void ReplicaCore::Produce(ProduceCommand command, const Times& now) {
  if (DeferOrRefuse(&command)) return;
  if (absl::Status status = AdmitProduce(command, now); !status.ok()) {
    Refuse(&command, status);
    return;
  }
  if (command.acks == Acks::kNone && command.reply != nullptr) {
    ProduceOutcome outcome;
    outcome.appended = {.base_offset = Offset(-1), .last_offset = Offset(-1)};
    outcome.leader_epoch = epoch_;
    outcome.log_start = log_->log_start();
    Answer([reply = std::move(command.reply), outcome]() mutable { reply(outcome); });
    command.reply = nullptr;
  }
  Note(command.deadline);
  queued_bytes_ += command.batch.size();
  queue_.push_back(std::move(command));
  MaybeStage(now);
}

// ---- write ----

void ReplicaCore::MaybeStage(const Times& now) {
  // A stage without a job (only duplicates and refusals) leaves room for the next at once.
  while (!write_in_flight_ && !queue_.empty() && phase_ == ReplicaPhase::kServing) {
    size_t count = 0;
    size_t bytes = 0;
    while (count < queue_.size() &&
           (count == 0 || bytes + queue_[count].batch.size() <= storage::kStageBytesMax)) {
      bytes += queue_[count++].batch.size();
    }
    std::vector<storage::StageRequest> requests;
    requests.reserve(count);
    for (size_t i = 0; i < count; ++i) requests.push_back({std::move(queue_[i].batch)});
    storage::StageResult staged = log_->Stage(std::move(requests), epoch_, now.wall);
    CATAMARAN_CHECK(staged.decisions.size() == count, identity_.directory);

    std::vector<Waiter> waiters;
    waiters.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      ProduceCommand& command = queue_[i];
      if (!staged.decisions[i].ok()) {
        Refuse(&command, staged.decisions[i].status());
        continue;
      }
      waiters.push_back({command.acks, command.raise_to_sync, command.deadline,
                         *staged.decisions[i], epoch_, std::move(command.reply)});
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(count));
    queued_bytes_ -= bytes;
    if (staged.job.has_value()) {
      write_in_flight_ = true;
      writing_ = std::move(waiters);
      output_.write = *std::move(staged.job);
      has_output_ = true;
    } else {
      for (Waiter& waiter : waiters) Settle(std::move(waiter));
      ReleaseSynced();
    }
  }
}

void ReplicaCore::OnWriteDone(storage::WriteJob job, const Times& now) {
  CATAMARAN_CHECK(write_in_flight_, identity_.directory);
  absl::Status status = log_->FinishWrite(std::move(job));
  write_in_flight_ = false;
  std::vector<Waiter> written = std::move(writing_);
  writing_.clear();
  for (Waiter& waiter : written) {
    // A retry of a batch that stands since long holds, whatever became of this write.
    if (status.ok() || (waiter.appended.duplicate && waiter.appended.last_offset < log_->end())) {
      Settle(std::move(waiter));
    } else {
      FailProduce(&waiter, status);
    }
  }
  AdvanceHighWatermark(now);
  MaybeSync();
  if (absl::Status health = log_->health(); !health.ok()) {
    for (ProduceCommand& command : std::exchange(queue_, {})) Refuse(&command, health);
    queued_bytes_ = 0;
  }
  MaybeStage(now);
  MaybeFinishClosing();
}

void ReplicaCore::Settle(Waiter waiter) {
  if (waiter.reply == nullptr) return;
  const bool needs_sync = waiter.raise_to_sync || (config_.sync && waiter.acks == Acks::kLeader);
  if (needs_sync && log_->synced_end() <= waiter.appended.last_offset) {
    awaiting_sync_.Insert(std::move(waiter));
  } else if (waiter.acks == Acks::kAll && high_watermark_ <= waiter.appended.last_offset) {
    awaiting_high_watermark_.Insert(std::move(waiter));
  } else {
    AnswerProduce(&waiter);
  }
}

int32_t ReplicaCore::ReplicasSynced(Offset last) const { return log_->synced_end() > last ? 1 : 0; }

void ReplicaCore::AnswerProduce(Waiter* waiter) {
  if (waiter->reply == nullptr) return;
  ProduceOutcome outcome;
  outcome.appended = waiter->appended;
  // A duplicate was stored under the epoch of its first append, which a restart has ended.
  outcome.leader_epoch = waiter->appended.duplicate
                             ? EpochAt(log_->epochs(), waiter->appended.base_offset)
                             : waiter->epoch;
  outcome.replicas_written = 1;
  outcome.replicas_synced = ReplicasSynced(waiter->appended.last_offset);
  outcome.log_start = log_->log_start();
  Answer([reply = std::move(waiter->reply), outcome]() mutable { reply(outcome); });
  waiter->reply = nullptr;
}

void ReplicaCore::FailProduce(Waiter* waiter, const absl::Status& status) {
  if (waiter->reply == nullptr) return;
  Answer([reply = std::move(waiter->reply), status]() mutable { reply(status); });
  waiter->reply = nullptr;
}

// ---- sync and high watermark ----

bool ReplicaCore::WantsSync() const {
  return log_->needs_sync() && (config_.sync || !awaiting_sync_.empty());
}

void ReplicaCore::MaybeSync() {
  if (!WantsSync() || syncs_in_flight_ >= kSyncsInFlightMax || !log_->health().ok()) return;
  if (syncs_in_flight_ > 0 && sync_requested_ >= log_->end()) return;
  if (output_.sync.has_value()) return;  // taken by this very event already
  storage::SyncTarget target = log_->TakeSync();
  sync_requested_ = std::max(sync_requested_, target.end);
  ++syncs_in_flight_;
  output_.sync = std::move(target);
  has_output_ = true;
}

void ReplicaCore::OnSyncDone(const storage::SyncTarget& target, const absl::Status& status,
                             const Times& now) {
  CATAMARAN_CHECK(syncs_in_flight_ > 0, identity_.directory);
  --syncs_in_flight_;
  log_->FinishSync(target, status);
  if (phase_ == ReplicaPhase::kOpening) {
    if (!status.ok()) {
      FailOpening(status);
      return;
    }
    if (!refusal_.ok()) {
      Become(ReplicaPhase::kClosing);
      MaybeFinishClosing();
    } else {
      StartServing(now);
    }
    return;
  }
  if (!status.ok()) {
    // Nobody knows what is on disk: the log has latched, and whoever waited is told "unknown".
    FailWaiting(status);
  } else {
    ReleaseSynced();
    AdvanceHighWatermark(now);
    MaybeSync();
  }
  MaybeFinishClosing();
}

void ReplicaCore::ReleaseSynced() {
  while (!awaiting_sync_.empty() &&
         awaiting_sync_.front().appended.last_offset < log_->synced_end()) {
    Waiter waiter = awaiting_sync_.TakeFront();
    Settle(std::move(waiter));
  }
}

void ReplicaCore::AdvanceHighWatermark(const Times& now) {
  // The minimum over the in-sync replicas of what each has durably, which today is this one.
  Offset durable = config_.sync ? log_->synced_end() : log_->end();
  if (durable > high_watermark_) high_watermark_ = durable;
  while (!awaiting_high_watermark_.empty() &&
         awaiting_high_watermark_.front().appended.last_offset < high_watermark_) {
    Waiter waiter = awaiting_high_watermark_.TakeFront();
    AnswerProduce(&waiter);
  }
  WakeReads(now);
}

// ---- failures and deadlines ----

void ReplicaCore::FailWaiting(const absl::Status& status) {
  while (!awaiting_sync_.empty()) {
    Waiter waiter = awaiting_sync_.TakeFront();
    FailProduce(&waiter, status);
  }
  while (!awaiting_high_watermark_.empty()) {
    Waiter waiter = awaiting_high_watermark_.TakeFront();
    FailProduce(&waiter, status);
  }
}

void ReplicaCore::Expire(Waiter* waiter, const Times& now) {
  if (waiter->reply == nullptr) return;
  if (waiter->deadline > now.mono) {
    Note(waiter->deadline);
    return;
  }
  FailProduce(waiter, MakeError(Reason::kOutcomeUnknown,
                                absl::StrCat(
                                    "The batch was appended to ", identity_.directory,
                                    " but not acknowledged in time; it may be stored or not. Retry "
                                    "only with a producer id and sequence, or read it back first."),
                                {{"partition", identity_.directory}}));
}

void ReplicaCore::ExpireQueue(std::vector<ProduceCommand>* queue, const Times& now) {
  auto keep = queue->begin();
  for (ProduceCommand& command : *queue) {
    if (command.deadline > now.mono || command.reply == nullptr) {
      if (command.reply != nullptr) Note(command.deadline);
      if (&command != &*keep) *keep = std::move(command);
      ++keep;
      continue;
    }
    queued_bytes_ -= command.batch.size();
    Refuse(&command, MakeError(Reason::kDeadlineExceeded,
                               "The deadline passed while the batch waited to be appended. Nothing "
                               "was stored: send it again with more time.",
                               {{"partition", identity_.directory}}));
  }
  queue->erase(keep, queue->end());
}

}  // namespace catamaran::broker
