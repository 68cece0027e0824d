// The two runtimes that contract tests run on: real threads, and the simulated world.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/loopback_transport.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "base/transport.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_network.h"

namespace catamaran {

inline constexpr Duration kAwaitMax = std::chrono::seconds(30);

// Counts events; waited for with a deadline, never with a sleep. Thread-safe.
class Gate {
 public:
  void Add() {
    MutexLock lock(&mu_);
    ++count_;
    changed_.SignalAll();
  }
  int count() {
    MutexLock lock(&mu_);
    return count_;
  }
  bool WaitFor(int count) {
    MutexLock lock(&mu_);
    while (count_ < count) {
      if (!changed_.WaitFor(&mu_, kAwaitMax)) return false;
    }
    return true;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int count_ ABSL_GUARDED_BY(mu_) = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Clock& clock() = 0;
  virtual std::unique_ptr<Executor> MakeExecutor(const std::string& name) = 0;
  virtual std::unique_ptr<IoPool> MakeIoPool() = 0;
  virtual std::unique_ptr<Transport> MakeTransport(size_t send_bytes_max) = 0;
  // Where the transport can listen: the same for the same name.
  virtual std::string Endpoint(const std::string& name) { return "n1:" + name; }
  virtual bool Await(Gate& gate, int count) = 0;
};

class ThreadRuntime : public Runtime {
 public:
  Clock& clock() override { return SystemClock(); }
  std::unique_ptr<Executor> MakeExecutor(const std::string& name) override {
    return MakeThreadExecutor(name, clock());
  }
  std::unique_ptr<IoPool> MakeIoPool() override { return MakeIoThreadPool(IoPoolOptions()); }
  std::unique_ptr<Transport> MakeTransport(size_t send_bytes_max) override {
    return MakeLoopbackTransport(send_bytes_max);
  }
  bool Await(Gate& gate, int count) override { return gate.WaitFor(count); }
};

class SimRuntime : public Runtime {
 public:
  Clock& clock() override { return node_.clock(); }
  std::unique_ptr<Executor> MakeExecutor(const std::string& name) override {
    return node_.MakeExecutor(name);
  }
  std::unique_ptr<IoPool> MakeIoPool() override { return node_.MakeIoPool(); }
  std::unique_ptr<Transport> MakeTransport(size_t send_bytes_max) override {
    network_ = std::make_unique<sim::SimNetwork>(world_, sim::SimLinkOptions(), send_bytes_max);
    return network_->MakeTransport("n1");
  }
  bool Await(Gate& gate, int count) override {
    return world_.RunUntil([&] { return gate.count() >= count; }, kAwaitMax);
  }

 private:
  sim::World world_{11};
  sim::SimNode node_{world_, "n1"};
  std::unique_ptr<sim::SimNetwork> network_;
};

struct RuntimeChoice {
  std::string name;
  std::function<std::unique_ptr<Runtime>()> make;
};

inline const RuntimeChoice kRuntimes[] = {
    {"Threads", [] { return std::make_unique<ThreadRuntime>(); }},
    {"Simulated", [] { return std::make_unique<SimRuntime>(); }},
};

}  // namespace catamaran
