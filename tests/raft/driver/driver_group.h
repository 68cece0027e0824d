// A group of RaftNodes in the simulated world: machines with a disk each, processes on them, and
// clients that propose and read through whoever leads. Everything from one seed.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "raft/driver/raft_node.h"
#include "tests/raft/driver/log_machine.h"
#include "tests/raft/store/sim_store.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_network.h"

namespace catamaran::raft {

// One machine: its disk and its process. Addressed by where it stands in the group.
struct SimReplica {
  BrokerId node;
  ReplicaId id;
  std::string host;
  std::unique_ptr<SimStoreDisk> disk;
  bool disk_used = false;  // a store was made on it
  std::vector<FounderSeed> founders;
  std::vector<std::string> seeds;

  std::unique_ptr<sim::SimNode> process;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<IoPool> pool;
  std::unique_ptr<LogMachine> machine;
  std::unique_ptr<RaftNode> raft;  // null while it's down
  absl::Status failure;

  bool up() const { return raft != nullptr; }
};

class DriverGroup {
 public:
  explicit DriverGroup(uint64_t seed);
  ~DriverGroup();

  // Machines that aren't started yet. `founders` of a list; a machine outside of it has seeds only.
  void AddFounders(int count);
  SimReplica& AddReplica(int node, std::vector<FounderSeed> founders,
                         std::vector<std::string> seeds);
  void StartAll();

  void Start(SimReplica& replica);
  // The process dies; its kernel closes its connections.
  void Kill(SimReplica& replica);
  // The machine loses power: connections stay half-open, an unfinished write is cut.
  void PowerCut(SimReplica& replica);
  void Wipe(SimReplica& replica);                          // while it's down: an empty directory
  void Move(SimReplica& replica);                          // while it's down: a new address
  SimReplica& Clone(const SimReplica& from);               // a copy of its disk on another machine
  void Isolate(const SimReplica& replica, bool isolated);  // from all others, both ways

  // Runs until it holds; false after `limit` of virtual time.
  bool Await(const std::function<bool()>& done, Duration limit = std::chrono::seconds(60));
  SimReplica* Leader();  // of the highest term
  bool AwaitLeader() {
    return Await([&] { return Leader() != nullptr; });
  }
  // Every replica that is up has applied the same, and that is all that was committed.
  bool Converged();

  // Clients: a proposal or a read at a replica, whose outcome is checked at the end.
  void Propose(SimReplica& replica);
  void Read(SimReplica& replica);
  // Proposes until one is committed.
  bool AwaitProgress(Duration limit = std::chrono::seconds(60));
  // Whatever was acknowledged is there, once; what was rejected isn't.
  void CheckOutcomes();

  sim::World world;
  sim::SimNetwork network;
  std::vector<std::unique_ptr<SimReplica>> replicas;
  SimReplica& at(int index) { return *replicas[static_cast<size_t>(index)]; }
  CommittedLog committed;
  Config core;
  QuorumKeeperConfig keeper;
  bool automatic_quorum = false;
  int acknowledged = 0, rejected = 0, unknown = 0, reads = 0;

 private:
  void Boot(SimReplica& replica);
  void TearDown(SimReplica& replica);

  int last_command_ = 0;
  int last_host_ = 0;
  LogIndex acknowledged_through_;  // the highest index that a client was told
  std::set<std::string> acked_;
  std::set<std::string> refused_;
};

}  // namespace catamaran::raft
