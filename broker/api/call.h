// How a request reaches a broker's handlers, whatever carries it: gRPC in the server (broker/rpc),
// the simulated network in tests/sim. A handler is `void Method(const CallContext&, Request,
// Reply<Response>)`: it never blocks, may be called on any thread, and calls the reply exactly
// once, on any thread.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace catamaran::broker {

// Tells a handler that waits that nobody wants its answer any more (it replies all the same, soon).
// Thread-safe.
class CallCancellation {
 public:
  // `callback` runs once, on the thread that cancels; at once when that was before. At most one.
  void OnCancel(absl::AnyInvocable<void()> callback) {
    {
      MutexLock lock(&mu_);
      if (!cancelled_) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  void Cancel() {
    absl::AnyInvocable<void()> callback;
    {
      MutexLock lock(&mu_);
      if (std::exchange(cancelled_, true)) return;
      callback = std::move(callback_);
      callback_ = nullptr;
    }
    if (callback != nullptr) callback();
  }

 private:
  Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  absl::AnyInvocable<void()> callback_ ABSL_GUARDED_BY(mu_);
};

struct CallContext {
  MonotonicTime deadline = kNever;                 // after it nobody waits for the answer
  std::string peer;                                // "ipv4:127.0.0.1:53412", for logs and limits
  std::shared_ptr<CallCancellation> cancellation;  // null: the call can't be cancelled
};

template <class Response>
using Reply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

}  // namespace catamaran::broker
