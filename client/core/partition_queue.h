// The batches of one partition on their way: sequences, order through retries, and what may be said
// of a batch whose outcome isn't known. Owned by ProducerCore; no I/O, no clock.
//
// A batch gets its sequence when it's first sent and keeps it, and its bytes, through every retry;
// the broker drops what it has already and refuses gaps, so retries neither duplicate nor reorder.
// When a sequence can't be used any more (its batch failed for good, or the broker lost its state)
// the batches behind it need new sequences under a higher epoch: a *restart*. It happens when
// nothing is on its way. A batch that may be stored under its old sequence would then be stored
// twice, so it is given up as kOutcomeUnknown; only batches whose every attempt was answered by a
// refusal, or that were never sent, go on.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/core/backoff.h"
#include "client/core/messages.h"
#include "client/core/record_accumulator.h"

namespace catamaran::client::core {

// A batch that is done, one way or the other.
struct CompletedBatch {
  std::string topic;
  PartitionIndex partition;
  absl::Status status;
  Offset base_offset{-1};
  TimestampMs log_append_time = kNoTimestamp;
  int32_t record_count = 0;
  uint64_t first_record = 0;
  size_t batch_bytes = 0;
  size_t accounted_bytes = 0;  // to be released in the accumulator
  Duration latency{0};
  std::vector<RecordCallback> callbacks;
};

// Fails records that never reached a queue.
CompletedBatch FailedBatch(SealedBatch sealed, const absl::Status& status, MonotonicTime now);

class PartitionQueue {
 public:
  struct Options {
    bool idempotent = true;
    int in_flight_max = kInFlightPerPartitionMax;
    Duration delivery_timeout{0};
    BackoffOptions backoff;
  };
  PartitionQueue(const Options& options, std::string topic, PartitionIndex partition);

  void Enqueue(SealedBatch sealed);

  // ---- sending ----

  // Whether a batch may go out now under `identity` (the producer's newest).
  bool CanSend(MonotonicTime now, const ProducerIdentity& identity) const;
  struct Sending {
    uint64_t batch_id = 0;
    Buffer bytes;
    bool retry = false;
  };
  // The next batch, now on its way; CanSend() must hold. Absent when it couldn't be encoded: it has
  // failed, and the next may be tried.
  std::optional<Sending> Send(const ProducerIdentity& identity);
  // What came of it. Also for batches that have been given up in the meantime. `redirected`: it was
  // refused by a broker that doesn't lead (any more), and the leader is known.
  struct Verdict {
    bool refresh_metadata = false;
    bool fenced = false;  // the identity it was sent under is of no use any more
  };
  Verdict OnResult(uint64_t batch_id, const AppendResult& result, bool redirected,
                   MonotonicTime now, Random& random);

  // ---- time and trouble ----

  // Gives up what has been waiting for longer than the delivery timeout.
  void Expire(MonotonicTime now);
  // Gives up everything with `status`, or kOutcomeUnknown where it may have been stored.
  void FailAll(const absl::Status& status);
  // The topic is another incarnation now: sequences begin anew there.
  void SetTopicId(TopicId id);
  // True when a restart waits for nothing but an identity that differs from its present one.
  bool WantsRestart() const;
  // True when it would do with the identity given.
  bool CanRestartWith(const ProducerIdentity& identity) const {
    return !options_.idempotent ||
           (identity.is_set() && (next_topic_id_.has_value() || !(identity == identity_)));
  }
  void Restart(const ProducerIdentity& identity);

  // Moves out what is done, in order.
  void TakeDone(MonotonicTime now, std::vector<CompletedBatch>* done);

  bool empty() const { return batches_.empty(); }
  int in_flight() const { return in_flight_; }
  bool has_waiting() const;  // a batch that is neither on its way nor done
  // When a retry or the delivery timeout is due next.
  MonotonicTime next_wake(MonotonicTime now) const;
  const std::string& topic() const { return topic_; }
  PartitionIndex partition() const { return partition_; }
  TopicId topic_id() const { return topic_id_; }
  const ProducerIdentity& identity() const { return identity_; }

  void CheckInvariants() const;

 private:
  struct Batch {
    uint64_t id = 0;
    SealedBatch sealed;
    Buffer encoded;
    Sequence sequence = kNoSequence;
    bool in_flight = false;
    bool tried = false;       // sent at least once
    bool unresolved = false;  // an attempt wasn't answered: it may be stored
    bool done = false;
    absl::Status status;  // while not done: why it was refused last
    Offset base_offset{-1};
    TimestampMs log_append_time = kNoTimestamp;
  };

  static bool MayBeStored(const Batch& batch) { return batch.in_flight || batch.unresolved; }
  MonotonicTime DeadlineOf(const Batch& batch) const;
  size_t FirstOpen() const;     // index of the first batch that isn't done
  size_t FirstWaiting() const;  // index of the first one neither done nor on its way
  absl::Status Encode(Batch* batch);
  void Succeed(Batch* batch, const AppendResult& result);
  // Ends the batch with `status`, or kOutcomeUnknown when it may be stored, and sees to the
  // sequences behind it.
  void Fail(Batch* batch, const absl::Status& status);
  void RestartAt(uint64_t batch_id);
  void BackOff(Duration asked, MonotonicTime now, Random& random);

  const Options options_;
  const std::string topic_;
  const PartitionIndex partition_;

  TopicId topic_id_;
  std::optional<TopicId> next_topic_id_;  // taken by the restart that is wanted
  ProducerIdentity identity_;             // that sequences count under
  Sequence next_sequence_{0};
  // Until the broker has stored a first batch under the identity it may take any sequence as the
  // first, so a second one isn't sent before.
  bool proven_ = false;
  std::deque<Batch> batches_;  // by id, which is also by sequence
  uint64_t last_id_ = 0;
  int in_flight_ = 0;  // Invariant: >= batches with in_flight; the rest was given up unanswered
  // Batches from this id on can't go out before a restart; those before it still may.
  std::optional<uint64_t> restart_at_;
  int failures_ = 0;
  MonotonicTime retry_at_;
  std::optional<MonotonicTime> idle_since_;
};

}  // namespace catamaran::client::core
