// CRC-32C of long inputs at more than the one word per cycle of the crc32 instruction: each block
// is split, its front going through crc32 in three streams while its back is folded by carry-less
// multiplication, which occupies another unit of the core. The two halves take about equally long.
//
// Folding is due to Gopal, Ozturk, Guilford, Wolrich, Feghali, Dixon and Karakoyunlu, "Fast CRC
// Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009. What it needs here,
// in the reflected order of crc32c_kernels.h, all modulo P:
//
//  1. A word (64 bits) and a lane (128 bits) hold, at bit i, the coefficient of x^(63 - i) and of
//     x^(127 - i). So bytes load as they lie, and a lane is first * x^64 + second, of its two
//     words.
//  2. Multiplying the words a and b without carries puts the coefficient of x^(63 - i) * x^(63 - j)
//     at bit i + j, where a lane has x^(127 - i - j): the product lane is a * b * x.
//  3. A register c in the lower half of a word stands for c * x^32 there. With 2, the lane a
//  "times"
//     c is a * c * x^33. To multiply a word by x^n, take c = x^(n - 33) mod P.
//  4. Hence a lane times x^n is first "times" x^(n + 64 - 33) plus second "times" x^(n - 33), a
//  lane
//     again: that is folding it forward over n bits.
//  5. For a register r, the lower halves r and c multiply to a word of the value r * c * x, by the
//     count of 2 for 32 bits.
//  6. crc32q(r, w) is (r * x^64 + w * x^32) mod P. So crc32q(0, r "times" c) is r * c * x^33: the
//     same constant x^(n - 33) as in 3 appends n zero bits to a register; and crc32q over the two
//     words of a lane gives the register of all that was folded into it.
#include "base/crc32c_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

namespace catamaran::crc32c {
namespace {

#define CATAMARAN_VPCLMUL_TARGET __attribute__((target("avx2,vpclmulqdq,pclmul,sse4.2")))

constexpr uint32_t kOne = 0x80000000;  // x^0
constexpr uint32_t TimesX(uint32_t a) {
  return (a >> 1) ^ ((a & 1) != 0 ? kPolynomialReflected : 0);
}

// a * b mod P, by Horner's rule from the coefficient of x^31 of `a` down.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int i = 0; i < 32; ++i) product = TimesX(product) ^ ((a >> i & 1) != 0 ? b : 0);
  return product;
}

// The constant of 3 and 6 above: multiplies by x^bits.
constexpr uint32_t Shift(uint64_t bits) {
  uint32_t power = kOne;
  uint32_t square = TimesX(kOne);
  for (uint64_t n = bits - 33; n > 0; n >>= 1) {
    if ((n & 1) != 0) power = Multiply(power, square);
    square = Multiply(square, square);
  }
  return power;
}

// Two lanes are folded by one instruction, kWays of them take turns to hide its latency. While they
// take kWays * 32 bytes, each crc32 stream takes kStreamWords words: the ratio that was fastest on
// Zen 3, where either unit alone reaches about 8 bytes a cycle.
constexpr size_t kWays = 4;
constexpr size_t kStreamWords = 5;
constexpr size_t kPairBytes = 32;

// The registers of the three streams.
struct Streams {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
};

CATAMARAN_VPCLMUL_TARGET inline void AddWord(Streams& streams, const char* at, size_t stride) {
  streams.a = _mm_crc32_u64(streams.a, LoadWord(at));
  streams.b = _mm_crc32_u64(streams.b, LoadWord(at + stride));
  streams.c = _mm_crc32_u64(streams.c, LoadWord(at + 2 * stride));
}

// Two lanes moved forward by `factors`, with what lies there added.
CATAMARAN_VPCLMUL_TARGET inline __m256i Fold(__m256i lanes, __m256i factors, __m256i there) {
  const __m256i first = _mm256_clmulepi64_epi128(lanes, factors, 0x00);
  const __m256i second = _mm256_clmulepi64_epi128(lanes, factors, 0x11);
  return _mm256_xor_si256(_mm256_xor_si256(first, second), there);
}

CATAMARAN_VPCLMUL_TARGET inline __m256i FoldLoad(__m256i lanes, __m256i factors, const char* at) {
  return Fold(lanes, factors, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

template <size_t kBytes>
CATAMARAN_VPCLMUL_TARGET inline __m128i LaneFactors() {
  constexpr uint32_t kFirst = Shift(8 * kBytes + 64);
  constexpr uint32_t kSecond = Shift(8 * kBytes);
  return _mm_set_epi64x(kSecond, kFirst);
}

// The word that has a register's value with kBytes zero bytes appended, before crc32q (6 above).
template <size_t kBytes>
CATAMARAN_VPCLMUL_TARGET inline __m128i Append(uint64_t crc) {
  constexpr uint32_t kFactor = Shift(8 * kBytes);
  return _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)),
                              _mm_cvtsi64_si128(int64_t{kFactor}), 0x00);
}

