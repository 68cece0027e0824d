#include "tests/sim/sim_clients.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "client/core/options.h"
#include "tests/sim/saboteur.h"

namespace catamaran::sim {

using client::TopicPartition;
using std::chrono::milliseconds;

namespace {

// How long a client waits before it reads a topic again that it was told is gone.
constexpr Duration kReassignPause = milliseconds(200);
constexpr int kKeys = 50;
constexpr Duration kHurriedPollPauseMax = milliseconds(10);
constexpr size_t kHurriedPollRecords = 1'000;

std::string MetadataValue(const absl::Status& status, std::string_view key) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail.has_value()) return "";
  for (const auto& [name, value] : detail->metadata) {
    if (name == key) return value;
  }
  return "";
}

}  // namespace

// ---- every client -------------------------------------------------------------------------------

SimClient::SimClient(const ClientWorld& world, std::string name, CarrierSabotage sabotage)
    : world_(world),
      name_(std::move(name)),
      node_(*world.world, name_),
      random_(world.world->random().Fork()),
      executor_(node_.MakeExecutor("main")),
      transport_(world.network->MakeTransport(name_)),
      carrier_(std::make_unique<SimCarrier>(transport_.get(), &node_.clock(), executor_.get(), this,
                                            sabotage)) {}

SimClient::~SimClient() {
  node_.Kill();
  carrier_.reset();
}

void SimClient::OnAppendAnswer(const client::core::SendAppend& send,
                               const v1::AppendStreamResponse& answer) {
  for (const v1::AppendResult& result : answer.results()) {
    if (result.has_receipt() && result.receipt().duplicate()) {
      ++(*world_.coverage)["retry answered as duplicate"];
    }
  }
  world_.history->OnAppendAnswer(send, answer);
}

void SimClient::OnFetchAnswer(const client::core::SendFetch&,
                              const v1::FetchBatchesResponse& answer) {
  world_.history->OnFetchAnswer(answer);
}

void SimClient::OnError(Method, const absl::Status& status) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  std::string what = detail.has_value() ? std::string(ReasonName(detail->reason))
                                        : absl::StatusCodeToString(status.code());
  ++(*world_.coverage)["error " + what];
  world_.world->Trace(absl::StrCat(name_, " ", what));
}

void SimClient::SetTimer(MonotonicTime when, std::function<void()> pump) {
  if (when == timer_at_) return;
  if (timer_at_ != kNever) executor_->Cancel(timer_);
  timer_at_ = when;
  if (when == kNever) return;
  timer_ = executor_->PostAt(when, [this, pump = std::move(pump)] {
    timer_at_ = kNever;
    pump();
  });
}

const TopicPlan* SimClient::FindTopic(const std::string& name) const {
  for (const TopicPlan& topic : world_.plan->topics) {
    if (topic.name == name) return &topic;
  }
  return nullptr;
}

// ---- producer -----------------------------------------------------------------------------------

SimProducer::SimProducer(const ClientWorld& world, int index, const ProducerPlan& plan)
    : SimClient(world, absl::StrCat("p", index),
                SabotageCarrier(world.plan->sabotage, plan.options.idempotent)),
      index_(index),
      plan_(plan),
      core_(client::core::MakeProducerCoreOptions(plan.client, plan.options), random_.Fork()),
      accumulator_(client::core::MakeAccumulatorOptions(plan.options), random_.Fork()) {
  CATAMARAN_CHECK(client::ValidateClientOptions(plan.client).ok() &&
                      client::core::ValidateProducerOptions(plan.options).ok(),
                  "the plan stays within the limits");
  carrier_->set_append_done(
      [this](client::core::CorrelationId correlation, client::core::AppendAnswer answer) {
        core_.OnAppend(correlation, std::move(answer), Now());
        Pump();
      });
  executor_->Post([this] { Burst(); });
}

SimProducer::~SimProducer() { node_.Kill(); }

void SimProducer::Burst() {
  if (!sending_) return;
  const int64_t count = random_.Between(1, plan_.burst_max);
  for (int64_t i = 0; i < count; ++i) SendOne();
  executor_->PostAt(Now() + Duration(random_.Between(0, plan_.pause_max.count())),
                    [this] { Burst(); });
}

