#include <pthread.h>

#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "base/thread_executor.h"

namespace catamaran {
namespace {

constexpr const char* kLaneThreadNames[kIoLanes] = {"io-write", "io-sync", "io-read",
                                                    "io-background"};

// A queue and the threads that take from it.
class Lane {
 public:
  void Start(const char* name, int threads) {
    CATAMARAN_CHECK(threads > 0, "every lane needs a thread");
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this, name] {
        pthread_setname_np(pthread_self(), name);
        Run();
      });
    }
  }

  void Stop() {
    std::deque<Job> dropped;  // destroyed without the lock
    {
      MutexLock lock(&mu_);
      stopped_ = true;
      dropped.swap(queue_);
    }
    wake_.SignalAll();
    for (std::thread& thread : threads_) thread.join();
  }

  void Submit(Task work, Executor* reply_to, Task done) {
    Job job{std::move(work), reply_to, std::move(done)};
    bool wake = false;
    {
      MutexLock lock(&mu_);
      if (stopped_) return;
      queue_.push_back(std::move(job));
      wake = sleepers_ > 0;
    }
    if (wake) wake_.Signal();
  }

 private:
  struct Job {
    Task work;
    Executor* reply_to = nullptr;
    Task done;
  };

  bool Take(Job* job) {
    MutexLock lock(&mu_);
    while (queue_.empty() && !stopped_) {
      ++sleepers_;
      wake_.Wait(&mu_);
      --sleepers_;
    }
    if (stopped_) return false;
    *job = std::move(queue_.front());
    queue_.pop_front();
    return true;
  }

  void Run() {
    Job job;
    while (Take(&job)) {
      std::move(job.work)();
      job.work = nullptr;  // what it captured goes before `done` may run
      job.reply_to->Post(std::move(job.done));
      job = Job();
    }
  }

  Mutex mu_;
  CondVar wake_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mu_);
  int sleepers_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;  // owned by whoever owns the pool
};

class IoThreadPool : public IoPool {
 public:
  explicit IoThreadPool(const IoPoolOptions& options) {
    for (int i = 0; i < kIoLanes; ++i) lanes_[i].Start(kLaneThreadNames[i], options.threads[i]);
  }
  ~IoThreadPool() override {
    for (Lane& lane : lanes_) lane.Stop();
  }

  void Submit(IoLane lane, Task job, Executor* reply_to, Task done) override {
    CATAMARAN_CHECK(reply_to != nullptr, "`done` needs an executor to run on");
    lanes_[static_cast<size_t>(lane)].Submit(std::move(job), reply_to, std::move(done));
  }

 private:
  Lane lanes_[kIoLanes];
};

}  // namespace

std::unique_ptr<IoPool> MakeIoThreadPool(const IoPoolOptions& options) {
  return std::make_unique<IoThreadPool>(options);
}

}  // namespace catamaran
