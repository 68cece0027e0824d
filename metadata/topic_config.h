// Topic settings: one table of every name, with its type, range, default and whether it has an
// effect here. Names are Kafka's (all of 4.4, so that tools which copy settings work) and our
// `durability`.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "metadata/image.h"

namespace catamaran::metadata {

// max.message.bytes may not be set higher: a batch has to fit into a request
// (limits.request_bytes).
inline constexpr int64_t kMaxMessageBytesLimit = 8 << 20;
inline constexpr int64_t kSegmentBytesMin = 64 << 10;
inline constexpr size_t kTopicConfigValueBytesMax = 16 << 10;
inline constexpr size_t kTopicConfigsMax = 128;  // in one command

// The effective settings of a topic. Plain fields; the broker copies what storage needs.
struct TopicConfig {
  // Log.
  int64_t segment_bytes = 0;         // segment.bytes
  int64_t segment_ms = 0;            // segment.ms
  int64_t segment_jitter_ms = 0;     // segment.jitter.ms
  int64_t retention_bytes = 0;       // retention.bytes, -1: any size
  int64_t retention_ms = 0;          // retention.ms, -1: any age
  int64_t index_interval_bytes = 0;  // index.interval.bytes
  bool delete_old_segments = false;  // cleanup.policy has "delete"
  bool preallocate = false;          // preallocate
  // Produce.
  int64_t max_message_bytes = 0;        // max.message.bytes: a whole batch as sent
  bool log_append_time = false;         // message.timestamp.type=LogAppendTime
  int64_t timestamp_before_max_ms = 0;  // message.timestamp.before.max.ms
  int64_t timestamp_after_max_ms = 0;   // message.timestamp.after.max.ms
  bool durability_sync = false;         // durability: sync (default) or async
  // Replication.
  int32_t min_insync_replicas = 0;       // min.insync.replicas
  bool unclean_leader_election = false;  // unclean.leader.election.enable
  bool operator==(const TopicConfig&) const = default;
};

enum class ConfigType : uint8_t { kBool, kInt, kLong, kDouble, kString, kList };
enum class ConfigOrigin : uint8_t { kDefault, kCluster, kBroker, kTopic };

struct ConfigDefinition {
  std::string_view name;
  ConfigType type;
  std::string_view default_value;
  // Bounds of kInt, kLong (and kDouble, in whole numbers).
  int64_t min;
  int64_t max;
  // Allowed values of kString and kList, separated by '|'; empty: any.
  std::string_view allowed;
  bool has_effect;  // false: accepted, checked and stored only
  std::string_view meaning;
};

// By name.
std::span<const ConfigDefinition> TopicConfigDefinitions();
// nullptr when there is none.
const ConfigDefinition* FindTopicConfigDefinition(std::string_view name);

// kInvalidConfig for an unknown name (with the nearest known one) and for a value of the wrong type
// or out of its range; kNotSupported for a value that is Kafka's but not served here
// (cleanup.policy=compact, compression.type other than producer, remote.storage.enable=true).
absl::Status ValidateTopicConfig(std::string_view name, std::string_view value);
// kInvalidConfig for a name that there isn't, with the nearest one.
absl::Status CheckTopicConfigName(std::string_view name);
// Each of them, and what they mean together.
absl::Status ValidateTopicConfigs(const std::map<std::string, std::string>& configs);

// Values of the broker's configuration that stand in for the built-in defaults; checked.
using TopicDefaults = std::map<std::string, std::string>;

// `configs` must be valid: they were checked when they were set. A value that this version can't
// read any more counts as its default.
TopicConfig EffectiveTopicConfig(const std::map<std::string, std::string>& configs,
                                 const TopicDefaults& defaults = {});

struct DescribedConfig {
  std::string_view name;
  std::string value;
  ConfigOrigin origin = ConfigOrigin::kDefault;
};
// Every setting, by name.
std::vector<DescribedConfig> DescribeTopicConfig(const std::map<std::string, std::string>& configs,
                                                 const TopicDefaults& defaults = {});

}  // namespace catamaran::metadata
