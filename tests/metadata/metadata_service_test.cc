#include "metadata/metadata_service.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/metadata/metadata_fixture.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::metadata {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);

// A metadata service on a simulated node.
class ServiceLife {
 public:
  explicit ServiceLife(sim::SimFileSystem& disk, MetadataServiceOptions options = {})
      : node_(world_, "n"),
        executor_(node_.MakeExecutor("metadata")),
        reader_(node_.MakeExecutor("reader")),
        pool_(node_.MakeIoPool()),
        log_(MakeLocalMetadataLog(disk, "metadata", *pool_, *executor_)),
        service_(std::make_unique<MetadataService>(executor_.get(), log_.get(), Random(7),
                                                   WithController(std::move(options)))) {}
  ~ServiceLife() { node_.Kill(); }

  absl::Status Start() { return service_->Start(); }
  absl::StatusOr<Answer> Run(Command command, CommandOptions options = {}) {
    std::optional<absl::StatusOr<Answer>> result;
    service_->Submit(std::move(command), std::move(options),
                     [&](absl::StatusOr<Answer> answer) { result = std::move(answer); });
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, kPatience));
    return result ? *std::move(result) : absl::UnknownError("no answer");
  }
  void Register() {
    RegisterBrokerCommand command;
    command.broker = BrokerId(1);
    command.directory = DirectoryId{Uuid::FromRandom(3, 4)};
    command.address = "localhost:7400";
    command.cluster = TestCluster();
    absl::StatusOr<Answer> answer = Run(command);
    ASSERT_TRUE(answer.ok()) << answer.status();
  }
  MetadataService& service() { return *service_; }
  sim::World& world() { return world_; }
  Executor* reader() { return reader_.get(); }

 private:
  static MetadataServiceOptions WithController(MetadataServiceOptions options) {
    options.controller = BrokerId(1);
    return options;
  }

  sim::World world_{1};
  sim::SimNode node_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Executor> reader_;
  std::unique_ptr<IoPool> pool_;
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<MetadataService> service_;
};

TEST(MetadataService, KeepsEverythingOverARestart) {
  sim::SimFileSystem disk(1);
  uint64_t hash = 0;
  {
    ServiceLife life(disk);
    ASSERT_TRUE(life.Start().ok());
    life.Register();
    ASSERT_TRUE(life.Run(CreateTopic("a", 3), {.request_id = "r1"}).ok());
    EXPECT_EQ(ReasonIn(life.Run(CreateTopic("a"))), Reason::kTopicExists);
    hash = life.service().image()->StateHash();
    EXPECT_EQ(life.service().image()->controller(), BrokerId(1));
  }
  disk.Restart();
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  EXPECT_EQ(life.service().image()->StateHash(), hash);
  TopicRef again = TopicOf(life.Run(CreateTopic("a", 3), {.request_id = "r1"}));
  ASSERT_NE(again, nullptr) << "the request id outlives the restart";
}

TEST(MetadataService, DecidesGatheredCommandsInOrder) {
  sim::SimFileSystem disk(1);
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  life.Register();
  std::vector<std::string> answers;
  auto submit = [&](Command command) {
    life.service().Submit(std::move(command), {}, [&](absl::StatusOr<Answer> answer) {
      answers.push_back(answer.ok() ? "ok" : std::string(ReasonName(ReasonOf(answer.status()))));
    });
  };
  submit(CreateTopic("a"));
  submit(CreateTopic("a"));
  submit(DeleteTopicCommand{"a", {}});
  submit(CreateTopic("a", 4));
  submit(CreatePartitionsCommand{"a", 3});
  ASSERT_TRUE(life.world().RunUntil([&] { return answers.size() == 5; }, kPatience));
  EXPECT_EQ(answers,
            (std::vector<std::string>{"ok", "TOPIC_EXISTS", "ok", "ok", "INVALID_ARGUMENT"}));
  EXPECT_EQ(life.service().image()->FindTopic("a")->partitions.size(), 4u);
}

TEST(MetadataService, SubscribersSeeEveryChangeOnce) {
  sim::SimFileSystem disk(1);
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  life.Register();
  ASSERT_TRUE(life.Run(CreateTopic("before")).ok());
  TopicsAndBrokers view;
  MetadataRevision at{0};
  life.service().Subscribe(
      life.reader(), [&](const ImageRef& image, const std::shared_ptr<const MetadataDelta>& delta) {
        EXPECT_EQ(delta->from, at);
        at = delta->to;
        ApplyDelta(*delta, view);
        EXPECT_TRUE(view == ViewOf(*image));
      });
  ASSERT_TRUE(life.Run(CreateTopic("after", 2)).ok());
  ASSERT_TRUE(life.Run(DeleteTopicCommand{"before", {}}).ok());
  ASSERT_TRUE(
      life.world().RunUntil([&] { return at == life.service().image()->revision(); }, kPatience));
  EXPECT_EQ(view.topics.size(), 1u);
}

