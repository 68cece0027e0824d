// Connections between nodes over gRPC: limits, flow control, closing, and what breaks them.
#include "broker/rpc/peer_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "catamaran/internal/v1/peer.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "tests/broker/peer_fixture.h"
#include "tests/broker/tcp_proxy.h"

namespace catamaran::broker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST_F(PeerTransportTest, CarriesLargeMessagesWhole) {
  Start();
  auto [client, server] = ConnectBoth();
  Random random(3);
  std::vector<std::string> sent;
  for (size_t size : {1u << 20, 2047u, 2048u, 5'000'000u, 0u, 1u}) {
    std::string message(size, '\0');
    for (size_t i = 0; i < size; i += 101) message[i] = static_cast<char>(random.Below(256));
    sent.push_back(message);
    ASSERT_TRUE(SendFrom(*client, message).ok());
  }
  ASSERT_TRUE(server->messages.WaitFor(static_cast<int>(sent.size())));
  EXPECT_TRUE(server->received == sent);
}

TEST_F(PeerTransportTest, APortOfZeroIsAFreeOne) {
  Start();
  RunOn(*server_executor_, [this] { listener_.reset(); });
  Listen(OwnLoopbackHost() + ":0");
  ASSERT_GT(listener_->port(), 0);
  PeerSide& client = Connect(absl::StrCat(OwnLoopbackHost(), ":", listener_->port()));
  EXPECT_TRUE(SendFrom(client, "x").ok());
  EXPECT_TRUE(accepted_.WaitFor(1));
}

TEST_F(PeerTransportTest, APortInUseIsRefusedToOtherProcessesToo) {
  Start();
  auto other = MakePeerTransport();
  absl::Status status = other->Listen(endpoint_, server_executor_.get(), Acceptor()).status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
}

TEST_F(PeerTransportTest, AConnectionThatNobodyAnswersIsGivenUp) {
  options_.connect_timeout = seconds(1);
  Start();
  const std::string silent = FreeEndpoint();
  const int fd = ListenAndIgnore(silent);
  PeerSide& client = Connect(silent);
  ASSERT_TRUE(client.closed.WaitFor(1));
  EXPECT_TRUE(absl::IsUnavailable(client.why)) << client.why;
  EXPECT_EQ(OutcomeOf(client.why), Outcome::kUnknown);
  close(fd);
}

TEST_F(PeerTransportTest, MoreConnectionsThanAllowedAreRefusedWithTheReason) {
  server_options_.connections_max = 2;
  Start();
  auto [first, first_server] = ConnectBoth();
  ConnectBoth();
  PeerSide& third = Connect(endpoint_);
  ASSERT_TRUE(third.closed.WaitFor(1));
  EXPECT_THAT(std::string(third.why.message()), HasSubstr("2 connections already"));
  // The place of one that ended is free again.
  RunOn(*client_executor_, [side = first] { side->connection.reset(); });
  ASSERT_TRUE(first_server->closed.WaitFor(1));
  for (int attempt = 0; accepted_.count() < 3 && attempt < 1'000; ++attempt) {
    PeerSide& again = Connect(endpoint_);
    RunOn(*client_executor_, [&] { EXPECT_TRUE(again.connection->Send(Buffer()).ok()); });
    while (accepted_.count() < 3 && again.closed.count() == 0) RunOn(*client_executor_, [] {});
  }
  EXPECT_EQ(accepted_.count(), 3);
}

