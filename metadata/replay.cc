#include "metadata/replay.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "metadata/commands.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

using internal::v1::MetadataRecord;
using internal::v1::PartitionRecord;
using TopicMap = std::map<std::string, TopicRef, std::less<>>;

std::optional<TopicId> ReadTopicId(const std::string& bytes) {
  std::optional<Uuid> uuid = Uuid::FromBytes(bytes);
  if (!uuid || uuid->is_nil()) return std::nullopt;
  return TopicId{*uuid};
}

std::vector<BrokerId> ReadBrokers(const google::protobuf::RepeatedField<int32_t>& ids) {
  std::vector<BrokerId> brokers;
  brokers.reserve(ids.size());
  for (int32_t id : ids) brokers.emplace_back(id);
  return brokers;
}

void WriteBrokers(const std::vector<BrokerId>& brokers,
                  google::protobuf::RepeatedField<int32_t>* ids) {
  for (BrokerId broker : brokers) ids->Add(broker.value());
}

bool Contains(const std::vector<BrokerId>& brokers, BrokerId broker) {
  return std::find(brokers.begin(), brokers.end(), broker) != brokers.end();
}

bool IsDistinct(std::vector<BrokerId> brokers) {
  std::sort(brokers.begin(), brokers.end());
  return std::adjacent_find(brokers.begin(), brokers.end()) == brokers.end();
}

PartitionState ReadPartition(const PartitionRecord& record) {
  PartitionState state;
  state.leader = BrokerId(record.leader());
  state.leader_epoch = LeaderEpoch(record.leader_epoch());
  state.partition_epoch = record.partition_epoch();
  state.replicas = ReadBrokers(record.replicas());
  state.in_sync_replicas = ReadBrokers(record.in_sync_replicas());
  state.eligible_leader_replicas = ReadBrokers(record.eligible_leader_replicas());
  return state;
}

// The invariants that stand on PartitionState.
bool IsSound(const PartitionState& state) {
  if (state.leader_epoch.value() < 0 || state.partition_epoch < 0) return false;
  if (!IsDistinct(state.replicas) || !IsDistinct(state.in_sync_replicas)) return false;
  if (state.leader != kNoBroker && !Contains(state.in_sync_replicas, state.leader)) return false;
  for (BrokerId broker : state.in_sync_replicas) {
    if (!Contains(state.replicas, broker)) return false;
    if (Contains(state.eligible_leader_replicas, broker)) return false;
  }
  for (BrokerId broker : state.eligible_leader_replicas) {
    if (!Contains(state.replicas, broker)) return false;
  }
  return true;
}

void WritePartition(TopicId topic, size_t index, const PartitionState& state,
                    PartitionRecord* record) {
  record->set_topic_id(topic.uuid.ToBytes());
  record->set_partition(static_cast<int32_t>(index));
  record->set_leader(state.leader.value());
  record->set_leader_epoch(state.leader_epoch.value());
  record->set_partition_epoch(state.partition_epoch);
  WriteBrokers(state.replicas, record->mutable_replicas());
  WriteBrokers(state.in_sync_replicas, record->mutable_in_sync_replicas());
  WriteBrokers(state.eligible_leader_replicas, record->mutable_eligible_leader_replicas());
}

}  // namespace

struct ImageBuilder::State {
  ImageRef base;       // of the last Build()
  MetadataImage next;  // shares with `base` what didn't change

  // Copies that this builder owns alone until the next Build(); null: `next` shares base's.
  std::shared_ptr<TopicMap> topics;
  std::shared_ptr<std::map<TopicId, TopicRef>> topics_by_id;
  std::shared_ptr<std::map<BrokerId, BrokerInfo>> brokers;
  std::shared_ptr<std::vector<RequestResult>> last_results;
  std::map<TopicId, std::shared_ptr<TopicState>> touched;

  // For the delta.
  std::vector<TopicId> updated_topics;
  std::vector<TopicRef> removed_topics;
  std::vector<BrokerId> updated_brokers;
  std::vector<BrokerId> removed_brokers;

  bool in_batch = false;
  bool loading_snapshot = false;

  absl::Status Corrupt(std::string_view what) const {
    return MakeError(Reason::kCorruptLog,
                     Cat("Metadata record ", next.revision_.value(), " doesn't fit: ", what,
                         ". Restore the metadata directory from a copy."),
                     {{"revision", Cat(next.revision_.value())}});
  }

