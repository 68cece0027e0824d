// Time, handed in. Cores take it as an argument; only the runtime reads a Clock.
#pragma once

#include <chrono>
#include <compare>

#include "base/ids.h"

namespace catamaran {

using Duration = std::chrono::nanoseconds;
inline constexpr Duration kForever = Duration::max();

// A point on this process's monotonic clock. Never persisted, never sent to another process.
struct MonotonicTime {
  Duration since_start{0};

  constexpr auto operator<=>(const MonotonicTime&) const = default;
  constexpr MonotonicTime operator+(Duration d) const { return {since_start + d}; }
  constexpr MonotonicTime operator-(Duration d) const { return {since_start - d}; }
  constexpr Duration operator-(MonotonicTime other) const {
    return since_start - other.since_start;
  }
};
inline constexpr MonotonicTime kNever{Duration::max()};

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;    // never goes back
  virtual TimestampMs WallNow() const = 0;  // may jump; only for timestamps that users see
};

// The machine's clocks. Lives for ever.
Clock& SystemClock();

}  // namespace catamaran
