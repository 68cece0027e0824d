#include "base/varint.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/random.h"

namespace catamaran {
namespace {

constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max();
constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();
constexpr int32_t kMax32 = std::numeric_limits<int32_t>::max();

std::string Encoded(int64_t v) {
  std::string out;
  AppendVarint64(&out, v);
  return out;
}

TEST(VarintTest, GoldenBytes) {
  EXPECT_EQ(Encoded(0), std::string("\x00", 1));
  EXPECT_EQ(Encoded(-1), "\x01");
  EXPECT_EQ(Encoded(1), "\x02");
  EXPECT_EQ(Encoded(-64), "\x7F");
  EXPECT_EQ(Encoded(64), std::string("\x80\x01"));
  EXPECT_EQ(Encoded(300), "\xD8\x04");
  EXPECT_EQ(Encoded(kMax32), "\xFE\xFF\xFF\xFF\x0F");
  EXPECT_EQ(Encoded(kMin32), "\xFF\xFF\xFF\xFF\x0F");
  EXPECT_EQ(Encoded(kMax64), "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
  EXPECT_EQ(Encoded(kMin64), "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
}

std::vector<int64_t> Interesting() {
  std::vector<int64_t> values = {0, kMin64, kMax64};
  for (int bit = 0; bit < 63; ++bit) {
    for (int64_t around = -2; around <= 2; ++around) {
      values.push_back((int64_t{1} << bit) + around);
      values.push_back(-(int64_t{1} << bit) + around);
    }
  }
  Random random(5);
  for (int i = 0; i < 1000; ++i) {
    values.push_back(static_cast<int64_t>(random.Next() >> random.Below(64)));
  }
  return values;
}

TEST(VarintTest, RoundTripAndSize) {
  for (int64_t v : Interesting()) {
    std::string bytes = Encoded(v);
    EXPECT_EQ(static_cast<int>(bytes.size()), VarintSize(v)) << v;
    ByteReader reader(bytes);
    EXPECT_EQ(reader.ReadVarint64(), v);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.remaining(), 0u);
    EXPECT_EQ(ZigZagDecode(ZigZagEncode(v)), v);
  }
}

TEST(VarintTest, EveryTruncationFails) {
  for (int64_t v : Interesting()) {
    std::string bytes = Encoded(v);
    for (size_t length = 0; length < bytes.size(); ++length) {
      ByteReader reader(std::string_view(bytes).substr(0, length));
      EXPECT_EQ(reader.ReadVarint64(), 0);
      EXPECT_FALSE(reader.ok());
    }
  }
}

TEST(VarintTest, ReadsThirtyTwoBitsOnlyInRange) {
  for (int64_t v : Interesting()) {
    std::string bytes = Encoded(v);
    ByteReader reader(bytes);
    int32_t got = reader.ReadVarint32();
    bool fits = v >= kMin32 && v <= kMax32;
    EXPECT_EQ(reader.ok(), fits) << v;
    EXPECT_EQ(got, fits ? v : 0) << v;
  }
}

TEST(VarintTest, RefusesTooLongEncodings) {
  const std::string eleven("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11);
  EXPECT_FALSE([&] {
    ByteReader reader(eleven);
    reader.ReadVarint64();
    return reader.ok();
  }());
  // Ten bytes, of which the last has a bit too many.
  ByteReader overflow("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02");
  overflow.ReadVarint64();
  EXPECT_FALSE(overflow.ok());
  // Zero in six bytes: right for 64 bits, too long for 32.
  const std::string six("\x80\x80\x80\x80\x80\x00", 6);
  ByteReader wide(six);
  EXPECT_EQ(wide.ReadVarint64(), 0);
  EXPECT_TRUE(wide.ok());
  ByteReader narrow(six);
  narrow.ReadVarint32();
  EXPECT_FALSE(narrow.ok());
}

TEST(VarintTest, AFailureSticks) {
  ByteReader reader(std::string_view("\x80", 1));
  reader.ReadVarint64();
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.ReadBigEndian<uint8_t>(), 0);
  EXPECT_TRUE(reader.ReadBytes(0).empty());
  EXPECT_EQ(reader.ReadVarint32(), 0);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(VarintTest, FixedWidthIsBigEndian) {
  std::string out;
  AppendBigEndian<int16_t>(&out, -2);
  AppendBigEndian<uint32_t>(&out, 0x01020304);
  AppendBigEndian<int64_t>(&out, 5);
  AppendBigEndian<uint8_t>(&out, 6);
  EXPECT_EQ(out, std::string("\xFF\xFE\x01\x02\x03\x04\0\0\0\0\0\0\0\x05\x06", 15));
  ByteReader reader(out);
  EXPECT_EQ(reader.ReadBigEndian<int16_t>(), -2);
  EXPECT_EQ(reader.ReadBigEndian<uint32_t>(), 0x01020304u);
  EXPECT_EQ(reader.ReadBigEndian<int64_t>(), 5);
  EXPECT_EQ(reader.ReadBigEndian<uint8_t>(), 6);
  EXPECT_TRUE(reader.ok());
  reader.ReadBigEndian<uint8_t>();
  EXPECT_FALSE(reader.ok());
}

TEST(VarintTest, ReadBytesChecksItsBounds) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.ReadBytes(2), "ab");
  EXPECT_EQ(reader.ReadBytes(std::numeric_limits<size_t>::max()), "");
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace catamaran
