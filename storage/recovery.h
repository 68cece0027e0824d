// Finds out what a partition's directory holds: at once after a clean stop, by reading what follows
// the recovery point after a crash.
#pragma once

#include "absl/status/statusor.h"
#include "storage/log_state.h"

namespace catamaran::storage {

// Blocking. Cuts a torn tail; cuts nothing when it finds damage (PartitionLog::Open has the
// errors). A crash while it runs is as harmless as one before it.
absl::StatusOr<LogState> LoadLog(FileSystem& fs, const LogIdentity& identity,
                                 const LogConfig& config, TimestampMs now);

}  // namespace catamaran::storage
