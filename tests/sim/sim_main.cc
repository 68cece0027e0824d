// Runs seeds of the whole system in virtual time (tests/README.md).
//
//   catamaran_sim_run                     random seeds for CATAMARAN_SIM_SECONDS (default 60)
//   catamaran_sim_run --seed=42           that seed; --verbose prints its trace
//   catamaran_sim_run --start=1 --seeds=40 [--coverage]
//   catamaran_sim_run --sabotage=sync_lies --start=1 --seeds=50
//
// Exit: 0 all is well (with --sabotage: the planted bug was found), 1 not, 2 usage.
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "tests/sim/scenario.h"

namespace catamaran::sim {
namespace {

constexpr int64_t kSecondsDefault = 60;
constexpr uint64_t kTwinEvery = 20;  // so many seeds of a campaign run twice by themselves
constexpr size_t kTraceLinesShown = 60;

// What each campaign that asks for it must have seen: each fault, and the ways out of it.
constexpr std::string_view kMustBeSeen[] = {
    "fault power loss",
    "fault torn crash",
    "fault crash in recovery",
    "fault process kill",
    "fault clean restart",
    "fault pause",
    "fault cut one way",
    "fault cut two ways",
    "fault clog",
    "fault connection reset",
    "fault half-open connection",
    "fault disk full",
    "fault sync error",
    "fault write error",
    "fault name error",
    "fault read error",
    "fault wall clock jump",
    "retry answered as duplicate",
    "producer epoch bumped",
    "producer reset its connection",
    "producer buffer full",
    "record unknown",
    "record rejected",
    "log recovered by a scan",
    "torn tail cut",
    "process restart after a failed sync",
    "retention removed a segment",
    "sync failure latched",
    "append failed",
    "fetch read the disk",
    "fetch answered from memory",
    "unsynced tail lost and replaced",
    "topic created again",
    "topic grown",
    "topic reconfigured",
    "records deleted",
    "death while starting",
    "error STORAGE_FULL",
    "error OFFSET_OUT_OF_RANGE",
    "poll error TOPIC_ID_MISMATCH",
};

struct Arguments {
  std::optional<uint64_t> seed;
  std::optional<uint64_t> start;
  uint64_t seeds = 0;   // 0: as time allows
  int64_t seconds = 0;  // 0: no limit
  bool twin = false;
  bool verbose = false;
  bool coverage = false;
  Sabotage sabotage = Sabotage::kNone;
};

struct Totals {
  uint64_t seeds = 0;
  uint64_t events = 0;
  Duration virtual_time{0};
  uint64_t sent = 0, acknowledged = 0, unknown = 0, rejected = 0, fetched = 0, polled = 0;
  Coverage coverage;