void SimProducer::SendOne() {
  const ValueId id{index_, next_number_};
  const TopicPlan& topic =
      world_.plan->topics[static_cast<size_t>(random_.Below(world_.plan->topics.size()))];
  const std::string value =
      EncodeValue(id, static_cast<size_t>(random_.Below(plan_.value_bytes_max)));
  std::string key;
  client::ProducerRecord record;
  record.topic = topic.name;
  record.value = value;
  const bool has_key = random_.Chance(plan_.keyed);
  if (has_key) {
    key = absl::StrCat("k", random_.Below(kKeys));
    record.key = key;
  }
  const PartitionIndex expected = PartitionForKey(key, topic.partitions);
  client::DeliveryCallback callback = [this, id, name = topic.name, has_key,
                                       expected](const absl::StatusOr<client::Delivery>& delivery) {
    --pending_;
    world_.history->OnDelivered(id, name, delivery, has_key, expected);
    if (!delivery.ok()) {
      bool unknown = OutcomeOf(delivery.status()) == Outcome::kUnknown;
      ++(*world_.coverage)[unknown ? "record unknown" : "record rejected"];
    }
  };
  const bool ordered = plan_.options.idempotent && plan_.options.acks != client::Acks::kNone;
  world_.history->OnSend(id, topic.name, ordered);
  auto accepted = accumulator_.Append(record, node_.clock().WallNow(), Now(), &callback);
  if (!accepted.status.ok()) {
    // Nothing was accepted: the number is used for the next record.
    CATAMARAN_CHECK(ReasonOf(accepted.status) == Reason::kOverloaded ||
                        ReasonOf(accepted.status) == Reason::kUnknownPartition,
                    std::string(accepted.status.message()));
    world_.history->OnNotAccepted(id);
    ++(*world_.coverage)["producer buffer full"];
    return;
  }
  ++next_number_;
  ++pending_;
  if (accepted.wake && !std::exchange(pump_posted_, true)) {
    executor_->Post([this] { Pump(); });
  }
}

void SimProducer::Pump() {
  pump_posted_ = false;
  const MonotonicTime now = Now();
  core_.Pull(accumulator_, now);
  client::core::ProducerCore::Output output = core_.Advance(now);
  core_.CheckInvariants();
  for (const std::string& address : output.resets) {
    ++(*world_.coverage)["producer reset its connection"];
    carrier_->Reset(address);
  }
  for (const auto& send : output.metadata) {
    carrier_->GetMetadata(send, [this, correlation = send.correlation](auto answer) {
      core_.OnMetadata(correlation, std::move(answer), Now());
      Pump();
    });
  }
  for (const auto& send : output.init_producer_ids) {
    if (send.current.has_value()) ++(*world_.coverage)["producer epoch bumped"];
    carrier_->InitProducerId(send, [this, correlation = send.correlation](auto answer) {
      core_.OnInitProducerId(correlation, std::move(answer), Now());
      Pump();
    });
  }
  for (auto& send : output.appends) carrier_->Append(std::move(send));
  SetTimer(output.wake_at, [this] { Pump(); });
  for (client::core::CompletedBatch& batch : output.completed) {
    accumulator_.Release(batch.accounted_bytes);
    for (client::core::RecordCallback& record : batch.callbacks) {
      if (!batch.status.ok()) {
        record.callback(batch.status);
        continue;
      }
      client::Delivery delivery;
      delivery.partition = batch.partition;
      if (batch.base_offset.value() >= 0) delivery.offset = batch.base_offset + record.index;
      record.callback(delivery);
    }
  }
}

// ---- consumer -----------------------------------------------------------------------------------

SimConsumer::SimConsumer(const ClientWorld& world, int index, const ConsumerPlan& plan)
    : SimClient(world, absl::StrCat("c", index), SabotageCarrier(world.plan->sabotage, false)),
      plan_(plan),
      core_(client::core::MakeConsumerCoreOptions(plan.client, plan.options), random_.Fork()) {
  CATAMARAN_CHECK(client::ValidateClientOptions(plan.client).ok() &&
                      client::core::ValidateConsumerOptions(plan.options).ok(),
                  "the plan stays within the limits");
  executor_->Post([this] {
    for (const TopicPlan& topic : world_.plan->topics) {
      for (int32_t i = 0; i < topic.partitions; ++i) Assign({topic.name, PartitionIndex(i)});
    }
    PollLater();
  });
}

