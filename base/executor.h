// Where tasks run. A core is owned by one serial executor (a shard) and touched by no other thread.
#pragma once

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"

namespace catamaran {

using Task = absl::AnyInvocable<void()>;

struct TimerIdTag : IdTag<false> {};
using TimerId = StrongId<TimerIdTag, uint64_t>;
inline constexpr TimerId kNoTimer{0};

// A serial executor: runs one task at a time; tasks posted by one thread run in the order posted.
// Real: one thread (base/thread_executor.h). Simulated: the world's event loop (tests/sim).
// Thread-safe. A task must not block and must not throw.
class Executor {
 public:
  virtual ~Executor() = default;

  // After shutdown of the executor began, the task is destroyed without being run.
  virtual void Post(Task task) = 0;

  // Runs the task at `when` or soon after it; in the past means as soon as possible.
  virtual TimerId PostAt(MonotonicTime when, Task task) = 0;

  // True if the timer was pending and will now never run (its task is destroyed).
  virtual bool Cancel(TimerId timer) = 0;

  // True when called from a task of this executor.
  virtual bool IsCurrent() const = 0;
};

// What a job on an IoPool is about; each lane has its own queue so that a slow sync never holds up
// a read, and background deletion holds up nothing.
enum class IoLane : uint8_t { kWrite, kSync, kRead, kBackground };
inline constexpr int kIoLanes = 4;

// Runs blocking jobs (storage/ code over a FileSystem) off the shards. Submit and complete: `job`
// runs on some I/O thread, then `done` is posted to `reply_to`. Two jobs in flight may run in any
// order and at the same time; whoever needs an order keeps one in flight. Thread-safe. If the pool
// shuts down first, neither job nor done is run; what they captured is destroyed. Real: a few
// threads per lane (base/io_thread_pool.h). Simulated: virtual time, where a crash of the node
// drops what has not run and fails every later file operation of a job that is running.
class IoPool {
 public:
  virtual ~IoPool() = default;
  virtual void Submit(IoLane lane, Task job, Executor* reply_to, Task done) = 0;
};

}  // namespace catamaran
