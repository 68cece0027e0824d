// Runs seeds of whole Raft groups in virtual time (tests/raft/README.md).
//
//   catamaran_raft_sim                      random seeds for CATAMARAN_SIM_SECONDS (default 60)
//   catamaran_raft_sim --seed=42            that seed; --verbose prints its events
//   catamaran_raft_sim --start=1 --seeds=1000 [--coverage]
//   catamaran_raft_sim --speed              how much faster than real time, five nodes, one core
//   catamaran_raft_sim --many-learners --seed=1
//   catamaran_raft_sim_bugs --bug=vote_before_sync --start=1 --seeds=2000   (planted bugs only
//   there)
//
// Exit: 0 all is well (with --bug: it was found), 1 not, 2 usage.
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "raft/core/planted_bugs.h"
#include "tests/raft/sim/group.h"

namespace catamaran::raft::sim {
namespace {

constexpr int64_t kSecondsDefault = 60;
constexpr uint64_t kTwinEvery = 20;  // so many seeds of a campaign run twice by themselves

// What a campaign that asks for it must have seen.
constexpr std::string_view kMustBeSeen[] = {
    "append refused",
    "change committed",
    "change rejected",
    "change unknown",
    "client lost patience",
    "damaged snapshot found",
    "fault crash",
    "fault disk lost",
    "fault full disk",
    "fault leader isolated",
    "fault one-way cut",
    "fault partition",
    "fault pause",
    "fault quick restart",
    "fault slow disk",
    "fault stranger",
    "fault stream closed",
    "keeper advises",
    "message for a wiped replica refused",
    "message of a removed replica refused",
    "message of another cluster refused",
    "old message held back",
    "proposal found overwritten",
    "proposal refused as overload",
    "proposal refused in transfer",
    "read index asked for by a follower",
    "removed replica told so",
    "slow write",
    "snapshot chunk sent",
    "snapshot damaged",
    "snapshot installed",
    "snapshot taken",
    "snapshot to send is gone",
    "torn write",
    "transfer begun",
    "vote asked for",
    "vote asked for by transfer",
};

struct Arguments {
  std::optional<uint64_t> seed;
  std::optional<uint64_t> start;
  uint64_t seeds = 0;
  int64_t seconds = 0;
  bool twin = false;
  bool verbose = false;
  bool coverage = false;
  bool speed = false;
  bool many_learners = false;
  std::string bug;
};

struct Totals {
  uint64_t seeds = 0, events = 0, messages = 0, elections = 0;
  uint64_t committed = 0, rejected = 0, unknown = 0, reads = 0;
  Nanos virtual_time = 0;
  Coverage coverage;

