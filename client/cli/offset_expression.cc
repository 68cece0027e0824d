#include "client/cli/offset_expression.h"

#include <algorithm>

#include "base/error.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

using Kind = OffsetPoint::Kind;

std::optional<OffsetPoint> ParseTimePoint(std::string_view text, TimestampMs now) {
  if (text.size() > 1 && text[0] == '-') {
    std::optional<Duration> ago = ParseDuration(text.substr(1));
    if (!ago.has_value()) return std::nullopt;
    int64_t ago_ms = *ago / std::chrono::milliseconds(1);
    return OffsetPoint{Kind::kTime, std::max<int64_t>(0, now.value() - ago_ms)};
  }
  std::optional<TimestampMs> time = ParseTimestamp(text);
  if (!time.has_value()) return std::nullopt;
  return OffsetPoint{Kind::kTime, time->value()};
}

std::optional<OffsetPoint> TryParsePoint(std::string_view text, TimestampMs now) {
  if (text == "start") return OffsetPoint{Kind::kStart, 0};
  if (text == "end") return OffsetPoint{Kind::kEnd, 0};
  if (!text.empty() && text[0] == '@') return ParseTimePoint(text.substr(1), now);
  if (text.size() > 1 && text[0] == '-') {
    std::optional<int64_t> count = ParseInt64(text.substr(1));
    if (!count.has_value() || *count < 0) return std::nullopt;
    return OffsetPoint{Kind::kLast, *count};
  }
  std::optional<int64_t> offset = ParseInt64(text);
  if (!offset.has_value()) return std::nullopt;
  return OffsetPoint{Kind::kOffset, *offset};
}

absl::Status NotUnderstood(std::string_view text, std::string_view forms) {
  return MakeError(Reason::kInvalidArgument,
                   Cat({"\"", Printable(text), "\" is no place in a log. Use ", forms, "."}));
}

// Whether `until` lies before `from` whatever the log holds. Where that depends on the log
// ("5:end",
// "@-1h:1000") the range may just be empty.
bool EndsBeforeItStarts(const OffsetPoint& from, const OffsetPoint& until) {
  auto from_end = [](const OffsetPoint& point) -> std::optional<int64_t> {
    if (point.kind == Kind::kEnd) return 0;
    if (point.kind == Kind::kLast) return point.value;
    return std::nullopt;
  };
  if (until.kind == Kind::kStart) return from.kind != Kind::kStart;
  if (from_end(from).has_value() && from_end(until).has_value()) {
    return *from_end(until) > *from_end(from);
  }
  bool comparable =
      from.kind == until.kind && (from.kind == Kind::kOffset || from.kind == Kind::kTime);
  return comparable && until.value < from.value;
}

constexpr std::string_view kPointForms =
    "start, end, an offset (1500), -N for the last N records, or @time "
    "(@2026-11-21T13:00:00Z, @1700000000000 in milliseconds, @-1h)";

}  // namespace

absl::StatusOr<OffsetPoint> ParseOffsetPoint(std::string_view text, TimestampMs now) {
  std::optional<OffsetPoint> point = TryParsePoint(text, now);
  if (!point.has_value()) return NotUnderstood(text, kPointForms);
  return *point;
}

absl::StatusOr<OffsetRange> ParseOffsetRange(std::string_view text, TimestampMs now) {
  if (std::optional<OffsetPoint> point = TryParsePoint(text, now); point.has_value()) {
    return OffsetRange{*point, std::nullopt};
  }
  // A time has colons of its own, so the one that divides is the first with sense on both sides.
  for (size_t at = text.find(':'); at != text.npos; at = text.find(':', at + 1)) {
    std::string_view left = text.substr(0, at);
    std::string_view right = text.substr(at + 1);
    std::optional<OffsetPoint> from = TryParsePoint(left.empty() ? "start" : left, now);
    if (!from.has_value()) continue;
    if (right.empty()) return OffsetRange{*from, std::nullopt};
    std::optional<OffsetPoint> until = TryParsePoint(right, now);
    if (!until.has_value()) continue;
    if (EndsBeforeItStarts(*from, *until)) {
      return MakeError(Reason::kInvalidArgument,
                       Cat({"The range \"", Printable(text),
                            "\" ends before it starts: write START:END, where END isn't read."}));
    }
    return OffsetRange{*from, *until};
  }
  return NotUnderstood(text, Cat({kPointForms, ", or a range of two of them such as start:end"}));
}

Offset ResolvePoint(const OffsetPoint& point, const PartitionBounds& bounds,
                    std::optional<Offset> by_time) {
  switch (point.kind) {
    case Kind::kStart:
      return bounds.start;
    case Kind::kEnd:
      return bounds.end;
    case Kind::kOffset:
      return Offset(point.value);
    case Kind::kLast:
      if (point.value >= bounds.end - bounds.start) return bounds.start;
      return bounds.end - point.value;
    case Kind::kTime:
      return by_time.has_value() ? std::clamp(*by_time, bounds.start, bounds.end) : bounds.end;
  }
  return bounds.start;
}

}  // namespace catamaran::cli
