// The implementations behind base/crc32c.h, which picks the best; here for it and for the tests
// that compare them.
//
// A kernel maps the register, which is the CRC without the inversions at both ends. A register
// holds a polynomial over GF(2) of degree under 32, reflected: bit i is the coefficient of x^(31 -
// i). Bytes are polynomials too, the lowest bit of the first byte standing for the highest power,
// so the register after bytes M of n bits is (register * x^n + M * x^32) mod P.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace catamaran::crc32c {

inline constexpr uint32_t kPolynomialReflected = 0x82F63B78;

// The next eight bytes as they lie in memory.
inline uint64_t LoadWord(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

// Tables; runs everywhere.
uint32_t ExtendPortable(uint32_t crc, const char* at, size_t length);

// The crc32 instruction in three streams. Only where HasSse42().
bool HasSse42();
uint32_t ExtendSse42(uint32_t crc, const char* at, size_t length);

// The crc32 instruction and carry-less multiplication side by side (crc32c_vpclmul.cc). Only where
// HasVpclmul(), which looks at both the processor and whether the system saves the wide registers.
bool HasVpclmul();
uint32_t ExtendVpclmul(uint32_t crc, const char* at, size_t length);

struct Kernel {
  std::string_view name;
  uint32_t (*extend)(uint32_t crc, const char* at, size_t length);
};
// Those that run on this machine, the best last.
std::vector<Kernel> Kernels();

}  // namespace catamaran::crc32c
