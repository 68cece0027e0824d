// The calls of one LogStore, one at a time, off the executor. When the disk is full what writes
// waits and is tried again, and what reads goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/executor.h"
#include "raft/store/log_store.h"

namespace catamaran::raft {

// In the order of precedence; within one the order of submission is kept.
enum class StoreWork : uint8_t { kPersist, kWrite, kRead };
inline constexpr int kStoreWorks = 3;

// How long a write waits after STORAGE_FULL before it's tried again.
inline constexpr Duration kStorageFullRetry = std::chrono::milliseconds(200);

// Owner: a RaftNode, on its executor. Jobs run on the pool; what they touch beside the store is
// theirs alone until their `done`.
class StoreQueue {
 public:
  // A job that is run again after STORAGE_FULL goes on where it stopped.
  using Job = absl::AnyInvocable<absl::Status(LogStore&)>;
  // OK, or an error that isn't fatal and not STORAGE_FULL.
  using Done = absl::AnyInvocable<void(absl::Status)>;
  // After which nothing is known of the disk: no job runs any more, and no `done`.
  using OnFatal = absl::AnyInvocable<void(absl::Status)>;

  StoreQueue(IoPool* pool, Executor* executor, Clock* clock, OnFatal on_fatal);
  ~StoreQueue();

  void Start(std::shared_ptr<LogStore> store) { store_ = std::move(store); }
  void Submit(StoreWork work, Job job, Done done);
  // Drops what is queued and closes the store on the pool, then calls `closed`; not if nothing was
  // started.
  void Close(absl::AnyInvocable<void()> closed);

  bool full() const { return full_; }  // the last write found no space
  size_t queued() const;

 private:
  struct Item {
    Job job;
    Done done;
  };

  void RunNext();
  void CloseStore();
  void OnRan(StoreWork work, Item item, absl::Status status);

  IoPool* const pool_;
  Executor* const executor_;
  Clock* const clock_;
  OnFatal on_fatal_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what is posted asks it
  std::shared_ptr<LogStore> store_;
  std::deque<Item> queues_[kStoreWorks];
  bool running_ = false;  // Invariant: one job at a time
  bool failed_ = false;
  bool full_ = false;
  absl::AnyInvocable<void()> closed_;  // Close() was called
  bool waiting_ = false;               // for kStorageFullRetry: only reads run
};

}  // namespace catamaran::raft
