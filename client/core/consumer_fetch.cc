// ConsumerCore: requests to the brokers and their answers.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "client/core/consumer_core.h"

namespace catamaran::client::core {
namespace {

ErrorMetadata Where(const TopicPartition& name) {
  return {{"topic", name.topic}, {"partition", absl::StrCat(name.partition.value())}};
}

// The same error, naming the partition.
absl::Status Locate(const TopicPartition& name, const absl::Status& status) {
  ErrorMetadata metadata = Where(name);
  if (std::optional<ErrorDetail> detail = GetErrorDetail(status); detail.has_value()) {
    for (auto& [key, value] : detail->metadata) {
      if (key != "topic" && key != "partition") metadata.emplace_back(key, value);
    }
  }
  return MakeError(ReasonOf(status),
                   absl::StrCat(name.topic, "-", name.partition.value(), ": ", status.message()),
                   std::move(metadata));
}

// Whether a read may be tried again as it is: it changes nothing, so an unknown outcome is no
// worry.
bool IsWaitedOut(const absl::Status& status) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail.has_value() || IsRetriable(detail->reason)) return true;
  switch (detail->reason) {
    case Reason::kInternal:
    case Reason::kStorageFailed:
    case Reason::kOutcomeUnknown:
    case Reason::kCancelled:
    case Reason::kUnknownTopic:  // the metadata decides, see LeaderOf
    case Reason::kUnknownPartition:
    case Reason::kTopicIdMismatch:
      return true;
    default:
      return false;
  }
}

}  // namespace

// ---- what to send ----

ConsumerCore::Output ConsumerCore::Advance(MonotonicTime now) {
  Output output;
  GiveUpRequests(now);
  const size_t buffered = buffered_bytes();
  const size_t buffered_max = options_.consumer.prefetch_bytes_max;
  Targets lookups, fetches;
  MonotonicTime wake = kNever;
  for (auto& [name, partition] : partitions_) {
    if (partition.request != kNoCorrelation || !partition.error.ok()) continue;
    if (partition.retry_at > now) {
      wake = std::min(wake, partition.retry_at);
      continue;
    }
    const BrokerId leader = LeaderOf(name, &partition, now);
    if (leader == kNoBroker) continue;
    if (partition.start.has_value()) {
      lookups[leader].emplace_back(&name, &partition);
      continue;
    }
    // Above half, only partitions that have nothing buffered: one that is read slowly or paused
    // must not hold the room of the others.
    const size_t limit = partition.reader.buffered_bytes() == 0 ? buffered_max : buffered_max / 2;
    const bool paused_and_full = partition.paused && !partition.reader.empty();
    if (buffered < limit && !paused_and_full) fetches[leader].emplace_back(&name, &partition);
  }
  SendLookups(lookups, now, &output);
  SendFetches(std::move(fetches), now, &output);
  if (std::optional<SendMetadata> send = metadata_.TakeRequest(now); send.has_value()) {
    output.metadata.push_back(*std::move(send));
  }
  wake = std::min(wake, metadata_.next_wake());
  for (const auto& [correlation, request] : requests_) wake = std::min(wake, request.deadline);
  output.wake_at = wake;
  return output;
}

BrokerId ConsumerCore::LeaderOf(const TopicPartition& name, Partition* partition,
                                MonotonicTime now) {
  const TopicInfo* topic = metadata_.Find(name.topic);
  if (topic == nullptr) {
    if (absl::Status status = metadata_.TopicStatus(name.topic); !status.ok()) {
      Stop(partition, Locate(name, status));
    }
    return kNoBroker;
  }
  if (!partition->topic_id.has_value()) partition->topic_id = topic->id;
  if (*partition->topic_id != topic->id) {
    Stop(partition,
         Locate(name, MakeError(Reason::kTopicIdMismatch,
                                absl::StrCat(
                                    "Topic '", name.topic,
                                    "' was deleted and made again; its offsets begin anew. Seek to "
                                    "where the new topic shall be read from."))));
    return kNoBroker;
  }
  const auto index = static_cast<size_t>(name.partition.value());
  if (index >= topic->partitions.size()) {
    Stop(partition,
         Locate(name,
                MakeError(Reason::kUnknownPartition,
                          absl::StrCat("Topic '", name.topic, "' has partitions 0 to ",
                                       topic->partitions.size() - 1, ". Assign one of these."))));
    return kNoBroker;
  }
  const BrokerId leader = topic->partitions[index].leader;
  if (leader == kNoBroker || metadata_.AddressOf(leader).empty()) {
    metadata_.Refresh(name.topic, now);
    return kNoBroker;
  }
  return leader;
}

