// Timestamps as text.
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kRelativeDaysMax = 30;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads exactly `digits` digits from the front.
std::optional<int> TakeNumber(std::string_view* text, size_t digits) {
  if (text->size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (!IsDigit((*text)[i])) return std::nullopt;
    value = value * 10 + ((*text)[i] - '0');
  }
  text->remove_prefix(digits);
  return value;
}

bool TakeChar(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

int DaysInMonth(int year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2;
  int64_t era = (year >= 0 ? year : year - 399) / 400;
  int64_t year_of_era = year - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

// Seconds since 1970 of "YYYY-MM-DD" at the front.
std::optional<int64_t> TakeDate(std::string_view* text) {
  std::optional<int> year = TakeNumber(text, 4);
  if (!year.has_value() || !TakeChar(text, '-')) return std::nullopt;
  std::optional<int> month = TakeNumber(text, 2);
  if (!month.has_value() || *month < 1 || *month > 12 || !TakeChar(text, '-')) return std::nullopt;
  std::optional<int> day = TakeNumber(text, 2);
  if (!day.has_value() || *day < 1 || *day > DaysInMonth(*year, *month)) return std::nullopt;
  return DaysFromCivil(*year, *month, *day) * kSecondsPerDay;
}

// Milliseconds of "hh:mm[:ss[.fraction]]" at the front.
std::optional<int64_t> TakeTimeOfDay(std::string_view* text) {
  std::optional<int> hours = TakeNumber(text, 2);
  if (!hours.has_value() || *hours > 23 || !TakeChar(text, ':')) return std::nullopt;
  std::optional<int> minutes = TakeNumber(text, 2);
  if (!minutes.has_value() || *minutes > 59) return std::nullopt;
  int64_t ms = (*hours * 60 + *minutes) * 60 * kMsPerSecond;
  if (!TakeChar(text, ':')) return ms;
  std::optional<int> seconds = TakeNumber(text, 2);
  if (!seconds.has_value() || *seconds > 59) return std::nullopt;
  ms += *seconds * kMsPerSecond;
  if (!TakeChar(text, '.')) return ms;
  if (text->empty() || !IsDigit(text->front())) return std::nullopt;
  for (int64_t scale = 100; !text->empty() && IsDigit(text->front()); scale /= 10) {
    ms += (text->front() - '0') * scale;
    text->remove_prefix(1);
  }
  return ms;
}

// Seconds of "Z" or "+hh:mm"; it must be all that is left.
std::optional<int64_t> TakeZone(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  int sign = TakeChar(&text, '+') ? 1 : TakeChar(&text, '-') ? -1 : 0;
  std::optional<int> hours = TakeNumber(&text, 2);
  if (sign == 0 || !hours.has_value() || *hours > 23 || !TakeChar(&text, ':')) return std::nullopt;
  std::optional<int> minutes = TakeNumber(&text, 2);
  if (!minutes.has_value() || *minutes > 59 || !text.empty()) return std::nullopt;
  return sign * (*hours * 60 + *minutes) * 60;
}

}  // namespace

std::optional<TimestampMs> ParseTimestamp(std::string_view text) {
  if (std::optional<int64_t> ms = ParseInt64(text); ms.has_value()) {
    if (*ms < 0) return std::nullopt;
    return TimestampMs(*ms);
  }
  std::optional<int64_t> date = TakeDate(&text);
  if (!date.has_value()) return std::nullopt;
  if (*date < 0) return std::nullopt;
  if (text.empty()) return TimestampMs(*date * kMsPerSecond);
  if (!TakeChar(&text, 'T') && !TakeChar(&text, 't') && !TakeChar(&text, ' ')) return std::nullopt;
  std::optional<int64_t> time = TakeTimeOfDay(&text);
  if (!time.has_value()) return std::nullopt;
  std::optional<int64_t> zone = TakeZone(text);
  if (!zone.has_value()) return std::nullopt;
  int64_t ms = (*date - *zone) * kMsPerSecond + *time;
  if (ms < 0) return std::nullopt;
  return TimestampMs(ms);
}

std::string FormatTimestamp(TimestampMs time) {
  if (time.value() < 0) return "-";
  std::time_t seconds = time.value() / kMsPerSecond;
  std::tm parts{};
  // A timestamp of the year 2,147,483,648 and later is somebody's bad data; it's shown as a number.
  if (gmtime_r(&seconds, &parts) == nullptr) return std::to_string(time.value());
  char buffer[64];
  int length =
      std::snprintf(buffer, sizeof(buffer), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<int>(time.value() % kMsPerSecond));
  return std::string(buffer, static_cast<size_t>(length));
}

std::string FormatRelativeTime(TimestampMs time, TimestampMs now) {
  if (time.value() < 0) return "-";
  bool past = time <= now;
  int64_t seconds = (past ? now - time : time - now) / kMsPerSecond;
  if (seconds > kRelativeDaysMax * kSecondsPerDay) return FormatTimestamp(time).substr(0, 10);
  std::string span = seconds < 60               ? std::to_string(seconds) + "s"
                     : seconds < 3600           ? std::to_string(seconds / 60) + "m"
                     : seconds < kSecondsPerDay ? std::to_string(seconds / 3600) + "h"
                                                : std::to_string(seconds / kSecondsPerDay) + "d";
  return past ? span + " ago" : "in " + span;
}

}  // namespace catamaran::cli
