// TopicService and ClusterService handlers over a metadata service on a simulated node.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "broker/api/cluster_api.h"
#include "broker/api/topic_api.h"
#include "gtest/gtest.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::broker {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);

class ControlApiTest : public ::testing::Test {
 protected:
  ControlApiTest()
      : node_(world_, "n"),
        executor_(node_.MakeExecutor("metadata")),
        pool_(node_.MakeIoPool()),
        log_(metadata::MakeLocalMetadataLog(disk_, "metadata", *pool_, *executor_)),
        service_(executor_.get(), log_.get(), Random(7), Options()),
        topics_(&service_, {{"retention.ms", "99"}}),
        cluster_(&service_, {.broker = BrokerId(1), .version = "1.2.3"}) {}
  ~ControlApiTest() override { node_.Kill(); }

  void SetUp() override {
    ASSERT_TRUE(service_.Start().ok());
    metadata::RegisterBrokerCommand command;
    command.broker = BrokerId(1);
    command.directory = DirectoryId{Uuid::FromRandom(3, 4)};
    command.address = "localhost:7400";
    command.rack = "r1";
    command.cluster = ClusterId{Uuid::FromRandom(1, 2)};
    bool registered = false;
    service_.Submit(command, {}, [&](absl::StatusOr<metadata::Answer> answer) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      registered = true;
    });
    ASSERT_TRUE(world_.RunUntil([&] { return registered; }, kPatience));
  }

  static metadata::MetadataServiceOptions Options() {
    metadata::MetadataServiceOptions options;
    options.controller = BrokerId(1);
    options.watch.deltas_kept_max = 4;
    return options;
  }

  template <class Response, class Api, class Request>
  absl::StatusOr<Response> Call(Api& api,
                                void (Api::*method)(const CallContext&, Request, Reply<Response>),
                                Request request) {
    std::optional<absl::StatusOr<Response>> result;
    (api.*method)(CallContext{}, std::move(request),
                  [&](absl::StatusOr<Response> response) { result = std::move(response); });
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, kPatience));
    return result ? *std::move(result) : absl::UnknownError("no answer");
  }

  absl::StatusOr<v1::CreateTopicResponse> Create(const std::string& name, int32_t partitions = 1) {
    v1::CreateTopicRequest request;
    request.set_name(name);
    request.set_partition_count(partitions);
    return Call(topics_, &TopicApi::CreateTopic, request);
  }

  sim::SimFileSystem disk_{1};
  sim::World world_{1};
  sim::SimNode node_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<IoPool> pool_;
  std::unique_ptr<metadata::MetadataLog> log_;
  metadata::MetadataService service_;
  TopicApi topics_;
  ClusterApi cluster_;
};

std::pair<std::string, v1::ConfigOrigin> ConfigIn(const v1::Topic& topic, const std::string& name) {
  for (const v1::ConfigEntry& entry : topic.configs()) {
    if (entry.name() == name) return {entry.value(), entry.origin()};
  }
  return {"", v1::CONFIG_ORIGIN_UNSPECIFIED};
}

TEST_F(ControlApiTest, ATopicsLife) {
  v1::CreateTopicRequest create;
  create.set_name("cars");
  create.set_partition_count(2);
  (*create.mutable_configs())["segment.bytes"] = "1048576";
  create.set_request_id("r1");
  auto created = Call(topics_, &TopicApi::CreateTopic, create);
  ASSERT_TRUE(created.ok()) << created.status();
  const v1::Topic& topic = created->topic();
  EXPECT_EQ(topic.topic_id().size(), 16u);
  ASSERT_EQ(topic.partitions_size(), 2);
  EXPECT_EQ(topic.partitions(1).partition(), 1);
  EXPECT_EQ(topic.partitions(1).leader(), 1);
  EXPECT_EQ(ConfigIn(topic, "segment.bytes"),
            std::pair(std::string("1048576"), v1::CONFIG_ORIGIN_TOPIC));
  EXPECT_EQ(ConfigIn(topic, "retention.ms"),
            std::pair(std::string("99"), v1::CONFIG_ORIGIN_BROKER));
  EXPECT_EQ(ConfigIn(topic, "durability"),
            std::pair(std::string("sync"), v1::CONFIG_ORIGIN_DEFAULT));
  auto again = Call(topics_, &TopicApi::CreateTopic, create);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->topic().topic_id(), topic.topic_id());

  v1::GetTopicRequest get;
  get.set_topic_id(topic.topic_id());
  auto got = Call(topics_, &TopicApi::GetTopic, get);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->topic().SerializeAsString(), topic.SerializeAsString());

  v1::UpdateTopicConfigRequest update;
  update.set_name("cars");
  (*update.mutable_set_configs())["retention.ms"] = "5";
  update.add_remove_configs("segment.bytes");
  update.set_expected_version(topic.version());
  auto updated = Call(topics_, &TopicApi::UpdateTopicConfig, update);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(ConfigIn(updated->topic(), "retention.ms").first, "5");
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::UpdateTopicConfig, update).status()),
            Reason::kVersionMismatch);

  v1::CreatePartitionsRequest grow;
  grow.set_name("cars");
  grow.set_partition_count(5);
  auto grown = Call(topics_, &TopicApi::CreatePartitions, grow);
  ASSERT_TRUE(grown.ok()) << grown.status();
  EXPECT_EQ(grown->topic().partitions_size(), 5);

  v1::DeleteTopicRequest remove;
  remove.set_name("cars");
  remove.set_topic_id(std::string(16, 'x'));
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::DeleteTopic, remove).status()),
            Reason::kTopicIdMismatch);
  remove.set_topic_id("short");
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::DeleteTopic, remove).status()),
            Reason::kInvalidArgument);
  remove.set_topic_id(topic.topic_id());
  remove.set_validate_only(true);
  ASSERT_TRUE(Call(topics_, &TopicApi::DeleteTopic, remove).ok());
  ASSERT_TRUE(Call(topics_, &TopicApi::GetTopic, get).ok());
  remove.set_validate_only(false);
  auto removed = Call(topics_, &TopicApi::DeleteTopic, remove);
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->topic_id(), topic.topic_id());
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::GetTopic, get).status()), Reason::kUnknownTopic);
}

