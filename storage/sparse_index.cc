#include "storage/sparse_index.h"

#include <algorithm>

#include "base/error.h"
#include "base/varint.h"

namespace catamaran::storage {
namespace {

constexpr size_t kOffsetEntryBytes = 24;  // offset i64, position u64, ordinal u64
constexpr size_t kTimeEntryBytes = 16;    // timestamp i64, offset i64

}  // namespace

void SparseIndex::MaybeAdd(const IndexEntry& entry, int64_t interval) {
  const uint64_t last = entries_.empty() ? 0 : entries_.back().position;
  if (entry.position < last + static_cast<uint64_t>(std::max<int64_t>(interval, 1))) return;
  entries_.push_back(entry);
}

IndexEntry SparseIndex::FloorOffset(Offset offset, const IndexEntry& segment_begin) const {
  auto next = std::upper_bound(entries_.begin(), entries_.end(), offset,
                               [](Offset o, const IndexEntry& e) { return o < e.offset; });
  return next == entries_.begin() ? segment_begin : *std::prev(next);
}

IndexEntry SparseIndex::FloorTimestamp(TimestampMs timestamp,
                                       const IndexEntry& segment_begin) const {
  auto next = std::lower_bound(
      entries_.begin(), entries_.end(), timestamp,
      [](const IndexEntry& e, TimestampMs t) { return e.max_timestamp_before < t; });
  return next == entries_.begin() ? segment_begin : *std::prev(next);
}

void SparseIndex::TrimBack(uint64_t position) {
  while (!entries_.empty() && entries_.back().position >= position) entries_.pop_back();
}

std::string SparseIndex::EncodeOffsets() const {
  std::string out;
  out.reserve(entries_.size() * kOffsetEntryBytes);
  for (const IndexEntry& entry : entries_) {
    AppendBigEndian<int64_t>(&out, entry.offset.value());
    AppendBigEndian<uint64_t>(&out, entry.position);
    AppendBigEndian<uint64_t>(&out, entry.ordinal);
  }
  return out;
}

std::string SparseIndex::EncodeTimes() const {
  std::string out;
  out.reserve(entries_.size() * kTimeEntryBytes);
  for (const IndexEntry& entry : entries_) {
    AppendBigEndian<int64_t>(&out, entry.max_timestamp_before.value());
    AppendBigEndian<int64_t>(&out, entry.offset.value());
  }
  return out;
}

absl::StatusOr<SparseIndex> SparseIndex::Decode(std::string_view offsets, std::string_view times,
                                                Offset base, uint64_t segment_bytes) {
  const auto malformed = [] { return MakeError(Reason::kCorruptLog, "The index is malformed."); };
  const size_t count = offsets.size() / kOffsetEntryBytes;
  if (offsets.size() % kOffsetEntryBytes != 0 || times.size() != count * kTimeEntryBytes) {
    return malformed();
  }
  SparseIndex index;
  index.entries_.reserve(count);
  IndexEntry previous{base, 0, 0, kNoTimestamp};
  for (size_t i = 0; i < count; ++i) {
    const char* o = offsets.data() + i * kOffsetEntryBytes;
    const char* t = times.data() + i * kTimeEntryBytes;
    IndexEntry entry{Offset(LoadBigEndian<int64_t>(o)), LoadBigEndian<uint64_t>(o + 8),
                     LoadBigEndian<uint64_t>(o + 16), TimestampMs(LoadBigEndian<int64_t>(t))};
    if (entry.offset <= previous.offset || entry.position <= previous.position ||
        entry.ordinal <= previous.ordinal ||
        entry.max_timestamp_before < previous.max_timestamp_before ||
        entry.position >= segment_bytes || entry.offset != Offset(LoadBigEndian<int64_t>(t + 8))) {
      return malformed();
    }
    index.entries_.push_back(entry);
    previous = entry;
  }
  return index;
}

}  // namespace catamaran::storage
