#include "raft/driver/store_queue.h"

#include <utility>

#include "base/error.h"

namespace catamaran::raft {
namespace {

bool IsFatal(const absl::Status& status) {
  if (status.ok()) return false;
  const Reason reason = ReasonOf(status);
  return reason == Reason::kStorageFailed || reason == Reason::kCorruptLog ||
         reason == Reason::kInternal;
}

}  // namespace

StoreQueue::StoreQueue(IoPool* pool, Executor* executor, Clock* clock, OnFatal on_fatal)
    : pool_(pool), executor_(executor), clock_(clock), on_fatal_(std::move(on_fatal)) {}

StoreQueue::~StoreQueue() { *alive_ = false; }

void StoreQueue::Submit(StoreWork work, Job job, Done done) {
  if (failed_ || store_ == nullptr || closed_) return;
  queues_[static_cast<int>(work)].push_back({std::move(job), std::move(done)});
  RunNext();
}

void StoreQueue::RunNext() {
  if (running_ || failed_ || store_ == nullptr || closed_) return;
  for (int i = waiting_ ? static_cast<int>(StoreWork::kRead) : 0; i < kStoreWorks; ++i) {
    if (queues_[i].empty()) continue;
    const auto work = static_cast<StoreWork>(i);
    running_ = true;
    // Shared by the job and its end, which are destroyed unrun when the pool goes.
    struct Running {
      Item item;
      std::shared_ptr<LogStore> store;
      absl::Status status;
    };
    auto running = std::make_shared<Running>(Running{std::move(queues_[i].front()), store_, {}});
    queues_[i].pop_front();
    pool_->Submit(
        work == StoreWork::kRead ? IoLane::kRead : IoLane::kSync,
        [running] {
          running->status = running->item.job(*running->store);
          running->store.reset();  // if the queue is gone it's closed here, where it may block
        },
        executor_,
        [this, work, running, alive = alive_] {
          if (*alive) OnRan(work, std::move(running->item), std::move(running->status));
        });
    return;
  }
}

void StoreQueue::OnRan(StoreWork work, Item item, absl::Status status) {
  running_ = false;
  if (closed_) return CloseStore();
  if (failed_) return;
  if (IsFatal(status)) {
    failed_ = true;
    for (auto& queue : queues_) queue.clear();
    on_fatal_(std::move(status));
    return;
  }
  if (!status.ok() && ReasonOf(status) == Reason::kStorageFull) {
    full_ = true;
    waiting_ = true;
    queues_[static_cast<int>(work)].push_front(std::move(item));
    executor_->PostAt(clock_->Now() + kStorageFullRetry, [this, alive = alive_] {
      if (!*alive) return;
      waiting_ = false;
      RunNext();
    });
  } else {
    if (work != StoreWork::kRead) full_ = false;
    const std::shared_ptr<bool> alive = alive_;
    item.done(std::move(status));
    if (!*alive) return;
  }
  RunNext();
}

void StoreQueue::Close(absl::AnyInvocable<void()> closed) {
  for (auto& queue : queues_) queue.clear();
  if (store_ == nullptr) {
    executor_->Post(std::move(closed));
    return;
  }
  closed_ = std::move(closed);
  if (!running_) CloseStore();
}

void StoreQueue::CloseStore() {
  auto store = std::make_shared<std::shared_ptr<LogStore>>(std::move(store_));
  store_ = nullptr;
  pool_->Submit(
      IoLane::kSync, [store] { store->reset(); }, executor_, std::exchange(closed_, [] {}));
}

size_t StoreQueue::queued() const {
  size_t sum = running_ ? 1 : 0;
  for (const auto& queue : queues_) sum += queue.size();
  return sum;
}

}  // namespace catamaran::raft