  void Add(const RunResult& result) {
    ++seeds;
    events += result.events;
    messages += result.messages;
    elections += result.elections;
    committed += result.committed;
    rejected += result.rejected;
    unknown += result.unknown;
    reads += result.reads;
    virtual_time += result.virtual_time;
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

#if defined(CATAMARAN_RAFT_BUGS)
constexpr std::pair<std::string_view, PlantedBug> kBugs[] = {
#define X(enumerator, name) {name, PlantedBug::enumerator},
    CATAMARAN_RAFT_PLANTED_BUGS(X)
#undef X
};

bool Plant(std::string_view name) {
  for (const auto& [known, bug] : kBugs) {
    if (known != name) continue;
    planted_bug = bug;
    return true;
  }
  return false;
}

uint64_t seed_that_runs = 0;

// A CHECK of the core is a find, too.
extern "C" void OnAbort(int) {
  char text[64];
  const int length =
      std::snprintf(text, sizeof(text), "found by a CHECK in seed %" PRIu64 "\n", seed_that_runs);
  if (write(STDOUT_FILENO, text, static_cast<size_t>(length)) < 0) _exit(1);
  _exit(0);
}
#else
constexpr std::pair<std::string_view, int> kBugs[] = {{"(none in this build)", 0}};
bool Plant(std::string_view) { return false; }
#endif

std::optional<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
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
    } else if (argument == "--speed") {
      arguments.speed = true;
    } else if (argument == "--many-learners") {
      arguments.many_learners = true;
    } else if (argument.starts_with("--bug=")) {
      arguments.bug = argument.substr(argument.find('=') + 1);
      if (!Plant(arguments.bug)) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  if (arguments.speed && !arguments.seed) arguments.seed = 1;
  if (arguments.seed || arguments.seeds > 0 || arguments.seconds > 0) return arguments;
  const char* seconds = std::getenv("CATAMARAN_SIM_SECONDS");
  arguments.seconds = seconds != nullptr ? std::strtoll(seconds, nullptr, 10) : kSecondsDefault;
  if (arguments.seconds <= 0) arguments.seconds = kSecondsDefault;
  return arguments;
}

void PrintUsage() {
  std::printf(
      "usage: catamaran_raft_sim [--seed=N | --start=N --seeds=COUNT | --seconds=S] [--twin]\n"
      "         [--verbose] [--coverage] [--speed] [--many-learners] [--bug=NAME]\n"
      "Planted bugs:");
  for (const auto& [name, bug] : kBugs) std::printf(" %s", std::string(name).c_str());
  std::printf("\n");
}

Plan PlanOf(const Arguments& arguments, uint64_t seed) {
  if (arguments.speed) return MakeSpeedPlan(seed);
  if (arguments.many_learners) return MakeManyLearnersPlan(seed);
  return MakePlan(seed);
}

bool RunSeed(const Arguments& arguments, uint64_t seed, bool twin, Totals* totals) {
  const Plan plan = PlanOf(arguments, seed);
  RunResult result = Group(plan, arguments.verbose).Run();
  totals->Add(result);
  if (twin && result.violation.empty()) {
    const RunResult again = Group(plan, false).Run();
    if (again.trace_hash != result.trace_hash) {
      result.violation = "two runs of this seed differ: something isn't deterministic";
    }
  }
  if (result.violation.empty()) return true;
  const char* prefix = arguments.bug.empty() ? "VIOLATION: " : "found: ";
  std::printf("seed %" PRIu64 ": %s%s\n", seed, prefix, result.violation.c_str());
  if (arguments.bug.empty()) std::printf("replay: catamaran_raft_sim --seed=%" PRIu64 "\n", seed);
  return false;
}

void PrintTotals(const Totals& totals, Duration took) {
  const double real = std::max(1e-9, static_cast<double>(took.count()) / 1e9);
  const double simulated = static_cast<double>(totals.virtual_time) / 1e9;
  std::printf(
      "%" PRIu64 " seeds, %" PRIu64 " events (%" PRIu64
      " messages), %.2f virtual hours in %.1f s: %.0f times real time, %.0f seeds an hour\n",
      totals.seeds, totals.events, totals.messages, simulated / 3600, real, simulated / real,
      static_cast<double>(totals.seeds) / real * 3600);
  std::printf("%" PRIu64 " elections; operations: %" PRIu64 " committed, %" PRIu64 " read, %" PRIu64
              " rejected, %" PRIu64 " unknown\n",
              totals.elections, totals.committed, totals.reads, totals.rejected, totals.unknown);
  for (const auto& [what, count] : totals.coverage) {
    std::printf("  %9" PRIu64 "  %s\n", count, std::string(what).c_str());
  }
}

bool CheckCoverage(const Totals& totals) {
  bool complete = true;
  for (std::string_view what : kMustBeSeen) {
    if (totals.coverage.contains(what)) continue;
    std::printf("never seen in %" PRIu64 " seeds: %s\n", totals.seeds, std::string(what).c_str());
    complete = false;
  }
  return complete;
}

int Main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::optional<Arguments> arguments = Parse(argc, argv);
  if (!arguments) {
    PrintUsage();
    return 2;
  }
#if defined(CATAMARAN_RAFT_BUGS)
  if (!arguments->bug.empty()) std::signal(SIGABRT, OnAbort);
#endif
  const MonotonicTime begin = SystemClock().Now();
  Totals totals;
  const bool single = arguments->seed.has_value();
  const uint64_t start =
      single ? *arguments->seed : arguments->start.value_or(RandomSeedFromSystem() >> 16);
  const uint64_t seeds = single ? 1 : arguments->seeds;
  if (!single) std::printf("seeds from %" PRIu64 " on\n", start);
  bool held = true;
  for (uint64_t i = 0; held && (seeds == 0 || i < seeds); ++i) {
    const Duration took = SystemClock().Now() - begin;
    if (arguments->seconds > 0 && took >= std::chrono::seconds(arguments->seconds)) break;
    const bool twin = arguments->twin || (!single && i % kTwinEvery == kTwinEvery - 1);
#if defined(CATAMARAN_RAFT_BUGS)
    seed_that_runs = start + i;
#endif
    held = RunSeed(*arguments, start + i, twin, &totals);
  }
  if (!arguments->bug.empty()) {
    std::printf("%s: %s after %" PRIu64 " seeds\n", arguments->bug.c_str(),
                held ? "NOT FOUND" : "found", totals.seeds);
    return held ? 1 : 0;
  }
  PrintTotals(totals, SystemClock().Now() - begin);
  if (held && arguments->coverage) held = CheckCoverage(totals);
  if (held) std::printf("all is well\n");
  return held ? 0 : 1;
}

}  // namespace
}  // namespace catamaran::raft::sim

int main(int argc, char** argv) { return catamaran::raft::sim::Main(argc, argv); }
