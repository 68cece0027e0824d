// The real Transport between nodes: each Connection is one gRPC stream on a TCP connection of its
// own, so bulk data of one never queues before another's heartbeats.
//
// Endpoints are "host:port". Plaintext, and the other side isn't authenticated: who reaches the
// port can speak as a peer. Listen on loopback unless the network between the nodes is trusted.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/transport.h"

namespace catamaran::broker {

struct PeerTransportOptions {
  // One message; larger ones are kRequestTooLarge, and from a peer break the connection. The same
  // on all nodes. 1 byte to 1 GiB, effectively at most send_bytes_max.
  size_t message_bytes_max = kConnectionSendBytesMaxDefault;
  // In flight on one connection: sent and not taken by the other side's owner. Besides 65,536
  // messages, so that empty ones are bounded too.
  size_t send_bytes_max = kConnectionSendBytesMaxDefault;
  // Arrived on one connection and not yet taken by its owner; past it the connection isn't read.
  size_t receive_bytes_max = kConnectionSendBytesMaxDefault;
  // Accepted connections of one listener at a time; more are refused. gRPC itself doesn't bound
  // TCP connections without a stream, but closes them after 30 seconds.
  int32_t connections_max = 1'000;
  // Connect gives up after this. It is above the time that a lost SYN takes to be sent again.
  Duration connect_timeout = std::chrono::seconds(5);
  // A silent connection is asked whether it lives, by both sides; without an answer it's broken.
  // Not a failure detector: heartbeats of the owner notice sooner. At least 1 second each.
  Duration keepalive_interval = std::chrono::seconds(20);
  Duration keepalive_timeout = std::chrono::seconds(10);
  // After Close, what was sent before has so long to be taken by the other side.
  Duration close_linger = std::chrono::seconds(30);
  // The destructor of the transport waits no longer than this for connections that linger.
  Duration shutdown_grace = std::chrono::seconds(1);
};

class PeerListener : public Listener {
 public:
  virtual int port() const = 0;
};

// Polls on threads of its own: one for the connections it makes, and one per listener for those
// that were accepted there. All connections and listeners must be gone at its end, which blocks for
// `shutdown_grace`; for the keepalive's time too where the network swallows a write under way.
class PeerTransport : public Transport {
 public:
  // As Listen; port 0 takes a free one. absl::AlreadyExistsError also when another process has the
  // port or the host isn't this machine's. Blocking, briefly.
  virtual absl::StatusOr<std::unique_ptr<PeerListener>> ListenForPeers(const std::string& endpoint,
                                                                       Executor* executor,
                                                                       Acceptor acceptor) = 0;
};

std::unique_ptr<PeerTransport> MakePeerTransport(const PeerTransportOptions& options = {});

}  // namespace catamaran::broker
