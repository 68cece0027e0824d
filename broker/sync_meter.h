// Counts the rounds of the sync service: how many, how long, whether one failed. The service itself
// knows no metrics; it runs one job a round, so the pool that it's given counts them.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "broker/metrics.h"
#include "storage/sync_service.h"

namespace catamaran::broker {

// Thread-safe. All that it's given must outlive it.
class RoundMeter final : public IoPool {
 public:
  RoundMeter(IoPool* pool, Clock* clock, Counters* counters)
      : pool_(pool), clock_(clock), counters_(counters) {}

  void Submit(IoLane lane, Task job, Executor* reply_to, Task done) override {
    auto timed = [job = std::move(job), clock = clock_, counters = counters_]() mutable {
      MonotonicTime began = clock->Now();
      job();
      counters->Add(Counter::kLogSyncs);
      counters->Observe(Histogram::kLogSync, clock->Now() - began);
    };
    pool_->Submit(lane, std::move(timed), reply_to, std::move(done));
  }

 private:
  IoPool* const pool_;
  Clock* const clock_;
  Counters* const counters_;
};

// Tells the counters of a failed round: once, since the service latches.
class SyncFailureMeter final : public storage::SyncService {
 public:
  SyncFailureMeter(std::unique_ptr<storage::SyncService> inner, Counters* counters)
      : inner_(std::move(inner)), counters_(counters) {}

  void Sync(std::vector<std::shared_ptr<File>> files, Executor* reply_to,
            storage::SyncDone done) override {
    auto counted = [done = std::move(done), failed = failed_,
                    counters = counters_](const absl::Status& status) mutable {
      if (!status.ok() && !failed->exchange(true)) counters->Add(Counter::kLogSyncErrors);
      done(status);
    };
    inner_->Sync(std::move(files), reply_to, std::move(counted));
  }

 private:
  const std::unique_ptr<storage::SyncService> inner_;
  Counters* const counters_;
  const std::shared_ptr<std::atomic<bool>> failed_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace catamaran::broker
