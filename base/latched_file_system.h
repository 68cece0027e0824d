// A file system on which the first failed sync is the last one that is tried.
//
// A failed fsync may have dropped dirty bytes of any file while the page cache goes on showing
// them, and the next sync of those files then succeeds without having written them (invariants.md
// S4). So one failure ends every sync of the volume, whoever asks, until it is opened anew after a
// restart: nothing may be called durable on the word of a later one. Reads and writes go on.
#pragma once

#include <memory>

#include "base/file_system.h"

namespace catamaran {

// `files` must outlive what is returned and the files that are opened through it. Thread-safe.
// After a failure of SyncData, SyncAll or SyncDirectory each of them answers that same error.
std::unique_ptr<FileSystem> LatchSyncFailures(FileSystem* files);

}  // namespace catamaran
