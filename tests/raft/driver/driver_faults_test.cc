// Groups of whole nodes under faults from a seed: first everything breaks, then nothing does and
// all must come to its end. CATAMARAN_DRIVER_SEEDS=first:count runs others than the fixed ones.
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/driver/driver_group.h"

namespace catamaran::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Seeds {
  uint64_t first = 1;
  uint64_t count = 40;
};

Seeds SeedsToRun() {
  Seeds seeds;
  if (const char* given = std::getenv("CATAMARAN_DRIVER_SEEDS")) {
    std::sscanf(given, "%lu:%lu", &seeds.first, &seeds.count);
  }
  return seeds;
}

Duration Some(Random& random, int64_t least_ms, int64_t most_ms) {
  return milliseconds(random.Between(least_ms, most_ms));
}

// One thing breaks or is mended.
void Disturb(DriverGroup* group, bool with_disk_faults) {
  Random& random = group->world.random();
  SimReplica& replica = *group->replicas[random.Below(group->replicas.size())];
  if (replica.up() && !replica.failure.ok()) group->Kill(replica);  // as an operator would
  if (!replica.up()) {
    if (random.OneIn(2)) group->Start(replica);
    return;
  }
  SimReplica& other = *group->replicas[random.Below(group->replicas.size())];
  switch (random.Below(11)) {
    case 0:
      group->Kill(replica);
      break;
    case 1:
      group->PowerCut(replica);
      break;
    case 2:
      group->Isolate(replica, true);
      break;
    case 3:
    case 4:
      group->network.HealAll();
      break;
    case 5:
      group->network.Break(replica.host, other.host,
                           random.OneIn(2) ? sim::SimBreak::kReset : sim::SimBreak::kHalfOpen);
      break;
    case 6:
      group->network.Clog(replica.host, other.host, Some(random, 10, 3'000));
      break;
    case 7:
      group->network.Cut(replica.host, other.host);
      break;
    case 8:
      replica.process->Pause(Some(random, 10, 3'000));
      break;
    case 9:
      if (with_disk_faults) replica.disk->SetFull(random.OneIn(2));
      break;
    case 10:
      if (!with_disk_faults) break;
      if (random.OneIn(2)) {
        replica.disk->SetCrashAfter(1 + random.Below(20));
      } else {
        replica.disk->FailNext();
      }
      break;
  }
}

void Load(DriverGroup* group) {
  Random& random = group->world.random();
  SimReplica* leader = group->Leader();
  SimReplica& any = *group->replicas[random.Below(group->replicas.size())];
  SimReplica* asked = leader != nullptr && !random.OneIn(8) ? leader : &any;
  if (!asked->up()) return;
  const auto proposals = random.Below(6);
  for (uint64_t i = 0; i < proposals; ++i) group->Propose(*asked);
  if (any.up() && random.OneIn(3)) group->Read(any);
  if (leader != nullptr && random.OneIn(60)) {
    leader->executor->Post([leader] { (void)leader->raft->TransferLeadership(std::nullopt); });
  }
}

void EndFaults(DriverGroup* group) {
  group->network.HealAll();
  for (auto& replica : group->replicas) {
    replica->disk->SetFull(false);
    replica->disk->SetCrashAfter(0);
    replica->disk->FailNext(0);
    if (replica->up() && (!replica->failure.ok() || replica->disk->crashed())) {
      group->Kill(*replica);
    }
    if (!replica->up()) group->Start(*replica);
  }
}

// At any time: of all that are started, one cluster only.
void CheckOneCluster(DriverGroup* group, uint64_t seed) {
  std::set<ClusterId> clusters;
  for (auto& replica : group->replicas) {
    if (replica->up() && replica->raft->core() != nullptr) {
      clusters.insert(replica->raft->status().cluster);
    }
  }
  ASSERT_LE(clusters.size(), 1u) << "seed " << seed;
}

uint64_t RunOne(uint64_t seed) {
  DriverGroup group(seed);
  Random& random = group.world.random();
  const int voters = random.OneIn(2) ? 3 : 5;
  group.automatic_quorum = random.OneIn(2);
  group.keeper.dead_after = seconds(3);
  group.keeper.target = voters;
  group.AddFounders(voters);
  if (random.OneIn(2)) group.AddReplica(9, {}, {"h1:raft", "h2:raft"});
  const bool with_disk_faults = random.OneIn(2);
  for (auto& replica : group.replicas) {
    if (!random.OneIn(4)) group.Start(*replica);
  }
  // Faults from the very first message on, so that founding is disturbed, too.
  const MonotonicTime end = group.world.Now() + seconds(20);
  while (group.world.Now() < end) {
    for (int i = 0; i < 8; ++i) {
      Load(&group);
      group.world.RunFor(Some(random, 1, 40));
      for (auto& replica : group.replicas) {
        if (replica->up() && replica->disk->crashed()) group.PowerCut(*replica);
      }
    }
    Disturb(&group, with_disk_faults);
    CheckOneCluster(&group, seed);
    if (::testing::Test::HasFatalFailure()) return 0;
  }
  EndFaults(&group);
  EXPECT_TRUE(group.AwaitProgress()) << "seed " << seed;
  EXPECT_TRUE(group.Await([&] { return group.Converged(); })) << "seed " << seed;
  group.CheckOutcomes();
  return group.world.trace_hash();
}

TEST(DriverFaults, SafeWhileItBreaksAndLiveAfterwards) {
  const Seeds seeds = SeedsToRun();
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    RunOne(seed);
    if (HasFailure()) {
      std::printf("seed %lu failed\n", seed);
      return;
    }
  }
}

TEST(DriverFaults, TwinsAreEqual) {
  for (uint64_t seed = 1; seed <= 2; ++seed) EXPECT_EQ(RunOne(seed), RunOne(seed)) << seed;
}

// All nodes lose power at once, again and again, while they found the cluster.
TEST(DriverFaults, FoundingSurvivesPowerCutsAtAnyTime) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    DriverGroup group(seed);
    Random& random = group.world.random();
    group.AddFounders(3);
    group.StartAll();
    for (int cut = 0; cut < 6; ++cut) {
      group.world.RunFor(Duration(random.Between(0, 30'000'000)));
      for (auto& replica : group.replicas) {
        if (!random.OneIn(2)) continue;
        if (replica->up()) group.PowerCut(*replica);
      }
      group.world.RunFor(Duration(random.Between(0, 400'000'000)));
      CheckOneCluster(&group, seed);
      group.StartAll();
    }
    ASSERT_TRUE(group.AwaitProgress()) << "seed " << seed;
    ASSERT_TRUE(group.Await([&] { return group.Converged(); })) << "seed " << seed;
  }
}

// Two processes run as node 1, each with a directory of its own: at most one cluster, and neither
// has a part of it that is told to be another.
TEST(DriverFaults, NodeOneTwiceNeverGivesTwoClusters) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    DriverGroup group(seed);
    Random& random = group.world.random();
    group.AddFounders(3);
    group.AddReplica(1, group.at(0).founders, {});
    for (auto& replica : group.replicas) {
      group.Start(*replica);
      group.world.RunFor(Duration(random.Between(0, 300'000'000)));
    }
    for (int i = 0; i < 50; ++i) {
      group.world.RunFor(milliseconds(200));
      CheckOneCluster(&group, seed);
    }
  }
}

}  // namespace
}  // namespace catamaran::raft
