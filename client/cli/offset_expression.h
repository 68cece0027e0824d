// Where to read, as people write it: "start", "end", "1500", "-10", "@2026-11-21T13:00:00Z",
// "@-1h", and ranges of two of them: "start:end", "100:200", "@-1h:end", "500:".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace catamaran::cli {

struct OffsetPoint {
  enum class Kind : uint8_t {
    kStart,   // the first offset that can be read
    kEnd,     // the end of the log as it is when the command starts
    kOffset,  // `value`
    kLast,    // `value` records before the end, or the start when there are fewer
    kTime,    // the first record at or after `value` milliseconds since 1970, or the end
  };
  Kind kind = Kind::kStart;
  int64_t value = 0;
  bool operator==(const OffsetPoint&) const = default;
};

struct OffsetRange {
  OffsetPoint from;
  std::optional<OffsetPoint> until;  // exclusive; absent: follow for ever
  bool operator==(const OffsetRange&) const = default;
};

// `now` is what "@-1h" counts from. InvalidArgument with the forms that are understood, and for a
// range that ends before it starts in every log ("5:2", "end:start", "-2:-5").
absl::StatusOr<OffsetPoint> ParseOffsetPoint(std::string_view text, TimestampMs now);
absl::StatusOr<OffsetRange> ParseOffsetRange(std::string_view text, TimestampMs now);

// What a point means in one partition.
struct PartitionBounds {
  Offset start{0};
  Offset end{0};
};
// `by_time` is the offset that the partition's leader found for a kTime point, absent when no
// record is at or after the time. The result is within the bounds, except for an offset that was
// named.
Offset ResolvePoint(const OffsetPoint& point, const PartitionBounds& bounds,
                    std::optional<Offset> by_time);

}  // namespace catamaran::cli
