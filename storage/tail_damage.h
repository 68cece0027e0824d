// Past the recovery point a place was found where no batch begins although one is expected: is it
// the torn tail of a crash, or damage?
//
// A power cut may have lost any sectors that weren't synced, so valid batches may well follow a
// hole. A later batch that is bound to its place therefore convicts in two cases: its bind entry
// says that the bad place had been synced when it was written; or nothing at the bad place looks
// like lost sectors, which read as zeroes since a log file only grows. Otherwise it's a hole in
// unsynced data.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/binding.h"
#include "storage/segment.h"

namespace catamaran::storage {

// A segment of the tail, on disk.
struct TailSegment {
  SegmentFiles* files = nullptr;
  uint64_t log_size = 0;
  std::vector<BindEntry> bind;  // what its bind file has, garbage and all, past the recovery point
};

// `tail[0]` has the bad place at `position`, where the batch at `expected` should begin. True:
// damage.
absl::StatusOr<bool> IsTailDamaged(const TopicPartitionId& partition,
                                   const std::vector<TailSegment>& tail, uint64_t position,
                                   Offset expected);

// Whether [position, end of file) is all zeroes.
absl::StatusOr<bool> IsZeroToEnd(File& file, uint64_t position, uint64_t size);

}  // namespace catamaran::storage
