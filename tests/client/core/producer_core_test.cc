// The producer core against a fake cluster in virtual time: scripted cases, and seeds that check
// the promises (nothing acknowledged is lost, nothing is stored twice, order holds) under faults.
#include "client/core/producer_core.h"

#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "client/core/options.h"
#include "gtest/gtest.h"
#include "tests/client/core/fake_cluster.h"

namespace catamaran::client::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Drives a producer core as the shell does.
class Driver {
 public:
  Driver(VirtualLoop* loop, FakeCluster* cluster, const ClientOptions& client,
         const ProducerOptions& options, uint64_t seed)
      : loop_(loop),
        cluster_(cluster),
        core(MakeProducerCoreOptions(client, options), Random(seed)),
        accumulator(MakeAccumulatorOptions(options), Random(seed + 1)) {}

  absl::Status Send(const ProducerRecord& record, DeliveryCallback callback) {
    auto accepted = accumulator.Append(
        record, TimestampMs(1000), [&] { return loop_->now(); }, &callback);
    if (accepted.wake) loop_->After(Duration(0), [this] { Pump(); });
    return accepted.status;
  }

  void Pump() {
    core.Pull(accumulator, loop_->now());
    ProducerCore::Output output = core.Advance(loop_->now());
    core.CheckInvariants();
    for (const std::string& address : output.resets) cluster_->Reset(address);
    for (const SendMetadata& send : output.metadata) {
      cluster_->Send(send, [this, c = send.correlation](auto answer) {
        core.OnMetadata(c, std::move(answer), loop_->now());
        Pump();
      });
    }
    for (const SendInitProducerId& send : output.init_producer_ids) {
      cluster_->Send(send, [this, c = send.correlation](auto answer) {
        core.OnInitProducerId(c, std::move(answer), loop_->now());
        Pump();
      });
    }
    for (const SendAppend& send : output.appends) {
      cluster_->Send(send, [this, c = send.correlation](auto answer) {
        core.OnAppend(c, std::move(answer), loop_->now());
        Pump();
      });
    }
    for (CompletedBatch& batch : output.completed) {
      accumulator.Release(batch.accounted_bytes);
      completed += batch.record_count;
      for (RecordCallback& record : batch.callbacks) {
        if (!batch.status.ok()) {
          record.callback(batch.status);
          continue;
        }
        record.callback(Delivery{batch.partition, batch.base_offset + record.index, {}});
      }
    }
    ASSERT_GT(output.wake_at, loop_->now()) << "would spin";
    if (output.wake_at != wake_ && output.wake_at != kNever) {
      wake_ = output.wake_at;
      loop_->At(wake_, [this, at = wake_] {
        if (at != wake_) return;
        wake_ = kNever;
        Pump();
      });
    }
  }

  VirtualLoop* const loop_;
  FakeCluster* const cluster_;
  ProducerCore core;
  RecordAccumulator accumulator;
  int completed = 0;

 private:
  MonotonicTime wake_ = kNever;
};

ClientOptions TestClient() {
  ClientOptions client;
  client.bootstrap = {"b0:1", "b1:1"};
  client.request_timeout = seconds(5);
  return client;
}

struct Outcomes {
  std::map<int, std::vector<std::string>> delivered;  // per partition, in the order called back
  std::set<std::string> rejected, unknown;
  std::map<std::string, Offset> offsets;
  std::vector<absl::Status> errors;
};

DeliveryCallback Note(Outcomes* outcomes, const std::string& value) {
  return [outcomes, value](const absl::StatusOr<Delivery>& delivery) {
    if (delivery.ok()) {
      outcomes->delivered[delivery->partition.value()].push_back(value);
      outcomes->offsets[value] = delivery->offset;
      return;
    }
    outcomes->errors.push_back(delivery.status());
    const bool unknown = OutcomeOf(delivery.status()) == Outcome::kUnknown;
    (unknown ? outcomes->unknown : outcomes->rejected).insert(value);
  };
}

ProducerRecord RecordOf(const std::string& topic, const std::string& value, int partition) {
  ProducerRecord record;
  record.topic = topic;
  record.value = value;
  record.partition = PartitionIndex(partition);
  return record;
}

class ProducerCoreTest : public testing::Test {
 protected:
  void Start(ProducerOptions options, int brokers = 2) {
    cluster = std::make_unique<FakeCluster>(&loop, 1, brokers);
    cluster->CreateTopic("t", 2);
    driver = std::make_unique<Driver>(&loop, cluster.get(), TestClient(), options, 7);
  }
  void SendValue(const std::string& value, int partition = 0, const std::string& topic = "t") {
    ASSERT_TRUE(driver->Send(RecordOf(topic, value, partition), Note(&outcomes, value)).ok());
  }
  void RunFor(Duration duration) {
    const MonotonicTime end = loop.now() + duration;
    while (loop.Step(end)) {
    }
    loop.At(end, [] {});
    loop.Step(end);
  }
  VirtualLoop loop;
  std::unique_ptr<FakeCluster> cluster;
  std::unique_ptr<Driver> driver;
  Outcomes outcomes;
};

