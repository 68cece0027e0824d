// Keeps gRPC's callback pollers awake. In gRPC 1.51 a poller thread that saw nothing for a second
// sleeps 100 ms before it looks again; with both asleep the first call after a silence is up to
// 100 ms late. An event well within each second keeps them looking.
#pragma once

#include <chrono>
#include <memory>

#include "grpcpp/alarm.h"

namespace catamaran::broker {

// Two pollers take the events in any order, so each must see one within a second although the other
// may take several in a row.
inline constexpr std::chrono::milliseconds kPollerTick{100};

// Ticks until destroyed. The destructor waits for a tick that is running.
class PollerTick {
 public:
  PollerTick();
  ~PollerTick();
  PollerTick(const PollerTick&) = delete;
  PollerTick& operator=(const PollerTick&) = delete;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace catamaran::broker
