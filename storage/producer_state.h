// What a partition remembers of its idempotent producers, so that a retry never duplicates or
// reorders (Kafka's rules; invariants.md X1 to X4, X12).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "base/varint.h"
#include "storage/partition_log.h"

namespace catamaran::storage {

struct RememberedBatch {
  Sequence first_sequence = kNoSequence;
  Sequence last_sequence = kNoSequence;
  Offset base_offset{0};
  Offset last_offset{0};
  TimestampMs append_time = kNoTimestamp;  // on log-append-time topics
  bool operator==(const RememberedBatch&) const = default;
};

// One producer. Invariant: batches are in order, the oldest first, and all of `epoch`.
struct ProducerEntry {
  ProducerEpoch epoch = kNoProducerEpoch;
  int8_t batch_count = 0;
  std::array<RememberedBatch, kProducerBatchesRemembered> batches;
  // When this broker last appended for it, by the clock handed in; never a client's timestamp.
  TimestampMs last_seen{0};

  const RememberedBatch* last_batch() const {
    return batch_count == 0 ? nullptr : &batches[batch_count - 1];
  }
  void Remember(const BatchHeader& header, TimestampMs now);
  // Equal in everything that decides an answer; last_seen doesn't.
  bool SameAnswers(const ProducerEntry& other) const;
};

using ProducerMap = absl::flat_hash_map<ProducerId, ProducerEntry>;

// Changes of one write job over a ProducerMap that stays as it is until the write has succeeded.
class ProducerOverlay {
 public:
  // As Kafka: a new epoch of a producer that is known begins at sequence 0, one that isn't known
  // (it may have expired) begins anywhere. So a client sends its second batch of an identity to a
  // partition only when the first is acknowledged.
  // What to do with a batch that has a producer: nullopt: append it; else it is a duplicate and
  // this is the first append's answer; or kProducerFenced, kOutOfOrderSequence, kLimitExceeded.
  absl::StatusOr<std::optional<Appended>> Check(const ProducerMap& base,
                                                const BatchHeader& header) const;
  // The batch, stamped with its offset, will be appended.
  void Add(const ProducerMap& base, const BatchHeader& header, TimestampMs now);
  void MergeInto(ProducerMap* base);
  bool empty() const { return changed_.empty(); }

 private:
  const ProducerEntry* Find(const ProducerMap& base, ProducerId id) const;

  ProducerMap changed_;
  size_t added_ = 0;  // ids that `base` doesn't have
};

// A batch of the log, met while replaying it: no checks, the log is the truth.
void ReplayProducerBatch(const BatchHeader& header, TimestampMs now, ProducerMap* producers);

// Forgets producers last seen before `now - expiry_ms`; how many.
size_t ExpireProducers(TimestampMs now, int64_t expiry_ms, ProducerMap* producers);

// Ordered by id, so that equal states give equal bytes.
void EncodeProducers(const ProducerMap& producers, std::string* out);
// kCorruptLog when malformed.
absl::StatusOr<ProducerMap> DecodeProducers(ByteReader* reader);

}  // namespace catamaran::storage
