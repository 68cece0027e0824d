#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace catamaran {
namespace {

struct Vector {
  std::string name;
  std::string bytes;
  uint32_t crc;
};

std::string Counting(int from, int step) {
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes.push_back(static_cast<char>(from + i * step));
  return bytes;
}

// RFC 3720 appendix B.4, and the check value of the CRC catalogue.
const Vector kVectors[] = {
    {"empty", "", 0},
    {"check", "123456789", 0xE3069283},
    {"one letter", "a", 0xC1D04330},
    {"32 zeroes", std::string(32, '\0'), 0x8A9136AA},
    {"32 ones", std::string(32, '\xFF'), 0x62A8AB43},
    {"ascending", Counting(0, 1), 0x46DD794E},
    {"descending", Counting(31, -1), 0x113FDB5C},
    {"iSCSI read command",
     std::string("\x01\xC0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                 "\x14\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x14\x00\x00\x00\x18"
                 "\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
                 48),
     0xD9963A56},
};

TEST(Crc32cTest, GoldenVectors) {
  for (const Vector& vector : kVectors) {
    EXPECT_EQ(Crc32c(vector.bytes), vector.crc) << vector.name;
    EXPECT_EQ(ExtendCrc32cPortable(0, vector.bytes), vector.crc) << vector.name;
  }
}

// Every length around the block sizes of the fast one, at every alignment.
TEST(Crc32cTest, FastAndPortableAgree) {
  Random random(1);
  std::string bytes;
  for (int i = 0; i < 40000; ++i) bytes.push_back(static_cast<char>(random.Next()));
  const size_t lengths[] = {0,    1,    7,     8,     9,     255,   256,  767,  768,
                            769,  775,  1535,  1536,  6143,  6144,  6145, 6911, 6912,
                            6913, 6920, 12287, 12288, 12289, 20000, 39990};
  for (size_t length : lengths) {
    for (size_t start = 0; start < 9; ++start) {
      std::string_view view = std::string_view(bytes).substr(start, length);
      ASSERT_EQ(ExtendCrc32c(77, view), ExtendCrc32cPortable(77, view)) << length << "@" << start;
    }
  }
}

TEST(Crc32cTest, ExtendingInPartsEqualsTheWhole) {
  Random random(2);
  std::string bytes;
  for (int i = 0; i < 20000; ++i) bytes.push_back(static_cast<char>(random.Next()));
  for (int round = 0; round < 50; ++round) {
    size_t cut = random.Below(bytes.size());
    std::string_view view = bytes;
    EXPECT_EQ(ExtendCrc32c(Crc32c(view.substr(0, cut)), view.substr(cut)), Crc32c(view)) << cut;
  }
}

TEST(Crc32cTest, EveryFlippedBitShows) {
  std::string bytes(1000, 'x');
  uint32_t crc = Crc32c(bytes);
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
    ASSERT_NE(Crc32c(bytes), crc) << i;
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
  }
}

}  // namespace
}  // namespace catamaran
