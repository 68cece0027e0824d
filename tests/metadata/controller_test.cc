#include "metadata/controller.h"

#include <set>
#include <string>

#include "gtest/gtest.h"
#include "metadata/placement.h"
#include "tests/metadata/metadata_fixture.h"

namespace catamaran::metadata {
namespace {

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() { machine_.RegisterBroker(1); }
  Machine machine_;
};

TEST_F(ControllerTest, CreatesATopicLedByTheBroker) {
  CreateTopicCommand command = CreateTopic("cars", 3);
  command.configs = {{"retention.ms", "1000"}};
  TopicRef topic = TopicOf(machine_.Run(command));
  ASSERT_NE(topic, nullptr);
  EXPECT_EQ(topic->name, "cars");
  EXPECT_FALSE(topic->id.uuid.is_nil());
  ASSERT_EQ(topic->partitions.size(), 3u);
  for (const PartitionState& partition : topic->partitions) {
    EXPECT_EQ(partition.leader, BrokerId(1));
    EXPECT_EQ(partition.leader_epoch, LeaderEpoch(0));
    EXPECT_EQ(partition.replicas, std::vector<BrokerId>{BrokerId(1)});
    EXPECT_EQ(partition.in_sync_replicas, std::vector<BrokerId>{BrokerId(1)});
  }
  EXPECT_EQ(topic->configs.at("retention.ms"), "1000");
  EXPECT_EQ(topic->version, machine_.image()->revision());
  EXPECT_EQ(machine_.image()->partition_count(), 3);
  EXPECT_EQ(machine_.image()->FindTopic(topic->id), topic);
}

TEST_F(ControllerTest, ZeroPartitionsAndFactorAreTheDefaults) {
  TopicRef topic = TopicOf(machine_.Run(CreateTopic("a", 0)));
  ASSERT_NE(topic, nullptr);
  EXPECT_EQ(topic->partitions.size(), 1u);
  EXPECT_EQ(topic->partitions[0].replicas.size(), 1u);
}

TEST_F(ControllerTest, RefusesBadNames) {
  const std::string long_name(250, 'a');
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"), std::string("a b"),
        std::string("a\0b", 3), std::string("caf\xc3\xa9"), long_name, std::string("__internal"),
        std::string("-"), std::string("-f")}) {
    EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic(name))), Reason::kInvalidTopicName) << name;
  }
  EXPECT_TRUE(machine_.Run(CreateTopic(std::string(249, 'a'))).ok());
  EXPECT_TRUE(machine_.Run(CreateTopic("A.b_c-9")).ok());
  CreateTopicCommand internal = CreateTopic("__consumer_offsets");
  internal.internal = true;
  TopicRef topic = TopicOf(machine_.Run(internal));
  ASSERT_NE(topic, nullptr);
  EXPECT_TRUE(topic->internal);
  EXPECT_EQ(ReasonIn(machine_.Run(DeleteTopicCommand{"__consumer_offsets", {}})),
            Reason::kInvalidTopicName);
}

TEST_F(ControllerTest, RefusesNamesThatCollideInMetrics) {
  ASSERT_TRUE(machine_.Run(CreateTopic("a.b_c")).ok());
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a_b.c"))), Reason::kInvalidTopicName);
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a.b.c"))), Reason::kInvalidTopicName);
  EXPECT_TRUE(machine_.Run(CreateTopic("a-b-c")).ok());
  EXPECT_TRUE(machine_.Run(CreateTopic("a.b_cd")).ok());
}

TEST_F(ControllerTest, RefusesATopicThatExists) {
  ASSERT_TRUE(machine_.Run(CreateTopic("a")).ok());
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a"))), Reason::kTopicExists);
}

TEST_F(ControllerTest, HoldsTheLimits) {
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a", 10'001))), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a", -1))), Reason::kInvalidArgument);
  machine_.limits.partitions_max = 10;
  EXPECT_TRUE(machine_.Run(CreateTopic("a", 8)).ok());
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("b", 3))), Reason::kLimitExceeded);
  EXPECT_EQ(ReasonIn(machine_.Run(CreatePartitionsCommand{"a", 11})), Reason::kLimitExceeded);
  EXPECT_TRUE(machine_.Run(CreatePartitionsCommand{"a", 10}).ok());
}

TEST_F(ControllerTest, RefusesMoreReplicasThanBrokers) {
  CreateTopicCommand command = CreateTopic("a");
  command.replication_factor = 2;
  absl::StatusOr<Answer> answer = machine_.Run(command);
  EXPECT_EQ(ReasonIn(answer), Reason::kReplicationUnavailable);
  EXPECT_NE(std::string(answer.status().message()).find("there is 1"), std::string::npos)
      << answer.status();
  command.replication_factor = -1;
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kInvalidArgument);
}

