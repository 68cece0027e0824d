// What the broker counts. Hot paths add to plain atomics, sharded by thread so that cores don't
// share cache lines; a scrape merges them (broker/http serves it). Every name is in
// docs/metrics.md.
//
// Whoever counts gets a `Counters&` at construction. Cores don't count here: their drivers do.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace catamaran::broker {

// X(enumerator, metric name without prefix and label, label or "", help)
#define CATAMARAN_BROKER_COUNTERS(X)                                                             \
  X(kProduceBytes, "produce_bytes_total", "", "Bytes of record batches that producers appended") \
  X(kProduceBatches, "produce_batches_total", "", "Record batches that producers appended")      \
  X(kProduceRecords, "produce_records_total", "", "Records that producers appended")             \
  X(kProduceDuplicates, "produce_duplicate_batches_total", "",                                   \
    "Batches that were sent before and answered with their first place")                         \
  X(kProduceErrors, "produce_errors_total", "", "Batches that were refused or failed")           \
  X(kFetchBytes, "fetch_bytes_total", "", "Bytes of record batches that were read")              \
  X(kFetchRequests, "fetch_requests_total", "", "Reads of one partition that were answered")     \
  X(kFetchErrors, "fetch_errors_total", "", "Reads of one partition that failed")                \
  X(kFetchFromMemory, "fetch_memory_total", "", "Reads that the tail cache answered")            \
  X(kFetchFromDisk, "fetch_disk_total", "", "Reads that went to the disk")                       \
  X(kLogAppends, "log_appends_total", "", "Write jobs of partition logs")                        \
  X(kLogAppendErrors, "log_append_errors_total", "", "Write jobs that failed")                   \
  X(kLogSyncs, "log_syncs_total", "", "Rounds of the sync service")                              \
  X(kLogSyncErrors, "log_sync_errors_total", "", "Rounds that failed: the logs latched")         \
  X(kLogsOpened, "log_opens_total", "", "Partition logs opened")                                 \
  X(kLogRecoveries, "log_recoveries_total", "", "Partition logs that were scanned at opening")   \
  X(kLogTailsCut, "log_tails_cut_total", "", "Torn tails that recovery cut")                     \
  X(kSegmentsDeleted, "log_segments_deleted_total", "",                                          \
    "Segments that retention or delete-records removed")                                         \
  X(kRpcRefusedOverload, "rpc_refused_overload_total", "",                                       \
    "Calls and messages refused because a limit was reached")                                    \
  X(kConnections, "rpc_connections_total", "", "Streams that were opened")

enum class Counter : uint8_t {
#define X(enumerator, name, label, help) enumerator,
  CATAMARAN_BROKER_COUNTERS(X)
#undef X
};
inline constexpr size_t kCounterCount = 0
#define X(enumerator, name, label, help) +1
    CATAMARAN_BROKER_COUNTERS(X)
#undef X
    ;

// X(enumerator, metric name, help): a level that goes up and down.
#define CATAMARAN_BROKER_GAUGES(X)                                                      \
  X(kInflightBytes, "rpc_inflight_bytes", "Bytes of requests that are being worked on") \
  X(kInflight, "rpc_inflight", "Calls and stream messages that are being worked on")    \
  X(kOpenStreams, "rpc_open_streams", "Streams that are open")                          \
  X(kParkedFetches, "fetch_parked", "Reads that wait for new records")                  \
  X(kPartitions, "partitions", "Partitions that this broker leads")                     \
  X(kLogsOpen, "logs_open", "Partition logs that are open")                             \
  X(kLogsFailed, "logs_failed", "Partition logs that latched a failure")

enum class Gauge : uint8_t {
#define X(enumerator, name, help) enumerator,
  CATAMARAN_BROKER_GAUGES(X)
#undef X
};
inline constexpr size_t kGaugeCount = 0
#define X(enumerator, name, help) +1
    CATAMARAN_BROKER_GAUGES(X)
#undef X
    ;

// X(enumerator, metric name, help): a distribution of durations, in seconds.
#define CATAMARAN_BROKER_HISTOGRAMS(X)                                                   \
  X(kLogAppend, "log_append_duration_seconds", "How long a write job took")              \
  X(kLogSync, "log_fsync_duration_seconds", "How long a round of the sync service took") \
  X(kProduce, "produce_duration_seconds", "From a batch's arrival to its answer")        \
  X(kFetchDisk, "fetch_disk_duration_seconds", "How long a read job took")