TEST_F(ControlApiTest, GetTopicChecksWhatItIsGiven) {
  ASSERT_TRUE(Create("a").ok());
  ASSERT_TRUE(Create("b").ok());
  auto reason = [&](const std::string& name, const std::string& id) {
    v1::GetTopicRequest request;
    request.set_name(name);
    request.set_topic_id(id);
    return ReasonOf(Call(topics_, &TopicApi::GetTopic, request).status());
  };
  std::string id_of_b = service_.image()->FindTopic("b")->id.uuid.ToBytes();
  EXPECT_EQ(reason("", ""), Reason::kInvalidArgument);
  EXPECT_EQ(reason("a/b", ""), Reason::kInvalidTopicName);
  EXPECT_EQ(reason("c", ""), Reason::kUnknownTopic);
  EXPECT_EQ(reason("a", id_of_b), Reason::kTopicIdMismatch);
  EXPECT_EQ(reason("a", "x"), Reason::kInvalidArgument);
  EXPECT_EQ(reason("", std::string(16, 'x')), Reason::kUnknownTopic);
}

TEST_F(ControlApiTest, ListsPageByPage) {
  for (int i = 0; i < 25; ++i) ASSERT_TRUE(Create("t" + std::to_string(100 + i)).ok());
  v1::ListTopicsRequest request;
  request.set_page_size(10);
  std::vector<std::string> names;
  int pages = 0;
  do {
    auto page = Call(topics_, &TopicApi::ListTopics, request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::Topic& topic : page->topics()) names.push_back(topic.name());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(names.size(), 25u);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  request.set_page_token("nonsense");
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::ListTopics, request).status()),
            Reason::kInvalidArgument);
  request.clear_page_token();
  request.set_page_size(-1);
  EXPECT_EQ(ReasonOf(Call(topics_, &TopicApi::ListTopics, request).status()),
            Reason::kInvalidArgument);
}

TEST_F(ControlApiTest, TellsOfTheCluster) {
  ASSERT_TRUE(Create("a", 3).ok());
  auto info = Call(cluster_, &ClusterApi::GetClusterInfo, v1::GetClusterInfoRequest());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->cluster_id().size(), 36u);
  EXPECT_EQ(info->broker_id(), 1);
  EXPECT_EQ(info->controller_id(), 1);
  ASSERT_EQ(info->brokers_size(), 1);
  EXPECT_EQ(info->brokers(0).rack(), "r1");
  EXPECT_EQ(info->brokers(0).state(), v1::BROKER_STATE_RUNNING);
  EXPECT_EQ(info->topic_count(), 1);
  EXPECT_EQ(info->partition_count(), 3);
  EXPECT_EQ(info->version(), "1.2.3");

  ASSERT_TRUE(Create("b").ok());
  v1::GetMetadataRequest request;
  request.add_topics("a");
  request.add_topics("nothing");
  request.add_topic_ids(service_.image()->FindTopic("a")->id.uuid.ToBytes());
  auto metadata = Call(cluster_, &ClusterApi::GetMetadata, request);
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  ASSERT_EQ(metadata->topics_size(), 1) << "each once, unknown ones left out";
  EXPECT_EQ(metadata->topics(0).name(), "a");
  EXPECT_EQ(metadata->topics(0).configs_size(), 0);
  request.set_all_topics(true);
  EXPECT_EQ(Call(cluster_, &ClusterApi::GetMetadata, request)->topics_size(), 2);
  request.set_all_topics(false);
  request.add_topic_ids("x");
  EXPECT_EQ(ReasonOf(Call(cluster_, &ClusterApi::GetMetadata, request).status()),
            Reason::kInvalidArgument);
}

