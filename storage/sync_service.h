// Group commit for a data directory: callers ask for files to be made durable; requests that arrive
// while a round is in flight share the next one. How a round syncs is a strategy, chosen by
// measurement (docs/durability.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "base/file_system.h"

namespace catamaran::storage {

enum class SyncStrategy : uint8_t {
  kFdatasync,  // one fdatasync per distinct file of the round
  kSyncfs,     // one syncfs per round, whatever the number of files
  kAdaptive,   // fdatasync up to kAdaptiveFilesMax distinct files, else syncfs
};

inline constexpr size_t kAdaptiveFilesMax = 2;  // docs/durability.md has the measurement

using SyncDone = absl::AnyInvocable<void(const absl::Status&)>;

// Thread-safe. After any failure every later request fails with the same latched error until the
// service is made anew: a failed sync is never retried (invariants.md S4).
class SyncService {
 public:
  virtual ~SyncService() = default;
  // `done` is posted to `reply_to` when all files' data written before this call is durable, or
  // failed.
  virtual void Sync(std::vector<std::shared_ptr<File>> files, Executor* reply_to,
                    SyncDone done) = 0;
};

// `fs` and `pool` must outlive the service.
std::unique_ptr<SyncService> MakeSyncService(SyncStrategy strategy, FileSystem& fs, IoPool& pool);

}  // namespace catamaran::storage
