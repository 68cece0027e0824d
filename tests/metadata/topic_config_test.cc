#include "metadata/topic_config.h"

#include <string>

#include "base/error.h"
#include "gtest/gtest.h"
#include "metadata/nearest_name.h"

namespace catamaran::metadata {
namespace {

TEST(TopicConfig, TheTableIsSortedAndItsDefaultsAreValid) {
  std::string before;
  for (const ConfigDefinition& definition : TopicConfigDefinitions()) {
    EXPECT_LT(before, definition.name);
    before = std::string(definition.name);
    absl::Status valid = ValidateTopicConfig(definition.name, definition.default_value);
    bool may_be_empty = definition.type == ConfigType::kList;
    EXPECT_TRUE(valid.ok() || may_be_empty) << valid;
    EXPECT_EQ(FindTopicConfigDefinition(definition.name), &definition);
  }
}

// Tools that copy settings from Kafka send any of these; an unknown one would make the whole topic
// fail.
TEST(TopicConfig, KnowsEveryNameOfKafka) {
  for (const char* name : {"cleanup.policy",
                           "compression.gzip.level",
                           "compression.lz4.level",
                           "compression.type",
                           "compression.zstd.level",
                           "delete.retention.ms",
                           "file.delete.delay.ms",
                           "flush.messages",
                           "flush.ms",
                           "follower.replication.throttled.replicas",
                           "index.interval.bytes",
                           "leader.replication.throttled.replicas",
                           "local.retention.bytes",
                           "local.retention.ms",
                           "max.compaction.lag.ms",
                           "max.message.bytes",
                           "message.downconversion.enable",
                           "message.timestamp.after.max.ms",
                           "message.timestamp.before.max.ms",
                           "message.timestamp.type",
                           "min.cleanable.dirty.ratio",
                           "min.compaction.lag.ms",
                           "min.insync.replicas",
                           "preallocate",
                           "remote.log.copy.disable",
                           "remote.log.delete.on.disable",
                           "remote.storage.enable",
                           "retention.bytes",
                           "retention.ms",
                           "segment.bytes",
                           "segment.index.bytes",
                           "segment.jitter.ms",
                           "segment.ms",
                           "unclean.leader.election.enable"}) {
    EXPECT_NE(FindTopicConfigDefinition(name), nullptr) << name;
  }
}

TEST(TopicConfig, DefaultsInForce) {
  TopicConfig config = EffectiveTopicConfig({});
  EXPECT_EQ(config.retention_ms, 604'800'000);
  EXPECT_EQ(config.retention_bytes, -1);
  EXPECT_EQ(config.segment_bytes, 1 << 30);
  EXPECT_EQ(config.max_message_bytes, 1'048'588);
  EXPECT_TRUE(config.durability_sync);
  EXPECT_TRUE(config.delete_old_segments);
  EXPECT_FALSE(config.log_append_time);
  EXPECT_EQ(config.min_insync_replicas, 1);
  EXPECT_EQ(config.timestamp_after_max_ms, 3'600'000);
}

TEST(TopicConfig, TheTopicComesBeforeTheBroker) {
  TopicDefaults broker = {{"retention.ms", "10"}, {"durability", "async"}};
  std::map<std::string, std::string> topic = {{"retention.ms", "20"}, {"segment.bytes", "65536"}};
  TopicConfig config = EffectiveTopicConfig(topic, broker);
  EXPECT_EQ(config.retention_ms, 20);
  EXPECT_FALSE(config.durability_sync);
  EXPECT_EQ(config.max_message_bytes, 65'536) << "a batch lies in one segment";
  int checked = 0;
  for (const DescribedConfig& described : DescribeTopicConfig(topic, broker)) {
    if (described.name == "retention.ms") {
      EXPECT_EQ(described.value, "20");
      EXPECT_EQ(described.origin, ConfigOrigin::kTopic);
      ++checked;
    }
    if (described.name == "durability") {
      EXPECT_EQ(described.origin, ConfigOrigin::kBroker);
      ++checked;
    }
    if (described.name == "flush.ms") {
      EXPECT_EQ(described.origin, ConfigOrigin::kDefault);
      ++checked;
    }
  }
  EXPECT_EQ(checked, 3);
}

TEST(TopicConfig, RefusesWrongValues) {
  for (auto [name, value, reason] :
       {std::tuple{"retention.ms", "-2", Reason::kInvalidConfig},
        {"retention.ms", "", Reason::kInvalidConfig},
        {"retention.ms", "5 ", Reason::kInvalidConfig},
        {"retention.ms", "99999999999999999999", Reason::kInvalidConfig},
        {"preallocate", "yes", Reason::kInvalidConfig},
        {"message.timestamp.type", "createtime", Reason::kInvalidConfig},
        {"min.cleanable.dirty.ratio", "1.5", Reason::kInvalidConfig},
        {"min.cleanable.dirty.ratio", "nan", Reason::kInvalidConfig},
        {"cleanup.policy", "delete,shrink", Reason::kInvalidConfig},
        {"max.message.bytes", "8388609", Reason::kInvalidConfig},
        {"durability", "fsync", Reason::kInvalidConfig},
        {"durability", "sy\nnc", Reason::kInvalidConfig},
        {"nonsense", "1", Reason::kInvalidConfig},
        {"cleanup.policy", "compact", Reason::kNotSupported},
        {"cleanup.policy", "compact,delete", Reason::kNotSupported},
        {"compression.type", "gzip", Reason::kNotSupported},
        {"remote.storage.enable", "true", Reason::kNotSupported}}) {
    absl::Status status = ValidateTopicConfig(name, value);
    EXPECT_EQ(ReasonOf(status), reason) << name << "=" << value << ": " << status;
  }
  EXPECT_TRUE(ValidateTopicConfig("min.cleanable.dirty.ratio", "0.25").ok());
  EXPECT_TRUE(ValidateTopicConfig("retention.ms", "-1").ok());
  EXPECT_TRUE(ValidateTopicConfig("follower.replication.throttled.replicas", "0:1,1:2").ok());
}

TEST(TopicConfig, AnUnknownNameNamesTheNearest) {
  absl::Status status = ValidateTopicConfig("retention.mss", "1");
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  ASSERT_TRUE(detail.has_value());
  bool found = false;
  for (const auto& [key, value] : detail->metadata) {
    found = found || (key == "nearest" && value == "retention.ms");
  }
  EXPECT_TRUE(found) << status;
}

TEST(NearestName, EditDistance) {
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("ab", "ba"), 1u);
  EXPECT_EQ(EditDistance("retention.sm", "retention.ms"), 1u);
  std::string_view names[] = {"alpha", "beta"};
  EXPECT_EQ(NearestName("bta", names), "beta");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace catamaran::metadata
