#include "storage/cache_pool.h"

namespace catamaran::storage {

void CachePool::SetCapacity(size_t capacity) {
  std::vector<std::shared_ptr<void>> evicted;
  MutexLock lock(&mu_);
  capacity_ = capacity;
  EvictLocked(&evicted);
}

size_t CachePool::capacity() const {
  MutexLock lock(&mu_);
  return capacity_;
}

size_t CachePool::used() const {
  MutexLock lock(&mu_);
  return used_;
}

void CachePool::EvictLocked(std::vector<std::shared_ptr<void>>* evicted) {
  while (used_ > capacity_ && !recent_.empty()) {
    CacheSlot* slot = recent_.back();
    evicted->push_back(std::move(slot->value_));
    RemoveLocked(slot);
  }
}

void CachePool::RemoveLocked(CacheSlot* slot) {
  used_ -= slot->cost_;
  recent_.erase(slot->place_);
  slot->value_.reset();
  slot->cost_ = 0;
}

std::shared_ptr<void> CacheSlot::GetRaw() {
  MutexLock lock(&pool_.mu_);
  if (value_ == nullptr) return nullptr;
  pool_.recent_.splice(pool_.recent_.begin(), pool_.recent_, place_);
  return value_;
}

void CacheSlot::Put(std::shared_ptr<void> value, size_t cost) {
  std::vector<std::shared_ptr<void>> evicted;
  MutexLock lock(&pool_.mu_);
  if (value_ != nullptr) {
    evicted.push_back(std::move(value_));
    value_ = nullptr;
    pool_.RemoveLocked(this);
  }
  if (value == nullptr || cost > pool_.capacity_) return;
  value_ = std::move(value);
  cost_ = cost;
  pool_.used_ += cost;
  pool_.recent_.push_front(this);
  place_ = pool_.recent_.begin();
  pool_.EvictLocked(&evicted);
}

void CacheSlot::Clear() {
  std::shared_ptr<void> dropped;
  MutexLock lock(&pool_.mu_);
  if (value_ == nullptr) return;
  dropped = std::move(value_);
  pool_.RemoveLocked(this);
}

CachePool& FileHandlePool() {
  static CachePool* const pool = new CachePool(kOpenFilesMaxDefault);
  return *pool;
}

CachePool& IndexPool() {
  static CachePool* const pool = new CachePool(kIndexCacheBytesDefault);
  return *pool;
}

CachePool& TailPool() {
  static CachePool* const pool = new CachePool(kTailCacheBytesDefault);
  return *pool;
}

}  // namespace catamaran::storage
