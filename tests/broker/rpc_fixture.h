// A broker with its real seams: threads, a temporary directory, gRPC on a free port of loopback.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/batch/batch.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "broker/api/cluster_api.h"
#include "broker/api/topic_api.h"
#include "broker/node.h"
#include "broker/rpc/server.h"
#include "catamaran/v1/batch_service.grpc.pb.h"
#include "catamaran/v1/cluster_service.grpc.pb.h"
#include "catamaran/v1/consumer_service.grpc.pb.h"
#include "catamaran/v1/producer_service.grpc.pb.h"
#include "catamaran/v1/topic_service.grpc.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "metadata/metadata_log.h"
#include "metadata/metadata_service.h"
#include "storage/sync_service.h"

namespace catamaran::broker {

// One event that another thread waits for.
class Notification {
 public:
  void Notify() {
    MutexLock lock(&mu_);
    set_ = true;
    condition_.SignalAll();
  }
  bool Wait(Duration timeout) {
    MutexLock lock(&mu_);
    while (!set_) {
      if (!condition_.WaitFor(&mu_, timeout)) return set_;
    }
    return true;
  }

 private:
  Mutex mu_;
  CondVar condition_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
};

class RealBroker {
 public:
  explicit RealBroker(RpcOptions rpc = {}, ApiLimits limits = {}) {
    std::string name = "/tmp/catamaran-rpc-XXXXXX";
    directory_ = mkdtemp(name.data());
    fs_ = OpenPosixFileSystem(directory_).value();
    pool_ = MakeIoThreadPool({});
    metadata_executor_ = MakeThreadExecutor("metadata", SystemClock());
    for (int i = 0; i < 2; ++i) shards_.push_back(MakeThreadExecutor("shard", SystemClock()));
    log_ = metadata::MakeLocalMetadataLog(*fs_, "metadata", *pool_, *metadata_executor_);
    metadata_ = std::make_unique<metadata::MetadataService>(
        metadata_executor_.get(), log_.get(), Random(1),
        metadata::MetadataServiceOptions{.controller = BrokerId(0)});
    EXPECT_TRUE(metadata_->Start().ok());
    sync_ = storage::MakeSyncService(storage::SyncStrategy::kAdaptive, *fs_, *pool_);
    NodeSeams seams{.clock = &SystemClock(),
                    .fs = fs_.get(),
                    .pool = pool_.get(),
                    .sync = sync_.get(),
                    .metadata = metadata_.get(),
                    .counters = &counters_};
    std::vector<Executor*> shards;
    for (const auto& shard : shards_) shards.push_back(shard.get());
    NodeOptions options;
    options.self = BrokerId(0);
    options.limits = limits;
    node_ = std::make_unique<BrokerNode>(seams, shards, options);
    topics_ = std::make_unique<TopicApi>(metadata_.get(), metadata::TopicDefaults{});
    cluster_ = std::make_unique<ClusterApi>(metadata_.get(), ClusterApiOptions{});
    Notification registered;
    metadata_->Submit(
        metadata::RegisterBrokerCommand{.broker = BrokerId(0),
                                        .directory = DirectoryId{Uuid::FromRandom(3, 4)},
                                        .address = "localhost:1",
                                        .cluster = ClusterId{Uuid::FromRandom(5, 6)}},
        {}, [&](const absl::StatusOr<metadata::Answer>& answer) {
          EXPECT_TRUE(answer.ok()) << answer.status();
          registered.Notify();
        });
    EXPECT_TRUE(registered.Wait(std::chrono::seconds(30)));
    Notification ready;
    node_->Start([&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      ready.Notify();
    });
    EXPECT_TRUE(ready.Wait(std::chrono::seconds(30)));
    rpc.listen_address = "127.0.0.1:0";
    server_ = RpcServer::Start(rpc, {.clock = &SystemClock(),
                                     .counters = &counters_,
                                     .produce = &node_->produce_api(),
                                     .fetch = &node_->fetch_api(),
                                     .batch = &node_->batch_api(),
                                     .offsets = &node_->offsets_api(),
                                     .topics = topics_.get(),
                                     .cluster = cluster_.get()})
                  .value();
    server_->SetServing(true);
  }

  ~RealBroker() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::seconds(1));
    Notification stopped;
    node_->Stop([&](bool) { stopped.Notify(); });
    EXPECT_TRUE(stopped.Wait(std::chrono::seconds(30)));
    server_ = nullptr;
    node_ = nullptr;
    pool_ = nullptr;
    shards_.clear();
    metadata_executor_ = nullptr;
    std::filesystem::remove_all(directory_);
  }

  std::shared_ptr<grpc::Channel> Channel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                     grpc::InsecureChannelCredentials(), arguments);
  }

  // The topic's id.
  std::string CreateTopic(const std::string& name, int partitions = 1,
                          std::map<std::string, std::string> configs = {}) {
    auto stub = v1::TopicService::NewStub(Channel());
    v1::CreateTopicRequest request;
    request.set_name(name);
    request.set_partition_count(partitions);
    for (const auto& [key, value] : configs) (*request.mutable_configs())[key] = value;
    v1::CreateTopicResponse response;
    grpc::ClientContext context;
    grpc::Status status = stub->CreateTopic(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.topic().topic_id();
  }

  BrokerNode& node() { return *node_; }
  RpcServer& server() { return *server_; }
  Counters& counters() { return counters_; }
  std::unique_ptr<RpcServer>& server_ref() { return server_; }

 private:
  std::string directory_;
  Counters counters_;
  // In the order made: the pool and the executors go last.
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<IoPool> pool_;
  std::unique_ptr<Executor> metadata_executor_;
  std::vector<std::unique_ptr<Executor>> shards_;
  std::unique_ptr<metadata::MetadataLog> log_;
  std::unique_ptr<metadata::MetadataService> metadata_;
  std::unique_ptr<storage::SyncService> sync_;
  std::unique_ptr<BrokerNode> node_;
  std::unique_ptr<TopicApi> topics_;
  std::unique_ptr<ClusterApi> cluster_;
  std::unique_ptr<RpcServer> server_;
};

// The ErrorInfo of a failed call; empty when it carries none.
inline google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (!details.ParseFromString(status.error_details())) return info;
  for (const auto& any : details.details()) {
    if (any.Is<google::rpc::ErrorInfo>()) any.UnpackTo(&info);
  }
  return info;
}

inline std::string MakeBatch(int records, size_t bytes, Codec codec = Codec::kNone) {
  BatchBuilderOptions options;
  options.codec = codec;
  BatchBuilder builder(options);
  std::string value(bytes, 'v');
  for (int i = 0; i < records; ++i) builder.Add(TimestampMs(1'000), std::nullopt, value);
  return builder.Build().value();
}

}  // namespace catamaran::broker
