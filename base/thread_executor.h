// The real Executor: one named thread with a task queue and timers. And the real IoPool.
#pragma once

#include <memory>
#include <string>

#include "base/executor.h"

namespace catamaran {

// Runs on a thread of its own until destroyed. The destructor stops taking tasks, runs none of
// those still queued, destroys them and joins. Must not be destroyed from its own thread.
std::unique_ptr<Executor> MakeThreadExecutor(std::string thread_name, Clock& clock);

struct IoPoolOptions {
  // Threads per lane, in the order of IoLane.
  int threads[kIoLanes] = {2, 2, 2, 1};
};
// The destructor finishes the jobs that are running, drops those that are queued, and joins.
std::unique_ptr<IoPool> MakeIoThreadPool(const IoPoolOptions& options);

}  // namespace catamaran