enum class Histogram : uint8_t {
#define X(enumerator, name, help) enumerator,
  CATAMARAN_BROKER_HISTOGRAMS(X)
#undef X
};
inline constexpr size_t kHistogramCount = 0
#define X(enumerator, name, help) +1
    CATAMARAN_BROKER_HISTOGRAMS(X)
#undef X
    ;
// Upper bounds in microseconds (0.1 ms to 10 s); one more bucket holds the rest.
inline constexpr std::array<int64_t, 16> kHistogramBoundsMicros = {
    100,    250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,
    50'000, 100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000, 10'000'000};

// Methods whose calls are counted by code: X(enumerator, "Service/Method").
#define CATAMARAN_BROKER_METHODS(X)                    \
  X(kOther, "other")                                   \
  X(kInitProducerId, "ProducerService/InitProducerId") \
  X(kProduce, "ProducerService/Produce")               \
  X(kProduceSession, "ProducerService/ProduceSession") \
  X(kFetch, "ConsumerService/Fetch")                   \
  X(kAppendBatches, "BatchService/AppendBatches")      \
  X(kAppendStream, "BatchService/AppendStream")        \
  X(kFetchBatches, "BatchService/FetchBatches")        \
  X(kFetchStream, "BatchService/FetchStream")          \
  X(kListOffsets, "BatchService/ListOffsets")          \
  X(kTopicService, "TopicService/*")                   \
  X(kClusterService, "ClusterService/*")

enum class Method : uint8_t {
#define X(enumerator, name) enumerator,
  CATAMARAN_BROKER_METHODS(X)
#undef X
};
inline constexpr size_t kMethodCount = 0
#define X(enumerator, name) +1
    CATAMARAN_BROKER_METHODS(X)
#undef X
    ;
inline constexpr size_t kStatusCodes = 17;  // canonical codes 0 to 16

// All counts of the process. Thread-safe, wait-free; about 3 ns an addition.
class Counters {
 public:
  Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  void Add(Counter counter, int64_t by = 1) {
    Mine().counters[static_cast<size_t>(counter)].fetch_add(by, std::memory_order_relaxed);
  }
  // Levels are the sum of all threads' changes, so one thread may add what another takes away.
  void Change(Gauge gauge, int64_t by) {
    Mine().gauges[static_cast<size_t>(gauge)].fetch_add(by, std::memory_order_relaxed);
  }
  void Observe(Histogram histogram, Duration value);
  // A call that ended, or an answer on a stream. `code`: canonical, 0 to 16.
  void CountCall(Method method, int code, Duration took);

  // Merged over all shards; each value is exact, but they are not of one moment.
  int64_t Get(Counter counter) const;
  int64_t Get(Gauge gauge) const;
  struct HistogramValue {
    std::array<uint64_t, kHistogramBoundsMicros.size() + 1> buckets{};  // not cumulative
    uint64_t sum_nanos = 0;
    uint64_t count() const;
  };
  HistogramValue Get(Histogram histogram) const;
  int64_t GetCalls(Method method, int code) const;
  HistogramValue GetCallDurations(Method method) const;

 private:
  static constexpr size_t kShards = 8;
  struct AtomicHistogram {
    std::array<std::atomic<uint64_t>, kHistogramBoundsMicros.size() + 1> buckets{};
    std::atomic<uint64_t> sum_nanos{0};
    void Observe(Duration value);
    void AddTo(HistogramValue& total) const;
  };
  struct alignas(64) Shard {
    std::array<std::atomic<int64_t>, kCounterCount> counters{};
    std::array<std::atomic<int64_t>, kGaugeCount> gauges{};
    std::array<AtomicHistogram, kHistogramCount> histograms{};
    std::array<std::array<std::atomic<int64_t>, kStatusCodes>, kMethodCount> calls{};
    std::array<AtomicHistogram, kMethodCount> call_durations{};
  };
  static size_t ThreadIndex();
  Shard& Mine() { return shards_[ThreadIndex() % kShards]; }

  std::array<Shard, kShards> shards_;
};

}  // namespace catamaran::broker
