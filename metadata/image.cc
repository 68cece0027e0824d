#include "metadata/image.h"

#include <algorithm>

#include "metadata/hash.h"

namespace catamaran::metadata {
namespace {

void HashBrokers(const std::vector<BrokerId>& brokers, StableHash& hash) {
  hash.Add(brokers.size());
  for (BrokerId broker : brokers) hash.AddSigned(broker.value());
}

void HashTopic(const TopicState& topic, StableHash& hash) {
  hash.AddString(topic.name);
  hash.AddString(topic.id.uuid.ToBytes());
  hash.AddSigned(topic.version.value());
  hash.Add(topic.internal);
  hash.Add(topic.partitions.size());
  for (const PartitionState& partition : topic.partitions) {
    hash.AddSigned(partition.leader.value());
    hash.AddSigned(partition.leader_epoch.value());
    hash.AddSigned(partition.partition_epoch);
    HashBrokers(partition.replicas, hash);
    HashBrokers(partition.in_sync_replicas, hash);
    HashBrokers(partition.eligible_leader_replicas, hash);
  }
  hash.Add(topic.configs.size());
  for (const auto& [name, value] : topic.configs) {
    hash.AddString(name);
    hash.AddString(value);
  }
}

void HashBroker(const BrokerInfo& broker, StableHash& hash) {
  hash.AddSigned(broker.id.value());
  hash.AddSigned(broker.epoch);
  hash.AddString(broker.directory.uuid.ToBytes());
  hash.AddString(broker.address);
  hash.AddString(broker.rack);
  hash.Add(broker.fenced);
  hash.Add(broker.draining);
}

}  // namespace

MetadataImage::MetadataImage()
    : topics_(std::make_shared<std::map<std::string, TopicRef, std::less<>>>()),
      topics_by_id_(std::make_shared<std::map<TopicId, TopicRef>>()),
      brokers_(std::make_shared<std::map<BrokerId, BrokerInfo>>()) {}

TopicRef MetadataImage::FindTopic(std::string_view name) const {
  auto it = topics_->find(name);
  return it == topics_->end() ? nullptr : it->second;
}

TopicRef MetadataImage::FindTopic(TopicId id) const {
  auto it = topics_by_id_->find(id);
  return it == topics_by_id_->end() ? nullptr : it->second;
}

const PartitionState* MetadataImage::FindPartition(TopicPartitionId id) const {
  auto it = topics_by_id_->find(id.topic);
  if (it == topics_by_id_->end()) return nullptr;
  const std::vector<PartitionState>& partitions = it->second->partitions;
  int32_t index = id.partition.value();
  if (index < 0 || static_cast<size_t>(index) >= partitions.size()) return nullptr;
  return &partitions[index];
}

const RequestResult* MetadataImage::FindRequestResult(std::string_view request_id) const {
  for (auto chunk = request_results_.rbegin(); chunk != request_results_.rend(); ++chunk) {
    for (const RequestResult& result : **chunk) {
      if (result.request_id == request_id) return &result;
    }
  }
  return nullptr;
}

uint64_t MetadataImage::StateHash() const {
  StableHash hash;
  hash.AddSigned(revision_.value());
  hash.AddString(cluster_id_.uuid.ToBytes());
  hash.AddSigned(controller_.value());
  hash.AddSigned(next_producer_id_.value());
  hash.Add(topics_->size());
  for (const auto& [name, topic] : *topics_) HashTopic(*topic, hash);
  hash.Add(brokers_->size());
  for (const auto& [id, broker] : *brokers_) HashBroker(broker, hash);
  for (const auto& chunk : request_results_) {
    for (const RequestResult& result : *chunk) {
      hash.AddString(result.request_id);
      hash.AddSigned(result.command);
      hash.Add(result.fingerprint);
      hash.AddString(result.topic.uuid.ToBytes());
      hash.AddString(result.topic_name);
    }
  }
  return hash.value();
}

bool MetadataImage::operator==(const MetadataImage& other) const {
  auto same_topic = [](const auto& a, const auto& b) { return *a.second == *b.second; };
  auto same_chunk = [](const auto& a, const auto& b) { return *a == *b; };
  return revision_ == other.revision_ && cluster_id_ == other.cluster_id_ &&
         controller_ == other.controller_ && next_producer_id_ == other.next_producer_id_ &&
         partition_count_ == other.partition_count_ && *brokers_ == *other.brokers_ &&
         std::equal(topics_->begin(), topics_->end(), other.topics_->begin(), other.topics_->end(),
                    same_topic) &&
         std::equal(topics_by_id_->begin(), topics_by_id_->end(), other.topics_by_id_->begin(),
                    other.topics_by_id_->end(), same_topic) &&
         std::equal(request_results_.begin(), request_results_.end(),
                    other.request_results_.begin(), other.request_results_.end(), same_chunk);
}

}  // namespace catamaran::metadata
