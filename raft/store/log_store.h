// Raft's memory over restarts: the log, the hard state and the snapshot, behind one small blocking
// interface. Real: on RocksDB (rocks_log_store.h). Simulated: in memory with seeded faults
// (tests/raft/store/sim_log_store.h); both pass the same contract test.
//
// Threads: calls block on the disk, so jobs of an IoPool make them, never a shard. One call at a
// time; whoever submits jobs keeps one in flight. What opened() gives never changes.
//
// Durability: a call that changes something is one atomic synced write. It returned OK: it is on
// disk. A crash during it: it happened whole or not at all.
//
// Errors, by Reason:
//   kStorageFull     rejected: nothing changed, reads go on, and the same call may be made again
//                    when there is space; the store resumes by itself then.
//   kStorageFailed   unknown: the call may have happened. The store is latched, every later change
//                    is refused with the same error, and only opening it anew tells what is on disk
//                    (invariants.md S4). Reads of what was durable before go on.
//   kCorruptLog      what is stored contradicts itself or its checksums. The store changes nothing
//                    and invents nothing: this replica's vote can't be trusted any more, so it must
//                    be replaced by a new one on an empty directory.
// A call that its own state forbids (an entry that leaves a gap, a term that falls) is broken code
// and hits a CHECK.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"
#include "raft/store/log_shape.h"

namespace catamaran::raft {

inline constexpr uint32_t kStoreFormatVersion = 1;
// One Write: keys, values and their copy in the write-ahead log are in memory at once.
inline constexpr size_t kLogWriteBytesMax = size_t{64} << 20;
inline constexpr size_t kSnapshotChunkBytesMax = size_t{1} << 20;
static_assert(kEntryPayloadBytesMax < kLogWriteBytesMax);

// Whose store it is. Stored at creation; another one is refused (kDirectoryMismatch).
struct StoreIdentity {
  ClusterId cluster;  // nil: in no cluster yet
  ReplicaId replica;
  bool operator==(const StoreIdentity&) const = default;
};

// What Open found, after recovery.
struct OpenedStore {
  StoreIdentity identity;
  // Starts of this store, this one included, from 1. Durable before Open returned, so that a
  // restored copy, which counts from an older value, is told from the original (design.md section
  // 5).
  uint64_t start_counter = 0;
  bool created = false;  // by this Open
  HardState hard_state;
  std::optional<SnapshotMeta> snapshot;
  // A snapshot that was begun and not finished, and how many of its bytes are durable.
  std::optional<SnapshotMeta> unfinished_snapshot;
  uint64_t unfinished_bytes = 0;
  uint32_t unfinished_crc32c = 0;  // of these bytes, so that whoever goes on can check the whole
  LogShape log;
  // The log's kMembership entries, ascending: what is in force is the last, else the snapshot's.
  std::vector<Entry> memberships;
  // The highest start counter seen of each peer.
  std::map<ReplicaId, uint64_t> peer_start_counters;
};

// One batch of the core's output, in the order of its fields. Empty is allowed and writes nothing.
struct LogWrite {
  // The term doesn't fall; within a term a vote isn't changed.
  std::optional<HardState> hard_state;
  // Removes this entry and all after it; above the log's base.
  std::optional<LogIndex> truncate_from;
  // Contiguous, following what is left; terms don't fall; at most kLogWriteBytesMax in all.
  std::vector<Entry> entries;
};

// Counts since Open.
struct LogStoreStats {
  uint64_t writes = 0;   // synced, of every kind
  uint64_t entries = 0;  // written
  uint64_t entry_bytes = 0;
  uint64_t refused_full = 0;
  uint64_t resumes = 0;  // after having been full
};

class LogStore {
 public:
  virtual ~LogStore() = default;

  virtual const OpenedStore& opened() const = 0;
  virtual LogStoreStats stats() const = 0;

  // From nil to a cluster, once; the same again is OK, another is kDirectoryMismatch.
  virtual absl::Status AdoptCluster(ClusterId cluster) = 0;

  // Records that `peer` said it is in its `counter`-th start. kDirectoryMismatch when it has been
  // seen in a later one: then it's a restored copy or a clone, and must be reset to a new directory
  // id. At most kPeersMax peers (kLimitExceeded).
  virtual absl::Status ObservePeer(const ReplicaId& peer, uint64_t counter) = 0;
  // Of a replica that was removed: its id never comes back (invariants.md R16).
  virtual absl::Status ForgetPeer(const ReplicaId& peer) = 0;

  virtual absl::Status Write(const LogWrite& write) = 0;

  // Entries from `first` up to `end` (exclusive), as many as fit into `bytes_max` of payload, but
  // at least one. Empty when first == end. kOffsetOutOfRange when one of them was compacted away or
  // isn't there.
  virtual absl::StatusOr<std::vector<Entry>> ReadEntries(LogIndex first, LogIndex end,
                                                         size_t bytes_max) = 0;

  // --- Snapshots: one is current, at most one is unfinished -------------------------------------
  // Begins a snapshot beside the current one, or goes on with it: answers how many of its bytes are
  // already durable. Another unfinished one is dropped. kVersionMismatch unless it ends after the
  // current one.
  virtual absl::StatusOr<uint64_t> BeginSnapshot(const SnapshotMeta& meta) = 0;
  // The bytes that follow the durable ones, at most kSnapshotChunkBytesMax and not past
  // meta.bytes. kVersionMismatch when the unfinished snapshot isn't the one that ends at `last`,
  // kOffsetOutOfRange when `position` isn't where it stands.
  virtual absl::Status AppendSnapshot(LogPosition last, uint64_t position,
                                      std::string_view bytes) = 0;
  // Makes the unfinished snapshot the current one, in one step with the log: a log that has an
  // entry at exactly `last` (its index and term) is kept, any other is emptied and goes on after
  // `last` (figure 13, invariants.md R19). Answers the log then. kCorruptBatch when bytes are
  // missing or their CRC isn't meta.crc32c: the unfinished snapshot is dropped.
  virtual absl::StatusOr<LogShape> FinishSnapshot(LogPosition last) = 0;
  // Up to `bytes_max` bytes of the current snapshot from `position` on; fewer at its end, and where
  // that is convenient, but at least one before it. kVersionMismatch when the current one doesn't
  // end at `last`: it was replaced, begin again.
  virtual absl::StatusOr<Buffer> ReadSnapshot(LogPosition last, uint64_t position,
                                              size_t bytes_max) = 0;

  // Removes entries up to and including `index`, which the current snapshot must cover. Below the
  // base: nothing to do.
  virtual absl::Status CompactLog(LogIndex index) = 0;
};

inline constexpr size_t kPeersMax = 65'536;

}  // namespace catamaran::raft
