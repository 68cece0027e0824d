// Unary calls over a real connection: round trips and every kind of bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/error.h"
#include "tests/broker/rpc_fixture.h"

namespace catamaran::broker {
namespace {

class RpcTest : public testing::Test {
 protected:
  void SetUp() override {
    topic_id_ = broker_.CreateTopic("t", 2);
    channel_ = broker_.Channel();
    batch_ = v1::BatchService::NewStub(channel_);
    produce_ = v1::ProducerService::NewStub(channel_);
    consume_ = v1::ConsumerService::NewStub(channel_);
    topics_ = v1::TopicService::NewStub(channel_);
  }

  static void SetDeadline(grpc::ClientContext& context, int seconds = 30) {
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(seconds, GPR_TIMESPAN)));
  }
  // Appends one batch; the reason of the refusal, or "" when it was stored.
  std::string AppendReason(std::string batch, int partition = 0,
                           std::optional<std::string> topic_id = std::nullopt) {
    v1::AppendBatchesRequest request;
    auto* entry = request.add_batches();
    entry->mutable_partition()->set_topic_id(topic_id.value_or(topic_id_));
    entry->mutable_partition()->set_partition(partition);
    entry->set_batch(std::move(batch));
    v1::AppendBatchesResponse response;
    grpc::ClientContext context;
    SetDeadline(context);
    grpc::Status status = batch_->AppendBatches(&context, request, &response);
    if (!status.ok()) return "status " + InfoOf(status).reason();
    EXPECT_EQ(response.results_size(), 1);
    if (response.results(0).has_receipt()) return "";
    EXPECT_NE(response.results(0).error().message(), "");
    EXPECT_NE(response.results(0).error().code(), 0);
    return response.results(0).error().reason();
  }
  grpc::Status Produce(const std::function<void(v1::ProduceRequest*)>& change,
                       v1::ProduceResponse* response) {
    v1::ProduceRequest request;
    request.set_topic("t");
    request.add_records()->set_value("v");
    change(&request);
    grpc::ClientContext context;
    SetDeadline(context);
    return produce_->Produce(&context, request, response);
  }
  std::string ProduceReason(const std::function<void(v1::ProduceRequest*)>& change) {
    v1::ProduceResponse response;
    grpc::Status status = Produce(change, &response);
    if (status.ok()) {
      return response.results(0).has_receipt() ? "" : response.results(0).error().reason();
    }
    EXPECT_EQ(InfoOf(status).domain(), "catamaran");
    return InfoOf(status).reason();
  }
  std::string FetchReason(const std::function<void(v1::FetchRequest*)>& change) {
    v1::FetchRequest request;
    request.set_topic("t");
    change(&request);
    v1::FetchResponse response;
    grpc::ClientContext context;
    SetDeadline(context);
    grpc::Status status = consume_->Fetch(&context, request, &response);
    return status.ok() ? "" : InfoOf(status).reason();
  }

  RealBroker broker_;
  std::string topic_id_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::BatchService::Stub> batch_;
  std::unique_ptr<v1::ProducerService::Stub> produce_;
  std::unique_ptr<v1::ConsumerService::Stub> consume_;
  std::unique_ptr<v1::TopicService::Stub> topics_;
};

TEST_F(RpcTest, BinaryRoundTripOfBothWays) {
  const std::string binary("\0\xff\x80\n", 4);
  v1::ProduceResponse produced;
  grpc::Status status = Produce(
      [&](v1::ProduceRequest* request) {
        request->set_partition(1);
        request->set_compression(v1::COMPRESSION_ZSTD);
        v1::Record* record = request->mutable_records(0);
        record->set_key(binary);
        record->set_value(binary);
        v1::RecordHeader* header = record->add_headers();
        header->set_key("h");
        header->set_value(binary);
      },
      &produced);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(produced.results(0).has_receipt()) << produced.DebugString();

  v1::FetchRequest request;
  request.set_topic("t");
  request.set_partition(1);
  v1::FetchResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  ASSERT_TRUE(consume_->Fetch(&context, request, &response).ok());
  ASSERT_EQ(response.records_size(), 1);
  EXPECT_EQ(response.records(0).key(), binary);
  EXPECT_EQ(response.records(0).value(), binary);
  EXPECT_EQ(response.records(0).headers(0).value(), binary);

  // The fast way reads the same batch, and what it stored comes back byte for byte but for the
  // fields that the broker writes.
  const std::string batch = MakeBatch(3, 50, Codec::kLz4);
  EXPECT_EQ(AppendReason(batch), "");
  v1::FetchBatchesRequest fetch;
  for (int i = 0; i < 2; ++i) {
    auto* partition = fetch.add_partitions();
    partition->mutable_partition()->set_topic_id(topic_id_);
    partition->mutable_partition()->set_partition(i);
  }
  v1::FetchBatchesResponse fetched;
  grpc::ClientContext fetch_context;
  SetDeadline(fetch_context);
  ASSERT_TRUE(batch_->FetchBatches(&fetch_context, fetch, &fetched).ok());
  ASSERT_EQ(fetched.partitions_size(), 2);
  EXPECT_EQ(fetched.partitions(0).batches().substr(16), batch.substr(16));
  EXPECT_EQ(fetched.partitions(0).next_offset(), 3);
  EXPECT_EQ(fetched.partitions(1).next_offset(), 1);
}