TEST_F(ControllerTest, RefusesSettingsThatArentServed) {
  for (auto [name, value, reason] : {std::tuple{"cleanup.policy", "compact", Reason::kNotSupported},
                                     {"compression.type", "zstd", Reason::kNotSupported},
                                     {"retention.ms", "soon", Reason::kInvalidConfig},
                                     {"retention.mss", "1", Reason::kInvalidConfig}}) {
    CreateTopicCommand command = CreateTopic("a");
    command.configs = {{name, value}};
    EXPECT_EQ(ReasonIn(machine_.Run(command)), reason) << name;
  }
  EXPECT_EQ(machine_.image()->FindTopic("a"), nullptr);
}

TEST_F(ControllerTest, DeletesTheTopicThatIsMeant) {
  TopicRef first = TopicOf(machine_.Run(CreateTopic("a")));
  ASSERT_NE(first, nullptr);
  ASSERT_TRUE(machine_.Run(DeleteTopicCommand{"a", first->id}).ok());
  EXPECT_EQ(machine_.image()->FindTopic("a"), nullptr);
  EXPECT_EQ(machine_.image()->FindTopic(first->id), nullptr);
  EXPECT_EQ(machine_.image()->partition_count(), 0);
  TopicRef second = TopicOf(machine_.Run(CreateTopic("a")));
  ASSERT_NE(second, nullptr);
  EXPECT_NE(second->id, first->id);
  EXPECT_EQ(ReasonIn(machine_.Run(DeleteTopicCommand{"a", first->id})), Reason::kTopicIdMismatch);
  EXPECT_EQ(ReasonIn(machine_.Run(DeleteTopicCommand{"b", {}})), Reason::kUnknownTopic);
}

TEST_F(ControllerTest, AddsPartitionsOnly) {
  ASSERT_TRUE(machine_.Run(CreateTopic("a", 2)).ok());
  EXPECT_EQ(ReasonIn(machine_.Run(CreatePartitionsCommand{"a", 2})), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonIn(machine_.Run(CreatePartitionsCommand{"a", 1})), Reason::kInvalidArgument);
  TopicRef topic = TopicOf(machine_.Run(CreatePartitionsCommand{"a", 5}));
  ASSERT_NE(topic, nullptr);
  EXPECT_EQ(topic->partitions.size(), 5u);
}

TEST_F(ControllerTest, UpdatesSettingsAllOrNothing) {
  TopicRef before = TopicOf(machine_.Run(CreateTopic("a")));
  ASSERT_NE(before, nullptr);
  UpdateTopicConfigCommand command;
  command.name = "a";
  command.set = {{"retention.ms", "5"}, {"segment.bytes", "no"}};
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kInvalidConfig);
  EXPECT_TRUE(machine_.image()->FindTopic("a")->configs.empty());

  command.set = {{"retention.ms", "5"}, {"durability", "async"}};
  command.expected_version = before->version;
  TopicRef after = TopicOf(machine_.Run(command));
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(after->configs.size(), 2u);
  EXPECT_GT(after->version, before->version);
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kVersionMismatch);

  command = {};
  command.name = "a";
  command.remove = {"retention.ms", "flush.ms"};
  after = TopicOf(machine_.Run(command));
  ASSERT_NE(after, nullptr);
  EXPECT_EQ(after->configs.count("retention.ms"), 0u);
  command.remove = {"retention.mss"};
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kInvalidConfig);
  command.set = {{"retention.ms", "5"}};
  command.remove = {"retention.ms"};
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kInvalidArgument);
}

TEST_F(ControllerTest, ARepeatedRequestGetsTheFirstAnswer) {
  CommandOptions options{.request_id = "r1", .validate_only = false};
  TopicRef first = TopicOf(machine_.Run(CreateTopic("a"), options));
  ASSERT_NE(first, nullptr);
  MetadataRevision revision = machine_.image()->revision();
  TopicRef again = TopicOf(machine_.Run(CreateTopic("a"), options));
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->id, first->id);
  EXPECT_EQ(machine_.image()->revision(), revision);
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("b"), options)), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonIn(machine_.Run(DeleteTopicCommand{"a", {}}, options)), Reason::kInvalidArgument);

  CommandOptions deletion{.request_id = "r2", .validate_only = false};
  ASSERT_TRUE(machine_.Run(DeleteTopicCommand{"a", {}}, deletion).ok());
  absl::StatusOr<Answer> deleted = machine_.Run(DeleteTopicCommand{"a", {}}, deletion);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  EXPECT_EQ(std::get<TopicDeletedAnswer>(*deleted).id, first->id);
  // The first request was carried out, and what it made is gone.
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("a"), options)), Reason::kUnknownTopic);

  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("c"), {.request_id = std::string(37, 'x')})),
            Reason::kInvalidArgument);
}

