#include "base/thread_executor.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/check.h"
#include "base/mutex.h"

namespace catamaran {
namespace {

constexpr size_t kThreadNameBytesMax = 15;  // pthread_setname_np refuses longer ones
// An idle thread looks again after this long; keeps the wait far from overflow.
constexpr Duration kWaitMax = std::chrono::hours(1);

thread_local const Executor* current_executor = nullptr;

class ThreadExecutor : public Executor {
 public:
  ThreadExecutor(std::string name, Clock& clock) : clock_(clock) {
    name.resize(std::min(name.size(), kThreadNameBytesMax));
    thread_ = std::thread([this, name = std::move(name)] {
      pthread_setname_np(pthread_self(), name.c_str());
      Run();
    });
  }

  ~ThreadExecutor() override {
    CATAMARAN_CHECK(!IsCurrent(), "an executor can't be destroyed from its own thread");
    stopping_.store(true, std::memory_order_relaxed);
    {
      MutexLock lock(&mu_);
      stopped_ = true;
    }
    wake_.Signal();
    thread_.join();
    // Destroyed without the lock: what a task captured may call Post or Cancel of this executor.
    std::vector<Task> queue;
    std::map<TimerKey, Task> timers;
    {
      MutexLock lock(&mu_);
      queue.swap(queue_);
      timers.swap(timers_);
      timer_times_.clear();
    }
  }

  void Post(Task task) override {
    bool wake = false;
    {
      MutexLock lock(&mu_);
      if (stopped_) return;  // `task` is destroyed after the lock is released
      queue_.push_back(std::move(task));
      wake = std::exchange(sleeping_, false);
    }
    if (wake) wake_.Signal();
  }

  TimerId PostAt(MonotonicTime when, Task task) override {
    bool wake = false;
    TimerId id = kNoTimer;
    {
      MutexLock lock(&mu_);
      id = TimerId(++last_timer_);
      if (stopped_) return id;
      auto it = timers_.emplace(TimerKey{when, id}, std::move(task)).first;
      timer_times_[id] = when;
      wake = it == timers_.begin() && std::exchange(sleeping_, false);
    }
    if (wake) wake_.Signal();
    return id;
  }

  bool Cancel(TimerId timer) override {
    Task task;  // destroyed after the lock is released
    MutexLock lock(&mu_);
    auto time = timer_times_.find(timer);
    if (time == timer_times_.end()) return false;
    auto it = timers_.find(TimerKey{time->second, timer});
    task = std::move(it->second);
    timers_.erase(it);
    timer_times_.erase(time);
    return true;
  }

  bool IsCurrent() const override { return current_executor == this; }

 private:
  using TimerKey = std::pair<MonotonicTime, TimerId>;  // equal times run in the order posted

  void Run() {
    current_executor = this;
    Task timer;
    std::vector<Task> batch;
    while (TakeBatch(&timer, &batch)) {
      // At most one timer and before the others, so that each stays cancellable until it runs.
      if (timer) {
        std::move(timer)();
        timer = nullptr;
      }
      for (Task& task : batch) {
        if (stopping_.load(std::memory_order_relaxed)) break;
        std::move(task)();
        task = nullptr;  // what it captured goes before the next task runs
      }
      batch.clear();
    }
  }

  // Waits for work and takes all posted tasks and the first due timer; false at the end.
  bool TakeBatch(Task* timer, std::vector<Task>* batch) {
    MutexLock lock(&mu_);
    for (;;) {
      if (stopped_) return false;
      queue_.swap(*batch);
      Duration rest = kWaitMax;
      if (!timers_.empty()) {
        rest = std::min(kWaitMax, timers_.begin()->first.first - clock_.Now());
        if (rest <= Duration::zero()) *timer = TakeFirstTimer();
      }
      if (*timer || !batch->empty()) return true;
      sleeping_ = true;
      wake_.WaitFor(&mu_, rest);
      sleeping_ = false;
    }
  }

  Task TakeFirstTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto it = timers_.begin();
    Task task = std::move(it->second);
    timer_times_.erase(it->first.second);
    timers_.erase(it);
    return task;
  }

  Clock& clock_;
  std::atomic<bool> stopping_{false};  // read between two tasks without the lock

  Mutex mu_;
  CondVar wake_;
  std::vector<Task> queue_ ABSL_GUARDED_BY(mu_);
  std::map<TimerKey, Task> timers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<TimerId, MonotonicTime> timer_times_ ABSL_GUARDED_BY(mu_);
  uint64_t last_timer_ ABSL_GUARDED_BY(mu_) = 0;
  bool sleeping_ ABSL_GUARDED_BY(mu_) = false;  // the thread waits and nobody has woken it yet
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Executor> MakeThreadExecutor(std::string thread_name, Clock& clock) {
  return std::make_unique<ThreadExecutor>(std::move(thread_name), clock);
}

}  // namespace catamaran