TEST_F(RpcTest, BadBatchesAreRefusedWithTheirReason) {
  const std::string good = MakeBatch(3, 100);
  auto patched = [&](size_t position, char value) {
    std::string batch = good;
    batch[position] = value;
    return batch;
  };
  EXPECT_EQ(AppendReason(""), "CORRUPT_BATCH");
  EXPECT_EQ(AppendReason("short"), "CORRUPT_BATCH");
  EXPECT_EQ(AppendReason(good.substr(0, good.size() - 1)), "CORRUPT_BATCH");
  EXPECT_EQ(AppendReason(good + "x"), "CORRUPT_BATCH");
  EXPECT_EQ(AppendReason(good + good), "CORRUPT_BATCH");
  EXPECT_EQ(AppendReason(patched(16, 1)), "CORRUPT_BATCH") << "another magic";
  EXPECT_EQ(AppendReason(patched(good.size() - 1, '!')), "CORRUPT_BATCH") << "wrong CRC";
  EXPECT_EQ(AppendReason(patched(8, '\x7f')), "CORRUPT_BATCH") << "a length of 2 GB";
  EXPECT_EQ(AppendReason(patched(8, '\xff')), "CORRUPT_BATCH") << "a negative length";
  EXPECT_NE(AppendReason(patched(7, 1)), "") << "base offset isn't 0";
  EXPECT_EQ(AppendReason(MakeBatch(1, 2 << 20)), "RECORD_TOO_LARGE");
  // A bomb: well-formed zstd that grows beyond the bound.
  std::string bomb = MakeBatch(1, 60 << 20, Codec::kZstd);
  EXPECT_LT(bomb.size(), 1u << 20);
  std::string reason = AppendReason(bomb);
  EXPECT_TRUE(reason.empty() || reason == "RECORD_TOO_LARGE") << reason;
  EXPECT_EQ(AppendReason(good, 2), "UNKNOWN_PARTITION");
  EXPECT_EQ(AppendReason(good, -1), "UNKNOWN_PARTITION");
  EXPECT_EQ(AppendReason(good, 0, "short"), "INVALID_ARGUMENT");
  EXPECT_EQ(AppendReason(good, 0, std::string(16, 'x')), "UNKNOWN_TOPIC");
  EXPECT_EQ(AppendReason(good), "") << "and a good one still goes";
}

TEST_F(RpcTest, TransactionalAndControlBatchesAreRefused) {
  BatchBuilderOptions options;
  options.transactional = true;
  options.producer_id = ProducerId(0);
  options.producer_epoch = ProducerEpoch(0);
  options.base_sequence = Sequence(0);
  BatchBuilder builder(options);
  builder.Add(TimestampMs(1'000), std::nullopt, "x");
  EXPECT_EQ(AppendReason(builder.Build().value()), "NOT_SUPPORTED");
}

TEST_F(RpcTest, BadProduceRequestsAreRefusedWithTheirReason) {
  using Request = v1::ProduceRequest;
  EXPECT_EQ(ProduceReason([](Request*) {}), "");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_topic(""); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_topic("missing"); }), "UNKNOWN_TOPIC");
  for (const std::string& name : {std::string("a/b"), std::string(".."), std::string("a\0b", 3),
                                  std::string(250, 'x'), std::string(100'000, 'y')}) {
    EXPECT_EQ(ProduceReason([&](Request* r) { r->set_topic(name); }), "INVALID_TOPIC_NAME");
  }
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_topic_id("abc"); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_topic_id(std::string(16, 'x')); }),
            "TOPIC_ID_MISMATCH");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_partition(7); }), "UNKNOWN_PARTITION");
  EXPECT_EQ(ProduceReason([](Request* r) { r->clear_records(); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_timeout_ms(-1); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_timeout_ms(300'001); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_acks(static_cast<v1::Acks>(9)); }),
            "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_compression(static_cast<v1::Compression>(9)); }),
            "UNSUPPORTED_COMPRESSION");
  EXPECT_EQ(ProduceReason([](Request* r) { r->set_base_sequence(1); }), "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->mutable_producer()->set_producer_id(1); }),
            "INVALID_ARGUMENT");
  EXPECT_EQ(ProduceReason([](Request* r) { r->mutable_records(0)->set_timestamp_ms(-2); }),
            "INVALID_TIMESTAMP");
  EXPECT_EQ(ProduceReason([](Request* r) { r->mutable_records(0)->set_timestamp_ms(INT64_MAX); }),
            "INVALID_TIMESTAMP");
  EXPECT_EQ(ProduceReason(
                [](Request* r) { r->mutable_records(0)->set_value(std::string(3 << 20, 'x')); }),
            "RECORD_TOO_LARGE");
  v1::ProduceResponse none;
  ASSERT_TRUE(Produce([](Request* r) { r->set_acks(v1::ACKS_NONE); }, &none).ok());
  EXPECT_EQ(none.results(0).receipt().base_offset(), -1);
}

TEST_F(RpcTest, BadFetchesAreRefusedWithTheirReason) {
  using Request = v1::FetchRequest;
  EXPECT_EQ(FetchReason([](Request* r) { r->set_offset(-1); }), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_offset(INT64_MAX); }), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_offset(INT64_MIN); }), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_max_wait_ms(60'001); }), "INVALID_ARGUMENT");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_max_records(-1); }), "INVALID_ARGUMENT");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_max_bytes(-1); }), "INVALID_ARGUMENT");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_partition(-1); }), "UNKNOWN_PARTITION");
  EXPECT_EQ(FetchReason([](Request* r) { r->set_topic("gone"); }), "UNKNOWN_TOPIC");
}