TEST_F(ControllerTest, ForgetsTheOldestRequestsFirst) {
  ASSERT_TRUE(machine_.Run(CreateTopic("a")).ok());
  size_t total = kRequestResultsKeptMin + 3 * kRequestResultsPerChunk;
  for (size_t i = 0; i < total; ++i) {
    UpdateTopicConfigCommand command;
    command.name = "a";
    ASSERT_TRUE(machine_.Run(command, {.request_id = "r" + std::to_string(i)}).ok());
  }
  EXPECT_EQ(machine_.image()->FindRequestResult("r0"), nullptr);
  size_t kept = total - kRequestResultsKeptMin;
  EXPECT_NE(machine_.image()->FindRequestResult("r" + std::to_string(kept)), nullptr);
  EXPECT_NE(machine_.image()->FindRequestResult("r" + std::to_string(total - 1)), nullptr);
  size_t count = 0;
  machine_.image()->ForEachRequestResult([&](const RequestResult&) { ++count; });
  EXPECT_LE(count, kRequestResultsKeptMin + kRequestResultsPerChunk);
  CheckRebuild(*machine_.image());
}

TEST_F(ControllerTest, ValidateOnlyChangesNothing) {
  CommandOptions options{.request_id = "r1", .validate_only = true};
  TopicRef topic = TopicOf(machine_.Run(CreateTopic("a", 2), options));
  ASSERT_NE(topic, nullptr);
  EXPECT_EQ(topic->partitions.size(), 2u);
  EXPECT_EQ(machine_.image()->FindTopic("a"), nullptr);
  EXPECT_EQ(machine_.image()->FindRequestResult("r1"), nullptr);
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("/"), options)), Reason::kInvalidTopicName);
}

TEST_F(ControllerTest, ProducerIdBlocksNeverOverlap) {
  std::set<int64_t> firsts;
  for (int i = 0; i < 100; ++i) {
    absl::StatusOr<Answer> answer = machine_.Run(AllocateProducerIdsCommand{BrokerId(1)});
    ASSERT_TRUE(answer.ok()) << answer.status();
    ProducerIdBlock block = std::get<ProducerIdBlock>(*answer);
    EXPECT_EQ(block.count, 1'000);
    EXPECT_EQ(block.first.value() % 1'000, 0);
    EXPECT_TRUE(firsts.insert(block.first.value()).second);
  }
  EXPECT_EQ(ReasonIn(machine_.Run(AllocateProducerIdsCommand{BrokerId(7)})),
            Reason::kInvalidArgument);
}

// A crash may have lost offsets that were given out; a clean stop lost nothing.
TEST_F(ControllerTest, LeaderEpochsRiseAfterACrashOnly) {
  ASSERT_TRUE(machine_.Run(CreateTopic("a", 2)).ok());
  auto epoch = [&] { return machine_.image()->FindTopic("a")->partitions[1].leader_epoch; };
  int64_t broker_epoch = machine_.image()->brokers().at(BrokerId(1)).epoch;
  machine_.RegisterBroker(1);  // without a clean stop
  EXPECT_EQ(epoch(), LeaderEpoch(1));
  EXPECT_GT(machine_.image()->brokers().at(BrokerId(1)).epoch, broker_epoch);
  EXPECT_EQ(ReasonIn(machine_.Run(FenceBrokerCommand{BrokerId(1), broker_epoch})),
            Reason::kFencedEpoch);
  broker_epoch = machine_.image()->brokers().at(BrokerId(1)).epoch;
  ASSERT_TRUE(machine_.Run(FenceBrokerCommand{BrokerId(1), broker_epoch}).ok());
  EXPECT_TRUE(machine_.image()->brokers().at(BrokerId(1)).fenced);
  EXPECT_EQ(ReasonIn(machine_.Run(CreateTopic("b"))), Reason::kReplicationUnavailable);
  machine_.RegisterBroker(1);
  EXPECT_EQ(epoch(), LeaderEpoch(1));
  EXPECT_FALSE(machine_.image()->brokers().at(BrokerId(1)).fenced);
}

TEST_F(ControllerTest, RefusesABrokerOfAnotherCluster) {
  RegisterBrokerCommand command;
  command.broker = BrokerId(2);
  command.directory = DirectoryId{Uuid::FromRandom(5, 6)};
  command.address = "localhost:1";
  command.cluster = ClusterId{Uuid::FromRandom(7, 8)};
  EXPECT_EQ(ReasonIn(machine_.Run(command)), Reason::kDirectoryMismatch);
}

TEST(Placement, SpreadsLeadersAndFollowers) {
  std::vector<BrokerId> brokers;
  for (int32_t i = 0; i < 5; ++i) brokers.emplace_back(i);
  std::map<BrokerId, int> leaders;
  std::map<BrokerId, int> replicas;
  for (size_t ordinal = 0; ordinal < 100; ++ordinal) {
    std::vector<BrokerId> placed = PlaceReplicas(brokers, 3, ordinal);
    ASSERT_EQ(std::set<BrokerId>(placed.begin(), placed.end()).size(), 3u);
    ++leaders[placed[0]];
    for (BrokerId id : placed) ++replicas[id];
  }
  for (BrokerId id : brokers) {
    EXPECT_EQ(leaders[id], 20);
    EXPECT_EQ(replicas[id], 60);
  }
}

}  // namespace
}  // namespace catamaran::metadata
