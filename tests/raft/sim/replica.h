// One simulated machine: its disk, which outlives crashes, and the driver of a core, which serves
// each Output in the order that raft/core/output.h demands.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/core/quorum_keeper.h"
#include "raft/core/raft.h"
#include "tests/raft/sim/history.h"
#include "tests/raft/sim/plan.h"
#include "tests/raft/sim/state_machine.h"

namespace catamaran::raft::sim {

using Nanos = int64_t;  // of the world's clock

enum class EventKind : uint8_t {
  kMessage,
  kTick,
  kPersistDone,
  kSnapshotWritten,
  kSnapshotTaken,
  kApply,
  kStreamClosed,
  kBoot,
  kResume,
  kClient,
  kFault,
  kOperator,
  kEndFault,
};

// What is on disk. A crash leaves it, and a part of the write in flight.
struct Disk {
  HardState hard_state;
  SnapshotMeta snapshot;
  Log log{LogPosition()};
  std::map<LogPosition, std::shared_ptr<const std::string>> files;  // whole snapshots
  std::optional<SnapshotMeta> unfinished;
  std::string unfinished_data;
  State state;  // with Plan::durable_state_machine
};

class Replica;

// What a replica needs of the world.
class Host {
 public:
  virtual ~Host() = default;
  virtual void Deliver(Replica& from, Message message) = 0;
  virtual void Schedule(Replica& replica, Nanos delay, EventKind kind, uint64_t argument) = 0;
  virtual Nanos WriteDelay(Replica& replica) = 0;
  virtual bool DamagesSnapshot() = 0;
  virtual void Violation(const std::string& what) = 0;
  virtual void OnSend(Replica& replica, const Message& message) = 0;
  virtual void OnPersisted(Replica& replica, const HardState& before) = 0;
  virtual void OnApply(Replica& replica, const Entry& entry, const State& state) = 0;
  virtual void OnRestore(Replica& replica, const State& state) = 0;
  virtual void Saw(const char* what) = 0;
  virtual History& history() = 0;
};

class Replica {
 public:
  Replica(Host* host, const Plan& plan, ClusterId cluster, ReplicaId id, uint64_t seed);

  // ---- life ----
  void Found(const Membership& first);  // a first voter's disk before its first start
  void Boot(Nanos now);
  void Crash(Nanos now);  // loses memory; of the write in flight, something
  void Wipe(ReplicaId id);
  bool up() const { return core_ != nullptr; }
  uint32_t boots() const { return boots_; }

  // ---- events ----
  StepResult OnMessage(Nanos now, Message message);
  void OnTick(Nanos now);
  void OnPersistDone(Nanos now, uint64_t handle);
  void OnSnapshotWritten(Nanos now, uint64_t id);
  void OnSnapshotTaken(Nanos now);
  void OnApplyDue(Nanos now);
  void OnStreamClosed(Nanos now, const ReplicaId& peer);
  void Submit(Nanos now, const Op& op, size_t padding);
  void Change(Nanos now, const MembershipChange& change);
  void Transfer(Nanos now, std::optional<ReplicaId> target);
  // Serves outputs until there are none; then sets the timer.
  void Pump(Nanos now);

  const ReplicaId& id() const { return id_; }
  int node() const { return id_.node.value(); }
  Raft& core() { return *core_; }
  const Raft& core() const { return *core_; }
  const Disk& disk() const { return disk_; }
  const State& state() const { return state_; }
  MonotonicTime Local(Nanos now) const;
  std::optional<MembershipChange> Advise(Nanos now) { return keeper_.Advise(Local(now), *core_); }

  Nanos paused_until = 0;
  Nanos slow_until = 0;  // the disk
  int64_t drift_ppm = 0;
  bool stopped_for_good = false;

 private:
  struct PendingOp {
    bool committed = false;
    bool applied = false;
    bool changed = false;
    Cell cell;
    LogIndex index;
  };
  struct WaitingRead {
    uint64_t op;
    LogIndex index;
  };

  Nanos World(MonotonicTime local) const;
  void Write(const PersistBatch& batch, size_t entries);
  void Serve(Nanos now, Output output);
  void FillChunk(Nanos now, Message message);
  void TakeSnapshot();
  void Apply(const Entry& entry);
  void Restore(const SnapshotMeta& meta);
  void MaybeEnd(uint64_t number);
  void ServeReads();
  void DropOldFiles();
  State Load(const SnapshotMeta& meta) const;

  Host* const host_;
  const Plan& plan_;
  const ClusterId cluster_;
  ReplicaId id_;
  Random random_;
  Disk disk_;
  uint32_t boots_ = 0;
  QuorumKeeper keeper_;

  // The process.
  std::unique_ptr<Raft> core_;
  State state_;
  std::optional<PersistBatch> writing_;
  std::optional<SnapshotWrite> receiving_;
  std::optional<SnapshotMeta> taking_;
  std::string taking_data_;
  std::optional<SnapshotMeta> to_restore_;
  std::deque<Entry> to_apply_;
  bool apply_scheduled_ = false;
  std::map<uint64_t, PendingOp> ops_;
  std::vector<uint64_t> asked_reads_;
  std::vector<WaitingRead> reads_;
  Nanos next_tick_ = INT64_MAX;
};

}  // namespace catamaran::raft::sim
