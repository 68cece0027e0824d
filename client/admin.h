// Admin: topics, offsets and the cluster, each a blocking call to any broker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "client/client_options.h"
#include "client/consumer.h"

namespace catamaran::client {

struct PartitionDescription {
  PartitionIndex partition;
  BrokerId leader = kNoBroker;  // kNoBroker when there is none
  LeaderEpoch leader_epoch;
  std::vector<BrokerId> replicas;  // the preferred leader first
  std::vector<BrokerId> in_sync_replicas;
  std::vector<BrokerId> eligible_leader_replicas;
};

enum class ConfigOrigin : uint8_t { kUnknown, kDefault, kCluster, kBroker, kTopic };

struct ConfigValue {
  std::string name;
  std::string value;
  ConfigOrigin origin = ConfigOrigin::kUnknown;
};

struct TopicDescription {
  std::string name;
  TopicId topic_id;
  std::vector<PartitionDescription> partitions;  // by index
  std::vector<ConfigValue> configs;              // by name; empty from ListTopics
  int64_t version = 0;                           // for AlterTopicConfig's expected_version
  bool internal = false;
};

struct NewTopic {
  std::string name;
  int32_t partition_count = 0;     // 0: the cluster's default
  int32_t replication_factor = 0;  // 0: the cluster's default
  std::map<std::string, std::string> configs;
};

struct ConfigChange {
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;  // back to the default
  std::optional<int64_t> expected_version;
};

enum class BrokerState : uint8_t { kUnknown, kRunning, kFenced, kDraining };

struct BrokerDescription {
  BrokerId broker_id;
  std::string address;
  std::string rack;
  BrokerState state = BrokerState::kUnknown;
  int64_t broker_epoch = 0;
};

struct ClusterDescription {
  std::string cluster_id;
  BrokerId answering_broker = kNoBroker;
  BrokerId controller = kNoBroker;
  std::vector<BrokerDescription> brokers;  // by id
  int32_t topic_count = 0;
  int32_t partition_count = 0;
  MetadataRevision revision;
  std::string version;
  int64_t request_bytes_max = 0;
  int64_t batch_bytes_max = 0;
};

struct OffsetQuery {
  TopicPartition partition;
  StartPosition at;  // Earliest, Latest or AtTime; At is refused (kInvalidArgument)
};

struct OffsetAnswer {
  TopicPartition partition;
  absl::Status status;  // of this partition; the rest counts only when OK
  Offset offset{-1};    // -1 when no record is at or after the time
  TimestampMs timestamp = kNoTimestamp;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
};

// Thread-safe; one network thread. Reads are tried again on the bootstrap brokers in turn until
// ClientOptions::request_timeout; mutations carry a request id, so that they are too. Every call
// may answer kDeadlineExceeded or kLeaderUnknown naming the addresses when no broker can be reached
// (nothing was done), and kOutcomeUnknown when a mutation may have been done.
class Admin {
 public:
  static absl::StatusOr<std::unique_ptr<Admin>> Create(const ClientOptions& options);
  ~Admin();
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  // `validate_only` checks everything and changes nothing.
  // kTopicExists, kInvalidTopicName, kInvalidConfig, kInvalidArgument, kReplicationUnavailable.
  absl::StatusOr<TopicDescription> CreateTopic(const NewTopic& topic, bool validate_only = false);
  // kUnknownTopic.
  absl::StatusOr<TopicDescription> DescribeTopic(std::string_view name);
  // All topics by name, without settings.
  absl::StatusOr<std::vector<TopicDescription>> ListTopics(bool include_internal = false);
  // kUnknownTopic, kInvalidConfig, kVersionMismatch.
  absl::StatusOr<TopicDescription> AlterTopicConfig(std::string_view name,
                                                    const ConfigChange& change,
                                                    bool validate_only = false);
  // `partition_count` is the new total. kUnknownTopic, kInvalidArgument.
  absl::StatusOr<TopicDescription> CreatePartitions(std::string_view name, int32_t partition_count,
                                                    bool validate_only = false);
  // For ever. `topic_id` guards against a topic that was made again. kUnknownTopic.
  absl::StatusOr<TopicId> DeleteTopic(std::string_view name,
                                      std::optional<TopicId> topic_id = std::nullopt,
                                      bool validate_only = false);
  // Deletes the records below `before`; absent: all below the high watermark. The answer is the new
  // log start. kOffsetOutOfRange, kUnknownTopic, kUnknownPartition.
  absl::StatusOr<Offset> DeleteRecords(const TopicPartition& partition,
                                       std::optional<Offset> before);
  // One answer per query, in their order, each with its own status; asks the partitions' leaders.
  absl::StatusOr<std::vector<OffsetAnswer>> ListOffsets(
      const std::vector<OffsetQuery>& queries,
      IsolationLevel isolation_level = IsolationLevel::kReadCommitted);
  absl::StatusOr<ClusterDescription> DescribeCluster();

 private:
  class Impl;
  explicit Admin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace catamaran::client
