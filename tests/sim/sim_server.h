// The broker's end of the simulated network: what broker/rpc does with gRPC. Decodes frames, calls
// the real handlers, and sends what they answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/executor.h"
#include "base/transport.h"
#include "broker/api/cluster_api.h"
#include "broker/api/topic_api.h"
#include "broker/node.h"
#include "tests/sim/sim_wire.h"

namespace catamaran::sim {

struct ServerParts {
  broker::BrokerNode* node = nullptr;
  broker::TopicApi* topics = nullptr;
  broker::ClusterApi* cluster = nullptr;
  Clock* clock = nullptr;
};

// Lives on `executor`, whose tasks it must outlive or which must run nothing any more.
class SimServer {
 public:
  SimServer(ServerParts parts, Executor* executor) : parts_(parts), executor_(executor) {}
  ~SimServer();
  absl::Status Listen(Transport& transport, const std::string& endpoint);
  // No new connections; those that are there live on.
  void StopListening() { listener_.reset(); }

 private:
  class Client;
  class AppendWriter;
  void Forget(uint64_t client) { clients_.erase(client); }

  const ServerParts parts_;
  Executor* const executor_;
  std::unique_ptr<Listener> listener_;
  uint64_t last_client_ = 0;
  std::map<uint64_t, std::shared_ptr<Client>> clients_;
};

}  // namespace catamaran::sim
