#include "client/core/producer_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

bool IsIdempotent(const ProducerOptions& options) {
  return options.idempotent && options.acks != Acks::kNone;
}

PartitionQueue::Options QueueOptions(const ProducerCoreOptions& options) {
  PartitionQueue::Options queue;
  queue.idempotent = IsIdempotent(options.producer);
  // Without sequences only one batch on its way keeps the order through a retry. With Acks::kNone
  // nothing is retried.
  const bool ordered = queue.idempotent || options.producer.acks == Acks::kNone;
  queue.in_flight_max = ordered ? options.producer.in_flight_per_partition_max : 1;
  queue.delivery_timeout = options.producer.delivery_timeout;
  queue.backoff = options.backoff;
  return queue;
}

absl::Status NoSuchPartition(const std::string& topic, PartitionIndex partition) {
  return MakeError(Reason::kUnknownPartition,
                   absl::StrCat("Topic '", topic, "' has no partition ", partition.value(),
                                ". Choose one that it has, or leave the choice to the producer."),
                   {{"topic", topic}, {"partition", absl::StrCat(partition.value())}});
}

absl::Status NeverPlaced(const std::string& topic, const absl::Status& cause) {
  return MakeError(
      Reason::kDeadlineExceeded,
      absl::StrCat("No broker told the partitions of topic '", topic,
                   "' within delivery_timeout; the record was not stored. Check the addresses and "
                   "that a broker runs. Last cause: ",
                   cause.ok() ? "no answer" : std::string(cause.message())),
      {{"topic", topic}});
}

}  // namespace

ProducerCore::ProducerCore(ProducerCoreOptions options, Random random)
    : options_(std::move(options)),
      idempotent_(IsIdempotent(options_.producer)),
      random_(random),
      metadata_(options_.metadata, random_.Fork()) {}

// ---- from the accumulator ----

void ProducerCore::Pull(RecordAccumulator& accumulator, MonotonicTime now) {
  PullTopics(accumulator, now);
  const MonotonicTime limit = now - options_.producer.delivery_timeout;
  for (SealedBatch& sealed : accumulator.TakeUnplacedBefore(limit)) {
    const absl::Status status = NeverPlaced(sealed.topic, metadata_.last_error());
    Drop(std::move(sealed), status, now);
  }
  linger_wake_ = accumulator.oldest_unplaced();
  if (linger_wake_ != kNever) linger_wake_ = linger_wake_ + options_.producer.delivery_timeout;
  std::vector<SealedBatch> ready;
  accumulator.TakeReady(
      [&](const std::string& topic, PartitionIndex partition, MonotonicTime opened_at) {
        return WantsBatch(topic, partition, opened_at, now);
      },
      &ready);
  for (SealedBatch& sealed : ready) Enqueue(std::move(sealed), now);
}

void ProducerCore::PullTopics(RecordAccumulator& accumulator, MonotonicTime now) {
  for (const std::string& name : accumulator.TakeNewTopics()) {
    metadata_.Want(name, now);
    topics_.try_emplace(name);
    pulled_version_ = UINT64_MAX;  // it may be known already
  }
  if (pulled_version_ == metadata_.version()) return;
  pulled_version_ = metadata_.version();
  std::vector<std::pair<std::string, absl::Status>> unknown;
  for (auto& [name, topic] : topics_) {
    if (const TopicInfo* info = metadata_.Find(name); info != nullptr) {
      UpdateTopic(&topic, *info, accumulator);
    } else if (absl::Status status = metadata_.TopicStatus(name); !status.ok()) {
      unknown.emplace_back(name, status);
    }
  }
  for (const auto& [name, status] : unknown) DropTopic(name, status, accumulator, now);
}

