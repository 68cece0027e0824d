#include "client/cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace catamaran::cli {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// From Unicode's EastAsianWidth (W and F) and the emoji blocks, merged.
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x2614, 0x2615},   {0x26A1, 0x26A1},   {0x2705, 0x2705},   {0x274C, 0x274C},
    {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0xA4CF},
    {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE10, 0xFE19},
    {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},   {0xFFE0, 0xFFE6},   {0x1F004, 0x1F004},
    {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F18E}, {0x1F191, 0x1F19A}, {0x1F200, 0x1F320},
    {0x1F32D, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF},
    {0x20000, 0x3FFFD}};
// Combining marks and format characters.
constexpr Range kZero[] = {{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A},
                           {0x064B, 0x065F}, {0x0E31, 0x0E31}, {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E},
                           {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF},
                           {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}};

template <size_t N>
bool InRanges(char32_t c, const Range (&ranges)[N]) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& range) { return range.first <= c && c <= range.last; });
}

size_t WidthOf(char32_t c) {
  if (InRanges(c, kZero)) return 0;
  return InRanges(c, kWide) ? 2 : 1;
}

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string EscapeByte(char c) {
  switch (c) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    default: {
      auto byte = static_cast<uint8_t>(c);
      return {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
    }
  }
}

// One character made printable, and how many bytes of `text` it was.
std::pair<std::string, size_t> PrintableFront(std::string_view text) {
  std::optional<Utf8Character> character = DecodeUtf8(text);
  if (!character.has_value()) return {EscapeByte(text[0]), 1};
  char32_t c = character->code_point;
  bool control = c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0);
  // Characters that reorder the line are as good as control characters to somebody who lies.
  bool reorders = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  if (!control && !reorders)
    return {std::string(text.substr(0, character->length)), character->length};
  std::string escaped;
  for (size_t i = 0; i < character->length; ++i) escaped += EscapeByte(text[i]);
  return {escaped, character->length};
}

std::string Format(const char* format, double value) {
  char buffer[64];
  int length = std::snprintf(buffer, sizeof(buffer), format, value);
  return std::string(buffer, static_cast<size_t>(length));
}

std::string ThreeDigits(double value) {
  return Format(value < 9.995 ? "%.2f" : value < 99.95 ? "%.1f" : "%.0f", value);
}

}  // namespace

std::string Cat(std::initializer_list<std::string_view> parts) {
  size_t size = 0;
  for (std::string_view part : parts) size += part.size();
  std::string all;
  all.reserve(size);
  for (std::string_view part : parts) all.append(part);
  return all;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string all;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) all.append(separator);
    all.append(parts[i]);
  }
  return all;
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == text.npos ? text.npos : end - begin));
    if (end == text.npos) return parts;
    begin = end + 1;
  }
}

std::optional<Utf8Character> DecodeUtf8(std::string_view bytes) {
  auto lead = static_cast<uint8_t>(bytes[0]);
  if (lead < 0x80) return Utf8Character{lead, 1};
  size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes.size() < length) return std::nullopt;
  char32_t c = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    auto next = static_cast<uint8_t>(bytes[i]);
    if ((next & 0xC0) != 0x80) return std::nullopt;
    c = (c << 6) | (next & 0x3Fu);
  }
  constexpr char32_t kLowest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (c < kLowest[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return std::nullopt;
  return Utf8Character{c, length};
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    if (static_cast<uint8_t>(bytes[0]) < 0x80) {
      bytes.remove_prefix(1);
      continue;
    }
    std::optional<Utf8Character> character = DecodeUtf8(bytes);
    if (!character.has_value()) return false;
    bytes.remove_prefix(character->length);
  }
  return true;
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    std::optional<Utf8Character> character = DecodeUtf8(text);
    width += character.has_value() ? WidthOf(character->code_point) : 1;
    text.remove_prefix(character.has_value() ? character->length : 1);
  }
  return width;
}

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    auto [character, length] = PrintableFront(text);
    printable += character;
    text.remove_prefix(length);
  }
  return printable;
}

std::string PrintableCut(std::string_view text, size_t columns_max) {
  std::string printable;
  size_t columns = 0;
  while (!text.empty()) {
    auto [character, length] = PrintableFront(text);
    size_t width = DisplayWidth(character);
    bool last = length == text.size();
    if (columns + width > columns_max - (last ? 0 : 1)) return printable + "\u2026";
    printable += character;
    columns += width;
    text.remove_prefix(length);
  }
  return printable;
}

