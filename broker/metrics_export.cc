#include "broker/metrics_export.h"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <utility>

#include "base/mutex.h"

namespace catamaran::broker {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kMicrosPerSecond = 1e6;
constexpr double kNanosPerSecond = 1e9;

constexpr const char* kStatusCodeNames[kStatusCodes] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

MetricFamily Family(const std::string& name, const char* help, MetricType type) {
  return MetricFamily{kMetricPrefix + name, help, type, {}};
}

ClientMetric HistogramMetric(const Counters::HistogramValue& value) {
  ClientMetric metric;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < value.buckets.size(); ++i) {
    cumulative += value.buckets[i];
    double bound = i < kHistogramBoundsMicros.size()
                       ? static_cast<double>(kHistogramBoundsMicros[i]) / kMicrosPerSecond
                       : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({cumulative, bound});
  }
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = static_cast<double>(value.sum_nanos) / kNanosPerSecond;
  return metric;
}

class BrokerCollectable final : public prometheus::Collectable {
 public:
  BrokerCollectable(const Counters* counters, MetricsExportOptions options)
      : counters_(counters), options_(std::move(options)) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    MetricFamily build = Family("build_info", "The running version", MetricType::Gauge);
    ClientMetric info;
    info.label.push_back({"version", options_.version});
    info.gauge.value = 1;
    build.metric.push_back(std::move(info));
    families.push_back(std::move(build));
    CollectCounters(&families);
    CollectCalls(&families);
    CollectGauges(&families);
    return families;
  }

 private:
  void CollectCounters(std::vector<MetricFamily>* families) const {
    auto counter = [&](Counter which, const char* name, const char* help) {
      MetricFamily family = Family(name, help, MetricType::Counter);
      family.metric.emplace_back().counter.value = static_cast<double>(counters_->Get(which));
      families->push_back(std::move(family));
    };
#define X(enumerator, name, label, help) counter(Counter::enumerator, name, help);
    CATAMARAN_BROKER_COUNTERS(X)
#undef X
    auto gauge = [&](Gauge which, const char* name, const char* help) {
      MetricFamily family = Family(name, help, MetricType::Gauge);
      family.metric.emplace_back().gauge.value = static_cast<double>(counters_->Get(which));
      families->push_back(std::move(family));
    };
#define X(enumerator, name, help) gauge(Gauge::enumerator, name, help);
    CATAMARAN_BROKER_GAUGES(X)
#undef X
    auto histogram = [&](Histogram which, const char* name, const char* help) {
      MetricFamily family = Family(name, help, MetricType::Histogram);
      family.metric.push_back(HistogramMetric(counters_->Get(which)));
      families->push_back(std::move(family));
    };
#define X(enumerator, name, help) histogram(Histogram::enumerator, name, help);
    CATAMARAN_BROKER_HISTOGRAMS(X)
#undef X
  }

  void CollectCalls(std::vector<MetricFamily>* families) const {
    MetricFamily calls =
        Family("rpc_requests_total", "Calls and stream answers by method and status code",
               MetricType::Counter);
    MetricFamily durations =
        Family("rpc_request_duration_seconds", "From a request's arrival to its answer, by method",
               MetricType::Histogram);
    auto method = [&](Method which, const char* name) {
      for (size_t code = 0; code < kStatusCodes; ++code) {
        int64_t count = counters_->GetCalls(which, static_cast<int>(code));
        // Every method shows its OK count from the start; other codes appear when they occur.
        if (count == 0 && code != 0) continue;
        ClientMetric metric;
        metric.label = {{"method", name}, {"code", kStatusCodeNames[code]}};
        metric.counter.value = static_cast<double>(count);
        calls.metric.push_back(std::move(metric));
      }
      ClientMetric metric = HistogramMetric(counters_->GetCallDurations(which));
      metric.label = {{"method", name}};
      durations.metric.push_back(std::move(metric));
    };
#define X(enumerator, name) method(Method::enumerator, name);
    CATAMARAN_BROKER_METHODS(X)
#undef X
    families->push_back(std::move(calls));
    families->push_back(std::move(durations));
  }

  void CollectGauges(std::vector<MetricFamily>* families) const {
    MutexLock lock(&mu_);
    for (SampledGauge& gauge : options_.gauges) {
      ClientMetric metric;
      for (const auto& [name, value] : gauge.labels) metric.label.push_back({name, value});
      metric.gauge.value = gauge.value();
      std::string full_name = kMetricPrefix + gauge.name;
      if (families->empty() || families->back().name != full_name) {
        families->push_back(Family(gauge.name, gauge.help.c_str(), MetricType::Gauge));
      }
      families->back().metric.push_back(std::move(metric));
    }
  }

  const Counters* const counters_;
  mutable Mutex mu_;
  mutable MetricsExportOptions options_;  // the callbacks in it are called under mu_
};

}  // namespace

MetricsExport::MetricsExport(const Counters* counters, MetricsExportOptions options)
    : collectable_(std::make_shared<BrokerCollectable>(counters, std::move(options))) {}
MetricsExport::~MetricsExport() = default;

std::string MetricsExport::Text() const {
  return prometheus::TextSerializer().Serialize(collectable_->Collect());
}

}  // namespace catamaran::broker
