#include "client/rpc/admin_convert.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::client::rpc {
namespace {

template <class Ids>
std::vector<BrokerId> BrokersOf(const Ids& ids) {
  std::vector<BrokerId> brokers;
  for (int32_t id : ids) brokers.push_back(BrokerId(id));
  return brokers;
}

ConfigOrigin OriginOf(v1::ConfigOrigin origin) {
  switch (origin) {
    case v1::CONFIG_ORIGIN_DEFAULT:
      return ConfigOrigin::kDefault;
    case v1::CONFIG_ORIGIN_CLUSTER:
      return ConfigOrigin::kCluster;
    case v1::CONFIG_ORIGIN_BROKER:
      return ConfigOrigin::kBroker;
    case v1::CONFIG_ORIGIN_TOPIC:
      return ConfigOrigin::kTopic;
    default:
      return ConfigOrigin::kUnknown;
  }
}

BrokerState StateOf(v1::BrokerState state) {
  switch (state) {
    case v1::BROKER_STATE_RUNNING:
      return BrokerState::kRunning;
    case v1::BROKER_STATE_FENCED:
      return BrokerState::kFenced;
    case v1::BROKER_STATE_DRAINING:
      return BrokerState::kDraining;
    default:
      return BrokerState::kUnknown;
  }
}

absl::Status WithPlace(Reason reason, const TopicPartition& partition, const std::string& message) {
  return MakeError(
      reason, message,
      {{"topic", partition.topic}, {"partition", absl::StrCat(partition.partition.value())}});
}

}  // namespace

absl::StatusOr<TopicDescription> FromProto(const v1::Topic& topic) {
  TopicDescription description;
  description.name = topic.name();
  std::optional<Uuid> id = Uuid::FromBytes(topic.topic_id());
  // A topic that was only validated has none yet.
  if (!id.has_value() && !topic.topic_id().empty()) {
    return absl::InternalError("the broker answered a malformed topic id");
  }
  description.topic_id.uuid = id.value_or(Uuid());
  description.version = topic.version();
  description.internal = topic.internal();
  for (const v1::Partition& partition : topic.partitions()) {
    PartitionDescription& out = description.partitions.emplace_back();
    out.partition = PartitionIndex(partition.partition());
    out.leader = BrokerId(partition.leader());
    out.leader_epoch = LeaderEpoch(partition.leader_epoch());
    out.replicas = BrokersOf(partition.replicas());
    out.in_sync_replicas = BrokersOf(partition.in_sync_replicas());
    out.eligible_leader_replicas = BrokersOf(partition.eligible_leader_replicas());
  }
  for (const v1::ConfigEntry& config : topic.configs()) {
    description.configs.push_back({config.name(), config.value(), OriginOf(config.origin())});
  }
  return description;
}

ClusterDescription FromProto(const v1::GetClusterInfoResponse& response) {
  ClusterDescription description;
  description.cluster_id = response.cluster_id();
  description.answering_broker = BrokerId(response.broker_id());
  description.controller = BrokerId(response.controller_id());
  for (const v1::Broker& broker : response.brokers()) {
    description.brokers.push_back({BrokerId(broker.broker_id()), broker.address(), broker.rack(),
                                   StateOf(broker.state()), broker.broker_epoch()});
  }
  description.topic_count = response.topic_count();
  description.partition_count = response.partition_count();
  description.revision = MetadataRevision(response.revision());
  description.version = response.version();
  description.request_bytes_max = response.limits().request_bytes_max();
  description.batch_bytes_max = response.limits().batch_bytes_max();
  return description;
}

absl::StatusOr<std::pair<std::string, core::OffsetLookup>> PlaceLookup(
    const core::MetadataAnswer& metadata, const TopicPartition& partition,
    const StartPosition& at) {
  const auto topic =
      std::find_if(metadata.topics.begin(), metadata.topics.end(),
                   [&](const core::TopicInfo& info) { return info.name == partition.topic; });
  if (topic == metadata.topics.end()) {
    return WithPlace(Reason::kUnknownTopic, partition,
                     absl::StrCat("There is no topic '", partition.topic,
                                  "'. Create it first, or check the name."));
  }
  const int32_t index = partition.partition.value();
  if (index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) {
    return WithPlace(Reason::kUnknownPartition, partition,
                     absl::StrCat("Topic '", partition.topic, "' has no partition ", index,
                                  "; it has ", topic->partitions.size(), ", counted from 0."));
  }
  const core::PartitionInfo& info = topic->partitions[static_cast<size_t>(index)];
  const auto broker = std::find_if(metadata.brokers.begin(), metadata.brokers.end(),
                                   [&](const core::BrokerInfo& b) { return b.id == info.leader; });
  if (broker == metadata.brokers.end()) {
    return WithPlace(Reason::kLeaderUnknown, partition,
                     absl::StrCat(partition.topic, "-", index, " has no leader now. Try again."));
  }
  core::OffsetLookup lookup;
  lookup.partition = {topic->id, partition.partition};
  lookup.leader_epoch = info.leader_epoch;
  lookup.at = at;
  return std::make_pair(broker->address, lookup);
}

}  // namespace catamaran::client::rpc
