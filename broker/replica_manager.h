// All partition replicas of a node: finds the shard that owns a partition, watches the free space.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/replica_shard.h"
#include "broker/topic_catalog.h"

namespace catamaran::broker {

struct ReplicaManagerOptions {
  // Produce is refused (STORAGE_FULL) while less than this is free on the data directory's file
  // system, so that deletion, metadata and checkpoints go on.
  uint64_t free_bytes_min = 64u << 20;
  Duration free_space_interval = std::chrono::seconds(1);
  // What reads may bring into memory and hold there until it's answered, all shards together; each
  // has an equal part (ReadWindow). More wait.
  int64_t read_bytes_max = 256 << 20;
};

// Thread-safe.
class ReplicaManager {
 public:
  ReplicaManager(std::vector<Executor*> shards, NodeSeams seams,
                 std::shared_ptr<TopicCatalog> catalog, ReplicaManagerOptions options);
  // Only after Stop() has ended, or when the executors run nothing any more.
  ~ReplicaManager();

  // Lists the data directory on the pool, opens the logs that are there, then calls `ready` (on
  // some shard), once. Requests may come before: they wait for their log.
  void Start(absl::AnyInvocable<void(absl::Status)> ready);
  // Refuses new requests, answers those that run, closes every log, then calls `done`: with true
  // when all of them were closed cleanly, so that the stop may be recorded as clean.
  void Stop(absl::AnyInvocable<void(bool clean)> done);

  // The caller has found the topic and checked that this broker leads the partition.
  void Produce(const CatalogTopic& topic, PartitionIndex partition, ProduceCommand command) {
    ShardOf(topic, partition).Produce({topic.topic->id, partition}, std::move(command));
  }
  void Read(const CatalogTopic& topic, PartitionIndex partition, ReadCommand command) {
    ShardOf(topic, partition).Read({topic.topic->id, partition}, std::move(command));
  }
  void CancelReads(const CatalogTopic& topic, PartitionIndex partition, uint64_t token) {
    ShardOf(topic, partition).CancelReads({topic.topic->id, partition}, token);
  }
  void ListOffset(const CatalogTopic& topic, PartitionIndex partition, OffsetCommand command) {
    ShardOf(topic, partition).ListOffset({topic.topic->id, partition}, std::move(command));
  }
  void DeleteRecords(const CatalogTopic& topic, PartitionIndex partition,
                     DeleteRecordsCommand command) {
    ShardOf(topic, partition).DeleteRecords({topic.topic->id, partition}, std::move(command));
  }

  // Names a read to CancelReads; never 0.
  uint64_t NextReadToken() { return next_token_.fetch_add(1, std::memory_order_relaxed); }
  // Whether produce requests are refused because the disk is full up to the reserve.
  bool storage_full() const { return space_->full(); }
  // As it was within the last `free_space_interval`; zeroes before Start().
  FreeSpace free_space() const { return space_->space(); }
  const std::vector<std::shared_ptr<ReplicaShard>>& shards() const { return shards_; }

 private:
  struct SpaceWatch;
  ReplicaShard& ShardOf(const CatalogTopic& topic, PartitionIndex partition) {
    return *shards_[ShardIndex(topic.topic->name, partition, shards_.size())];
  }
  // By name, not by id: a topic that is made again under its old name has the same directories, and
  // one shard must see the end of the old and the beginning of the new.
  static size_t ShardIndex(std::string_view topic, PartitionIndex partition, size_t shards);

  const NodeSeams seams_;
  const ReplicaManagerOptions options_;
  const std::shared_ptr<SpaceBudget> space_;
  std::vector<std::shared_ptr<ReplicaShard>> shards_;
  std::shared_ptr<SpaceWatch> space_watch_;
  std::atomic<uint64_t> next_token_{1};
};

}  // namespace catamaran::broker
