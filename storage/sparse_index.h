// Where in a segment's file to begin looking for an offset or a timestamp. Sparse: one entry per
// index interval. Always rebuildable from the log (invariants.md S5): a hint, checked by its
// reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace catamaran::storage {

struct IndexEntry {
  Offset offset{0};       // base offset of the batch at `position`
  uint64_t position = 0;  // in the segment's log file
  uint64_t ordinal = 0;   // number of batches before it in the segment: its place in the bind file
  TimestampMs max_timestamp_before = kNoTimestamp;  // largest of all batches before it
  bool operator==(const IndexEntry&) const = default;
};

// Invariant: offsets, positions and ordinals rise strictly; max_timestamp_before never falls. The
// beginning of the segment needs no entry.
class SparseIndex {
 public:
  // Adds an entry for a batch unless the last one is less than `interval` bytes before it.
  void MaybeAdd(const IndexEntry& entry, int64_t interval);
  // The last entry at or before `offset`; `segment_begin` when there is none.
  IndexEntry FloorOffset(Offset offset, const IndexEntry& segment_begin) const;
  // The last entry before which every batch is older than `timestamp`.
  IndexEntry FloorTimestamp(TimestampMs timestamp, const IndexEntry& segment_begin) const;
  // Drops entries at or past `position`.
  void TrimBack(uint64_t position);
  void Clear() {
    entries_.clear();
    entries_.shrink_to_fit();
  }

  const std::vector<IndexEntry>& entries() const { return entries_; }
  size_t memory_bytes() const { return entries_.capacity() * sizeof(IndexEntry); }

  // Bodies of `.index` and `.timeindex`.
  std::string EncodeOffsets() const;
  std::string EncodeTimes() const;
  // kCorruptLog when they are malformed, don't rise, don't belong together or point outside a
  // segment of `segment_bytes` that begins at `base`.
  static absl::StatusOr<SparseIndex> Decode(std::string_view offsets, std::string_view times,
                                            Offset base, uint64_t segment_bytes);

 private:
  std::vector<IndexEntry> entries_;
};

}  // namespace catamaran::storage