void ProducerCore::UpdateTopic(Topic* topic, const TopicInfo& info,
                               RecordAccumulator& accumulator) {
  topic->id = info.id;
  topic->leaders = info.partitions;
  const PartitionQueue::Options queue_options = QueueOptions(options_);
  while (topic->queues.size() < info.partitions.size()) {
    const PartitionIndex partition(static_cast<int32_t>(topic->queues.size()));
    topic->queues.push_back(std::make_shared<PartitionQueue>(queue_options, info.name, partition));
  }
  std::vector<PartitionIndex> available;
  for (size_t i = 0; i < topic->queues.size(); ++i) {
    topic->queues[i]->SetTopicId(info.id);
    if (i >= info.partitions.size()) {
      topic->queues[i]->FailAll(NoSuchPartition(info.name, topic->queues[i]->partition()));
    } else if (info.partitions[i].leader != kNoBroker) {
      available.push_back(topic->queues[i]->partition());
    }
  }
  accumulator.SetTopic(info.name, static_cast<int32_t>(info.partitions.size()),
                       std::move(available));
}

void ProducerCore::DropTopic(const std::string& name, const absl::Status& status,
                             RecordAccumulator& accumulator, MonotonicTime now) {
  for (SealedBatch& sealed : accumulator.DropTopic(name)) Drop(std::move(sealed), status, now);
  for (const auto& queue : topics_[name].queues) queue->FailAll(status);
  metadata_.Forget(name);
  topics_.erase(name);
}

bool ProducerCore::WantsBatch(const std::string& topic, PartitionIndex partition,
                              MonotonicTime opened_at, MonotonicTime now) {
  auto it = topics_.find(topic);
  const auto index = static_cast<size_t>(partition.value());
  if (flushing_ || it == topics_.end() || index >= it->second.queues.size()) return true;
  const PartitionQueue& queue = *it->second.queues[index];
  // A batch that waits for its turn goes first; until then this one may grow.
  if (queue.has_waiting()) return false;
  if (queue.in_flight() == 0) return true;
  const MonotonicTime linger_end = opened_at + options_.producer.linger;
  if (linger_end > now) {
    linger_wake_ = std::min(linger_wake_, linger_end);
    return false;
  }
  return queue.in_flight() < options_.producer.in_flight_per_partition_max;
}

void ProducerCore::Enqueue(SealedBatch sealed, MonotonicTime now) {
  auto it = topics_.find(sealed.topic);
  const auto index = static_cast<size_t>(sealed.partition.value());
  if (it == topics_.end() || index >= it->second.leaders.size() || !sealed.builder.has_value()) {
    const absl::Status status = NoSuchPartition(sealed.topic, sealed.partition);
    Drop(std::move(sealed), status, now);
    return;
  }
  const auto& queue = it->second.queues[index];
  active_.try_emplace(QueueKey(sealed.topic, sealed.partition), queue);
  incomplete_.insert(sealed.first_record);
  queue->Enqueue(std::move(sealed));
}

void ProducerCore::Drop(SealedBatch sealed, const absl::Status& status, MonotonicTime now) {
  incomplete_.insert(sealed.first_record);
  completed_.push_back(FailedBatch(std::move(sealed), status, now));
}

// ---- events ----

void ProducerCore::OnMetadata(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                              MonotonicTime now) {
  metadata_.OnAnswer(correlation, std::move(answer), now);
}

void ProducerCore::OnInitProducerId(CorrelationId correlation,
                                    absl::StatusOr<ProducerIdentity> answer, MonotonicTime now) {
  if (correlation != identity_request_) return;
  identity_request_ = kNoCorrelation;
  identity_deadline_ = kNever;
  if (answer.ok()) {
    identity_ = *answer;
    identity_lost_ = false;
    identity_wanted_ = false;
    identity_failures_ = 0;
    return;
  }
  // A broker that refuses to raise the epoch doesn't know the id: take a new one.
  if (std::optional<ErrorDetail> detail = GetErrorDetail(answer.status());
      detail.has_value() && !IsRetriable(detail->reason)) {
    identity_lost_ = true;
  }
  metadata_.AddressFailed();
  identity_not_before_ = now + BackoffAfter(options_.backoff, ++identity_failures_, random_);
}

void ProducerCore::OnAppend(CorrelationId correlation, AppendAnswer answer, MonotonicTime now) {
  auto it = requests_.find(correlation);
  if (it == requests_.end()) return;
  Request request = std::move(it->second);
  requests_.erase(it);
  Settle(std::move(request), answer, now);
}

