// How much of the logs may lie in memory between the disk and the answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "storage/partition_log.h"

namespace catamaran::broker {

// A shard reads as fast as the disk gives, and answers as fast as it can encode; without a bound,
// what many calls asked for at once would lie in memory together. So each read holds credits for
// what it may bring, and what it brought holds them until the last reference to the bytes is gone.
// Credits may end on any thread; the rest is its shard's.
class ReadWindow {
 public:
  using Credit = std::shared_ptr<const void>;

  explicit ReadWindow(int64_t bytes_max) : bytes_max_(bytes_max) {}

  // One read always fits, or one larger than the window would never start.
  bool Fits(int64_t bytes) const {
    const int64_t held = held_->load(std::memory_order_relaxed);
    return held == 0 || held + bytes <= bytes_max_;
  }
  Credit Take(int64_t bytes) {
    held_->fetch_add(bytes, std::memory_order_relaxed);
    return Credit(held_.get(), [held = held_, bytes](const void*) {
      held->fetch_sub(bytes, std::memory_order_relaxed);
    });
  }
  // Ties the bytes that a read brought to a credit of their own.
  void Hold(storage::ReadResult* result) {
    const Credit credit = Take(static_cast<int64_t>(result->bytes));
    for (Buffer& run : result->batches_runs) {
      run = Buffer::Wrap(
          run.view(),
          std::make_shared<std::pair<std::shared_ptr<const void>, Credit>>(run.owner(), credit));
    }
  }

 private:
  const int64_t bytes_max_;
  const std::shared_ptr<std::atomic<int64_t>> held_ = std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace catamaran::broker
