// Counters and other sources as Prometheus text. The only code, with http.cc, that knows
// prometheus-cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "broker/metrics.h"

namespace prometheus {
class Collectable;
}

namespace catamaran::broker {

// A value that is asked for at each scrape. `name` without prefix; lower_snake_case with its unit.
struct SampledGauge {
  std::string name;
  std::string help;
  absl::AnyInvocable<double()> value;  // thread-safe, quick
  std::vector<std::pair<std::string, std::string>> labels;
};

struct MetricsExportOptions {
  std::string version;
  std::vector<SampledGauge> gauges;
};

inline constexpr const char* kMetricPrefix = "catamaran_";

// `counters` must outlive it. Thread-safe.
class MetricsExport {
 public:
  MetricsExport(const Counters* counters, MetricsExportOptions options);
  ~MetricsExport();
  // All metrics in the text exposition format 0.0.4.
  std::string Text() const;

 private:
  std::shared_ptr<prometheus::Collectable> collectable_;
};

}  // namespace catamaran::broker
