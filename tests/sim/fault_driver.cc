#include "tests/sim/fault_driver.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace catamaran::sim {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kStopLimit = seconds(120);
constexpr uint64_t kOperationsToCrashMax = 80;
constexpr uint64_t kOperationsToCrashInRecoveryMax = 40;

}  // namespace

FaultDriver::FaultDriver(World* world, SimNetwork* network, SimBroker* broker, History* history,
                         Coverage* coverage, const Plan& plan, std::vector<std::string> clients,
                         std::vector<SimClock*> clocks)
    : world_(world),
      network_(network),
      broker_(broker),
      history_(history),
      coverage_(coverage),
      plan_(plan),
      clients_(std::move(clients)),
      clocks_(std::move(clocks)),
      random_(plan.seed + 3) {}

void FaultDriver::Later(Duration low, Duration high, const char* label,
                        std::function<void()> what) {
  Duration wait(random_.Between(low.count(), high.count()));
  world_->Schedule(world_->Now() + wait, label, std::move(what));
}

const std::string& FaultDriver::AnyClient() {
  return clients_[static_cast<size_t>(random_.Below(clients_.size()))];
}

void FaultDriver::Every(Duration mean, const char* name, std::function<void()> fault) {
  if (mean == Duration(0)) return;
  Later(mean / 2, mean * 3 / 2, name, [this, mean, name, fault = std::move(fault)] {
    if (ended_) return;
    fault();
    Every(mean, name, fault);
  });
}

