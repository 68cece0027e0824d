#include "broker/metrics.h"

#include <algorithm>
#include <chrono>

namespace catamaran::broker {
namespace {

size_t BucketOf(Duration value) {
  int64_t micros = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  const auto& bounds = kHistogramBoundsMicros;
  return static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), micros) -
                             bounds.begin());
}

}  // namespace

Counters::Counters() = default;

size_t Counters::ThreadIndex() {
  static std::atomic<size_t> next{0};
  thread_local size_t index = next.fetch_add(1, std::memory_order_relaxed);
  return index;
}

void Counters::AtomicHistogram::Observe(Duration value) {
  value = std::max(value, Duration(0));
  buckets[BucketOf(value)].fetch_add(1, std::memory_order_relaxed);
  sum_nanos.fetch_add(static_cast<uint64_t>(value.count()), std::memory_order_relaxed);
}

void Counters::AtomicHistogram::AddTo(HistogramValue& total) const {
  for (size_t i = 0; i < buckets.size(); ++i) {
    total.buckets[i] += buckets[i].load(std::memory_order_relaxed);
  }
  total.sum_nanos += sum_nanos.load(std::memory_order_relaxed);
}

uint64_t Counters::HistogramValue::count() const {
  uint64_t count = 0;
  for (uint64_t bucket : buckets) count += bucket;
  return count;
}

void Counters::Observe(Histogram histogram, Duration value) {
  Mine().histograms[static_cast<size_t>(histogram)].Observe(value);
}

void Counters::CountCall(Method method, int code, Duration took) {
  size_t index = code >= 0 && static_cast<size_t>(code) < kStatusCodes ? static_cast<size_t>(code)
                                                                       : 2;  // UNKNOWN
  Shard& shard = Mine();
  shard.calls[static_cast<size_t>(method)][index].fetch_add(1, std::memory_order_relaxed);
  shard.call_durations[static_cast<size_t>(method)].Observe(took);
}

int64_t Counters::Get(Counter counter) const {
  int64_t total = 0;
  for (const Shard& shard : shards_) {
    total += shard.counters[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
  }
  return total;
}

int64_t Counters::Get(Gauge gauge) const {
  int64_t total = 0;
  for (const Shard& shard : shards_) {
    total += shard.gauges[static_cast<size_t>(gauge)].load(std::memory_order_relaxed);
  }
  return total;
}

Counters::HistogramValue Counters::Get(Histogram histogram) const {
  HistogramValue total;
  for (const Shard& shard : shards_) {
    shard.histograms[static_cast<size_t>(histogram)].AddTo(total);
  }
  return total;
}

int64_t Counters::GetCalls(Method method, int code) const {
  int64_t total = 0;
  for (const Shard& shard : shards_) {
    total += shard.calls[static_cast<size_t>(method)][static_cast<size_t>(code)].load(
        std::memory_order_relaxed);
  }
  return total;
}

Counters::HistogramValue Counters::GetCallDurations(Method method) const {
  HistogramValue total;
  for (const Shard& shard : shards_) {
    shard.call_durations[static_cast<size_t>(method)].AddTo(total);
  }
  return total;
}

}  // namespace catamaran::broker
