// The machinery that all in-process transports share: the real loopback (base/loopback_transport.h)
// and the simulated network (tests/sim/sim_network.h) differ only in how a delivery is carried.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "base/transport.h"

namespace catamaran {

// Thread-safe. Outlives its connections and listeners.
class MessageHub {
 public:
  explicit MessageHub(size_t send_bytes_max = kConnectionSendBytesMaxDefault)
      : send_bytes_max_(send_bytes_max) {}
  virtual ~MessageHub() = default;

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& endpoint, Executor* executor,
                                                   Acceptor acceptor);
  std::unique_ptr<Connection> Connect(const std::string& from, const std::string& endpoint,
                                      Executor* executor, ConnectionEvents events);

  class End;  // one side of a connection

 protected:
  // One direction of one connection.
  struct Route {
    uint64_t connection = 0;  // from 1, in the order of Connect
    bool outbound = true;     // from the side that connected
    std::string from;         // names as given to Connect
    std::string to;
  };

  // Calls `delivery` on any thread, once or (a message that is lost) never. Deliveries on one route
  // keep their order. A delivery only posts to the receiver's executor and may be called at once.
  virtual void Carry(const Route& route, Task delivery) = 0;

  // A connection begins; `route` is its outbound one.
  virtual void OnConnect(const Route& route, const std::shared_ptr<End>& connecting,
                         const std::shared_ptr<End>& accepting) {
    (void)route, (void)connecting, (void)accepting;
  }

  // Tells one side, on its executor, that its connection is broken. Thread-safe.
  static void Break(const std::shared_ptr<End>& end, std::string why);

 private:
  class EndConnection;
  class HubListener;
  struct Acceptance;
  struct Listening {
    Executor* executor = nullptr;
    std::shared_ptr<Acceptance> acceptance;
  };

  const size_t send_bytes_max_;
  Mutex mu_;
  std::map<std::string, Listening> listening_ ABSL_GUARDED_BY(mu_);
  uint64_t last_connection_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace catamaran
