// Snapshots between the store, the state machine and the network: jobs that write one part after
// the other beside the current snapshot, read the current one, and know its checksum.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/core/output.h"
#include "raft/driver/state_machine.h"
#include "raft/driver/store_queue.h"

namespace catamaran::raft {

// The store's place for the one snapshot that is being written. Touched by jobs only, which run one
// at a time.
struct SnapshotSlot {
  std::optional<SnapshotMeta> meta;
  uint64_t bytes = 0;   // durable
  uint32_t crc32c = 0;  // of these
};

// Owner: a RaftNode, on its executor. Callbacks run there.
class SnapshotIo {
 public:
  explicit SnapshotIo(StoreQueue* store) : store_(store) {}

  void Start(const OpenedStore& opened);

  // A part of a snapshot that is being received. `good`: it's durable, and if it was the last, all
  // bytes are there and have the right checksum. When not, what there was is dropped.
  void Write(SnapshotWrite write, absl::AnyInvocable<void(bool good)> done);

  // The state machine's image at `meta.last`; its size and checksum are computed here. The result
  // is durable, but not the current one before the core says so. Only one at a time.
  void Store(SnapshotMeta meta, SnapshotParts parts,
             absl::AnyInvocable<void(absl::StatusOr<SnapshotMeta>)> done);

  // Exactly `length` bytes of the current snapshot; VERSION_MISMATCH when another one is current.
  void Read(LogPosition last, uint64_t offset, uint64_t length,
            absl::AnyInvocable<void(absl::StatusOr<Buffer>)> done);
  // All of it.
  void ReadAll(SnapshotMeta meta, absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done);

  // For the job of a batch that makes a snapshot the current one.
  const std::shared_ptr<SnapshotSlot>& slot() const { return slot_; }

 private:
  struct Taking;
  struct Reading;
  void StoreNext(std::shared_ptr<Taking> taking);
  void ReadNext(std::shared_ptr<Reading> reading);

  StoreQueue* const store_;
  const std::shared_ptr<SnapshotSlot> slot_ = std::make_shared<SnapshotSlot>();
};

}  // namespace catamaran::raft
