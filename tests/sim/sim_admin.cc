#include "tests/sim/sim_admin.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::sim {

using std::chrono::milliseconds;

namespace {

constexpr Duration kCallTimeout = std::chrono::seconds(2);
constexpr Duration kRetryPauseMin = milliseconds(50);
constexpr Duration kRetryPauseMax = milliseconds(500);
constexpr int kScansAgainMax = 10;
constexpr Duration kChurnPauseMin = milliseconds(100);
constexpr Duration kChurnPauseMax = milliseconds(3'000);
constexpr int32_t kGrowPartitionsMax = 6;
constexpr int64_t kVerifyBytes = 256 << 10;

TopicId IdOf(const std::string& bytes) { return TopicId{Uuid::FromBytes(bytes).value_or(Uuid())}; }

// Whether the same request has to be sent again to learn what became of it.
bool IsUnsettled(const absl::Status& status) {
  if (!GetErrorDetail(status).has_value()) return true;
  return IsRetriable(ReasonOf(status)) || OutcomeOf(status) == Outcome::kUnknown;
}

}  // namespace

// ---- administrator ------------------------------------------------------------------------------

SimAdmin::SimAdmin(const ClientWorld& world) : SimClient(world, "admin", {}) {
  executor_->Post([this] { CreateNext(); });
}

template <class Response, class Request>
void SimAdmin::Insist(Method method, Request request, std::function<void(const Response&)> done) {
  carrier_->Call<Response>(
      kBrokerAddress, method, request, kCallTimeout,
      [this, method, request, done = std::move(done)](absl::StatusOr<Response> response) mutable {
        if (response.ok()) return done(*response);
        if (IsUnsettled(response.status())) {
          Duration pause(random_.Between(kRetryPauseMin.count(), kRetryPauseMax.count()));
          executor_->PostAt(Now() + pause, [this, method, request = std::move(request),
                                            done = std::move(done)]() mutable {
            Insist<Response, Request>(method, std::move(request), std::move(done));
          });
          return;
        }
        // Deleting records is the one that may be refused for good.
        const Reason reason = ReasonOf(response.status());
        if (method == Method::kDeleteRecords &&
            (reason == Reason::kOffsetOutOfRange || reason == Reason::kCorruptLog)) {
          ++(*world_.coverage)["delete-records refused"];
          busy_ = false;
          return ChurnLater();
        }
        world_.history->Violate(
            absl::StrCat("the administrator's request ", static_cast<int>(method),
                         " was refused: ", std::string(response.status().message())));
      });
}

void SimAdmin::CreateNext() {
  if (created_all()) {
    busy_ = false;
    ChurnLater();
    return;
  }
  Create(world_.plan->topics[created_], [this] {
    ++created_;
    CreateNext();
  });
}

void SimAdmin::Create(const TopicPlan& topic, std::function<void()> then) {
  v1::CreateTopicRequest request;
  request.set_name(topic.name);
  request.set_partition_count(topic.partitions);
  for (const auto& [name, value] : topic.configs) (*request.mutable_configs())[name] = value;
  request.set_request_id(NextRequestId());
  Insist<v1::CreateTopicResponse>(
      Method::kCreateTopic, std::move(request),
      [this, &topic, then = std::move(then)](const v1::CreateTopicResponse& response) {
        Known& known = topics_[topic.name];
        known.id = IdOf(response.topic().topic_id());
        known.partitions = topic.partitions;
        world_.history->OnTopicAcknowledged(topic.name, known.id, topic.partitions);
        then();
      });
}

void SimAdmin::Delete(const TopicPlan& topic, std::function<void()> then) {
  v1::DeleteTopicRequest request;
  request.set_name(topic.name);
  request.set_topic_id(topics_[topic.name].id.uuid.ToBytes());
  request.set_request_id(NextRequestId());
  world_.history->OnDeleteRequested(topics_[topic.name].id);
  Insist<v1::DeleteTopicResponse>(
      Method::kDeleteTopic, std::move(request),
      [this, then = std::move(then)](const v1::DeleteTopicResponse& response) {
        world_.history->OnTopicDeleted(IdOf(response.topic_id()));
        then();
      });
}

void SimAdmin::Grow(const TopicPlan& topic) {
  Known& known = topics_[topic.name];
  if (known.partitions >= kGrowPartitionsMax) {
    busy_ = false;
    return ChurnLater();
  }
  v1::CreatePartitionsRequest request;
  request.set_name(topic.name);
  request.set_partition_count(known.partitions + 1);
  request.set_request_id(NextRequestId());
  Insist<v1::CreatePartitionsResponse>(
      Method::kCreatePartitions, std::move(request),
      [this, &topic](const v1::CreatePartitionsResponse& response) {
        Known& grown = topics_[topic.name];
        grown.partitions = response.topic().partitions_size();
        world_.history->OnTopicAcknowledged(topic.name, grown.id, grown.partitions);
        ++(*world_.coverage)["topic grown"];
        busy_ = false;
        ChurnLater();
      });
}

void SimAdmin::Configure(const TopicPlan& topic) {
  v1::UpdateTopicConfigRequest request;
  request.set_name(topic.name);
  auto& set = *request.mutable_set_configs();
  set["segment.ms"] = absl::StrCat(random_.Between(300, 10'000));
  if (topic.retention) set["retention.ms"] = absl::StrCat(random_.Between(300, 10'000));
  if (random_.OneIn(2)) set["segment.bytes"] = absl::StrCat((64 << 10) + random_.Below(1 << 18));
  request.set_request_id(NextRequestId());
  Insist<v1::UpdateTopicConfigResponse>(Method::kUpdateTopicConfig, std::move(request),
                                        [this](const v1::UpdateTopicConfigResponse&) {
                                          ++(*world_.coverage)["topic reconfigured"];
                                          busy_ = false;
                                          ChurnLater();
                                        });
}

void SimAdmin::DeleteRecords(const TopicPlan& topic) {
  v1::DeleteRecordsRequest request;
  request.set_topic(topic.name);
  const auto partition =
      static_cast<int32_t>(random_.Below(static_cast<uint64_t>(topic.partitions)));
  request.set_partition(partition);
  const int64_t end = world_.history->HighestOffset(topic.name, partition);
  request.set_before_offset(random_.OneIn(8) ? -1 : random_.Between(0, end));
  world_.history->OnDeleteRecordsRequested(topic.name, partition, request.before_offset());
  Insist<v1::DeleteRecordsResponse>(
      Method::kDeleteRecords, request,
      [this, &topic, partition](const v1::DeleteRecordsResponse& response) {
        world_.history->OnDeletedRecords(topic.name, partition, response.log_start_offset());
        ++(*world_.coverage)["records deleted"];
        busy_ = false;
        ChurnLater();
      });
}

void SimAdmin::ChurnLater() {
  if (!churning_ || !world_.plan->admin_churn) return;
  Duration pause(random_.Between(kChurnPauseMin.count(), kChurnPauseMax.count()));
  executor_->PostAt(Now() + pause, [this] { Churn(); });
}

void SimAdmin::Churn() {
  if (!churning_ || busy_) return;
  const auto& topics = world_.plan->topics;
  const TopicPlan& topic = topics[static_cast<size_t>(random_.Below(topics.size()))];
  busy_ = true;
  switch (random_.Below(5)) {
    case 0:
      if (!topic.recreate) break;
      return Delete(topic, [this, &topic] {
        ++(*world_.coverage)["topic deleted"];
        Create(topic, [this] {
          ++(*world_.coverage)["topic created again"];
          busy_ = false;
          ChurnLater();
        });
      });
    case 1:
      if (!topic.grow) break;
      return Grow(topic);
    case 2:
      return Configure(topic);
    default:
      if (!topic.delete_records) break;
      return DeleteRecords(topic);
  }
  busy_ = false;
  ChurnLater();
}

// ---- verifier -----------------------------------------------------------------------------------

SimVerifier::SimVerifier(const ClientWorld& world) : SimClient(world, "verifier", {}) {}

void SimVerifier::Start() {
  ++open_;
  started_ = true;
  executor_->Post([this] { AskMetadata(); });
}

void SimVerifier::Retry(std::function<void()> what) {
  executor_->PostAt(Now() + kRetryPauseMax, std::move(what));
}

void SimVerifier::AskMetadata() {
  v1::GetMetadataRequest request;
  request.set_all_topics(true);
  carrier_->Call<v1::GetMetadataResponse>(kBrokerAddress, Method::kGetMetadata, request,
                                          kCallTimeout,
                                          [this](absl::StatusOr<v1::GetMetadataResponse> answer) {
                                            if (!answer.ok())
                                              return Retry([this] { AskMetadata(); });
                                            OnMetadata(*answer);
                                            OnMetadataAnswer(*answer);
                                          });
}

void SimVerifier::OnMetadataAnswer(const v1::GetMetadataResponse& answer) {
  std::map<std::string, TopicId> topics;
  for (const v1::Topic& topic : answer.topics()) {
    topics[topic.name()] = IdOf(topic.topic_id());
    for (const v1::Partition& partition : topic.partitions()) {
      auto scan = std::make_shared<Scan>();
      scan->topic = topic.name();
      scan->partition = {topics[topic.name()], PartitionIndex(partition.partition())};
      ++open_;
      Fetch(scan);
    }
  }
  world_.history->CheckFinalTopics(topics);
  --open_;
}

void SimVerifier::Fetch(const std::shared_ptr<Scan>& scan) {
  v1::FetchBatchesRequest request;
  request.set_isolation_level(v1::ISOLATION_LEVEL_READ_UNCOMMITTED);
  auto* partition = request.add_partitions();
  partition->mutable_partition()->set_topic_id(scan->partition.topic.uuid.ToBytes());
  partition->mutable_partition()->set_partition(scan->partition.partition.value());
  partition->set_offset(scan->next);
  partition->set_max_bytes(kVerifyBytes);
  carrier_->Call<v1::FetchBatchesResponse>(
      kBrokerAddress, Method::kFetchBatches, request, kCallTimeout,
      [this, scan](absl::StatusOr<v1::FetchBatchesResponse> answer) {
        if (!answer.ok()) return Retry([this, scan] { Fetch(scan); });
        world_.history->OnFetchAnswer(*answer);
        OnFetched(scan, answer->partitions(0));
      });
}

void SimVerifier::OnFetched(const std::shared_ptr<Scan>& scan, const v1::PartitionData& data) {
  if (data.has_error()) {
    // Retention, or a log that starts later: begin again there.
    const bool out_of_range = data.error().reason() == ReasonName(Reason::kOffsetOutOfRange);
    scan->records.clear();
    scan->log_start = -1;
    scan->next = out_of_range ? data.log_start_offset() : 0;
    OnError(Method::kFetchBatches, absl::UnavailableError(data.error().reason()));
    return Retry([this, scan] { Fetch(scan); });
  }
  if (scan->log_start < 0) {
    scan->log_start = data.log_start_offset();
    scan->next = std::max(scan->next, scan->log_start);
  }
  for (const auto& record : History::RecordsOf(data.batches())) {
    if (record.offset < scan->next) continue;
    scan->records.push_back(record);
    ++records_;
  }
  scan->next = data.next_offset();
  if (scan->next < data.high_watermark()) return Fetch(scan);
  // A record that nobody waits for (acks=0) may be stored while the scan's answer is under way, and
  // be read by a consumer before that arrives. One that stays away is lost.
  if (data.high_watermark() < world_.history->SeenEnd(scan->partition) &&
      scan->again++ < kScansAgainMax) {
    return Retry([this, scan] { Fetch(scan); });
  }
  world_.history->CheckFinal(scan->partition, scan->log_start, data.high_watermark(),
                             scan->records);
  ends_[{scan->topic, scan->partition.partition}] = data.high_watermark();
  --open_;
}

}  // namespace catamaran::sim
