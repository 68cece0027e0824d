#include "broker/metrics.h"

#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/thread_executor.h"
#include "broker/metrics_export.h"
#include "gtest/gtest.h"
#include "metadata/text.h"
#include "tests/broker/docs_file.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

std::string MetricsReference() {
  std::string out = "| metric | type | meaning |\n| --- | --- | --- |\n";
  auto row = [&out](std::string_view name, std::string_view type, std::string_view help) {
    out += Cat("| `catamaran_", name, "` | ", type, " | ", help, " |\n");
  };
#define X(enumerator, name, label, help) row(name, "counter", help);
  CATAMARAN_BROKER_COUNTERS(X)
#undef X
#define X(enumerator, name, help) row(name, "gauge", help);
  CATAMARAN_BROKER_GAUGES(X)
#undef X
#define X(enumerator, name, help) row(name, "histogram", help);
  CATAMARAN_BROKER_HISTOGRAMS(X)
#undef X
  return out;
}

TEST(Metrics, CountsAreExactOverThreads) {
  auto counters = std::make_unique<Counters>();
  constexpr int kThreads = 6;
  constexpr int kRounds = 20'000;
  {
    std::vector<std::unique_ptr<Executor>> threads;
    Mutex mu;
    CondVar all_done;
    int done = 0;
    for (int t = 0; t < kThreads; ++t) {
      threads.push_back(MakeThreadExecutor("count", SystemClock()));
      threads.back()->Post([&] {
        for (int i = 0; i < kRounds; ++i) {
          counters->Add(Counter::kProduceBytes, 3);
          counters->Change(Gauge::kInflight, 1);
          counters->Change(Gauge::kInflight, -1);
          counters->Observe(Histogram::kLogSync, std::chrono::microseconds(i % 2'000));
          counters->CountCall(Method::kFetch, i % kStatusCodes, std::chrono::milliseconds(1));
        }
        MutexLock lock(&mu);
        ++done;
        all_done.Signal();
      });
    }
    MutexLock lock(&mu);
    while (done < kThreads) {
      if (!all_done.WaitFor(&mu, std::chrono::seconds(60))) break;
    }
    ASSERT_EQ(done, kThreads);
  }
  EXPECT_EQ(counters->Get(Counter::kProduceBytes), int64_t{3} * kThreads * kRounds);
  EXPECT_EQ(counters->Get(Gauge::kInflight), 0);
  EXPECT_EQ(counters->Get(Histogram::kLogSync).count(), uint64_t{kThreads} * kRounds);
  int64_t calls = 0;
  for (size_t code = 0; code < kStatusCodes; ++code) {
    calls += counters->GetCalls(Method::kFetch, static_cast<int>(code));
  }
  EXPECT_EQ(calls, int64_t{kThreads} * kRounds);
}

TEST(Metrics, BucketsHoldWhatTheirBoundsSay) {
  auto counters = std::make_unique<Counters>();
  counters->Observe(Histogram::kProduce, std::chrono::microseconds(100));
  counters->Observe(Histogram::kProduce, std::chrono::microseconds(101));
  counters->Observe(Histogram::kProduce, std::chrono::seconds(11));
  counters->Observe(Histogram::kProduce, -std::chrono::seconds(1));
  Counters::HistogramValue value = counters->Get(Histogram::kProduce);
  EXPECT_EQ(value.buckets[0], 2u);
  EXPECT_EQ(value.buckets[1], 1u);
  EXPECT_EQ(value.buckets.back(), 1u);
  EXPECT_EQ(value.count(), 4u);
}

TEST(Metrics, TheTextHasEveryMetricFromTheStart) {
  auto counters = std::make_unique<Counters>();
  counters->Add(Counter::kProduceRecords, 42);
  counters->CountCall(Method::kProduce, 14, std::chrono::milliseconds(3));
  counters->CountCall(Method::kProduce, 99, std::chrono::milliseconds(3));
  MetricsExportOptions options;
  options.version = "1.2.3";
  options.gauges.push_back({"storage_free_bytes", "Free", [] { return 5.0; }, {}});
  MetricsExport metrics(counters.get(), std::move(options));
  std::string text = metrics.Text();
  for (const char* wanted :
       {"catamaran_build_info{version=\"1.2.3\"} 1", "catamaran_produce_records_total 42",
        "# TYPE catamaran_produce_bytes_total counter", "# TYPE catamaran_rpc_inflight gauge",
        "# TYPE catamaran_log_fsync_duration_seconds histogram",
        "catamaran_rpc_requests_total{method=\"ProducerService/Produce\",code=\"UNAVAILABLE\"} 1",
        "catamaran_rpc_requests_total{method=\"ProducerService/Produce\",code=\"UNKNOWN\"} 1",
        "catamaran_rpc_request_duration_seconds_count{method=\"ProducerService/Produce\"} 2",
        "catamaran_storage_free_bytes 5"}) {
    EXPECT_NE(text.find(wanted), std::string::npos) << wanted << "\n" << text;
  }
  // Names and helps as promtool wants them.
#define X(enumerator, name, label, help)                           \
  EXPECT_TRUE(std::string_view(name).ends_with("_total")) << name; \
  EXPECT_NE(text.find(Cat("# HELP catamaran_", name, " ")), std::string::npos) << name;
  CATAMARAN_BROKER_COUNTERS(X)
#undef X
}

TEST(Metrics, TheReferenceIsUpToDate) { ExpectGenerated("docs/metrics.md", MetricsReference()); }

}  // namespace
}  // namespace catamaran::broker
