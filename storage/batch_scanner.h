// Walks the batches of a segment file from front to back.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/file_system.h"

namespace catamaran::storage {

inline constexpr size_t kScanWindowBytes = 1u << 20;

// Blocking. One owner; the file must outlive it.
class BatchScanner {
 public:
  enum class Check : uint8_t { kHeader, kCrc };
  enum class Step : uint8_t {
    kBatch,  // header(), bytes() and position() describe it
    kEnd,    // position() is the end
    kBad,    // at position() no whole intact batch begins
  };

  BatchScanner(File& file, uint64_t position, uint64_t end, Check check,
               size_t window_bytes = kScanWindowBytes);

  // Errors are those of the file; damage is a Step.
  absl::StatusOr<Step> Next();

  const BatchHeader& header() const { return header_; }
  std::string_view bytes() const { return bytes_; }  // until the next call; kCrc only
  uint64_t position() const { return position_; }    // of the current batch

  // Up to `length` bytes at `position`; valid until the next call of either.
  absl::StatusOr<std::string_view> Peek(uint64_t position, size_t length);
  // Goes on at `position`.
  void Seek(uint64_t position) {
    position_ = position;
    next_ = position;
  }

 private:
  File& file_;
  const uint64_t end_;
  const Check check_;
  const size_t window_bytes_;
  uint64_t position_;
  uint64_t next_;
  BatchHeader header_;
  std::string_view bytes_;
  // The window: file bytes [window_position_, + window_length_).
  std::unique_ptr<char[]> window_;
  size_t window_capacity_ = 0;
  uint64_t window_position_ = 0;
  size_t window_length_ = 0;
};

}  // namespace catamaran::storage
