// What a partition log knows in memory, and the checkpoint that keeps it on disk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/epoch_history.h"
#include "storage/partition_log.h"
#include "storage/producer_state.h"
#include "storage/segment.h"

namespace catamaran::storage {

// Owned by the shard (by the loading job before that).
// Invariants: log_start <= synced_end <= end; recovery_end <= synced_end; segments are contiguous
// and only the last may be empty; epochs are those of the batches in [log_start, end).
struct LogState {
  bool directory_ready = false;  // the directory and its topic-id file are there, names synced
  bool clean_on_disk = false;    // "checkpoint.clean" is there and must go before the next write
  Offset log_start{0};
  Offset recovery_end{0};  // recovery point: below it damage is damage, never a torn tail
  Offset synced_end{0};
  Offset end{0};
  std::vector<Segment> segments;
  EpochHistory epochs;
  ProducerMap producers;
  int64_t recovered_bytes = 0;
  int64_t truncated_bytes = 0;
};

// A segment's row in the checkpoint.
struct CheckpointSegment {
  Offset base{0};
  Offset end{0};
  uint64_t bytes = 0;
  uint64_t batches = 0;
  TimestampMs max_timestamp = kNoTimestamp;
  TimestampMs created{0};
  TimestampMs appended{0};
};

// The log as it is at `end`, which is durable: recovery begins there.
struct LogCheckpoint {
  Offset end{0};
  std::vector<CheckpointSegment> segments;  // the last one up to `end`
  SparseIndex last_index;                   // of the last segment
  EpochHistory epochs;
  ProducerMap producers;
};

// A whole framed file. `state` is taken as it is now.
std::string EncodeLogCheckpoint(const LogState& state);
// kCorruptLog when it isn't one that EncodeLogCheckpoint made.
absl::StatusOr<LogCheckpoint> DecodeLogCheckpoint(std::string_view file);

// Bodies of the small files, framed.
std::string EncodeTopicId(const TopicPartitionId& partition);
absl::StatusOr<TopicPartitionId> DecodeTopicId(std::string_view file);
std::string EncodeLogStart(Offset log_start);
absl::StatusOr<Offset> DecodeLogStart(std::string_view file);

// A batch of the log: moves the end, the segment's bounds, its index, the epochs and the producers.
// Used by the append (`producers` null: its overlay has them) and by recovery alike, so that both
// give the same state.
void ApplyBatch(const BatchHeader& header, TimestampMs now, int64_t index_interval,
                Segment* segment, EpochHistory* epochs, ProducerMap* producers);

}  // namespace catamaran::storage