void ProducerCore::Settle(Request request, const AppendAnswer& answer, MonotonicTime now) {
  AppendResult failed;
  if (!answer.ok()) {
    failed.status = answer.status();
  } else if (answer->size() != request.batches.size()) {
    failed.status = absl::InternalError("the broker answered another number of batches than asked");
  }
  for (size_t i = 0; i < request.batches.size(); ++i) {
    const auto& [queue, batch_id] = request.batches[i];
    const AppendResult& result = failed.status.ok() ? (*answer)[i] : failed;
    const bool redirected =
        metadata_.Redirect(queue->topic(), queue->partition(), request.broker, result.status);
    PartitionQueue::Verdict verdict = queue->OnResult(batch_id, result, redirected, now, random_);
    if (verdict.refresh_metadata) metadata_.Refresh(queue->topic(), now);
    if (verdict.fenced && queue->identity() == identity_) identity_lost_ = true;
  }
}

void ProducerCore::GiveUpRequests(MonotonicTime now) {
  std::set<std::string> stuck;
  for (const auto& [correlation, request] : requests_) {
    if (request.deadline <= now) stuck.insert(request.address);
  }
  if (stuck.empty()) return;
  const AppendAnswer answer =
      absl::DeadlineExceededError("the broker didn't answer within request_timeout");
  for (auto it = requests_.begin(); it != requests_.end();) {
    // Answers on one connection come in order: what is behind a stuck one is stuck, too.
    if (!stuck.contains(it->second.address)) {
      ++it;
      continue;
    }
    Request request = std::move(it->second);
    it = requests_.erase(it);
    Settle(std::move(request), answer, now);
  }
  resets_.insert(resets_.end(), stuck.begin(), stuck.end());
}

void ProducerCore::Abandon(RecordAccumulator& accumulator, const absl::Status& status,
                           MonotonicTime now) {
  std::vector<SealedBatch> left = accumulator.TakeUnplacedBefore(kNever);
  const auto all = [](const std::string&, PartitionIndex, MonotonicTime) { return true; };
  accumulator.TakeReady(all, &left);
  for (SealedBatch& sealed : left) Drop(std::move(sealed), status, now);
  for (auto& [key, queue] : active_) queue->FailAll(status);
  for (auto& [key, queue] : active_) queue->TakeDone(now, &completed_);
  active_.clear();
}

// ---- what to do ----

ProducerCore::Output ProducerCore::Advance(MonotonicTime now) {
  Output output;
  GiveUpRequests(now);
  for (auto& [key, queue] : active_) queue->Expire(now);
  Restarts();
  RequestIdentity(now, &output);
  SendBatches(now, &output);
  for (auto it = active_.begin(); it != active_.end();) {
    it->second->TakeDone(now, &completed_);
    it = it->second->empty() ? active_.erase(it) : std::next(it);
  }
  if (std::optional<SendMetadata> send = metadata_.TakeRequest(now); send.has_value()) {
    output.metadata.push_back(*std::move(send));
  }
  for (const CompletedBatch& batch : completed_) incomplete_.erase(batch.first_record);
  output.completed = std::exchange(completed_, {});
  output.resets = std::exchange(resets_, {});
  output.wake_at = NextWake(now);
  return output;
}

void ProducerCore::Restarts() {
  for (auto& [key, queue] : active_) {
    if (!queue->WantsRestart()) continue;
    if (!identity_lost_ && queue->CanRestartWith(identity_)) {
      queue->Restart(identity_);
    } else {
      identity_wanted_ = true;
    }
  }
}

void ProducerCore::RequestIdentity(MonotonicTime now, Output* output) {
  if (!idempotent_ || active_.empty()) return;
  if (identity_request_ != kNoCorrelation) {
    if (now < identity_deadline_) return;
    OnInitProducerId(identity_request_, absl::DeadlineExceededError("no answer in time"), now);
  }
  const bool needed = !identity_.is_set() || identity_wanted_;
  if (!needed || now < identity_not_before_) return;
  last_correlation_ = CorrelationId(last_correlation_.value() + 1);
  identity_request_ = last_correlation_;
  identity_deadline_ = now + options_.metadata.request_timeout;
  SendInitProducerId send;
  send.correlation = identity_request_;
  send.address = metadata_.AnyAddress();
  if (identity_.is_set() && !identity_lost_) send.current = identity_;
  send.timeout = options_.metadata.request_timeout;
  output->init_producer_ids.push_back(std::move(send));
}

