#include "base/random.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace catamaran {
namespace {

// The sequence is part of what makes a simulation seed replay, so it may never change.
TEST(RandomTest, TheSequenceOfASeedIsFixed) {
  Random random(0);
  // splitmix64(0) fills the state; these are xoshiro256**'s first outputs from it.
  EXPECT_EQ(random.Next(), 0x99ec5f36cb75f2b4u);
  EXPECT_EQ(random.Next(), 0xbf6e1f784956452au);
  EXPECT_EQ(random.Next(), 0x1a5f849d4933e6e0u);
}

TEST(RandomTest, SeedsDiffer) {
  EXPECT_NE(Random(1).Next(), Random(2).Next());
  Random parent(3);
  Random child = parent.Fork();
  EXPECT_NE(parent.Next(), child.Next());
}

TEST(RandomTest, BelowIsUniformAndInRange) {
  Random random(4);
  constexpr int kRounds = 60000;
  std::vector<int> seen(6, 0);
  for (int i = 0; i < kRounds; ++i) ++seen.at(random.Below(6));
  for (int count : seen) EXPECT_NEAR(count, kRounds / 6, 500);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(random.Below(1), 0u);
}

TEST(RandomTest, BetweenReachesBothEnds) {
  Random random(5);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    int64_t v = random.Between(-2, 2);
    ASSERT_GE(v, -2);
    ASSERT_LE(v, 2);
    low = low || v == -2;
    high = high || v == 2;
  }
  EXPECT_TRUE(low && high);
  random.Between(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(random.Between(7, 7), 7);
}

TEST(RandomTest, ChanceFollowsItsProbability) {
  Random random(6);
  int hits = 0;
  for (int i = 0; i < 10000; ++i) hits += random.Chance(0.25) ? 1 : 0;
  EXPECT_NEAR(hits, 2500, 250);
  EXPECT_FALSE(random.Chance(0));
  EXPECT_TRUE(random.Chance(1));
}

TEST(RandomTest, TheSystemGivesDifferentSeeds) {
  EXPECT_NE(RandomSeedFromSystem(), RandomSeedFromSystem());
}

}  // namespace
}  // namespace catamaran
