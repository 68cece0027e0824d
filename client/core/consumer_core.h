// The consumer without threads, clock or network. Events come in by method calls; Advance() says
// what to send. The driver, after every event: Output out = core.Advance(now); carry it out; come
// again at out.wake_at or at the next event.
//
// A partition is looked up (unless it starts at an offset), then fetched again and again from its
// leader, ahead of Poll, while less than prefetch_bytes_max is buffered. One owner.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "client/consumer.h"
#include "client/core/messages.h"
#include "client/core/metadata_core.h"
#include "client/core/partition_reader.h"

namespace catamaran::client::core {

// Fetches to one broker that may be under way: an idle long poll must not hold up the others.
inline constexpr int kFetchesPerBrokerMax = 4;
inline constexpr size_t kPartitionsPerFetchMax = 1'000;  // BatchService's limit
// A whole fetch that brought nothing sooner than this is not repeated at once.
inline constexpr Duration kEmptyFetchPause = std::chrono::milliseconds(5);

struct ConsumerCoreOptions {
  ConsumerOptions consumer;
  MetadataOptions metadata;
  Duration request_timeout = kRequestTimeoutDefault;
  BackoffOptions backoff;
};

class ConsumerCore {
 public:
  struct Output {
    std::vector<SendMetadata> metadata;
    std::vector<SendListOffsets> list_offsets;
    std::vector<SendFetch> fetches;
    MonotonicTime wake_at = kNever;
  };

  ConsumerCore(ConsumerCoreOptions options, Random random);
  ConsumerCore(const ConsumerCore&) = delete;
  ConsumerCore& operator=(const ConsumerCore&) = delete;

  // As the calls of Consumer with these names.
  absl::Status Assign(const std::vector<Consumer::Assignment>& assignments, MonotonicTime now);
  absl::Status AddAssignment(const Consumer::Assignment& assignment, MonotonicTime now);
  void RemoveAssignment(const TopicPartition& partition);
  absl::Status Seek(const TopicPartition& partition, const StartPosition& position,
                    MonotonicTime now);
  absl::Status SetPaused(const TopicPartition& partition, bool paused);
  absl::StatusOr<PartitionProgress> Progress(const TopicPartition& partition) const;
  std::vector<PartitionProgress> ProgressOfAll() const;
  absl::Status trouble() const;

  // Whether Poll would return a record or an error; a rare batch without records may betray it.
  bool ready() const;
  // Never waits. An error of a partition comes when its records were all returned, once.
  absl::Status Poll(size_t records_max, std::vector<ConsumedRecord>* records,
                    PolledBatches* batches);

  Output Advance(MonotonicTime now);
  void OnMetadata(CorrelationId correlation, absl::StatusOr<MetadataAnswer> answer,
                  MonotonicTime now);
  void OnFetch(CorrelationId correlation, FetchAnswer answer, MonotonicTime now);
  void OnListOffsets(CorrelationId correlation, ListOffsetsAnswer answer, MonotonicTime now);

  size_t buffered_bytes() const;
  bool wants_more() const { return buffered_bytes() < options_.consumer.prefetch_bytes_max; }

  void CheckInvariants() const;

 private:
  struct Partition {
    explicit Partition(const PartitionReader::Options& options, const TopicPartition& name)
        : reader(options, name) {}

    PartitionReader reader;
    std::optional<TopicId> topic_id;     // pinned when the topic is first seen
    std::optional<StartPosition> start;  // to be looked up before fetching goes on
    Offset fetch_offset{0};
    CorrelationId request = kNoCorrelation;  // the one under way that counts; others are ignored
    uint64_t last_request = 0;               // order of the last one, for taking turns
    bool jump = false;  // the look-up is a reset: what is buffered is still returned
    bool paused = false;
    bool error_reported = false;
    absl::Status error;    // stops the partition until Seek
    absl::Status trouble;  // waited out
    int failures = 0;
    MonotonicTime retry_at;
    Offset log_start_offset{-1};
    Offset high_watermark{-1};
    Offset last_stable_offset{-1};
  };
  struct Request {
    BrokerId broker = kNoBroker;
    bool is_fetch = false;
    MonotonicTime sent_at;
    MonotonicTime deadline;
    std::vector<TopicPartition> partitions;
  };
  using Targets = std::map<BrokerId, std::vector<std::pair<const TopicPartition*, Partition*>>>;

  void Begin(Partition* partition, const StartPosition& position);
  absl::StatusOr<Partition*> FindAssigned(const TopicPartition& name);
  PartitionProgress ProgressOf(const TopicPartition& name, const Partition& partition) const;
  // Follows the metadata: pins the topic id, finds the leader. kNoBroker while there is none.
  BrokerId LeaderOf(const TopicPartition& name, Partition* partition, MonotonicTime now);
  LeaderEpoch EpochOf(const TopicPartition& name) const;
  void SendLookups(const Targets& targets, MonotonicTime now, Output* output);
  void SendFetches(Targets targets, MonotonicTime now, Output* output);
  CorrelationId NewRequest(Request request, MonotonicTime deadline, MonotonicTime now);
  std::optional<Request> TakeRequest(CorrelationId correlation);
  // The partition if the request still counts for it.
  Partition* Claim(const TopicPartition& name, CorrelationId correlation);
  void GiveUpRequests(MonotonicTime now);
  // `asked` is the broker that answered.
  void AcceptFetch(const TopicPartition& name, Partition* partition, BrokerId asked,
                   FetchResult result, MonotonicTime now);
  void AcceptLookup(const TopicPartition& name, Partition* partition, BrokerId asked,
                    const OffsetFound& found, MonotonicTime now);
  void HandleError(const TopicPartition& name, Partition* partition, BrokerId asked,
                   const absl::Status& status, Duration retry_delay, MonotonicTime now);
  void HandleOutOfRange(const TopicPartition& name, Partition* partition,
                        const absl::Status& status);
  static void Stop(Partition* partition, const absl::Status& status);
  void BackOff(Partition* partition, Duration asked, MonotonicTime now);
  int FetchesTo(BrokerId broker) const;

  const ConsumerCoreOptions options_;
  Random random_;
  MetadataCore metadata_;
  std::map<TopicPartition, Partition> partitions_;
  std::map<CorrelationId, Request> requests_;
  CorrelationId last_correlation_{0};
  uint64_t next_poll_ = 0;  // partitions take turns in Poll
};

}  // namespace catamaran::client::core
