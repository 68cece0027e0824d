// Drives a PartitionLog as a broker would, on one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/error.h"
#include "base/file_system.h"
#include "storage/partition_log.h"

namespace catamaran::storage {

inline TopicPartitionId TestPartition(int32_t partition = 3) {
  return {TopicId{Uuid::FromRandom(0x1122334455667788, 0x99aabbccddeeff00)},
          PartitionIndex(partition)};
}

struct BatchSpec {
  int records = 1;
  size_t value_bytes = 20;
  TimestampMs timestamp{1'000};
  ProducerId producer = kNoProducerId;
  ProducerEpoch epoch{0};
  Sequence sequence{0};
  Codec codec = Codec::kNone;
  char fill = 'v';
};

inline std::string MakeBatch(const BatchSpec& spec) {
  BatchBuilderOptions options;
  options.codec = spec.codec;
  if (spec.producer != kNoProducerId) {
    options.producer_id = spec.producer;
    options.producer_epoch = spec.epoch;
    options.base_sequence = spec.sequence;
  }
  BatchBuilder builder(options);
  for (int i = 0; i < spec.records; ++i) {
    builder.Add(spec.timestamp + i, "key" + std::to_string(i),
                std::string(spec.value_bytes, spec.fill));
  }
  auto batch = builder.Build();
  CATAMARAN_CHECK(batch.ok(), "a test batch doesn't build");
  return *std::move(batch);
}

// What a batch is, apart from where it stands: everything that the CRC covers.
inline std::string Payload(std::string_view batch) { return std::string(batch.substr(17)); }

class LogHarness {
 public:
  explicit LogHarness(FileSystem& fs, LogConfig config = {}, std::string directory = "topic-3")
      : fs_(fs), config_(config), directory_(std::move(directory)) {}

  absl::Status Open() {
    auto log = PartitionLog::Open(fs_, {directory_, TestPartition()}, config_, now);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    log_->CheckInvariants();
    return absl::OkStatus();
  }
  PartitionLog& log() { return *log_; }
  bool open() const { return log_ != nullptr; }
  void Drop() { log_.reset(); }

  // All decisions; the job's status in `*status`.
  std::vector<absl::StatusOr<Appended>> AppendAll(std::vector<std::string> batches,
                                                  absl::Status* status,
                                                  LeaderEpoch epoch = LeaderEpoch(1)) {
    std::vector<StageRequest> requests;
    for (std::string& batch : batches) requests.push_back({std::move(batch)});
    StageResult staged = log_->Stage(std::move(requests), epoch, now);
    *status = absl::OkStatus();
    if (staged.job.has_value()) {
      staged.job->Run();
      *status = log_->FinishWrite(*std::move(staged.job));
    }
    log_->CheckInvariants();
    return std::move(staged.decisions);
  }
  absl::StatusOr<Appended> Append(std::string batch, LeaderEpoch epoch = LeaderEpoch(1)) {
    absl::Status status;
    std::vector<std::string> batches;
    batches.push_back(std::move(batch));
    auto decisions = AppendAll(std::move(batches), &status, epoch);
    if (!status.ok()) return status;
    return decisions[0];
  }
  absl::StatusOr<Appended> Append(const BatchSpec& spec, LeaderEpoch epoch = LeaderEpoch(1)) {
    return Append(MakeBatch(spec), epoch);
  }

  absl::Status Sync() {
    const SyncTarget target = log_->TakeSync();
    absl::Status status;
    for (const auto& file : target.files) {
      status = file->SyncData();
      if (!status.ok()) break;
    }
    log_->FinishSync(target, status);
    log_->CheckInvariants();
    return status;
  }

  absl::StatusOr<ReadResult> Read(Offset from, size_t max_bytes = 1 << 20) {
    auto job = log_->PlanRead(from, max_bytes, log_->end());
    if (!job.ok()) return job.status();
    return job->Run();
  }
  // Every batch from `from` to the end.
  absl::StatusOr<std::vector<std::string>> ReadBatches(Offset from, size_t max_bytes = 1 << 20) {
    std::vector<std::string> batches;
    while (from < log_->end()) {
      auto result = Read(from, max_bytes);
      if (!result.ok()) return result.status();
      CATAMARAN_CHECK(result->next_offset > from, "a read makes no progress");
      for (const Buffer& run : result->batches_runs) {
        std::string_view bytes = run.view();
        while (!bytes.empty()) {
          const BatchHeader header = *ParseBatchHeader(bytes);
          batches.emplace_back(bytes.substr(0, header.size_bytes()));
          bytes.remove_prefix(header.size_bytes());
        }
      }
      from = result->next_offset;
    }
    return batches;
  }

  // Runs jobs until none is due.
  absl::Status Maintain(std::optional<Offset> high_watermark = std::nullopt) {
    while (true) {
      auto job = log_->TakeMaintenance(now, high_watermark.value_or(log_->end()));
      if (!job.has_value()) return absl::OkStatus();
      job->Run();
      absl::Status status = log_->FinishMaintenance(*std::move(job));
      log_->CheckInvariants();
      if (!status.ok()) return status;
    }
  }
  absl::Status DeleteRecords(Offset offset) {
    auto job = log_->DeleteRecordsBefore(offset, log_->end());
    if (!job.ok()) return job.status();
    job->Run();
    absl::Status status = log_->FinishMaintenance(*std::move(job));
    log_->CheckInvariants();
    return status;
  }
  absl::Status Truncate(Offset end) {
    auto job = log_->TruncateTo(end);
    if (!job.ok()) return job.status();
    job->Run();
    absl::Status status = log_->FinishMaintenance(*std::move(job));
    log_->CheckInvariants();
    return status;
  }
  absl::Status Close() {
    MaintenanceJob job = log_->Close();
    job.Run();
    absl::Status status = job.status();
    log_.reset();
    return status;
  }
  absl::Status Delete() {
    MaintenanceJob job = log_->Delete();
    job.Run();
    absl::Status status = job.status();
    log_.reset();
    return status;
  }

  TimestampMs now{1'000'000};

 private:
  FileSystem& fs_;
  LogConfig config_;
  std::string directory_;
  std::unique_ptr<PartitionLog> log_;
};

}  // namespace catamaran::storage
