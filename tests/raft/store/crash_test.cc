// The store on RocksDB on the simulated disk: crashes at every mutating operation (writes, syncs,
// renames, creations and removals of files, syncs of directories), each with a choice of what the
// disk kept (invariants.md S1, R2).
#include <cstdio>

#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"
#include "tests/raft/store/store_history.h"
#include "tests/raft/store/store_script.h"

namespace catamaran::raft {
namespace {

using sim::SimCrash;

struct CrashPlan {
  uint64_t history_seed;
  int steps;
  int reopen_every;
  uint64_t large_one_in;
};

struct Seen {
  int points = 0;
  int kept_unacknowledged = 0;
  int exact = 0;
};

void CrashAt(uint64_t point, uint64_t disk_seed, const CrashPlan& plan, Seen* seen) {
  SCOPED_TRACE("crash at operation " + std::to_string(point) + ", disk " +
               std::to_string(disk_seed));
  RocksSimFixture fixture(disk_seed);
  fixture.disk().SetCrashAfter(point);
  History history(fixture, plan.history_seed, plan.large_one_in);
  history.Run(plan.steps, plan.reopen_every);
  ASSERT_TRUE(fixture.disk().crashed());
  history.Close();
  fixture.Settle();
  fixture.disk().Restart(disk_seed % 4 == 3 ? SimCrash::kProcessOnly : SimCrash::kPowerLoss);
  const absl::Status opened = history.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  history.Check();
  ++seen->points;
  ++(history.kept_unacknowledged() ? seen->kept_unacknowledged : seen->exact);
  // It goes on, and a power cut between two operations loses nothing.
  for (int i = 0; i < 3; ++i) {
    const absl::Status stepped = history.Step();
    ASSERT_TRUE(stepped.ok()) << stepped;
  }
  fixture.disk().Crash();
  history.Close();
  fixture.Settle();
  fixture.disk().Restart();
  const absl::Status again = history.Open();
  ASSERT_TRUE(again.ok()) << again;
  history.Check();
}

void CrashEverywhere(const CrashPlan& plan, uint64_t disk_seeds, uint64_t stride = 1) {
  RocksSimFixture whole(1);
  History history(whole, plan.history_seed, plan.large_one_in);
  ASSERT_TRUE(history.Run(plan.steps, plan.reopen_every));
  const uint64_t points = whole.disk().operation_count();
  history.Close();
  Seen seen;
  for (uint64_t point = 1; point <= points; point += stride) {
    for (uint64_t disk_seed = 0; disk_seed < disk_seeds; ++disk_seed) {
      CrashAt(point, point * 16 + disk_seed + point % 4, plan, &seen);
      if (::testing::Test::HasFailure()) return;
    }
  }
  ::testing::Test::RecordProperty("points", seen.points);
  std::printf("%d crashes over %d operations: %d exactly what was acknowledged, %d one more\n",
              seen.points, static_cast<int>(points), seen.exact, seen.kept_unacknowledged);
  EXPECT_GT(seen.exact, 0);
  EXPECT_GT(seen.kept_unacknowledged, 0) << "some crash should have kept what was in flight";
}

TEST(StoreCrashTest, AtEveryOperationOfACreationAndFirstWrites) {
  CrashEverywhere({.history_seed = 1, .steps = 12, .reopen_every = 6, .large_one_in = 50}, 2);
}

TEST(StoreCrashTest, AtEveryOperationOfFlushesAndCompactions) {
  CrashEverywhere({.history_seed = 2, .steps = 30, .reopen_every = 25, .large_one_in = 1}, 1);
}

TEST(StoreCrashTest, AtEveryOperationOfSnapshots) {
  CrashEverywhere({.history_seed = 5, .steps = 40, .reopen_every = 25, .large_one_in = 20}, 1);
}

}  // namespace
}  // namespace catamaran::raft