void SimConsumer::Assign(const TopicPartition& partition) {
  readers_[partition] = History::Reader();
  core_.RemoveAssignment(partition);
  absl::Status added = core_.AddAssignment({partition, client::StartPosition::Earliest()}, Now());
  CATAMARAN_CHECK(added.ok(), std::string(added.message()));
  Pump();
}

void SimConsumer::PollLater() {
  const Duration pause_max = hurried_ ? kHurriedPollPauseMax : plan_.poll_pause_max;
  executor_->PostAt(Now() + Duration(random_.Between(0, pause_max.count())), [this] { Poll(); });
}

void SimConsumer::Poll() {
  std::vector<client::ConsumedRecord> records;
  client::core::PolledBatches batches;
  const size_t records_max = hurried_ ? kHurriedPollRecords : plan_.poll_records_max;
  absl::Status status = core_.Poll(records_max, &records, &batches);
  for (const client::ConsumedRecord& record : records) {
    TopicPartition partition{std::string(record.topic), record.partition};
    world_.history->OnPolled(&readers_[partition], name_, record);
  }
  if (!status.ok()) OnPollError(status);
  Pump();
  PollLater();
}

void SimConsumer::OnPollError(const absl::Status& status) {
  TopicPartition partition{MetadataValue(status, "topic"), PartitionIndex(-1)};
  int32_t index = -1;
  if (absl::SimpleAtoi(MetadataValue(status, "partition"), &index)) {
    partition.partition = PartitionIndex(index);
  }
  const Reason reason = ReasonOf(status);
  ++(*world_.coverage)["poll error " + std::string(ReasonName(reason))];
  if (!readers_.contains(partition)) {
    world_.history->Violate(absl::StrCat(
        name_, ": Poll's error names no partition that is read: ", std::string(status.message())));
    return;
  }
  switch (reason) {
    case Reason::kOffsetOutOfRange: {
      absl::Status sought = core_.Seek(partition, client::StartPosition::Earliest(), Now());
      CATAMARAN_CHECK(sought.ok(), std::string(sought.message()));
      return;
    }
    case Reason::kUnknownTopic:
    case Reason::kUnknownPartition:
    case Reason::kTopicIdMismatch:
      executor_->PostAt(Now() + kReassignPause, [this, partition] { Assign(partition); });
      return;
    default:
      world_.history->Violate(
          absl::StrCat(name_, ": Poll failed: ", std::string(status.message())));
  }
}

void SimConsumer::Pump() {
  client::core::ConsumerCore::Output output = core_.Advance(Now());
  core_.CheckInvariants();
  for (const auto& send : output.metadata) {
    carrier_->GetMetadata(send, [this, correlation = send.correlation](auto answer) {
      core_.OnMetadata(correlation, std::move(answer), Now());
      Pump();
    });
  }
  for (const auto& send : output.list_offsets) {
    carrier_->ListOffsets(send, [this, correlation = send.correlation](auto answer) {
      core_.OnListOffsets(correlation, std::move(answer), Now());
      Pump();
    });
  }
  for (auto& send : output.fetches) {
    const client::core::CorrelationId correlation = send.correlation;
    carrier_->FetchBatches(std::move(send), [this, correlation](auto answer) {
      core_.OnFetch(correlation, std::move(answer), Now());
      Pump();
    });
  }
  SetTimer(output.wake_at, [this] { Pump(); });
}

bool SimConsumer::AtEnd(const Ends& ends) const { return Describe(ends).empty(); }

std::string SimConsumer::Describe(const Ends& ends) const {
  for (const auto& [partition, end] : ends) {
    absl::StatusOr<client::PartitionProgress> progress = core_.Progress(partition);
    if (!progress.ok()) continue;  // added by an admin, not read by this consumer
    // Past `end` when a request that the network held back was appended after the logs were read:
    // then the consumer must stand at the end that the broker told it.
    if (progress->position.has_value() &&
        (progress->position->value() == end ||
         (progress->position->value() > end && progress->at_end))) {
      continue;
    }
    return absl::StrCat(
        name_, " stands at ",
        progress->position.has_value() ? absl::StrCat(progress->position->value()) : "nowhere",
        " of ", end, " in ", partition.topic, "-", partition.partition.value(), " (",
        std::string(core_.trouble().message()), ")");
  }
  return "";
}

}  // namespace catamaran::sim
