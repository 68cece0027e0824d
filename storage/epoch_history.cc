#include "storage/epoch_history.h"

#include <algorithm>

#include "base/error.h"

namespace catamaran::storage {

void EpochHistory::Assign(LeaderEpoch epoch, Offset base_offset) {
  if (epoch <= last_epoch()) return;
  // An epoch of which no record is left: the log start was moved to its end.
  TrimBack(base_offset);
  entries_.push_back({epoch, base_offset});
}

void EpochHistory::TrimFront(Offset log_start) {
  while (entries_.size() > 1 && entries_[1].start_offset <= log_start) {
    entries_.erase(entries_.begin());
  }
  if (!entries_.empty()) {
    entries_.front().start_offset = std::max(entries_.front().start_offset, log_start);
  }
}

void EpochHistory::TrimBack(Offset end) {
  while (!entries_.empty() && entries_.back().start_offset >= end) entries_.pop_back();
}

EpochStart EpochHistory::EndOf(LeaderEpoch epoch, Offset log_start, Offset log_end) const {
  auto next = std::upper_bound(entries_.begin(), entries_.end(), epoch,
                               [](LeaderEpoch e, const EpochStart& s) { return e < s.epoch; });
  if (next == entries_.begin()) return {kNoLeaderEpoch, log_start};
  const Offset end = next == entries_.end() ? log_end : next->start_offset;
  return {std::prev(next)->epoch, end};
}

void EpochHistory::EncodeTo(std::string* out) const {
  AppendBigEndian<uint32_t>(out, static_cast<uint32_t>(entries_.size()));
  for (const EpochStart& entry : entries_) {
    AppendBigEndian<int32_t>(out, entry.epoch.value());
    AppendBigEndian<int64_t>(out, entry.start_offset.value());
  }
}

absl::StatusOr<EpochHistory> EpochHistory::DecodeFrom(ByteReader* reader) {
  constexpr size_t kEntryBytes = 12;
  EpochHistory history;
  const auto count = reader->ReadBigEndian<uint32_t>();
  if (!reader->ok() || count > reader->remaining() / kEntryBytes) {
    return MakeError(Reason::kCorruptLog, "The leader epochs are cut short.");
  }
  for (uint32_t i = 0; i < count; ++i) {
    const LeaderEpoch epoch(reader->ReadBigEndian<int32_t>());
    const Offset start(reader->ReadBigEndian<int64_t>());
    const bool rises = history.entries_.empty() ? epoch.value() >= 0 && start.value() >= 0
                                                : epoch > history.entries_.back().epoch &&
                                                      start > history.entries_.back().start_offset;
    if (!rises) return MakeError(Reason::kCorruptLog, "The leader epochs don't rise.");
    history.entries_.push_back({epoch, start});
  }
  return history;
}

}  // namespace catamaran::storage
