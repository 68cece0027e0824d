#include "base/loopback_transport.h"

#include <utility>

#include "base/message_hub.h"

namespace catamaran {
namespace {

class LoopbackHub : public MessageHub {
 public:
  using MessageHub::MessageHub;

 private:
  void Carry(const Route&, Task delivery) override { std::move(delivery)(); }
};

class LoopbackTransport : public Transport {
 public:
  explicit LoopbackTransport(size_t send_bytes_max) : hub_(send_bytes_max) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& endpoint, Executor* executor,
                                                   Acceptor acceptor) override {
    return hub_.Listen(endpoint, executor, std::move(acceptor));
  }
  std::unique_ptr<Connection> Connect(const std::string& endpoint, Executor* executor,
                                      ConnectionEvents events) override {
    return hub_.Connect("loopback", endpoint, executor, std::move(events));
  }

 private:
  LoopbackHub hub_;
};

}  // namespace

std::unique_ptr<Transport> MakeLoopbackTransport(size_t send_bytes_max) {
  return std::make_unique<LoopbackTransport>(send_bytes_max);
}

}  // namespace catamaran
