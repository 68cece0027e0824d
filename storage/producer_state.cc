#include "storage/producer_state.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

// epoch i16, count i8, last seen i64, id i64.
constexpr size_t kEncodedProducerBytes = 19;
// sequences i32, offsets i64, time i64.
constexpr size_t kEncodedBatchBytes = 32;

absl::Status OutOfOrder(const BatchHeader& header, Sequence expected) {
  return MakeError(Reason::kOutOfOrderSequence,
                   Cat("Producer ", header.producer_id.value(), " sent sequence ",
                       header.base_sequence.value(), " where ", expected.value(),
                       " was expected. An earlier batch is missing: send it first, or start anew "
                       "with a new producer epoch."),
                   {{"producer_id", Cat(header.producer_id.value())},
                    {"expected_sequence", Cat(expected.value())},
                    {"received_sequence", Cat(header.base_sequence.value())}});
}

absl::Status Fenced(const BatchHeader& header, ProducerEpoch current) {
  return MakeError(Reason::kProducerFenced,
                   Cat("Producer ", header.producer_id.value(), " has epoch ", current.value(),
                       " by now and the batch is of epoch ", header.producer_epoch.value(),
                       ". A newer instance has taken over: stop this one."),
                   {{"producer_id", Cat(header.producer_id.value())},
                    {"current_epoch", Cat(current.value())},
                    {"received_epoch", Cat(header.producer_epoch.value())}});
}

}  // namespace

void ProducerEntry::Remember(const BatchHeader& header, TimestampMs now) {
  if (header.producer_epoch != epoch) {
    epoch = header.producer_epoch;
    batch_count = 0;
    batches = {};
  }
  if (batch_count == kProducerBatchesRemembered) {
    std::move(batches.begin() + 1, batches.end(), batches.begin());
    --batch_count;
  }
  RememberedBatch& batch = batches[batch_count++];
  batch.first_sequence = header.base_sequence;
  batch.last_sequence = header.last_sequence();
  batch.base_offset = header.base_offset;
  batch.last_offset = header.last_offset();
  batch.append_time = header.timestamp_type() == TimestampType::kLogAppendTime
                          ? header.max_timestamp
                          : kNoTimestamp;
  last_seen = now;
}

bool ProducerEntry::SameAnswers(const ProducerEntry& other) const {
  return epoch == other.epoch && batch_count == other.batch_count &&
         std::equal(batches.begin(), batches.begin() + batch_count, other.batches.begin());
}

const ProducerEntry* ProducerOverlay::Find(const ProducerMap& base, ProducerId id) const {
  if (auto it = changed_.find(id); it != changed_.end()) return &it->second;
  if (auto it = base.find(id); it != base.end()) return &it->second;
  return nullptr;
}

absl::StatusOr<std::optional<Appended>> ProducerOverlay::Check(const ProducerMap& base,
                                                               const BatchHeader& header) const {
  const ProducerEntry* entry = Find(base, header.producer_id);
  if (entry == nullptr) {
    if (base.size() + added_ >= kProducersPerPartitionMax) {
      return MakeError(Reason::kLimitExceeded,
                       Cat("The partition remembers ", kProducersPerPartitionMax,
                           " producers and takes no more until idle ones expire. Use "
                           "fewer producers, or none that are idempotent."),
                       {{"limit", Cat(kProducersPerPartitionMax)}});
    }
    return std::nullopt;
  }
  if (header.producer_epoch < entry->epoch) return Fenced(header, entry->epoch);
  if (header.producer_epoch > entry->epoch) {
    if (header.base_sequence != Sequence(0)) return OutOfOrder(header, Sequence(0));
    return std::nullopt;
  }
  for (int i = 0; i < entry->batch_count; ++i) {
    const RememberedBatch& batch = entry->batches[i];
    if (batch.first_sequence == header.base_sequence &&
        batch.last_sequence == header.last_sequence()) {
      return Appended{batch.base_offset, batch.last_offset, batch.append_time, true};
    }
  }
  if (const RememberedBatch* last = entry->last_batch(); last != nullptr) {
    const Sequence expected = AddSequence(last->last_sequence, 1);
    if (header.base_sequence != expected) return OutOfOrder(header, expected);
  }
  return std::nullopt;
}

