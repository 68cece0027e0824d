// Topics as the data plane needs them: the image's topic with its settings parsed, once per change
// instead of once per request.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "broker/replica/commands.h"
#include "metadata/image.h"
#include "metadata/metadata_service.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {

struct CatalogTopic {
  metadata::TopicRef topic;
  metadata::TopicConfig config;
};
using CatalogTopicRef = std::shared_ptr<const CatalogTopic>;

// "<topic>-<partition>": the name of a partition's directory, and in messages.
std::string PartitionName(std::string_view topic, PartitionIndex partition);

ReplicaConfig ToReplicaConfig(const metadata::TopicConfig& config,
                              const metadata::PartitionState& partition);

// What ValidateProducedBatch needs of the topic.
ValidationOptions ToValidationOptions(const metadata::TopicConfig& config, TimestampMs now);

// Thread-safe. `service` must outlive it.
class TopicCatalog {
 public:
  TopicCatalog(metadata::MetadataService* service, BrokerId self, metadata::TopicDefaults defaults)
      : service_(service), self_(self), defaults_(std::move(defaults)) {}

  // kInvalidArgument (no name, an id that isn't 16 bytes), kInvalidTopicName, kUnknownTopic,
  // kTopicIdMismatch.
  // `id_bytes` may be empty: not checked.
  absl::StatusOr<CatalogTopicRef> FindByName(std::string_view name, std::string_view id_bytes = {});
  absl::StatusOr<CatalogTopicRef> FindById(std::string_view id_bytes);
  absl::StatusOr<CatalogTopicRef> FindById(TopicId id);

  // OK when this broker leads the partition; else kUnknownPartition, kNotLeader (metadata: leader,
  // leader_address, leader_epoch) or kLeaderUnknown.
  absl::Status CheckLeader(const CatalogTopic& topic, PartitionIndex partition) const;

  BrokerId self() const { return self_; }
  metadata::MetadataService* service() const { return service_; }

 private:
  CatalogTopicRef Cached(const metadata::TopicRef& topic);

  metadata::MetadataService* const service_;
  const BrokerId self_;
  const metadata::TopicDefaults defaults_;
  Mutex mu_;
  // Invariant: an entry is used only while its topic is the image's very object. Topics that are
  // gone are dropped when the cache is swept, at twice the image's size.
  std::map<TopicId, CatalogTopicRef> cache_ ABSL_GUARDED_BY(mu_);
};

}  // namespace catamaran::broker
