// Fixed-width and variable-length integers. Big-endian is the record batch's order; varints are
// zigzag base-128 little-endian as in record batch v2 (at most 5 bytes for 32 bits, 10 for 64).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace catamaran {

template <class T>
constexpr T ByteSwap(T v) {
  if constexpr (sizeof(T) == 2) {
    return static_cast<T>(__builtin_bswap16(static_cast<uint16_t>(v)));
  } else if constexpr (sizeof(T) == 4) {
    return static_cast<T>(__builtin_bswap32(static_cast<uint32_t>(v)));
  } else if constexpr (sizeof(T) == 8) {
    return static_cast<T>(__builtin_bswap64(static_cast<uint64_t>(v)));
  } else {
    static_assert(sizeof(T) == 1);
    return v;
  }
}

// Reads or writes sizeof(T) bytes at `at`, which must be in bounds.
template <class T>
T LoadBigEndian(const char* at) {
  T v;
  std::memcpy(&v, at, sizeof(T));
  return ByteSwap(v);
}
template <class T>
void StoreBigEndian(char* at, T v) {
  v = ByteSwap(v);
  std::memcpy(at, &v, sizeof(T));
}
template <class T>
void AppendBigEndian(std::string* out, T v) {
  char bytes[sizeof(T)];
  StoreBigEndian<T>(bytes, v);
  out->append(bytes, sizeof(T));
}

constexpr uint64_t ZigZagEncode(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
constexpr int64_t ZigZagDecode(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

void AppendVarint64(std::string* out, int64_t v);  // zigzag
inline void AppendVarint32(std::string* out, int32_t v) { AppendVarint64(out, v); }
int VarintSize(int64_t v);  // bytes that AppendVarint64 writes
// Writes at `at` (10 bytes must be free) and returns the end.
char* StoreVarint64(char* at, int64_t v);

// Reads bytes from front to back; every Read checks bounds. After a failed read `ok()` is false and
// all further reads fail and return zero, so that a parser may check once at the end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return static_cast<size_t>(end_ - at_); }
  const char* position() const { return at_; }

  template <class T>
  T ReadBigEndian() {
    if (!Has(sizeof(T))) return T{};
    T v = LoadBigEndian<T>(at_);
    at_ += sizeof(T);
    return v;
  }
  int32_t ReadVarint32();  // fails when longer than 5 bytes or outside 32 bits
  int64_t ReadVarint64();  // fails when longer than 10 bytes or outside 64 bits
  std::string_view ReadBytes(size_t length) {
    if (!Has(length)) return {};
    std::string_view v(at_, length);
    at_ += length;
    return v;
  }
  void Fail() {
    ok_ = false;
    at_ = end_;
  }

 private:
  bool Has(size_t n) {
    if (remaining() < n) {
      Fail();
      return false;
    }
    return true;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace catamaran
