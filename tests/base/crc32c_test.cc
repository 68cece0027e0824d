#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/crc32c_kernels.h"
#include "base/random.h"

namespace catamaran {
namespace {

struct Vector {
  std::string name;
  std::string bytes;
  uint32_t crc;
};

std::string Counting(int from, int step, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(from + i * step));
  return bytes;
}

std::string RandomBytes(uint64_t seed, size_t length) {
  Random random(seed);
  std::string bytes;
  for (size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(random.Next()));
  return bytes;
}

// RFC 3720 appendix B.4 and the check value of the CRC catalogue; the long ones, which reach every
// loop of every kernel, by a division bit by bit outside of this project.
const Vector kVectors[] = {
    {"empty", "", 0},
    {"check", "123456789", 0xE3069283},
    {"one letter", "a", 0xC1D04330},
    {"32 zeroes", std::string(32, '\0'), 0x8A9136AA},
    {"32 ones", std::string(32, '\xFF'), 0x62A8AB43},
    {"ascending", Counting(0, 1, 32), 0x46DD794E},
    {"descending", Counting(31, -1, 32), 0x113FDB5C},
    {"iSCSI read command",
     std::string("\x01\xC0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                 "\x14\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x14\x00\x00\x00\x18"
                 "\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
                 48),
     0xD9963A56},
    {"100000 zeroes", std::string(100'000, '\0'), 0xE5F88F3D},
    {"100000 letters", std::string(100'000, 'a'), 0x9BF0411C},
    {"100000 in steps of 37", Counting(11, 37, 100'000), 0xE20DC57C},
};

// The bytes at exactly this distance from an allocation's start and with nothing after them, so
// that the address sanitizer sees a read beyond either end.
class Placed {
 public:
  Placed(std::string_view bytes, size_t distance)
      : block_(new char[distance + bytes.size()]), view_(block_.get() + distance, bytes.size()) {
    bytes.copy(block_.get() + distance, bytes.size());
  }
  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }

 private:
  std::unique_ptr<char[]> block_;
  std::string_view view_;
};

class Crc32cKernelTest : public testing::TestWithParam<crc32c::Kernel> {
 protected:
  static uint32_t Crc(std::string_view bytes) {
    return ~GetParam().extend(~0u, bytes.data(), bytes.size());
  }
};

TEST_P(Crc32cKernelTest, GoldenVectors) {
  for (const Vector& vector : kVectors) EXPECT_EQ(Crc(vector.bytes), vector.crc) << vector.name;
}

TEST_P(Crc32cKernelTest, AgreesWithThePortableOneOnEveryLengthAndAlignment) {
  const std::string bytes = RandomBytes(1, 5'000);
  std::vector<uint32_t> expected = {77};  // by length
  for (size_t i = 0; i < bytes.size(); ++i) {
    expected.push_back(crc32c::ExtendPortable(expected.back(), bytes.data() + i, 1));
  }
  for (size_t length = 0; length <= bytes.size(); ++length) {
    for (const size_t distance : {0, 1, 3, 8, 13, 21, 32, 63}) {
      const Placed placed(std::string_view(bytes).substr(0, length), distance);
      ASSERT_EQ(GetParam().extend(77, placed.data(), placed.size()), expected[length])
          << length << " bytes at distance " << distance;
    }
  }
}

// Around the sums of the block sizes of all kernels.
TEST_P(Crc32cKernelTest, AgreesWithThePortableOneOnLongInputs) {
  const std::string bytes = RandomBytes(2, 70'000);
  for (const size_t block : {768, 992, 3'968, 6'144, 15'872}) {
    for (size_t count = 1; count <= 4; ++count) {
      for (size_t length = count * block - 17; length <= count * block + 17; ++length) {
        const Placed placed(std::string_view(bytes).substr(count, length), count);
        ASSERT_EQ(GetParam().extend(78, placed.data(), length),
                  crc32c::ExtendPortable(78, placed.data(), length))
            << length;
      }
    }
  }
}

TEST_P(Crc32cKernelTest, ExtendingInPartsEqualsTheWhole) {
  const std::string bytes = RandomBytes(3, 40'000);
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    uint32_t crc = ~0u;
    size_t at = 0;
    while (at < bytes.size()) {
      const size_t part = 1 + random.Below(bytes.size() - at);
      crc = GetParam().extend(crc, bytes.data() + at, part);
      at += part;
    }
    ASSERT_EQ(~crc, Crc(bytes)) << round;
  }
}

TEST_P(Crc32cKernelTest, EveryFlippedBitShows) {
  std::string bytes(2'500, 'x');
  const uint32_t crc = Crc(bytes);
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
    ASSERT_NE(Crc(bytes), crc) << i;
    bytes[i / 8] = static_cast<char>(bytes[i / 8] ^ (1 << (i % 8)));
  }
}

// Those that this machine has; the portable one always.
INSTANTIATE_TEST_SUITE_P(All, Crc32cKernelTest, testing::ValuesIn(crc32c::Kernels()),
                         [](const auto& kernel) {
                           std::string name(kernel.param.name);
                           std::erase(name, '.');
                           return name;
                         });

TEST(Crc32cTest, IsThatOfTheBestKernel) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283);
  EXPECT_EQ(ExtendCrc32c(Crc32c("1234"), "56789"), 0xE3069283);
  for (const Vector& vector : kVectors) EXPECT_EQ(Crc32c(vector.bytes), vector.crc) << vector.name;
}

}  // namespace
}  // namespace catamaran
