// RocksDB on a disk of ours: an Env whose files are those of a catamaran::FileSystem, the simulated
// one above all, and whose background jobs run when they are told to, on the caller's thread. So
// the order of all disk operations depends on the calls alone, and a crash can be put at each of
// them.
//
// RocksDB's flushes and compactions are queued until Drain(). A call that would wait for one would
// wait for ever; the store makes none, and a test drains after each call, so that no write stalls.
#pragma once

#include <rocksdb/env.h>

#include <deque>
#include <memory>

#include "base/file_system.h"
#include "base/mutex.h"

namespace catamaran::raft {

class SimRocksEnv final : public rocksdb::EnvWrapper {
 public:
  // `files` must outlive this; paths are relative to its root.
  explicit SimRocksEnv(catamaran::FileSystem* files);
  const char* Name() const override { return "SimRocksEnv"; }

  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*unschedule)(void*)) override;
  int UnSchedule(void* tag, Priority priority) override;
  unsigned int GetThreadPoolQueueLen(Priority priority) const override;

  // Runs queued jobs, and those that they queue, until there is none.
  void Drain();
  uint64_t jobs_run() const { return jobs_run_; }
  // What is told as free space, whatever the disk has. 0: what the disk has.
  void PretendFree(uint64_t bytes) { pretended_free_ = bytes; }
  // Syncs of files that the disk refused.
  uint64_t failed_syncs() const { return failed_syncs_; }

 private:
  struct Job {
    void (*function)(void*);
    void* argument;
    Priority priority;
    void* tag;
    void (*unschedule)(void*);
  };
  mutable Mutex mu_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mu_);
  uint64_t jobs_run_ = 0;
  uint64_t pretended_free_ = 0;
  uint64_t failed_syncs_ = 0;
};

}  // namespace catamaran::raft
