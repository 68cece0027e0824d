// Two nodes' transports over loopback, with recorded events.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "broker/rpc/peer_transport.h"
#include "tests/broker/peer_runtime.h"

namespace catamaran::broker {

// One side of a connection. Members without a lock are the executor's, or read after a gate.
class PeerSide {
 public:
  explicit PeerSide(Executor* executor) : executor_(executor) {}

  ConnectionEvents Events() {
    ConnectionEvents events;
    events.on_message = [this](Buffer message) {
      EXPECT_TRUE(executor_->IsCurrent());
      EXPECT_TRUE(expects_events) << "an event after the connection was closed";
      bytes += message.size();
      if (keep) received.emplace_back(message.view());
      if (on_message) on_message(std::move(message));
      messages.Add();
    };
    events.on_writable = [this] {
      EXPECT_TRUE(expects_events);
      if (on_writable) on_writable();
      writable.Add();
    };
    events.on_closed = [this](absl::Status status) {
      EXPECT_TRUE(expects_events);
      why = std::move(status);
      connection.reset();
      closed.Add();
    };
    return events;
  }

  Executor& executor() { return *executor_; }

  std::unique_ptr<Connection> connection;
  bool expects_events = true;
  bool keep = true;
  std::vector<std::string> received;
  size_t bytes = 0;
  absl::Status why;
  std::function<void(Buffer)> on_message;
  std::function<void()> on_writable;
  Gate messages;
  Gate writable;
  Gate closed;

 private:
  Executor* const executor_;
};

inline void RunOn(Executor& executor, std::function<void()> task) {
  Gate done;
  executor.Post([&] {
    task();
    done.Add();
  });
  ASSERT_TRUE(done.WaitFor(1));
}

class PeerTransportTest : public ::testing::Test {
 protected:
  ~PeerTransportTest() override { Stop(); }

  // Everything in the order that the header asks for.
  void Stop() {
    if (server_executor_ == nullptr) return;
    RunOn(*client_executor_, [this] {
      for (auto& side : clients_) side->connection.reset();
    });
    RunOn(*server_executor_, [this] {
      for (auto& side : servers_) side->connection.reset();
      listener_.reset();
    });
    client_executor_.reset();
    server_executor_.reset();
    client_transport_.reset();
    server_transport_.reset();
  }

  void Start() {
    client_transport_ = MakePeerTransport(options_);
    server_transport_ = MakePeerTransport(server_options_);
    Listen(endpoint_);
  }
  void Listen(const std::string& endpoint) {
    RunOn(*server_executor_, [&] {
      auto acceptor = [this](std::unique_ptr<Connection> connection) {
        auto side = std::make_unique<PeerSide>(server_executor_.get());
        side->connection = std::move(connection);
        if (on_accept_) on_accept_(*side);
        servers_.push_back(std::move(side));
        accepted_.Add();
        return servers_.back()->Events();
      };
      auto listener =
          server_transport_->ListenForPeers(endpoint, server_executor_.get(), std::move(acceptor));
      ASSERT_TRUE(listener.ok()) << listener.status();
      listener_ = *std::move(listener);
    });
  }
  // Returns at once; `first` runs right after Connect, in the same task.
  PeerSide& Connect(const std::string& endpoint, std::function<void(PeerSide&)> first = {}) {
    clients_.push_back(std::make_unique<PeerSide>(client_executor_.get()));
    PeerSide& side = *clients_.back();
    RunOn(*client_executor_, [&] {
      side.connection = client_transport_->Connect(endpoint, client_executor_.get(), side.Events());
      if (first) first(side);
    });
    return side;
  }
  // Connects to the listener and waits until both sides stand.
  std::pair<PeerSide*, PeerSide*> ConnectBoth() {
    const int before = accepted_.count();
    PeerSide& client = Connect(endpoint_);
    EXPECT_TRUE(accepted_.WaitFor(before + 1));
    return {&client, servers_.back().get()};
  }
  static absl::Status SendFrom(PeerSide& side, const std::string& message) {
    absl::Status status;
    RunOn(side.executor(), [&] {
      status = side.connection != nullptr ? side.connection->Send(Buffer::Copy(message))
                                          : absl::UnavailableError("the connection is gone");
    });
    return status;
  }

  PeerTransportOptions options_;
  PeerTransportOptions server_options_;
  const std::string endpoint_ = FreeEndpoint();
  std::unique_ptr<PeerTransport> client_transport_;
  std::unique_ptr<PeerTransport> server_transport_;
  std::unique_ptr<Executor> client_executor_ = MakeThreadExecutor("client", SystemClock());
  std::unique_ptr<Executor> server_executor_ = MakeThreadExecutor("server", SystemClock());
  Gate accepted_;
  std::function<void(PeerSide&)> on_accept_;
  std::unique_ptr<PeerListener> listener_;          // the server executor's
  std::vector<std::unique_ptr<PeerSide>> servers_;  // the server executor's
  std::vector<std::unique_ptr<PeerSide>> clients_;  // the test's
};

}  // namespace catamaran::broker
