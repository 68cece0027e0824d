#include "client/core/record_accumulator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

constexpr size_t kTopicNameBytesMax = 249;

bool IsTopicCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

absl::Status CheckTopicName(std::string_view name) {
  if (!name.empty() && name.size() <= kTopicNameBytesMax && name != "." && name != ".." &&
      std::all_of(name.begin(), name.end(), IsTopicCharacter)) {
    return absl::OkStatus();
  }
  return MakeError(
      Reason::kInvalidTopicName,
      "A topic's name has 1 to 249 letters, digits, '.', '_' and '-', and isn't '.' or "
      "'..'. Correct the name.",
      {{"topic", std::string(name.substr(0, kTopicNameBytesMax))}});
}

size_t BytesOf(const ProducerRecord& record) {
  size_t bytes = kRecordOverheadBytes;
  if (record.key.has_value()) bytes += record.key->size();
  if (record.value.has_value()) bytes += record.value->size();
  for (const RecordHeader& header : record.headers) {
    bytes += header.key.size() + (header.value.has_value() ? header.value->size() : 0) + 10;
  }
  return bytes;
}

}  // namespace

RecordAccumulator::RecordAccumulator(const Options& options, Random random)
    : options_(options), random_(random) {}

RecordAccumulator::Topic* RecordAccumulator::FindOrAdd(std::string_view name,
                                                       absl::Status* status) {
  auto it = topics_.find(absl::string_view(name.data(), name.size()));
  if (it != topics_.end()) return it->second.get();
  *status = CheckTopicName(name);
  if (!status->ok()) return nullptr;
  auto topic = std::make_unique<Topic>();
  topic->name = std::string(name);
  new_topics_.push_back(topic->name);
  return topics_.emplace(topic->name, std::move(topic)).first->second.get();
}

RecordAccumulator::Accepted RecordAccumulator::Append(const ProducerRecord& record,
                                                      TimestampMs wall_now,
                                                      absl::FunctionRef<MonotonicTime()> now,
                                                      DeliveryCallback* callback) {
  Accepted accepted;
  const size_t bytes =
      BytesOf(record) + (callback != nullptr && *callback ? kCallbackOverheadBytes : 0);
  const size_t limit = std::min(options_.buffer_bytes_max, kBatchBytesLimit - kBatchHeaderBytes);
  if (bytes > limit) {
    accepted.status = MakeError(
        Reason::kRecordTooLarge,
        absl::StrCat("The record takes ", bytes, " bytes, and at most ", limit, " fit into ",
                     limit == options_.buffer_bytes_max
                         ? "the producer's buffer. Send a smaller one or raise buffer_bytes_max."
                         : "a batch. Send a smaller one."),
        {{"bytes", absl::StrCat(bytes)}, {"limit", absl::StrCat(limit)}});
    return accepted;
  }
  if (buffered_bytes_ + bytes > options_.buffer_bytes_max) {
    accepted.status = MakeError(Reason::kOverloaded,
                                "The producer's buffer is full: records come in faster than the "
                                "brokers take them. Send later, or raise buffer_bytes_max.",
                                {{"limit", absl::StrCat(options_.buffer_bytes_max)}});
    return accepted;
  }
  Topic* topic = FindOrAdd(record.topic, &accepted.status);
  if (topic == nullptr) return accepted;
  const auto count = static_cast<int32_t>(topic->partitions.size());
  if (record.partition.has_value() &&
      (record.partition->value() < 0 || (count > 0 && record.partition->value() >= count))) {
    accepted.status = MakeError(
        Reason::kUnknownPartition,
        absl::StrCat("Topic '", topic->name, "' has no partition ", record.partition->value(),
                     ". Choose one from 0 to ", count - 1, " or leave the choice to the producer."),
        {{"topic", topic->name}, {"partition", absl::StrCat(record.partition->value())}});
    return accepted;
  }
  buffered_bytes_ += bytes;
  const uint64_t number = records_accepted_++;
  const TimestampMs timestamp = record.timestamp == kNoTimestamp ? wall_now : record.timestamp;
  const size_t open_before = open_.size();
  const size_t sealed_before = sealed_.size();
  if (count == 0) {
    Wait(topic, record, timestamp, now(), number, bytes, callback);
    accepted.wake = topic->waiting.size() == 1;
  } else {
    Place(topic, ChoosePartition(*topic, record), record, timestamp, now, number, bytes, callback);
    accepted.wake = open_.size() > open_before || sealed_.size() > sealed_before;
  }
  return accepted;
}

