// What the data handlers share: the node's parts, and small helpers that every handler needs.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/mutex.h"
#include "base/random.h"
#include "broker/api/call.h"
#include "broker/api/limits.h"
#include "broker/api/producer_ids.h"
#include "broker/metrics.h"
#include "broker/replica_manager.h"
#include "broker/topic_catalog.h"
#include "catamaran/v1/batch_service.pb.h"
#include "catamaran/v1/common.pb.h"

namespace catamaran::broker {

// A seeded generator behind a lock, for handlers on any thread.
class SharedRandom {
 public:
  explicit SharedRandom(Random random) : random_(random) {}
  uint64_t Below(uint64_t bound) {
    MutexLock lock(&mu_);
    return random_.Below(bound);
  }

 private:
  Mutex mu_;
  Random random_ ABSL_GUARDED_BY(mu_);
};

// Everything must outlive the handlers and the calls.
struct ApiContext {
  Clock* clock = nullptr;
  IoPool* pool = nullptr;
  Executor* executor = nullptr;  // any shard's: the pool reports the end of its jobs there
  TopicCatalog* catalog = nullptr;
  ReplicaManager* replicas = nullptr;
  ProducerIds* producer_ids = nullptr;
  Counters* counters = nullptr;
  SharedRandom* random = nullptr;
  std::atomic<int64_t>* fetch_streams = nullptr;  // open ones
  ApiLimits limits;

  // Runs `work`, which takes long, off the calling thread.
  void RunOnPool(Task work) const {
    pool->Submit(IoLane::kRead, std::move(work), executor, [] {});
  }
};

// How a produce is to be acknowledged.
struct AckPolicy {
  Acks acks = Acks::kAll;
  bool raise_to_sync = false;
  MonotonicTime deadline = kNever;
};
// kInvalidArgument for enum values that don't exist and a timeout out of range.
absl::StatusOr<AckPolicy> MakeAckPolicy(const CallContext& call, MonotonicTime now, int acks,
                                        int durability, int32_t timeout_ms);

// kUnsupportedCompression for a number that isn't one.
absl::StatusOr<Codec> ToCodec(int compression);

// Default: read committed. kInvalidArgument for a number that isn't one.
absl::StatusOr<bool> IsReadCommitted(int isolation_level);

// The topic of a fast call's partition, led by this broker.
struct ResolvedPartition {
  CatalogTopicRef topic;
  PartitionIndex partition;
  std::optional<LeaderEpoch> expected_epoch;
};
absl::StatusOr<ResolvedPartition> Resolve(TopicCatalog& catalog, const v1::PartitionRef& ref);

void ToProto(const ProduceOutcome& outcome, v1::Receipt* receipt);

// Whether checking this batch is quick enough for the thread that received it.
bool IsQuickToValidate(std::string_view batch);
// The one validation of a batch. Also kUnknownProducer for a producer's identity that was never
// given out, and kNotSupported for transactional batches, since nothing here would ever end their
// transaction.
absl::Status ValidateBatch(std::string_view batch, const metadata::TopicConfig& config,
                           const ApiContext& context);

// Counts what a batch's produce came to; call once with its answer.
void CountProduce(Counters& counters, const absl::StatusOr<ProduceOutcome>& outcome, size_t bytes,
                  Duration took);

}  // namespace catamaran::broker