TEST_F(PeerTransportTest, AMessageBeyondTheOtherSidesLimitBreaksTheConnection) {
  server_options_.message_bytes_max = 1'000;
  Start();
  auto [client, server] = ConnectBoth();
  ASSERT_TRUE(SendFrom(*client, std::string(1'000, 'x')).ok());
  ASSERT_TRUE(server->messages.WaitFor(1));
  ASSERT_TRUE(SendFrom(*client, std::string(2'000, 'x')).ok());
  ASSERT_TRUE(client->closed.WaitFor(1));
  ASSERT_TRUE(server->closed.WaitFor(1));
  EXPECT_EQ(server->received.size(), 1u);
}

// The other side's owner doesn't take anything: the sender is refused at its limit, and told when
// there's room, without a message being lost.
TEST_F(PeerTransportTest, ASlowOwnerHoldsUpTheSenderAndNothingElse) {
  options_.send_bytes_max = 1 << 20;
  server_options_.receive_bytes_max = 100'000;  // reading pauses long before the sender stops
  Start();
  auto [client, server] = ConnectBoth();
  Gate blocked, release;
  server_executor_->Post([&] {
    blocked.Add();
    release.WaitFor(1);
  });
  ASSERT_TRUE(blocked.WaitFor(1));
  int sent = 0;
  absl::Status status;
  while (status.ok()) {
    status = SendFrom(*client, std::string(10'000, 'x'));
    if (status.ok()) ++sent;
  }
  EXPECT_EQ(ReasonOf(status), Reason::kOverloaded) << status;
  EXPECT_EQ(sent, (1 << 20) / 10'000);
  EXPECT_EQ(client->writable.count(), 0);
  release.Add();
  ASSERT_TRUE(client->writable.WaitFor(1));
  ASSERT_TRUE(server->messages.WaitFor(sent));
  EXPECT_TRUE(SendFrom(*client, "more").ok());
  ASSERT_TRUE(server->messages.WaitFor(sent + 1));
}

// Room is counted back to the last byte, although credit goes in steps.
TEST_F(PeerTransportTest, AMessageOfTheWholeLimitFindsRoom) {
  options_.send_bytes_max = 100'000;
  Start();
  auto [client, server] = ConnectBoth();
  ASSERT_TRUE(SendFrom(*client, "x").ok());  // too little for a step of credit
  int writable = 0;
  while (!SendFrom(*client, std::string(100'000, 'y')).ok()) {
    ASSERT_TRUE(client->writable.WaitFor(++writable));
  }
  ASSERT_TRUE(server->messages.WaitFor(2));
}

TEST_F(PeerTransportTest, EmptyMessagesAreBoundedToo) {
  Start();
  auto [client, server] = ConnectBoth();
  server->keep = false;
  Gate blocked, release;
  server_executor_->Post([&] {
    blocked.Add();
    release.WaitFor(1);
  });
  ASSERT_TRUE(blocked.WaitFor(1));
  int sent = 0;
  RunOn(*client_executor_, [&, side = client] {
    while (side->connection->Send(Buffer()).ok()) ++sent;
  });
  EXPECT_EQ(sent, 65'536);
  release.Add();
  EXPECT_TRUE(client->writable.WaitFor(1));
  EXPECT_TRUE(server->messages.WaitFor(sent));
}

// The acceptor has sent several messages before the connection is read and written: none of them
// may wait in gRPC's buffer for one that never follows.
TEST_F(PeerTransportTest, AnAcceptorMaySendAtOnce) {
  on_accept_ = [](PeerSide& side) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(side.connection->Send(Buffer::Copy("hello")).ok());
  };
  Start();
  for (int i = 0; i < 20; ++i) {
    PeerSide& client = Connect(endpoint_);
    ASSERT_TRUE(client.messages.WaitFor(3));
  }
}

TEST_F(PeerTransportTest, NoEventComesAfterClose) {
  Start();
  auto [client, server] = ConnectBoth();
  client->on_message = [side = client](const Buffer&) {
    if (side->messages.count() != 10) return;
    side->connection->Close();
    side->expects_events = false;
  };
  // A flood from the server, closed by the client in the middle of it.
  RunOn(*server_executor_, [side = server] {
    for (int i = 0; i < 2'000; ++i) {
      EXPECT_TRUE(side->connection->Send(Buffer::Copy(std::string(1'000, 'x'))).ok());
    }
  });
  ASSERT_TRUE(server->closed.WaitFor(1)) << "the other side learns of it nevertheless";
  EXPECT_THAT(std::string(server->why.message()), HasSubstr("the other side closed"));
  RunOn(*client_executor_, [] {});
  EXPECT_EQ(client->messages.count(), 11);
}

TEST_F(PeerTransportTest, MayBeDestroyedWithinItsEvents) {
  options_.send_bytes_max = 1'000;
  Start();
  auto [in_message, server] = ConnectBoth();
  in_message->on_message = [side = in_message](const Buffer&) {
    side->connection.reset();
    side->expects_events = false;
  };
  RunOn(*server_executor_, [side = server] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(side->connection->Send(Buffer::Copy("x")).ok());
  });
  ASSERT_TRUE(server->closed.WaitFor(1));
  RunOn(*client_executor_, [] {});
  EXPECT_EQ(in_message->messages.count(), 1);

  auto [in_writable, other_server] = ConnectBoth();
  in_writable->on_writable = [side = in_writable] {
    side->connection.reset();
    side->expects_events = false;
  };
  while (SendFrom(*in_writable, std::string(400, 'x')).ok()) {
  }
  ASSERT_TRUE(other_server->closed.WaitFor(1));
  RunOn(*client_executor_, [] {});
  EXPECT_EQ(in_writable->writable.count(), 1);
}

// Both directions are full when the server closes: what it had sent arrives nevertheless.
TEST_F(PeerTransportTest, WhatWasSentBeforeCloseArrivesAgainstTraffic) {
  Start();
  auto [client, server] = ConnectBoth();
  server->keep = false;
  client->keep = false;
  RunOn(*client_executor_, [side = client] {
    for (int i = 0; i < 12; ++i) {
      EXPECT_TRUE(side->connection->Send(Buffer::FromString(std::string(1 << 20, 'c'))).ok());
    }
  });
  RunOn(*server_executor_, [side = server] {
    for (int i = 0; i < 12; ++i) {
      EXPECT_TRUE(side->connection->Send(Buffer::FromString(std::string(1 << 20, 's'))).ok());
    }
    side->connection.reset();
    side->expects_events = false;
  });
  ASSERT_TRUE(client->closed.WaitFor(1));
  EXPECT_EQ(client->messages.count(), 12);
  EXPECT_THAT(std::string(client->why.message()), HasSubstr("the other side closed"));
}

TEST_F(PeerTransportTest, ConnectionsOutliveTheirListenerAndThePortIsFree) {
  Start();
  auto [client, server] = ConnectBoth();
  RunOn(*server_executor_, [this] { listener_.reset(); });
  ASSERT_TRUE(SendFrom(*client, "still here").ok());
  ASSERT_TRUE(server->messages.WaitFor(1));
  ASSERT_TRUE(SendFrom(*server, "so am I").ok());
  ASSERT_TRUE(client->messages.WaitFor(1));
  Listen(endpoint_);
  auto [next, next_server] = ConnectBoth();
  ASSERT_TRUE(SendFrom(*next, "x").ok());
  ASSERT_TRUE(next_server->messages.WaitFor(1));
  EXPECT_EQ(client->closed.count(), 0);
}

// The network drops everything: nobody is told, but keepalive asks.
TEST_F(PeerTransportTest, HalfOpenConnectionsAreFoundByBothSides) {
  for (PeerTransportOptions* options : {&options_, &server_options_}) {
    options->keepalive_interval = seconds(1);
    options->keepalive_timeout = seconds(1);
  }
  Start();
  const std::string relayed = FreeEndpoint();
  TcpProxy proxy(relayed, endpoint_);
  PeerSide& client = Connect(relayed);
  ASSERT_TRUE(accepted_.WaitFor(1));
  ASSERT_TRUE(SendFrom(client, "x").ok());
  ASSERT_TRUE(servers_[0]->messages.WaitFor(1));
  proxy.Block();
  EXPECT_TRUE(client.closed.WaitFor(1));
  EXPECT_TRUE(servers_[0]->closed.WaitFor(1));
  EXPECT_TRUE(absl::IsUnavailable(client.why)) << client.why;
}

// The same network at the end of the process: what can't go out holds up the destructor no longer
// than the grace and the keepalive.
TEST_F(PeerTransportTest, TheTransportEndsThoughPeersDoNotAnswer) {
  options_.keepalive_interval = seconds(1);
  options_.keepalive_timeout = seconds(1);
  Start();
  const std::string relayed = FreeEndpoint();
  TcpProxy proxy(relayed, endpoint_);
  PeerSide& client = Connect(relayed);
  ASSERT_TRUE(accepted_.WaitFor(1));
  proxy.Block();
  RunOn(*client_executor_, [&] {
    for (int i = 0; i < 15; ++i) {
      EXPECT_TRUE(client.connection->Send(Buffer::FromString(std::string(1 << 20, 'x'))).ok());
    }
  });
  const MonotonicTime start = SystemClock().Now();
  Stop();
  EXPECT_LT(SystemClock().Now() - start, seconds(8));
}

// What a foreign program sends. The peer is told; the other connections go on.
class ForeignPeer {
 public:
  explicit ForeignPeer(const std::string& endpoint)
      : stub_(internal::v1::PeerService::NewStub(
            grpc::CreateChannel(endpoint, grpc::InsecureChannelCredentials()))),
        stream_(stub_->Connect(&context_)) {}
  void Send(const internal::v1::ConnectRequest& request) { stream_->Write(request); }
  bool Read(internal::v1::ConnectResponse* response) { return stream_->Read(response); }
  grpc::Status End() {
    internal::v1::ConnectResponse response;
    while (stream_->Read(&response)) {
    }
    return stream_->Finish();
  }

 private:
  std::unique_ptr<internal::v1::PeerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriter<internal::v1::ConnectRequest, internal::v1::ConnectResponse>>
      stream_;
};

TEST_F(PeerTransportTest, BreaksConnectionsThatBreakTheProtocol) {
  Start();
  auto [client, server] = ConnectBoth();
  internal::v1::ConnectRequest credit, unknown, message;
  credit.mutable_credit()->set_bytes(1);
  message.set_payload("hello");
  for (const auto& bad : {credit, unknown}) {
    const int before = accepted_.count();
    ForeignPeer peer(endpoint_);
    peer.Send(message);
    peer.Send(bad);
    grpc::Status status = peer.End();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("the peer"));
    ASSERT_TRUE(accepted_.WaitFor(before + 1));
    ASSERT_TRUE(servers_.back()->closed.WaitFor(1));
    EXPECT_THAT(servers_.back()->received, ::testing::ElementsAre("hello"));
  }
  ASSERT_TRUE(SendFrom(*client, "x").ok());
  ASSERT_TRUE(server->messages.WaitFor(1));
}

TEST_F(PeerTransportTest, SpeaksWhatTheProtoSays) {
  Start();
  ForeignPeer peer(endpoint_);
  internal::v1::ConnectRequest request;
  request.set_payload("ping");
  peer.Send(request);
  request.mutable_credit_request();
  peer.Send(request);
  internal::v1::ConnectResponse response;
  ASSERT_TRUE(peer.Read(&response));
  EXPECT_EQ(response.credit().bytes(), 4u);
  EXPECT_EQ(response.credit().messages(), 1u);
  ASSERT_TRUE(accepted_.WaitFor(1));
  ASSERT_TRUE(SendFrom(*servers_[0], "pong").ok());
  ASSERT_TRUE(peer.Read(&response));
  EXPECT_EQ(response.payload(), "pong");
  request.mutable_end();
  peer.Send(request);
  EXPECT_TRUE(peer.End().ok());
  ASSERT_TRUE(servers_[0]->closed.WaitFor(1));
  EXPECT_THAT(std::string(servers_[0]->why.message()), HasSubstr("the other side closed"));
}

// One connection is kept full of 1 MiB messages; a message of 100 bytes goes to and fro on another
// between the same two executors. Alone that takes 0.2 ms; with a shared HTTP/2 connection it would
// queue behind up to 16 MiB. The bound leaves room for a loaded machine.
TEST_F(PeerTransportTest, BulkDataDoesNotDelayAnotherConnection) {
  constexpr int kRoundTrips = 300;
  // An idle machine takes a few milliseconds. Behind the bulk data each would wait for seconds.
  constexpr Duration kP99Max = milliseconds(500);
  Start();
  auto [bulk, bulk_server] = ConnectBoth();
  auto [control, control_server] = ConnectBoth();
  bulk_server->keep = control_server->keep = control->keep = false;
  const Buffer payload = Buffer::FromString(std::string(1 << 20, 'b'));
  bulk->on_writable = [side = bulk, payload] {
    while (side->connection->Send(payload).ok()) {
    }
  };
  control_server->on_message = [side = control_server](Buffer message) {
    EXPECT_TRUE(side->connection->Send(std::move(message)).ok());
  };
  std::vector<Duration> times;
  MonotonicTime sent;
  const auto ping = [&, side = control] {
    sent = SystemClock().Now();
    EXPECT_TRUE(side->connection->Send(Buffer::FromString(std::string(100, 'c'))).ok());
  };
  control->on_message = [&](const Buffer&) {
    times.push_back(SystemClock().Now() - sent);
    if (times.size() < kRoundTrips) ping();
  };
  RunOn(*client_executor_, bulk->on_writable);
  ASSERT_TRUE(bulk_server->messages.WaitFor(16));
  RunOn(*client_executor_, ping);
  ASSERT_TRUE(control->messages.WaitFor(kRoundTrips));
  const int bulk_messages = bulk_server->messages.count();
  RunOn(*client_executor_, [side = bulk] { side->on_writable = nullptr; });
  std::sort(times.begin(), times.end());
  EXPECT_LT(times[times.size() * 99 / 100], kP99Max);
  EXPECT_GT(bulk_messages, 32) << "the other connection wasn't busy";
}

}  // namespace
}  // namespace catamaran::broker