LeaderEpoch ConsumerCore::EpochOf(const TopicPartition& name) const {
  const TopicInfo* topic = metadata_.Find(name.topic);
  return topic->partitions[static_cast<size_t>(name.partition.value())].leader_epoch;
}

CorrelationId ConsumerCore::NewRequest(Request request, MonotonicTime deadline, MonotonicTime now) {
  last_correlation_ = CorrelationId(last_correlation_.value() + 1);
  request.sent_at = now;
  request.deadline = deadline;
  requests_.emplace(last_correlation_, std::move(request));
  return last_correlation_;
}

void ConsumerCore::SendLookups(const Targets& targets, MonotonicTime now, Output* output) {
  for (const auto& [broker, partitions] : targets) {
    for (size_t at = 0; at < partitions.size(); at += kPartitionsPerFetchMax) {
      SendListOffsets send;
      Request request;
      request.broker = broker;
      const size_t end = std::min(partitions.size(), at + kPartitionsPerFetchMax);
      for (size_t i = at; i < end; ++i) {
        const auto& [name, partition] = partitions[i];
        send.lookups.push_back({TopicPartitionId{*partition->topic_id, name->partition},
                                EpochOf(*name), *partition->start});
        request.partitions.push_back(*name);
      }
      send.broker = broker;
      send.address = metadata_.AddressOf(broker);
      send.isolation_level = options_.consumer.isolation_level;
      send.timeout = options_.request_timeout;
      send.correlation = NewRequest(std::move(request), now + send.timeout, now);
      for (size_t i = at; i < end; ++i) partitions[i].second->request = send.correlation;
      output->list_offsets.push_back(std::move(send));
    }
  }
}

int ConsumerCore::FetchesTo(BrokerId broker) const {
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(), [&](const auto& item) {
    return item.second.is_fetch && item.second.broker == broker;
  }));
}

void ConsumerCore::SendFetches(Targets targets, MonotonicTime now, Output* output) {
  for (auto& [broker, partitions] : targets) {
    // Who was asked for longest ago comes first: answers have a limit, and the first ones fill it.
    std::stable_sort(partitions.begin(), partitions.end(), [](const auto& a, const auto& b) {
      return a.second->last_request < b.second->last_request;
    });
    for (size_t at = 0; at < partitions.size() && FetchesTo(broker) < kFetchesPerBrokerMax;
         at += kPartitionsPerFetchMax) {
      SendFetch send;
      Request request;
      request.broker = broker;
      request.is_fetch = true;
      const size_t end = std::min(partitions.size(), at + kPartitionsPerFetchMax);
      for (size_t i = at; i < end; ++i) {
        const auto& [name, partition] = partitions[i];
        send.entries.push_back({TopicPartitionId{*partition->topic_id, name->partition},
                                EpochOf(*name), partition->fetch_offset,
                                options_.consumer.fetch_bytes_per_partition_max});
        request.partitions.push_back(*name);
      }
      send.broker = broker;
      send.address = metadata_.AddressOf(broker);
      send.isolation_level = options_.consumer.isolation_level;
      send.wait_max = options_.consumer.fetch_wait_max;
      send.bytes_min = options_.consumer.fetch_bytes_min;
      send.bytes_max = options_.consumer.fetch_bytes_max;
      send.rack = options_.consumer.rack;
      send.timeout = send.wait_max + options_.request_timeout;
      send.correlation = NewRequest(std::move(request), now + send.timeout, now);
      for (size_t i = at; i < end; ++i) {
        partitions[i].second->request = send.correlation;
        partitions[i].second->last_request = static_cast<uint64_t>(send.correlation.value());
      }
      output->fetches.push_back(std::move(send));
    }
  }
}

