// What the core decided and its driver must do. The driver takes an Output after each batch of
// inputs and serves its fields so:
//
//   messages         may go at once, in this order per addressee. What a message attests is durable
//                    already: those that must wait are inside the core until PersistDone.
//   persist          to the log store as one atomic write with a sync; then PersistDone(handle). At
//                    most one is in flight: the core gives the next one after PersistDone.
//   snapshot_write   to the file of the snapshot that is being received; then SnapshotWritten(id).
//   restore          replace the state machine by this snapshot, before anything in `apply`.
//   apply            to the state machine, in order; then Applied(index). All of it is committed
//   and
//                    durable here. `restore` and `apply` of several Outputs must not overtake.
//   the rest         answers; in any order, at once.
//
// `persist` and `messages` don't wait for each other: disk and network overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "raft/core/message.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// One write of the log store, atomic and synced. In this order:
struct PersistBatch {
  uint64_t handle = 0;
  std::optional<HardState> hard_state;
  // Becomes the store's snapshot. Its data is durable already.
  std::optional<SnapshotMeta> snapshot;
  // Entries from here on are removed.
  std::optional<LogIndex> truncate_from;
  // Entries up to and including this one are removed.
  std::optional<LogIndex> compact_through;
  // Follow without gaps what is left then (or the snapshot, if nothing is). A store that can't be
  // atomic over all of it may keep a prefix of the entries, but of the fields above all or none.
  std::vector<Entry> entries;

  bool empty() const {
    return !hard_state && !snapshot && !truncate_from && !compact_through && entries.empty();
  }
};

// Bytes [offset, offset + data.size()) of the snapshot `meta` that is being received. At offset 0 a
// new file begins and an older unfinished one may go. With `last` the driver must sync the file and
// compare its size and checksum with `meta` before it answers.
struct SnapshotWrite {
  uint64_t id = 0;
  SnapshotMeta meta;
  uint64_t offset = 0;
  Buffer data;
  bool last = false;
};

// Chosen by whoever proposes or reads; unique as long as this core lives.
using RequestId = uint64_t;

enum class ProposalOutcome : uint8_t {
  kCommitted,  // and handed to `apply` in this or an earlier Output
  kRejected,   // it will never be committed; may be proposed again
  kUnknown,    // it may be committed, now or later
};
enum class RejectReason : uint8_t {
  kNone,
  kNotLeader,
  kOverloaded,
  kTransferring,      // leadership is being handed over
  kTooLarge,          // kEntryPayloadBytesMax
  kChangeInProgress,  // an earlier change of the membership isn't committed or still joint
  kNoCommitInTerm,    // the leader has not committed in its term yet; soon
  kInvalidChange,     // names what isn't there, or leaves no voter, or exceeds a limit
  kNotCaughtUp,       // a learner to be promoted lags (R15)
  kUnreachable,       // no quorum of the new voters answers
  kLeadershipLost,    // an outcome that became known afterwards: another entry stands there
};
struct ProposalResult {
  RequestId id = 0;
  ProposalOutcome outcome = ProposalOutcome::kRejected;
  RejectReason reason = RejectReason::kNone;
  LogPosition position;  // where it stands or stood; zero if it never did
};

// A read may be served from the state machine as soon as `index` is applied. Refused: not leader
// and no leader known, leadership lost, or too many.
struct ReadResult {
  RequestId id = 0;
  bool granted = false;
  LogIndex index;
};

struct Output {
  std::vector<Message> messages;
  std::optional<PersistBatch> persist;
  std::optional<SnapshotWrite> snapshot_write;
  std::optional<SnapshotMeta> restore;
  std::vector<Entry> apply;
  std::vector<ProposalResult> proposals;
  std::vector<ReadResult> reads;
  // The log has grown past its limits: take a snapshot of what is applied (Raft::DescribeSnapshot,
  // Raft::SnapshotTaken). Said again until it's done.
  bool snapshot_wanted = false;
  // This replica was removed from the group: in a committed configuration it's no member.
  bool removed = false;

  bool empty() const {
    return messages.empty() && !persist && !snapshot_write && !restore && apply.empty() &&
           proposals.empty() && reads.empty();
  }
};

}  // namespace catamaran::raft
