#include "broker/topic_catalog.h"

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "metadata/commands.h"

namespace catamaran::broker {
namespace {

// The cache isn't swept below so many entries.
constexpr size_t kCacheSweepMin = 1'024;

absl::Status UnknownTopic(std::string_view name) {
  return MakeError(Reason::kUnknownTopic,
                   absl::StrCat("There is no topic '", std::string(name),
                                "'. Create it first, or check the name."),
                   {{"topic", std::string(name)}});
}

absl::StatusOr<TopicId> ParseTopicId(std::string_view id_bytes) {
  std::optional<Uuid> id = Uuid::FromBytes(id_bytes);
  if (!id.has_value()) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("A topic id has 16 bytes, not ", id_bytes.size(),
                                  ": take it from the metadata."),
                     {{"field", "topic_id"}});
  }
  return TopicId{*id};
}

}  // namespace

std::string PartitionName(std::string_view topic, PartitionIndex partition) {
  return absl::StrCat(std::string(topic), "-", partition.value());
}

ReplicaConfig ToReplicaConfig(const metadata::TopicConfig& config,
                              const metadata::PartitionState& partition) {
  ReplicaConfig replica;
  replica.log.segment_bytes = config.segment_bytes;
  replica.log.segment_ms = config.segment_ms;
  replica.log.retention_bytes = config.retention_bytes;
  replica.log.retention_ms = config.retention_ms;
  replica.log.delete_old_segments = config.delete_old_segments;
  replica.log.index_interval_bytes = config.index_interval_bytes;
  replica.log.timestamp_type =
      config.log_append_time ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  replica.sync = config.durability_sync;
  replica.replicas_in_sync = static_cast<int32_t>(partition.in_sync_replicas.size());
  replica.min_insync_replicas = config.min_insync_replicas;
  return replica;
}

ValidationOptions ToValidationOptions(const metadata::TopicConfig& config, TimestampMs now) {
  ValidationOptions options;
  options.batch_bytes_max = static_cast<size_t>(config.max_message_bytes);
  options.timestamp_type =
      config.log_append_time ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  options.now = now;
  options.timestamp_before_max_ms = config.timestamp_before_max_ms;
  options.timestamp_after_max_ms = config.timestamp_after_max_ms;
  return options;
}

CatalogTopicRef TopicCatalog::Cached(const metadata::TopicRef& topic) {
  {
    MutexLock lock(&mu_);
    auto it = cache_.find(topic->id);
    if (it != cache_.end() && it->second->topic == topic) return it->second;
  }
  auto made = std::make_shared<const CatalogTopic>(
      CatalogTopic{topic, metadata::EffectiveTopicConfig(topic->configs, defaults_)});
  metadata::ImageRef image = service_->image();
  MutexLock lock(&mu_);
  cache_[topic->id] = made;
  if (cache_.size() > kCacheSweepMin && cache_.size() > 2 * image->topics().size()) {
    std::erase_if(cache_,
                  [&](const auto& entry) { return image->FindTopic(entry.first) == nullptr; });
  }
  return made;
}

absl::StatusOr<CatalogTopicRef> TopicCatalog::FindByName(std::string_view name,
                                                         std::string_view id_bytes) {
  if (name.empty()) {
    return MakeError(Reason::kInvalidArgument, "The topic's name is missing: set `topic`.",
                     {{"field", "topic"}});
  }
  if (!id_bytes.empty()) CATAMARAN_RETURN_IF_ERROR(ParseTopicId(id_bytes).status());
  metadata::TopicRef topic = service_->image()->FindTopic(name);
  if (topic == nullptr) {
    CATAMARAN_RETURN_IF_ERROR(metadata::ValidateTopicName(name, /*internal=*/true));
    return UnknownTopic(name);
  }
  if (!id_bytes.empty() && id_bytes != topic->id.uuid.ToBytes()) {
    return MakeError(
        Reason::kTopicIdMismatch,
        absl::StrCat("Topic '", topic->name, "' has the id ", topic->id.uuid.ToString(),
                     " now: it was deleted and created again, or never was the one "
                     "that you mean. Refresh the metadata."),
        {{"topic", topic->name}, {"topic_id", topic->id.uuid.ToString()}});
  }
  return Cached(topic);
}

absl::StatusOr<CatalogTopicRef> TopicCatalog::FindById(std::string_view id_bytes) {
  CATAMARAN_ASSIGN_OR_RETURN(TopicId id, ParseTopicId(id_bytes));
  return FindById(id);
}

absl::StatusOr<CatalogTopicRef> TopicCatalog::FindById(TopicId id) {
  metadata::TopicRef topic = service_->image()->FindTopic(id);
  if (topic == nullptr) {
    return MakeError(Reason::kUnknownTopic,
                     absl::StrCat("There is no topic with the id ", id.uuid.ToString(),
                                  ": it was deleted, or this broker doesn't know it yet. Refresh "
                                  "the metadata."),
                     {{"topic_id", id.uuid.ToString()}});
  }
  return Cached(topic);
}

absl::Status TopicCatalog::CheckLeader(const CatalogTopic& topic, PartitionIndex partition) const {
  const auto& partitions = topic.topic->partitions;
  if (partition.value() < 0 || static_cast<size_t>(partition.value()) >= partitions.size()) {
    return MakeError(Reason::kUnknownPartition,
                     absl::StrCat("Topic '", topic.topic->name, "' has ", partitions.size(),
                                  " partitions; ", partition.value(), " isn't one of them."),
                     {{"topic", topic.topic->name},
                      {"partition", absl::StrCat(partition.value())},
                      {"partition_count", absl::StrCat(partitions.size())}});
  }
  const metadata::PartitionState& state = partitions[static_cast<size_t>(partition.value())];
  if (state.leader == self_) return absl::OkStatus();
  std::string name = PartitionName(topic.topic->name, partition);
  if (state.leader == kNoBroker) {
    return MakeError(Reason::kLeaderUnknown,
                     absl::StrCat(name, " has no leader at the moment. Try again soon."),
                     {{"partition", name}});
  }
  metadata::ImageRef image = service_->image();
  auto leader = image->brokers().find(state.leader);
  return MakeError(
      Reason::kNotLeader,
      absl::StrCat("Broker ", state.leader.value(), " leads ", name, ", not this one (",
                   self_.value(), "). Send the request there."),
      {{"partition", name},
       {"leader", absl::StrCat(state.leader.value())},
       {"leader_address", leader == image->brokers().end() ? "" : leader->second.address},
       {"leader_epoch", absl::StrCat(state.leader_epoch.value())}});
}

}  // namespace catamaran::broker
