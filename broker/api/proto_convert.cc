#include "broker/api/proto_convert.h"

#include "base/error.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

v1::ConfigOrigin OriginToProto(metadata::ConfigOrigin origin) {
  switch (origin) {
    case metadata::ConfigOrigin::kDefault:
      return v1::CONFIG_ORIGIN_DEFAULT;
    case metadata::ConfigOrigin::kCluster:
      return v1::CONFIG_ORIGIN_CLUSTER;
    case metadata::ConfigOrigin::kBroker:
      return v1::CONFIG_ORIGIN_BROKER;
    case metadata::ConfigOrigin::kTopic:
      return v1::CONFIG_ORIGIN_TOPIC;
  }
  return v1::CONFIG_ORIGIN_UNSPECIFIED;
}

}  // namespace

void ToProto(const metadata::TopicState& topic, v1::Topic* out) {
  out->set_name(topic.name);
  out->set_topic_id(topic.id.uuid.ToBytes());
  out->set_version(topic.version.value());
  out->set_internal(topic.internal);
  out->mutable_partitions()->Reserve(static_cast<int>(topic.partitions.size()));
  int32_t index = 0;
  for (const metadata::PartitionState& state : topic.partitions) {
    v1::Partition* partition = out->add_partitions();
    partition->set_partition(index++);
    partition->set_leader(state.leader.value());
    partition->set_leader_epoch(state.leader_epoch.value());
    for (BrokerId id : state.replicas) partition->add_replicas(id.value());
    for (BrokerId id : state.in_sync_replicas) partition->add_in_sync_replicas(id.value());
    for (BrokerId id : state.eligible_leader_replicas) {
      partition->add_eligible_leader_replicas(id.value());
    }
  }
}

void ToProtoWithConfigs(const metadata::TopicState& topic, const metadata::TopicDefaults& defaults,
                        v1::Topic* out) {
  ToProto(topic, out);
  for (const metadata::DescribedConfig& config :
       metadata::DescribeTopicConfig(topic.configs, defaults)) {
    v1::ConfigEntry* entry = out->add_configs();
    entry->set_name(std::string(config.name));
    entry->set_value(config.value);
    entry->set_origin(OriginToProto(config.origin));
  }
}

void ToProto(const metadata::BrokerInfo& broker, v1::Broker* out) {
  out->set_broker_id(broker.id.value());
  out->set_address(broker.address);
  out->set_rack(broker.rack);
  out->set_broker_epoch(broker.epoch);
  if (broker.fenced) {
    out->set_state(v1::BROKER_STATE_FENCED);
  } else {
    out->set_state(broker.draining ? v1::BROKER_STATE_DRAINING : v1::BROKER_STATE_RUNNING);
  }
}

void ToProto(const metadata::MetadataImage& image, v1::GetMetadataResponse* out) {
  out->set_cluster_id(image.cluster_id().uuid.ToString());
  out->set_controller_id(image.controller().value());
  out->set_revision(image.revision().value());
  for (const auto& [id, broker] : image.brokers()) ToProto(broker, out->add_brokers());
  for (const auto& [name, topic] : image.topics()) ToProto(*topic, out->add_topics());
}

void ToProto(const metadata::MetadataDelta& delta, const metadata::MetadataImage& image,
             v1::WatchMetadataResponse* out) {
  out->set_revision(delta.to.value());
  for (const metadata::TopicRef& topic : delta.topics_removed) {
    auto* removed = out->add_events()->mutable_topic_removed();
    removed->set_name(topic->name);
    removed->set_topic_id(topic->id.uuid.ToBytes());
  }
  for (const metadata::TopicRef& topic : delta.topics_updated) {
    ToProto(*topic, out->add_events()->mutable_topic_updated());
  }
  for (BrokerId id : delta.brokers_removed) {
    out->add_events()->mutable_broker_removed()->set_broker_id(id.value());
  }
  for (const metadata::BrokerInfo& broker : delta.brokers_updated) {
    ToProto(broker, out->add_events()->mutable_broker_updated());
  }
  if (delta.controller_changed)
    out->add_events()->set_controller_changed(image.controller().value());
}

absl::StatusOr<TopicId> TopicIdFromProto(const std::string& bytes) {
  std::optional<Uuid> uuid = Uuid::FromBytes(bytes);
  if (!uuid) {
    return MakeError(Reason::kInvalidArgument,
                     metadata::Cat("A topic id has 16 bytes, not ", bytes.size(), "."),
                     {{"bytes", metadata::Cat(bytes.size())}});
  }
  return TopicId{*uuid};
}

}  // namespace catamaran::broker