TEST_F(ProducerCoreTest, DeliversWithOffsetsInOrder) {
  Start({});
  for (int i = 0; i < 10; ++i) SendValue(absl::StrCat("v", i));
  RunFor(seconds(1));
  EXPECT_EQ(outcomes.delivered[0].size(), 10u);
  EXPECT_EQ(cluster->Values("t", 0), outcomes.delivered[0]);
  EXPECT_EQ(outcomes.offsets["v7"], Offset(7));
  EXPECT_EQ(driver->accumulator.buffered_bytes(), 0u);
  EXPECT_EQ(driver->core.oldest_record(), UINT64_MAX);
}

TEST_F(ProducerCoreTest, ALoneRecordDoesNotWaitForTheLinger) {
  ProducerOptions options;
  options.linger = seconds(30);
  Start(std::move(options));
  SendValue("warm");
  RunFor(seconds(1));
  SendValue("lone");
  RunFor(milliseconds(20));
  EXPECT_EQ(cluster->Values("t", 0).size(), 2u);
}

TEST_F(ProducerCoreTest, UnknownTopicFailsAfterTheWaitAndMayComeLater) {
  Start({});
  SendValue("lost", 0, "nowhere");
  RunFor(milliseconds(500));
  EXPECT_TRUE(outcomes.errors.empty());
  RunFor(seconds(2));
  ASSERT_EQ(outcomes.errors.size(), 1u);
  EXPECT_EQ(ReasonOf(outcomes.errors[0]), Reason::kUnknownTopic);
  cluster->CreateTopic("nowhere", 1);
  SendValue("found", 0, "nowhere");
  RunFor(seconds(2));
  EXPECT_EQ(cluster->Values("nowhere", 0), std::vector<std::string>{"found"});
}

TEST_F(ProducerCoreTest, PartitionBeyondTheTopicIsRefused) {
  Start({});
  SendValue("early", 5);  // accepted: nobody knows the partitions yet
  RunFor(seconds(1));
  ASSERT_EQ(outcomes.errors.size(), 1u);
  EXPECT_EQ(ReasonOf(outcomes.errors[0]), Reason::kUnknownPartition);
  absl::Status status = driver->Send(RecordOf("t", "late", 5), nullptr);
  EXPECT_EQ(ReasonOf(status), Reason::kUnknownPartition);
}

TEST_F(ProducerCoreTest, WithoutABrokerTheRecordIsSurelyNotStored) {
  ProducerOptions options;
  options.delivery_timeout = seconds(10);
  Start(std::move(options));
  cluster->SetDown(0, true);
  cluster->SetDown(1, true);
  SendValue("never");
  RunFor(seconds(9));
  EXPECT_TRUE(outcomes.errors.empty());
  RunFor(seconds(2));
  ASSERT_EQ(outcomes.errors.size(), 1u);
  EXPECT_EQ(ReasonOf(outcomes.errors[0]), Reason::kDeadlineExceeded);
  EXPECT_EQ(outcomes.rejected.size(), 1u);
}

TEST_F(ProducerCoreTest, ABlackHoleMakesTheOutcomeUnknownAndLaterRecordsStillFlow) {
  ProducerOptions options;
  options.delivery_timeout = seconds(10);
  Start(std::move(options));
  SendValue("first");
  RunFor(seconds(1));
  cluster->set_faults({.lose_answer = 1, .black_hole = 1});
  SendValue("who-knows");
  RunFor(seconds(11));
  ASSERT_EQ(outcomes.errors.size(), 1u);
  EXPECT_EQ(ReasonOf(outcomes.errors[0]), Reason::kOutcomeUnknown);
  cluster->set_faults({});
  SendValue("later");
  RunFor(seconds(20));
  EXPECT_EQ(outcomes.delivered[0], (std::vector<std::string>{"first", "later"}));
  EXPECT_EQ(cluster->Values("t", 0), (std::vector<std::string>{"first", "who-knows", "later"}));
}

