#include "client/cli/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace catamaran::cli {
namespace {

TEST(LatencyHistogram, PercentilesAreWithinOnePerCent) {
  Random random(3);
  LatencyHistogram histogram;
  std::vector<int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    auto value = static_cast<int64_t>(random.Below(uint64_t{1} << random.Between(1, 38)));
    values.push_back(value);
    histogram.Add(Duration(value));
  }
  std::sort(values.begin(), values.end());
  for (double fraction : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    auto rank = static_cast<size_t>(std::max(1.0, fraction * 20'000)) - 1;
    auto exact = static_cast<double>(values[rank]);
    auto got = static_cast<double>(histogram.Percentile(fraction).count());
    EXPECT_GE(got, exact) << fraction;
    EXPECT_LE(got, exact * 1.02 + 1) << fraction;
  }
  EXPECT_EQ(histogram.max(), Duration(values.back()));
  EXPECT_EQ(histogram.count(), 20'000);
}

TEST(LatencyHistogram, EdgesOfItsRange) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Percentile(0.5), Duration(0));
  histogram.Add(Duration(-5));
  EXPECT_EQ(histogram.Percentile(1.0), Duration(0));
  histogram.Add(std::chrono::hours(5));
  EXPECT_GT(histogram.Percentile(1.0), std::chrono::minutes(9));
}

}  // namespace
}  // namespace catamaran::cli
