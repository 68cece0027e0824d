// Long random histories against a model, on each implementation, with restarts in between.
#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"
#include "tests/raft/store/store_script.h"

namespace catamaran::raft {
namespace {

// Returns the fingerprint at the end.
std::string RunHistory(StoreFixture& fixture, uint64_t seed, int steps) {
  Random random(seed);
  StoreImage image;
  image.cluster = TestIdentity().cluster;
  auto store = fixture.Open(TestIdentity(), true);
  uint64_t starts = 1;
  for (int i = 0; i < steps; ++i) {
    SCOPED_TRACE("step " + std::to_string(i));
    const StoreStep step = RandomStep(random, image);
    const absl::Status ran = step.run(**store);
    EXPECT_TRUE(ran.ok()) << step.name << ": " << ran;
    if (!ran.ok()) break;
    fixture.Settle();
    image = step.after;
    if (!random.OneIn(25)) continue;
    store->reset();
    store = fixture.Open(TestIdentity(), false);
    fixture.Settle();
    EXPECT_TRUE(store.ok()) << store.status();
    if (!store.ok()) break;
    EXPECT_EQ((*store)->opened().start_counter, ++starts);
    const auto seen = Observe(**store);
    EXPECT_TRUE(seen.ok()) << seen.status();
    if (!seen.ok()) break;
    EXPECT_EQ(*seen, image);
    if (*seen != image) break;
  }
  return fixture.Fingerprint();
}

TEST(StorePropertyTest, Simulated) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    SimFixture fixture;
    RunHistory(fixture, seed, 400);
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(StorePropertyTest, RocksOnTheSimulatedDisk) {
  uint64_t jobs = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RocksSimFixture fixture(seed);
    RunHistory(fixture, seed, 400);
    jobs += fixture.env().jobs_run();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(jobs, 50u) << "flushes and compactions should have run";
}

TEST(StorePropertyTest, Rocks) {
  RocksFixture fixture;
  RunHistory(fixture, 1, 150);
}

// Whatever a snapshot covers or a truncation removes is given back.
TEST(StorePropertyTest, ItsSizeIsBounded) {
  RocksSimFixture fixture;
  auto store = fixture.Open(TestIdentity(), true);
  ASSERT_TRUE(store.ok()) << store.status();
  LogWrite first;
  first.hard_state = HardState{Term(1), std::nullopt};
  ASSERT_TRUE((*store)->Write(first).ok());
  uint64_t used_max = 0;
  for (int64_t round = 0; round < 60; ++round) {
    for (int64_t i = 1; i <= 20; ++i) {
      LogWrite write;
      write.entries = {MakeEntry(1, round * 20 + i, std::string(10'000, 'x'))};
      ASSERT_TRUE((*store)->Write(write).ok());
      fixture.Settle();
    }
    SnapshotMeta meta;
    meta.last = {Term(1), LogIndex(round * 20 + 15)};
    ASSERT_TRUE((*store)->BeginSnapshot(meta).ok());
    ASSERT_TRUE((*store)->FinishSnapshot(meta.last).ok());
    ASSERT_TRUE((*store)->CompactLog(meta.last.index).ok());
    fixture.Settle();
    used_max = std::max(used_max, fixture.disk().used_bytes());
  }
  EXPECT_LT(used_max, 5'000'000u) << "12 MB were written";
}

TEST(StorePropertyTest, TwinRunsDoTheSame) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "RocksDB counts memory by what the allocator really gave, which differs from run "
                  "to run under this one";
#endif
  RocksSimFixture first(3);
  RocksSimFixture second(3);
  EXPECT_EQ(RunHistory(first, 9, 200), RunHistory(second, 9, 200));
  EXPECT_EQ(first.env().jobs_run(), second.env().jobs_run());
}

}  // namespace
}  // namespace catamaran::raft
