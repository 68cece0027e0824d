// The connected-cars pipeline on a Catamaran topic: cars send telemetry, keyed by car; two readers
// that know nothing of each other take the same stream. The hot path prints cars in need of
// attention as they come; the cold path totals the fleet's fuel.
//
//   connected_cars drive --brokers HOST:PORT --topic cars --cars 20 --readings 5000
//   connected_cars hot   --brokers HOST:PORT --topic cars --readings 5000
//   connected_cars cold  --brokers HOST:PORT --topic cars --readings 5000
#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/error.h"
#include "client/admin.h"
#include "client/consumer.h"
#include "client/examples/telemetry.h"
#include "client/producer.h"

namespace catamaran::examples {
namespace {

constexpr Duration kQuietTimeMax = std::chrono::seconds(30);  // a reader gives up after so long
constexpr Duration kFlushTimeout = std::chrono::seconds(60);

struct Options {
  std::vector<std::string> brokers = {"127.0.0.1:7400"};
  std::string topic = "cars";
  int cars = 20;
  int64_t readings = 5000;
  uint64_t seed = 1;
};

client::ClientOptions ClientOptionsOf(const Options& options) {
  client::ClientOptions result;
  result.bootstrap = options.brokers;
  result.client_id = "connected-cars";
  return result;
}

absl::Status Drive(const Options& options) {
  CATAMARAN_ASSIGN_OR_RETURN(
      auto producer, client::Producer::Create(ClientOptionsOf(options), client::ProducerOptions()));
  Fleet fleet(options.cars, options.seed, SystemClock().WallNow().value());
  FuelTotals sent;
  for (int64_t i = 0; i < options.readings; ++i) {
    Reading reading = fleet.Next();
    std::string json = ToJson(reading);
    CATAMARAN_RETURN_IF_ERROR(producer->Send({.topic = options.topic,
                                              .partition = std::nullopt,
                                              .key = reading.car,
                                              .value = json,
                                              .headers = {},
                                              .timestamp = TimestampMs(reading.time_ms)}));
    sent.Add(reading);
  }
  // Every reading is acknowledged, or this says which error kept one from it.
  CATAMARAN_RETURN_IF_ERROR(producer->Close(kFlushTimeout));
  std::printf("%s\n", sent.Summary().c_str());
  return absl::OkStatus();
}

// Reads `options.readings` readings from the start of every partition and hands them over.
absl::Status ReadAll(const Options& options, absl::FunctionRef<void(const Reading&)> take) {
  client::ClientOptions client_options = ClientOptionsOf(options);
  CATAMARAN_ASSIGN_OR_RETURN(auto admin, client::Admin::Create(client_options));
  CATAMARAN_ASSIGN_OR_RETURN(client::TopicDescription topic, admin->DescribeTopic(options.topic));
  CATAMARAN_ASSIGN_OR_RETURN(auto consumer,
                             client::Consumer::Create(client_options, client::ConsumerOptions()));
  std::vector<client::Consumer::Assignment> assignments;
  for (const client::PartitionDescription& partition : topic.partitions) {
    assignments.push_back(
        {{options.topic, partition.partition}, client::StartPosition::Earliest()});
  }
  CATAMARAN_RETURN_IF_ERROR(consumer->Assign(std::move(assignments)));
  for (int64_t taken = 0; taken < options.readings;) {
    CATAMARAN_ASSIGN_OR_RETURN(client::PolledRecords records, consumer->Poll(kQuietTimeMax));
    if (records.empty()) {
      return absl::DeadlineExceededError("no more readings came; is 'drive' running?");
    }
    for (const client::ConsumedRecord& record : records) {
      CATAMARAN_ASSIGN_OR_RETURN(Reading reading, FromJson(record.value.value_or("")));
      take(reading);
      if (++taken == options.readings) break;
    }
  }
  return absl::OkStatus();
}

absl::Status RunHot(const Options& options) {
  int64_t alarms = 0;
  CATAMARAN_RETURN_IF_ERROR(ReadAll(options, [&](const Reading& reading) {
    if (std::optional<std::string> reason = NeedsAttention(reading); reason.has_value()) {
      ++alarms;
      std::printf("%s needs attention: %s\n", reading.car.c_str(), reason->c_str());
      std::fflush(stdout);
    }
  }));
  std::printf("%lld alarms\n", static_cast<long long>(alarms));
  return absl::OkStatus();
}

absl::Status RunCold(const Options& options) {
  constexpr size_t kWorstCars = 3;
  FuelTotals totals;
  CATAMARAN_RETURN_IF_ERROR(ReadAll(options, [&](const Reading& reading) { totals.Add(reading); }));
  std::printf("%s\n", totals.Summary().c_str());
  for (const std::string& line : totals.Worst(kWorstCars)) std::printf("  %s\n", line.c_str());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Connected cars: telemetry through a Catamaran topic");
  app.require_subcommand(1);
  app.add_option("-b,--brokers", options.brokers, "Brokers, HOST:PORT, comma-separated")
      ->delimiter(',')
      ->envname("CATAMARAN_BROKERS")
      ->capture_default_str();
  app.add_option("--topic", options.topic, "The topic")->capture_default_str();
  app.add_option("--readings", options.readings, "How many readings to send or take")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--cars", options.cars, "drive: how many cars")
      ->check(CLI::Range(1, 9999))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "drive: another seed is another day")
      ->capture_default_str();
  app.fallthrough();
  auto* drive = app.add_subcommand("drive", "Sends readings and prints what they sum up to");
  auto* hot = app.add_subcommand("hot", "Prints cars in need of attention");
  app.add_subcommand("cold", "Totals the fleet's fuel");
  CLI11_PARSE(app, argc, argv);

  absl::Status status = *drive ? Drive(options) : *hot ? RunHot(options) : RunCold(options);
  if (!status.ok()) {
    std::fprintf(stderr, "connected_cars: %s\n", std::string(status.message()).c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace catamaran::examples

int main(int argc, char** argv) { return catamaran::examples::Main(argc, argv); }
