// What one seed runs: every choice that is made before the first event. Swarm testing: each seed
// turns features and faults off at random, so that rare combinations get their turn.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/batch/batch.h"
#include "base/random.h"
#include "client/consumer.h"
#include "client/producer.h"
#include "storage/sync_service.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_network.h"

namespace catamaran::sim {

inline constexpr char kBrokerAddress[] = "broker:9092";

// Planted bugs, each at a seam and outside the product: proof that the checkers see. kNone in every
// real run.
enum class Sabotage : uint8_t {
  kNone,
  kSyncLies,           // a log's SyncData answers OK and does nothing
  kDirectorySyncLies,  // SyncDirectory answers OK and does nothing
  kSyncRetried,        // a failed SyncData is tried again and then "succeeds"
  kEarlySyncAnswer,    // the sync service answers before it has synced
  kMetadataSyncLies,   // as kSyncLies, of the metadata log only
  kTailCutTooFar,      // recovery cuts one batch more than it should
  kAppendsTwice,       // the network delivers an append of a plain producer twice
  kUnknownAsRejected,  // the client takes a broken connection for a refusal
  kRecordSkipped,      // a fetch begins one offset too late
};
inline constexpr int kSabotages = 10;
std::string_view SabotageName(Sabotage sabotage);

struct TopicPlan {
  std::string name;
  int32_t partitions = 1;
  bool sync = true;
  bool retention = false;       // old records may go
  bool delete_records = false;  // an admin deletes records
  bool recreate = false;        // an admin deletes the topic and makes it again
  bool grow = false;            // an admin adds partitions
  std::map<std::string, std::string> configs;
};

struct ProducerPlan {
  client::ProducerOptions options;
  client::ClientOptions client;
  size_t value_bytes_max = 0;
  int burst_max = 0;      // records at once
  Duration pause_max{0};  // between bursts
  double keyed = 0;       // share of records that have a key
};

struct ConsumerPlan {
  client::ConsumerOptions options;
  client::ClientOptions client;
  Duration poll_pause_max{0};
  size_t poll_records_max = 0;
};

// Mean time between faults of a kind; 0: never in this seed.
struct FaultPlan {
  Duration power_loss{0};
  Duration torn_crash{0};  // the machine stops in the middle of a disk operation
  Duration process_kill{0};
  Duration clean_restart{0};
  Duration pause{0};
  Duration cut_one_way{0};
  Duration cut_two_ways{0};
  Duration clog{0};
  Duration reset{0};
  Duration half_open{0};
  Duration disk_full{0};
  Duration sync_error{0};
  Duration write_error{0};
  Duration name_error{0};  // create, rename, remove, directory syncs
  Duration read_error{0};
  Duration wall_jump{0};
  double crash_in_recovery = 0;  // chance per start
};

struct Plan {
  uint64_t seed = 0;
  Sabotage sabotage = Sabotage::kNone;
  Duration safety{0};  // how long faults and load last
  std::vector<TopicPlan> topics;
  std::vector<ProducerPlan> producers;
  std::vector<ConsumerPlan> consumers;
  FaultPlan faults;
  bool admin_churn = false;

  SimNodeOptions broker_node;
  SimLinkOptions links;
  int shards = 1;
  storage::SyncStrategy sync_strategy = storage::SyncStrategy::kAdaptive;
  uint64_t free_bytes_min = 0;
  int64_t stream_window_bytes = 0;
  uint64_t snapshot_after_bytes = 0;  // of metadata
  size_t file_handles = 0;            // capacities of the caches
  size_t index_cache_bytes = 0;
  size_t tail_cache_bytes = 0;
  int64_t broker_clock_drift_ppm = 0;
};

Plan MakePlan(uint64_t seed, Sabotage sabotage);

}  // namespace catamaran::sim
