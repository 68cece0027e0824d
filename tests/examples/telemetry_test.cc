#include "client/examples/telemetry.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace catamaran::examples {
namespace {

constexpr int64_t kStartMs = 1'700'000'000'000;

TEST(TelemetryTest, JsonRoundTrip) {
  Fleet fleet(/*cars=*/3, /*seed=*/7, kStartMs);
  for (int i = 0; i < 100; ++i) {
    Reading reading = fleet.Next();
    absl::StatusOr<Reading> read = FromJson(ToJson(reading));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, reading);
  }
}

TEST(TelemetryTest, RefusesWhatIsNoReading) {
  for (std::string json :
       {"", "[]", "{}", "{\"car\":1}", "{\"car\":\"a\",\"time_ms\":\"1\"}", "{"}) {
    EXPECT_FALSE(FromJson(json).ok()) << json;
  }
}

TEST(TelemetryTest, TheSameSeedDrivesTheSameDay) {
  Fleet one(5, 42, kStartMs);
  Fleet two(5, 42, kStartMs);
  Fleet other(5, 43, kStartMs);
  bool differs = false;
  for (int i = 0; i < 200; ++i) {
    Reading reading = one.Next();
    EXPECT_EQ(reading, two.Next());
    differs |= reading != other.Next();
  }
  EXPECT_TRUE(differs);
}

TEST(TelemetryTest, TotalsDontDependOnTheOrder) {
  Fleet fleet(4, 1, kStartMs);
  std::vector<Reading> readings;
  for (int i = 0; i < 500; ++i) readings.push_back(fleet.Next());
  FuelTotals forward;
  FuelTotals backward;
  for (size_t i = 0; i < readings.size(); ++i) {
    forward.Add(readings[i]);
    backward.Add(readings[readings.size() - 1 - i]);
  }
  EXPECT_EQ(forward.Summary(), backward.Summary());
  EXPECT_EQ(forward.Worst(2), backward.Worst(2));
  EXPECT_EQ(forward.Worst(2).size(), 2u);
  backward.Add(readings[0]);
  EXPECT_NE(forward.Summary(), backward.Summary());
}

TEST(TelemetryTest, CarsBreakAndAreSeen) {
  Fleet fleet(20, 1, kStartMs);
  std::map<std::string, int> alarms;
  for (int i = 0; i < 5000; ++i) {
    Reading reading = fleet.Next();
    if (NeedsAttention(reading)) ++alarms[reading.car];
  }
  EXPECT_GT(alarms.size(), 1u);
  EXPECT_FALSE(NeedsAttention(Reading{.engine_celsius = 90, .tyre_kpa = 240}).has_value());
  EXPECT_TRUE(NeedsAttention(Reading{.engine_celsius = 90, .tyre_kpa = 100}).has_value());
}

}  // namespace
}  // namespace catamaran::examples
