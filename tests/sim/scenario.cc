#include "tests/sim/scenario.h"

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/cache_pool.h"
#include "tests/sim/fault_driver.h"

namespace catamaran::sim {
namespace {

using std::chrono::seconds;

// Virtual time after the last fault within which everything must have come to its end.
constexpr Duration kDrainLimit = seconds(300);
constexpr Duration kReadLimit = seconds(300);
constexpr int kReadRoundsMax = 20;  // of kReadLimit each
constexpr Duration kRestartLimit = seconds(180);
// Invariants of the broker's cores are checked after every so many events.
constexpr uint64_t kInvariantsEvery = 256;

// The caches of storage are the process's; each seed sets their sizes and finds them empty.
void SetCaches(const Plan& plan) {
  storage::FileHandlePool().SetCapacity(plan.file_handles);
  storage::IndexPool().SetCapacity(plan.index_cache_bytes);
  storage::TailPool().SetCapacity(plan.tail_cache_bytes);
}

class Scenario {
 public:
  Scenario(const Plan& plan, const RunOptions& options);
  RunResult Run();

 private:
  void MakeClients();
  void Observe();
  bool Stopped() const { return !history_.violation().empty(); }
  bool RunUntil(const std::function<bool()>& done, Duration limit);
  void Safety();
  void Liveness();
  void ReadEverything();
  void RestartOnce();
  void CountBrokerEvents();
  RunResult Finish();