class Watcher {
 public:
  explicit Watcher(std::unique_ptr<MetadataWatch> watch) : watch_(std::move(watch)) { Ask(); }
  void Ask() {
    event_.reset();
    watch_->Next(
        [this](absl::StatusOr<v1::WatchMetadataResponse> event) { event_ = std::move(event); });
  }
  const std::optional<absl::StatusOr<v1::WatchMetadataResponse>>& event() const { return event_; }
  MetadataWatch& watch() { return *watch_; }

 private:
  std::optional<absl::StatusOr<v1::WatchMetadataResponse>> event_;
  std::unique_ptr<MetadataWatch> watch_;
};

TEST_F(ControlApiTest, WatchesFromASnapshotOn) {
  ASSERT_TRUE(Create("a").ok());
  auto watch = cluster_.WatchMetadata({}, {});
  ASSERT_TRUE(watch.ok()) << watch.status();
  Watcher watcher(*std::move(watch));
  ASSERT_TRUE(watcher.event() && watcher.event()->ok());
  EXPECT_EQ((*watcher.event())->snapshot().topics_size(), 1);
  int64_t revision = (*watcher.event())->revision();
  EXPECT_EQ(revision, service_.image()->revision().value());
  watcher.Ask();
  EXPECT_FALSE(watcher.event().has_value());
  ASSERT_TRUE(Create("b", 2).ok());
  ASSERT_TRUE(watcher.event() && watcher.event()->ok());
  ASSERT_EQ((*watcher.event())->events_size(), 1);
  EXPECT_EQ((*watcher.event())->events(0).topic_updated().partitions_size(), 2);
  EXPECT_GT((*watcher.event())->revision(), revision);

  // Another one resumes where this one was.
  v1::WatchMetadataRequest resume;
  resume.set_from_revision(revision);
  auto second = cluster_.WatchMetadata({}, resume);
  ASSERT_TRUE(second.ok()) << second.status();
  Watcher resumed(*std::move(second));
  ASSERT_TRUE(resumed.event() && resumed.event()->ok());
  EXPECT_EQ((*resumed.event())->events(0).topic_updated().name(), "b");

  watcher.Ask();
  v1::DeleteTopicRequest remove;
  remove.set_name("a");
  ASSERT_TRUE(Call(topics_, &TopicApi::DeleteTopic, remove).ok());
  ASSERT_TRUE(watcher.event() && watcher.event()->ok());
  EXPECT_EQ((*watcher.event())->events(0).topic_removed().name(), "a");
}

TEST_F(ControlApiTest, AWatchEndsTyped) {
  auto watch = cluster_.WatchMetadata({}, {});
  ASSERT_TRUE(watch.ok());
  Watcher watcher(*std::move(watch));
  watcher.Ask();
  watcher.watch().Cancel();
  ASSERT_TRUE(watcher.event().has_value());
  EXPECT_EQ(ReasonOf(watcher.event()->status()), Reason::kCancelled);
  EXPECT_EQ(service_.watch_hub().watcher_count(), 0u);

  v1::WatchMetadataRequest request;
  request.set_from_revision(-1);
  EXPECT_EQ(ReasonOf(cluster_.WatchMetadata({}, request).status()), Reason::kInvalidArgument);
  request.set_from_revision(999);
  EXPECT_EQ(ReasonOf(cluster_.WatchMetadata({}, request).status()), Reason::kWatchExpired);

  // One that doesn't read while the world goes on.
  auto slow = cluster_.WatchMetadata({}, {});
  ASSERT_TRUE(slow.ok());
  Watcher late(*std::move(slow));
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(Create("t" + std::to_string(i)).ok());
  late.Ask();
  ASSERT_TRUE(late.event().has_value());
  EXPECT_EQ(ReasonOf(late.event()->status()), Reason::kWatchExpired);
}

TEST_F(ControlApiTest, AWatchThatIsDestroyedStaysSilent) {
  int called = 0;
  {
    auto watch = cluster_.WatchMetadata({}, {});
    ASSERT_TRUE(watch.ok());
    (*watch)->Next([&](absl::StatusOr<v1::WatchMetadataResponse>) { ++called; });
    EXPECT_EQ(called, 1);
    (*watch)->Next([&](absl::StatusOr<v1::WatchMetadataResponse>) { ++called; });
  }
  ASSERT_TRUE(Create("a").ok());
  EXPECT_EQ(called, 1);
}

}  // namespace
}  // namespace catamaran::broker