void FaultDriver::Begin() {
  StartNow();
  const FaultPlan& faults = plan_.faults;
  Every(faults.power_loss, "power loss", [this] { Kill(SimBroker::Death::kPowerLoss); });
  Every(faults.process_kill, "process kill", [this] { Kill(SimBroker::Death::kProcessOnly); });
  Every(faults.torn_crash, "crash armed",
        [this] { broker_->disk().SetCrashAfter(1 + random_.Below(kOperationsToCrashMax)); });
  Every(faults.clean_restart, "clean restart", [this] { RestartCleanly(nullptr); });
  Every(faults.pause, "pause", [this] {
    if (broker_->state() == SimBroker::State::kDown) return;
    ++(*coverage_)["fault pause"];
    broker_->node().Pause(Duration(random_.Between(10'000'000, 5'000'000'000)));
  });
  Every(faults.cut_one_way, "cut one way", [this] { CutOneWay(); });
  Every(faults.cut_two_ways, "cut two ways", [this] { CutTwoWays(); });
  Every(faults.clog, "clog", [this] {
    ++(*coverage_)["fault clog"];
    const std::string& client = AnyClient();
    const bool in = random_.OneIn(2);
    network_->Clog(in ? client : kBrokerHost, in ? kBrokerHost : client,
                   Duration(random_.Between(50'000'000, 5'000'000'000)));
  });
  Every(faults.reset, "reset", [this] {
    ++(*coverage_)["fault connection reset"];
    network_->Break(AnyClient(), kBrokerHost, SimBreak::kReset);
  });
  Every(faults.half_open, "half open", [this] {
    ++(*coverage_)["fault half-open connection"];
    network_->Break(random_.OneIn(2) ? AnyClient() : kBrokerHost, AnyClient(), SimBreak::kHalfOpen);
    network_->Break(kBrokerHost, AnyClient(), SimBreak::kHalfOpen);
  });
  Every(faults.disk_full, "disk full", [this] { FillDisk(); });
  Every(faults.sync_error, "sync errors", [this] {
    ++(*coverage_)["fault sync error"];
    FailDisk({.sync_error = 0.3}, true);
  });
  Every(faults.write_error, "write errors", [this] {
    ++(*coverage_)["fault write error"];
    FailDisk({.write_error = 0.2}, false);
  });
  Every(faults.name_error, "name errors", [this] {
    ++(*coverage_)["fault name error"];
    FailDisk({.metadata_error = 0.2}, false);
  });
  Every(faults.read_error, "read errors", [this] {
    ++(*coverage_)["fault read error"];
    FailDisk({.read_error = 0.2}, false);
  });
  Every(faults.wall_jump, "wall jump", [this] {
    ++(*coverage_)["fault wall clock jump"];
    SimClock* clock = clocks_[static_cast<size_t>(random_.Below(clocks_.size()))];
    clock->JumpWall(Duration(random_.Between(-3'600'000'000'000, 3'600'000'000'000)));
  });
}

// ---- lives --------------------------------------------------------------------------------------

void FaultDriver::AfterEvent() {
  if (!broker_->disk().crashed() || broker_->state() == SimBroker::State::kDown) return;
  ++(*coverage_)[torn_in_recovery_ ? "fault crash in recovery" : "fault torn crash"];
  if (broker_->state() == SimBroker::State::kStopping) ++(*coverage_)["crash while stopping"];
  Kill(SimBroker::Death::kPowerLoss);
}

void FaultDriver::Kill(SimBroker::Death death) {
  if (broker_->state() == SimBroker::State::kDown) return;
  const bool power = death == SimBroker::Death::kPowerLoss;
  if (!broker_->disk().crashed()) ++(*coverage_)[power ? "fault power loss" : "fault process kill"];
  if (broker_->state() == SimBroker::State::kStarting) ++(*coverage_)["death while starting"];
  broker_->disk().SetCrashAfter(0);
  ++life_;
  data_lost_ |= power;
  broker_->Die(death);
  StartLater();
}

void FaultDriver::StartLater() {
  if (start_pending_) return;
  start_pending_ = true;
  Later(milliseconds(20), seconds(1), "start", [this] {
    start_pending_ = false;
    StartNow();
  });
}

void FaultDriver::StartNow() {
  if (std::exchange(sync_failed_, disk_trouble_ && sync_failed_)) {
    // The page cache may show bytes that never reached the disk. Recovery has to live with that, or
    // the machine goes down, too.
    if (random_.OneIn(2)) {
      broker_->LosePowerWhileDown();
      data_lost_ = true;
    } else {
      ++(*coverage_)["process restart after a failed sync"];
    }
  }
  // What is lost is lost by now: nothing of the last life is under way any more.
  if (std::exchange(data_lost_, false)) history_->OnUnsyncedDataLost();
  had_errors_ = disk_trouble_;
  ++life_;
  torn_in_recovery_ = !ended_ && random_.Chance(plan_.faults.crash_in_recovery);
  if (torn_in_recovery_) {
    broker_->disk().SetCrashAfter(1 + random_.Below(kOperationsToCrashInRecoveryMax));
  }
  broker_->Start([this](absl::Status status) { OnStarted(status); });
}

void FaultDriver::OnStarted(const absl::Status& status) {
  torn_in_recovery_ = false;
  if (status.ok()) {
    ++(*coverage_)["broker started"];
    CheckRecovered();
    if (after_clean_restart_) std::exchange(after_clean_restart_, nullptr)();
    return;
  }
  ++(*coverage_)["start refused"];
  if (!had_errors_ && !disk_trouble_ && !broker_->disk().crashed()) {
    history_->Violate(absl::StrCat("the broker can't start: ", std::string(status.message())));
    return;
  }
  world_->Schedule(world_->Now(), "give up", [this, life = life_] {
    if (life == life_) Kill(SimBroker::Death::kProcessOnly);
  });
}

void FaultDriver::CheckRecovered() {
  for (const auto& shard : broker_->broker_node()->replicas().shards()) {
    shard->ForEachReplica([this](const broker::ReplicaCore& replica) {
      if (replica.log() == nullptr) {
        if (replica.phase() == broker::ReplicaPhase::kFailed && !had_errors_ && !disk_trouble_) {
          history_->Violate(
              absl::StrCat("the log in ", replica.identity().directory, " can't be opened"));
        }
        return;
      }
      if (replica.log()->stats().truncated_bytes > 0) ++(*coverage_)["torn tail cut"];
      history_->CheckRecovered(replica.identity().partition, replica.log()->log_start(),
                               replica.log()->end());
    });
  }
}

void FaultDriver::RestartCleanly(std::function<void()> then) {
  if (broker_->state() != SimBroker::State::kUp) return;
  ++(*coverage_)["fault clean restart"];
  after_clean_restart_ = std::move(then);
  WatchStop();
  broker_->StopCleanly([this] {
    ++life_;
    ++(*coverage_)["clean stop ended"];
    StartLater();
  });
}

void FaultDriver::WatchStop() {
  world_->Schedule(world_->Now() + kStopLimit, "stop limit", [this, life = life_] {
    if (life != life_ || broker_->state() != SimBroker::State::kStopping) return;
    history_->Violate("a clean stop didn't end");
  });
}

// ---- network and disk ---------------------------------------------------------------------------

void FaultDriver::CutOneWay() {
  ++(*coverage_)["fault cut one way"];
  const std::string client = AnyClient();
  const bool in = random_.OneIn(2);
  const std::string from = in ? client : kBrokerHost;
  const std::string to = in ? kBrokerHost : client;
  network_->Cut(from, to);
  Later(milliseconds(50), seconds(8), "heal", [this, from, to] { network_->Heal(from, to); });
}

void FaultDriver::CutTwoWays() {
  ++(*coverage_)["fault cut two ways"];
  const std::string client = AnyClient();
  network_->Cut(client, kBrokerHost);
  network_->Cut(kBrokerHost, client);
  Later(milliseconds(50), seconds(8), "heal", [this, client] {
    network_->Heal(client, kBrokerHost);
    network_->Heal(kBrokerHost, client);
  });
}

void FaultDriver::FillDisk() {
  if (disk_trouble_) return;
  ++(*coverage_)["fault disk full"];
  disk_trouble_ = true;
  // A running broker needs no restart afterwards (S7); one that starts now may have to be.
  had_errors_ |= broker_->state() == SimBroker::State::kStarting;
  SimFileSystem& disk = broker_->disk();
  disk.SetCapacity(disk.used_bytes() + random_.Below(128 << 10));
  Later(milliseconds(200), seconds(5), "space again", [this] {
    disk_trouble_ = false;
    broker_->disk().SetCapacity(kSimDiskCapacityBytesDefault);
  });
}

void FaultDriver::FailDisk(const SimDiskFaults& faults, bool loses_data) {
  if (disk_trouble_) return;
  disk_trouble_ = true;
  had_errors_ = true;
  sync_failed_ |= loses_data;
  broker_->disk().SetFaults(faults);
  Later(milliseconds(20), seconds(1), "disk mended", [this, loses_data] {
    disk_trouble_ = false;
    sync_failed_ |= loses_data;
    broker_->disk().SetFaults({});
    RestartAfterErrors();
  });
}

// An operator restarts a broker whose disk has failed.
void FaultDriver::RestartAfterErrors() {
  Later(milliseconds(100), seconds(2), "restart after errors", [this] {
    if (had_errors_ && !disk_trouble_) Kill(SimBroker::Death::kProcessOnly);
  });
}

void FaultDriver::End() {
  ended_ = true;
  disk_trouble_ = false;
  broker_->disk().SetFaults({});
  broker_->disk().SetCapacity(kSimDiskCapacityBytesDefault);
  broker_->disk().SetCrashAfter(0);
  network_->HealAll();
  // A stop that is under way ends by itself; an error that was met ends with this life.
  if (had_errors_) Kill(SimBroker::Death::kProcessOnly);
}

}  // namespace catamaran::sim
