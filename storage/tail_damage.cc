#include "storage/tail_damage.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"
#include "storage/batch_scanner.h"

namespace catamaran::storage {
namespace {

constexpr uint64_t kLostUnitBytes = 512;  // what a disk writes atomically
// Offsets and length of a header: never all zero in a written batch.
constexpr size_t kTellingBytes = 12;
// No codec squeezes more records than this into a byte.
constexpr int64_t kRecordsPerByteMax = 2048;
constexpr size_t kMagicPosition = 16;
constexpr size_t kCoveredPosition = 21;  // what the checksum covers begins here

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

using BindMap = absl::flat_hash_map<Offset, BindEntry>;

BindMap MapOf(const std::vector<BindEntry>& entries) {
  BindMap map;
  for (const BindEntry& entry : entries) map[entry.base_offset] = entry;
  return map;
}

struct Found {
  uint64_t position = 0;
  uint64_t next = 0;
  const BindEntry* entry = nullptr;  // when the batch is bound to its place
};

// Looks through one segment for valid batches past a bad place.
class Searcher {
 public:
  Searcher(const TopicPartitionId& partition, const TailSegment& segment, Offset expected)
      : partition_(partition),
        size_(segment.log_size),
        expected_(expected),
        bind_(MapOf(segment.bind)),
        scanner_(segment.files->log, 0, segment.log_size, BatchScanner::Check::kCrc) {}

  // The first valid batch at or past `from`.
  absl::StatusOr<std::optional<Found>> Next(uint64_t from) {
    for (uint64_t position = from; position + kBatchHeaderBytes <= size_;) {
      CATAMARAN_ASSIGN_OR_RETURN(const std::string_view window,
                                 scanner_.Peek(position, kScanWindowBytes));
      if (window.size() < kBatchHeaderBytes) break;
      const size_t starts = window.size() - kBatchHeaderBytes + 1;
      // Filter before Try(), which moves the window.
      size_t i = 0;
      while (i < starts && !IsCandidate(window.substr(i), position + i)) ++i;
      position += i;
      if (i == starts) continue;
      CATAMARAN_ASSIGN_OR_RETURN(std::optional<Found> found, Try(position));
      if (found.has_value()) return found;
      ++position;
    }
    return std::nullopt;
  }

 private:
  bool IsCandidate(std::string_view at, uint64_t position) const {
    if (at[kMagicPosition] != kBatchMagic) return false;
    const absl::StatusOr<BatchHeader> header = ParseBatchHeader(at);
    if (!header.ok() || position + header->size_bytes() > size_) return false;
    return header->base_offset > expected_ && header->last_offset_delta >= 0 &&
           header->base_offset - expected_ <=
               static_cast<int64_t>(size_ + kBatchBytesLimit) * kRecordsPerByteMax;
  }

  absl::StatusOr<std::optional<Found>> Try(uint64_t position) {
    scanner_.Seek(position);
    CATAMARAN_ASSIGN_OR_RETURN(const auto step, scanner_.Next());
    if (step != BatchScanner::Step::kBatch) return std::nullopt;
    const BatchHeader& header = scanner_.header();
    Found found{position, position + header.size_bytes(), nullptr};
    if (auto it = bind_.find(header.base_offset);
        it != bind_.end() && BindEntryMatches(it->second, partition_, header)) {
      found.entry = &it->second;
    }
    return found;
  }

