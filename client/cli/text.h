// Text: joining, widths on a terminal, byte encodings, times, sizes and suggestions. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace catamaran::cli {

std::string Cat(std::initializer_list<std::string_view> parts);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> Split(std::string_view text, char separator);

// Whether `bytes` is well-formed UTF-8: no overlong forms, surrogates or values past U+10FFFF.
bool IsUtf8(std::string_view bytes);
// One well-formed character at the front of `bytes` and its length in bytes; nullopt if there is
// none. `bytes` isn't empty.
struct Utf8Character {
  char32_t code_point = 0;
  size_t length = 1;
};
std::optional<Utf8Character> DecodeUtf8(std::string_view bytes);

// Columns that `text` takes on a terminal: 2 for wide East Asian characters and emoji, 0 for
// combining marks, 1 for anything else and for each byte that isn't UTF-8.
size_t DisplayWidth(std::string_view text);
// `text` made safe for a terminal: control characters and bytes that aren't UTF-8 become \n, \t,
// \x1b and the like.
std::string Printable(std::string_view text);
// Printable(text) cut to at most `columns_max` columns, the last one an ellipsis when cut.
std::string PrintableCut(std::string_view text, size_t columns_max);

std::string ToHex(std::string_view bytes);                     // lower case
std::optional<std::string> FromHex(std::string_view text);     // either case
std::string ToBase64(std::string_view bytes);                  // RFC 4648, padded
std::optional<std::string> FromBase64(std::string_view text);  // padding may be left out

// Replaces \n, \t, \r, \0, \\, \xHH by what they mean. nullopt for any other escape.
std::optional<std::string> Unescape(std::string_view text);

std::optional<int64_t> ParseInt64(std::string_view text);
// A whole number and a unit: "250ms", "3s", "5m", "2h", "7d"; a bare number is seconds.
std::optional<Duration> ParseDuration(std::string_view text);
// A whole number of bytes, alone or with k, m, g (1024-based) or their KiB, MiB, GiB.
std::optional<int64_t> ParseByteSize(std::string_view text);
// RFC 3339 ("2026-11-21T13:00:00Z", "...+01:00", fractions allowed, "2026-11-21" is midnight UTC)
// or milliseconds since 1970.
std::optional<TimestampMs> ParseTimestamp(std::string_view text);

std::string FormatTimestamp(TimestampMs time);  // "2026-11-21T13:00:00.000Z"; "-" for none
// "3s ago", "5m ago", "in 2h"; the date beyond 30 days; "-" for none.
std::string FormatRelativeTime(TimestampMs time, TimestampMs now);
std::string FormatDuration(Duration duration);  // "1.24 ms", "13 s": three significant digits
std::string FormatBytes(double bytes);          // "512 B", "1.5 MiB"
std::string FormatCount(int64_t count);         // "1,234,567"
std::string FormatFixed(double value, int decimals);
// "1 record", "2 records".
std::string Plural(int64_t count, std::string_view singular);

// Insertions, deletions, substitutions and swaps of neighbours.
size_t EditDistance(std::string_view a, std::string_view b);
// The candidate that is nearest to `word`, if it is near enough to be what was meant.
std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace catamaran::cli
