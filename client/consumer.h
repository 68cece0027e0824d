// Consumer: reads assigned partitions from the leaders, prefetching within bounded memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "client/client_options.h"

namespace catamaran::client {

// Where to start, or what to do when the position doesn't exist (any more).
enum class OffsetReset : uint8_t { kEarliest, kLatest, kError };

// A place to start reading at.
struct StartPosition {
  enum class Kind : uint8_t { kEarliest, kLatest, kOffset, kTimestamp };
  Kind kind = Kind::kEarliest;
  Offset offset{0};          // kOffset
  TimestampMs timestamp{0};  // kTimestamp: the first record at or after it, else the latest

  static StartPosition Earliest() { return {}; }
  static StartPosition Latest() { return {.kind = Kind::kLatest}; }
  static StartPosition At(Offset offset) { return {.kind = Kind::kOffset, .offset = offset}; }
  static StartPosition AtTime(TimestampMs timestamp) {
    return {.kind = Kind::kTimestamp, .timestamp = timestamp};
  }
};

// A record that was read. All views point into the PolledRecords that it came in.
struct ConsumedRecord {
  std::string_view topic;
  PartitionIndex partition;
  LeaderEpoch leader_epoch;
  Offset offset;
  TimestampMs timestamp = kNoTimestamp;
  std::optional<std::string_view> key;    // absent is null
  std::optional<std::string_view> value;  // absent is null: a tombstone
  std::span<const RecordHeader> headers;
};

namespace core {
struct PolledBatches;  // owns the bytes
}  // namespace core

// The records of one Poll: in offset order within each partition. Movable; owns the memory that the
// views point into, and is independent of the Consumer.
class PolledRecords {
 public:
  PolledRecords();
  PolledRecords(PolledRecords&&) noexcept;
  PolledRecords& operator=(PolledRecords&&) noexcept;
  ~PolledRecords();

  const std::vector<ConsumedRecord>& records() const { return records_; }
  std::vector<ConsumedRecord>::const_iterator begin() const { return records_.begin(); }
  std::vector<ConsumedRecord>::const_iterator end() const { return records_.end(); }
  size_t size() const { return records_.size(); }
  bool empty() const { return records_.empty(); }
  const ConsumedRecord& operator[](size_t i) const { return records_[i]; }

 private:
  friend class Consumer;
  std::vector<ConsumedRecord> records_;
  std::unique_ptr<core::PolledBatches> batches_;
};

struct ConsumerOptions {
  IsolationLevel isolation_level = IsolationLevel::kReadCommitted;
  // When a position lies outside the log (OFFSET_OUT_OF_RANGE).
  OffsetReset auto_reset = OffsetReset::kError;
  // How long a fetch waits on the broker while there is nothing to read. 1 ms to 60 s.
  Duration fetch_wait_max = std::chrono::milliseconds(500);
  // Answer when so many bytes are there. 0 to 64 MiB.
  int32_t fetch_bytes_min = 1;
  // Bytes of one partition, and of all partitions, in one answer (at least one batch comes whatever
  // its size). 1 KiB to 64 MiB.
  int64_t fetch_bytes_per_partition_max = 1 << 20;
  int64_t fetch_bytes_max = 8 << 20;
  // Bytes fetched ahead of Poll; fetching stops above it. A single answer may go beyond by
  // fetch_bytes_max. 64 KiB to 1 GiB.
  size_t prefetch_bytes_max = 16u << 20;
  // Bound on what one batch may decompress to (kRecordTooLarge beyond). 1 KiB to 1 GiB.
  size_t decompressed_bytes_max = 64u << 20;
  // Verify the CRC-32C of every batch read.
  bool check_crc = true;
  std::string rack;  // may be empty
};

// What is known of a partition that is being read.
struct PartitionProgress {
  TopicPartition partition;
  std::optional<Offset> position;  // of the next record that Poll returns; absent until looked up
  Offset log_start_offset{-1};     // -1 until the first answer
  Offset high_watermark{-1};       // -1 until the first answer
  Offset last_stable_offset{-1};   // -1 until the first answer
  bool paused = false;
  // True when everything below the end offset of the isolation level, as last heard, was polled.
  bool at_end = false;
};

inline constexpr int32_t kPollRecordsDefault = 10'000;
inline constexpr int32_t kPollRecordsMax = 1'000'000;

// Thread-safe, but the calls of several threads share one position: normally one thread polls. Owns
// one executor thread and one network thread.
class Consumer {
 public:
  // Connects in the background. Errors: kInvalidArgument.
  static absl::StatusOr<std::unique_ptr<Consumer>> Create(const ClientOptions& client_options,
                                                          const ConsumerOptions& options);
  ~Consumer();
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  struct Assignment {
    TopicPartition partition;
    StartPosition start;
  };
  // Replaces what is read. A partition that was assigned before starts anew.
  absl::Status Assign(std::vector<Assignment> assignments);
  // Adds to, or takes from, what is read. Adding one that is assigned is kInvalidArgument; removing
  // one that isn't does nothing.
  absl::Status AddAssignment(Assignment assignment);
  absl::Status RemoveAssignment(const TopicPartition& partition);

  // Goes on at another place; what was fetched from the old one is dropped. kInvalidArgument when
  // it isn't assigned. Also the way on after Poll reported an error of this partition.
  absl::Status Seek(const TopicPartition& partition, StartPosition position);

  // Up to `max_records` records (1 to kPollRecordsMax), waiting up to `timeout` for the first.
  // Empty when none came in time, and when Wakeup() was called. An error concerns one partition
  // (its "topic" and "partition" are in the error's metadata), comes after all records before it
  // were returned, and stops that partition until Seek: kOffsetOutOfRange (auto_reset kError),
  // kUnknownTopic, kUnknownPartition, kTopicIdMismatch (the topic was deleted and made again),
  // kCorruptBatch, kRecordTooLarge. Broker failures are not errors: they are waited out.
  absl::StatusOr<PolledRecords> Poll(Duration timeout, int32_t max_records = kPollRecordsDefault);
  // Makes the Poll that waits now (or the next one) return. From any thread.
  void Wakeup();

  // Paused partitions keep their position and prefetched data, but Poll returns none of it.
  absl::Status Pause(const TopicPartition& partition);
  absl::Status Resume(const TopicPartition& partition);

  // kInvalidArgument when it isn't assigned. Doesn't ask a broker.
  absl::StatusOr<PartitionProgress> Progress(const TopicPartition& partition) const;
  std::vector<PartitionProgress> ProgressOfAll() const;

  // What is being waited out now (a broker that can't be reached, no leader ...), for a person; OK
  // when nothing is.
  absl::Status trouble() const;

 private:
  class Impl;
  explicit Consumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace catamaran::client
