// ReplicaCore: reads, long polls and offset look-ups.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "broker/replica/replica_core.h"

namespace catamaran::broker {

int64_t ReadBudget::Take(int64_t wanted) {
  int64_t left = left_.load(std::memory_order_relaxed);
  while (left > 0) {
    int64_t taken = std::min(left, wanted);
    if (left_.compare_exchange_weak(left, left - taken, std::memory_order_relaxed)) return taken;
  }
  return 0;
}

Offset ReplicaCore::ReadLimit(bool read_committed) const {
  PartitionView bounds = view();
  return read_committed ? bounds.last_stable : bounds.high_watermark;
}

void ReplicaCore::AnswerRead(ReadCommand* command, const absl::Status& status,
                             storage::ReadResult data) {
  ReadOutcome outcome;
  outcome.view = view();
  outcome.data = std::move(data);
  if (outcome.data.batches_runs.empty()) outcome.data.next_offset = command->offset;
  Answer([reply = std::move(command->reply), status, outcome = std::move(outcome)]() mutable {
    reply(status, std::move(outcome));
  });
}

void ReplicaCore::Read(ReadCommand command, const Times& now) {
  if (DeferOrRefuse(&command)) return;
  ServeRead(std::move(command), now);
}

void ReplicaCore::ServeRead(ReadCommand command, const Times& now) {
  if (absl::Status status = CheckEpoch(command.expected_epoch); !status.ok()) {
    AnswerRead(&command, status, {});
    return;
  }
  const Offset limit = ReadLimit(command.read_committed);
  if (command.offset == limit && command.deadline > now.mono) {
    if (parked_.size() >= kParkedReadsMax) {
      AnswerRead(&command, Overloaded("the number of waiting reads", kParkedReadsMax), {});
      return;
    }
    Note(command.deadline);
    parked_.push_back(std::move(command));
    return;
  }
  int64_t reserved = 0;
  size_t bytes_max = command.bytes_max;
  if (command.budget != nullptr && command.offset < limit) {
    reserved = command.budget->Take(static_cast<int64_t>(command.bytes_max));
    if (reserved == 0) {  // the answer is full; the reader comes again
      AnswerRead(&command, absl::OkStatus(), {});
      return;
    }
    bytes_max = static_cast<size_t>(reserved);
  }
  absl::StatusOr<storage::ReadJob> job = log_->PlanRead(command.offset, bytes_max, limit);
  if (!job.ok()) {
    if (command.budget != nullptr) command.budget->GiveBack(reserved);
    AnswerRead(&command, job.status(), {});
    return;
  }
  Output::Read read{*std::move(job), std::move(command), reserved};
  if (read.job.in_memory()) {
    ++output_.memory_reads;
    absl::StatusOr<storage::ReadResult> result = read.job.Run();
    OnReadDone(std::move(read), std::move(result));
    return;
  }
  output_.reads.push_back(std::move(read));
  has_output_ = true;
}

void ReplicaCore::OnReadDone(Output::Read read, absl::StatusOr<storage::ReadResult> result) {
  ReadCommand& command = read.command;
  if (!result.ok()) {
    if (command.budget != nullptr) command.budget->GiveBack(read.reserved);
    if (ReasonOf(result.status()) == Reason::kCorruptLog && log_ != nullptr &&
        phase_ != ReplicaPhase::kClosed) {
      log_->ReportCorruption(result.status());
    }
    AnswerRead(&command, result.status(), {});
    return;
  }
  if (command.budget != nullptr) {
    command.budget->GiveBack(read.reserved - static_cast<int64_t>(result->bytes));
  }
  AnswerRead(&command, absl::OkStatus(), *std::move(result));
}

void ReplicaCore::WakeReads(const Times& now) {
  if (parked_.empty()) return;
  auto ready = std::stable_partition(parked_.begin(), parked_.end(), [&](const ReadCommand& read) {
    return read.offset >= ReadLimit(read.read_committed);
  });
  if (ready == parked_.end()) return;
  std::vector<ReadCommand> woken(std::make_move_iterator(ready),
                                 std::make_move_iterator(parked_.end()));
  parked_.erase(ready, parked_.end());
  for (ReadCommand& read : woken) ServeRead(std::move(read), now);
}

void ReplicaCore::CancelReads(uint64_t token) {
  auto cancel = [&](std::vector<ReadCommand>* reads) {
    for (size_t i = 0; i < reads->size();) {
      if ((*reads)[i].token != token) {
        ++i;
        continue;
      }
      ReadCommand read = std::move((*reads)[i]);
      reads->erase(reads->begin() + static_cast<ptrdiff_t>(i));
      AnswerRead(&read, absl::OkStatus(), {});
    }
  };
  cancel(&parked_);
  if (waiting_ != nullptr) cancel(&waiting_->reads);
}

void ReplicaCore::ListOffset(OffsetCommand command) {
  if (DeferOrRefuse(&command)) return;
  ServeOffset(std::move(command));
}

void ReplicaCore::ServeOffset(OffsetCommand command) {
  if (absl::Status status = CheckEpoch(command.expected_epoch); !status.ok()) {
    Refuse(&command, status);
    return;
  }
  if (!command.at_or_after.has_value()) {
    Answer([reply = std::move(command.reply),
            answer = OffsetAnswer{view(), std::nullopt}]() mutable { reply(std::move(answer)); });
    return;
  }
  output_.lookups.push_back(
      {log_->PlanTimestampLookup(*command.at_or_after, ReadLimit(command.read_committed)),
       std::move(command.reply)});
  has_output_ = true;
}

void ReplicaCore::OnLookupDone(Output::Lookup lookup,
                               absl::StatusOr<std::optional<storage::OffsetAndTimestamp>> result) {
  if (!result.ok()) {
    Answer(
        [reply = std::move(lookup.reply), status = result.status()]() mutable { reply(status); });
    return;
  }
  Answer([reply = std::move(lookup.reply), answer = OffsetAnswer{view(), *result}]() mutable {
    reply(std::move(answer));
  });
}

}  // namespace catamaran::broker
