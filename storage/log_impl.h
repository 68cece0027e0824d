// The insides of PartitionLog, shared by the files that implement it.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/mutex.h"
#include "storage/cache_pool.h"
#include "storage/log_state.h"
#include "storage/partition_log.h"
#include "storage/producer_state.h"
#include "storage/segment.h"

namespace catamaran::storage {

// Synced data that isn't below the recovery point yet; past this much, maintenance moves the point,
// so that a start after a crash reads little.
inline constexpr uint64_t kRecoveryBytesMax = 64u << 20;
// Part of TailPool that one log may use.
inline constexpr size_t kTailCacheBytesPerLogMax = 4u << 20;
// How often a log looks for producers to forget.
inline constexpr int64_t kProducerExpiryCheckMs = 600'000;

// Recent batches of a log, so that a reader who keeps up needs no disk. Contiguous; owned by the
// shard, held by TailPool, which may drop it at any time.
struct TailCache {
  struct Entry {
    Offset base{0};
    Offset next{0};
    Buffer bytes;
  };
  std::deque<Entry> entries;
  size_t bytes = 0;
};

struct WriteJob::State {
  // Consecutive batches that go to one segment.
  struct Extent {
    std::shared_ptr<SegmentFiles> files;
    bool create = false;
    uint64_t position = 0;  // in the log file
    uint64_t bytes = 0;
    std::vector<std::string_view> parts;  // into `batches`
    uint64_t bind_position = 0;
    std::string bind;
  };
  struct Batch {
    BatchHeader header;
    Buffer bytes;
    size_t extent = 0;
  };

  FileSystem* fs = nullptr;
  std::string directory;
  TopicPartitionId partition;
  bool create_directory = false;
  bool unmark_clean = false;
  std::vector<Batch> batches;
  std::vector<Extent> extents;
  ProducerOverlay producers;
  TimestampMs now{0};
  absl::Status status;

  // Progress of Run(), for its undoing.
  size_t extents_begun = 0;
  bool unmarked = false;  // the clean mark is gone from the disk

  absl::Status Write();
  absl::Status WriteExtent(Extent& extent);
  absl::Status PrepareDirectory();
  absl::Status Undo();
};

struct ReadJob::State {
  // From memory.
  bool in_memory = false;
  ReadResult result;
  // From disk.
  TopicPartitionId partition;
  std::shared_ptr<SegmentFiles> files;
  bool use_segment_index = false;  // a finished segment: `begin` isn't known yet
  IndexEntry begin;
  uint64_t segment_bytes = 0;
  int64_t index_interval = 0;
  Offset from{0};
  Offset limit{0};
  size_t max_bytes = 0;
};

struct MaintenanceJob::State {
  enum class Kind : uint8_t { kCheckpoint, kMoveLogStart, kTruncate, kClose, kDelete };
  Kind kind = Kind::kCheckpoint;
  FileSystem* fs = nullptr;
  LogIdentity identity;
  LogConfig config;
  TimestampMs now{0};
  // One job of a log runs at a time, however they were handed to threads.
  std::shared_ptr<Mutex> running;
  absl::Status status;

  // kCheckpoint, kClose: files to sync, indexes to write, then the checkpoint.
  std::vector<std::shared_ptr<SegmentFiles>> to_sync;
  std::vector<std::pair<std::shared_ptr<SegmentFiles>, SparseIndex>> indexes;
  std::string checkpoint;
  Offset end{0};               // also kTruncate
  uint64_t covered_bytes = 0;  // of Impl::unchecked_bytes when the job was taken

  // kMoveLogStart: the new start, then segments that end at or before it.
  bool move_log_start = false;
  Offset log_start{0};
  std::vector<std::shared_ptr<SegmentFiles>> to_remove;
  bool directory_ready = true;

  // kTruncate.
  std::optional<LogState> reloaded;

  absl::Status RunCheckpoint(std::string_view name);
  absl::Status RunMoveLogStart();
  absl::Status RunTruncate();
  absl::Status RunDelete();
};

struct PartitionLog::Impl {
  Impl(FileSystem& file_system, LogIdentity log_identity, LogConfig log_config, LogState log_state)
      : fs(file_system),
        identity(std::move(log_identity)),
        config(log_config),
        state(std::move(log_state)),
        maintenance_running(std::make_shared<Mutex>()),
        tail(TailPool()) {}

  FileSystem& fs;
  const LogIdentity identity;
  LogConfig config;
  LogState state;
  absl::Status health;
  bool write_in_flight = false;
  bool maintenance_in_flight = false;
  bool closed = false;
  bool checkpoint_refused = false;  // the last one met a full disk
  bool roll_pending = false;        // the last segment takes no more batches
  TimestampMs producers_checked{0};
  uint64_t unchecked_bytes = 0;  // appended since the recovery point last moved
  const std::shared_ptr<Mutex> maintenance_running;
  CacheSlot tail;

  void Latch(const absl::Status& status) {
    if (health.ok()) health = status;
  }
  // First segment whose end is past `offset`; segments.size() when none.
  size_t SegmentOf(Offset offset) const;
  bool ReadFromTail(Offset from, size_t max_bytes, Offset limit, ReadResult* result);
  void AddToTail(std::vector<WriteJob::State::Batch>& batches);
  std::unique_ptr<MaintenanceJob::State> NewMaintenance(MaintenanceJob::State::Kind kind);
  void FillCheckpoint(MaintenanceJob::State* job);
  void MoveLogStart(Offset start, MaintenanceJob::State* job);
};

// `status` with a sentence for the user; keeps kStorageFull, turns all else into kStorageFailed.
absl::Status StorageError(const absl::Status& status, std::string_view doing);

}  // namespace catamaran::storage