  const Plan& plan_;
  const RunOptions& options_;
  World world_;
  SimNetwork network_;
  History history_;
  Coverage coverage_;
  std::deque<std::string> last_trace_;
  SimBroker broker_;
  std::vector<std::unique_ptr<SimProducer>> producers_;
  std::vector<std::unique_ptr<SimConsumer>> consumers_;
  std::unique_ptr<SimAdmin> admin_;
  std::unique_ptr<SimVerifier> verifier_;
  std::unique_ptr<FaultDriver> faults_;
};

Scenario::Scenario(const Plan& plan, const RunOptions& options)
    : plan_(plan),
      options_(options),
      world_(plan.seed + 1),
      network_(world_, plan.links),
      history_(plan),
      broker_(&world_, &network_, plan) {
  if (options_.verbose || options_.trace_lines_kept > 0) {
    world_.SetTraceSink([this](std::string_view line) {
      if (options_.verbose) std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
      if (options_.trace_lines_kept == 0) return;
      last_trace_.emplace_back(line);
      if (last_trace_.size() > options_.trace_lines_kept) last_trace_.pop_front();
    });
  }
  world_.AddObserver([this] { Observe(); });
  MakeClients();
}

void Scenario::MakeClients() {
  ClientWorld shared{&world_, &network_, &history_, &coverage_, &plan_};
  admin_ = std::make_unique<SimAdmin>(shared);
  verifier_ = std::make_unique<SimVerifier>(shared);
  std::vector<std::string> hosts = {admin_->name()};
  std::vector<SimClock*> clocks = {&broker_.node().clock()};
  for (size_t i = 0; i < plan_.producers.size(); ++i) {
    producers_.push_back(
        std::make_unique<SimProducer>(shared, static_cast<int>(i), plan_.producers[i]));
    hosts.push_back(producers_.back()->name());
    clocks.push_back(&producers_.back()->node().clock());
  }
  for (size_t i = 0; i < plan_.consumers.size(); ++i) {
    consumers_.push_back(
        std::make_unique<SimConsumer>(shared, static_cast<int>(i), plan_.consumers[i]));
    hosts.push_back(consumers_.back()->name());
  }
  faults_ = std::make_unique<FaultDriver>(&world_, &network_, &broker_, &history_, &coverage_,
                                          plan_, std::move(hosts), std::move(clocks));
}

void Scenario::Observe() {
  faults_->AfterEvent();
  if (world_.events_run() % kInvariantsEvery != 0) return;
  if (broker::BrokerNode* node = broker_.broker_node(); node != nullptr) {
    for (const auto& shard : node->replicas().shards()) shard->CheckInvariants();
  }
}

bool Scenario::RunUntil(const std::function<bool()>& done, Duration limit) {
  return world_.RunUntil([&] { return Stopped() || done(); }, limit);
}

void Scenario::Safety() {
  faults_->Begin();
  RunUntil([] { return false; }, plan_.safety);
}

void Scenario::Liveness() {
  faults_->End();
  admin_->StopChurn();
  for (auto& producer : producers_) producer->StopSending();
  for (auto& consumer : consumers_) consumer->Hurry();
  auto drained = [this] {
    for (auto& producer : producers_) {
      if (!producer->idle()) return false;
    }
    return faults_->settled() && admin_->idle();
  };
  if (!RunUntil(drained, kDrainLimit)) {
    std::string who;
    for (auto& producer : producers_) {
      if (!producer->idle()) absl::StrAppend(&who, " ", producer->name());
    }
    if (!admin_->idle()) who += " admin";
    if (!faults_->settled()) {
      absl::StrAppend(&who, " broker in state ", static_cast<int>(broker_.state()));
    }
    history_.Violate("after the last fault these didn't come to an end:" + who);
  }
}

void Scenario::ReadEverything() {
  verifier_->Start();
  if (!RunUntil([this] { return verifier_->done(); }, kReadLimit)) {
    history_.Violate("the logs can't be read to their ends after the last fault");
  }
  if (Stopped()) return;
  auto at_end = [this] {
    for (auto& consumer : consumers_) {
      if (!consumer->AtEnd(verifier_->ends())) return false;
    }
    return true;
  };
  // One that fetches a record at a time may need long: what is demanded is that each gets on.
  std::vector<std::string> before(consumers_.size());
  for (int round = 0; round < kReadRoundsMax && !RunUntil(at_end, kReadLimit); ++round) {
    for (size_t i = 0; i < consumers_.size(); ++i) {
      std::string where = consumers_[i]->Describe(verifier_->ends());
      if (!where.empty() && (where == before[i] || round + 1 == kReadRoundsMax)) {
        history_.Violate("a consumer doesn't reach the end: " + where);
      }
      before[i] = std::move(where);
    }
  }
}

// A start after a clean stop reads no log data.
void Scenario::RestartOnce() {
  bool served = false;
  faults_->RestartCleanly([&] { served = true; });
  if (!RunUntil([&] { return served; }, kRestartLimit)) {
    history_.Violate("the broker doesn't come back after a clean stop");
    return;
  }
  if (Stopped()) return;
  for (const auto& shard : broker_.broker_node()->replicas().shards()) {
    shard->ForEachReplica([this](const broker::ReplicaCore& replica) {
      if (replica.log() == nullptr || replica.log()->stats().recovered_bytes == 0) return;
      history_.Violate(absl::StrCat("after a clean stop ", replica.identity().directory, " read ",
                                    replica.log()->stats().recovered_bytes, " bytes of its log"));
    });
  }
}

void Scenario::CountBrokerEvents() {
  const broker::Counters& counters = broker_.counters();
  const std::pair<broker::Counter, const char*> counted[] = {
      {broker::Counter::kProduceDuplicates, "broker answered a duplicate"},
      {broker::Counter::kLogRecoveries, "log recovered by a scan"},
      {broker::Counter::kLogTailsCut, "broker cut a torn tail"},
      {broker::Counter::kLogAppendErrors, "append failed"},
      {broker::Counter::kSegmentsDeleted, "retention removed a segment"},
      {broker::Counter::kFetchFromDisk, "fetch read the disk"},
      {broker::Counter::kFetchFromMemory, "fetch answered from memory"},
  };
  for (const auto& [counter, name] : counted) {
    const int64_t count = counters.Get(counter);
    if (count > 0) coverage_[name] += static_cast<uint64_t>(count);
  }
}

RunResult Scenario::Finish() {
  CountBrokerEvents();
  for (const std::string& warning : broker_.warnings()) {
    if (warning.starts_with("a sync of ")) ++coverage_["sync failure latched"];
  }
  if (history_.offsets_given_again() > 0) ++coverage_["unsynced tail lost and replaced"];
  RunResult result;
  result.violation = history_.violation();
  world_.Trace(absl::StrCat(history_.sent(), " ", history_.acknowledged(), " ",
                            history_.records_fetched(), " ", history_.records_polled()));
  world_.Trace(absl::StrCat(broker_.disk().StateHash()));
  result.trace_hash = world_.trace_hash();
  result.events = world_.events_run();
  result.virtual_time = world_.Now().since_start;
  result.records_sent = history_.sent();
  result.records_acknowledged = history_.acknowledged();
  result.records_unknown = history_.unknown();
  result.records_rejected = history_.rejected();
  result.records_fetched = history_.records_fetched();
  result.records_polled = history_.records_polled();
  result.last_trace.assign(last_trace_.begin(), last_trace_.end());
  if (broker_.state() != SimBroker::State::kDown) broker_.Die(SimBroker::Death::kProcessOnly);
  result.coverage = coverage_;
  return result;
}

RunResult Scenario::Run() {
  Safety();
  if (!Stopped()) Liveness();
  if (!Stopped()) ReadEverything();
  if (!Stopped()) history_.CheckAllAnswered();
  if (!Stopped()) RestartOnce();
  return Finish();
}

}  // namespace

RunResult RunScenario(const Plan& plan, const RunOptions& options) {
  SetCaches(plan);
  RunResult result;
  {
    Scenario scenario(plan, options);
    result = scenario.Run();
  }
  if (result.violation.empty() &&
      (storage::FileHandlePool().used() > 0 || storage::TailPool().used() > 0 ||
       storage::IndexPool().used() > 0)) {
    result.violation = "something of the broker's logs is still cached after its end";
  }
  return result;
}

}  // namespace catamaran::sim
