// What a partition's replica is asked and what it answers: plain values that know nothing of gRPC,
// threads or files.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/ids.h"
#include "storage/partition_log.h"

namespace catamaran::broker {

// The two clocks, read once per event.
struct Times {
  MonotonicTime mono;
  TimestampMs wall{0};
};

// When a produce is answered (catamaran.v1.Acks).
enum class Acks : uint8_t { kNone, kLeader, kAll };

struct ReplicaConfig {
  storage::LogConfig log;
  bool sync = true;              // durability=sync: acknowledged means fdatasync has returned
  int32_t replicas_in_sync = 1;  // as the metadata says
  int32_t min_insync_replicas = 1;
};

// The bounds of a partition as a reader sees them.
// Invariant: log_start <= last_stable <= high_watermark <= log_end (invariants.md P3).
struct PartitionView {
  Offset log_start{0};
  Offset last_stable{0};
  Offset high_watermark{0};
  Offset log_end{0};
  LeaderEpoch leader_epoch{0};
};

struct ProduceOutcome {
  // With acks kNone both offsets are -1.
  storage::Appended appended;
  LeaderEpoch leader_epoch{0};
  int32_t replicas_written = 0;
  int32_t replicas_synced = 0;
  Offset log_start{0};
};
using ProduceReply = absl::AnyInvocable<void(absl::StatusOr<ProduceOutcome>)>;

struct ProduceCommand {
  std::string batch;  // exactly one batch, validated for this topic
  Acks acks = Acks::kAll;
  bool raise_to_sync = false;  // wait for the sync on a topic whose durability is async
  MonotonicTime deadline = kNever;
  std::optional<LeaderEpoch> expected_epoch;
  ProduceReply reply;
};

// What the reads of one request may take together. Shared between shards.
class ReadBudget {
 public:
  explicit ReadBudget(int64_t bytes) : left_(bytes) {}
  // Reserves up to `wanted`; 0 when nothing is left.
  int64_t Take(int64_t wanted);
  void GiveBack(int64_t bytes) { left_.fetch_add(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> left_;
};

struct ReadOutcome {
  PartitionView view;  // as far as known, with an error too
  storage::ReadResult data;
};
using ReadReply = absl::AnyInvocable<void(absl::Status, ReadOutcome)>;

struct ReadCommand {
  Offset offset{0};
  size_t bytes_max = 0;
  bool read_committed = true;
  std::optional<LeaderEpoch> expected_epoch;
  // While there is nothing at `offset` the read waits until then and is answered with no bytes; a
  // deadline that has passed means "answer at once".
  MonotonicTime deadline;
  uint64_t token = 0;                  // names it to CancelReads; 0: can't be cancelled
  std::shared_ptr<ReadBudget> budget;  // may be absent
  ReadReply reply;
};

struct OffsetAnswer {
  PartitionView view;
  std::optional<storage::OffsetAndTimestamp> found;
};
using OffsetReply = absl::AnyInvocable<void(absl::StatusOr<OffsetAnswer>)>;

// The bounds, or the first record at or after a time.
struct OffsetCommand {
  std::optional<TimestampMs> at_or_after;  // absent: only the bounds
  bool read_committed = true;
  std::optional<LeaderEpoch> expected_epoch;
  OffsetReply reply;
};

using DeleteRecordsReply = absl::AnyInvocable<void(absl::StatusOr<Offset>)>;

struct DeleteRecordsCommand {
  std::optional<Offset> before;  // absent: the high watermark
  DeleteRecordsReply reply;      // the new log start
};

}  // namespace catamaran::broker
