// A whole group in one thread and virtual time, from one seed: the queue of events, the network
// between replicas, clients, an operator, and what breaks. Two phases: faults all the time; then
// none, and everything must come to its end within a bound.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "tests/raft/sim/checker.h"
#include "tests/raft/sim/history.h"
#include "tests/raft/sim/plan.h"
#include "tests/raft/sim/replica.h"

namespace catamaran::raft::sim {

using Coverage = std::map<std::string_view, uint64_t>;  // names are literals

struct RunResult {
  std::string violation;  // empty: all held
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  uint64_t messages = 0;
  Nanos virtual_time = 0;
  uint64_t elections = 0;
  uint64_t committed = 0, rejected = 0, unknown = 0, reads = 0;
  int64_t log_length = 0;
  Coverage coverage;
};

class Group : public Host {
 public:
  Group(const Plan& plan, bool verbose);
  RunResult Run();

 private:
  struct Event {
    Nanos at = 0;
    uint64_t tie = 0;  // a seeded order among equals
    EventKind kind = EventKind::kTick;
    int node = 0;
    uint32_t boot = 0;  // 0: of any
    uint64_t argument = 0;
    std::unique_ptr<Message> message;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? b.at < a.at : b.tie < a.tie;
    }
  };
  struct Client {
    uint64_t op = UINT64_MAX;
    Nanos deadline = 0;
  };

  // ---- Host ----
  void Deliver(Replica& from, Message message) override;
  void Schedule(Replica& replica, Nanos delay, EventKind kind, uint64_t argument) override;
  Nanos WriteDelay(Replica& replica) override;
  bool DamagesSnapshot() override;
  void Violation(const std::string& what) override;
  void OnSend(Replica& replica, const Message& message) override {
    checker_->OnSend(replica, message);
  }
  void OnPersisted(Replica& replica, const HardState& before) override {
    checker_->OnPersisted(replica, before);
  }
  void OnApply(Replica& replica, const Entry& entry, const State& state) override {
    checker_->OnApply(replica, entry, state);
  }
  void OnRestore(Replica& replica, const State& state) override {
    checker_->OnRestore(replica, state);
  }
  void Saw(const char* what) override { ++result_.coverage[what]; }
  History& history() override { return history_; }

  // ---- group.cc ----
  void Make();
  void Push(Event event);
  void PushAfter(Nanos delay, EventKind kind, int node, uint64_t argument);
  Event Pop();
  void RunUntil(Nanos end);
  void Handle(Event event);
  void HandleAtReplica(Event event);
  Replica& At(int node) { return *replicas_[static_cast<size_t>(node)]; }
  Replica* Leader();  // of the highest term, among those that are up and not paused
  void Trace(const Event& event);
  void SawFrom(const Message& message);

  // ---- faults.cc ----
  void Break();
  void Crash(int node, bool for_restart);
  void Boot(int node);
  void WipeOne();
  void Cut(int from, int to, bool cut);
  void BreakStreams(int node);
  void Partition();
  void Heal();
  bool Survives(const Membership& membership, std::optional<ReplicaId> without) const;
  void SendStranger();
  int RandomNode() { return static_cast<int>(random_.Below(replicas_.size())); }
  int Down() const;

  // ---- workload.cc ----
  Replica* SomeLeader();
  void RunClient(uint64_t number);
  void RunOperator();
  MembershipChange RandomChange(Replica& leader);
  void Change(Replica& leader, const MembershipChange& change);

  // ---- liveness.cc ----
  void EndFaults();
  bool IsWhole();
  std::string WhyNotWhole();
  void CheckLiveness();

  const Plan plan_;
  const bool verbose_;
  Random random_;
  RunResult result_;
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  Nanos now_ = 0;
  bool faults_ = true;
  ClusterId cluster_;
  History history_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::unique_ptr<Checker> checker_;
  std::vector<Client> clients_;
  std::vector<std::vector<bool>> cut_;       // [from][to]
  std::vector<std::vector<Nanos>> link_at_;  // when the last message of a link arrives
  uint64_t ties_ = 0;
};

}  // namespace catamaran::raft::sim
