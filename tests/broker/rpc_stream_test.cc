// Streams over a real connection.
#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "tests/broker/rpc_fixture.h"

namespace catamaran::broker {
namespace {

void SetDeadline(grpc::ClientContext& context, int seconds = 60) {
  context.set_deadline(
      gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(seconds, GPR_TIMESPAN)));
}

v1::AppendStreamRequest AppendRequest(const std::string& topic_id, int64_t correlation,
                                      std::string batch) {
  v1::AppendStreamRequest request;
  request.set_correlation_id(correlation);
  auto* entry = request.mutable_append()->add_batches();
  entry->mutable_partition()->set_topic_id(topic_id);
  entry->set_batch(std::move(batch));
  return request;
}

TEST(RpcStreamTest, StreamsShareTheBudgetOfBytesInWork) {
  RpcOptions rpc;
  rpc.connection_inflight_bytes_max = 4 << 20;
  RealBroker broker(rpc);
  std::string topic = broker.CreateTopic("t", 1);
  const std::string batch = MakeBatch(1, 900'000);
  constexpr int kStreams = 4;
  constexpr int kBatches = 20;
  // Streams of four connections push as much as they can; all of it is stored all the same.
  std::vector<std::thread> writers;
  for (int i = 0; i < kStreams; ++i) {
    writers.emplace_back([&] {
      auto stub = v1::BatchService::NewStub(broker.Channel());
      grpc::ClientContext context;
      SetDeadline(context);
      auto stream = stub->AppendStream(&context);
      std::thread sender([&] {
        for (int n = 0; n < kBatches; ++n) stream->Write(AppendRequest(topic, n, batch));
        stream->WritesDone();
      });
      int answers = 0;
      v1::AppendStreamResponse response;
      while (stream->Read(&response)) {
        if (response.correlation_id() < 0) continue;
        EXPECT_TRUE(response.results(0).has_receipt()) << response.DebugString();
        ++answers;
        // Each connection's limit, and the message that was on its way when it was reached.
        EXPECT_LE(broker.counters().Get(Gauge::kInflightBytes),
                  kStreams * (rpc.connection_inflight_bytes_max + 901'000));
      }
      EXPECT_EQ(answers, kBatches);
      sender.join();
      const grpc::Status status = stream->Finish();
      EXPECT_TRUE(status.ok()) << status.error_message();
    });
  }
  for (std::thread& writer : writers) writer.join();
  // The last credits go just after the last answers.
  const MonotonicTime deadline = SystemClock().Now() + std::chrono::seconds(30);
  while (broker.counters().Get(Gauge::kInflightBytes) > 0 && SystemClock().Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(broker.counters().Get(Gauge::kInflightBytes), 0);
}

TEST(RpcStreamTest, PipelinedAppendsAndAFollowingReader) {
  RealBroker broker;
  std::string topic = broker.CreateTopic("t", 1, {{"durability", "async"}});
  auto stub = v1::BatchService::NewStub(broker.Channel());
  auto reader_stub = v1::BatchService::NewStub(broker.Channel());
  constexpr int kBatches = 300;
  constexpr int kRecords = 50;
  const std::string batch = MakeBatch(kRecords, 100);

  std::thread reader([&] {
    grpc::ClientContext context;
    SetDeadline(context);
    auto stream = reader_stub->FetchStream(&context);
    v1::FetchStreamRequest start;
    start.add_positions()->mutable_partition()->set_topic_id(topic);
    start.set_add_credit_bytes(1 << 20);
    ASSERT_TRUE(stream->Write(start));
    int64_t next = 0;
    v1::FetchStreamResponse response;
    while (next < kBatches * kRecords && stream->Read(&response)) {
      ASSERT_FALSE(response.data().has_error()) << response.data().error().message();
      if (response.data().batches().empty()) continue;
      absl::StatusOr<BatchHeader> header = ParseBatchHeader(response.data().batches());
      ASSERT_TRUE(header.ok());
      EXPECT_EQ(header->base_offset.value(), next) << "no gap";
      next = response.data().next_offset();
      v1::FetchStreamRequest credit;
      credit.set_add_credit_bytes(static_cast<int64_t>(response.data().batches().size()));
      stream->Write(credit);
    }
    EXPECT_EQ(next, kBatches * kRecords);
    context.TryCancel();
    stream->Finish();
  });

  grpc::ClientContext context;
  SetDeadline(context);
  auto stream = stub->AppendStream(&context);
  v1::AppendStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.correlation_id(), -1);
  EXPECT_GT(response.credit_bytes(), 0);
  std::thread writer([&] {
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_TRUE(stream->Write(AppendRequest(topic, i, batch)));
    }
    stream->WritesDone();
  });
  int64_t expected = 0;
  while (stream->Read(&response)) {
    ASSERT_EQ(response.correlation_id(), expected);
    ASSERT_TRUE(response.results(0).has_receipt()) << response.DebugString();
    EXPECT_EQ(response.results(0).receipt().base_offset(), expected * kRecords);
    ++expected;
  }
  writer.join();
  EXPECT_EQ(expected, kBatches);
  EXPECT_TRUE(stream->Finish().ok());
  reader.join();
}

TEST(RpcStreamTest, ASlowReaderHoldsABoundedAmount) {
  ApiLimits limits;
  limits.fetch_stream_buffer_bytes = 1 << 20;
  RealBroker broker({}, limits);
  std::string topic = broker.CreateTopic("t", 1, {{"durability", "async"}});
  auto stub = v1::BatchService::NewStub(broker.Channel());
  constexpr int kBatches = 64;
  for (int i = 0; i < kBatches; ++i) {
    v1::AppendBatchesRequest request;
    auto* entry = request.add_batches();
    entry->mutable_partition()->set_topic_id(topic);
    entry->set_batch(MakeBatch(1, 900'000));
    v1::AppendBatchesResponse response;
    grpc::ClientContext context;
    SetDeadline(context);
    ASSERT_TRUE(stub->AppendBatches(&context, request, &response).ok());
    ASSERT_TRUE(response.results(0).has_receipt()) << response.DebugString();
  }
  auto reader_stub = v1::BatchService::NewStub(broker.Channel());
  grpc::ClientContext context;
  SetDeadline(context);
  auto stream = reader_stub->FetchStream(&context);
  v1::FetchStreamRequest start;
  start.add_positions()->mutable_partition()->set_topic_id(topic);
  start.set_add_credit_bytes(250 << 20);
  ASSERT_TRUE(stream->Write(start));
  // The reader reads nothing: what the broker reads from its log stands still at the buffer and the
  // transport's windows, far below what there is.
  auto bytes_read = [&] { return broker.counters().Get(Counter::kFetchBytes); };
  int64_t before = -1;
  for (int i = 0; i < 100 && before != bytes_read(); ++i) {
    before = bytes_read();
    Notification pause;
    pause.Wait(std::chrono::milliseconds(200));
  }
  EXPECT_LT(bytes_read(), 40 << 20);
  int64_t next = 0;
  v1::FetchStreamResponse response;
  while (next < kBatches && stream->Read(&response)) next = response.data().next_offset();
  EXPECT_EQ(next, kBatches) << "and everything comes when it reads";
  context.TryCancel();
  stream->Finish();
}

TEST(RpcStreamTest, ProduceSessionOverTheWire) {
  RealBroker broker;
  broker.CreateTopic("t", 3);
  auto stub = v1::ProducerService::NewStub(broker.Channel());
  v1::ProduceSessionResume resume;
  for (int session = 0; session < 2; ++session) {
    grpc::ClientContext context;
    SetDeadline(context);
    auto stream = stub->ProduceSession(&context);
    v1::ProduceSessionRequest request;
    request.mutable_open()->set_topic("t");
    if (session > 0) *request.mutable_open()->mutable_resume() = resume;
    ASSERT_TRUE(stream->Write(request));
    v1::ProduceSessionResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.message_id(), -1);
    EXPECT_GT(response.window_bytes(), 0);
    for (int i = 0; i < 10; ++i) {
      request.mutable_send()->set_message_id(session * 10 + i);
      request.mutable_send()->clear_records();
      request.mutable_send()->add_records()->set_value(std::to_string(i));
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(stream->Read(&response));
      EXPECT_EQ(response.message_id(), session * 10 + i);
      EXPECT_TRUE(response.results(0).has_receipt()) << response.DebugString();
      EXPECT_FALSE(response.results(0).receipt().duplicate());
    }
    resume = response.resume();
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_TRUE(stream->Finish().ok());
  }
}

TEST(RpcStreamTest, AbandonedStreamsAreForgotten) {
  RealBroker broker;
  std::string topic = broker.CreateTopic("t");
  for (int i = 0; i < 20; ++i) {
    auto stub = v1::BatchService::NewStub(broker.Channel());
    grpc::ClientContext fetch_context;
    auto fetch = stub->FetchStream(&fetch_context);
    v1::FetchStreamRequest start;
    start.add_positions()->mutable_partition()->set_topic_id(topic);
    start.set_add_credit_bytes(1'000);
    fetch->Write(start);
    v1::FetchStreamResponse caught_up;
    ASSERT_TRUE(fetch->Read(&caught_up));
    grpc::ClientContext append_context;
    auto append = stub->AppendStream(&append_context);
    append->Write(AppendRequest(topic, 1, MakeBatch(1, 10)));
    fetch_context.TryCancel();
    append_context.TryCancel();
    fetch->Finish();
    append->Finish();
  }
  MonotonicTime deadline = SystemClock().Now() + std::chrono::seconds(10);
  while (broker.server().calls_in_flight() > 0 && SystemClock().Now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(broker.server().calls_in_flight(), 0);
  EXPECT_EQ(broker.counters().Get(Gauge::kOpenStreams), 0);
}

TEST(RpcStreamTest, MetadataWatchFollowsTopics) {
  RealBroker broker;
  auto stub = v1::ClusterService::NewStub(broker.Channel());
  grpc::ClientContext context;
  SetDeadline(context);
  auto stream = stub->WatchMetadata(&context, v1::WatchMetadataRequest());
  v1::WatchMetadataResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.has_snapshot());
  broker.CreateTopic("watched");
  bool seen = false;
  while (!seen && stream->Read(&response)) {
    for (const auto& event : response.events()) {
      seen = seen || event.topic_updated().name() == "watched";
    }
  }
  EXPECT_TRUE(seen);
  context.TryCancel();
  stream->Finish();
}

TEST(RpcStreamTest, ShutdownEndsStreamsWithinItsGrace) {
  RealBroker broker;
  std::string topic = broker.CreateTopic("t");
  auto stub = v1::BatchService::NewStub(broker.Channel());
  grpc::ClientContext context;
  auto fetch = stub->FetchStream(&context);
  v1::FetchStreamRequest start;
  start.add_positions()->mutable_partition()->set_topic_id(topic);
  start.set_add_credit_bytes(1'000);
  fetch->Write(start);
  v1::FetchStreamResponse response;
  ASSERT_TRUE(fetch->Read(&response));
  MonotonicTime begin = SystemClock().Now();
  broker.server().Shutdown(std::chrono::milliseconds(200));
  EXPECT_LT(SystemClock().Now() - begin, std::chrono::seconds(10));
  EXPECT_FALSE(fetch->Read(&response));
  EXPECT_FALSE(fetch->Finish().ok());
}

}  // namespace
}  // namespace catamaran::broker
