// What every Transport promises: the test body that each implementation instantiates with its own
// runtime (INSTANTIATE_TEST_SUITE_P of TransportContractTest), in one source of its test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tests/base/runtime_fixture.h"

namespace catamaran {

inline constexpr size_t kSendBytesMax = 1000;

class TransportContractTest : public ::testing::TestWithParam<RuntimeChoice> {
 protected:
  ~TransportContractTest() override {
    // Each on the executor that owns it, as the contract asks.
    RunOn(*client_executor_, [this] { client_.reset(); });
    RunOn(*server_executor_, [this] {
      server_.reset();
      listener_.reset();
    });
    client_executor_.reset();
    server_executor_.reset();
  }

  void RunOn(Executor& executor, Task task) {
    Gate done;
    executor.Post([&] {
      std::move(task)();
      done.Add();
    });
    EXPECT_TRUE(runtime_->Await(done, 1));
  }

  ConnectionEvents ServerEvents() {
    ConnectionEvents events;
    events.on_message = [this](Buffer message) {
      received_.push_back(std::string(message.view()));
      if (echo_) {
        EXPECT_TRUE(server_->Send(message).ok());
      }
      gate_.Add();
    };
    events.on_closed = [this](absl::Status why) {
      server_closed_ = why;
      server_.reset();
      gate_.Add();
    };
    return events;
  }

  void Listen() {
    RunOn(*server_executor_, [this] {
      auto acceptor = [this](std::unique_ptr<Connection> connection) {
        if (refuse_) return ConnectionEvents();
        server_ = std::move(connection);
        return ServerEvents();
      };
      listener_ = transport_->Listen(here_, server_executor_.get(), std::move(acceptor)).value();
    });
  }

  // `first` runs right after Connect, on the client's executor.
  void Connect(
      const std::string& endpoint, Task first = [] {}) {
    RunOn(*client_executor_, [&] {
      ConnectionEvents events;
      events.on_message = [this](Buffer message) {
        EXPECT_TRUE(client_executor_->IsCurrent());
        echoed_.push_back(std::string(message.view()));
        gate_.Add();
      };
      events.on_writable = [this] { writable_.Add(); };
      events.on_closed = [this](absl::Status why) {
        client_closed_ = why;
        client_.reset();
        gate_.Add();
      };
      client_ = transport_->Connect(endpoint, client_executor_.get(), std::move(events));
      std::move(first)();
    });
  }

  std::unique_ptr<Runtime> runtime_ = GetParam().make();
  std::unique_ptr<Transport> transport_ = runtime_->MakeTransport(kSendBytesMax);
  const std::string here_ = runtime_->Endpoint("a");
  Gate gate_;
  Gate writable_;
  std::unique_ptr<Executor> client_executor_ = runtime_->MakeExecutor("client");
  std::unique_ptr<Executor> server_executor_ = runtime_->MakeExecutor("server");
  bool echo_ = false;
  bool refuse_ = false;

  // On the server's executor, or after the gate.
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Connection> server_;
  std::vector<std::string> received_;
  absl::Status server_closed_;
  // On the client's executor, or after the gate.
  std::unique_ptr<Connection> client_;
  std::vector<std::string> echoed_;
  absl::Status client_closed_;
};

TEST_P(TransportContractTest, CarriesMessagesBothWaysInOrder) {
  echo_ = true;
  Listen();
  Connect(here_, [this] {
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(client_->Send(Buffer::FromString(std::to_string(i))).ok());
    }
    ASSERT_TRUE(client_->Send(Buffer()).ok());
  });
  ASSERT_TRUE(runtime_->Await(gate_, 102));
  std::vector<std::string> expected;
  for (int i = 0; i < 50; ++i) expected.push_back(std::to_string(i));
  expected.push_back("");
  EXPECT_EQ(received_, expected);
  EXPECT_EQ(echoed_, expected);
}

TEST_P(TransportContractTest, NobodyListens) {
  Connect(runtime_->Endpoint("nobody"));
  ASSERT_TRUE(runtime_->Await(gate_, 1));
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
  EXPECT_EQ(OutcomeOf(client_closed_), Outcome::kUnknown);
}

TEST_P(TransportContractTest, NobodyListensAnyMore) {
  Listen();
  RunOn(*server_executor_, [this] { listener_.reset(); });
  Connect(here_);
  ASSERT_TRUE(runtime_->Await(gate_, 1));
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
}

TEST_P(TransportContractTest, AnAcceptorMayRefuse) {
  refuse_ = true;
  Listen();
  Connect(here_);
  ASSERT_TRUE(runtime_->Await(gate_, 1));
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
}

TEST_P(TransportContractTest, AnEndpointHasOneListener) {
  Listen();
  absl::Status second = transport_->Listen(here_, server_executor_.get(), Acceptor()).status();
  EXPECT_TRUE(absl::IsAlreadyExists(second)) << second;
}

TEST_P(TransportContractTest, WhatWasSentBeforeCloseArrives) {
  Listen();
  Connect(here_, [this] {
    ASSERT_TRUE(client_->Send(Buffer::FromString("last words")).ok());
    client_->Close();
    EXPECT_EQ(ReasonOf(client_->Send(Buffer::FromString("too late"))), Reason::kShuttingDown);
  });
  ASSERT_TRUE(runtime_->Await(gate_, 2));
  EXPECT_THAT(received_, ::testing::ElementsAre("last words"));
  EXPECT_TRUE(absl::IsUnavailable(server_closed_)) << server_closed_;
  EXPECT_TRUE(client_closed_.ok()) << "the side that closes gets no event";
}

TEST_P(TransportContractTest, TheServerMayCloseWithinAnEvent) {
  echo_ = false;
  Listen();
  Connect(here_, [this] { ASSERT_TRUE(client_->Send(Buffer::FromString("x")).ok()); });
  ASSERT_TRUE(runtime_->Await(gate_, 1));
  RunOn(*server_executor_, [this] { server_.reset(); });
  ASSERT_TRUE(runtime_->Await(gate_, 2));
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
}

TEST_P(TransportContractTest, RefusesWhatExceedsTheBufferAndSaysWhenThereIsRoom) {
  Listen();
  Connect(here_, [this] {
    std::string message(400, 'x');
    EXPECT_TRUE(client_->Send(Buffer::Copy(message)).ok());
    EXPECT_TRUE(client_->Send(Buffer::Copy(message)).ok());
    EXPECT_EQ(ReasonOf(client_->Send(Buffer::Copy(std::string(1001, 'x')))),
              Reason::kRequestTooLarge);
    EXPECT_TRUE(client_->Send(Buffer::Copy(std::string(200, 'x'))).ok());
  });
  // Fill it for certain: credit may come back between two of these.
  RunOn(*client_executor_, [this] {
    absl::Status status;
    while (status.ok()) status = client_->Send(Buffer::Copy(std::string(400, 'y')));
    EXPECT_EQ(ReasonOf(status), Reason::kOverloaded) << status;
  });
  ASSERT_TRUE(runtime_->Await(writable_, 1));
  RunOn(*client_executor_,
        [this] { EXPECT_TRUE(client_->Send(Buffer::Copy(std::string(400, 'z'))).ok()); });
}

}  // namespace catamaran