PartitionIndex RecordAccumulator::ChoosePartition(const Topic& topic,
                                                  const ProducerRecord& record) const {
  if (record.partition.has_value()) return *record.partition;
  if (!record.key.has_value()) return topic.sticky;
  return PartitionForKey(*record.key, static_cast<int32_t>(topic.partitions.size()));
}

void RecordAccumulator::MoveSticky(Topic* topic) {
  const size_t count =
      topic->available.empty() ? topic->partitions.size() : topic->available.size();
  if (count == 0) return;
  const auto chosen = static_cast<int32_t>(count == 1 ? 0 : random_.Below(count));
  topic->sticky = topic->available.empty() ? PartitionIndex(chosen)
                                           : topic->available[static_cast<size_t>(chosen)];
}

void RecordAccumulator::Place(Topic* topic, PartitionIndex partition, const ProducerRecord& record,
                              TimestampMs timestamp, absl::FunctionRef<MonotonicTime()> now,
                              uint64_t number, size_t bytes, DeliveryCallback* callback) {
  std::vector<RecordHeader> headers(record.headers.begin(), record.headers.end());
  auto* slot = &topic->partitions[static_cast<size_t>(partition.value())].open;
  if (slot->has_value() &&
      (*slot)->builder->SizeAfter(record.key, record.value, headers) > options_.batch_bytes) {
    Seal(topic, partition);
    open_.erase(std::find(open_.begin(), open_.end(), std::make_pair(topic, partition)));
    if (!record.partition.has_value() && !record.key.has_value()) {
      partition = topic->sticky;  // Seal has moved it
      slot = &topic->partitions[static_cast<size_t>(partition.value())].open;
    }
  }
  if (!slot->has_value()) {
    slot->emplace();
    (*slot)->builder.emplace(options_.builder);
    (*slot)->first_record = number;
    (*slot)->opened_at = now();
    open_.emplace_back(topic, partition);
  }
  SealedBatch& batch = **slot;
  batch.builder->Add(timestamp, record.key, record.value, headers);
  if (callback != nullptr && *callback) {
    batch.callbacks.push_back({batch.record_count, timestamp, std::move(*callback)});
  }
  ++batch.record_count;
  batch.accounted_bytes += bytes;
}

void RecordAccumulator::Seal(Topic* topic, PartitionIndex partition) {
  auto& slot = topic->partitions[static_cast<size_t>(partition.value())].open;
  slot->topic = topic->name;
  slot->partition = partition;
  sealed_.push_back(*std::move(slot));
  slot.reset();
  if (topic->sticky == partition) MoveSticky(topic);
}

void RecordAccumulator::Wait(Topic* topic, const ProducerRecord& record, TimestampMs timestamp,
                             MonotonicTime now, uint64_t number, size_t bytes,
                             DeliveryCallback* callback) {
  Waiting waiting;
  waiting.has_key = record.key.has_value();
  if (waiting.has_key) waiting.key_bytes = std::string(*record.key);
  waiting.has_value = record.value.has_value();
  if (waiting.has_value) waiting.value_bytes = std::string(*record.value);
  waiting.partition = record.partition;
  for (const RecordHeader& header : record.headers) {
    waiting.headers.emplace_back(header.key, header.value);
  }
  waiting.timestamp = timestamp;
  waiting.accepted_at = now;
  waiting.number = number;
  waiting.bytes = bytes;
  if (callback != nullptr) waiting.callback = std::move(*callback);
  topic->waiting.push_back(std::move(waiting));
}

