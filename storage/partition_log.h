// The log of one partition replica: segments, their indexes, the leader-epoch history and the
// idempotent producers' state. A core that decides and jobs that act: every method of PartitionLog
// is in-memory, quick and called by the owning shard only; whatever touches the disk is a *job*
// value that the shard takes from here, runs on an IoPool lane, and hands back when it has ended.
//
//   shard:  Stage(batches)  ->  WriteJob     IoPool::kWrite:  job.Run()     shard: FinishWrite(job)
//   shard:  TakeSync()      ->  SyncTarget   SyncService                    shard:
//   FinishSync(target, status) shard:  PlanRead(from)  ->  ReadJob      IoPool::kRead:   job.Run()
//   (nothing to finish) shard:  TakeMaintenance ->  MaintenanceJob  kBackground:  job.Run() shard:
//   FinishMaintenance(job)
//
// Invariants (CheckInvariants): log_start <= synced_end <= end; segments are contiguous and sorted
// by base offset; every batch below end() is in exactly one segment, bound to its place; the
// leader-epoch history equals the one that a scan of the log would give; nothing is visible (end()
// doesn't move) before its write has succeeded, and a failed write leaves no trace in memory or on
// disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace catamaran::storage {

// Settings that may change while the log is open (topic configuration; Kafka's names in comments).
struct LogConfig {
  int64_t segment_bytes = 1 << 30;          // segment.bytes, at least one largest batch
  int64_t segment_ms = 604'800'000;         // segment.ms: a segment older than this is rolled
  int64_t retention_bytes = -1;             // retention.bytes: -1 keeps any size
  int64_t retention_ms = 604'800'000;       // retention.ms: -1 keeps any age
  bool delete_old_segments = true;          // cleanup.policy has "delete"
  int64_t index_interval_bytes = 16 << 10;  // index.interval.bytes: one index entry per this much
  int64_t producer_expiry_ms = 86'400'000;  // idle producers are forgotten after this
  TimestampType timestamp_type = TimestampType::kCreateTime;
};

struct LogIdentity {
  std::string directory;       // "<topic>-<partition>" under the data directory
  TopicPartitionId partition;  // checked against the directory's topic-id file
};

// Named bounds.
inline constexpr int kProducerBatchesRemembered = 5;  // Kafka's in-flight limit (X1)
inline constexpr size_t kProducersPerPartitionMax = 100'000;
inline constexpr size_t kStageBytesMax = 64u << 20;  // bytes that one WriteJob may carry

// The place of an accepted batch.
struct Appended {
  Offset base_offset{0};
  Offset last_offset{0};
  TimestampMs append_time = kNoTimestamp;  // set on log-append-time topics only
  bool duplicate = false;                  // sent before: this is the first append's answer
};

// A batch to append, already validated (ValidateProducedBatch) for this topic.
struct StageRequest {
  std::string
      bytes;  // exactly one batch; base offset, epoch (and log-append time) are stamped here
};

class PartitionLog;

// One write, self-contained. Runs on any thread.
class WriteJob {
 public:
  WriteJob();
  WriteJob(WriteJob&&) noexcept;
  WriteJob& operator=(WriteJob&&) noexcept;
  ~WriteJob();

  // Writes everything or undoes what it wrote. Blocking. Keeps the status for FinishWrite.
  void Run();
  const absl::Status& status() const;

 private:
  friend class PartitionLog;
  struct State;
  std::unique_ptr<State> state_;
};

struct StageResult {
  // One per request, in order: its place (valid once the write succeeded; a duplicate at once) or
  // why it is refused: kOutOfOrderSequence, kProducerFenced, kUnknownProducer, kStorageFailed
  // (latched), kLimitExceeded (producers per partition).
  std::vector<absl::StatusOr<Appended>> decisions;
  // Absent when nothing is to be written (all refused or duplicates).
  std::optional<WriteJob> job;
};

// What to sync so that everything below `end` is durable. Copyable; the handles keep files open.
struct SyncTarget {
  Offset end{0};
  std::vector<std::shared_ptr<File>> files;  // usually one: the active segment's log file
};

// Bytes read: whole batches, in order, possibly beginning below the offset asked for (the batch
// that holds it is returned whole).
struct ReadResult {
  std::vector<Buffer> batches_runs;  // each run is a concatenation of whole batches
  size_t bytes = 0;
  Offset next_offset{0};  // where the next read goes on
};

class ReadJob {
 public:
  ReadJob();
  ReadJob(ReadJob&&) noexcept;
  ReadJob& operator=(ReadJob&&) noexcept;
  ~ReadJob();

  // True when the answer is in memory already (tail cache): Run() then does no I/O and may be
  // called on the shard.
  bool in_memory() const;
  // Checks each batch's header and its binding to this place; kCorruptLog when they don't hold, and
  // the log is then to be told by ReportCorruption().
  absl::StatusOr<ReadResult> Run();

 private:
  friend class PartitionLog;
  struct State;
  std::unique_ptr<State> state_;
};

// Roll, retention, checkpoint, deletion: anything slow. At most one in flight per log.
class MaintenanceJob {
 public:
  MaintenanceJob();
  MaintenanceJob(MaintenanceJob&&) noexcept;
  MaintenanceJob& operator=(MaintenanceJob&&) noexcept;
  ~MaintenanceJob();
  void Run();
  const absl::Status& status() const;
  // How many segments it removes because retention, or delete-records, is past them.
  size_t segments_to_remove() const;

 private:
  friend class PartitionLog;
  struct State;
  std::unique_ptr<State> state_;
};

struct EpochStart {
  LeaderEpoch epoch;
  Offset start_offset;
  bool operator==(const EpochStart&) const = default;
};