// ---- answers ----

void ConsumerCore::OnMetadata(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                              MonotonicTime now) {
  metadata_.OnAnswer(correlation, std::move(answer), now);
}

std::optional<ConsumerCore::Request> ConsumerCore::TakeRequest(CorrelationId correlation) {
  auto it = requests_.find(correlation);
  if (it == requests_.end()) return std::nullopt;
  Request request = std::move(it->second);
  requests_.erase(it);
  return request;
}

ConsumerCore::Partition* ConsumerCore::Claim(const TopicPartition& name,
                                             CorrelationId correlation) {
  auto it = partitions_.find(name);
  if (it == partitions_.end() || it->second.request != correlation) return nullptr;
  it->second.request = kNoCorrelation;
  return &it->second;
}

void ConsumerCore::GiveUpRequests(MonotonicTime now) {
  std::vector<std::pair<CorrelationId, bool>> late;
  for (const auto& [correlation, request] : requests_) {
    if (request.deadline <= now) late.emplace_back(correlation, request.is_fetch);
  }
  const absl::Status status =
      absl::DeadlineExceededError("the broker didn't answer within request_timeout");
  for (const auto& [correlation, is_fetch] : late) {
    if (is_fetch) {
      OnFetch(correlation, status, now);
    } else {
      OnListOffsets(correlation, status, now);
    }
  }
}

void ConsumerCore::OnFetch(CorrelationId correlation, FetchAnswer answer, MonotonicTime now) {
  std::optional<Request> request = TakeRequest(correlation);
  if (!request.has_value()) return;
  if (answer.ok() && answer->size() != request->partitions.size()) {
    answer = absl::InternalError("the broker answered another number of partitions than asked");
  }
  bool any = !answer.ok();
  for (size_t i = 0; i < request->partitions.size(); ++i) {
    const TopicPartition& name = request->partitions[i];
    Partition* partition = Claim(name, correlation);
    if (partition == nullptr) continue;
    if (!answer.ok()) {
      HandleError(name, partition, request->broker, answer.status(), Duration(0), now);
      continue;
    }
    FetchResult& result = (*answer)[i];
    any |= !result.status.ok() || !result.batches.empty();
    AcceptFetch(name, partition, request->broker, std::move(result), now);
  }
  const bool asked_to_wait = options_.consumer.fetch_wait_max > kEmptyFetchPause;
  if (any || (asked_to_wait && now - request->sent_at >= kEmptyFetchPause)) return;
  for (const TopicPartition& name : request->partitions) {
    auto it = partitions_.find(name);
    if (it == partitions_.end()) continue;
    it->second.retry_at = std::max(it->second.retry_at, now + kEmptyFetchPause);
  }
}

void ConsumerCore::AcceptFetch(const TopicPartition& name, Partition* partition, BrokerId asked,
                               FetchResult result, MonotonicTime now) {
  if (result.log_start_offset.value() >= 0) partition->log_start_offset = result.log_start_offset;
  if (result.high_watermark.value() >= 0) partition->high_watermark = result.high_watermark;
  if (result.last_stable_offset.value() >= 0) {
    partition->last_stable_offset = result.last_stable_offset;
  }
  if (!result.status.ok()) {
    HandleError(name, partition, asked, result.status, result.retry_delay, now);
    return;
  }
  partition->failures = 0;
  partition->trouble = absl::OkStatus();
  if (result.next_offset < partition->fetch_offset ||
      (result.next_offset == partition->fetch_offset && !result.batches.empty())) {
    HandleError(name, partition, asked, absl::InternalError("the broker's answer doesn't move on"),
                Duration(0), now);
    return;
  }
  if (result.next_offset == partition->fetch_offset) return;
  partition->fetch_offset = result.next_offset;
  partition->reader.Add(std::move(result));
}

