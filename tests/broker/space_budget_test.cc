#include "broker/space_budget.h"

#include "gtest/gtest.h"

namespace catamaran::broker {
namespace {

TEST(SpaceBudget, ABurstBetweenTwoChecksStopsAtTheReserve) {
  SpaceBudget budget(/*reserve=*/100);
  EXPECT_TRUE(budget.Take(1'000'000));  // before the first check nobody knows
  budget.Refill({.free_bytes = 2'000'400, .total_bytes = 9'000'000});
  budget.Refill({.free_bytes = 400, .total_bytes = 9'000'000});
  EXPECT_FALSE(budget.full());
  EXPECT_TRUE(budget.Take(200));
  EXPECT_TRUE(budget.Take(100));
  EXPECT_FALSE(budget.Take(1));
  EXPECT_TRUE(budget.full());
  EXPECT_EQ(budget.space().total_bytes, 9'000'000u);
}

TEST(SpaceBudget, WhatMayNotBeWrittenYetIsHeldBack) {
  SpaceBudget budget(100);
  budget.Refill({.free_bytes = 1'100, .total_bytes = 2'000});
  EXPECT_TRUE(budget.Take(600));
  budget.Refill({.free_bytes = 1'100, .total_bytes = 2'000});  // the 600 aren't on the disk yet
  EXPECT_FALSE(budget.Take(500));
  EXPECT_TRUE(budget.Take(400));
  budget.Refill({.free_bytes = 100, .total_bytes = 2'000});
  EXPECT_TRUE(budget.full());
  // Space came back: producers are taken again, nothing else has to happen.
  budget.Refill({.free_bytes = 2'000, .total_bytes = 2'000});
  EXPECT_FALSE(budget.full());
  EXPECT_TRUE(budget.Take(1'900));
}

TEST(SpaceBudget, WithoutAReserveTheDiskItselfDecides) {
  SpaceBudget budget(0);
  budget.Refill({.free_bytes = 0, .total_bytes = 2'000});
  EXPECT_TRUE(budget.Take(1));
  EXPECT_FALSE(budget.full());
}

}  // namespace
}  // namespace catamaran::broker
