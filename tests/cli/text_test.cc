#include "client/cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace catamaran::cli {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Utf8, AcceptsWellFormedAndRefusesTheRest) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("caf\u00e9 \u6f22 \U0001F600"));
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
  EXPECT_FALSE(IsUtf8("\xC0\xAF"));          // overlong
  EXPECT_FALSE(IsUtf8("\xE0\x80\xAF"));      // overlong
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));      // a surrogate
  EXPECT_FALSE(IsUtf8("\xF4\x90\x80\x80"));  // past U+10FFFF
  EXPECT_FALSE(IsUtf8("\xE6\xBC"));          // cut
  EXPECT_FALSE(IsUtf8("\x80"));
}

TEST(DisplayWidth, CountsWhatATerminalShows) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("\u6f22\u5b57"), 4u);
  EXPECT_EQ(DisplayWidth("e\u0301"), 1u);
  EXPECT_EQ(DisplayWidth("\U0001F600"), 2u);
  EXPECT_EQ(DisplayWidth("\xFF"), 1u);
}

TEST(Printable, LeavesNoControlCharacter) {
  EXPECT_EQ(Printable("a\nb\t\x1b[31m\x7f"), "a\\nb\\t\\x1b[31m\\x7f");
  EXPECT_EQ(Printable("caf\u00e9"), "caf\u00e9");
  EXPECT_EQ(Printable("\xFF"), "\\xff");
  EXPECT_EQ(Printable("\u009b31m"), "\\xc2\\x9b31m");  // an eight-bit escape sequence
  EXPECT_EQ(Printable("\u202eabc"), "\\xe2\\x80\\xaeabc");
}

TEST(PrintableCut, KeepsToTheColumns) {
  EXPECT_EQ(PrintableCut("abcd", 4), "abcd");
  EXPECT_EQ(PrintableCut("abcde", 4), "abc\u2026");
  for (size_t columns = 1; columns < 9; ++columns) {
    EXPECT_LE(DisplayWidth(PrintableCut("\u6f22\u5b57\u6f22\u5b57", columns)), columns);
  }
}

TEST(Encodings, RoundTripEveryByteString) {
  Random random(7);
  for (size_t length = 0; length < 100; ++length) {
    std::string bytes;
    for (size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(random.Below(256)));
    EXPECT_EQ(FromHex(ToHex(bytes)), bytes);
    EXPECT_EQ(FromBase64(ToBase64(bytes)), bytes);
  }
}

TEST(Encodings, KnownValuesAndRefusals) {
  EXPECT_EQ(ToBase64("foob"), "Zm9vYg==");
  EXPECT_EQ(FromBase64("Zm9vYg"), "foob");
  EXPECT_EQ(ToHex(std::string_view("\x00\xff", 2)), "00ff");
  EXPECT_EQ(FromHex("00FF"), std::string("\x00\xff", 2));
  EXPECT_FALSE(FromHex("0").has_value());
  EXPECT_FALSE(FromHex("0g").has_value());
  EXPECT_FALSE(FromBase64("Zm9vY").has_value());
  EXPECT_FALSE(FromBase64("Zm9vYh==").has_value());  // bits that stand for nothing
  EXPECT_FALSE(FromBase64("Zm9v!A==").has_value());
  EXPECT_FALSE(FromBase64("Zm=vYg==").has_value());
}

TEST(Unescape, KnowsItsEscapesOnly) {
  EXPECT_EQ(Unescape("a\\n\\t\\r\\0\\\\\\x41"), std::string("a\n\t\r\0\\A", 7));
  EXPECT_FALSE(Unescape("\\q").has_value());
  EXPECT_FALSE(Unescape("\\").has_value());
  EXPECT_FALSE(Unescape("\\x4").has_value());
}