void ProducerCore::SendBatches(MonotonicTime now, Output* output) {
  std::map<BrokerId, std::vector<PartitionQueue*>> by_broker;
  for (auto& [key, queue] : active_) {
    if (!queue->CanSend(now, identity_)) continue;
    auto topic = topics_.find(key.first);
    const auto index = static_cast<size_t>(key.second.value());
    if (topic == topics_.end() || index >= topic->second.leaders.size()) continue;
    const BrokerId leader = topic->second.leaders[index].leader;
    if (leader == kNoBroker || metadata_.AddressOf(leader).empty()) {
      metadata_.Refresh(key.first, now);
      continue;
    }
    by_broker[leader].push_back(queue.get());
  }
  for (const auto& [broker, queues] : by_broker) SendTo(broker, queues, now, output);
}

void ProducerCore::SendTo(BrokerId broker, const std::vector<PartitionQueue*>& queues,
                          MonotonicTime now, Output* output) {
  SendAppend send;
  Request request;
  size_t bytes = 0;
  auto flush = [&] {
    if (send.entries.empty()) return;
    last_correlation_ = CorrelationId(last_correlation_.value() + 1);
    send.correlation = last_correlation_;
    request.broker = send.broker = broker;
    request.address = send.address = metadata_.AddressOf(broker);
    send.acks = options_.producer.acks;
    send.durability = options_.producer.durability;
    send.ack_timeout =
        std::chrono::duration_cast<Duration>(options_.request_timeout * kAckTimeoutShare);
    request.deadline = now + options_.request_timeout;
    requests_.emplace(send.correlation, std::exchange(request, {}));
    output->appends.push_back(std::exchange(send, {}));
    bytes = 0;
  };
  // A round takes at most one batch of each partition, as a request may hold.
  for (bool any = true; any;) {
    any = false;
    for (PartitionQueue* queue : queues) {
      if (!queue->CanSend(now, identity_)) continue;
      any = true;
      std::optional<PartitionQueue::Sending> sending = queue->Send(identity_);
      if (!sending.has_value()) continue;
      if (bytes + sending->bytes.size() > options_.producer.request_bytes_max) flush();
      bytes += sending->bytes.size();
      ++stats_.batches_sent;
      stats_.batches_retried += sending->retry ? 1 : 0;
      stats_.batch_bytes_sent += sending->bytes.size();
      const Topic& topic = topics_.find(queue->topic())->second;
      const auto index = static_cast<size_t>(queue->partition().value());
      send.entries.push_back({TopicPartitionId{queue->topic_id(), queue->partition()},
                              topic.leaders[index].leader_epoch, std::move(sending->bytes)});
      request.batches.emplace_back(active_.at(QueueKey(queue->topic(), queue->partition())),
                                   sending->batch_id);
    }
    flush();
  }
}

MonotonicTime ProducerCore::NextWake(MonotonicTime now) const {
  MonotonicTime wake = std::min(metadata_.next_wake(), linger_wake_);
  if (identity_request_ != kNoCorrelation) {
    wake = std::min(wake, identity_deadline_);
  } else if (identity_not_before_ > now) {
    wake = std::min(wake, identity_not_before_);
  }
  for (const auto& [correlation, request] : requests_) wake = std::min(wake, request.deadline);
  for (const auto& [key, queue] : active_) wake = std::min(wake, queue->next_wake(now));
  return wake;
}

uint64_t ProducerCore::oldest_record() const {
  return incomplete_.empty() ? UINT64_MAX : *incomplete_.begin();
}

void ProducerCore::CheckInvariants() const {
  for (const auto& [key, queue] : active_) queue->CheckInvariants();
}

}  // namespace catamaran::client::core
