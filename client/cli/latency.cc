#include "client/cli/latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace catamaran::cli {
namespace {

// Values below 2^kLinearBits ns have a bucket each, of every power of two above there are
// 2^(kLinearBits-1) buckets: the error is at most 1/128.
constexpr int kLinearBits = 7;
constexpr int kPowerMax = 39;  // 2^39 ns are 550 s
constexpr uint64_t kValueMax = (uint64_t{1} << kPowerMax) - 1;
constexpr size_t kHalf = size_t{1} << (kLinearBits - 1);
constexpr size_t kBuckets = (kPowerMax - kLinearBits + 2) * kHalf;

size_t BucketOf(uint64_t value) {
  int shift = std::max(0, static_cast<int>(std::bit_width(value)) - kLinearBits);
  return static_cast<size_t>(shift) * kHalf + static_cast<size_t>(value >> shift);
}

uint64_t HighestOf(size_t bucket) {
  if (bucket < 2 * kHalf) return bucket;
  size_t shift = bucket / kHalf - 1;
  return ((bucket - shift * kHalf + 1) << shift) - 1;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets) {}

void LatencyHistogram::Add(Duration latency) {
  auto value = static_cast<uint64_t>(std::max<int64_t>(0, latency.count()));
  ++buckets_[BucketOf(std::min(value, kValueMax))];
  ++count_;
  max_ = std::max(max_, latency);
}

Duration LatencyHistogram::Percentile(double fraction) const {
  auto wanted = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(count_)));
  wanted = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(count_, 1));
  int64_t seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted) {
      return std::min(max_, Duration(static_cast<int64_t>(HighestOf(bucket))));
    }
  }
  return Duration(0);
}

}  // namespace catamaran::cli
