#include "client/cli/offset_expression.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace catamaran::cli {
namespace {

using Kind = OffsetPoint::Kind;
constexpr TimestampMs kNow{1'700'000'000'000};

OffsetRange Parsed(std::string_view text) {
  absl::StatusOr<OffsetRange> range = ParseOffsetRange(text, kNow);
  EXPECT_TRUE(range.ok()) << text << ": " << range.status();
  return range.value_or(OffsetRange{{Kind::kOffset, -99}, std::nullopt});
}

TEST(OffsetRange, Points) {
  EXPECT_EQ(Parsed("start"), (OffsetRange{{Kind::kStart, 0}, std::nullopt}));
  EXPECT_EQ(Parsed("end"), (OffsetRange{{Kind::kEnd, 0}, std::nullopt}));
  EXPECT_EQ(Parsed("1500"), (OffsetRange{{Kind::kOffset, 1500}, std::nullopt}));
  EXPECT_EQ(Parsed("-10"), (OffsetRange{{Kind::kLast, 10}, std::nullopt}));
  EXPECT_EQ(Parsed("@1699999999999"),
            (OffsetRange{{Kind::kTime, 1'699'999'999'999}, std::nullopt}));
  EXPECT_EQ(Parsed("@2023-11-14T22:13:20Z"),
            (OffsetRange{{Kind::kTime, kNow.value()}, std::nullopt}));
  EXPECT_EQ(Parsed("@-1h"), (OffsetRange{{Kind::kTime, kNow.value() - 3'600'000}, std::nullopt}));
  EXPECT_EQ(Parsed("@-20000d"), (OffsetRange{{Kind::kTime, 0}, std::nullopt}));
}

TEST(OffsetRange, Ranges) {
  EXPECT_EQ(Parsed("start:end"), (OffsetRange{{Kind::kStart, 0}, OffsetPoint{Kind::kEnd, 0}}));
  EXPECT_EQ(Parsed(":end"), (OffsetRange{{Kind::kStart, 0}, OffsetPoint{Kind::kEnd, 0}}));
  EXPECT_EQ(Parsed("100:200"),
            (OffsetRange{{Kind::kOffset, 100}, OffsetPoint{Kind::kOffset, 200}}));
  EXPECT_EQ(Parsed("-10:end"), (OffsetRange{{Kind::kLast, 10}, OffsetPoint{Kind::kEnd, 0}}));
  EXPECT_EQ(Parsed("500:"), (OffsetRange{{Kind::kOffset, 500}, std::nullopt}));
}

TEST(OffsetRange, TimesKeepTheirColons) {
  EXPECT_EQ(Parsed("@2023-11-14T22:13:20Z:end"),
            (OffsetRange{{Kind::kTime, kNow.value()}, OffsetPoint{Kind::kEnd, 0}}));
  EXPECT_EQ(
      Parsed("@2023-11-14T22:13:20+00:00:@2023-11-14T22:13:21Z"),
      (OffsetRange{{Kind::kTime, kNow.value()}, OffsetPoint{Kind::kTime, kNow.value() + 1000}}));
  EXPECT_EQ(Parsed("start:@2023-11-14T22:13:20Z"),
            (OffsetRange{{Kind::kStart, 0}, OffsetPoint{Kind::kTime, kNow.value()}}));
}

TEST(OffsetRange, RefusesTheRest) {
  for (const char* bad : {"", "begin", "1.5", "--1", "-", "@", "@yesterday", "@-", "start:end:end",
                          "99999999999999999999", "1:x", "@-1x"}) {
    absl::StatusOr<OffsetRange> range = ParseOffsetRange(bad, kNow);
    EXPECT_FALSE(range.ok()) << bad;
  }
  EXPECT_FALSE(ParseOffsetPoint("start:end", kNow).ok());
}

TEST(OffsetRange, RefusesAnEndBeforeTheStart) {
  for (const char* bad : {"5:2", "1:0", "end:start", "-3:start", "0:start", "@-1h:start", "-2:-5",
                          "end:-1", "@-1h:@-2h", "@2023-11-14T22:13:20Z:@2023-11-14T22:13:19Z"}) {
    absl::StatusOr<OffsetRange> range = ParseOffsetRange(bad, kNow);
    ASSERT_FALSE(range.ok()) << bad;
    EXPECT_EQ(ReasonOf(range.status()), Reason::kInvalidArgument) << bad;
    EXPECT_NE(range.status().message().find("ends before it starts"), std::string::npos) << bad;
  }
  // An empty range, or one that a log may fill.
  for (const char* good : {"5:5", "end:end", "start:start", "-5:-2", "-5:end", "5:end", "end:5",
                           "@-1h:5", "-5:3", "@-1h:@-1h"}) {
    EXPECT_TRUE(ParseOffsetRange(good, kNow).ok()) << good;
  }
}

TEST(ResolvePoint, StaysWithinTheLog) {
  PartitionBounds bounds{Offset(10), Offset(50)};
  EXPECT_EQ(ResolvePoint({Kind::kStart, 0}, bounds, {}), Offset(10));
  EXPECT_EQ(ResolvePoint({Kind::kEnd, 0}, bounds, {}), Offset(50));
  EXPECT_EQ(ResolvePoint({Kind::kOffset, 7}, bounds, {}), Offset(7));
  EXPECT_EQ(ResolvePoint({Kind::kLast, 5}, bounds, {}), Offset(45));
  EXPECT_EQ(ResolvePoint({Kind::kLast, INT64_MAX}, bounds, {}), Offset(10));
  EXPECT_EQ(ResolvePoint({Kind::kTime, 1}, bounds, Offset(20)), Offset(20));
  EXPECT_EQ(ResolvePoint({Kind::kTime, 1}, bounds, {}), Offset(50));
}

}  // namespace
}  // namespace catamaran::cli
