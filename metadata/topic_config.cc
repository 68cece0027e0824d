#include "metadata/topic_config.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "metadata/nearest_name.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

constexpr int64_t kMaxLong = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr std::string_view kMaxLongText = "9223372036854775807";

using enum ConfigType;
// name, type, default, min, max, allowed, has effect, meaning; sorted by name.
constexpr ConfigDefinition kDefinitions[] = {
    {"cleanup.policy", kList, "delete", 0, 0, "delete|compact", true,
     "What happens to old segments: deleted by age and size. Compaction isn't supported yet."},
    {"compression.gzip.level", kInt, "-1", -1, 9, "", false, "Level for gzip."},
    {"compression.lz4.level", kInt, "9", 1, 17, "", false, "Level for lz4."},
    {"compression.type", kString, "producer", 0, 0, "producer|uncompressed|gzip|snappy|lz4|zstd",
     true, "Batches are kept as the producer compressed them: only 'producer' is supported."},
    {"compression.zstd.level", kInt, "3", -131072, 22, "", false, "Level for zstd."},
    {"delete.retention.ms", kLong, "86400000", 0, kMaxLong, "", false,
     "How long a compacted topic keeps tombstones, in milliseconds."},
    {"durability", kString, "sync", 0, 0, "sync|async", true,
     "sync: acknowledged records are on disk (fdatasync). async: they are in the page cache."},
    {"file.delete.delay.ms", kLong, "60000", 0, kMaxLong, "", false,
     "Delay before a removed segment's file is deleted, in milliseconds."},
    {"flush.messages", kLong, kMaxLongText, 1, kMaxLong, "", false,
     "Records between forced syncs; 'durability' decides here."},
    {"flush.ms", kLong, kMaxLongText, 0, kMaxLong, "", false,
     "Milliseconds between forced syncs; 'durability' decides here."},
    {"follower.replication.throttled.replicas", kList, "", 0, 0, "", false,
     "Replicas whose fetching is throttled."},
    {"index.interval.bytes", kInt, "16384", 0, kMaxInt, "", true,
     "One entry of the offset and time index per this many bytes of log."},
    {"leader.replication.throttled.replicas", kList, "", 0, 0, "", false,
     "Replicas whose sending is throttled."},
    {"local.retention.bytes", kLong, "-2", -2, kMaxLong, "", false,
     "Bytes kept locally when older segments are in remote storage."},
    {"local.retention.ms", kLong, "-2", -2, kMaxLong, "", false,
     "Milliseconds kept locally when older segments are in remote storage."},
    {"max.compaction.lag.ms", kLong, kMaxLongText, 1, kMaxLong, "", false,
     "Longest time that a record stays out of compaction, in milliseconds."},
    {"max.message.bytes", kInt, "1048588", 0, kMaxMessageBytesLimit, "", true,
     "Largest record batch, as sent, in bytes."},
    {"message.downconversion.enable", kBool, "true", 0, 0, "", false, "Inert in Kafka too."},
    {"message.timestamp.after.max.ms", kLong, "3600000", 0, kMaxLong, "", true,
     "How far a record's timestamp may lie in the future, in milliseconds."},
    {"message.timestamp.before.max.ms", kLong, kMaxLongText, 0, kMaxLong, "", true,
     "How far a record's timestamp may lie in the past, in milliseconds."},
    {"message.timestamp.type", kString, "CreateTime", 0, 0, "CreateTime|LogAppendTime", true,
     "Whose clock gives timestamps: the producer's or the broker's."},
    {"min.cleanable.dirty.ratio", kDouble, "0.5", 0, 1, "", false,
     "Uncompacted share of a log from which on it is compacted."},
    {"min.compaction.lag.ms", kLong, "0", 0, kMaxLong, "", false,
     "Shortest time that a record stays out of compaction, in milliseconds."},
    {"min.insync.replicas", kInt, "1", 1, kMaxInt, "", true,
     "Replicas that must be in sync for acks=all."},
    {"preallocate", kBool, "false", 0, 0, "", false, "Reserve a segment's space when it is made."},
    {"remote.log.copy.disable", kBool, "false", 0, 0, "", false, "Stop copying to remote storage."},
    {"remote.log.delete.on.disable", kBool, "false", 0, 0, "", false,
     "Delete remote segments when remote storage is switched off."},
    {"remote.storage.enable", kBool, "false", 0, 0, "", true,
     "Keep old segments in remote storage: not supported, only 'false'."},
    {"retention.bytes", kLong, "-1", -1, kMaxLong, "", true,
     "Size of a partition from which on its oldest segments are deleted; -1: any size."},
    {"retention.ms", kLong, "604800000", -1, kMaxLong, "", true,
     "Age from which on a segment is deleted, in milliseconds; -1: any age."},
    {"segment.bytes", kInt, "1073741824", kSegmentBytesMin, kMaxInt, "", true,
     "Size at which a segment is closed and the next begun."},
    {"segment.index.bytes", kInt, "10485760", 4, kMaxInt, "", false, "Largest index file."},
    {"segment.jitter.ms", kLong, "0", 0, kMaxLong, "", false,
     "Random part of segment.ms, in milliseconds."},
    {"segment.ms", kLong, "604800000", 1, kMaxLong, "", true,
     "Age at which a segment is closed and the next begun, in milliseconds."},
    {"unclean.leader.election.enable", kBool, "false", 0, 0, "", false,
     "Whether a replica that may lack records can become leader."},
};

