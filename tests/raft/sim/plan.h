// What a seed decides before the run: the group, the limits of its cores, the load, and which
// faults come how often. Many seeds turn many faults off (swarm testing), since each hides others.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "raft/core/config.h"

namespace catamaran::raft::sim {

inline constexpr int kNodesMax = 16;  // that take part in faults
inline constexpr int kManyLearners = 200;

struct Plan {
  uint64_t seed = 0;
  int voters = 3;
  int learners = 0;
  int spare_nodes = 2;  // run, but belong to no group at first
  Config config;        // without identities

  Duration safety{0};    // with faults
  Duration liveness{0};  // how long the group may take to be whole when they've ended

  // Load.
  int clients = 4;
  Duration think_max{0};
  size_t padding_max = 0;
  double reads = 0.3;
  double aims_at_leader = 0.9;  // otherwise at any node

  // Network. Chances are per message.
  Duration delay_min{0}, delay_max{0};
  double drop = 0, duplicate = 0, straggle = 0;
  Duration straggle_max{0};
  bool reorder = true;  // otherwise each link keeps the order

  // Disk.
  Duration write_min{0}, write_max{0};
  double slow_write = 0;  // takes up to a few election timeouts
  bool durable_state_machine = false;
  bool slow_apply = false;
  size_t snapshot_bytes_min = 80;

  // Faults come one at a time, so often on average; 0 turns a kind off.
  double drift = 0;  // of each clock, at most
  Duration fault_every{0};
  int crash = 0, restart = 0, pause = 0, cut_one_way = 0, partition = 0, isolate_leader = 0,
      close_stream = 0, slow_disk = 0, full_disk = 0, wipe = 0, damage = 0, stranger = 0;
  int down_max = 1;  // nodes at a time

  // Operations.
  Duration operator_every{0};
  bool keeper = false;
  int change = 0, transfer = 0;

  // Bounds the group and the load for a measurement of speed.
  bool calm = false;
};

Plan MakePlan(uint64_t seed);
// Five voters, steady load, mild faults: for the figure that README.md states.
Plan MakeSpeedPlan(uint64_t seed);
// Three voters and 200 learners.
Plan MakeManyLearnersPlan(uint64_t seed);

}  // namespace catamaran::raft::sim