  void Add(const RunResult& result) {
    ++seeds;
    events += result.events;
    virtual_time += result.virtual_time;
    sent += result.records_sent;
    acknowledged += result.records_acknowledged;
    unknown += result.records_unknown;
    rejected += result.records_rejected;
    fetched += result.records_fetched;
    polled += result.records_polled;
    for (const auto& [what, count] : result.coverage) coverage[what] += count;
  }
};

bool TakeNumber(std::string_view argument, std::string_view name, uint64_t* value) {
  if (!argument.starts_with(name)) return false;
  const std::string text(argument.substr(name.size()));
  char* end = nullptr;
  *value = std::strtoull(text.c_str(), &end, 0);
  return !text.empty() && *end == '\0';
}

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    uint64_t number = 0;
    if (TakeNumber(argument, "--seed=", &number)) {
      arguments.seed = number;
    } else if (TakeNumber(argument, "--start=", &number)) {
      arguments.start = number;
    } else if (TakeNumber(argument, "--seeds=", &number)) {
      arguments.seeds = number;
    } else if (TakeNumber(argument, "--seconds=", &number)) {
      arguments.seconds = static_cast<int64_t>(number);
    } else if (argument == "--twin") {
      arguments.twin = true;
    } else if (argument == "--verbose") {
      arguments.verbose = true;
    } else if (argument == "--coverage") {
      arguments.coverage = true;
    } else if (argument.starts_with("--sabotage=")) {
      const std::string_view name = argument.substr(argument.find('=') + 1);
      for (int s = 1; s < kSabotages; ++s) {
        if (SabotageName(static_cast<Sabotage>(s)) == name) {
          arguments.sabotage = static_cast<Sabotage>(s);
        }
      }
      if (arguments.sabotage == Sabotage::kNone) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.seed.has_value() || arguments.seeds > 0 || arguments.seconds > 0) return arguments;
  const char* seconds = std::getenv("CATAMARAN_SIM_SECONDS");
  arguments.seconds = seconds != nullptr ? std::strtoll(seconds, nullptr, 10) : kSecondsDefault;
  if (arguments.seconds <= 0) arguments.seconds = kSecondsDefault;
  return arguments;
}

void PrintUsage() {
  std::printf(
      "usage: catamaran_sim_run [--seed=N | --start=N --seeds=COUNT | --seconds=S]\n"
      "                         [--twin] [--verbose] [--coverage] [--sabotage=NAME]\n"
      "Without arguments: random seeds for CATAMARAN_SIM_SECONDS (default 60).\n"
      "--coverage fails when a fault or path was never seen. Planted bugs:");
  for (int s = 1; s < kSabotages; ++s) {
    std::printf(" %s", std::string(SabotageName(static_cast<Sabotage>(s))).c_str());
  }
  std::printf("\n");
}

void PrintViolation(const Plan& plan, const RunResult& result) {
  std::printf("seed %" PRIu64 ": VIOLATION: %s\n", plan.seed, result.violation.c_str());
  std::printf("replay: catamaran_sim_run --seed=%" PRIu64, plan.seed);
  if (plan.sabotage != Sabotage::kNone) {
    std::printf(" --sabotage=%s", std::string(SabotageName(plan.sabotage)).c_str());
  }
  std::printf("\n");
}

// Runs a seed (twice, if asked). True when it holds.
bool RunSeed(const Arguments& arguments, uint64_t seed, bool twin, Totals* totals) {
  const Plan plan = MakePlan(seed, arguments.sabotage);
  RunOptions options;
  options.verbose = arguments.verbose;
  RunResult result = RunScenario(plan, options);
  totals->Add(result);
  if (twin && result.violation.empty()) {
    RunResult again = RunScenario(plan, RunOptions());
    if (again.trace_hash != result.trace_hash) {
      result.violation = "two runs of this seed differ: something isn't deterministic";
    }
  }
  if (result.violation.empty()) return true;
  if (arguments.sabotage != Sabotage::kNone) {
    std::printf("found by seed %" PRIu64 ": %s\n", seed, result.violation.c_str());
    return false;
  }
  PrintViolation(plan, result);
  if (!arguments.verbose) {
    options.trace_lines_kept = kTraceLinesShown;
    std::printf("last events of the run:\n");
    for (const std::string& line : RunScenario(plan, options).last_trace) {
      std::printf("  %s\n", line.c_str());
    }
  }
  return false;
}

void PrintTotals(const Totals& totals, Duration took) {
  const double real = std::max(1e-9, static_cast<double>(took.count()) / 1e9);
  const double simulated = static_cast<double>(totals.virtual_time.count()) / 1e9;
  std::printf("%" PRIu64 " seeds, %" PRIu64
              " events, %.2f virtual hours in %.1f s (%.0f times real "
              "time, %.0f seeds an hour)\n",
              totals.seeds, totals.events, simulated / 3600, real, simulated / real,
              static_cast<double>(totals.seeds) / real * 3600);
  std::printf("records: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " unknown, %" PRIu64
              " rejected; %" PRIu64 " fetched, %" PRIu64 " polled\n",
              totals.sent, totals.acknowledged, totals.unknown, totals.rejected, totals.fetched,
              totals.polled);
  for (const auto& [what, count] : totals.coverage) {
    std::printf("  %8" PRIu64 "  %s\n", count, what.c_str());
  }
}

bool CheckCoverage(const Totals& totals) {
  bool complete = true;
  for (std::string_view what : kMustBeSeen) {
    if (totals.coverage.contains(std::string(what))) continue;
    std::printf("never seen in %" PRIu64 " seeds: %s\n", totals.seeds, std::string(what).c_str());
    complete = false;
  }
  return complete;
}

int Main(int argc, char** argv) {
  std::optional<Arguments> arguments = Parse(argc, argv);
  if (!arguments.has_value()) {
    PrintUsage();
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const MonotonicTime begin = SystemClock().Now();
  Totals totals;
  if (arguments->seed.has_value()) {
    bool held = RunSeed(*arguments, *arguments->seed, arguments->twin, &totals);
    PrintTotals(totals, SystemClock().Now() - begin);
    return held ? 0 : 1;
  }
  const uint64_t start = arguments->start.value_or(RandomSeedFromSystem() >> 16);
  std::printf("seeds from %" PRIu64 " on\n", start);
  bool held = true;
  for (uint64_t i = 0; arguments->seeds == 0 || i < arguments->seeds; ++i) {
    const Duration took = SystemClock().Now() - begin;
    if (arguments->seconds > 0 && took >= std::chrono::seconds(arguments->seconds)) break;
    const bool twin = arguments->twin || (i % kTwinEvery == kTwinEvery - 1);
    held = RunSeed(*arguments, start + i, twin, &totals);
    if (!held) break;
  }
  if (arguments->sabotage != Sabotage::kNone) {
    std::printf("%s after %" PRIu64 " seeds\n", held ? "NOT FOUND" : "found", totals.seeds);
    return held ? 1 : 0;
  }
  PrintTotals(totals, SystemClock().Now() - begin);
  if (held && arguments->coverage) held = CheckCoverage(totals);
  if (held) std::printf("all is well\n");
  return held ? 0 : 1;
}

}  // namespace
}  // namespace catamaran::sim

int main(int argc, char** argv) { return catamaran::sim::Main(argc, argv); }
