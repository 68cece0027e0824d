// The node and its handlers in virtual time.
#include "broker/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/broker/sim_broker.h"

namespace catamaran::broker {
namespace {

using testing::ElementsAre;

std::vector<std::string> Values(const v1::FetchResponse& response) {
  std::vector<std::string> values;
  for (const v1::StoredRecord& record : response.records()) values.push_back(record.value());
  return values;
}

std::string Batch(const std::vector<std::string>& values, Codec codec = Codec::kNone,
                  ProducerId producer = kNoProducerId, Sequence sequence = kNoSequence) {
  BatchBuilderOptions options;
  options.codec = codec;
  if (producer != kNoProducerId) {
    options.producer_id = producer;
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = sequence;
  }
  BatchBuilder builder(options);
  for (const std::string& value : values) builder.Add(TimestampMs(1'000), std::nullopt, value);
  return builder.Build().value();
}

TEST(NodeTest, RoundTrip) {
  SimBroker broker(1);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  v1::ProduceRequest request;
  request.set_topic("t");
  v1::Record* record = request.add_records();
  record->set_key(std::string("k\0\xff", 3));
  record->set_value(std::string("\0\x01\xfe", 3));
  v1::RecordHeader* header = record->add_headers();
  header->set_key("h");
  header->set_value(std::string("\xff\0", 2));
  record->add_headers()->set_key("null");
  request.add_records();  // no key, no value
  auto produced = broker.Produce(request);
  ASSERT_TRUE(produced.ok()) << produced.status();
  ASSERT_EQ(produced->results_size(), 1) << produced->DebugString();
  ASSERT_TRUE(produced->results(0).has_receipt()) << produced->DebugString();
  EXPECT_EQ(produced->results(0).receipt().base_offset(), 0);
  EXPECT_EQ(produced->results(0).receipt().last_offset(), 1);
  EXPECT_EQ(produced->results(0).receipt().replicas_synced(), 1);
  EXPECT_EQ(produced->topic_id(), broker.TopicIdOf("t"));

  auto fetched = broker.Fetch("t", 0);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  ASSERT_EQ(fetched->records_size(), 2);
  EXPECT_EQ(fetched->records(0).key(), std::string("k\0\xff", 3));
  EXPECT_EQ(fetched->records(0).value(), std::string("\0\x01\xfe", 3));
  ASSERT_EQ(fetched->records(0).headers_size(), 2);
  EXPECT_EQ(fetched->records(0).headers(0).value(), std::string("\xff\0", 2));
  EXPECT_FALSE(fetched->records(0).headers(1).has_value());
  EXPECT_FALSE(fetched->records(1).has_key());
  EXPECT_FALSE(fetched->records(1).has_value());
  EXPECT_EQ(fetched->next_offset(), 2);
  EXPECT_EQ(fetched->high_watermark(), 2);
  broker.CheckInvariants();
}

TEST(NodeTest, RestartAfterCleanStopReadsNoLogData) {
  SimBroker broker(2);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  ASSERT_TRUE(broker.Produce("t", "a").ok());
  ASSERT_TRUE(broker.Stop());
  auto refused = broker.Produce("t", "late");
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->results(0).error().reason(), "SHUTTING_DOWN");
  broker.Kill(sim::SimCrash::kPowerLoss);
  ASSERT_TRUE(broker.Start().ok());
  EXPECT_EQ(broker.counters().Get(Counter::kLogsOpened), 1);
  EXPECT_EQ(broker.counters().Get(Counter::kLogRecoveries), 0);
  auto fetched = broker.Fetch("t", 0);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_THAT(Values(*fetched), ElementsAre("a"));
}

TEST(NodeTest, PowerLossKeepsWhatWasAcknowledged) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SimBroker broker(seed);
    ASSERT_TRUE(broker.Start().ok());
    ASSERT_TRUE(broker.CreateTopic("t").ok());
    std::vector<std::string> sent;
    for (int i = 0; i < 5; ++i) {
      sent.push_back("v" + std::to_string(i));
      auto produced = broker.Produce("t", sent.back());
      ASSERT_TRUE(produced.ok() && produced->results(0).has_receipt());
    }
    broker.Kill(sim::SimCrash::kPowerLoss);
    ASSERT_TRUE(broker.Start().ok());
    auto fetched = broker.Fetch("t", 0);
    ASSERT_TRUE(fetched.ok()) << fetched.status() << " seed " << seed;
    EXPECT_EQ(Values(*fetched), sent) << "seed " << seed;
    broker.CheckInvariants();
  }
}

TEST(NodeTest, LongPollWakesAtTheRecordAndNotAtTheDeadline) {
  SimBroker broker(3);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  v1::FetchRequest request;
  request.set_topic("t");
  request.set_max_wait_ms(30'000);
  std::optional<absl::StatusOr<v1::FetchResponse>> answer;
  broker.node().fetch_api().Fetch({}, request, [&](absl::StatusOr<v1::FetchResponse> response) {
    answer = std::move(response);
  });
  broker.world.RunFor(std::chrono::seconds(1));
  EXPECT_FALSE(answer.has_value());
  ASSERT_TRUE(broker.Produce("t", "x").ok());
  broker.world.RunFor(std::chrono::milliseconds(1));
  ASSERT_TRUE(answer.has_value());
  ASSERT_TRUE(answer->ok());
  EXPECT_THAT(Values(**answer), ElementsAre("x"));
  // And without a record, at the deadline.
  MonotonicTime before = broker.world.Now();
  auto empty = broker.Fetch("t", 1, 250);
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(empty->records_size(), 0);
  Duration waited = broker.world.Now() - before;
  EXPECT_GE(waited, std::chrono::milliseconds(250));
  EXPECT_LT(waited, std::chrono::milliseconds(260));
}

TEST(NodeTest, FetchBatchesWaitsForMinBytesOverPartitions) {
  SimBroker broker(4);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t", 4).ok());
  v1::FetchBatchesRequest request;
  for (int i = 0; i < 4; ++i) {
    auto* partition = request.add_partitions();
    partition->mutable_partition()->set_topic_id(broker.TopicIdOf("t"));
    partition->mutable_partition()->set_partition(i);
  }
  const std::string batch = Batch({std::string(100, 'x')});
  request.set_min_bytes(static_cast<int32_t>(batch.size() * 2));
  request.set_max_wait_ms(30'000);
  std::optional<absl::StatusOr<v1::FetchBatchesResponse>> answer;
  broker.node().batch_api().FetchBatches(
      {}, request,
      [&](absl::StatusOr<v1::FetchBatchesResponse> response) { answer = std::move(response); });
  auto append = [&](int partition) {
    v1::AppendBatchesRequest append_request;
    auto* entry = append_request.add_batches();
    entry->mutable_partition()->set_topic_id(broker.TopicIdOf("t"));
    entry->mutable_partition()->set_partition(partition);
    entry->set_batch(batch);
    auto response = broker.Await<v1::AppendBatchesResponse>([&](auto reply) {
      broker.node().batch_api().AppendBatches({}, append_request, std::move(reply));
    });
    ASSERT_TRUE(response.ok()) << response.status();
    ASSERT_TRUE(response->results(0).has_receipt()) << response->DebugString();
  };
  append(1);
  broker.world.RunFor(std::chrono::seconds(1));
  EXPECT_FALSE(answer.has_value()) << "one batch is too little";
  append(3);
  broker.world.RunFor(std::chrono::milliseconds(10));
  ASSERT_TRUE(answer.has_value());
  ASSERT_TRUE(answer->ok()) << answer->status();
  EXPECT_EQ((*answer)->partitions(0).batches().size(), 0u);
  EXPECT_EQ((*answer)->partitions(1).batches().size(), batch.size());
  EXPECT_EQ((*answer)->partitions(1).next_offset(), 1);
  EXPECT_EQ((*answer)->partitions(3).batches().size(), batch.size());
  for (const auto& shard : broker.node().replicas().shards()) {
    shard->ForEachReplica([](const ReplicaCore& core) { EXPECT_EQ(core.parked_reads(), 0u); });
  }
}

TEST(NodeTest, ARetryThroughTheSimpleApiIsStoredOnce) {
  SimBroker broker(5);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  auto id = broker.Await<v1::InitProducerIdResponse>(
      [&](auto reply) { broker.node().produce_api().InitProducerId({}, {}, std::move(reply)); });
  ASSERT_TRUE(id.ok()) << id.status();
  v1::ProduceRequest request;
  request.set_topic("t");
  request.set_partition(0);
  *request.mutable_producer() = id->producer();
  request.add_records()->set_value("once");
  auto first = broker.Produce(request);
  ASSERT_TRUE(first.ok() && first->results(0).has_receipt());
  broker.Kill();
  ASSERT_TRUE(broker.Start().ok());
  auto second = broker.Produce(request);
  ASSERT_TRUE(second.ok() && second->results(0).has_receipt()) << second->DebugString();
  EXPECT_TRUE(second->results(0).receipt().duplicate());
  EXPECT_EQ(second->results(0).receipt().base_offset(), 0);
  auto fetched = broker.Fetch("t", 0);
  ASSERT_TRUE(fetched.ok());
  EXPECT_THAT(Values(*fetched), ElementsAre("once"));

  // Ids are given out once, over restarts too, and to whom gives one up as well: two who give up
  // the same identity must not get the same one.
  auto other = broker.Await<v1::InitProducerIdResponse>(
      [&](auto reply) { broker.node().produce_api().InitProducerId({}, {}, std::move(reply)); });
  ASSERT_TRUE(other.ok());
  EXPECT_GT(other->producer().producer_id(), id->producer().producer_id());
  v1::InitProducerIdRequest again;
  *again.mutable_current() = id->producer();
  int64_t last = other->producer().producer_id();
  for (int i = 0; i < 2; ++i) {
    auto next = broker.Await<v1::InitProducerIdResponse>([&](auto reply) {
      broker.node().produce_api().InitProducerId({}, again, std::move(reply));
    });
    ASSERT_TRUE(next.ok());
    EXPECT_GT(next->producer().producer_id(), last);
    EXPECT_EQ(next->producer().producer_epoch(), 0);
    last = next->producer().producer_id();
  }
}

TEST(NodeTest, AnIdentityThatNobodyWasGivenIsRefused) {
  SimBroker broker(5);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  auto init = [&](const v1::InitProducerIdRequest& request) {
    return broker
        .Await<v1::InitProducerIdResponse>([&](auto reply) {
          broker.node().produce_api().InitProducerId({}, request, std::move(reply));
        })
        .value()
        .producer();
  };
  auto produce = [&](int64_t id, int32_t epoch) {
    v1::ProduceRequest request;
    request.set_topic("t");
    request.set_partition(0);
    request.mutable_producer()->set_producer_id(id);
    request.mutable_producer()->set_producer_epoch(epoch);
    request.add_records()->set_value("x");
    return broker.Produce(request)->results(0).error().reason();
  };
  EXPECT_EQ(produce(0, 0), "UNKNOWN_PRODUCER");
  const v1::ProducerIdentity first = init({});
  const int64_t id = first.producer_id();
  EXPECT_EQ(produce(id, 1), "UNKNOWN_PRODUCER");
  EXPECT_EQ(produce(id, 32'767), "UNKNOWN_PRODUCER");
  EXPECT_EQ(produce(id + 1, 0), "UNKNOWN_PRODUCER");  // of the broker's block, but nobody's yet
  EXPECT_EQ(produce(INT64_MAX, 0), "UNKNOWN_PRODUCER");
  EXPECT_EQ(produce(id, 0), "");
  v1::InitProducerIdRequest again;
  *again.mutable_current() = first;
  EXPECT_EQ(init(again).producer_epoch(), 1);
  EXPECT_EQ(produce(id, 1), "");
  EXPECT_EQ(produce(id, 2), "UNKNOWN_PRODUCER");
  EXPECT_EQ(produce(id, 0), "PRODUCER_FENCED");
  EXPECT_EQ(init({}).producer_id(), id + 1);
  EXPECT_EQ(produce(id + 1, 0), "");
  // After a restart the epochs are forgotten, and the ids aren't.
  broker.Kill();
  ASSERT_TRUE(broker.Start().ok());
  EXPECT_EQ(produce(id, 1), "");  // the duplicate of before
  EXPECT_EQ(produce(id + 1'000, 0), "UNKNOWN_PRODUCER");
}

TEST(NodeTest, KeysGoWhereKafkaPutsThem) {
  SimBroker broker(6);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t", 7).ok());
  v1::ProduceRequest request;
  request.set_topic("t");
  for (int i = 0; i < 50; ++i) request.add_records()->set_key("key" + std::to_string(i));
  auto produced = broker.Produce(request);
  ASSERT_TRUE(produced.ok()) << produced.status();
  int records = 0;
  for (const auto& result : produced->results()) {
    ASSERT_TRUE(result.has_receipt()) << result.DebugString();
    for (int index : result.record_indexes()) {
      EXPECT_EQ(PartitionForKey("key" + std::to_string(index), 7).value(), result.partition());
      ++records;
    }
  }
  EXPECT_EQ(records, 50);
}

TEST(NodeTest, DeletedAndCreatedAgainIsEmpty) {
  SimBroker broker(7);
  ASSERT_TRUE(broker.Start().ok());
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(broker.CreateTopic("t").ok());
    std::string value = "round" + std::to_string(round);
    auto produced = broker.Produce("t", value);
    ASSERT_TRUE(produced.ok() && produced->results(0).has_receipt()) << produced->DebugString();
    EXPECT_EQ(produced->results(0).receipt().base_offset(), 0);
    auto fetched = broker.Fetch("t", 0);
    ASSERT_TRUE(fetched.ok());
    EXPECT_THAT(Values(*fetched), ElementsAre(value));
    ASSERT_TRUE(broker.DeleteTopic("t").ok());
  }
  broker.world.RunFor(std::chrono::seconds(1));
  EXPECT_TRUE(absl::IsNotFound(broker.disk.Stat("t-0").status()));
  EXPECT_EQ(ReasonOf(broker.Fetch("t", 0).status()), Reason::kUnknownTopic);
}

TEST(NodeTest, BadNamesAndIdsAreToldApart) {
  SimBroker broker(7);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  for (const std::string& name :
       {std::string("a/b"), std::string("a\0b", 3), std::string(250, 'a'), std::string("..")}) {
    const absl::Status produced = broker.Produce(name, "v").status();
    EXPECT_EQ(ReasonOf(produced), Reason::kInvalidTopicName) << produced;
    EXPECT_EQ(produced.message().find('\0'), absl::string_view::npos);
    EXPECT_EQ(ReasonOf(broker.Fetch(name, 0).status()), Reason::kInvalidTopicName) << name;
  }
  EXPECT_EQ(ReasonOf(broker.Produce("other", "v").status()), Reason::kUnknownTopic);
  auto fetch = [&](const std::string& id) {
    v1::FetchRequest request;
    request.set_topic("t");
    request.set_topic_id(id);
    return ReasonOf(broker
                        .Await<v1::FetchResponse>([&](auto reply) {
                          broker.node().fetch_api().Fetch({}, request, std::move(reply));
                        })
                        .status());
  };
  EXPECT_EQ(fetch("abc"), Reason::kInvalidArgument);
  EXPECT_EQ(fetch(std::string(16, 'x')), Reason::kTopicIdMismatch);
}

TEST(NodeTest, EmptyPartitionsCostNoDirectoryAndNoReplica) {
  SimBroker broker(8);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t", 1'000).ok());
  broker.world.RunFor(std::chrono::seconds(5));
  size_t replicas = 0;
  for (const auto& shard : broker.node().replicas().shards()) {
    shard->ForEachReplica([&](const ReplicaCore&) { ++replicas; });
  }
  EXPECT_EQ(replicas, 0u);
  auto empty = broker.Fetch("t", 0, 0, 999);
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_EQ(empty->high_watermark(), 0);
  EXPECT_TRUE(absl::IsNotFound(broker.disk.Stat("t-999").status()));
}

TEST(NodeTest, AFullDiskRefusesAndServiceResumes) {
  SimBroker broker(9);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  ASSERT_TRUE(broker.Produce("t", "before").ok());
  broker.disk.SetCapacity(broker.disk.used_bytes());
  broker.world.RunFor(std::chrono::seconds(3));
  auto refused = broker.Produce("t", std::string(100'000, 'x'));
  ASSERT_TRUE(refused.ok());
  EXPECT_EQ(refused->results(0).error().reason(), "STORAGE_FULL");
  EXPECT_GT(refused->results(0).error().retry_delay_ms(), 0);
  EXPECT_TRUE(broker.Fetch("t", 0).ok());
  broker.disk.SetCapacity(uint64_t{1} << 40);
  broker.world.RunFor(std::chrono::seconds(3));
  auto resumed = broker.Produce("t", "after");
  ASSERT_TRUE(resumed.ok());
  EXPECT_TRUE(resumed->results(0).has_receipt()) << resumed->DebugString();
}

TEST(NodeTest, LevelsAndRetentionAreCounted) {
  SimBroker broker(9);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(
      broker.CreateTopic("t", 1, {{"segment.bytes", "1048576"}, {"retention.bytes", "1048576"}})
          .ok());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(broker.Produce("t", std::string(500'000, 'x'))->results(0).has_receipt());
  }
  auto removed = [&] { return broker.counters().Get(Counter::kSegmentsDeleted) > 0; };
  EXPECT_TRUE(broker.world.RunUntil(removed, std::chrono::minutes(1)));
  EXPECT_EQ(broker.counters().Get(Gauge::kLogsOpen), 1);
  EXPECT_EQ(broker.counters().Get(Gauge::kParkedFetches), 0);
  bool answered = false;
  v1::FetchRequest request;
  request.set_topic("t");
  request.set_offset(10);
  request.set_max_wait_ms(60'000);
  broker.node().fetch_api().Fetch({}, request, [&](auto) { answered = true; });
  broker.world.RunFor(std::chrono::seconds(1));
  EXPECT_EQ(broker.counters().Get(Gauge::kParkedFetches), 1);
  ASSERT_TRUE(broker.Produce("t", "wakes it").ok());
  ASSERT_TRUE(broker.world.RunUntil([&] { return answered; }, std::chrono::seconds(1)));
  EXPECT_EQ(broker.counters().Get(Gauge::kParkedFetches), 0);

  // A log that latches is counted, also after a stop, which then isn't told as clean.
  EXPECT_EQ(broker.counters().Get(Gauge::kLogsFailed), 0);
  broker.disk.FailNext(sim::SimDiskOperation::kSync);
  ASSERT_TRUE(broker.Produce("t", "lost").ok());
  EXPECT_EQ(broker.counters().Get(Gauge::kLogsFailed), 1);
  ASSERT_TRUE(broker.Stop());
  EXPECT_EQ(broker.counters().Get(Gauge::kLogsFailed), 1);
  EXPECT_EQ(broker.counters().Get(Gauge::kLogsOpen), 0);
}

// What a stop could not make durable may be lost with power later, and its offsets given out again:
// only the next start's new leader epoch tells the two apart.
TEST(NodeTest, AStopThatCouldNotSyncIsNotClean) {
  SimBroker broker(12);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t", 1, {{"durability", "async"}}).ok());
  ASSERT_TRUE(broker.Produce("t", "one").ok());
  ASSERT_TRUE(broker.Stop());
  EXPECT_TRUE(broker.stopped_clean);
  broker.Kill();
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.Produce("t", "two").ok());
  broker.disk.FailNext(sim::SimDiskOperation::kSync);
  ASSERT_TRUE(broker.Stop());
  EXPECT_FALSE(broker.stopped_clean);
}

TEST(NodeTest, AStrayDirectoryIsPutAsideAndNotMixed) {
  SimBroker broker(10);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  ASSERT_TRUE(broker.Produce("t", "old").ok());
  ASSERT_TRUE(broker.Stop());
  // As after a crash between the deletion's record and the removal: the directory of an older
  // topic.
  ASSERT_TRUE(broker.disk.Rename("t-0", "kept").ok());
  broker.Kill();
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.DeleteTopic("t").ok());
  broker.world.RunFor(std::chrono::seconds(1));
  ASSERT_TRUE(broker.disk.Rename("kept", "t-0").ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  auto produced = broker.Produce("t", "new");
  ASSERT_TRUE(produced.ok() && produced->results(0).has_receipt()) << produced->DebugString();
  EXPECT_EQ(produced->results(0).receipt().base_offset(), 0);
  EXPECT_TRUE(broker.disk.Stat("stray.0").ok());
}

TEST(NodeTest, OffsetsByPositionAndTime) {
  SimBroker broker(11);
  ASSERT_TRUE(broker.Start().ok());
  ASSERT_TRUE(broker.CreateTopic("t").ok());
  for (int64_t time : {1'000, 2'000, 3'000}) {
    v1::ProduceRequest request;
    request.set_topic("t");
    request.add_records()->set_timestamp_ms(time);
    auto produced = broker.Produce(request);
    ASSERT_TRUE(produced.ok() && produced->results(0).has_receipt()) << produced->DebugString();
  }
  v1::ListOffsetsRequest request;
  auto add = [&]() {
    auto* query = request.add_queries();
    query->mutable_partition()->set_topic_id(broker.TopicIdOf("t"));
    return query;
  };
  add()->set_position(v1::OFFSET_POSITION_EARLIEST);
  add()->set_position(v1::OFFSET_POSITION_LATEST);
  add()->set_timestamp_ms(1'500);
  add()->set_timestamp_ms(9'000);
  add()->set_timestamp_ms(-5);
  add()->mutable_partition()->set_partition(4);
  auto response = broker.Await<v1::ListOffsetsResponse>(
      [&](auto reply) { broker.node().batch_api().ListOffsets({}, request, std::move(reply)); });
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->results(0).offset(), 0);
  EXPECT_EQ(response->results(1).offset(), 3);
  EXPECT_EQ(response->results(2).offset(), 1);
  EXPECT_EQ(response->results(2).timestamp_ms(), 2'000);
  EXPECT_EQ(response->results(3).offset(), -1);
  EXPECT_EQ(response->results(4).error().reason(), "INVALID_ARGUMENT");
  EXPECT_EQ(response->results(5).error().reason(), "UNKNOWN_PARTITION");

  v1::DeleteRecordsRequest remove;
  remove.set_topic("t");
  remove.set_before_offset(2);
  auto removed = broker.Await<v1::DeleteRecordsResponse>(
      [&](auto reply) { broker.node().offsets_api().DeleteRecords({}, remove, std::move(reply)); });
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(removed->log_start_offset(), 2);
  absl::Status below = broker.Fetch("t", 0).status();
  EXPECT_EQ(ReasonOf(below), Reason::kOffsetOutOfRange);
}

TEST(NodeTest, TwinRunsAreEqual) {
  auto run = [](uint64_t seed) {
    SimBroker broker(seed);
    EXPECT_TRUE(broker.Start().ok());
    EXPECT_TRUE(broker.CreateTopic("t", 3).ok());
    for (int i = 0; i < 20; ++i) {
      v1::ProduceRequest request;
      request.set_topic("t");
      request.add_records()->set_value(std::to_string(i));
      EXPECT_TRUE(broker.Produce(request).ok());
    }
    EXPECT_TRUE(broker.Stop());
    return std::make_pair(broker.world.trace_hash(), broker.disk.StateHash());
  };
  EXPECT_EQ(run(12), run(12));
  EXPECT_NE(run(12), run(13));
}

}  // namespace
}  // namespace catamaran::broker