template <size_t kSteps>
inline constexpr size_t kBlockBytesOf = (3 * kStreamWords * 8 + kWays * kPairBytes) * kSteps;

// Takes whole blocks: three streams of kSteps * kStreamWords words, then the lanes' bytes.
template <size_t kSteps>
CATAMARAN_VPCLMUL_TARGET uint32_t TakeBlocks(uint32_t crc, const char** at, size_t* length) {
  constexpr size_t kStreamBytes = kSteps * kStreamWords * 8;
  constexpr size_t kBlockBytes = kBlockBytesOf<kSteps>;
  const __m256i over_ways = _mm256_broadcastsi128_si256(LaneFactors<kWays * kPairBytes>());
  const __m256i over_pair = _mm256_broadcastsi128_si256(LaneFactors<kPairBytes>());
  const __m128i over_lane = LaneFactors<kPairBytes / 2>();
  for (; *length >= kBlockBytes; *at += kBlockBytes, *length -= kBlockBytes) {
    const char* word = *at;
    const char* pair = *at + 3 * kStreamBytes;
    Streams streams;
    __m256i w = _mm256_setzero_si256();
    __m256i x = w;
    __m256i y = w;
    __m256i z = w;
    for (size_t step = 0; step < kSteps; ++step) {
      w = FoldLoad(w, over_ways, pair);
      x = FoldLoad(x, over_ways, pair + kPairBytes);
      y = FoldLoad(y, over_ways, pair + 2 * kPairBytes);
      z = FoldLoad(z, over_ways, pair + 3 * kPairBytes);
      AddWord(streams, word, kStreamBytes);
      AddWord(streams, word + 8, kStreamBytes);
      AddWord(streams, word + 16, kStreamBytes);
      AddWord(streams, word + 24, kStreamBytes);
      AddWord(streams, word + 32, kStreamBytes);
      pair += kWays * kPairBytes;
      word += kStreamWords * 8;
    }
    z = Fold(Fold(Fold(w, over_pair, x), over_pair, y), over_pair, z);
    const __m128i front = _mm256_castsi256_si128(z);
    const __m128i lane = _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(front, over_lane, 0x00),
                                                     _mm_clmulepi64_si128(front, over_lane, 0x11)),
                                       _mm256_extracti128_si256(z, 1));
    // The register before the block enters here and not in the first stream, so that the streams of
    // the next block don't wait for this.
    const __m128i before = _mm_xor_si128(
        _mm_xor_si128(Append<kBlockBytes>(crc), Append<kBlockBytes - kStreamBytes>(streams.a)),
        _mm_xor_si128(Append<kBlockBytes - 2 * kStreamBytes>(streams.b),
                      Append<kBlockBytes - 3 * kStreamBytes>(streams.c)));
    const uint64_t first = static_cast<uint64_t>(_mm_cvtsi128_si64(lane));
    const uint64_t second = static_cast<uint64_t>(_mm_extract_epi64(lane, 1)) ^
                            static_cast<uint64_t>(_mm_cvtsi128_si64(before));
    crc = static_cast<uint32_t>(_mm_crc32_u64(_mm_crc32_u64(0, first), second));
  }
  return crc;
}
static_assert(kWays == 4 && kStreamWords == 5, "TakeBlocks writes them out");

}  // namespace

bool HasVpclmul() {
  // "avx2" is only reported when the system saves the 256-bit registers (XGETBV).
  return HasSse42() && __builtin_cpu_supports("pclmul") != 0 &&
         __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
}

// The end of a block costs as much as some hundred bytes, hence the large ones; the smaller take
// what is left over.
uint32_t ExtendVpclmul(uint32_t crc, const char* at, size_t length) {
  if (length >= kBlockBytesOf<4>) {
    crc = TakeBlocks<64>(crc, &at, &length);
    crc = TakeBlocks<16>(crc, &at, &length);
    crc = TakeBlocks<4>(crc, &at, &length);
  }
  return ExtendSse42(crc, at, length);
}

}  // namespace catamaran::crc32c

#else

namespace catamaran::crc32c {

bool HasVpclmul() { return false; }
uint32_t ExtendVpclmul(uint32_t crc, const char* at, size_t length) {
  return ExtendSse42(crc, at, length);
}

}  // namespace catamaran::crc32c

#endif