TEST_F(RpcTest, TheDetailsCarryWhatTheSentenceSays) {
  v1::FetchRequest request;
  request.set_topic("t");
  request.set_offset(42);
  v1::FetchResponse response;
  grpc::ClientContext context;
  SetDeadline(context);
  grpc::Status status = consume_->Fetch(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  google::rpc::ErrorInfo info = InfoOf(status);
  EXPECT_EQ(info.reason(), "OFFSET_OUT_OF_RANGE");
  EXPECT_EQ(info.metadata().at("log_start"), "0");
  EXPECT_EQ(info.metadata().at("log_end"), "0");
}

TEST_F(RpcTest, OversizedRequestsAreRefusedAndTheConnectionLives) {
  RpcOptions options;
  options.message_bytes_max = 100'000;
  RealBroker small(options);
  small.CreateTopic("t");
  auto stub = v1::ProducerService::NewStub(small.Channel());
  auto produce = [&](size_t bytes) {
    v1::ProduceRequest request;
    request.set_topic("t");
    request.add_records()->set_value(std::string(bytes, 'x'));
    v1::ProduceResponse response;
    grpc::ClientContext context;
    SetDeadline(context);
    return stub->Produce(&context, request, &response);
  };
  EXPECT_TRUE(produce(90'000).ok());
  EXPECT_EQ(InfoOf(produce(200'000)).reason(), "REQUEST_TOO_LARGE");
  // Far above it gRPC itself refuses.
  EXPECT_EQ(produce(20'000'000).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(produce(90'000).ok());
}

TEST_F(RpcTest, CallsPastTheLimitAreRefusedAndTheOthersLive) {
  RpcOptions options;
  options.calls_max = 4;
  RealBroker small(options);
  small.CreateTopic("t");
  auto stub = v1::ConsumerService::NewStub(small.Channel());
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&] {
      v1::FetchRequest request;
      request.set_topic("t");
      request.set_max_wait_ms(1'000);
      v1::FetchResponse response;
      grpc::ClientContext context;
      SetDeadline(context);
      grpc::Status status = stub->Fetch(&context, request, &response);
      if (InfoOf(status).reason() == "OVERLOADED") ++refused;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 6);
  EXPECT_EQ(small.server().calls_in_flight(), 0);
}

TEST_F(RpcTest, ALongPollWakesAtOnce) {
  auto fetch = std::thread([&] {
    v1::FetchRequest request;
    request.set_topic("t");
    request.set_partition(0);
    request.set_max_wait_ms(30'000);
    v1::FetchResponse response;
    grpc::ClientContext context;
    SetDeadline(context);
    EXPECT_TRUE(consume_->Fetch(&context, request, &response).ok());
    EXPECT_EQ(response.records_size(), 1);
  });
  while (broker_.server().calls_in_flight() == 0) std::this_thread::yield();
  EXPECT_EQ(ProduceReason([](v1::ProduceRequest* r) { r->set_partition(0); }), "");
  MonotonicTime produced = SystemClock().Now();
  fetch.join();
  EXPECT_LT(SystemClock().Now() - produced, std::chrono::seconds(5));
}

TEST_F(RpcTest, HealthAndReflectionAnswer) {
  // By their full names, as probes call them.
  grpc::GenericStub generic(channel_);
  auto call = [&](const std::string& method, const std::string& bytes) {
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    SetDeadline(context);
    grpc::Slice slice(bytes);
    grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::Status status;
    auto rpc = generic.PrepareUnaryCall(&context, method, request, &queue);
    rpc->StartCall();
    rpc->Finish(&response, &status, nullptr);
    void* tag;
    bool ok;
    queue.Next(&tag, &ok);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::string text;
    grpc::Slice answer;
    if (status.ok() && response.DumpToSingleSlice(&answer).ok()) {
      text.assign(reinterpret_cast<const char*>(answer.begin()), answer.size());
    }
    return text;
  };
  EXPECT_EQ(call("/grpc.health.v1.Health/Check", ""), std::string("\x08\x01", 2)) << "SERVING";
  broker_.server().SetServing(false);
  EXPECT_EQ(call("/grpc.health.v1.Health/Check", ""), std::string("\x08\x02", 2)) << "NOT_SERVING";
}

}  // namespace
}  // namespace catamaran::broker
