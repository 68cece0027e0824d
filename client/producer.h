// Producer: stores records, in order and without duplicates (idempotent by default), batched per
// partition, straight to the partition leaders.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "client/client_options.h"

namespace catamaran::client {

// A record to store. The views are read before Send returns and not kept.
struct ProducerRecord {
  std::string_view topic;
  // Absent: by key (murmur2, as Kafka); without a key the producer stays on one partition for a
  // batch and then takes another at random.
  std::optional<PartitionIndex> partition;
  std::optional<std::string_view> key;    // absent is null, which differs from empty
  std::optional<std::string_view> value;  // absent is null: a tombstone on a compacted topic
  std::span<const RecordHeader> headers;
  TimestampMs timestamp = kNoTimestamp;  // kNoTimestamp: the time of Send
};

// Where a record was stored.
struct Delivery {
  PartitionIndex partition;
  Offset offset{-1};  // -1 with Acks::kNone
  TimestampMs timestamp = kNoTimestamp;
};

// Called exactly once for each accepted record, on the producer's own thread, in order within a
// partition. It must not block: Send from inside it acts as TrySend, Flush and Close from inside it
// are refused. An error says by OutcomeOf(status) whether the record may have been stored all the
// same (Outcome::kUnknown) or surely was not (kRejected).
using DeliveryCallback = absl::AnyInvocable<void(const absl::StatusOr<Delivery>&)>;

// One batch's end, for callers that want one call per batch instead of one per record.
struct BatchDelivery {
  std::string_view topic;
  PartitionIndex partition;
  absl::Status status;
  Offset base_offset{-1};    // of the first record, when OK
  int32_t record_count = 0;  // the records have consecutive offsets
  size_t batch_bytes = 0;    // as sent, compressed; 0 when it was never encoded
  Duration latency{0};       // since the first of its records was accepted
};
using BatchCallback = absl::AnyInvocable<void(const BatchDelivery&)>;

inline constexpr int kInFlightPerPartitionMax = 5;  // what a broker remembers per producer

struct ProducerOptions {
  Acks acks = Acks::kAll;
  Durability durability = Durability::kTopicDefault;
  // Retries never duplicate or reorder. Off with Acks::kNone whatever is set here; when off, a
  // batch whose outcome is unknown is not sent again.
  bool idempotent = true;
  Codec compression = Codec::kNone;
  std::optional<int> compression_level;  // the codec's default when absent
  // A batch is sent when it has so many bytes (before compression), 1 KiB to 16 MiB. A larger
  // record makes a batch of its own.
  size_t batch_bytes = 256u << 10;
  // While batches of the partition are on their way, a batch that isn't full waits at most this
  // long for more records; when none is on its way it is sent at once. 0 to 1 min.
  Duration linger = std::chrono::milliseconds(5);
  // Batches of one partition that may be on their way, 1 to kInFlightPerPartitionMax.
  int in_flight_per_partition_max = kInFlightPerPartitionMax;
  // Bytes of one request, 1 KiB to 64 MiB; it has at least one batch.
  size_t request_bytes_max = 4u << 20;
  // Bytes of all records accepted and not yet delivered, 1 MiB to 4 GiB.
  size_t buffer_bytes_max = 32u << 20;
  // How long Send waits for room in the buffer before it refuses the record (kOverloaded).
  Duration block_max = std::chrono::seconds(60);
  // From Send to the answer: afterwards a record fails. When it surely was not stored, with what
  // stood in the way (kStorageFull, kNotEnoughReplicas, kLeaderUnknown, kOverloaded ...) or with
  // kDeadlineExceeded; else with kOutcomeUnknown. 100 ms to 24 h.
  Duration delivery_timeout = std::chrono::seconds(120);
  // Called once per batch, after its records' callbacks, under the same rules. May be empty.
  BatchCallback on_batch;
};

struct ProducerStats {
  uint64_t records_accepted = 0;
  uint64_t records_delivered = 0;
  uint64_t records_failed = 0;  // outcome unknown included
  uint64_t records_unknown = 0;
  uint64_t batches_sent = 0;  // retries included
  uint64_t batches_retried = 0;
  uint64_t batch_bytes_sent = 0;
  size_t buffered_bytes = 0;  // now
};

// Thread-safe. Owns one executor thread and one network thread.
class Producer {
 public:
  // Connects in the background: a broker that can't be reached shows in the deliveries. Errors:
  // kInvalidArgument.
  static absl::StatusOr<std::unique_ptr<Producer>> Create(const ClientOptions& client_options,
                                                          ProducerOptions options);
  // As Close(0): what isn't delivered yet fails with kCancelled (outcome unknown where it was
  // sent).
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Accepts the record, waiting for room up to block_max. OK means accepted, not stored: the
  // callback tells that; without one, on_batch, Flush() and stats() do. Errors (nothing was
  // accepted, the callback is not called): kOverloaded, kRecordTooLarge, kInvalidTopicName,
  // kInvalidArgument, kCancelled after Close.
  absl::Status Send(const ProducerRecord& record);
  absl::Status Send(const ProducerRecord& record, DeliveryCallback callback);
  // The same without waiting: kOverloaded at once when the buffer is full.
  absl::Status TrySend(const ProducerRecord& record);
  absl::Status TrySend(const ProducerRecord& record, DeliveryCallback callback);
  // A refusal by Send is in the future, too.
  std::future<absl::StatusOr<Delivery>> SendFuture(const ProducerRecord& record);

  // Sends what is waiting and waits until every record accepted before the call was delivered or
  // failed. OK when none failed since the last Flush, else the first failure's error;
  // kDeadlineExceeded when records are still on their way after `timeout`.
  absl::Status Flush(Duration timeout = kForever);
  // Refuses new records, flushes for at most `timeout`, then fails what is left. As Flush().
  // The second call does nothing.
  absl::Status Close(Duration timeout = kForever);

  ProducerStats stats() const;

 private:
  class Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace catamaran::client
