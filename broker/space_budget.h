// What producers may still write before the disk's reserve begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "base/file_system.h"
#include "base/mutex.h"

namespace catamaran::broker {

// The free space is asked for now and then; in between, every batch takes its bytes from what was
// found, so that producers can't run into the reserve however fast they are. Thread-safe.
class SpaceBudget {
 public:
  // `reserve` 0: nothing is ever refused ahead of the disk itself.
  explicit SpaceBudget(uint64_t reserve) : reserve_(reserve) {}

  // False when there is no room for `bytes` until the next refill.
  bool Take(int64_t bytes) {
    if (reserve_ == 0) return true;
    if (left_.load(std::memory_order_relaxed) < bytes) {
      full_.store(true, std::memory_order_relaxed);
      return false;
    }
    left_.fetch_sub(bytes, std::memory_order_relaxed);
    return true;
  }

  // `space` was found just now. What was taken since the last refill may not be written yet, so it
  // is held back once more: near the reserve, producers are refused a little early.
  void Refill(const FreeSpace& space) {
    MutexLock lock(&mu_);
    space_ = space;
    const int64_t taken = granted_ - left_.load(std::memory_order_relaxed);
    const int64_t room =
        static_cast<int64_t>(space.free_bytes) - static_cast<int64_t>(reserve_) - taken;
    granted_ = room;
    left_.store(room, std::memory_order_relaxed);
    full_.store(reserve_ > 0 && room <= 0, std::memory_order_relaxed);
  }

  // Whether produce requests are refused, or one was since the last refill.
  bool full() const { return full_.load(std::memory_order_relaxed); }
  // As found by the last refill; zeroes before the first.
  FreeSpace space() {
    MutexLock lock(&mu_);
    return space_;
  }

 private:
  static constexpr int64_t kUnknownYet = std::numeric_limits<int64_t>::max() / 2;

  const uint64_t reserve_;
  std::atomic<int64_t> left_{kUnknownYet};
  std::atomic<bool> full_{false};
  Mutex mu_;
  int64_t granted_ ABSL_GUARDED_BY(mu_) = kUnknownYet;
  FreeSpace space_ ABSL_GUARDED_BY(mu_);
};

}  // namespace catamaran::broker