struct OffsetAndTimestamp {
  Offset offset{0};
  TimestampMs timestamp = kNoTimestamp;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
};

struct LogStats {
  int64_t size_bytes = 0;  // of all segments' log files
  int segments = 0;
  size_t producers = 0;
  int64_t recovered_bytes = 0;  // log data read by the last Open
  int64_t truncated_bytes = 0;  // torn tail cut by the last Open
};

class PartitionLog {
 public:
  // Blocking: run on an IoPool lane. Finds what the directory holds (nothing is created while the
  // directory is missing: an empty partition is metadata only, made by the first WriteJob).
  // After a clean stop no log data is read; after a crash only what follows the recovery point.
  // Errors: kCorruptLog (damage before the recovery point, or valid batches after a bad one:
  // nothing is cut), kTopicIdMismatch (the directory belongs to another incarnation),
  // kStorageFailed. `fs` must outlive the log and all its jobs.
  static absl::StatusOr<std::unique_ptr<PartitionLog>> Open(FileSystem& fs, LogIdentity identity,
                                                            LogConfig config, TimestampMs now);
  ~PartitionLog();

  const LogIdentity& identity() const;
  const LogConfig& config() const;
  void SetConfig(const LogConfig& config);

  // ---- bounds ----
  Offset log_start() const;   // first offset that may be read
  Offset synced_end() const;  // everything below is known to be on disk
  Offset end() const;         // next offset to be written: log end offset
  LeaderEpoch last_epoch() const;
  LogStats stats() const;
  // OK, or the latched I/O error (kStorageFailed) or damage (kCorruptLog) that ended this log's
  // service for appends until it is opened again.
  const absl::Status& health() const;

  // ---- append ----
  bool write_in_flight() const;
  // A duplicate's answer holds once its last offset is below end() (and as durable as synced_end()
  // says): its first append may be in the same job, or not synced yet.
  // No write may be in flight. Offsets go on from end(). Total bytes at most kStageBytesMax.
  StageResult Stage(std::vector<StageRequest> requests, LeaderEpoch epoch, TimestampMs now);
  // After job.Run(). OK: end() has moved and decisions hold. kStorageFull: nothing happened, later
  // stages may succeed. Any other error latches (health()).
  absl::Status FinishWrite(WriteJob job);

  // ---- durability ----
  bool needs_sync() const { return synced_end() < end(); }
  SyncTarget TakeSync() const;
  void FinishSync(const SyncTarget& target, const absl::Status& status);  // an error latches

  // ---- read ----
  // Whole batches from the one that holds `from`, at least one, while they fit `max_bytes`, all
  // below `limit` (high watermark or last stable offset). kOffsetOutOfRange (metadata: log_start,
  // log_end) outside [log_start, limit]; an empty job at exactly `limit`.
  absl::StatusOr<ReadJob> PlanRead(Offset from, size_t max_bytes, Offset limit);
  // First record at or after `timestamp` and below `limit`; nullopt result when there is none.
  // Blocking: returned as a job since it reads and decompresses one batch.
  absl::AnyInvocable<absl::StatusOr<std::optional<OffsetAndTimestamp>>()> PlanTimestampLookup(
      TimestampMs timestamp, Offset limit);
  // End offset of the largest epoch <= `epoch`, and that epoch (kafka OffsetForLeaderEpoch).
  EpochStart EndOfEpoch(LeaderEpoch epoch) const;
  const std::vector<EpochStart>& epochs() const;

  // ---- maintenance ----
  bool maintenance_in_flight() const;
  // A start after a crash reads the log from here on.
  Offset recovery_point() const;
  // The next job that is due, if any (none while one is in flight): apply retention, roll by age,
  // finish sealed segments (sync, write indexes and producer snapshot), move the recovery point,
  // delete files of removed segments. Retention never touches offsets at or past `high_watermark`
  // nor the active segment's last batch.
  std::optional<MaintenanceJob> TakeMaintenance(TimestampMs now, Offset high_watermark);
  absl::Status FinishMaintenance(MaintenanceJob job);
  // Moves log_start up (delete-records); durable once the returned job has run. kOffsetOutOfRange
  // above `high_watermark`; kOverloaded while another maintenance job is in flight: retry once it
  // has ended.
  absl::StatusOr<MaintenanceJob> DeleteRecordsBefore(Offset offset, Offset high_watermark);
  // Truncates to `end` (replication, next issues): everything at or past it goes. No write in
  // flight.
  absl::StatusOr<MaintenanceJob> TruncateTo(Offset end);
  // Syncs everything and leaves the clean-shutdown marker. The log takes no more appends.
  MaintenanceJob Close();
  // Removes the directory with all files. The log takes no more calls.
  MaintenanceJob Delete();

  // A reader met a damaged batch: latches kCorruptLog.
  void ReportCorruption(const absl::Status& status);

  // The idempotent producers' state as bytes that are equal when all its answers are (for tests and
  // for comparing replicas).
  std::string EncodeProducerState() const;

  void CheckInvariants() const;

 private:
  struct Impl;
  explicit PartitionLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Blocking. Whose log a directory holds: nullopt when it has none. kCorruptLog when it can't be
// told.
absl::StatusOr<std::optional<TopicPartitionId>> ReadLogDirectoryIdentity(
    FileSystem& fs, const std::string& directory);
// Blocking. Removes a partition directory that no PartitionLog has open (of a topic that was
// deleted while this broker was down). OK when it isn't there.
absl::Status RemoveLogDirectory(FileSystem& fs, const std::string& directory);

}  // namespace catamaran::storage