  const TopicPartitionId& partition_;
  const uint64_t size_;
  const Offset expected_;
  const BindMap bind_;
  BatchScanner scanner_;
};

// Whether a unit of [position, end) reads like one that never reached the disk.
absl::StatusOr<bool> HasLostUnit(File& file, uint64_t position, uint64_t end, uint64_t size,
                                 Offset expected) {
  BatchScanner reader(file, 0, size, BatchScanner::Check::kHeader);
  for (uint64_t at = position; at < end;) {
    const uint64_t unit_end = std::min((at / kLostUnitBytes + 1) * kLostUnitBytes, size);
    CATAMARAN_ASSIGN_OR_RETURN(const std::string_view unit,
                               reader.Peek(at, static_cast<size_t>(unit_end - at)));
    if (AllZero(unit)) {
      char offset[8];
      StoreBigEndian<int64_t>(offset, expected.value());
      const size_t head = std::min(unit.size(), sizeof(offset));
      const bool telling = at != position || unit.size() >= kTellingBytes ||
                           !AllZero(std::string_view(offset, head)) || unit_end == size;
      if (telling) return true;
    }
    at = unit_end;
  }
  return false;
}

}  // namespace

absl::StatusOr<bool> IsZeroToEnd(File& file, uint64_t position, uint64_t size) {
  BatchScanner reader(file, 0, size, BatchScanner::Check::kHeader);
  while (position < size) {
    CATAMARAN_ASSIGN_OR_RETURN(const std::string_view bytes,
                               reader.Peek(position, kScanWindowBytes));
    if (bytes.empty()) return true;  // the file is shorter than it was: nothing there
    if (!AllZero(bytes)) return false;
    position += bytes.size();
  }
  return true;
}

// The batch that should begin at the bad place, as far as it can be believed.
class BadBatch {
 public:
  // Reads what is there.
  static absl::StatusOr<BadBatch> Read(SegmentFiles& files, uint64_t position, uint64_t size,
                                       Offset expected) {
    BadBatch bad(files.log, position, size);
    CATAMARAN_ASSIGN_OR_RETURN(const std::string_view head,
                               bad.reader_->Peek(position, kBatchHeaderBytes));
    if (auto header = ParseBatchHeader(head); header.ok() && header->base_offset == expected) {
      bad.extent_end_ = position + header->size_bytes();
      bad.crc_ = header->crc;
    }
    return bad;
  }

  // Past the end that its header declares; its beginning when the header can't be believed.
  uint64_t extent_end() const { return extent_end_; }

  // Whether its checksum holds if it ends at `end`: then only its length is wrong. `end` rises.
  absl::StatusOr<bool> EndsAt(uint64_t end) {
    while (summed_to_ < end) {
      const size_t length =
          static_cast<size_t>(std::min<uint64_t>(end - summed_to_, kScanWindowBytes));
      CATAMARAN_ASSIGN_OR_RETURN(const std::string_view bytes, reader_->Peek(summed_to_, length));
      if (bytes.empty()) return false;
      sum_ = ExtendCrc32c(sum_, bytes);
      summed_to_ += bytes.size();
    }
    return summed_to_ == end && sum_ == crc_;
  }

 private:
  BadBatch(File& file, uint64_t position, uint64_t size)
      : reader_(std::make_unique<BatchScanner>(file, 0, size, BatchScanner::Check::kHeader)),
        extent_end_(position),
        summed_to_(position + kCoveredPosition) {}

  std::unique_ptr<BatchScanner> reader_;
  uint64_t extent_end_;
  uint32_t crc_ = 0;
  uint64_t summed_to_;
  uint32_t sum_ = 0;
};

absl::StatusOr<bool> IsTailDamaged(const TopicPartitionId& partition,
                                   const std::vector<TailSegment>& tail, uint64_t position,
                                   Offset expected) {
  CATAMARAN_ASSIGN_OR_RETURN(BadBatch bad,
                             BadBatch::Read(*tail[0].files, position, tail[0].log_size, expected));
  std::optional<uint64_t> first_here;
  bool found_any = false;
  for (size_t i = 0; i < tail.size(); ++i) {
    Searcher searcher(partition, tail[i], expected);
    uint64_t from = i == 0 ? position + 1 : 0;
    while (true) {
      CATAMARAN_ASSIGN_OR_RETURN(const auto found, searcher.Next(from));
      if (!found.has_value()) break;
      if (i == 0 && found->entry == nullptr && found->position < bad.extent_end()) {
        // Perhaps a batch that somebody stored as a record's value, unless the bad one ends there.
        CATAMARAN_ASSIGN_OR_RETURN(const bool follows, bad.EndsAt(found->position));
        if (!follows) {
          from = found->position + 1;
          continue;
        }
      }
      if (found->entry != nullptr && found->entry->synced_end > expected) return true;
      if (i == 0 && !first_here.has_value()) first_here = found->position;
      found_any = true;
      from = found->next;
    }
  }
  if (!found_any) return false;
  // A segment that is too short has lost its end.
  if (position + kBatchHeaderBytes > tail[0].log_size) return false;
  CATAMARAN_ASSIGN_OR_RETURN(const bool lost, HasLostUnit(tail[0].files->log, position,
                                                          first_here.value_or(tail[0].log_size),
                                                          tail[0].log_size, expected));
  if (lost) return false;
  // Nothing follows in this segment, and what its last batch declares is cut off: the same.
  return first_here.has_value() || bad.extent_end() <= tail[0].log_size;
}

}  // namespace catamaran::storage