TEST(ParseDuration, UnitsAndLimits) {
  EXPECT_EQ(ParseDuration("250ms"), Duration(milliseconds(250)));
  EXPECT_EQ(ParseDuration("3"), Duration(seconds(3)));
  EXPECT_EQ(ParseDuration("7d"), Duration(hours(7 * 24)));
  EXPECT_FALSE(ParseDuration("").has_value());
  EXPECT_FALSE(ParseDuration("s").has_value());
  EXPECT_FALSE(ParseDuration("-1s").has_value());
  EXPECT_FALSE(ParseDuration("1.5s").has_value());
  EXPECT_FALSE(ParseDuration("9223372036854775807d").has_value());
}

TEST(ParseByteSize, UnitsAndLimits) {
  EXPECT_EQ(ParseByteSize("100"), 100);
  EXPECT_EQ(ParseByteSize("64k"), 65536);
  EXPECT_EQ(ParseByteSize("1MiB"), 1 << 20);
  EXPECT_FALSE(ParseByteSize("1x").has_value());
  EXPECT_FALSE(ParseByteSize("9223372036854775807g").has_value());
}

TEST(ParseTimestamp, Rfc3339AndMilliseconds) {
  EXPECT_EQ(ParseTimestamp("1700000000000"), TimestampMs(1'700'000'000'000));
  EXPECT_EQ(ParseTimestamp("2023-11-14T22:13:20Z"), TimestampMs(1'700'000'000'000));
  EXPECT_EQ(ParseTimestamp("2023-11-14T23:13:20.125+01:00"), TimestampMs(1'700'000'000'125));
  EXPECT_EQ(ParseTimestamp("1970-01-02"), TimestampMs(86'400'000));
  EXPECT_EQ(ParseTimestamp("2024-02-29"), TimestampMs(1'709'164'800'000));
  for (const char* bad : {"", "2023-02-29", "2023-13-01", "2023-11-14T25:00:00Z", "-5", "yesterday",
                          "2023-11-14T22:13:20", "2023-11-14T22:13:20Zx", "1969-12-31"}) {
    EXPECT_FALSE(ParseTimestamp(bad).has_value()) << bad;
  }
}

TEST(Format, Times) {
  EXPECT_EQ(FormatTimestamp(TimestampMs(1'700'000'000'125)), "2023-11-14T22:13:20.125Z");
  EXPECT_EQ(FormatTimestamp(kNoTimestamp), "-");
  EXPECT_FALSE(FormatTimestamp(TimestampMs(INT64_MAX)).empty());
  TimestampMs now(1'700'000'000'000);
  EXPECT_EQ(FormatRelativeTime(now - 3'000, now), "3s ago");
  EXPECT_EQ(FormatRelativeTime(now - 5 * 60'000, now), "5m ago");
  EXPECT_EQ(FormatRelativeTime(now + 2 * 3'600'000, now), "in 2h");
  EXPECT_EQ(FormatRelativeTime(TimestampMs(0), now), "1970-01-01");
}

TEST(Format, Quantities) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
  EXPECT_EQ(FormatBytes(1024.0 * 1024), "1.00 MiB");
  EXPECT_EQ(FormatCount(1234567), "1,234,567");
  EXPECT_EQ(FormatCount(-1234), "-1,234");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatDuration(milliseconds(1240)), "1.24 s");
  EXPECT_EQ(FormatDuration(std::chrono::microseconds(12)), "12.0 us");
  EXPECT_EQ(Plural(1, "record"), "1 record");
  EXPECT_EQ(Plural(2, "record"), "2 records");
}

TEST(Nearest, FindsWhatWasMeant) {
  EXPECT_EQ(EditDistance("craete", "create"), 1u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(Nearest("lst", {"create", "list"}), "list");
  EXPECT_EQ(Nearest("--partitons", {"--partition", "--partitions"}), "--partitions");
  EXPECT_FALSE(Nearest("frobnicate", {"create", "list"}).has_value());
}

}  // namespace
}  // namespace catamaran::cli