std::string ToHex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    auto byte = static_cast<uint8_t>(c);
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::optional<std::string> FromHex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    int high = HexValue(text[i]);
    int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

std::string ToBase64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= count ? kBase64Digits[bits >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::optional<std::string> FromBase64(std::string_view text) {
  if (text.size() % 4 == 0) {
    for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int bit_count = 0;
  for (char c : text) {
    size_t digit = kBase64Digits.find(c);
    if (digit == kBase64Digits.npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes += static_cast<char>(bits >> bit_count & 0xFF);
    }
  }
  // Bits that stand for nothing must be zero, so that one byte string has one text.
  if ((bits & ((1u << bit_count) - 1)) != 0) return std::nullopt;
  return bytes;
}

std::optional<std::string> Unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    constexpr std::string_view kNames = "ntr0\\";
    constexpr std::string_view kMeanings("\n\t\r\0\\", 5);
    if (size_t at = kNames.find(text[i]); at != kNames.npos) {
      plain += kMeanings[at];
    } else if (text[i] == 'x') {
      std::optional<std::string> byte = FromHex(text.substr(i + 1, 2));
      if (!byte.has_value() || byte->size() != 1) return std::nullopt;
      plain += *byte;
      i += 2;
    } else {
      return std::nullopt;
    }
  }
  return plain;
}

std::optional<int64_t> ParseInt64(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Duration> ParseDuration(std::string_view text) {
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::optional<int64_t> count = ParseInt64(text.substr(0, digits));
  if (!count.has_value()) return std::nullopt;
  struct Unit {
    std::string_view name;
    Duration duration;
  };
  constexpr Unit kUnits[] = {
      {"", std::chrono::seconds(1)},        {"ns", Duration(1)},
      {"us", std::chrono::microseconds(1)}, {"ms", std::chrono::milliseconds(1)},
      {"s", std::chrono::seconds(1)},       {"m", std::chrono::minutes(1)},
      {"h", std::chrono::hours(1)},         {"d", std::chrono::hours(24)}};
  for (const Unit& unit : kUnits) {
    if (unit.name != text.substr(digits)) continue;
    if (*count > Duration::max() / unit.duration) return std::nullopt;
    return unit.duration * *count;
  }
  return std::nullopt;
}

std::optional<int64_t> ParseByteSize(std::string_view text) {
  size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::optional<int64_t> count = ParseInt64(text.substr(0, digits));
  if (!count.has_value()) return std::nullopt;
  std::string unit(text.substr(digits));
  for (char& c : unit) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  int shift = unit.empty() || unit == "b"    ? 0
              : unit == "k" || unit == "kib" ? 10
              : unit == "m" || unit == "mib" ? 20
              : unit == "g" || unit == "gib" ? 30
                                             : -1;
  if (shift < 0 || *count > INT64_MAX >> shift) return std::nullopt;
  return *count << shift;
}

std::string FormatDuration(Duration duration) {
  auto ns = static_cast<double>(duration.count());
  if (ns < 1e3) return Format("%.0f ns", ns);
  if (ns < 1e6) return Cat({ThreeDigits(ns / 1e3), " us"});
  if (ns < 1e9) return Cat({ThreeDigits(ns / 1e6), " ms"});
  return Cat({ThreeDigits(ns / 1e9), " s"});
}

std::string FormatBytes(double bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1023.5 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  std::string number = unit == 0 ? Format("%.0f", bytes) : ThreeDigits(bytes);
  return Cat({number, " ", kUnits[unit]});
}

std::string FormatCount(int64_t count) {
  std::string digits = std::to_string(count);
  size_t first = count < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string FormatFixed(double value, int decimals) {
  char buffer[64];
  int length = std::snprintf(buffer, sizeof(buffer), "%.*f", decimals, value);
  return std::string(buffer, static_cast<size_t>(length));
}

std::string Plural(int64_t count, std::string_view singular) {
  return Cat({FormatCount(count), " ", singular, count == 1 ? "" : "s"});
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}

std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  std::optional<std::string> nearest;
  size_t best = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    size_t distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace catamaran::cli
