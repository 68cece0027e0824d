#include "base/crc32c.h"

#include <array>
#include <cstddef>

#include "base/crc32c_kernels.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace catamaran {
namespace crc32c {
namespace {

// Slicing by 8: table[k][b] is the CRC of byte b followed by k zero bytes.
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomialReflected : crc >> 1;
    }
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < tables.size(); ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      uint32_t before = tables[k - 1][b];
      tables[k][b] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t ExtendPortable(uint32_t crc, const char* at, size_t length) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; length >= 8; at += 8, length -= 8) {
    uint64_t word = LoadWord(at) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) crc ^= kTables[7 - k][(word >> (8 * k)) & 0xFF];
  }
#endif
  for (; length > 0; ++at, --length) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<uint8_t>(*at)) & 0xFF];
  }
  return crc;
}

#if defined(__x86_64__)

namespace {

// crc32q takes 3 cycles and one may start in each, so three streams run at once and are joined by
// appending zeroes: the register of A ++ B is Shift(register of A, |B|) ^ register of B from 0.
constexpr size_t kLongStreamBytes = 2048;
constexpr size_t kShortStreamBytes = 256;
static_assert(kLongStreamBytes % 8 == 0 && kShortStreamBytes % 8 == 0);

// Appends `bytes` zero bytes to a register: a linear map, so four tables of 256 are enough.
class ZeroShift {
 public:
  explicit ZeroShift(size_t bytes) {
    constexpr char kZeroes[kLongStreamBytes] = {};
    uint32_t images[32];
    for (int bit = 0; bit < 32; ++bit) images[bit] = ExtendPortable(1U << bit, kZeroes, bytes);
    for (int part = 0; part < 4; ++part) {
      for (uint32_t b = 0; b < 256; ++b) {
        uint32_t sum = 0;
        for (int bit = 0; bit < 8; ++bit) {
          if ((b >> bit & 1) != 0) sum ^= images[8 * part + bit];
        }
        tables_[part][b] = sum;
      }
    }
  }
  uint32_t operator()(uint32_t crc) const {
    return tables_[0][crc & 0xFF] ^ tables_[1][crc >> 8 & 0xFF] ^ tables_[2][crc >> 16 & 0xFF] ^
           tables_[3][crc >> 24];
  }

 private:
  uint32_t tables_[4][256];
};

template <size_t kStreamBytes>
__attribute__((target("sse4.2"))) uint32_t ExtendThreeStreams(uint32_t crc, const char** at,
                                                              size_t* length,
                                                              const ZeroShift& shift) {
  const char* p = *at;
  const char* end = p + *length;
  for (; static_cast<size_t>(end - p) >= 3 * kStreamBytes; p += 3 * kStreamBytes) {
    uint64_t a = crc;
    uint64_t b = 0;
    uint64_t c = 0;
    for (size_t i = 0; i < kStreamBytes; i += 8) {
      a = _mm_crc32_u64(a, LoadWord(p + i));
      b = _mm_crc32_u64(b, LoadWord(p + kStreamBytes + i));
      c = _mm_crc32_u64(c, LoadWord(p + 2 * kStreamBytes + i));
    }
    crc = shift(static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
    crc = shift(crc) ^ static_cast<uint32_t>(c);
  }
  *at = p;
  *length = static_cast<size_t>(end - p);
  return crc;
}

}  // namespace

__attribute__((target("sse4.2"))) uint32_t ExtendSse42(uint32_t crc, const char* at,
                                                       size_t length) {
  static const ZeroShift long_shift(kLongStreamBytes);
  static const ZeroShift short_shift(kShortStreamBytes);
  crc = ExtendThreeStreams<kLongStreamBytes>(crc, &at, &length, long_shift);
  crc = ExtendThreeStreams<kShortStreamBytes>(crc, &at, &length, short_shift);
  uint64_t wide = crc;
  for (; length >= 8; at += 8, length -= 8) wide = _mm_crc32_u64(wide, LoadWord(at));
  crc = static_cast<uint32_t>(wide);
  for (; length > 0; ++at, --length) crc = _mm_crc32_u8(crc, static_cast<uint8_t>(*at));
  return crc;
}

bool HasSse42() { return __builtin_cpu_supports("sse4.2") != 0; }

#else

bool HasSse42() { return false; }
uint32_t ExtendSse42(uint32_t crc, const char* at, size_t length) {
  return ExtendPortable(crc, at, length);
}

#endif

std::vector<Kernel> Kernels() {
  std::vector<Kernel> kernels = {{"portable", ExtendPortable}};
  if (HasSse42()) kernels.push_back({"sse4.2", ExtendSse42});
  if (HasVpclmul()) kernels.push_back({"vpclmulqdq", ExtendVpclmul});
  return kernels;
}

}  // namespace crc32c

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
  static const auto extend = crc32c::Kernels().back().extend;
  return ~extend(~crc, bytes.data(), bytes.size());
}

}  // namespace catamaran
