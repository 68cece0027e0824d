// The cluster's metadata as an immutable value. A new image shares what didn't change with the one
// before. Readers hold a shared_ptr<const MetadataImage>; only replaying records makes the next
// image (metadata/replay.h), so that every node that replays the same records holds an equal image.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace catamaran::metadata {

// One partition of a topic. Invariants: leader is in in_sync_replicas or kNoBroker;
// in_sync_replicas and eligible_leader_replicas are disjoint subsets of replicas (invariants.md
// M3); epochs only rise.
struct PartitionState {
  BrokerId leader = kNoBroker;
  LeaderEpoch leader_epoch{0};
  int32_t partition_epoch = 0;     // rises at each change of this partition: compare-and-set
  std::vector<BrokerId> replicas;  // preferred leader first
  std::vector<BrokerId> in_sync_replicas;
  std::vector<BrokerId> eligible_leader_replicas;
  bool operator==(const PartitionState&) const = default;
};

struct TopicState {
  std::string name;
  TopicId id;
  MetadataRevision version{0};  // revision of the last change
  bool internal = false;
  std::vector<PartitionState> partitions;      // by index
  std::map<std::string, std::string> configs;  // only what was set on the topic
  bool operator==(const TopicState&) const = default;
};
using TopicRef = std::shared_ptr<const TopicState>;

struct BrokerInfo {
  BrokerId id = kNoBroker;
  int64_t epoch = 0;  // rises at each registration
  DirectoryId directory;
  std::string address;  // client listener, "host:port"
  std::string rack;
  bool fenced = false;
  bool draining = false;
  bool operator==(const BrokerInfo&) const = default;
};

// What a request with a request id was answered, so that a repeated one is answered alike.
struct RequestResult {
  std::string request_id;
  int32_t command = 0;       // RequestResultRecord.command
  uint64_t fingerprint = 0;  // of the command's content
  TopicId topic;
  std::string topic_name;
  bool operator==(const RequestResult&) const = default;
};
// At least this many of the most recent results are kept; the oldest go first, a chunk at a time.
inline constexpr size_t kRequestResultsKeptMin = 10'000;
inline constexpr size_t kRequestResultsPerChunk = 250;

class MetadataImage {
 public:
  MetadataImage();  // empty, revision 0

  MetadataRevision revision() const { return revision_; }  // of the last record replayed
  ClusterId cluster_id() const { return cluster_id_; }
  BrokerId controller() const { return controller_; }

  TopicRef FindTopic(std::string_view name) const;  // nullptr when there is none
  TopicRef FindTopic(TopicId id) const;
  const PartitionState* FindPartition(TopicPartitionId id) const;
  const std::map<std::string, TopicRef, std::less<>>& topics() const { return *topics_; }
  const std::map<BrokerId, BrokerInfo>& brokers() const { return *brokers_; }
  // Producer ids below this were handed out in blocks (invariants.md M7).
  ProducerId next_producer_id() const { return next_producer_id_; }

  // nullptr when the request id is unknown (or forgotten).
  const RequestResult* FindRequestResult(std::string_view request_id) const;
  template <class Visitor>
  void ForEachRequestResult(Visitor visit) const {  // in the order given
    for (const auto& chunk : request_results_) {
      for (const RequestResult& result : *chunk) visit(result);
    }
  }
  // Of all topics, internal ones too.
  int64_t partition_count() const { return partition_count_; }

  // Over all fields in a fixed order; equal images have equal hashes on every machine.
  uint64_t StateHash() const;
  bool operator==(const MetadataImage& other) const;

 private:
  friend class ImageBuilder;  // metadata/replay.h: the only writer
  MetadataRevision revision_{0};
  ClusterId cluster_id_;
  BrokerId controller_ = kNoBroker;
  ProducerId next_producer_id_{0};
  std::shared_ptr<const std::map<std::string, TopicRef, std::less<>>> topics_;
  std::shared_ptr<const std::map<TopicId, TopicRef>> topics_by_id_;
  std::shared_ptr<const std::map<BrokerId, BrokerInfo>> brokers_;
  int64_t partition_count_ = 0;
  // In the order given; all chunks but the last are full, so that only the last is ever copied.
  using ResultChunk = std::vector<RequestResult>;
  std::vector<std::shared_ptr<const ResultChunk>> request_results_;
};
using ImageRef = std::shared_ptr<const MetadataImage>;

// What changed between two images, each kind in the order of the records. Apply removals first: a
// topic that was deleted and created again is in both lists, with two ids.
struct MetadataDelta {
  MetadataRevision from{0};
  MetadataRevision to{0};
  std::vector<TopicRef> topics_updated;  // new or changed, as they are at `to`
  std::vector<TopicRef> topics_removed;  // as they were
  std::vector<BrokerInfo> brokers_updated;
  std::vector<BrokerId> brokers_removed;
  bool controller_changed = false;
};

}  // namespace catamaran::metadata
