// How a request reaches a broker's handlers, whatever carries it: gRPC in the server (broker/rpc),
// the simulated network in tests/sim. A handler is `void Method(const CallContext&, Request,
// Reply<Response>)`: it never blocks, may be called on any thread, and calls the reply exactly
// once, on any thread.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/clock.h"

namespace catamaran::broker {

struct CallContext {
  MonotonicTime deadline = kNever;  // after it nobody waits for the answer
  std::string peer;                 // "ipv4:127.0.0.1:53412", for logs and limits
};

template <class Response>
using Reply = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

}  // namespace catamaran::broker
