// The disk, behind a seam. Operations block: they're called by jobs on an IoPool (base/executor.h)
// and at start-up, never by a shard or a gRPC callback. Paths are relative to the root that the
// implementation was opened on; "a/b.log", never absolute, never with "..".
//
// Durability, as POSIX gives it and as the simulated twin (tests/sim/sim_file_system.h) enforces
// it:
//   - written bytes survive a crash only after SyncData() on the file returned OK;
//   - a created, renamed or removed name survives only after SyncDirectory() on its parent;
//   - a failed SyncData() may have dropped the bytes: nobody may retry it (invariants.md S4).
//
// Errors carry a Reason: kStorageFull for ENOSPC and EDQUOT, kLimitExceeded when the process or the
// machine has no file descriptor left, kInvalidArgument for a path that isn't valid (ValidatePath),
// kStorageFailed for every other failure of the device. Without a Reason, since they say something
// about names and not about the device: absl::NotFoundError (the file or its directory is missing),
// absl::AlreadyExistsError (kCreateNew), absl::FailedPreconditionError (a directory that isn't
// empty; a directory where a file is needed or the other way round; a symbolic link; a write to a
// file opened with kRead).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace catamaran {

// An open file. Thread-safe: positional I/O on distinct ranges may run at the same time. The handle
// stays usable after the name was removed or renamed.
class File {
 public:
  virtual ~File() = default;

  // Writes all parts one after another at `position`, or fails; a failed write may have left any
  // prefix of the bytes behind. Extends the file when needed.
  virtual absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) = 0;
  absl::Status WriteAt(uint64_t position, std::string_view bytes) {
    return WriteAt(position, std::span<const std::string_view>(&bytes, 1));
  }
  // Reads up to `length` bytes; fewer only at the end of the file.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) = 0;
  // Data and the size that reading them back needs: fdatasync.
  virtual absl::Status SyncData() = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  // Extends the file to at least `size` with zeroes and reserves the blocks. A no-op where the file
  // system can't.
  virtual absl::Status Allocate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
  // Hint: start writing this range back now so that a later sync is short. Says nothing of
  // durability.
  virtual void StartWriteback(uint64_t position, uint64_t length) = 0;
};

enum class OpenMode : uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // created when missing, kept as it is when there
  kCreateNew,  // must not exist (absl::AlreadyExistsError)
};

struct FileInfo {
  std::string name;  // within its directory
  bool is_directory = false;
  uint64_t size = 0;
};

struct FreeSpace {
  uint64_t free_bytes = 0;  // that this process may use
  uint64_t total_bytes = 0;
};

// Held while the process owns a data directory; released by the destructor and by process death.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual absl::Status Remove(const std::string& path) = 0;                         // a file
  virtual absl::Status MakeDirectory(const std::string& path) = 0;    // OK when it's there already
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // must be empty
  virtual absl::StatusOr<std::vector<FileInfo>> List(const std::string& directory) = 0;  // by name
  virtual absl::StatusOr<FileInfo> Stat(const std::string& path) = 0;
  virtual absl::Status SyncDirectory(const std::string& directory) = 0;  // "" is the root
  // Every file's data and names under the root in one call: syncfs.
  virtual absl::Status SyncAll() = 0;
  virtual absl::StatusOr<FreeSpace> GetFreeSpace() = 0;
  // Creates the file `path` when it's missing. kDirectoryInUse when another process (or another
  // lock of this one) holds it.
  virtual absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) = 0;
};

// Helpers over the interface (base/file_util.cc).
absl::StatusOr<std::string> ReadWholeFile(FileSystem& fs, const std::string& path,
                                          uint64_t size_limit);
// Temp file, sync, rename, directory sync: after OK the new content is durable under `path`, and a
// crash at any point leaves the old content or the new (invariants.md S6).
absl::Status WriteFileAtomically(FileSystem& fs, const std::string& path, std::string_view content);
// "a/b/c" -> "a/b"; "c" -> "".
std::string ParentDirectory(const std::string& path);
// kInvalidArgument unless `path` is relative and stays under the root: names of 1 to 255 bytes
// without NUL between single slashes, none of them "." or "..", at most kPathBytesMax in all.
inline constexpr size_t kPathNameBytesMax = 255;
inline constexpr size_t kPathBytesMax = 4095;
absl::Status ValidatePath(const std::string& path);
// The answer of Lock() when somebody else holds it (kDirectoryInUse).
absl::Status DirectoryInUseError(const std::string& path);

// The machine's file system under `root`, which must exist (base/posix_file_system.cc).
absl::StatusOr<std::unique_ptr<FileSystem>> OpenPosixFileSystem(const std::string& root);

}  // namespace catamaran