  void OwnTopics() {
    if (topics != nullptr) return;
    topics = std::make_shared<TopicMap>(*next.topics_);
    topics_by_id = std::make_shared<std::map<TopicId, TopicRef>>(*next.topics_by_id_);
    next.topics_ = topics;
    next.topics_by_id_ = topics_by_id;
  }
  std::map<BrokerId, BrokerInfo>& OwnBrokers() {
    if (brokers == nullptr) {
      brokers = std::make_shared<std::map<BrokerId, BrokerInfo>>(*next.brokers_);
      next.brokers_ = brokers;
    }
    return *brokers;
  }

  // The topic, to be changed; null when there is none.
  TopicState* Touch(const std::string& id_bytes);
  void AddTopic(std::shared_ptr<TopicState> topic);
  void NoteVersion(TopicState& topic) {
    if (!loading_snapshot) topic.version = next.revision_;
  }

  absl::Status Dispatch(const Record& record);
  absl::Status Replay(const internal::v1::TopicRecord& record);
  absl::Status Replay(const internal::v1::TopicRemovedRecord& record);
  absl::Status Replay(const internal::v1::PartitionRecord& record);
  absl::Status Replay(const internal::v1::PartitionChangeRecord& record);
  absl::Status Replay(const internal::v1::TopicConfigRecord& record);
  absl::Status Replay(const internal::v1::BrokerRecord& record);
  absl::Status Replay(const internal::v1::BrokerRemovedRecord& record);
  absl::Status Replay(const internal::v1::BrokerChangeRecord& record);
  absl::Status Replay(const internal::v1::ProducerIdsRecord& record);
  absl::Status Replay(const internal::v1::RequestResultRecord& record);
  absl::Status Replay(const internal::v1::ClusterRecord& record);
  std::shared_ptr<const MetadataDelta> MakeDelta() const;
};

TopicState* ImageBuilder::State::Touch(const std::string& id_bytes) {
  std::optional<TopicId> id = ReadTopicId(id_bytes);
  if (!id) return nullptr;
  auto it = touched.find(*id);
  if (it != touched.end()) return it->second.get();
  TopicRef topic = next.FindTopic(*id);
  if (topic == nullptr) return nullptr;
  auto copy = std::make_shared<TopicState>(*topic);
  AddTopic(copy);
  return copy.get();
}

void ImageBuilder::State::AddTopic(std::shared_ptr<TopicState> topic) {
  OwnTopics();
  (*topics)[topic->name] = topic;
  (*topics_by_id)[topic->id] = topic;
  updated_topics.push_back(topic->id);  // once: the topic is in `touched` from here on
  touched[topic->id] = std::move(topic);
}