TEST_F(ProducerCoreTest, ARefusalThatLastsIsWhatTheRecordFailsWith) {
  ProducerOptions options;
  options.delivery_timeout = seconds(10);
  Start(std::move(options));
  SendValue("first");
  RunFor(seconds(1));
  for (Reason refusal : {Reason::kStorageFull, Reason::kNotEnoughReplicas, Reason::kOverloaded}) {
    outcomes = {};
    cluster->set_faults({.refuse = 1, .refusal = refusal});
    SendValue("refused");
    RunFor(seconds(11));
    ASSERT_EQ(outcomes.errors.size(), 1u);
    EXPECT_EQ(ReasonOf(outcomes.errors[0]), refusal) << outcomes.errors[0];
    EXPECT_EQ(outcomes.errors[0].message(),
              "Records for t-0 were not stored within delivery_timeout: not now");
    EXPECT_EQ(outcomes.rejected.size(), 1u);
  }
  EXPECT_EQ(cluster->Values("t", 0), std::vector<std::string>{"first"});
}

// A refusal after an attempt that nobody answered says nothing about that attempt.
TEST_F(ProducerCoreTest, AnUnknownOutcomeIsToldOnce) {
  for (const Faults& faults : {Faults{.lose_answer = 1, .black_hole = 1}, Faults{.lose_answer = 1},
                               Faults{.unknown = 1}}) {
    outcomes = {};
    loop = VirtualLoop();
    ProducerOptions options;
    options.delivery_timeout = seconds(10);
    Start(std::move(options));
    SendValue("first");
    RunFor(seconds(1));
    cluster->set_faults(faults);
    SendValue("who-knows");
    RunFor(seconds(2));
    Faults refusing = faults;
    refusing.refuse = 1;
    cluster->set_faults(refusing);
    RunFor(seconds(9));
    ASSERT_EQ(outcomes.unknown, std::set<std::string>{"who-knows"});
    const std::string message(outcomes.errors[0].message());
    EXPECT_EQ(message.find("not stored"), message.npos) << message;
    EXPECT_EQ(message.find("were stored"), message.rfind("were stored")) << message;
    EXPECT_NE(message.find("Nobody knows whether the records for t-0 were stored"), message.npos)
        << message;
  }
}

