// ConsumerCore: assignment, Poll and progress. Requests and answers: consumer_fetch.cc.
#include "client/core/consumer_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

std::string NameOf(const TopicPartition& partition) {
  return absl::StrCat(partition.topic, "-", partition.partition.value());
}

absl::Status CheckStart(const TopicPartition& partition, const StartPosition& start) {
  if (partition.partition.value() < 0) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("Partition ", partition.partition.value(), " of topic '",
                                  partition.topic, "' can't be: partitions count from 0."));
  }
  if (start.kind == StartPosition::Kind::kOffset && start.offset.value() < 0) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("Offset ", start.offset.value(), " for ", NameOf(partition),
                                  " can't be: offsets count from 0."));
  }
  return absl::OkStatus();
}

}  // namespace

ConsumerCore::ConsumerCore(ConsumerCoreOptions options, Random random)
    : options_(std::move(options)), random_(random), metadata_(options_.metadata, random_.Fork()) {}

// ---- assignment ----

absl::Status ConsumerCore::Assign(const std::vector<Consumer::Assignment>& assignments,
                                  MonotonicTime now) {
  std::map<TopicPartition, int> seen;
  for (const auto& [partition, start] : assignments) {
    CATAMARAN_RETURN_IF_ERROR(CheckStart(partition, start));
    if (++seen[partition] > 1) {
      return MakeError(Reason::kInvalidArgument,
                       absl::StrCat(NameOf(partition), " is assigned twice. Name it once."));
    }
  }
  std::vector<TopicPartition> old;
  for (const auto& [name, partition] : partitions_) old.push_back(name);
  for (const TopicPartition& name : old) RemoveAssignment(name);
  for (const Consumer::Assignment& assignment : assignments) {
    CATAMARAN_RETURN_IF_ERROR(AddAssignment(assignment, now));
  }
  return absl::OkStatus();
}

absl::Status ConsumerCore::AddAssignment(const Consumer::Assignment& assignment,
                                         MonotonicTime now) {
  CATAMARAN_RETURN_IF_ERROR(CheckStart(assignment.partition, assignment.start));
  const ConsumerOptions& consumer = options_.consumer;
  auto [it, added] = partitions_.try_emplace(
      assignment.partition,
      PartitionReader::Options{consumer.decompressed_bytes_max, consumer.check_crc,
                               consumer.isolation_level},
      assignment.partition);
  if (!added) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat(NameOf(assignment.partition), " is assigned already. Use Seek."));
  }
  metadata_.Want(assignment.partition.topic, now);
  Begin(&it->second, assignment.start);
  return absl::OkStatus();
}

void ConsumerCore::RemoveAssignment(const TopicPartition& partition) {
  if (partitions_.erase(partition) == 0) return;
  auto next = partitions_.lower_bound(TopicPartition{partition.topic, PartitionIndex(0)});
  if (next == partitions_.end() || next->first.topic != partition.topic) {
    metadata_.Forget(partition.topic);
  }
}

void ConsumerCore::Begin(Partition* partition, const StartPosition& position) {
  partition->request = kNoCorrelation;
  partition->error = absl::OkStatus();
  partition->error_reported = false;
  partition->failures = 0;
  partition->retry_at = MonotonicTime();
  partition->jump = false;
  if (position.kind == StartPosition::Kind::kOffset) {
    partition->start.reset();
    partition->fetch_offset = position.offset;
    partition->reader.Reset(position.offset);
  } else {
    partition->start = position;
    partition->reader.Reset(Offset(0));
  }
}

absl::StatusOr<ConsumerCore::Partition*> ConsumerCore::FindAssigned(const TopicPartition& name) {
  auto it = partitions_.find(name);
  if (it != partitions_.end()) return &it->second;
  return MakeError(Reason::kInvalidArgument,
                   absl::StrCat(NameOf(name), " isn't assigned to this consumer. Assign it first."),
                   {{"topic", name.topic}, {"partition", absl::StrCat(name.partition.value())}});
}

