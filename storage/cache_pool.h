// A process-wide bound on something that many logs hold and any of them can do without: open file
// handles, loaded indexes, recent batches. The pool evicts the least recently used.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace catamaran::storage {

class CacheSlot;

// Thread-safe. Must outlive its slots.
class CachePool {
 public:
  explicit CachePool(size_t capacity) : capacity_(capacity) {}

  // Evicts at once when lowered.
  void SetCapacity(size_t capacity);
  size_t capacity() const;
  size_t used() const;

 private:
  friend class CacheSlot;

  // Moves what no longer fits out, so that it is destroyed after the lock is released.
  void EvictLocked(std::vector<std::shared_ptr<void>>* evicted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveLocked(CacheSlot* slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  size_t capacity_ ABSL_GUARDED_BY(mu_);
  size_t used_ ABSL_GUARDED_BY(mu_) = 0;
  std::list<CacheSlot*> recent_ ABSL_GUARDED_BY(mu_);  // the most recently used first
};

// One thing that may be in the pool. Thread-safe; not movable, since the pool points at it.
class CacheSlot {
 public:
  explicit CacheSlot(CachePool& pool) : pool_(pool) {}
  ~CacheSlot() { Clear(); }
  CacheSlot(const CacheSlot&) = delete;
  CacheSlot& operator=(const CacheSlot&) = delete;

  // Null when never put or evicted since. Marks the slot as used.
  template <class T>
  std::shared_ptr<T> Get() {
    return std::static_pointer_cast<T>(GetRaw());
  }
  // Keeps `value` until it is evicted; `cost` is in the pool's unit. A value that costs more than
  // the whole pool is not kept.
  void Put(std::shared_ptr<void> value, size_t cost);
  void Clear();

 private:
  friend class CachePool;
  std::shared_ptr<void> GetRaw();

  // All guarded by pool_.mu_, which the analysis can't name from here.
  CachePool& pool_;
  std::shared_ptr<void> value_;
  size_t cost_ = 0;
  std::list<CacheSlot*>::iterator place_;
};

// The pools of this process. Units: handles, bytes, bytes.
inline constexpr size_t kOpenFilesMaxDefault = 800;  // below the usual soft limit of 1,024
inline constexpr size_t kIndexCacheBytesDefault = 16u << 20;
inline constexpr size_t kTailCacheBytesDefault = 32u << 20;
CachePool& FileHandlePool();
CachePool& IndexPool();
CachePool& TailPool();

}  // namespace catamaran::storage
