#include "base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "base/buffer.h"

namespace catamaran {
namespace {

TEST(IdsTest, PositionsAddDistances) {
  EXPECT_EQ(Offset(5) + 3, Offset(8));
  EXPECT_EQ(Offset(5) - 3, Offset(2));
  EXPECT_EQ(Offset(5) - Offset(3), 2);
  EXPECT_LT(Offset(-1), Offset(0));
  static_assert(!std::is_convertible_v<int64_t, Offset>);
  static_assert(!std::is_convertible_v<Offset, int64_t>);
  static_assert(!std::is_constructible_v<Offset, LeaderEpoch>);
  static_assert(std::is_trivially_copyable_v<Offset>);
}

TEST(UuidTest, TextAndBytesRoundTrip) {
  const std::string text = "9f1c2f4e-8a56-4c5e-9c0d-0f6f5c8a2b11";
  std::optional<Uuid> uuid = Uuid::FromString(text);
  ASSERT_TRUE(uuid.has_value());
  EXPECT_EQ(uuid->ToString(), text);
  EXPECT_EQ(uuid->ToBytes().size(), 16u);
  EXPECT_EQ(uuid->ToBytes()[0], '\x9f');
  EXPECT_EQ(Uuid::FromBytes(uuid->ToBytes()), uuid);
  EXPECT_EQ(Uuid::FromString("9F1C2F4E-8A56-4C5E-9C0D-0F6F5C8A2B11"), uuid);
}

TEST(UuidTest, RefusesMalformedText) {
  for (const char* text :
       {"", "9f1c2f4e", "9f1c2f4e-8a56-4c5e-9c0d-0f6f5c8a2b1",
        "9f1c2f4e-8a56-4c5e-9c0d-0f6f5c8a2b111", "9f1c2f4e08a56-4c5e-9c0d-0f6f5c8a2b11",
        "9f1c2f4e-8a56-4c5e-9c0d-0f6f5c8a2b1g", "-9f1c2f4e8a56-4c5e-9c0d-0f6f5c8a2b11"}) {
    EXPECT_EQ(Uuid::FromString(text), std::nullopt) << text;
  }
  EXPECT_EQ(Uuid::FromBytes("short"), std::nullopt);
  EXPECT_EQ(Uuid::FromBytes(std::string(17, 'x')), std::nullopt);
}

TEST(UuidTest, RandomOnesSayVersionFour) {
  Uuid uuid = Uuid::FromRandom(~uint64_t{0}, ~uint64_t{0});
  EXPECT_EQ(uuid.ToString(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
  EXPECT_EQ(Uuid::FromRandom(0, 0).ToString(), "00000000-0000-4000-8000-000000000000");
  EXPECT_TRUE(Uuid().is_nil());
  EXPECT_FALSE(Uuid::FromRandom(0, 0).is_nil());
}

TEST(BufferTest, SharesBytesAndKeepsThemAlive) {
  Buffer whole = Buffer::FromString("0123456789");
  Buffer part = whole.Sub(3, 4);
  const char* at = whole.data() + 3;
  whole = Buffer();
  EXPECT_EQ(part.view(), "3456");
  EXPECT_EQ(part.data(), at);
  EXPECT_EQ(part.Sub(2).view(), "56");
  EXPECT_TRUE(part.Sub(4).empty());
  EXPECT_EQ(part.Sub(1, 100).view(), "456");
}

}  // namespace
}  // namespace catamaran
