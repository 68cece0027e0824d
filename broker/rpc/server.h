// The gRPC server of a broker's public API: binds handlers (broker/api) to a port, with limits on
// everything that a client could make it hold.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "broker/api/api_context.h"
#include "broker/api/batch_api.h"
#include "broker/api/cluster_api.h"
#include "broker/api/fetch_api.h"
#include "broker/api/offsets_api.h"
#include "broker/api/produce_api.h"
#include "broker/api/topic_api.h"
#include "broker/metrics.h"

namespace catamaran::broker {

struct RpcOptions {
  std::string listen_address = "127.0.0.1:9192";  // "host:port"; port 0 takes a free one
  // One message, either way. A little above it the answer is REQUEST_TOO_LARGE; far above it gRPC
  // itself ends the call.
  size_t message_bytes_max = 16u << 20;
  // Bytes of requests that are being worked on, unary calls' and streams' together. Past them unary
  // calls are refused (OVERLOADED) and streams aren't read from: what exceeds the limit is at most
  // the message that each open stream had begun to send.
  int64_t inflight_bytes_max = 256 << 20;
  int64_t connection_inflight_bytes_max = 64 << 20;
  // Calls and streams at the same time.
  int32_t calls_max = 50'000;
  int32_t streams_max = 10'000;
  int32_t streams_per_connection_max = 1'000;
  // Connections with a call or a stream; gRPC has no limit on idle ones.
  int32_t connections_max = 10'000;
  bool reflection = true;
};

// What the server serves. Everything must outlive it.
struct RpcHandlers {
  Clock* clock = nullptr;
  Counters* counters = nullptr;
  ProduceApi* produce = nullptr;
  FetchApi* fetch = nullptr;
  BatchApi* batch = nullptr;
  OffsetsApi* offsets = nullptr;
  TopicApi* topics = nullptr;
  ClusterApi* cluster = nullptr;
};

// Thread-safe.
class RpcServer {
 public:
  // Listens and serves; kAddressInUse when the address can't be bound. Blocking, briefly.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(const RpcOptions& options,
                                                          const RpcHandlers& handlers);
  virtual ~RpcServer() = default;  // shuts down at once if that wasn't done

  virtual int port() const = 0;
  // What the health service answers, for "" and every service of ours. Begins as not serving.
  virtual void SetServing(bool serving) = 0;
  // Health says no; no new calls; those that run may end within `grace`, then they're cancelled.
  // Blocks until the last one has ended: handlers must go on answering meanwhile.
  virtual void Shutdown(Duration grace) = 0;
  // Streams and calls under way.
  virtual int64_t calls_in_flight() const = 0;
};

}  // namespace catamaran::broker
