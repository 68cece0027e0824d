// Where Send puts records: one open batch per partition, and the bound on what is buffered. Plain
// data; the shell guards it with a short lock, so that many threads may send while the producer
// core works. Records of a topic whose partitions aren't known yet wait as copies and are placed
// when they are.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "base/batch/batch.h"
#include "base/clock.h"
#include "base/random.h"
#include "client/producer.h"

namespace catamaran::client::core {

// What a record costs beside its bytes, in the buffer's bound.
inline constexpr size_t kRecordOverheadBytes = 36;
inline constexpr size_t kCallbackOverheadBytes = 64;

struct RecordCallback {
  int32_t index = 0;  // of the record in its batch
  TimestampMs timestamp;
  DeliveryCallback callback;
};

// A batch that takes no more records.
struct SealedBatch {
  std::string topic;
  PartitionIndex partition;
  std::optional<BatchBuilder> builder;  // absent when the records were never placed
  int32_t record_count = 0;
  uint64_t first_record = 0;  // number of its first record, in the order accepted
  MonotonicTime opened_at;
  size_t accounted_bytes = 0;  // to be released when it's done
  std::vector<RecordCallback> callbacks;
};

class RecordAccumulator {
 public:
  struct Options {
    size_t batch_bytes = 0;
    size_t buffer_bytes_max = 0;
    BatchBuilderOptions builder;
  };
  RecordAccumulator(const Options& options, Random random);

  struct Accepted {
    absl::Status status;
    bool wake = false;  // the core has something to look at
  };
  // kOverloaded when the buffer is full; kRecordTooLarge, kInvalidTopicName, kUnknownPartition. The
  // callback is taken only when accepted. `now` is asked only when a batch begins: reading the
  // clock costs as much as storing a small record.
  Accepted Append(const ProducerRecord& record, TimestampMs wall_now,
                  absl::FunctionRef<MonotonicTime()> now, DeliveryCallback* callback);
  Accepted Append(const ProducerRecord& record, TimestampMs wall_now, MonotonicTime now,
                  DeliveryCallback* callback) {
    return Append(
        record, wall_now, [now] { return now; }, callback);
  }

  // ---- the core's side ----

  // Topics that records came for and that aren't known.
  std::vector<std::string> TakeNewTopics() { return std::exchange(new_topics_, {}); }
  // Places what waited. `available` are the partitions that have a leader; keyless records go to
  // one of them while there are any.
  void SetTopic(const std::string& topic, int32_t partition_count,
                std::vector<PartitionIndex> available);
  // Forgets the topic; what waited to be placed comes back to be failed.
  std::vector<SealedBatch> DropTopic(const std::string& topic);
  // Takes back the waiting records that were accepted at `limit` or before, to be failed.
  std::vector<SealedBatch> TakeUnplacedBefore(MonotonicTime limit);
  // The oldest waiting record's time; kNever when none waits.
  MonotonicTime oldest_unplaced() const;

  // Moves out full batches, and those open ones for which `wants(topic, partition, opened_at)` is
  // true; in order within each partition.
  template <class Wants>
  void TakeReady(const Wants& wants, std::vector<SealedBatch>* ready);

  // The bytes of a batch that is done.
  void Release(size_t bytes) { buffered_bytes_ -= bytes; }

  size_t buffered_bytes() const { return buffered_bytes_; }
  uint64_t records_accepted() const { return records_accepted_; }
  // Number of the oldest record that is still here; records_accepted() when none is.
  uint64_t oldest_record() const;

 private:
  struct Partition {
    std::optional<SealedBatch> open;
  };
  struct Waiting {
    std::string key_bytes, value_bytes;
    bool has_key = false, has_value = false;
    std::optional<PartitionIndex> partition;
    std::vector<std::pair<std::string, std::optional<std::string>>> headers;
    TimestampMs timestamp;
    MonotonicTime accepted_at;
    uint64_t number = 0;
    size_t bytes = 0;
    DeliveryCallback callback;
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;  // empty while not known
    std::vector<PartitionIndex> available;
    PartitionIndex sticky{0};
    std::deque<Waiting> waiting;  // Invariant: empty once partitions are known
  };

  Topic* FindOrAdd(std::string_view name, absl::Status* status);
  PartitionIndex ChoosePartition(const Topic& topic, const ProducerRecord& record) const;
  void MoveSticky(Topic* topic);
  void Place(Topic* topic, PartitionIndex partition, const ProducerRecord& record,
             TimestampMs timestamp, absl::FunctionRef<MonotonicTime()> now, uint64_t number,
             size_t bytes, DeliveryCallback* callback);
  void Wait(Topic* topic, const ProducerRecord& record, TimestampMs timestamp, MonotonicTime now,
            uint64_t number, size_t bytes, DeliveryCallback* callback);
  void Seal(Topic* topic, PartitionIndex partition);
  static SealedBatch Unplaced(const std::string& topic, Waiting* waiting);

  const Options options_;
  Random random_;
  absl::flat_hash_map<std::string, std::unique_ptr<Topic>> topics_;
  std::vector<std::string> new_topics_;
  std::vector<std::pair<Topic*, PartitionIndex>> open_;  // partitions with an open batch
  std::vector<SealedBatch> sealed_;                      // full, in the order sealed
  size_t buffered_bytes_ = 0;  // Invariant: what is in open, sealed, waiting and unreleased batches
  uint64_t records_accepted_ = 0;
};

template <class Wants>
void RecordAccumulator::TakeReady(const Wants& wants, std::vector<SealedBatch>* ready) {
  for (size_t i = 0; i < open_.size();) {
    auto [topic, partition] = open_[i];
    const SealedBatch& batch = *topic->partitions[static_cast<size_t>(partition.value())].open;
    if (wants(topic->name, partition, batch.opened_at)) {
      open_[i] = open_.back();
      open_.pop_back();
      Seal(topic, partition);
    } else {
      ++i;
    }
  }
  for (SealedBatch& batch : sealed_) ready->push_back(std::move(batch));
  sealed_.clear();
}

}  // namespace catamaran::client::core
