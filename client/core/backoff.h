// Waits between tries: they double up to a limit and are shortened at random, so that many clients
// of one broker don't come back at the same moment.
#pragma once

#include <algorithm>

#include "base/clock.h"
#include "base/random.h"

namespace catamaran::client::core {

struct BackoffOptions {
  Duration min = std::chrono::milliseconds(50);
  Duration max = std::chrono::seconds(1);
};

inline constexpr int kBackoffDoublingsMax = 20;

// The wait after `failures` failures in a row (at least 1): between half and all of
// min * 2^(failures - 1), at most max.
inline Duration BackoffAfter(const BackoffOptions& options, int failures, Random& random) {
  const int doublings = std::clamp(failures - 1, 0, kBackoffDoublingsMax);
  const Duration full = std::min(options.max, options.min * (int64_t{1} << doublings));
  return full - Duration(random.Between(0, full.count() / 2));
}

}  // namespace catamaran::client::core
