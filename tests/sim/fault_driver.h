// Breaks things at random times while the safety phase lasts, and mends them again. The fault
// atlas: every fault here leaves what was synced on the disk, so that recovery may be demanded.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/sim_broker.h"
#include "tests/sim/sim_clients.h"
#include "tests/sim/sim_network.h"

namespace catamaran::sim {

class FaultDriver {
 public:
  // All must outlive it. `clients` are hosts; `clocks` those whose wall time may jump.
  FaultDriver(World* world, SimNetwork* network, SimBroker* broker, History* history,
              Coverage* coverage, const Plan& plan, std::vector<std::string> clients,
              std::vector<SimClock*> clocks);

  // Starts the broker and the faults.
  void Begin();
  // Mends everything; the broker, if it is down or has met an I/O error, starts anew.
  void End();
  // After every event: a machine that stopped in the middle of a disk operation is dead.
  void AfterEvent();
  // After End(): stops the broker cleanly and starts it again; `then` when it serves.
  void RestartCleanly(std::function<void()> then);
  bool settled() const { return ended_ && broker_->state() == SimBroker::State::kUp; }

 private:
  void Every(Duration mean, const char* name, std::function<void()> fault);
  void Kill(SimBroker::Death death);
  void StartLater();
  void StartNow();
  void OnStarted(const absl::Status& status);
  void CheckRecovered();
  void RestartAfterErrors();
  void WatchStop();
  void Later(Duration low, Duration high, const char* label, std::function<void()> what);
  const std::string& AnyClient();
  void CutOneWay();
  void CutTwoWays();
  void FillDisk();
  void FailDisk(const SimDiskFaults& faults, bool loses_data);

  World* const world_;
  SimNetwork* const network_;
  SimBroker* const broker_;
  History* const history_;
  Coverage* const coverage_;
  const Plan& plan_;
  const std::vector<std::string> clients_;
  const std::vector<SimClock*> clocks_;
  Random random_;
  bool ended_ = false;
  bool data_lost_ = false;     // since the last start
  bool had_errors_ = false;    // the disk failed an operation in this life, or may have
  bool sync_failed_ = false;   // a sync may have, since the machine came up
  bool disk_trouble_ = false;  // it fails or is full now
  bool start_pending_ = false;
  bool torn_in_recovery_ = false;
  uint64_t life_ = 0;  // counts deaths and starts
  std::function<void()> after_clean_restart_;
};

}  // namespace catamaran::sim
