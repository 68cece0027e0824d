#include "raft/driver/persist_job.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace catamaran::raft {

PersistJob::PersistJob(PersistBatch batch) : batch_(std::move(batch)) {}

absl::Status PersistJob::Run(LogStore& store) {
  if (batch_.snapshot && !snapshot_finished_) {
    if (batch_.hard_state) {
      LogWrite write;
      write.hard_state = batch_.hard_state;
      CATAMARAN_RETURN_IF_ERROR(store.Write(write));
      batch_.hard_state.reset();
    }
    absl::StatusOr<LogShape> log = store.FinishSnapshot(batch_.snapshot->last);
    if (!log.ok()) {
      if (ReasonOf(log.status()) == Reason::kStorageFull) return log.status();
      // Its data was stored and checked before the core named it.
      return MakeError(Reason::kStorageFailed,
                       "A snapshot that was stored can't be found any more; restart this node. " +
                           std::string(log.status().message()));
    }
    snapshot_finished_ = true;
    if (batch_.truncate_from) {
      // What stands up to the snapshot's end is in it, whatever the log said before.
      batch_.truncate_from = std::max(*batch_.truncate_from, batch_.snapshot->last.index + 1);
    }
  }
  CATAMARAN_RETURN_IF_ERROR(Write(store));
  if (batch_.compact_through) {
    CATAMARAN_RETURN_IF_ERROR(store.CompactLog(*batch_.compact_through));
  }
  return absl::OkStatus();
}

absl::Status PersistJob::Write(LogStore& store) {
  while (!head_written_ || next_entry_ < batch_.entries.size()) {
    LogWrite write;
    if (!head_written_) {
      write.hard_state = batch_.hard_state;
      write.truncate_from = batch_.truncate_from;
    }
    size_t bytes = 0;
    size_t end = next_entry_;
    while (end < batch_.entries.size() && bytes < kPersistWriteBytesMax &&
           end - next_entry_ < kPersistWriteEntriesMax) {
      bytes += batch_.entries[end].payload.size();
      write.entries.push_back(batch_.entries[end]);
      ++end;
    }
    CATAMARAN_RETURN_IF_ERROR(store.Write(write));
    head_written_ = true;
    next_entry_ = end;
  }
  return absl::OkStatus();
}

}  // namespace catamaran::raft
