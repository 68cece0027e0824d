// The stream sessions in virtual time, with a carrier that a test holds in its hands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "base/error.h"
#include "tests/broker/sim_broker.h"

namespace catamaran::broker {
namespace {

// Collects what a session sends. Messages "leave" when the test takes them.
template <class Response>
class TestWriter final : public StreamWriter<Response> {
 public:
  void Send(Response response, size_t bytes) override {
    queue.push_back({std::move(response), bytes});
    queued_bytes += bytes;
  }
  void ReadMore() override { ++reads; }
  void Finish(absl::Status status) override {
    if (!finished.has_value()) finished = std::move(status);
  }
  // Takes one message and tells the session.
  template <class Request>
  Response Take(StreamSession<Request>& session) {
    auto [response, bytes] = std::move(queue.front());
    queue.pop_front();
    queued_bytes -= bytes;
    session.OnSent(bytes);
    return std::move(response);
  }

  std::deque<std::pair<Response, size_t>> queue;
  size_t queued_bytes = 0;
  int reads = 0;
  std::optional<absl::Status> finished;
};

std::string Batch(const std::string& value, ProducerId producer = kNoProducerId,
                  Sequence sequence = kNoSequence) {
  BatchBuilderOptions options;
  if (producer != kNoProducerId) {
    options.producer_id = producer;
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = sequence;
  }
  BatchBuilder builder(options);
  builder.Add(TimestampMs(1'000), std::nullopt, value);
  return builder.Build().value();
}

class StreamTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_.limits.stream_window_bytes = 1'000;
    broker_.limits.fetch_stream_buffer_bytes = 100'000;
    ASSERT_TRUE(broker_.Start().ok());
    ASSERT_TRUE(broker_.CreateTopic("t", 4).ok());
    id_ = broker_.TopicIdOf("t");
  }
  void Settle() { broker_.world.RunFor(std::chrono::seconds(1)); }
  v1::AppendStreamRequest AppendRequest(int64_t correlation, int partition,
                                        const std::string& batch) {
    v1::AppendStreamRequest request;
    request.set_correlation_id(correlation);
    auto* entry = request.mutable_append()->add_batches();
    entry->mutable_partition()->set_topic_id(id_);
    entry->mutable_partition()->set_partition(partition);
    entry->set_batch(batch);
    return request;
  }

  SimBroker broker_{77};
  std::string id_;
};

TEST_F(StreamTest, AppendsAreAnsweredInOrderAndReadOnlyWithinTheWindow) {
  auto writer = std::make_shared<TestWriter<v1::AppendStreamResponse>>();
  auto session = broker_.node().batch_api().AppendStream({}, writer);
  ASSERT_EQ(writer->queue.size(), 1u);
  v1::AppendStreamResponse grant = writer->Take(*session);
  EXPECT_EQ(grant.correlation_id(), -1);
  EXPECT_EQ(grant.credit_bytes(), 1'000);
  const std::string batch = Batch(std::string(300, 'x'));
  int sent = 0;
  writer->reads = 1;  // the carrier asks for the first by itself
  while (writer->reads > 0 && sent < 100) {
    --writer->reads;
    session->OnMessage(AppendRequest(100 + sent, sent % 4, batch));
    ++sent;
  }
  EXPECT_EQ(sent, 3) << "three batches of 371 bytes fill a window of 1,000";
  Settle();
  ASSERT_EQ(writer->queue.size(), 3u);
  EXPECT_EQ(writer->reads, 1) << "room again";
  for (int i = 0; i < 3; ++i) {
    v1::AppendStreamResponse answer = writer->Take(*session);
    EXPECT_EQ(answer.correlation_id(), 100 + i);
    EXPECT_TRUE(answer.results(0).has_receipt()) << answer.DebugString();
  }
  // A refused batch has its error in place and the stream goes on.
  session->OnMessage(AppendRequest(7, 0, "garbage"));
  Settle();
  v1::AppendStreamResponse refused = writer->Take(*session);
  EXPECT_EQ(refused.results(0).error().reason(), "CORRUPT_BATCH");
  session->OnReadsDone();
  ASSERT_TRUE(writer->finished.has_value());
  EXPECT_TRUE(writer->finished->ok());
  session->OnClosed();
}

TEST_F(StreamTest, AClosedAppendStreamLeavesNothingBehind) {
  auto writer = std::make_shared<TestWriter<v1::AppendStreamResponse>>();
  std::weak_ptr<StreamSession<v1::AppendStreamRequest>> weak;
  {
    auto session = broker_.node().batch_api().AppendStream({}, writer);
    weak = session;
    session->OnMessage(AppendRequest(1, 0, Batch("x")));
    session->OnClosed();
  }
  Settle();
  EXPECT_TRUE(weak.expired());
}

TEST_F(StreamTest, FetchStreamFollowsWithinCreditsAndSaysWhenItHasCaughtUp) {
  auto writer = std::make_shared<TestWriter<v1::FetchStreamResponse>>();
  auto session = broker_.node().batch_api().FetchStream({}, writer);
  v1::FetchStreamRequest start;
  auto* position = start.add_positions();
  position->mutable_partition()->set_topic_id(id_);
  position->set_generation(1);
  start.set_add_credit_bytes(500);
  session->OnMessage(start);
  Settle();
  ASSERT_EQ(writer->queue.size(), 1u);
  v1::FetchStreamResponse first = writer->Take(*session);
  EXPECT_TRUE(first.caught_up());
  EXPECT_EQ(first.data().batches().size(), 0u);

  auto produced = broker_.Produce("t", std::string(300, 'a'));
  ASSERT_TRUE(produced.ok() && produced->results(0).has_receipt());
  Settle();
  ASSERT_EQ(writer->queue.size(), 1u);
  v1::FetchStreamResponse data = writer->Take(*session);
  EXPECT_TRUE(data.caught_up());
  EXPECT_EQ(data.generation(), 1);
  EXPECT_GT(data.data().batches().size(), 300u);
  EXPECT_EQ(data.data().next_offset(), 1);

  // Some credit is left: one more batch comes, then nothing until there is credit again.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(broker_.Produce("t", std::string(300, 'b')).ok());
  Settle();
  ASSERT_EQ(writer->queue.size(), 1u);
  EXPECT_EQ(writer->Take(*session).data().next_offset(), 2);
  Settle();
  EXPECT_TRUE(writer->queue.empty());
  v1::FetchStreamRequest more;
  more.set_add_credit_bytes(100'000);
  session->OnMessage(more);
  Settle();
  int64_t next = 0;
  while (!writer->queue.empty()) next = writer->Take(*session).data().next_offset();
  EXPECT_EQ(next, 4);

  // A seek: data comes with the new generation.
  v1::FetchStreamRequest seek;
  *seek.add_positions() = *position;
  seek.mutable_positions(0)->set_generation(2);
  session->OnMessage(seek);
  Settle();
  ASSERT_FALSE(writer->queue.empty());
  v1::FetchStreamResponse again = writer->Take(*session);
  EXPECT_EQ(again.generation(), 2);
  EXPECT_GT(again.data().batches().size(), 0u);

  // An error names its partition, which is then not read any more.
  v1::FetchStreamRequest wrong;
  auto* bad = wrong.add_positions();
  bad->mutable_partition()->set_topic_id(id_);
  bad->mutable_partition()->set_partition(1);
  bad->set_offset(99);
  bad->set_generation(3);
  session->OnMessage(wrong);
  Settle();
  bool found = false;
  while (!writer->queue.empty()) {
    v1::FetchStreamResponse response = writer->Take(*session);
    if (response.generation() != 3) continue;
    found = true;
    EXPECT_EQ(response.data().error().reason(), "OFFSET_OUT_OF_RANGE");
    EXPECT_EQ(response.data().partition(), 1);
  }
  EXPECT_TRUE(found);
  session->OnClosed();
  Settle();
  for (const auto& shard : broker_.node().replicas().shards()) {
    shard->ForEachReplica([](const ReplicaCore& core) { EXPECT_EQ(core.parked_reads(), 0u); });
  }
}

TEST_F(StreamTest, AReaderThatTakesNothingHoldsOnlyTheBuffer) {
  for (int i = 0; i < 200; ++i) {
    v1::ProduceRequest request;
    request.set_topic("t");
    request.set_partition(i % 4);
    request.add_records()->set_value(std::string(10'000, 'x'));
    ASSERT_TRUE(broker_.Produce(request).ok());
  }
  auto writer = std::make_shared<TestWriter<v1::FetchStreamResponse>>();
  auto session = broker_.node().batch_api().FetchStream({}, writer);
  v1::FetchStreamRequest start;
  for (int i = 0; i < 4; ++i) {
    auto* position = start.add_positions();
    position->mutable_partition()->set_topic_id(id_);
    position->mutable_partition()->set_partition(i);
  }
  start.set_add_credit_bytes(100'000'000);
  session->OnMessage(start);
  Settle();
  EXPECT_GT(writer->queued_bytes, 0u);
  EXPECT_LE(writer->queued_bytes, 150'000u) << "the buffer of 100,000 bytes, and a batch";
  // Taken at last, everything comes, in order.
  std::map<int, int64_t> next;
  for (int i = 0; i < 10'000 && (next[0] < 50 || next[1] < 50 || next[2] < 50 || next[3] < 50);
       ++i) {
    if (writer->queue.empty()) Settle();
    ASSERT_FALSE(writer->queue.empty()) << "stuck";
    v1::FetchStreamResponse response = writer->Take(*session);
    EXPECT_GE(response.data().next_offset(), next[response.data().partition()]);
    next[response.data().partition()] = response.data().next_offset();
    EXPECT_LE(writer->queued_bytes, 150'000u);
  }
  EXPECT_EQ(next[0], 50);
  EXPECT_EQ(next[3], 50);
  session->OnClosed();
}

TEST_F(StreamTest, ProduceSessionResumesWithoutDuplicates) {
  auto open = [&](std::optional<v1::ProduceSessionResume> resume) {
    v1::ProduceSessionRequest request;
    request.mutable_open()->set_topic("t");
    if (resume.has_value()) *request.mutable_open()->mutable_resume() = *resume;
    return request;
  };
  auto send = [&](int64_t message, const std::string& value) {
    v1::ProduceSessionRequest request;
    request.mutable_send()->set_message_id(message);
    request.mutable_send()->add_records()->set_value(value);
    return request;
  };
  using Writer = TestWriter<v1::ProduceSessionResponse>;
  auto writer = std::make_shared<Writer>();
  auto session = broker_.node().produce_api().ProduceSession({}, writer);
  session->OnMessage(open(std::nullopt));
  Settle();
  ASSERT_EQ(writer->queue.size(), 1u);
  v1::ProduceSessionResponse opened = writer->Take(*session);
  EXPECT_EQ(opened.message_id(), -1);
  EXPECT_GE(opened.resume().producer().producer_id(), 0);
  for (int i = 0; i < 6; ++i) session->OnMessage(send(i, "m" + std::to_string(i)));
  Settle();
  ASSERT_EQ(writer->queue.size(), 6u);
  v1::ProduceSessionResume resume;
  // The client saw only the first three answers before the connection broke.
  for (int i = 0; i < 3; ++i) {
    v1::ProduceSessionResponse answer = writer->Take(*session);
    EXPECT_EQ(answer.message_id(), i);
    ASSERT_EQ(answer.results_size(), 1);
    EXPECT_EQ(answer.results(0).partition(), i % 4);
    EXPECT_TRUE(answer.results(0).has_receipt()) << answer.DebugString();
    resume = answer.resume();
  }
  EXPECT_EQ(resume.next_message_id(), 3);
  session->OnClosed();

  auto second_writer = std::make_shared<Writer>();
  auto second = broker_.node().produce_api().ProduceSession({}, second_writer);
  second->OnMessage(open(resume));
  Settle();
  second_writer->Take(*second);
  for (int i = 3; i < 8; ++i) second->OnMessage(send(i, "m" + std::to_string(i)));
  Settle();
  ASSERT_EQ(second_writer->queue.size(), 5u);
  for (int i = 3; i < 8; ++i) {
    v1::ProduceSessionResponse answer = second_writer->Take(*second);
    EXPECT_EQ(answer.message_id(), i);
    ASSERT_TRUE(answer.results(0).has_receipt()) << answer.DebugString();
    EXPECT_EQ(answer.results(0).receipt().duplicate(), i < 6) << i;
  }
  int records = 0;
  for (int partition = 0; partition < 4; ++partition) {
    auto fetched = broker_.Fetch("t", 0, 0, partition);
    ASSERT_TRUE(fetched.ok());
    records += fetched->records_size();
  }
  EXPECT_EQ(records, 8);

  // A message out of order ends the session with its reason.
  second->OnMessage(send(42, "x"));
  ASSERT_TRUE(second_writer->finished.has_value());
  EXPECT_EQ(ReasonOf(*second_writer->finished), Reason::kInvalidArgument);
  second->OnClosed();
}

TEST_F(StreamTest, AProduceSessionEndsAfterARefusalAndSaysWhereItStands) {
  auto writer = std::make_shared<TestWriter<v1::ProduceSessionResponse>>();
  auto session = broker_.node().produce_api().ProduceSession({}, writer);
  v1::ProduceSessionRequest open;
  open.mutable_open()->set_topic("t");
  session->OnMessage(open);
  Settle();
  writer->Take(*session);
  v1::ProduceSessionRequest send;
  send.mutable_send()->add_records()->set_value("fine");
  session->OnMessage(send);
  Settle();
  writer->Take(*session);
  send.mutable_send()->set_message_id(1);
  send.mutable_send()->mutable_records(0)->set_value(std::string(2 << 20, 'x'));
  session->OnMessage(send);
  Settle();
  ASSERT_EQ(writer->queue.size(), 1u);
  v1::ProduceSessionResponse refused = writer->Take(*session);
  EXPECT_EQ(refused.results(0).error().reason(), "RECORD_TOO_LARGE") << refused.DebugString();
  EXPECT_EQ(refused.resume().next_message_id(), 2);
  ASSERT_EQ(refused.resume().next_sequences_size(), 1) << "the refused one took no sequence";
  EXPECT_EQ(refused.resume().next_sequences(0).partition(), 0);
  ASSERT_TRUE(writer->finished.has_value());
  EXPECT_TRUE(writer->finished->ok());
  session->OnClosed();
}

}  // namespace
}  // namespace catamaran::broker
