#include <gtest/gtest.h>

#include <set>

#include "base/batch/batch.h"

namespace catamaran {
namespace {

// The vectors of Kafka's own UtilsTest.
TEST(Murmur2Test, AgreesWithKafka) {
  EXPECT_EQ(Murmur2("21"), -973932308);
  EXPECT_EQ(Murmur2("foobar"), -790332482);
  EXPECT_EQ(Murmur2("a-little-bit-long-string"), -985981536);
  EXPECT_EQ(Murmur2("a-little-bit-longer-string"), -1486304829);
  EXPECT_EQ(Murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8"), -58897971);
  EXPECT_EQ(Murmur2("abc"), 479470107);
}

TEST(Murmur2Test, HighBytesAreUnsigned) {
  // In Java the tail bytes are masked with 0xff; a sign extension would show here.
  std::set<int32_t> hashes;
  for (int c = 0; c < 256; ++c) hashes.insert(Murmur2(std::string(3, static_cast<char>(c))));
  EXPECT_EQ(hashes.size(), 256u);
}

TEST(PartitionForKeyTest, IsTheMaskedHashModuloTheCount) {
  EXPECT_EQ(PartitionForKey("21", 7).value(), (-973932308 & 0x7fffffff) % 7);
  EXPECT_EQ(PartitionForKey("abc", 12).value(), 479470107 % 12);
  EXPECT_EQ(PartitionForKey("", 1).value(), 0);
}

}  // namespace
}  // namespace catamaran