absl::Status Invalid(std::string_view name, std::string_view value, std::string_view why) {
  std::string shown(value.substr(0, 100));
  return MakeError(Reason::kInvalidConfig,
                   Cat("Setting '", name, "' can't be '", shown, "': ", why),
                   {{"config", std::string(name)}, {"value", shown}});
}

absl::Status NotSupported(std::string_view name, std::string_view value, std::string_view why) {
  return MakeError(Reason::kNotSupported,
                   Cat("Setting '", name, "' can't be '", value, "' here: ", why),
                   {{"config", std::string(name)}, {"value", std::string(value)}});
}

// "a|b" -> "a, b"
std::string Listed(std::string_view alternatives) {
  std::string listed;
  for (std::string_view each : Split(alternatives, '|')) {
    listed = Cat(listed, listed.empty() ? "" : ", ", each);
  }
  return listed;
}

std::vector<std::string_view> Items(const ConfigDefinition& definition, std::string_view value) {
  std::vector<std::string_view> items;
  if (definition.type != kList) return {value};
  for (std::string_view item : Split(value, ',')) {
    items.push_back(StripSpaces(item));
  }
  return items;
}

absl::Status CheckNumber(const ConfigDefinition& definition, std::string_view value) {
  if (definition.type == kDouble) {
    std::optional<double> real = ParseNumber<double>(value);
    bool ok = real && *real >= static_cast<double>(definition.min) &&
              *real <= static_cast<double>(definition.max);
    if (ok) return absl::OkStatus();
    return Invalid(definition.name, value,
                   Cat("give a number from ", definition.min, " to ", definition.max, "."));
  }
  std::optional<int64_t> number = ParseNumber<int64_t>(value);
  if (number && *number >= definition.min && *number <= definition.max) {
    return absl::OkStatus();
  }
  return Invalid(definition.name, value,
                 Cat("give a whole number from ", definition.min, " to ", definition.max, "."));
}

absl::Status CheckAllowed(const ConfigDefinition& definition, std::string_view value) {
  if (definition.allowed.empty()) return absl::OkStatus();
  std::vector<std::string_view> allowed = Split(definition.allowed, '|');
  for (std::string_view item : Items(definition, value)) {
    if (std::find(allowed.begin(), allowed.end(), item) == allowed.end()) {
      return Invalid(definition.name, value, Cat("give ", Listed(definition.allowed), "."));
    }
  }
  return absl::OkStatus();
}

// What Kafka has and this broker doesn't.
absl::Status CheckServed(std::string_view name, std::string_view value) {
  if (name == "cleanup.policy" && value.find("compact") != std::string_view::npos) {
    return NotSupported(name, value, "compaction isn't supported yet; use 'delete'.");
  }
  if (name == "compression.type" && value != "producer") {
    return NotSupported(
        name, value,
        "batches are stored as the producer compressed them; use 'producer' and set "
        "the compression in the producer.");
  }
  if (name == "remote.storage.enable" && value == "true") {
    return NotSupported(name, value, "there is no remote storage; use 'false'.");
  }
  return absl::OkStatus();
}

// The value in force and where it comes from.
std::pair<std::string_view, ConfigOrigin> Effective(
    const ConfigDefinition& definition, const std::map<std::string, std::string>& configs,
    const TopicDefaults& defaults) {
  std::string name(definition.name);
  for (auto [values, origin] :
       {std::pair{&configs, ConfigOrigin::kTopic}, std::pair{&defaults, ConfigOrigin::kBroker}}) {
    auto it = values->find(name);
    if (it != values->end() && ValidateTopicConfig(name, it->second).ok()) {
      return {it->second, origin};
    }
  }
  return {definition.default_value, ConfigOrigin::kDefault};
}

}  // namespace

std::span<const ConfigDefinition> TopicConfigDefinitions() { return kDefinitions; }

