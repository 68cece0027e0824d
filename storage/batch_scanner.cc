#include "storage/batch_scanner.h"

#include <algorithm>

#include "base/error.h"

namespace catamaran::storage {

BatchScanner::BatchScanner(File& file, uint64_t position, uint64_t end, Check check,
                           size_t window_bytes)
    : file_(file),
      end_(end),
      check_(check),
      window_bytes_(window_bytes),
      position_(position),
      next_(position) {}

absl::StatusOr<std::string_view> BatchScanner::Peek(uint64_t position, size_t length) {
  if (position >= end_) return std::string_view();
  length = static_cast<size_t>(std::min<uint64_t>(length, end_ - position));
  const bool inside = window_length_ > 0 && position >= window_position_ &&
                      position + length <= window_position_ + window_length_;
  if (!inside) {
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(std::max(length, window_bytes_), end_ - position));
    if (wanted > window_capacity_) {
      window_.reset(new char[wanted]);
      window_capacity_ = wanted;
    }
    window_length_ = 0;
    CATAMARAN_ASSIGN_OR_RETURN(const size_t got, file_.ReadAt(position, window_.get(), wanted));
    window_position_ = position;
    window_length_ = got;
    length = std::min(length, got);
  }
  return std::string_view(window_.get() + (position - window_position_), length);
}

absl::StatusOr<BatchScanner::Step> BatchScanner::Next() {
  position_ = next_;
  if (position_ >= end_) return Step::kEnd;
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view head, Peek(position_, kBatchHeaderBytes));
  absl::StatusOr<BatchHeader> header = ParseBatchHeader(head);
  if (!header.ok() || position_ + header->size_bytes() > end_) return Step::kBad;
  header_ = *header;
  if (check_ == Check::kCrc) {
    CATAMARAN_ASSIGN_OR_RETURN(bytes_, Peek(position_, header_.size_bytes()));
    if (bytes_.size() != header_.size_bytes() || !BatchCrcMatches(bytes_)) return Step::kBad;
  }
  if (header_.last_offset_delta < 0 || header_.base_offset.value() < 0) return Step::kBad;
  next_ = position_ + header_.size_bytes();
  return Step::kBatch;
}

}  // namespace catamaran::storage
