// What may be asked of the controller, and what it answers. A struct per command, so that a missing
// case doesn't compile.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace catamaran::metadata {

struct CreateTopicCommand {
  std::string name;
  int32_t partition_count = 0;     // 0: kDefaultPartitionCount
  int32_t replication_factor = 0;  // 0: the cluster's default
  std::map<std::string, std::string> configs;
  bool internal = false;  // for the cluster's own "__" topics; never set from a client's request
};

struct DeleteTopicCommand {
  std::string name;
  std::optional<TopicId> id;  // when set, must be the topic's
};

struct CreatePartitionsCommand {
  std::string name;
  int32_t partition_count = 0;  // the new total
};

struct UpdateTopicConfigCommand {
  std::string name;
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;
  std::optional<MetadataRevision> expected_version;
};

// Hands out kProducerIdsPerBlock ids, each issued once for ever.
struct AllocateProducerIdsCommand {
  BrokerId broker = kNoBroker;
};

// A start of a broker: gives it a higher broker epoch and unfences it. Where its last run didn't
// end with FenceBroker (a crash), the leader epochs of all partitions that it leads rise, so that
// offsets which the crash may have lost are never given out twice under one epoch.
struct RegisterBrokerCommand {
  BrokerId broker = kNoBroker;
  DirectoryId directory;
  std::string address;
  std::string rack;
  ClusterId cluster;  // becomes the cluster's id when it has none; else must be equal
};

// The clean end of a broker's run: everything that it holds is on disk.
struct FenceBrokerCommand {
  BrokerId broker = kNoBroker;
  int64_t epoch = 0;  // of the registration that ends; another one is left alone
};

// This node is the active controller from now on.
struct ClaimControllerCommand {
  BrokerId broker = kNoBroker;
};

using Command = std::variant<ClaimControllerCommand, CreateTopicCommand, DeleteTopicCommand,
                             CreatePartitionsCommand, UpdateTopicConfigCommand,
                             AllocateProducerIdsCommand, RegisterBrokerCommand, FenceBrokerCommand>;

struct CommandOptions {
  // At most kRequestIdBytesMax. A repeated id with the same content gets the first answer; with
  // another content it is refused. Empty: none. Only topic commands take one.
  std::string request_id;
  bool validate_only = false;  // checks everything, changes nothing, answers as if
};

// Answers. `topic` is as it is after the command (or would be, for validate_only).
struct TopicAnswer {
  TopicRef topic;
};
struct TopicDeletedAnswer {
  TopicId id;
};
struct ProducerIdBlock {
  ProducerId first{0};
  int64_t count = 0;
};
struct BrokerAnswer {
  int64_t epoch = 0;
};
using Answer = std::variant<TopicAnswer, TopicDeletedAnswer, ProducerIdBlock, BrokerAnswer>;

// Limits. Names and counts as docs/configuration.md states them.
inline constexpr size_t kTopicNameBytesMax = 249;
inline constexpr int32_t kPartitionsPerTopicMax = 10'000;
inline constexpr int32_t kDefaultPartitionCount = 1;
inline constexpr size_t kRequestIdBytesMax = 36;
inline constexpr int64_t kProducerIdsPerBlock = 1'000;
inline constexpr size_t kBrokerAddressBytesMax = 300;
inline constexpr size_t kBrokerRackBytesMax = 128;

// Of one broker; from its configuration (limits.partitions, topic.*).
struct ControllerLimits {
  int64_t partitions_max = 20'000;                    // of all topics together
  std::map<std::string, std::string> topic_defaults;  // checked; origin kBroker
};

// kInvalidTopicName unless 1 to 249 characters of [a-zA-Z0-9._-], not "." or "..", and not
// beginning with "__" unless `internal`. (A new topic's name can't begin with '-' either.)
absl::Status ValidateTopicName(std::string_view name, bool internal);

}  // namespace catamaran::metadata
