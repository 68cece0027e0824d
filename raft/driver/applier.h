// Keeps a StateMachine going: restores, entries and images in the order in which they came, one at
// a time.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/driver/snapshot_io.h"
#include "raft/driver/state_machine.h"

namespace catamaran::raft {

// Owner: a RaftNode, on its executor.
class Applier {
 public:
  using OnApplied = absl::AnyInvocable<void(LogIndex)>;
  using OnFailed = absl::AnyInvocable<void(absl::Status)>;

  Applier(StateMachine* machine, SnapshotIo* snapshots, OnApplied on_applied, OnFailed on_failed);
  ~Applier();

  // Replaces the state by the current snapshot. What waits to be applied is part of it.
  void Restore(SnapshotMeta meta);
  void Apply(std::vector<Entry> entries);
  // An image of what is applied when its turn comes; `index` is that.
  void TakeImage(
      absl::AnyInvocable<void(LogIndex index, absl::StatusOr<SnapshotParts> parts)> done);

  LogIndex applied() const { return applied_; }

 private:
  using Entries = std::vector<Entry>;
  using Image = absl::AnyInvocable<void(LogIndex, absl::StatusOr<SnapshotParts>)>;
  using Step = std::variant<SnapshotMeta, Entries, Image>;

  void RunNext();
  void Run(SnapshotMeta meta);
  void Run(Entries entries);
  void Run(Image image);
  void OnDone(LogIndex applied);

  StateMachine* const machine_;
  SnapshotIo* const snapshots_;
  OnApplied on_applied_;
  OnFailed on_failed_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<Step> steps_;
  LogIndex applied_;
  bool busy_ = false;     // a step runs
  bool looping_ = false;  // RunNext is on the stack
};

}  // namespace catamaran::raft
