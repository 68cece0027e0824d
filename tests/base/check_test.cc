#include "base/check.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/random.h"

namespace catamaran {
namespace {

TEST(CheckDeathTest, SaysWhatBrokeAndAborts) {
  int limit = 3;
  CATAMARAN_CHECK(limit == 3, "holds");
  EXPECT_DEATH(CATAMARAN_CHECK(limit == 4, "the limit moved"),
               "check_test.cc:[0-9]+: CHECK failed: limit == 4: the limit moved");
  EXPECT_DEATH(Random(1).Below(0), "CHECK failed");
}

TEST(ClockTest, MonotonicTimeNeverGoesBack) {
  MonotonicTime last = SystemClock().Now();
  for (int i = 0; i < 1000; ++i) {
    MonotonicTime now = SystemClock().Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ClockTest, WallTimeIsInThisCentury) {
  constexpr TimestampMs kYear2024{1'704'067'200'000};
  constexpr TimestampMs kYear2100{4'102'444'800'000};
  EXPECT_GT(SystemClock().WallNow(), kYear2024);
  EXPECT_LT(SystemClock().WallNow(), kYear2100);
}

}  // namespace
}  // namespace catamaran
