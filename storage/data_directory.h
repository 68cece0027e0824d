// The identity of a data directory: which cluster, node and directory it belongs to, in which
// format, and how often it was started.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/random.h"

namespace catamaran::storage {

inline constexpr int kDataFormatVersion = 1;

struct DirectoryIdentity {
  ClusterId cluster;
  BrokerId node;
  DirectoryId directory;
  int format_version = kDataFormatVersion;
  // Starts of this directory, this one included; made durable before Open returns, so that a
  // restored copy is told from the original (design.md section 5).
  uint64_t start_counter = 0;
};

// Holds the lock while it lives.
class DataDirectory {
 public:
  struct Expectation {
    BrokerId node;
    // Nil: take the cluster of the directory, or make a new one when it is empty.
    ClusterId cluster;
  };
  // Blocking. Locks, reads or creates `meta.properties`. Nothing is written when it refuses:
  // kDirectoryInUse, kDirectoryMismatch (another cluster or node; not empty but without identity),
  // kUnsupportedVersion (a newer format), kCorruptLog (unreadable identity).
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(FileSystem& fs,
                                                             const Expectation& expected,
                                                             Random& random);

  const DirectoryIdentity& identity() const { return identity_; }
  bool was_empty() const { return was_empty_; }  // a first start

 private:
  DataDirectory() = default;
  DirectoryIdentity identity_;
  bool was_empty_ = false;
  std::unique_ptr<DirectoryLock> lock_;
};

}  // namespace catamaran::storage
