// How a stream's messages reach its session and the answers leave it, whatever carries them: gRPC
// in the server (broker/rpc), the simulated network in tests/sim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"

namespace catamaran::broker {

// Accounts for a message's memory until the last copy goes; null where nobody accounts.
using StreamCredit = std::shared_ptr<const void>;

// The carrier's side. Thread-safe; never calls the session back from within a call.
template <class Response>
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  // Queues a message; OnSent(bytes) follows when it has left. Sessions bound what they queue.
  virtual void Send(Response response, size_t bytes) = 0;
  // Asks for exactly one more message. The carrier asks for the first by itself.
  virtual void ReadMore() = 0;
  // Takes `bytes` from what the process and the connection may hold of requests in work, for as
  // long as the credit lives, also past the stream's end. It never refuses: past a limit, no more
  // is read from streams until there is room. Let the last copy go outside of the session's lock:
  // that may make other streams read.
  virtual StreamCredit Account(int64_t bytes) {
    static_cast<void>(bytes);
    return nullptr;
  }
  // Ends the stream after what is queued. Later calls do nothing.
  virtual void Finish(absl::Status status) = 0;
};

// The handler's side. The carrier calls one at a time OnMessage/OnReadsDone; OnSent and OnClosed
// may come at any time on other threads. OnClosed is the last call and comes exactly once.
template <class Request>
class StreamSession {
 public:
  virtual ~StreamSession() = default;
  virtual void OnMessage(Request message) = 0;
  virtual void OnReadsDone() = 0;         // the client sends nothing more
  virtual void OnSent(size_t bytes) = 0;  // room for more
  virtual void OnClosed() = 0;            // nobody reads answers any more
};

}  // namespace catamaran::broker