TEST_F(ProducerCoreTest, ARefusalThatNamesTheLeaderIsFollowedAtOnce) {
  ProducerOptions options;
  Start(std::move(options));
  SendValue("a");
  RunFor(seconds(1));
  // No metadata tells of the move.
  cluster->MoveLeader(&cluster->Partition("t", 0), /*in_metadata=*/false);
  SendValue("b");
  RunFor(milliseconds(25));  // two round trips of at most 10 ms, and no wait
  EXPECT_EQ(outcomes.delivered[0], (std::vector<std::string>{"a", "b"}));
  RunFor(std::chrono::minutes(6));  // metadata is asked for again by its age
  SendValue("c");
  RunFor(milliseconds(15));
  EXPECT_EQ(outcomes.delivered[0], (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(cluster->misdirected(), 1);
}

TEST_F(ProducerCoreTest, LostAnswersAreRetriedWithoutDuplicates) {
  Start({});
  cluster->set_faults({.lose_answer = 0.5});
  for (int i = 0; i < 50; ++i) {
    SendValue(absl::StrCat("v", i));
    RunFor(milliseconds(3));
  }
  RunFor(seconds(60));
  EXPECT_EQ(outcomes.delivered[0].size(), 50u);
  EXPECT_EQ(cluster->Values("t", 0), outcomes.delivered[0]);
  EXPECT_GT(cluster->duplicates(), 0);
}

TEST_F(ProducerCoreTest, ARefusedBatchLeavesNoGapBehind) {
  Start({});
  SendValue("a");
  RunFor(seconds(1));
  cluster->set_faults({.reject = 1});
  SendValue("bad");
  RunFor(seconds(1));
  cluster->set_faults({});
  SendValue("b");
  RunFor(seconds(1));
  EXPECT_EQ(outcomes.rejected, std::set<std::string>{"bad"});
  EXPECT_EQ(cluster->Values("t", 0), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(cluster->out_of_order(), 0);
}

TEST_F(ProducerCoreTest, ATopicMadeAgainStartsItsSequencesAnew) {
  Start({});
  SendValue("old");
  RunFor(seconds(1));
  cluster->DeleteTopic("t");
  cluster->CreateTopic("t", 2);
  SendValue("new");
  RunFor(seconds(10));
  EXPECT_EQ(cluster->Values("t", 0), std::vector<std::string>{"new"});
  EXPECT_EQ(outcomes.delivered[0].size(), 2u);
}

TEST_F(ProducerCoreTest, TheBufferIsBoundedAndRoomComesBack) {
  ProducerOptions options;
  options.buffer_bytes_max = 1 << 20;
  Start(std::move(options));
  cluster->SetDown(0, true);
  cluster->SetDown(1, true);
  const std::string value(1000, 'x');
  absl::Status status;
  int accepted = 0;
  while ((status = driver->Send(RecordOf("t", value, 0), nullptr)).ok()) ++accepted;
  EXPECT_EQ(ReasonOf(status), Reason::kOverloaded);
  EXPECT_GT(accepted, 900);
  EXPECT_LE(driver->accumulator.buffered_bytes(), size_t{1} << 20);
  cluster->SetDown(0, false);
  cluster->SetDown(1, false);
  RunFor(seconds(30));
  EXPECT_EQ(driver->completed, accepted);
  EXPECT_TRUE(driver->Send(RecordOf("t", value, 0), nullptr).ok());
}

// One run of random traffic under random faults; then the faults end and everything must settle.
void RunSeed(uint64_t seed) {
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  VirtualLoop loop;
  Random random(seed);
  FakeCluster cluster(&loop, seed * 31 + 1, 3);
  const int partitions = static_cast<int>(random.Between(1, 3));
  cluster.CreateTopic("t", partitions);
  ProducerOptions options;
  options.batch_bytes = 1024;
  options.linger = milliseconds(random.Between(0, 20));
  options.in_flight_per_partition_max = static_cast<int>(random.Between(1, 5));
  options.delivery_timeout = seconds(random.OneIn(2) ? 8 : 120);
  options.idempotent = !random.OneIn(4);
  options.compression = random.OneIn(3) ? Codec::kLz4 : Codec::kNone;
  const bool idempotent = options.idempotent;
  Driver driver(&loop, &cluster, TestClient(), options, seed);
  Outcomes outcomes;
  std::map<int, std::vector<std::string>> sent;

  const double level = random.Unit() * 0.2;
  auto chance = [&] { return random.OneIn(2) ? level * random.Unit() : 0; };
  int total = 0;
  const int rounds = 40;
  for (int round = 0; round < rounds; ++round) {
    Faults faults{.lose_request = chance(),
                  .lose_answer = chance(),
                  .black_hole = chance(),
                  .deliver_late = chance() * 3,
                  .refuse = chance(),
                  .unknown = chance(),
                  .move_leader = chance(),
                  .fail_metadata = chance() * 3};
    if (seed % 3 == 0) faults.reject = chance() / 4;
    cluster.set_faults(round < rounds - 5 ? faults : Faults{});
    for (int64_t n = random.Between(0, 30); n > 0; --n) {
      const int partition = static_cast<int>(random.Below(static_cast<uint64_t>(partitions)));
      const std::string value = absl::StrCat("p", partition, "-", total++);
      ASSERT_TRUE(driver.Send(RecordOf("t", value, partition), Note(&outcomes, value)).ok());
      sent[partition].push_back(value);
      const MonotonicTime until = loop.now() + std::chrono::microseconds(random.Between(0, 3000));
      while (loop.Step(until)) {
      }
    }
    const MonotonicTime until = loop.now() + milliseconds(random.Between(0, 2000));
    while (loop.Step(until)) {
    }
  }
  cluster.set_faults({});
  const MonotonicTime end = loop.now() + seconds(300);
  while (loop.Step(end)) {
  }

  ASSERT_EQ(driver.completed, total) << "every record gets its callback";
  for (int p = 0; p < partitions; ++p) {
    const std::vector<std::string> stored = cluster.Values("t", p);
    std::map<std::string, int> position;
    for (size_t i = 0; i < stored.size(); ++i) {
      ASSERT_TRUE(position.emplace(stored[i], static_cast<int>(i)).second)
          << stored[i] << " is stored twice";
    }
    int last = -1;
    for (const std::string& value : outcomes.delivered[p]) {
      ASSERT_TRUE(position.contains(value)) << value << " was acknowledged and is lost";
      ASSERT_EQ(outcomes.offsets[value], Offset(position[value])) << value;
    }
    for (const std::string& value : sent[p]) {
      if (!position.contains(value)) continue;
      // A record that was given up may come late when nothing fences it (no idempotence).
      if (!idempotent && outcomes.unknown.contains(value)) continue;
      ASSERT_GT(position[value], last) << value << " is out of order";
      last = position[value];
    }
    for (const std::string& value : stored) {
      ASSERT_FALSE(outcomes.rejected.contains(value)) << value << " was rejected and is stored";
    }
  }
  EXPECT_EQ(driver.accumulator.buffered_bytes(), 0u);
}

TEST(ProducerCoreSeeds, KeepTheirPromises) {
  const char* box = std::getenv("CATAMARAN_CLIENT_SEEDS");
  const uint64_t seeds = box == nullptr ? 150 : std::strtoull(box, nullptr, 10);
  for (uint64_t seed = 1; seed <= seeds && !testing::Test::HasFailure(); ++seed) RunSeed(seed);
}

}  // namespace
}  // namespace catamaran::client::core