absl::Status ConsumerCore::Seek(const TopicPartition& name, const StartPosition& position,
                                MonotonicTime now) {
  CATAMARAN_ASSIGN_OR_RETURN(Partition * partition, FindAssigned(name));
  CATAMARAN_RETURN_IF_ERROR(CheckStart(name, position));
  // A topic that was made again may be read on purpose.
  if (ReasonOf(partition->error) == Reason::kTopicIdMismatch) partition->topic_id.reset();
  if (!partition->error.ok()) metadata_.Refresh(name.topic, now);
  Begin(partition, position);
  return absl::OkStatus();
}

absl::Status ConsumerCore::SetPaused(const TopicPartition& name, bool paused) {
  CATAMARAN_ASSIGN_OR_RETURN(Partition * partition, FindAssigned(name));
  partition->paused = paused;
  return absl::OkStatus();
}

// ---- polling ----

bool ConsumerCore::ready() const {
  return std::any_of(partitions_.begin(), partitions_.end(), [](const auto& item) {
    const Partition& p = item.second;
    if (p.paused) return false;
    return !p.reader.empty() || (!p.error.ok() && !p.error_reported);
  });
}

absl::Status ConsumerCore::Poll(size_t records_max, std::vector<ConsumedRecord>* records,
                                PolledBatches* batches) {
  const size_t count = partitions_.size();
  if (count == 0) return absl::OkStatus();
  const size_t first = next_poll_++ % count;
  auto it = std::next(partitions_.begin(), static_cast<ptrdiff_t>(first));
  for (size_t i = 0; i < count; ++i, ++it) {
    if (it == partitions_.end()) it = partitions_.begin();
    Partition& partition = it->second;
    if (partition.paused) continue;
    if (!partition.reader.empty() && records->size() < records_max) {
      partition.reader.Read(records_max - records->size(), records, batches);
      if (!partition.reader.status().ok()) Stop(&partition, partition.reader.status());
    }
    // Records that were taken already have to be handed out before any error.
    if (records->empty() && partition.reader.empty() && !partition.error.ok() &&
        !std::exchange(partition.error_reported, true)) {
      return partition.error;
    }
  }
  return absl::OkStatus();
}

// ---- progress ----

PartitionProgress ConsumerCore::ProgressOf(const TopicPartition& name,
                                           const Partition& partition) const {
  PartitionProgress progress;
  progress.partition = name;
  if (!partition.start.has_value() || partition.jump) {
    progress.position = partition.reader.position();
  }
  progress.log_start_offset = partition.log_start_offset;
  progress.high_watermark = partition.high_watermark;
  progress.last_stable_offset = partition.last_stable_offset;
  progress.paused = partition.paused;
  const Offset end = options_.consumer.isolation_level == IsolationLevel::kReadCommitted
                         ? partition.last_stable_offset
                         : partition.high_watermark;
  progress.at_end = progress.position.has_value() && end.value() >= 0 && partition.reader.empty() &&
                    *progress.position >= end;
  return progress;
}

absl::StatusOr<PartitionProgress> ConsumerCore::Progress(const TopicPartition& name) const {
  auto it = partitions_.find(name);
  if (it == partitions_.end()) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat(NameOf(name), " isn't assigned to this consumer."));
  }
  return ProgressOf(name, it->second);
}

std::vector<PartitionProgress> ConsumerCore::ProgressOfAll() const {
  std::vector<PartitionProgress> all;
  for (const auto& [name, partition] : partitions_) all.push_back(ProgressOf(name, partition));
  return all;
}

absl::Status ConsumerCore::trouble() const {
  if (!metadata_.last_error().ok()) return metadata_.last_error();
  for (const auto& [name, partition] : partitions_) {
    if (!partition.trouble.ok()) return partition.trouble;
  }
  return absl::OkStatus();
}

size_t ConsumerCore::buffered_bytes() const {
  size_t bytes = 0;
  for (const auto& [name, partition] : partitions_) bytes += partition.reader.buffered_bytes();
  return bytes;
}

}  // namespace catamaran::client::core
