#include "base/ids.h"

#include <cstring>

#include "base/varint.h"

namespace catamaran {
namespace {

constexpr size_t kUuidTextBytes = 36;
constexpr char kHexDigits[] = "0123456789abcdef";

constexpr bool IsDash(size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

// -1 for anything that isn't a hexadecimal digit.
constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Uuid Uuid::FromRandom(uint64_t high, uint64_t low) {
  std::array<char, 16> bytes;
  StoreBigEndian<uint64_t>(bytes.data(), high);
  StoreBigEndian<uint64_t>(bytes.data() + 8, low);
  bytes[6] = static_cast<char>((bytes[6] & 0x0F) | 0x40);  // RFC 4122 section 4.1.3: version 4
  bytes[8] = static_cast<char>((bytes[8] & 0x3F) | 0x80);  // section 4.1.1: the variant
  return *FromBytes(std::string_view(bytes.data(), bytes.size()));
}

std::optional<Uuid> Uuid::FromString(std::string_view text) {
  if (text.size() != kUuidTextBytes) return std::nullopt;
  std::array<uint8_t, 16> bytes{};
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsDash(i)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    int value = HexValue(text[i]);
    if (value < 0) return std::nullopt;
    bytes[digits / 2] = static_cast<uint8_t>(bytes[digits / 2] << 4 | value);
    ++digits;
  }
  return Uuid(bytes);
}

std::optional<Uuid> Uuid::FromBytes(std::string_view bytes) {
  std::array<uint8_t, 16> out;
  if (bytes.size() != out.size()) return std::nullopt;
  std::memcpy(out.data(), bytes.data(), out.size());
  return Uuid(out);
}

std::string Uuid::ToString() const {
  std::string text;
  text.reserve(kUuidTextBytes);
  for (uint8_t byte : bytes_) {
    if (IsDash(text.size())) text.push_back('-');
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 0x0F]);
  }
  return text;
}

std::string Uuid::ToBytes() const { return std::string(bytes_.begin(), bytes_.end()); }

}  // namespace catamaran
