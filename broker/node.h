// A broker's data plane, whole: built from the seams alone, so that the same object runs in the
// server and, many of them, in the simulation.
//
//   BrokerNode node(seams, shards, options);
//   node.Start(ready);      opens the logs that are there
//   node.produce_api() ...  handlers: any thread, never block
//   node.Stop(done);        closes every log cleanly
//
// Threads: handlers run on their caller's; replicas on the shards; jobs on the pool.
#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "broker/api/api_context.h"
#include "broker/api/batch_api.h"
#include "broker/api/fetch_api.h"
#include "broker/api/offsets_api.h"
#include "broker/api/produce_api.h"
#include "broker/api/producer_ids.h"
#include "broker/replica_manager.h"

namespace catamaran::broker {

struct NodeOptions {
  BrokerId self = kNoBroker;
  metadata::TopicDefaults topic_defaults;
  ReplicaManagerOptions replicas;
  ApiLimits limits;
  uint64_t seed = 0;  // of every choice by chance
};

class BrokerNode {
 public:
  // `seams` and `shards` (at least one) must outlive the node and everything that it submitted to
  // them. seams.metadata must have been started.
  BrokerNode(NodeSeams seams, std::vector<Executor*> shards, NodeOptions options);
  // After Stop() has ended and no call is under way; or when the executors and the pool run nothing
  // any more (a simulated crash).
  ~BrokerNode();
  BrokerNode(const BrokerNode&) = delete;
  BrokerNode& operator=(const BrokerNode&) = delete;

  // `ready` is called once, on some shard, when every log that has a directory is open or has
  // failed to open. Calls that come before wait for their log.
  void Start(absl::AnyInvocable<void(absl::Status)> ready) { replicas_.Start(std::move(ready)); }
  // New requests get SHUTTING_DOWN; those that run are answered; then every log is closed, so that
  // the next start reads no log data. Only when `done` gets true may the stop be recorded as clean
  // (FenceBrokerCommand): otherwise a log may come back shorter, under offsets that were seen, and
  // needs a new leader epoch.
  void Stop(absl::AnyInvocable<void(bool clean)> done) { replicas_.Stop(std::move(done)); }

  ProduceApi& produce_api() { return produce_api_; }
  FetchApi& fetch_api() { return fetch_api_; }
  BatchApi& batch_api() { return batch_api_; }
  OffsetsApi& offsets_api() { return offsets_api_; }
  ReplicaManager& replicas() { return replicas_; }
  const ApiContext& context() const { return context_; }

 private:
  const std::shared_ptr<TopicCatalog> catalog_;
  ReplicaManager replicas_;
  ProducerIds producer_ids_;
  SharedRandom random_;
  std::atomic<int64_t> fetch_streams_{0};
  ApiContext context_;
  ProduceApi produce_api_;
  FetchApi fetch_api_;
  BatchApi batch_api_;
  OffsetsApi offsets_api_;
};

}  // namespace catamaran::broker
