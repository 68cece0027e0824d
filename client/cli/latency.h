// How long many things took, in little memory: a histogram whose buckets are within 1 % of their
// value.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"

namespace catamaran::cli {

// One owner; not thread-safe.
class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative counts as zero; above about 9 minutes as that.
  void Add(Duration latency);
  int64_t count() const { return count_; }
  Duration max() const { return max_; }
  // The value that `fraction` (0 to 1) of all are at or below; 0 when empty.
  Duration Percentile(double fraction) const;

 private:
  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  Duration max_{0};
};

}  // namespace catamaran::cli