absl::Status ImageBuilder::State::Replay(const internal::v1::TopicRecord& record) {
  std::optional<TopicId> id = ReadTopicId(record.topic_id());
  if (!id) return Corrupt("a topic needs an id of 16 bytes");
  if (!ValidateTopicName(record.name(), /*internal=*/true).ok()) {
    return Corrupt("the name of a topic isn't valid");
  }
  if (next.FindTopic(record.name()) != nullptr || next.FindTopic(*id) != nullptr) {
    return Corrupt(Cat("topic ", record.name(), " exists already"));
  }
  auto topic = std::make_shared<TopicState>();
  topic->name = record.name();
  topic->id = *id;
  topic->internal = record.internal();
  topic->version = MetadataRevision(record.version());
  NoteVersion(*topic);
  AddTopic(std::move(topic));
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::TopicRemovedRecord& record) {
  std::optional<TopicId> id = ReadTopicId(record.topic_id());
  TopicRef topic = id ? next.FindTopic(*id) : nullptr;
  if (topic == nullptr) return Corrupt("the topic to remove isn't there");
  OwnTopics();
  topics->erase(topic->name);
  topics_by_id->erase(*id);
  touched.erase(*id);
  std::erase(updated_topics, *id);
  next.partition_count_ -= static_cast<int64_t>(topic->partitions.size());
  // A topic that came and went since the last Build() is in neither list.
  if (TopicRef before = base->FindTopic(*id)) removed_topics.push_back(before);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::PartitionRecord& record) {
  TopicState* topic = Touch(record.topic_id());
  if (topic == nullptr) return Corrupt("a partition of a topic that isn't there");
  if (record.partition() < 0 ||
      static_cast<size_t>(record.partition()) != topic->partitions.size() ||
      record.partition() >= kPartitionsPerTopicMax) {
    return Corrupt(
        Cat("partition ", record.partition(), " of ", topic->name, " isn't the next one"));
  }
  PartitionState state = ReadPartition(record);
  if (!IsSound(state)) return Corrupt(Cat("a partition of ", topic->name, " is unsound"));
  topic->partitions.push_back(std::move(state));
  ++next.partition_count_;
  NoteVersion(*topic);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::PartitionChangeRecord& record) {
  TopicState* topic = Touch(record.partition().topic_id());
  if (topic == nullptr) return Corrupt("a change of a topic that isn't there");
  int32_t index = record.partition().partition();
  if (index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) {
    return Corrupt(Cat("partition ", index, " of ", topic->name, " isn't there"));
  }
  PartitionState after = ReadPartition(record.partition());
  PartitionState& before = topic->partitions[index];
  if (!IsSound(after) || after.partition_epoch != before.partition_epoch + 1 ||
      after.leader_epoch < before.leader_epoch ||
      (after.leader != before.leader && after.leader_epoch == before.leader_epoch)) {
    return Corrupt(Cat("the change of partition ", index, " of ", topic->name,
                       " doesn't follow from its state"));
  }
  before = std::move(after);
  NoteVersion(*topic);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::TopicConfigRecord& record) {
  TopicState* topic = Touch(record.topic_id());
  if (topic == nullptr) return Corrupt("a setting of a topic that isn't there");
  if (record.name().empty()) return Corrupt("a setting without a name");
  if (record.has_value()) {
    topic->configs[record.name()] = record.value();
  } else {
    topic->configs.erase(record.name());
  }
  NoteVersion(*topic);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::BrokerRecord& record) {
  BrokerId id(record.broker_id());
  std::optional<Uuid> directory = Uuid::FromBytes(record.directory_id());
  if (record.broker_id() < 0 || !directory) return Corrupt("a broker without id or directory");
  std::map<BrokerId, BrokerInfo>& all = OwnBrokers();
  auto it = all.find(id);
  if (it != all.end() && record.broker_epoch() <= it->second.epoch) {
    return Corrupt(Cat("the epoch of broker ", id.value(), " doesn't rise"));
  }
  all[id] = BrokerInfo{.id = id,
                       .epoch = record.broker_epoch(),
                       .directory = DirectoryId{*directory},
                       .address = record.address(),
                       .rack = record.rack(),
                       .fenced = record.fenced(),
                       .draining = record.draining()};
  updated_brokers.push_back(id);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::BrokerRemovedRecord& record) {
  BrokerId id(record.broker_id());
  if (OwnBrokers().erase(id) == 0) return Corrupt("the broker to remove isn't there");
  std::erase(updated_brokers, id);
  if (base->brokers().count(id) > 0) removed_brokers.push_back(id);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::BrokerChangeRecord& record) {
  std::map<BrokerId, BrokerInfo>& all = OwnBrokers();
  auto it = all.find(BrokerId(record.broker_id()));
  if (it == all.end()) return Corrupt("a change of a broker that isn't there");
  // A late change of an earlier registration: it's part of the history and changes nothing.
  if (it->second.epoch != record.broker_epoch()) return absl::OkStatus();
  if (record.has_fenced()) it->second.fenced = record.fenced();
  if (record.has_draining()) it->second.draining = record.draining();
  updated_brokers.push_back(it->first);
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::ProducerIdsRecord& record) {
  ProducerId id(record.next_producer_id());
  if (id < next.next_producer_id_) return Corrupt("producer ids were issued twice");
  next.next_producer_id_ = id;
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::RequestResultRecord& record) {
  std::optional<Uuid> topic = Uuid::FromBytes(record.topic_id());
  if (!topic || record.request_id().empty()) return Corrupt("an answer without request or topic");
  auto& chunks = next.request_results_;
  if (chunks.empty() || chunks.back()->size() >= kRequestResultsPerChunk) {
    last_results = std::make_shared<std::vector<RequestResult>>();
    chunks.push_back(last_results);
    // The chunk that is being filled doesn't count, so that at least the minimum is kept.
    if ((chunks.size() - 1) * kRequestResultsPerChunk > kRequestResultsKeptMin) {
      chunks.erase(chunks.begin());
    }
  } else if (last_results == nullptr) {
    last_results = std::make_shared<std::vector<RequestResult>>(*chunks.back());
    chunks.back() = last_results;
  }
  last_results->push_back(RequestResult{.request_id = record.request_id(),
                                        .command = record.command(),
                                        .fingerprint = record.fingerprint(),
                                        .topic = TopicId{*topic},
                                        .topic_name = record.topic_name()});
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Replay(const internal::v1::ClusterRecord& record) {
  std::optional<Uuid> uuid = Uuid::FromBytes(record.cluster_id());
  if (!uuid || uuid->is_nil()) return Corrupt("a cluster id needs 16 bytes");
  ClusterId id{*uuid};
  if (!next.cluster_id_.uuid.is_nil() && next.cluster_id_ != id) {
    return Corrupt("the cluster id changes");
  }
  next.cluster_id_ = id;
  return absl::OkStatus();
}

absl::Status ImageBuilder::State::Dispatch(const Record& record) {
  switch (record.record_case()) {
    case MetadataRecord::kBeginBatch:
      if (in_batch) return Corrupt("a batch begins within a batch");
      in_batch = true;
      return absl::OkStatus();
    case MetadataRecord::kEndBatch:
      if (!in_batch) return Corrupt("a batch ends that didn't begin");
      in_batch = false;
      return absl::OkStatus();
    case MetadataRecord::kTopic:
      return Replay(record.topic());
    case MetadataRecord::kTopicRemoved:
      return Replay(record.topic_removed());
    case MetadataRecord::kPartition:
      return Replay(record.partition());
    case MetadataRecord::kPartitionChange:
      return Replay(record.partition_change());
    case MetadataRecord::kTopicConfig:
      return Replay(record.topic_config());
    case MetadataRecord::kBroker:
      return Replay(record.broker());
    case MetadataRecord::kBrokerRemoved:
      return Replay(record.broker_removed());
    case MetadataRecord::kBrokerChange:
      return Replay(record.broker_change());
    case MetadataRecord::kProducerIds:
      return Replay(record.producer_ids());
    case MetadataRecord::kRequestResult:
      return Replay(record.request_result());
    case MetadataRecord::kCluster:
      return Replay(record.cluster());
    case MetadataRecord::kControllerChange:
      next.controller_ = BrokerId(record.controller_change().controller_id());
      return absl::OkStatus();
    case MetadataRecord::RECORD_NOT_SET:
      break;
  }
  return MakeError(Reason::kUnsupportedVersion,
                   Cat("Metadata record ", next.revision_.value(),
                       " is of a type that this version doesn't know: run the version that "
                       "wrote it, or a newer one."),
                   {{"revision", Cat(next.revision_.value())}});
}

std::shared_ptr<const MetadataDelta> ImageBuilder::State::MakeDelta() const {
  auto delta = std::make_shared<MetadataDelta>();
  delta->from = base->revision();
  delta->to = next.revision();
  for (TopicId id : updated_topics) delta->topics_updated.push_back(next.FindTopic(id));
  delta->topics_removed = removed_topics;
  std::set<BrokerId> seen;
  for (BrokerId id : updated_brokers) {
    if (seen.insert(id).second) delta->brokers_updated.push_back(next.brokers().at(id));
  }
  delta->brokers_removed = removed_brokers;
  delta->controller_changed = base->controller() != next.controller();
  return delta;
}

ImageBuilder::ImageBuilder(ImageRef base) : state_(std::make_unique<State>()) {
  state_->next = *base;
  state_->base = std::move(base);
}
ImageBuilder::~ImageBuilder() = default;

absl::Status ImageBuilder::Replay(const Record& record) {
  state_->next.revision_ += 1;
  return state_->Dispatch(record);
}

absl::Status ImageBuilder::LoadSnapshotRecord(const Record& record) {
  state_->loading_snapshot = true;
  absl::Status status = state_->Dispatch(record);
  state_->loading_snapshot = false;
  return status;
}

void ImageBuilder::FinishSnapshot(MetadataRevision revision) { state_->next.revision_ = revision; }

absl::StatusOr<ImageBuilder::Built> ImageBuilder::Build() {
  State& state = *state_;
  if (state.in_batch) return state.Corrupt("a batch that began hasn't ended");
  Built built{std::make_shared<MetadataImage>(state.next), state.MakeDelta()};
  auto next = std::make_unique<State>();
  next->next = *built.image;
  next->base = built.image;
  state_ = std::move(next);
  return built;
}

std::vector<Record> SnapshotRecords(const MetadataImage& image) {
  std::vector<Record> records;
  if (!image.cluster_id().uuid.is_nil()) {
    records.emplace_back().mutable_cluster()->set_cluster_id(image.cluster_id().uuid.ToBytes());
  }
  records.emplace_back().mutable_controller_change()->set_controller_id(image.controller().value());
  for (const auto& [id, broker] : image.brokers()) {
    auto* record = records.emplace_back().mutable_broker();
    record->set_broker_id(id.value());
    record->set_broker_epoch(broker.epoch);
    record->set_directory_id(broker.directory.uuid.ToBytes());
    record->set_address(broker.address);
    record->set_rack(broker.rack);
    record->set_fenced(broker.fenced);
    record->set_draining(broker.draining);
  }
  for (const auto& [name, topic] : image.topics()) {
    auto* record = records.emplace_back().mutable_topic();
    record->set_name(name);
    record->set_topic_id(topic->id.uuid.ToBytes());
    record->set_internal(topic->internal);
    record->set_version(topic->version.value());
    for (size_t i = 0; i < topic->partitions.size(); ++i) {
      WritePartition(topic->id, i, topic->partitions[i],
                     records.emplace_back().mutable_partition());
    }
    for (const auto& [key, value] : topic->configs) {
      auto* config = records.emplace_back().mutable_topic_config();
      config->set_topic_id(topic->id.uuid.ToBytes());
      config->set_name(key);
      config->set_value(value);
    }
  }
  auto* producer_ids = records.emplace_back().mutable_producer_ids();
  producer_ids->set_broker_id(kNoBroker.value());
  producer_ids->set_next_producer_id(image.next_producer_id().value());
  image.ForEachRequestResult([&records](const RequestResult& result) {
    auto* record = records.emplace_back().mutable_request_result();
    record->set_request_id(result.request_id);
    record->set_command(result.command);
    record->set_fingerprint(result.fingerprint);
    record->set_topic_id(result.topic.uuid.ToBytes());
    record->set_topic_name(result.topic_name);
  });
  return records;
}

absl::StatusOr<ImageRef> LoadSnapshot(const std::vector<Record>& records,
                                      MetadataRevision revision) {
  ImageBuilder builder(std::make_shared<MetadataImage>());
  for (const Record& record : records) {
    CATAMARAN_RETURN_IF_ERROR(builder.LoadSnapshotRecord(record));
  }
  builder.FinishSnapshot(revision);
  CATAMARAN_ASSIGN_OR_RETURN(ImageBuilder::Built built, builder.Build());
  return built.image;
}

bool TopicsAndBrokers::operator==(const TopicsAndBrokers& other) const {
  auto same_topic = [](const auto& a, const auto& b) { return *a.second == *b.second; };
  return brokers == other.brokers && std::equal(topics.begin(), topics.end(), other.topics.begin(),
                                                other.topics.end(), same_topic);
}

TopicsAndBrokers ViewOf(const MetadataImage& image) {
  return {{image.topics().begin(), image.topics().end()}, image.brokers()};
}

void ApplyDelta(const MetadataDelta& delta, TopicsAndBrokers& view) {
  for (const TopicRef& topic : delta.topics_removed) {
    auto it = view.topics.find(topic->name);
    if (it != view.topics.end() && it->second->id == topic->id) view.topics.erase(it);
  }
  for (const TopicRef& topic : delta.topics_updated) view.topics[topic->name] = topic;
  for (BrokerId id : delta.brokers_removed) view.brokers.erase(id);
  for (const BrokerInfo& broker : delta.brokers_updated) view.brokers[broker.id] = broker;
}

}  // namespace catamaran::metadata
