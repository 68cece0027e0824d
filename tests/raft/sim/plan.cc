#include "tests/raft/sim/plan.h"

#include <chrono>

#include "base/random.h"

namespace catamaran::raft::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

void ShrinkLimits(Random& random, Config* config) {
  config->election_timeout_min = milliseconds(random.OneIn(4) ? 300 : 1'000);
  config->heartbeat_interval = config->election_timeout_min / random.Between(4, 10);
  config->closed_stream_wait_max = milliseconds(random.Between(1, 60));
  config->retransmit_after = config->election_timeout_min / random.Between(1, 4);
  config->catch_up_round_max = config->election_timeout_min;
  if (random.OneIn(2)) config->append_entries_max = static_cast<size_t>(random.Between(1, 8));
  if (random.OneIn(3)) config->append_bytes_max = static_cast<size_t>(random.Between(1, 400));
  config->in_flight_messages_max = static_cast<size_t>(random.Between(1, 8));
  if (random.OneIn(3)) config->in_flight_bytes_max = static_cast<size_t>(random.Between(1, 1'000));
  config->snapshot_chunk_bytes_max = static_cast<size_t>(random.Between(8, 128));
  if (random.OneIn(4)) {
    config->uncommitted_entries_max = static_cast<size_t>(random.Between(1, 6));
  }
  if (random.OneIn(4)) config->unapplied_entries_max = random.Between(1, 6);
  config->reads_waiting_max = static_cast<size_t>(random.Between(1, 16));
  config->snapshot_after_entries = random.OneIn(3) ? 1'000'000 : random.Between(3, 150);
  config->entries_kept = random.OneIn(2) ? 0 : random.Between(0, 40);
}

// A weight, or 0 in one seed of two.
int Sometimes(Random& random, int weight) { return random.OneIn(2) ? weight : 0; }

}  // namespace

Plan MakePlan(uint64_t seed) {
  Random random(seed ^ 0x706c616e);
  Plan plan;
  plan.seed = seed;
  static constexpr int kVoters[] = {1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7};
  plan.voters = kVoters[random.Below(std::size(kVoters))];
  plan.learners = random.OneIn(2) ? 0 : static_cast<int>(random.Between(1, 5));
  plan.spare_nodes = static_cast<int>(random.Between(0, 2));
  ShrinkLimits(random, &plan.config);
  plan.safety = seconds(random.Between(10, 40));
  plan.liveness = seconds(60);

  plan.clients = static_cast<int>(random.Between(1, 6));
  plan.think_max = milliseconds(random.OneIn(4) ? 10 : random.Between(50, 400));
  plan.padding_max = random.OneIn(3) ? 300 : 0;
  plan.reads = random.OneIn(4) ? 0.8 : 0.3;
  plan.aims_at_leader = random.OneIn(3) ? 0.4 : 0.9;

  plan.delay_min = microseconds(random.Between(50, 500));
  plan.delay_max = random.OneIn(3) ? milliseconds(random.Between(20, 150)) : milliseconds(3);
  if (random.OneIn(2)) plan.drop = random.OneIn(3) ? 0.2 : 0.02;
  if (random.OneIn(2)) plan.duplicate = 0.05;
  if (random.OneIn(2)) plan.straggle = 0.01;
  plan.straggle_max = seconds(random.Between(1, 30));
  plan.reorder = !random.OneIn(3);

  plan.write_min = microseconds(random.Between(20, 300));
  plan.write_max = random.OneIn(3) ? milliseconds(random.Between(10, 200)) : milliseconds(4);
  if (random.OneIn(3)) plan.slow_write = 0.02;
  plan.durable_state_machine = random.OneIn(2);
  plan.slow_apply = random.OneIn(3);
  plan.snapshot_bytes_min = static_cast<size_t>(random.Between(0, 600));

  plan.drift = random.OneIn(2) ? 0.0 : 0.05;
  plan.fault_every = milliseconds(random.Between(200, 4'000));
  plan.crash = Sometimes(random, 6);
  plan.restart = Sometimes(random, 3);
  plan.pause = Sometimes(random, 3);
  plan.cut_one_way = Sometimes(random, 3);
  plan.partition = Sometimes(random, 4);
  plan.isolate_leader = Sometimes(random, 4);
  plan.close_stream = Sometimes(random, 3);
  plan.slow_disk = Sometimes(random, 2);
  plan.full_disk = Sometimes(random, 1);
  plan.wipe = Sometimes(random, 2);
  plan.damage = Sometimes(random, 1);
  plan.stranger = Sometimes(random, 1);
  plan.down_max = static_cast<int>(random.Between(1, plan.voters));

  plan.operator_every = milliseconds(random.Between(random.OneIn(3) ? 20 : 300, 3'000));
  plan.change = random.OneIn(3) ? 0 : 4;
  plan.transfer = Sometimes(random, 2);
  plan.keeper = random.OneIn(3);
  return plan;
}

Plan MakeSpeedPlan(uint64_t seed) {
  Plan plan = MakePlan(seed);
  const Config limits;
  plan.config = limits;
  plan.config.snapshot_after_entries = 1'000;
  plan.voters = 5;
  plan.learners = 0;
  plan.spare_nodes = 0;
  plan.safety = seconds(600);
  plan.clients = 4;
  plan.think_max = milliseconds(400);
  plan.delay_min = microseconds(100);
  plan.delay_max = milliseconds(3);
  plan.drop = plan.duplicate = plan.straggle = 0.001;
  plan.write_min = microseconds(100);
  plan.write_max = milliseconds(4);
  plan.slow_write = 0.001;
  plan.fault_every = seconds(5);
  plan.operator_every = seconds(20);
  plan.crash = plan.restart = plan.partition = plan.pause = plan.transfer = 1;
  plan.down_max = 2;
  plan.wipe = plan.change = 0;
  plan.keeper = false;
  plan.calm = true;
  return plan;
}

Plan MakeManyLearnersPlan(uint64_t seed) {
  Plan plan = MakePlan(seed);
  const Config limits;
  plan.config = limits;
  plan.config.snapshot_after_entries = 50;
  plan.config.entries_kept = 10;
  plan.voters = 3;
  plan.learners = kManyLearners;
  plan.spare_nodes = 0;
  plan.safety = seconds(10);
  plan.delay_max = milliseconds(5);
  plan.drop = 0.01;
  plan.straggle = 0;
  plan.write_max = milliseconds(4);
  plan.slow_write = 0;
  plan.crash = plan.restart = plan.partition = 2;
  plan.down_max = 20;
  plan.wipe = 0;
  return plan;
}

}  // namespace catamaran::raft::sim