void ConsumerCore::OnListOffsets(CorrelationId correlation, ListOffsetsAnswer answer,
                                 MonotonicTime now) {
  std::optional<Request> request = TakeRequest(correlation);
  if (!request.has_value()) return;
  if (answer.ok() && answer->size() != request->partitions.size()) {
    answer = absl::InternalError("the broker answered another number of partitions than asked");
  }
  for (size_t i = 0; i < request->partitions.size(); ++i) {
    const TopicPartition& name = request->partitions[i];
    Partition* partition = Claim(name, correlation);
    if (partition == nullptr) continue;
    if (answer.ok()) {
      AcceptLookup(name, partition, request->broker, (*answer)[i], now);
    } else {
      HandleError(name, partition, request->broker, answer.status(), Duration(0), now);
    }
  }
}

void ConsumerCore::AcceptLookup(const TopicPartition& name, Partition* partition, BrokerId asked,
                                const OffsetFound& found, MonotonicTime now) {
  if (!found.status.ok()) {
    HandleError(name, partition, asked, found.status, found.retry_delay, now);
    return;
  }
  partition->failures = 0;
  partition->trouble = absl::OkStatus();
  if (found.offset.value() < 0) {
    // Nothing that new: what comes next is what was wanted.
    partition->start = StartPosition::Latest();
    return;
  }
  partition->start.reset();
  partition->fetch_offset = found.offset;
  if (std::exchange(partition->jump, false)) {
    partition->reader.Jump(found.offset);
  } else {
    partition->reader.Reset(found.offset);
  }
}

// ---- errors ----

void ConsumerCore::HandleError(const TopicPartition& name, Partition* partition, BrokerId asked,
                               const absl::Status& status, Duration retry_delay,
                               MonotonicTime now) {
  if (metadata_.Redirect(name.topic, name.partition, asked, status)) return;
  if (ReasonOf(status) == Reason::kOffsetOutOfRange) {
    HandleOutOfRange(name, partition, status);
    return;
  }
  if (!IsWaitedOut(status)) {
    Stop(partition, Locate(name, status));
    return;
  }
  partition->trouble = status;
  metadata_.Refresh(name.topic, now);
  BackOff(partition, retry_delay, now);
}

void ConsumerCore::HandleOutOfRange(const TopicPartition& name, Partition* partition,
                                    const absl::Status& status) {
  switch (options_.consumer.auto_reset) {
    case OffsetReset::kEarliest:
      partition->start = StartPosition::Earliest();
      break;
    case OffsetReset::kLatest:
      partition->start = StartPosition::Latest();
      break;
    case OffsetReset::kError:
      Stop(partition, Locate(name, status));
      return;
  }
  partition->jump = true;
}

void ConsumerCore::Stop(Partition* partition, const absl::Status& status) {
  partition->error = status;
  partition->error_reported = false;
  partition->request = kNoCorrelation;  // what is still under way doesn't count
}

void ConsumerCore::BackOff(Partition* partition, Duration asked, MonotonicTime now) {
  ++partition->failures;
  partition->retry_at =
      now + std::max(asked, BackoffAfter(options_.backoff, partition->failures, random_));
}

void ConsumerCore::CheckInvariants() const {
  for (const auto& [name, partition] : partitions_) {
    CATAMARAN_CHECK(partition.reader.position() <= partition.fetch_offset || partition.jump ||
                        partition.start.has_value() || !partition.reader.empty() ||
                        !partition.reader.status().ok(),
                    name.topic);
    CATAMARAN_CHECK(partition.request == kNoCorrelation || requests_.contains(partition.request),
                    name.topic);
  }
}

}  // namespace catamaran::client::core
