// The real broker on the simulated machine: data directory, metadata service on its local log,
// BrokerNode, handlers; in lives that begin with a start from the disk and end by a crash, a kill
// or a clean stop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/metrics.h"
#include "metadata/metadata_log.h"
#include "storage/data_directory.h"
#include "tests/sim/saboteur.h"
#include "tests/sim/sim_file_system.h"
#include "tests/sim/sim_plan.h"
#include "tests/sim/sim_server.h"

namespace catamaran::sim {

inline constexpr char kBrokerHost[] = "broker";

class SimBroker {
 public:
  enum class State : uint8_t { kDown, kStarting, kUp, kStopping, kStartFailed };
  enum class Death : uint8_t { kPowerLoss, kProcessOnly };

  // All must outlive it.
  SimBroker(World* world, SimNetwork* network, const Plan& plan);
  ~SimBroker();

  // A new life; the machine and its disk come up first. `ready` is called once, when it serves or
  // has failed to start; never when it dies before.
  void Start(std::function<void(absl::Status)> ready);
  // From outside the broker's own tasks.
  void Die(Death death);
  // The machine goes down and comes up again while no process runs on it.
  void LosePowerWhileDown();
  // As SIGTERM: `stopped` is called when everything is on disk and the process has ended.
  void StopCleanly(std::function<void()> stopped);

  State state() const { return state_; }
  SimFileSystem& disk() { return disk_; }
  SimNode& node() { return node_; }
  const broker::Counters& counters() const { return counters_; }  // over all lives
  broker::BrokerNode* broker_node();                              // null unless up or stopping
  metadata::MetadataService* metadata();                          // null while there is no life
  uint64_t starts() const { return starts_; }
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  struct Life;
  absl::Status Boot();
  void OnRegistered(const absl::StatusOr<metadata::Answer>& answer);
  void OnServing(const absl::Status& status);
  void Fail(const absl::Status& status);
  void EndLife();
  void OnStopped();

  World* const world_;
  SimNetwork* const network_;
  const Plan& plan_;
  SimFileSystem disk_;
  SabotagedFiles files_;
  SimNode node_;
  Random random_;
  State state_ = State::kDown;
  std::unique_ptr<Life> life_;
  std::function<void(absl::Status)> ready_;
  broker::Counters counters_;
  uint64_t starts_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace catamaran::sim
