// Which leader epoch wrote which offsets: the answer to "where did epoch e end?" (KIP-101,
// KIP-279).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/varint.h"
#include "storage/partition_log.h"

namespace catamaran::storage {

// Invariant: epochs and start offsets both rise strictly. Owned by the shard.
class EpochHistory {
 public:
  // The batch at `base_offset` has `epoch`; nothing happens unless it begins a new epoch.
  void Assign(LeaderEpoch epoch, Offset base_offset);
  // The log begins at `log_start` now: epochs that ended before are dropped and the first one
  // starts there, as a scan of what is left would say.
  void TrimFront(Offset log_start);
  // The log ends at `end` now.
  void TrimBack(Offset end);

  LeaderEpoch last_epoch() const {
    return entries_.empty() ? kNoLeaderEpoch : entries_.back().epoch;
  }
  // The largest epoch <= `epoch` and its end offset; kNoLeaderEpoch and `log_start` when there is
  // none.
  EpochStart EndOf(LeaderEpoch epoch, Offset log_start, Offset log_end) const;
  const std::vector<EpochStart>& entries() const { return entries_; }

  void EncodeTo(std::string* out) const;
  // kCorruptLog when malformed or not rising.
  static absl::StatusOr<EpochHistory> DecodeFrom(ByteReader* reader);

 private:
  std::vector<EpochStart> entries_;
};

}  // namespace catamaran::storage
