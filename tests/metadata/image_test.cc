// Random commands: image + delta == next image (checked by the fixture on each step), an image
// rebuilds from its own records, and equal records give equal hashes.
#include "metadata/image.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/metadata/metadata_fixture.h"

namespace catamaran::metadata {
namespace {

Command RandomCommand(Random& random, const MetadataImage& image) {
  std::string name = "t" + std::to_string(random.Below(12));
  switch (random.Below(8)) {
    case 0:
    case 1:
    case 2:
      return CreateTopic(name, static_cast<int32_t>(random.Below(6)));
    case 3:
      return DeleteTopicCommand{name, {}};
    case 4:
      return CreatePartitionsCommand{name, static_cast<int32_t>(random.Below(12))};
    case 5: {
      UpdateTopicConfigCommand command;
      command.name = name;
      if (random.OneIn(2)) command.set["retention.ms"] = std::to_string(random.Below(100));
      if (random.OneIn(2)) command.set["durability"] = random.OneIn(2) ? "sync" : "async";
      if (random.OneIn(3)) command.remove.push_back("flush.ms");
      return command;
    }
    case 6:
      return AllocateProducerIdsCommand{BrokerId(static_cast<int32_t>(random.Below(3)))};
    default: {
      BrokerId id(static_cast<int32_t>(random.Below(3)));
      auto it = image.brokers().find(id);
      if (it != image.brokers().end() && random.OneIn(2)) {
        return FenceBrokerCommand{id, it->second.epoch};
      }
      RegisterBrokerCommand command;
      command.broker = id;
      command.directory = DirectoryId{random.NextUuid()};
      command.address = "h:" + std::to_string(random.Below(100));
      command.cluster = TestCluster();
      return command;
    }
  }
}

TEST(ImageProperty, RandomCommandsKeepThePromises) {
  size_t accepted = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Machine machine(seed);
    Random random(seed * 977);
    machine.RegisterBroker(1);
    std::set<uint64_t> hashes;
    for (int step = 0; step < 150; ++step) {
      CommandOptions options;
      if (random.OneIn(3)) options.request_id = "q" + std::to_string(random.Below(20));
      options.validate_only = random.OneIn(10);
      ImageRef before = machine.image();
      uint64_t hash = before->StateHash();
      absl::StatusOr<Answer> answer = machine.Run(RandomCommand(random, *before), options);
      accepted += answer.ok() ? 1 : 0;
      EXPECT_EQ(before->StateHash(), hash) << "an image never changes";
      bool changed = machine.image()->revision() != before->revision();
      EXPECT_EQ(changed, machine.image()->StateHash() != hash);
      int64_t partitions = 0;
      for (const auto& [name, topic] : machine.image()->topics()) {
        partitions += static_cast<int64_t>(topic->partitions.size());
        EXPECT_EQ(machine.image()->FindTopic(topic->id), topic);
      }
      EXPECT_EQ(partitions, machine.image()->partition_count());
    }
    CheckRebuild(*machine.image());
  }
  EXPECT_GT(accepted, 2'000u);
}

TEST(Replay, TopicThatComesAndGoesWithinADelta) {
  ImageBuilder builder(std::make_shared<MetadataImage>());
  std::string id = Uuid::FromRandom(1, 1).ToBytes();
  Record create;
  create.mutable_topic()->set_name("a");
  create.mutable_topic()->set_topic_id(id);
  Record remove;
  remove.mutable_topic_removed()->set_topic_id(id);
  ASSERT_TRUE(builder.Replay(create).ok());
  ASSERT_TRUE(builder.Replay(remove).ok());
  absl::StatusOr<ImageBuilder::Built> built = builder.Build();
  ASSERT_TRUE(built.ok());
  EXPECT_TRUE(built->delta->topics_updated.empty());
  EXPECT_TRUE(built->delta->topics_removed.empty());
  EXPECT_EQ(built->image->revision(), MetadataRevision(2));
}

// Records that can't follow from the image: each is refused, whatever wrote it.
TEST(Replay, RefusesRecordsThatDontFit) {
  Machine machine;
  machine.RegisterBroker(1);
  TopicRef topic = TopicOf(machine.Run(CreateTopic("a", 1)));
  ASSERT_NE(topic, nullptr);
  std::string id = topic->id.uuid.ToBytes();
  std::vector<Record> bad(14);
  bad[0].mutable_topic()->set_name("a");  // without an id
  bad[1].mutable_topic()->set_name("a/b");
  bad[1].mutable_topic()->set_topic_id(Uuid::FromRandom(9, 9).ToBytes());
  bad[2].mutable_topic()->set_name("a");  // taken
  bad[2].mutable_topic()->set_topic_id(Uuid::FromRandom(9, 9).ToBytes());
  bad[3].mutable_topic_removed()->set_topic_id(Uuid::FromRandom(9, 9).ToBytes());
  bad[4].mutable_partition()->set_topic_id(id);
  bad[4].mutable_partition()->set_partition(2);  // a gap
  bad[5].mutable_partition()->set_topic_id(id);
  bad[5].mutable_partition()->set_partition(1);
  bad[5].mutable_partition()->set_leader(4);  // not in sync
  bad[6].mutable_partition_change()->mutable_partition()->set_topic_id(id);
  bad[6].mutable_partition_change()->mutable_partition()->set_partition_epoch(9);
  bad[7].mutable_topic_config()->set_topic_id(id);  // without a name
  bad[8].mutable_broker()->set_broker_id(1);        // epoch doesn't rise
  bad[8].mutable_broker()->set_directory_id(id);
  bad[9].mutable_broker_removed()->set_broker_id(5);
  bad[10].mutable_producer_ids()->set_next_producer_id(-1);
  bad[11].mutable_cluster()->set_cluster_id(Uuid::FromRandom(9, 9).ToBytes());
  bad[12].mutable_end_batch();
  for (size_t i = 0; i < bad.size(); ++i) {
    ImageBuilder builder(machine.image());
    absl::Status status = builder.Replay(bad[i]);
    Reason expected = i + 1 == bad.size() ? Reason::kUnsupportedVersion : Reason::kCorruptLog;
    EXPECT_EQ(ReasonOf(status), expected) << i << " " << status;
  }
  ImageBuilder builder(machine.image());
  Record begin;
  begin.mutable_begin_batch();
  ASSERT_TRUE(builder.Replay(begin).ok());
  EXPECT_EQ(ReasonOf(builder.Build().status()), Reason::kCorruptLog);
}

}  // namespace
}  // namespace catamaran::metadata
