// The producer without threads, clock or network. Events come in by method calls; Advance() says
// what to do. The driver, after every event:
//
//   lock the accumulator; core.Pull(accumulator, now); unlock
//   Output out = core.Advance(now)
//   carry out `out`; give `completed` to the callbacks and their bytes back to the accumulator
//   come again at out.wake_at, or at the next event (an answer; Append asking to be woken)
//
// One owner. Requests go out once each; every attempt, wait and deadline is decided here.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "client/core/messages.h"
#include "client/core/metadata_core.h"
#include "client/core/partition_queue.h"
#include "client/core/record_accumulator.h"

namespace catamaran::client::core {

// How much of the request timeout the broker may spend on waiting for the acknowledgement, so that
// its own answer comes before the client gives up.
inline constexpr double kAckTimeoutShare = 0.9;

struct ProducerCoreOptions {
  ProducerOptions producer;  // on_batch isn't used here
  MetadataOptions metadata;
  Duration request_timeout = kRequestTimeoutDefault;
  BackoffOptions backoff;
};

struct ProducerCoreStats {
  uint64_t batches_sent = 0;
  uint64_t batches_retried = 0;
  uint64_t batch_bytes_sent = 0;
};

class ProducerCore {
 public:
  // Carry out in this order.
  struct Output {
    // Connections that are of no use: cancel what is on its way there. Its answers don't matter.
    std::vector<std::string> resets;
    std::vector<SendMetadata> metadata;
    std::vector<SendInitProducerId> init_producer_ids;
    std::vector<SendAppend> appends;
    std::vector<CompletedBatch> completed;
    MonotonicTime wake_at = kNever;
  };

  ProducerCore(ProducerCoreOptions options, Random random);
  ProducerCore(const ProducerCore&) = delete;
  ProducerCore& operator=(const ProducerCore&) = delete;

  void Pull(RecordAccumulator& accumulator, MonotonicTime now);
  Output Advance(MonotonicTime now);

  void OnMetadata(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                  MonotonicTime now);
  void OnInitProducerId(CorrelationId correlation, absl::StatusOr<ProducerIdentity> answer,
                        MonotonicTime now);
  void OnAppend(CorrelationId correlation, AppendAnswer answer, MonotonicTime now);

  // While true every open batch goes out without waiting for more records.
  void SetFlushing(bool flushing) { flushing_ = flushing; }
  // Gives up everything: `status`, or kOutcomeUnknown where records may be stored.
  void Abandon(RecordAccumulator& accumulator, const absl::Status& status, MonotonicTime now);

  // Number of the oldest record taken over by Pull that isn't in a `completed` yet; UINT64_MAX when
  // there is none.
  uint64_t oldest_record() const;
  const ProducerCoreStats& stats() const { return stats_; }
  const ProducerIdentity& identity() const { return identity_; }
  size_t requests_in_flight() const { return requests_.size(); }

  void CheckInvariants() const;

 private:
  struct Topic {
    TopicId id;
    // Owned by shared_ptr because requests on their way refer to queues of topics that are gone.
    std::vector<std::shared_ptr<PartitionQueue>> queues;  // by index
    std::vector<PartitionInfo> leaders;                   // by index
  };
  struct Request {
    BrokerId broker = kNoBroker;
    std::string address;
    MonotonicTime deadline;
    std::vector<std::pair<std::shared_ptr<PartitionQueue>, uint64_t>> batches;
  };
  using QueueKey = std::pair<std::string, PartitionIndex>;

  void PullTopics(RecordAccumulator& accumulator, MonotonicTime now);
  void UpdateTopic(Topic* topic, const TopicInfo& info, RecordAccumulator& accumulator);
  void DropTopic(const std::string& name, const absl::Status& status,
                 RecordAccumulator& accumulator, MonotonicTime now);
  bool WantsBatch(const std::string& topic, PartitionIndex partition, MonotonicTime opened_at,
                  MonotonicTime now);
  void Enqueue(SealedBatch sealed, MonotonicTime now);
  void Drop(SealedBatch sealed, const absl::Status& status, MonotonicTime now);

  void GiveUpRequests(MonotonicTime now);
  void Settle(Request request, const AppendAnswer& answer, MonotonicTime now);
  void Restarts();
  void RequestIdentity(MonotonicTime now, Output* output);
  void SendBatches(MonotonicTime now, Output* output);
  void SendTo(BrokerId broker, const std::vector<PartitionQueue*>& queues, MonotonicTime now,
              Output* output);
  MonotonicTime NextWake(MonotonicTime now) const;

  const ProducerCoreOptions options_;
  const bool idempotent_;
  Random random_;
  MetadataCore metadata_;
  uint64_t pulled_version_ = UINT64_MAX;

  std::map<std::string, Topic> topics_;
  std::map<QueueKey, std::shared_ptr<PartitionQueue>> active_;  // queues that aren't empty
  std::set<uint64_t> incomplete_;                               // first records of their batches
  std::vector<CompletedBatch> completed_;                       // for the next Output
  std::vector<std::string> resets_;                             // for the next Output

  std::map<CorrelationId, Request> requests_;
  CorrelationId last_correlation_{0};

  ProducerIdentity identity_;
  bool identity_lost_ = false;    // fenced: ask for a new id, not for a higher epoch
  bool identity_wanted_ = false;  // a restart needs another one
  CorrelationId identity_request_ = kNoCorrelation;
  MonotonicTime identity_deadline_ = kNever;
  MonotonicTime identity_not_before_;
  int identity_failures_ = 0;

  bool flushing_ = false;
  MonotonicTime linger_wake_ = kNever;
  ProducerCoreStats stats_;
};

}  // namespace catamaran::client::core
