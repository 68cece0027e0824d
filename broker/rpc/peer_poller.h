// A completion queue and the thread that waits on it. Traffic between peers never waits on gRPC's
// global callback pollers, which sleep up to 100 ms after a second of silence (poller_tick.h).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "grpcpp/completion_queue.h"

namespace catamaran::broker {

// The longest that a poller waits before it looks at deadlines.
inline constexpr std::chrono::milliseconds kPeerPollerTick{100};

// An operation on a completion queue: its tag. Done runs on the poller's thread and doesn't block.
class PeerOperation {
 public:
  virtual ~PeerOperation() = default;
  virtual void Done(bool ok) = 0;
};

class PeerPoller {
 public:
  // `tick` runs on the thread about every kPeerPollerTick; may be null.
  PeerPoller(std::string thread_name, std::unique_ptr<grpc::CompletionQueue> queue,
             absl::AnyInvocable<void()> tick);
  // Shuts the queue down, runs what comes out of it, and joins the thread. No operation may be
  // started any more. Not on the poller's own thread.
  ~PeerPoller();
  PeerPoller(const PeerPoller&) = delete;
  PeerPoller& operator=(const PeerPoller&) = delete;

  grpc::CompletionQueue* queue() const { return queue_.get(); }

 private:
  void Run();

  const std::unique_ptr<grpc::CompletionQueue> queue_;
  absl::AnyInvocable<void()> tick_;  // the thread's
  std::thread thread_;               // last: it uses all of the above
};

}  // namespace catamaran::broker