TEST(MetadataService, TheQueueIsBounded) {
  sim::SimFileSystem disk(1);
  MetadataServiceOptions options;
  options.pending_commands_max = 3;
  ServiceLife life(disk, std::move(options));
  ASSERT_TRUE(life.Start().ok());
  life.Register();
  int ok = 0;
  int overloaded = 0;
  for (int i = 0; i < 10; ++i) {
    life.service().Submit(CreateTopic("t" + std::to_string(i)), {},
                          [&](absl::StatusOr<Answer> answer) {
                            ok += answer.ok() ? 1 : 0;
                            overloaded += ReasonIn(answer) == Reason::kOverloaded ? 1 : 0;
                          });
  }
  ASSERT_TRUE(life.world().RunUntil([&] { return ok + overloaded == 10; }, kPatience));
  EXPECT_EQ(ok, 3);
  EXPECT_EQ(overloaded, 7);
  EXPECT_EQ(life.service().pending_commands(), 0u);
  EXPECT_TRUE(life.Run(CreateTopic("later")).ok());
}

TEST(MetadataService, AFullDiskRefusesAndServiceResumes) {
  sim::SimFileSystem disk(1);
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  life.Register();
  disk.SetCapacity(disk.used_bytes());
  EXPECT_EQ(ReasonIn(life.Run(CreateTopic("a", 2'000))), Reason::kStorageFull);
  EXPECT_EQ(life.service().image()->FindTopic("a"), nullptr);
  EXPECT_TRUE(life.service().health().ok());
  disk.SetCapacity(uint64_t{1} << 30);
  EXPECT_TRUE(life.Run(CreateTopic("a", 2'000)).ok());
}

TEST(MetadataService, AFailedSyncLatchesAndReadsGoOn) {
  sim::SimFileSystem disk(1);
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  life.Register();
  ASSERT_TRUE(life.Run(CreateTopic("a")).ok());
  disk.FailNext(sim::SimDiskOperation::kSync);
  EXPECT_EQ(ReasonIn(life.Run(CreateTopic("b"))), Reason::kStorageFailed);
  EXPECT_EQ(ReasonIn(life.Run(CreateTopic("c"))), Reason::kStorageFailed);
  EXPECT_FALSE(life.service().health().ok());
  EXPECT_NE(life.service().image()->FindTopic("a"), nullptr);
  EXPECT_EQ(life.service().image()->FindTopic("b"), nullptr);
}

TEST(MetadataService, StopAnswersWhatWaitsAndLeavesASnapshot) {
  sim::SimFileSystem disk(1);
  uint64_t hash = 0;
  {
    ServiceLife life(disk);
    ASSERT_TRUE(life.Start().ok());
    life.Register();
    bool answered = false;
    bool stopped = false;
    life.service().Submit(CreateTopic("a"), {}, [&](absl::StatusOr<Answer> answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      EXPECT_FALSE(stopped);
      answered = true;
    });
    life.service().Stop([&] { stopped = true; });
    ASSERT_TRUE(life.world().RunUntil([&] { return stopped; }, kPatience));
    EXPECT_TRUE(answered);
    EXPECT_EQ(ReasonIn(life.Run(CreateTopic("b"))), Reason::kShuttingDown);
    EXPECT_EQ(ReasonOf(life.service().watch_hub().Add(std::nullopt, [] {}).status()),
              Reason::kShuttingDown);
    hash = life.service().image()->StateHash();
  }
  EXPECT_TRUE(disk.Stat("metadata/snapshot").ok());
  disk.Restart();
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  EXPECT_EQ(life.service().image()->StateHash(), hash);
}

TEST(MetadataService, SnapshotsAreTakenAsTheLogGrows) {
  sim::SimFileSystem disk(1);
  uint64_t hash = 0;
  {
    MetadataServiceOptions options;
    options.snapshot_after_bytes = 4'096;
    ServiceLife life(disk, std::move(options));
    ASSERT_TRUE(life.Start().ok());
    life.Register();
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(life.Run(CreateTopic("t" + std::to_string(i))).ok());
    }
    hash = life.service().image()->StateHash();
  }
  EXPECT_TRUE(disk.Stat("metadata/snapshot").ok());
  disk.Restart();
  ServiceLife life(disk);
  ASSERT_TRUE(life.Start().ok());
  EXPECT_EQ(life.service().image()->StateHash(), hash);
}

// kill -9 and power cuts at many moments: what was answered with OK is there afterwards.
TEST(MetadataServiceCrash, AnsweredChangesAreNeverLost) {
  int answered_before_crash = 0;
  for (uint64_t at = 1; at <= 60; ++at) {
    sim::SimFileSystem disk(at);
    std::vector<std::string> created;
    {
      MetadataServiceOptions options;
      options.snapshot_after_bytes = 500;
      ServiceLife life(disk, std::move(options));
      disk.SetCrashAfter(at);
      if (life.Start().ok()) {
        for (int i = 0; i < 12 && !disk.crashed(); ++i) {
          if (i == 0) {
            RegisterBrokerCommand command;
            command.broker = BrokerId(1);
            command.directory = DirectoryId{Uuid::FromRandom(3, 4)};
            command.address = "localhost:7400";
            command.cluster = TestCluster();
            if (!life.Run(command).ok()) break;
            continue;
          }
          std::string name = "t" + std::to_string(i);
          if (!life.Run(CreateTopic(name, 3)).ok()) break;
          created.push_back(name);
        }
      }
    }
    disk.SetCrashAfter(0);
    disk.Restart();
    ServiceLife life(disk);
    ASSERT_TRUE(life.Start().ok()) << "crash at " << at;
    for (const std::string& name : created) {
      EXPECT_NE(life.service().image()->FindTopic(name), nullptr) << name << " crash at " << at;
    }
    answered_before_crash += static_cast<int>(created.size());
  }
  EXPECT_GT(answered_before_crash, 50);
}

class WatchHubTest : public ::testing::Test {
 protected:
  WatchHubTest() { machine_.RegisterBroker(1); }

  // A topic more, published.
  void Change(WatchHub& hub) {
    ImageRef before = machine_.image();
    ASSERT_TRUE(machine_.Run(CreateTopic("t" + std::to_string(count_++))).ok());
    auto delta = std::make_shared<MetadataDelta>();
    delta->from = before->revision();
    delta->to = machine_.image()->revision();
    delta->topics_updated.push_back(nullptr);
    hub.Publish(machine_.image(), delta);
  }

  Machine machine_;
  int count_ = 0;
};

TEST_F(WatchHubTest, FollowsFromASnapshotOrARevision) {
  WatchHub hub({}, machine_.image());
  int wakes = 0;
  auto fresh = hub.Add(std::nullopt, [&] { ++wakes; });
  ASSERT_TRUE(fresh.ok());
  auto first = hub.Next(*fresh);
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_EQ((*first)->snapshot, machine_.image());
  MetadataRevision seen = machine_.image()->revision();
  EXPECT_FALSE(hub.Next(*fresh)->has_value());
  Change(hub);
  EXPECT_EQ(wakes, 1);
  Change(hub);
  EXPECT_EQ(wakes, 1) << "once per time that there was nothing";
  auto resumed = hub.Add(seen, [] {});
  ASSERT_TRUE(resumed.ok());
  for (auto watcher : {*fresh, *resumed}) {
    MetadataRevision at = seen;
    for (int i = 0; i < 2; ++i) {
      auto event = hub.Next(watcher);
      ASSERT_TRUE(event.ok() && event->has_value());
      EXPECT_EQ((*event)->delta->from, at);
      at = (*event)->delta->to;
    }
    EXPECT_FALSE(hub.Next(watcher)->has_value());
  }
}

TEST_F(WatchHubTest, ASlowWatcherIsCutOff) {
  WatchHub hub({.deltas_kept_max = 3, .topics_kept_max = 1'000, .watchers_max = 2},
               machine_.image());
  MetadataRevision old = machine_.image()->revision();
  auto slow = hub.Add(old, [] {});
  ASSERT_TRUE(slow.ok());
  for (int i = 0; i < 5; ++i) Change(hub);
  EXPECT_EQ(ReasonOf(hub.Next(*slow).status()), Reason::kWatchExpired);
  hub.Remove(*slow);
  EXPECT_EQ(ReasonOf(hub.Add(old, [] {}).status()), Reason::kWatchExpired);
  EXPECT_EQ(ReasonOf(hub.Add(MetadataRevision(999'999), [] {}).status()), Reason::kWatchExpired);
  ASSERT_TRUE(hub.Add(std::nullopt, [] {}).ok());
  ASSERT_TRUE(hub.Add(std::nullopt, [] {}).ok());
  EXPECT_EQ(ReasonOf(hub.Add(std::nullopt, [] {}).status()), Reason::kOverloaded);
}

TEST_F(WatchHubTest, CloseWakesAndEndsAll) {
  WatchHub hub({}, machine_.image());
  int wakes = 0;
  auto watcher = hub.Add(machine_.image()->revision(), [&] { ++wakes; });
  ASSERT_TRUE(watcher.ok());
  EXPECT_FALSE(hub.Next(*watcher)->has_value());
  hub.Close(MakeError(Reason::kShuttingDown, "Stopping."));
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(ReasonOf(hub.Next(*watcher).status()), Reason::kShuttingDown);
}

}  // namespace
}  // namespace catamaran::metadata
