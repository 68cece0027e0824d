#include <cstring>

#include "base/batch/batch.h"
#include "base/check.h"

namespace catamaran {
namespace {

// Little-endian, whatever the machine.
uint32_t LoadLittleEndian32(const char* at) {
  const auto* b = reinterpret_cast<const unsigned char*>(at);
  return uint32_t{b[0]} | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

}  // namespace

int32_t Murmur2(std::string_view bytes) {
  constexpr uint32_t kSeed = 0x9747b28c;
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  constexpr int kShift = 24;

  uint32_t hash = kSeed ^ static_cast<uint32_t>(bytes.size());
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 4; left -= 4, at += 4) {
    uint32_t word = LoadLittleEndian32(at) * kMultiplier;
    word ^= word >> kShift;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
  }
  if (left > 0) {
    for (size_t i = left; i > 0; --i) {
      hash ^= uint32_t{static_cast<unsigned char>(at[i - 1])} << (8 * (i - 1));
    }
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return static_cast<int32_t>(hash);
}

PartitionIndex PartitionForKey(std::string_view key, int32_t partition_count) {
  CATAMARAN_CHECK(partition_count > 0, "a topic has at least one partition");
  return PartitionIndex((Murmur2(key) & 0x7fffffff) % partition_count);
}

}  // namespace catamaran
