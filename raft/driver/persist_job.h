// One PersistBatch of the core as calls of a LogStore, which is atomic in each call but not over
// them. In this order, and why a crash between any two leaves a replica that may speak:
//
//   1. hard state        with a snapshot alone, else in one write with the first of 3
//   2. FinishSnapshot    keeps a log that has the snapshot's last entry, empties any other
//   3. truncation with entries, in writes of at most kPersistWriteBytesMax
//   4. CompactLog
//
// Nothing of a batch has been attested before all of it is durable (output.h), so a crash may leave
// any state that a replica could be in which hadn't received some of the last messages:
//   - After 1: a newer term or vote with the older log. A term is learnt from a message alone, and
//   a
//     vote counts when its batch is done. The other way round an entry's term could exceed the
//     term.
//   - After 2, log emptied: entries behind the snapshot are gone. The log lacked the snapshot's
//   last
//     entry, which is committed. Either it was shorter: then all of it is in the snapshot; or it
//     had another entry there: then all from there on contradicts what is committed, and no quorum
//     ever counted it.
//   - After 2, log kept, before a truncation: the suffix is as old as before the append that
//     removes it, which wasn't answered.
//   - Between two writes of 3: entries survive as a prefix; the truncation goes with the first.
//   - Before 4: entries that the snapshot covers remain, are read again and compacted later.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "raft/core/output.h"
#include "raft/store/log_store.h"

namespace catamaran::raft {

// Payload bytes of one write; more entries are several.
inline constexpr size_t kPersistWriteBytesMax = size_t{16} << 20;
inline constexpr size_t kPersistWriteEntriesMax = 65'536;
static_assert(kPersistWriteBytesMax + kEntryPayloadBytesMax < kLogWriteBytesMax);

// Moves from job to job; not thread-safe.
class PersistJob {
 public:
  explicit PersistJob(PersistBatch batch);

  // Does what is left. After STORAGE_FULL it may be called again, and goes on with the call that
  // found no space.
  absl::Status Run(LogStore& store);

 private:
  absl::Status Write(LogStore& store);

  PersistBatch batch_;
  bool snapshot_finished_ = false;
  bool head_written_ = false;  // hard state and truncation
  size_t next_entry_ = 0;
};

}  // namespace catamaran::raft
