// One segment of a partition log: its files, which open themselves when needed, and what the log
// knows of it in memory.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_system.h"
#include "base/ids.h"
#include "storage/cache_pool.h"
#include "storage/sparse_index.h"

namespace catamaran::storage {

// File names within a partition's directory.
inline constexpr std::string_view kTopicIdFile = "topic-id";
inline constexpr std::string_view kLogStartFile = "log-start";
inline constexpr std::string_view kCheckpointFile = "checkpoint";
// A checkpoint under this name says that the log was closed and nothing was written since.
inline constexpr std::string_view kCleanCheckpointFile = "checkpoint.clean";
inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kBindSuffix = ".bind";
inline constexpr std::string_view kIndexSuffix = ".index";
inline constexpr std::string_view kTimeIndexSuffix = ".timeindex";

// "<20-digit base offset><suffix>", and back: nullopt for any other name.
std::string SegmentFileName(Offset base, std::string_view suffix);
std::optional<Offset> ParseSegmentFileName(std::string_view name, std::string_view suffix);

// A file whose handle is opened at need and may be closed between two operations, so that many logs
// share few descriptors. Thread-safe. A failed sync is reported to whoever holds the file open or
// opens it next (Linux keeps the error on the inode), so closing in between hides nothing.
class PooledFile : public File {
 public:
  PooledFile(FileSystem& fs, std::string path);

  // Creates the file when it is missing and empties it when it isn't.
  absl::Status Create();

  using File::WriteAt;
  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) override;
  absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) override;
  absl::Status SyncData() override;
  absl::Status Truncate(uint64_t size) override;
  absl::Status Allocate(uint64_t size) override;
  absl::StatusOr<uint64_t> Size() override;
  void StartWriteback(uint64_t position, uint64_t length) override;

  // Closes the handle as soon as nobody uses it.
  void Release() { slot_.Clear(); }
  const std::string& path() const { return path_; }

 private:
  absl::StatusOr<std::shared_ptr<File>> Acquire(OpenMode mode);

  FileSystem& fs_;
  const std::string path_;
  CacheSlot slot_;
};

// Shared by the log and its jobs. Thread-safe.
struct SegmentFiles {
  SegmentFiles(FileSystem& file_system, const std::string& directory, Offset base_offset);

  FileSystem& fs;
  const std::string directory;
  const Offset base;
  PooledFile log;
  PooledFile bind;
  CacheSlot index;  // of a finished segment: shared_ptr<const SparseIndex>, loaded at need

  std::string PathOf(std::string_view suffix) const;
};

// A finished segment's index: from memory, from its files, or rebuilt from the log's headers (and
// written again if that succeeds) when they are missing or damaged. Blocking.
absl::StatusOr<std::shared_ptr<const SparseIndex>> LoadSegmentIndex(SegmentFiles& files,
                                                                    uint64_t segment_bytes,
                                                                    int64_t interval);
// Writes `.index` and `.timeindex`.
absl::Status WriteSegmentIndex(const SegmentFiles& files, const SparseIndex& index);

// What the log knows of a segment. Owned by the shard.
struct Segment {
  Offset base{0};
  Offset end{0};         // next offset after its last batch
  uint64_t bytes = 0;    // of its log file
  uint64_t batches = 0;  // entries of the bind file
  TimestampMs max_timestamp = kNoTimestamp;
  TimestampMs created{0};   // by our clock: when its first batch was appended
  TimestampMs appended{0};  // by our clock: when its last batch was appended
  bool finished = false;    // sealed, synced, its index on disk and not in memory
  SparseIndex index;        // of a segment that isn't finished
  std::shared_ptr<SegmentFiles> files;

  IndexEntry Begin() const { return {base, 0, 0, kNoTimestamp}; }
};

}  // namespace catamaran::storage