void ProducerOverlay::Add(const ProducerMap& base, const BatchHeader& header, TimestampMs now) {
  auto [it, inserted] = changed_.try_emplace(header.producer_id);
  if (inserted) {
    if (auto old = base.find(header.producer_id); old != base.end()) {
      it->second = old->second;
    } else {
      ++added_;
    }
  }
  it->second.Remember(header, now);
}

void ProducerOverlay::MergeInto(ProducerMap* base) {
  for (auto& [id, entry] : changed_) (*base)[id] = entry;
  changed_.clear();
  added_ = 0;
}

void ReplayProducerBatch(const BatchHeader& header, TimestampMs now, ProducerMap* producers) {
  if (!header.has_producer() || header.is_control()) return;
  ProducerEntry& entry = (*producers)[header.producer_id];
  if (header.producer_epoch < entry.epoch) return;
  entry.Remember(header, now);
}

size_t ExpireProducers(TimestampMs now, int64_t expiry_ms, ProducerMap* producers) {
  size_t expired = 0;
  for (auto it = producers->begin(); it != producers->end();) {
    auto current = it++;
    if (now - current->second.last_seen > expiry_ms) {
      producers->erase(current);
      ++expired;
    }
  }
  return expired;
}

void EncodeProducers(const ProducerMap& producers, std::string* out) {
  std::vector<ProducerId> ids;
  ids.reserve(producers.size());
  for (const auto& [id, entry] : producers) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  AppendBigEndian<uint32_t>(out, static_cast<uint32_t>(ids.size()));
  for (ProducerId id : ids) {
    const ProducerEntry& entry = producers.at(id);
    AppendBigEndian<int64_t>(out, id.value());
    AppendBigEndian<int16_t>(out, entry.epoch.value());
    AppendBigEndian<int64_t>(out, entry.last_seen.value());
    AppendBigEndian<int8_t>(out, entry.batch_count);
    for (int i = 0; i < entry.batch_count; ++i) {
      const RememberedBatch& batch = entry.batches[i];
      AppendBigEndian<int32_t>(out, batch.first_sequence.value());
      AppendBigEndian<int32_t>(out, batch.last_sequence.value());
      AppendBigEndian<int64_t>(out, batch.base_offset.value());
      AppendBigEndian<int64_t>(out, batch.last_offset.value());
      AppendBigEndian<int64_t>(out, batch.append_time.value());
    }
  }
}

absl::StatusOr<ProducerMap> DecodeProducers(ByteReader* reader) {
  const auto malformed = [] {
    return MakeError(Reason::kCorruptLog, "The producer state is malformed.");
  };
  ProducerMap producers;
  const auto count = reader->ReadBigEndian<uint32_t>();
  if (!reader->ok() || count > reader->remaining() / kEncodedProducerBytes) return malformed();
  producers.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const ProducerId id(reader->ReadBigEndian<int64_t>());
    ProducerEntry entry;
    entry.epoch = ProducerEpoch(reader->ReadBigEndian<int16_t>());
    entry.last_seen = TimestampMs(reader->ReadBigEndian<int64_t>());
    entry.batch_count = reader->ReadBigEndian<int8_t>();
    if (!reader->ok() || id.value() < 0 || entry.batch_count < 0 ||
        entry.batch_count > kProducerBatchesRemembered ||
        reader->remaining() < static_cast<size_t>(entry.batch_count) * kEncodedBatchBytes) {
      return malformed();
    }
    for (int b = 0; b < entry.batch_count; ++b) {
      RememberedBatch& batch = entry.batches[b];
      batch.first_sequence = Sequence(reader->ReadBigEndian<int32_t>());
      batch.last_sequence = Sequence(reader->ReadBigEndian<int32_t>());
      batch.base_offset = Offset(reader->ReadBigEndian<int64_t>());
      batch.last_offset = Offset(reader->ReadBigEndian<int64_t>());
      batch.append_time = TimestampMs(reader->ReadBigEndian<int64_t>());
    }
    if (!producers.emplace(id, entry).second) return malformed();
  }
  return producers;
}

}  // namespace catamaran::storage
