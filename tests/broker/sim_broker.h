// A whole data plane in virtual time: node, metadata and storage over the simulated disk and clock.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "broker/api/topic_api.h"
#include "broker/node.h"
#include "metadata/metadata_log.h"
#include "metadata/metadata_service.h"
#include "storage/sync_service.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::broker {

class SimBroker {
 public:
  explicit SimBroker(uint64_t seed, sim::SimNodeOptions options = {})
      : world(seed), node_host(world, "b0", options), disk(seed) {}
  ~SimBroker() {
    if (life_ != nullptr) Kill();
  }

  // One life of the process. Returns the result of BrokerNode::Start.
  absl::Status Start() {
    life_ = std::make_unique<Life>();
    Life& life = *life_;
    life.pool = node_host.MakeIoPool();
    life.metadata_executor = node_host.MakeExecutor("metadata");
    for (int i = 0; i < 2; ++i) {
      life.shards.push_back(node_host.MakeExecutor("shard" + std::to_string(i)));
    }
    life.log =
        metadata::MakeLocalMetadataLog(disk, "metadata", *life.pool, *life.metadata_executor);
    life.metadata = std::make_unique<metadata::MetadataService>(
        life.metadata_executor.get(), life.log.get(), world.random().Fork(),
        metadata::MetadataServiceOptions{.controller = kSelf});
    if (absl::Status status = life.metadata->Start(); !status.ok()) return status;
    life.sync = storage::MakeSyncService(storage::SyncStrategy::kAdaptive, disk, *life.pool);
    NodeSeams seams{.clock = &node_host.clock(),
                    .fs = &disk,
                    .pool = life.pool.get(),
                    .sync = life.sync.get(),
                    .metadata = life.metadata.get(),
                    .counters = &life.counters,
                    .warn = [this](const std::string& text) { warnings.push_back(text); }};
    std::vector<Executor*> shards;
    for (const auto& shard : life.shards) shards.push_back(shard.get());
    NodeOptions options;
    options.self = kSelf;
    options.limits = limits;
    options.seed = 7;
    life.node = std::make_unique<BrokerNode>(seams, shards, options);
    life.topics = std::make_unique<TopicApi>(life.metadata.get(), metadata::TopicDefaults{});
    Register();
    std::optional<absl::Status> ready;
    life.node->Start([&](absl::Status status) { ready = std::move(status); });
    if (!world.RunUntil([&] { return ready.has_value(); }, std::chrono::minutes(10))) {
      return absl::DeadlineExceededError("the node didn't become ready");
    }
    return *ready;
  }

  // kill -9, or with power: the unsynced is lost.
  void Kill(sim::SimCrash kind = sim::SimCrash::kProcessOnly) {
    node_host.Kill();
    life_ = nullptr;
    disk.Restart(kind);
    node_host.Restart();
  }
  bool Stop() {
    bool stopped = false;
    node().Stop([&](bool clean) {
      stopped = true;
      stopped_clean = clean;
    });
    return world.RunUntil([&] { return stopped; }, std::chrono::minutes(1));
  }

  // Calls a handler and runs the world until it has answered.
  template <class Response, class Call>
  absl::StatusOr<Response> Await(Call call, Duration limit = std::chrono::minutes(2)) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<Response>>>();
    call(Reply<Response>(
        [answer](absl::StatusOr<Response> response) { *answer = std::move(response); }));
    if (!world.RunUntil([&] { return answer->has_value(); }, limit)) {
      return absl::DeadlineExceededError("no answer");
    }
    return *std::move(*answer);
  }

  absl::Status CreateTopic(const std::string& name, int partitions = 1,
                           std::map<std::string, std::string> configs = {}) {
    v1::CreateTopicRequest request;
    request.set_name(name);
    request.set_partition_count(partitions);
    for (const auto& [key, value] : configs) (*request.mutable_configs())[key] = value;
    return Await<v1::CreateTopicResponse>(
               [&](auto reply) { life_->topics->CreateTopic({}, request, std::move(reply)); })
        .status();
  }
  absl::Status DeleteTopic(const std::string& name) {
    v1::DeleteTopicRequest request;
    request.set_name(name);
    return Await<v1::DeleteTopicResponse>(
               [&](auto reply) { life_->topics->DeleteTopic({}, request, std::move(reply)); })
        .status();
  }
  absl::StatusOr<v1::ProduceResponse> Produce(v1::ProduceRequest request) {
    return Await<v1::ProduceResponse>([&](auto reply) {
      node().produce_api().Produce({}, std::move(request), std::move(reply));
    });
  }
  // One record with this value to partition 0.
  absl::StatusOr<v1::ProduceResponse> Produce(const std::string& topic, const std::string& value) {
    v1::ProduceRequest request;
    request.set_topic(topic);
    request.set_partition(0);
    request.add_records()->set_value(value);
    return Produce(std::move(request));
  }
  absl::StatusOr<v1::FetchResponse> Fetch(const std::string& topic, int64_t offset,
                                          int32_t max_wait_ms = 0, int32_t partition = 0) {
    v1::FetchRequest request;
    request.set_topic(topic);
    request.set_partition(partition);
    request.set_offset(offset);
    request.set_max_wait_ms(max_wait_ms);
    return Await<v1::FetchResponse>(
        [&](auto reply) { node().fetch_api().Fetch({}, std::move(request), std::move(reply)); });
  }
  std::string TopicIdOf(const std::string& topic) {
    return life_->metadata->image()->FindTopic(topic)->id.uuid.ToBytes();
  }
  // Runs `check` for each replica and the invariants, on this thread: nothing else runs now.
  void CheckInvariants() {
    for (const auto& shard : node().replicas().shards()) shard->CheckInvariants();
  }

  BrokerNode& node() { return *life_->node; }
  metadata::MetadataService& metadata() { return *life_->metadata; }
  Counters& counters() { return life_->counters; }

  static constexpr BrokerId kSelf{0};
  sim::World world;
  sim::SimNode node_host;
  sim::SimFileSystem disk;
  ApiLimits limits;
  std::vector<std::string> warnings;
  bool stopped_clean = false;  // what the last Stop() said

 private:
  struct Life {
    // In the order made: the pool and the executors go last.
    std::unique_ptr<IoPool> pool;
    std::unique_ptr<Executor> metadata_executor;
    std::vector<std::unique_ptr<Executor>> shards;
    Counters counters;
    std::unique_ptr<metadata::MetadataLog> log;
    std::unique_ptr<metadata::MetadataService> metadata;
    std::unique_ptr<storage::SyncService> sync;
    std::unique_ptr<BrokerNode> node;
    std::unique_ptr<TopicApi> topics;
  };

  void Register() {
    std::optional<absl::StatusOr<metadata::Answer>> answer;
    life_->metadata->Submit(
        metadata::RegisterBrokerCommand{.broker = kSelf,
                                        .directory = DirectoryId{Uuid::FromRandom(3, 4)},
                                        .address = "sim:1",
                                        .cluster = ClusterId{Uuid::FromRandom(5, 6)}},
        {}, [&](absl::StatusOr<metadata::Answer> result) { answer = std::move(result); });
    CATAMARAN_CHECK(world.RunUntil([&] { return answer.has_value(); }, std::chrono::minutes(1)),
                    "the broker registers");
    CATAMARAN_CHECK(answer->ok(), answer->status().ToString());
  }

  std::unique_ptr<Life> life_;
};

}  // namespace catamaran::broker
