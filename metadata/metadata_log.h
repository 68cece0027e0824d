// Where metadata records are made durable and come from at a start. One broker keeps them in a
// local file (LocalMetadataLog); a Raft log takes its place behind the same interface.
//
// What is appended is a list of batches; a batch takes effect whole or not at all.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "metadata/replay.h"

namespace catamaran::metadata {

struct RecordBatch {
  MetadataRevision first{1};  // of the first record; the others follow without gaps
  std::vector<Record> records;
};

struct LogContents {
  // The newest snapshot's records; revision 0 when there is none.
  MetadataRevision snapshot_revision{0};
  std::vector<Record> snapshot;
  // Everything after it, in order.
  std::vector<RecordBatch> batches;
  // True when the tail of an append that a crash cut was dropped.
  bool tail_was_cut = false;
};

// Owned by one executor, which every `done` is posted to. At most one Append and one WriteSnapshot
// in flight (a snapshot while an append runs is fine).
class MetadataLog {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  virtual ~MetadataLog() = default;

  // Blocking; once, before anything else. kCorruptLog when something other than the tail is
  // damaged.
  virtual absl::StatusOr<LogContents> Open() = 0;

  // OK: durable, all of them. kStorageFailed: latched; nobody knows what is on disk until the log
  // is opened again, and every later call is refused. Any other error (kStorageFull): undone, may
  // be tried again.
  virtual void Append(std::vector<RecordBatch> batches, Done done) = 0;

  // Replaces everything up to `revision`, which is the last one appended. Called while no append is
  // in flight; appends may follow while it runs. A failed snapshot changes nothing that Open()
  // returns.
  virtual void WriteSnapshot(MetadataRevision revision, std::vector<Record> records, Done done) = 0;

  // Bytes that were appended since the last snapshot: when to write the next.
  virtual uint64_t bytes_since_snapshot() const = 0;
};

// `records`, between a begin and an end record when they're too many for one entry.
std::vector<Record> WrapLargeBatch(std::vector<Record> records);

// The largest entry, payload alone; a larger batch is parted into entries between begin and end
// records.
inline constexpr size_t kMetadataEntryBytesMax = 1 << 20;
// The largest record; larger ones are refused before they are decided on (the controller's limits).
inline constexpr size_t kMetadataRecordBytesMax = 512 << 10;
static_assert(kMetadataRecordBytesMax * 2 <= kMetadataEntryBytesMax);
// A file larger than this isn't ours.
inline constexpr uint64_t kMetadataFileBytesMax = uint64_t{1} << 30;

// Files in `directory` (created when missing): `snapshot`, written atomically, and `log-<first
// revision>` files of CRC-framed entries; docs/formats.md has the bytes. A snapshot begins a new
// log file. `fs`, `pool` and `executor` must outlive it.
std::unique_ptr<MetadataLog> MakeLocalMetadataLog(FileSystem& fs, std::string directory,
                                                  IoPool& pool, Executor& executor);

}  // namespace catamaran::metadata
