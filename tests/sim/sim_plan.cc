#include "tests/sim/sim_plan.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "metadata/topic_config.h"

namespace catamaran::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <class T>
const T& OneOf(Random& random, const std::vector<T>& choices) {
  return choices[static_cast<size_t>(random.Below(choices.size()))];
}

Duration Between(Random& random, Duration low, Duration high) {
  return Duration(random.Between(low.count(), high.count()));
}

// Off in this seed, or a mean time between two.
Duration MaybeMean(Random& random, double on, Duration low, Duration high) {
  bool is_on = random.Chance(on);
  Duration mean = Between(random, low, high);
  return is_on ? mean : Duration(0);
}

TopicPlan MakeTopic(Random& random, int index) {
  TopicPlan topic;
  topic.name = absl::StrCat("t", index);
  topic.partitions = static_cast<int32_t>(random.Between(1, 4));
  topic.sync = random.Chance(0.65);
  topic.retention = random.Chance(0.25);
  topic.delete_records = random.Chance(0.3);
  topic.recreate = random.Chance(0.3);
  topic.grow = random.Chance(0.2);
  auto& configs = topic.configs;
  configs["durability"] = topic.sync ? "sync" : "async";
  configs["segment.bytes"] = absl::StrCat(
      OneOf<int64_t>(random, {metadata::kSegmentBytesMin, 96 << 10, 256 << 10, 1 << 20}));
  configs["retention.ms"] = "-1";
  if (topic.retention) {
    if (random.OneIn(2)) configs["retention.bytes"] = absl::StrCat(128 << 10);
    if (random.OneIn(2)) configs["retention.ms"] = absl::StrCat(random.Between(500, 8'000));
  }
  if (random.OneIn(3)) configs["segment.ms"] = absl::StrCat(random.Between(500, 5'000));
  if (random.OneIn(2)) configs["index.interval.bytes"] = "512";
  if (random.OneIn(6)) configs["message.timestamp.type"] = "LogAppendTime";
  // Wall clocks jump in here.
  configs["message.timestamp.after.max.ms"] = "9223372036854775807";
  return topic;
}

client::ClientOptions MakeClient(Random& random) {
  client::ClientOptions client;
  client.bootstrap = {kBrokerAddress};
  client.connect_timeout = Between(random, milliseconds(200), seconds(3));
  client.request_timeout = Between(random, milliseconds(300), seconds(10));
  client.retry_backoff_min = Between(random, milliseconds(1), milliseconds(100));
  client.retry_backoff_max =
      std::max(client.retry_backoff_min, Between(random, milliseconds(50), seconds(1)));
  client.metadata_age_max = Between(random, seconds(1), minutes(2));
  client.unknown_topic_wait = Between(random, Duration(0), seconds(3));
  return client;
}

ProducerPlan MakeProducer(Random& random) {
  ProducerPlan plan;
  plan.client = MakeClient(random);
  client::ProducerOptions& options = plan.options;
  options.idempotent = random.Chance(0.75);
  options.acks = random.Chance(0.6) ? client::Acks::kAll : client::Acks::kLeader;
  if (random.OneIn(12)) options.acks = client::Acks::kNone;
  if (random.OneIn(5)) options.durability = client::Durability::kSync;
  options.compression = random.OneIn(3)
                            ? static_cast<Codec>(random.Below(static_cast<uint64_t>(kCodecs)))
                            : Codec::kNone;
  options.batch_bytes = OneOf<size_t>(random, {1 << 10, 4 << 10, 16 << 10, 64 << 10});
  options.linger = Between(random, Duration(0), milliseconds(20));
  options.in_flight_per_partition_max =
      static_cast<int>(random.Between(1, client::kInFlightPerPartitionMax));
  options.request_bytes_max = OneOf<size_t>(random, {4 << 10, 64 << 10, 1 << 20});
  options.buffer_bytes_max = 1 << 20;
  options.delivery_timeout = random.OneIn(3) ? Between(random, milliseconds(500), seconds(5))
                                             : Between(random, seconds(5), seconds(60));
  plan.value_bytes_max = OneOf<size_t>(random, {16, 100, 1'000, 4'000});
  plan.burst_max = static_cast<int>(random.Between(1, 30));
  plan.pause_max = Between(random, milliseconds(5), milliseconds(200));
  plan.keyed = random.OneIn(2) ? 0 : random.Unit();
  return plan;
}

ConsumerPlan MakeConsumer(Random& random) {
  ConsumerPlan plan;
  plan.client = MakeClient(random);
  client::ConsumerOptions& options = plan.options;
  options.isolation_level = random.OneIn(2) ? client::IsolationLevel::kReadCommitted
                                            : client::IsolationLevel::kReadUncommitted;
  options.auto_reset =
      random.OneIn(3) ? client::OffsetReset::kError : client::OffsetReset::kEarliest;
  options.fetch_wait_max = Between(random, milliseconds(1), milliseconds(800));
  options.fetch_bytes_min = OneOf<int32_t>(random, {0, 1, 1, 4 << 10});
  options.fetch_bytes_per_partition_max = OneOf<int64_t>(random, {1 << 10, 16 << 10, 1 << 20});
  options.fetch_bytes_max = std::max<int64_t>(options.fetch_bytes_per_partition_max,
                                              OneOf<int64_t>(random, {4 << 10, 64 << 10, 8 << 20}));
  options.prefetch_bytes_max = OneOf<size_t>(random, {64 << 10, 1 << 20});
  plan.poll_pause_max = Between(random, milliseconds(1), milliseconds(300));
  plan.poll_records_max = OneOf<size_t>(random, {1, 10, 100, 1'000});
  return plan;
}

FaultPlan MakeFaults(Random& random) {
  FaultPlan faults;
  if (random.OneIn(16)) return faults;  // a quiet seed
  faults.power_loss = MaybeMean(random, 0.4, seconds(2), seconds(12));
  faults.torn_crash = MaybeMean(random, 0.4, seconds(2), seconds(12));
  faults.process_kill = MaybeMean(random, 0.4, seconds(2), seconds(12));
  faults.clean_restart = MaybeMean(random, 0.4, seconds(2), seconds(12));
  faults.pause = MaybeMean(random, 0.2, seconds(3), seconds(15));
  faults.cut_one_way = MaybeMean(random, 0.3, seconds(1), seconds(10));
  faults.cut_two_ways = MaybeMean(random, 0.3, seconds(1), seconds(10));
  faults.clog = MaybeMean(random, 0.2, seconds(1), seconds(10));
  faults.reset = MaybeMean(random, 0.4, milliseconds(200), seconds(5));
  faults.half_open = MaybeMean(random, 0.2, seconds(1), seconds(10));
  faults.disk_full = MaybeMean(random, 0.2, seconds(3), seconds(15));
  faults.sync_error = MaybeMean(random, 0.2, seconds(4), seconds(15));
  faults.write_error = MaybeMean(random, 0.15, seconds(4), seconds(15));
  faults.name_error = MaybeMean(random, 0.15, seconds(4), seconds(15));
  faults.read_error = MaybeMean(random, 0.15, seconds(2), seconds(10));
  faults.wall_jump = MaybeMean(random, 0.25, seconds(1), seconds(10));
  faults.crash_in_recovery = random.OneIn(3) ? 0.4 : 0;
  return faults;
}

void MakeEnvironment(Random& random, Plan* plan) {
  SimIoOptions& io = plan->broker_node.io;
  if (random.OneIn(4)) {  // a slow disk
    io.spike_probability = 0.02;
    io.spike = Between(random, milliseconds(50), seconds(2));
    for (Duration& delay : io.delay_max) delay = delay * 4;
  }
  plan->broker_node.task_delay_max = Between(random, microseconds(1), microseconds(100));
  plan->links.delay_max = Between(random, microseconds(100), milliseconds(20));
  plan->links.spike_probability = random.OneIn(3) ? 0.01 : 0;
  plan->links.spike = Between(random, milliseconds(10), seconds(1));
  plan->links.reset_probability = random.OneIn(5) ? 0.001 : 0;
  plan->shards = static_cast<int>(random.Between(1, 3));
  plan->sync_strategy = OneOf<storage::SyncStrategy>(
      random, {storage::SyncStrategy::kFdatasync, storage::SyncStrategy::kSyncfs,
               storage::SyncStrategy::kAdaptive});
  plan->free_bytes_min = OneOf<uint64_t>(random, {0, 64 << 10, 1 << 20});
  plan->stream_window_bytes = OneOf<int64_t>(random, {16 << 10, 256 << 10, 16 << 20});
  plan->snapshot_after_bytes = OneOf<uint64_t>(random, {256, 4 << 10, 16 << 20});
  plan->file_handles = OneOf<size_t>(random, {2, 8, 800});
  plan->index_cache_bytes = OneOf<size_t>(random, {0, 4 << 10, 16 << 20});
  plan->tail_cache_bytes = OneOf<size_t>(random, {0, 32 << 10, 32 << 20});
  plan->broker_clock_drift_ppm = random.OneIn(4) ? random.Between(-20'000, 20'000) : 0;
}

}  // namespace

std::string_view SabotageName(Sabotage sabotage) {
  switch (sabotage) {
    case Sabotage::kNone:
      return "none";
    case Sabotage::kSyncLies:
      return "sync_lies";
    case Sabotage::kDirectorySyncLies:
      return "directory_sync_lies";
    case Sabotage::kSyncRetried:
      return "sync_retried";
    case Sabotage::kEarlySyncAnswer:
      return "early_sync_answer";
    case Sabotage::kMetadataSyncLies:
      return "metadata_sync_lies";
    case Sabotage::kTailCutTooFar:
      return "tail_cut_too_far";
    case Sabotage::kAppendsTwice:
      return "appends_twice";
    case Sabotage::kUnknownAsRejected:
      return "unknown_as_rejected";
    case Sabotage::kRecordSkipped:
      return "record_skipped";
  }
  return "?";
}

Plan MakePlan(uint64_t seed, Sabotage sabotage) {
  Random random(seed);
  Plan plan;
  plan.seed = seed;
  plan.sabotage = sabotage;
  plan.safety = Between(random, seconds(4), seconds(30));
  const int64_t topics = random.Between(1, 3);
  for (int64_t i = 0; i < topics; ++i) {
    plan.topics.push_back(MakeTopic(random, static_cast<int>(i)));
  }
  const int64_t producers = random.Between(1, 4);
  for (int64_t i = 0; i < producers; ++i) plan.producers.push_back(MakeProducer(random));
  const int64_t consumers = random.Between(1, 2);
  for (int64_t i = 0; i < consumers; ++i) plan.consumers.push_back(MakeConsumer(random));
  plan.admin_churn = random.Chance(0.6);
  plan.faults = MakeFaults(random);
  MakeEnvironment(random, &plan);
  return plan;
}

}  // namespace catamaran::sim
