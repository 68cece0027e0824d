// LogStore over a Kv: which keys say what, what must hold between them, and what each operation
// writes.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "raft/store/kv.h"
#include "raft/store/log_store.h"
#include "raft/store/records.h"

namespace catamaran::raft {

// What a database holds.
struct FoundStore {
  bool empty = false;  // no key at all: a creation that was cut short, or a new database
  OpenedStore opened;  // start_counter as stored
  std::optional<StoredSnapshot> snapshot;
  std::optional<UnfinishedSnapshot> unfinished;
};

// Reads and verifies every key and value: checksums, no gap between entries, no falling term, log
// and snapshot that fit together, every byte of the snapshot. Writes nothing. kDirectoryMismatch,
// kUnsupportedVersion, kCorruptLog.
absl::StatusOr<FoundStore> InspectStore(Kv& kv, const StoreIdentity& expected);

// Writes the first keys of an empty store, or the raised start counter, and takes over.
absl::StatusOr<std::unique_ptr<LogStore>> StartStore(std::unique_ptr<Kv> kv, FoundStore found,
                                                     const StoreIdentity& identity);

}  // namespace catamaran::raft