void RecordAccumulator::SetTopic(const std::string& name, int32_t partition_count,
                                 std::vector<PartitionIndex> available) {
  auto it = topics_.find(name);
  if (it == topics_.end() || partition_count <= 0) return;
  Topic* topic = it->second.get();
  const auto count = static_cast<size_t>(partition_count);
  // Fewer than before: the topic was made again. What is open beyond the end is sent there all the
  // same and refused by the brokers, record by record, rather than silently put elsewhere.
  for (size_t i = count; i < topic->partitions.size(); ++i) {
    if (!topic->partitions[i].open.has_value()) continue;
    const PartitionIndex partition(static_cast<int32_t>(i));
    open_.erase(std::find(open_.begin(), open_.end(), std::make_pair(topic, partition)));
    Seal(topic, partition);
  }
  const bool first = topic->partitions.empty();
  topic->partitions.resize(count);
  topic->available = std::move(available);
  if (first || topic->sticky.value() >= partition_count) MoveSticky(topic);
  std::deque<Waiting> waiting = std::exchange(topic->waiting, {});
  for (Waiting& w : waiting) {
    if (w.partition.has_value() && w.partition->value() >= partition_count) {
      SealedBatch batch = Unplaced(name, &w);  // the core finds no such partition and fails it
      sealed_.push_back(std::move(batch));
      continue;
    }
    std::vector<RecordHeader> headers;
    for (const auto& [key, value] : w.headers) {
      headers.push_back(
          {key, value.has_value() ? std::optional<std::string_view>(*value) : std::nullopt});
    }
    ProducerRecord record;
    record.topic = name;
    record.partition = w.partition;
    if (w.has_key) record.key = w.key_bytes;
    if (w.has_value) record.value = w.value_bytes;
    record.headers = headers;
    Place(
        topic, ChoosePartition(*topic, record), record, w.timestamp, [&] { return w.accepted_at; },
        w.number, w.bytes, &w.callback);
  }
}

SealedBatch RecordAccumulator::Unplaced(const std::string& topic, Waiting* waiting) {
  SealedBatch batch;
  batch.topic = topic;
  batch.partition = waiting->partition.value_or(PartitionIndex(-1));
  batch.record_count = 1;
  batch.first_record = waiting->number;
  batch.opened_at = waiting->accepted_at;
  batch.accounted_bytes = waiting->bytes;
  if (waiting->callback) {
    batch.callbacks.push_back({0, waiting->timestamp, std::move(waiting->callback)});
  }
  return batch;
}

std::vector<SealedBatch> RecordAccumulator::DropTopic(const std::string& name) {
  std::vector<SealedBatch> dropped;
  auto it = topics_.find(name);
  if (it == topics_.end()) return dropped;
  Topic* topic = it->second.get();
  for (Waiting& waiting : topic->waiting) dropped.push_back(Unplaced(name, &waiting));
  for (size_t i = 0; i < open_.size();) {
    if (open_[i].first != topic) {
      ++i;
      continue;
    }
    Seal(topic, open_[i].second);
    open_.erase(open_.begin() + static_cast<ptrdiff_t>(i));
  }
  auto keep = std::stable_partition(sealed_.begin(), sealed_.end(),
                                    [&](const SealedBatch& batch) { return batch.topic != name; });
  std::move(keep, sealed_.end(), std::back_inserter(dropped));
  sealed_.erase(keep, sealed_.end());
  topics_.erase(it);
  return dropped;
}

std::vector<SealedBatch> RecordAccumulator::TakeUnplacedBefore(MonotonicTime limit) {
  std::vector<SealedBatch> taken;
  for (auto& [name, topic] : topics_) {
    while (!topic->waiting.empty() && topic->waiting.front().accepted_at <= limit) {
      taken.push_back(Unplaced(name, &topic->waiting.front()));
      topic->waiting.pop_front();
    }
  }
  // The map's order differs from run to run; a replay needs the same.
  std::sort(taken.begin(), taken.end(), [](const SealedBatch& a, const SealedBatch& b) {
    return a.first_record < b.first_record;
  });
  return taken;
}

uint64_t RecordAccumulator::oldest_record() const {
  uint64_t oldest = records_accepted_;
  for (const auto& [name, topic] : topics_) {
    if (!topic->waiting.empty()) oldest = std::min(oldest, topic->waiting.front().number);
  }
  for (const auto& [topic, partition] : open_) {
    oldest = std::min(oldest,
                      topic->partitions[static_cast<size_t>(partition.value())].open->first_record);
  }
  for (const SealedBatch& batch : sealed_) oldest = std::min(oldest, batch.first_record);
  return oldest;
}

MonotonicTime RecordAccumulator::oldest_unplaced() const {
  MonotonicTime oldest = kNever;
  for (const auto& [name, topic] : topics_) {
    if (!topic->waiting.empty()) oldest = std::min(oldest, topic->waiting.front().accepted_at);
  }
  return oldest;
}

}  // namespace catamaran::client::core
