#include "base/varint.h"

#include <bit>
#include <limits>

namespace catamaran {
namespace {

constexpr int kVarint32BytesMax = 5;
constexpr int kVarint64BytesMax = 10;

}  // namespace

char* StoreVarint64(char* at, int64_t v) {
  uint64_t rest = ZigZagEncode(v);
  while (rest >= 0x80) {
    *at++ = static_cast<char>(rest | 0x80);
    rest >>= 7;
  }
  *at++ = static_cast<char>(rest);
  return at;
}

void AppendVarint64(std::string* out, int64_t v) {
  char bytes[kVarint64BytesMax];
  out->append(bytes, static_cast<size_t>(StoreVarint64(bytes, v) - bytes));
}

int VarintSize(int64_t v) {
  // Seven bits a byte; "| 1" because zero takes a byte too.
  return (std::bit_width(ZigZagEncode(v) | 1) + 6) / 7;
}

int64_t ByteReader::ReadVarint64() {
  if (at_ < end_ && static_cast<uint8_t>(*at_) < 0x80) [[likely]] {
    return ZigZagDecode(static_cast<uint8_t>(*at_++));
  }
  uint64_t value = 0;
  const char* at = at_;
  for (int i = 0; i < kVarint64BytesMax; ++i) {
    if (at == end_) break;
    auto byte = static_cast<uint8_t>(*at++);
    // The tenth byte has room for one bit only.
    if (i == kVarint64BytesMax - 1 && byte > 1) break;
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      at_ = at;
      return ZigZagDecode(value);
    }
  }
  Fail();
  return 0;
}

int32_t ByteReader::ReadVarint32() {
  const char* start = at_;
  int64_t value = ReadVarint64();
  if (!ok_) return 0;
  if (at_ - start > kVarint32BytesMax || value < std::numeric_limits<int32_t>::min() ||
      value > std::numeric_limits<int32_t>::max()) {
    Fail();
    return 0;
  }
  return static_cast<int32_t>(value);
}

}  // namespace catamaran
