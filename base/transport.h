// Messages between processes, behind a seam: ordered, bounded connections between named endpoints.
// Real: gRPC for peers (broker/rpc), and a loopback within the process (base/loopback_transport.h).
// Simulated: tests/sim/sim_network.h.
//
// What a connection promises: messages arrive in the order sent, each at most once, whole; when it
// breaks, an unknown number of the last ones sent have not arrived. It does not promise to notice
// that the other side is gone (half-open): whoever waits for an answer sets a deadline.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "base/executor.h"

namespace catamaran {

inline constexpr size_t kConnectionSendBytesMaxDefault = 16 * 1024 * 1024;

// What happens on one side of a connection. All run on that side's executor, never within a call
// of Connection, and none runs after the Connection was closed or destroyed by its owner.
struct ConnectionEvents {
  absl::AnyInvocable<void(Buffer message)> on_message;
  // After a Send() was refused as overloaded: there is room again.
  absl::AnyInvocable<void()> on_writable;
  // The last event: the other side closed, nobody listens there, or the connection broke. Always
  // absl::UnavailableError without a Reason, so that OutcomeOf() says "unknown": what was sent last
  // may or may not have arrived. The owner then destroys the Connection.
  absl::AnyInvocable<void(absl::Status why)> on_closed;
};

// One side of a connection. Every call, and the destructor, on the executor of its events; may be
// destroyed within one of them. The destructor closes.
class Connection {
 public:
  virtual ~Connection() = default;

  // Queues a message, also while the connection is still being made. kOverloaded when it would
  // leave more than the limit in flight (sent and not yet taken by the other side): wait for
  // on_writable. kRequestTooLarge when it could never fit. kShuttingDown after Close or on_closed.
  virtual absl::Status Send(Buffer message) = 0;

  // What was sent before still goes out. No event of this side runs from here on.
  virtual void Close() = 0;
};

// Takes an incoming connection and says what to do with its events. Runs on the listener's
// executor, which is that of the connection's events too. To refuse, destroy the connection.
using Acceptor = absl::AnyInvocable<ConnectionEvents(std::unique_ptr<Connection> connection)>;

// A name under which connections are accepted until this is destroyed. Connections that were
// accepted live on. Destroyed on the listener's executor, or when that runs nothing any more.
class Listener {
 public:
  virtual ~Listener() = default;
};

// Thread-safe. Outlives its connections and listeners.
class Transport {
 public:
  virtual ~Transport() = default;

  // absl::AlreadyExistsError when somebody listens under this name.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& endpoint,
                                                           Executor* executor,
                                                           Acceptor acceptor) = 0;

  // Returns at once; called on `executor`. If the connection can't be made, on_closed says so.
  virtual std::unique_ptr<Connection> Connect(const std::string& endpoint, Executor* executor,
                                              ConnectionEvents events) = 0;
};

}  // namespace catamaran
