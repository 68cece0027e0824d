// What the committed log drives. Written by whoever uses Raft; served by RaftNode.
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// A state machine's image, in parts of any size. All of it is in memory while it's written or read:
// it's metadata. The parts are made by Restore's caller as they were stored, not as they were
// given.
using SnapshotParts = std::vector<Buffer>;

// All calls are made on the node's executor, one at a time: the next one only after the last one's
// `done`, which must be called exactly once, on that executor too; within the call is fine.
// Deterministic: equal entries lead to equal states on every replica.
class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // What it holds already when the node starts: everything up to here, which its own storage must
  // have made durable together with the index. kNoIndex: nothing; then it's restored from the
  // latest snapshot, and the log after it is applied again. Asked once.
  virtual LogIndex applied() const = 0;

  // In order, without gaps, all committed. Also those that aren't commands (no-ops, memberships),
  // so that the indexes have none either.
  virtual void Apply(std::vector<Entry> entries, absl::AnyInvocable<void()> done) = 0;

  // An image of exactly what is applied now. An error means: not this time, ask again later.
  virtual void TakeSnapshot(absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done) = 0;

  // Replaces everything by this image. An error stops the node: it can't go on without.
  virtual void Restore(const SnapshotMeta& meta, SnapshotParts parts,
                       absl::AnyInvocable<void(absl::Status)> done) = 0;
};

}  // namespace catamaran::raft
