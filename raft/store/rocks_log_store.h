// The store on RocksDB. rocks_log_store.cc is the only file that includes RocksDB.
//
// Refusals write nothing: the database is first opened for reading only, its identity compared, its
// write-ahead log checked (wal_check.h) and every key and entry verified; only then is it opened
// for writing.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "raft/store/log_store.h"

namespace rocksdb {
class Env;
}

namespace catamaran::raft {

// Less free space than this beside what a write needs: kStorageFull before anything is touched, so
// that RocksDB has room to flush and compact, and its own error handling isn't needed.
inline constexpr uint64_t kStoreFreeBytesMin = uint64_t{8} << 20;

struct RocksStoreOptions {
  std::string path;  // of the store's own directory; its parent must exist
  // A nil cluster takes that of the store. A nil cluster in the store matches any.
  StoreIdentity identity;
  // Whether a missing store is made. Only where none has ever been: an emptied directory that is
  // taken for a new one forgets its vote (invariants.md R16). Else kCorruptLog.
  bool create_if_missing = false;
  // RocksDB's warnings, a line each. Called on any thread. May be empty.
  std::function<void(std::string_view)> on_warning;
  // Threads and files; nullptr: the machine's. Must outlive the store.
  rocksdb::Env* env = nullptr;
  // Above 0: every memtable has this size, at least 64 KiB, so that tests see flushes.
  size_t memtable_bytes = 0;
};

// Beside the reasons in log_store.h: kDirectoryMismatch (another cluster or replica),
// kUnsupportedVersion (a newer format), kDirectoryInUse (open already).
absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLogStore(const RocksStoreOptions& options);

}  // namespace catamaran::raft