const ConfigDefinition* FindTopicConfigDefinition(std::string_view name) {
  auto it = std::lower_bound(
      std::begin(kDefinitions), std::end(kDefinitions), name,
      [](const ConfigDefinition& definition, std::string_view n) { return definition.name < n; });
  return it != std::end(kDefinitions) && it->name == name ? &*it : nullptr;
}

absl::Status CheckTopicConfigName(std::string_view name) {
  if (FindTopicConfigDefinition(name) != nullptr) return absl::OkStatus();
  std::vector<std::string_view> names;
  for (const ConfigDefinition& definition : kDefinitions) names.push_back(definition.name);
  std::string nearest(NearestName(name, names));
  std::string shown(name.substr(0, 100));
  return MakeError(Reason::kInvalidConfig,
                   Cat("There is no topic setting '", shown, "'. Did you mean '", nearest, "'?"),
                   {{"config", shown}, {"nearest", nearest}});
}

absl::Status ValidateTopicConfig(std::string_view name, std::string_view value) {
  CATAMARAN_RETURN_IF_ERROR(CheckTopicConfigName(name));
  const ConfigDefinition& definition = *FindTopicConfigDefinition(name);
  if (value.size() > kTopicConfigValueBytesMax) {
    return Invalid(name, value, Cat("it has more than ", kTopicConfigValueBytesMax, " bytes."));
  }
  bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 127; });
  if (!printable) return Invalid(name, "?", "use printable ASCII characters only.");
  switch (definition.type) {
    case kBool:
      if (value != "true" && value != "false") return Invalid(name, value, "give true or false.");
      break;
    case kInt:
    case kLong:
    case kDouble:
      CATAMARAN_RETURN_IF_ERROR(CheckNumber(definition, value));
      break;
    case kString:
    case kList:
      CATAMARAN_RETURN_IF_ERROR(CheckAllowed(definition, value));
      break;
  }
  return CheckServed(name, value);
}

absl::Status ValidateTopicConfigs(const std::map<std::string, std::string>& configs) {
  if (configs.size() > kTopicConfigsMax) {
    return MakeError(Reason::kInvalidConfig,
                     Cat("At most ", kTopicConfigsMax, " settings, not ", configs.size(), "."),
                     {{"max", Cat(kTopicConfigsMax)}});
  }
  for (const auto& [name, value] : configs) {
    CATAMARAN_RETURN_IF_ERROR(ValidateTopicConfig(name, value));
  }
  return absl::OkStatus();
}

TopicConfig EffectiveTopicConfig(const std::map<std::string, std::string>& configs,
                                 const TopicDefaults& defaults) {
  auto text = [&](std::string_view name) {
    const ConfigDefinition* definition = FindTopicConfigDefinition(name);
    CATAMARAN_CHECK(definition != nullptr, name);
    return Effective(*definition, configs, defaults).first;
  };
  auto number = [&](std::string_view name) {
    std::optional<int64_t> value = ParseNumber<int64_t>(text(name));
    CATAMARAN_CHECK(value.has_value(), name);
    return *value;
  };
  TopicConfig config;
  config.segment_bytes = number("segment.bytes");
  config.segment_ms = number("segment.ms");
  config.segment_jitter_ms = number("segment.jitter.ms");
  config.retention_bytes = number("retention.bytes");
  config.retention_ms = number("retention.ms");
  config.index_interval_bytes = number("index.interval.bytes");
  config.delete_old_segments = text("cleanup.policy").find("delete") != std::string_view::npos;
  config.preallocate = text("preallocate") == "true";
  // A batch lies in one segment, so the smaller of the two bounds it.
  config.max_message_bytes = std::min(number("max.message.bytes"), config.segment_bytes);
  config.log_append_time = text("message.timestamp.type") == "LogAppendTime";
  config.timestamp_before_max_ms = number("message.timestamp.before.max.ms");
  config.timestamp_after_max_ms = number("message.timestamp.after.max.ms");
  config.durability_sync = text("durability") == "sync";
  config.min_insync_replicas = static_cast<int32_t>(number("min.insync.replicas"));
  config.unclean_leader_election = text("unclean.leader.election.enable") == "true";
  return config;
}

std::vector<DescribedConfig> DescribeTopicConfig(const std::map<std::string, std::string>& configs,
                                                 const TopicDefaults& defaults) {
  std::vector<DescribedConfig> described;
  for (const ConfigDefinition& definition : kDefinitions) {
    auto [value, origin] = Effective(definition, configs, defaults);
    described.push_back({definition.name, std::string(value), origin});
  }
  return described;
}

}  // namespace catamaran::metadata
