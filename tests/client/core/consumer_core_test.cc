// The consumer core against a fake cluster in virtual time: scripted cases, and seeds that check
// that what is polled is exactly what is stored, in order, under faults.
#include "client/core/consumer_core.h"

#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"
#include "client/core/options.h"
#include "gtest/gtest.h"
#include "tests/client/core/fake_cluster.h"

namespace catamaran::client::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ConsumerCoreTest : public testing::Test {
 protected:
  void Start(ConsumerOptions options = {}, uint64_t seed = 1) {
    loop = VirtualLoop();  // nothing may be left that refers to the cluster before
    core.reset();
    wake = kNever;
    offsets.clear();
    cluster = std::make_unique<FakeCluster>(&loop, seed, 2);
    cluster->CreateTopic("t", 2);
    ClientOptions client;
    client.bootstrap = {"b0:1", "b1:1"};
    client.request_timeout = seconds(5);
    core = std::make_unique<ConsumerCore>(MakeConsumerCoreOptions(client, options), Random(seed));
  }
  void Store(const std::vector<std::string>& values, int partition = 0, Codec codec = Codec::kNone,
             int64_t timestamp = 1000) {
    FakePartition& p = cluster->Partition("t", partition);
    BatchBuilderOptions options;
    options.codec = codec;
    options.base_offset = p.end;
    BatchBuilder builder(options);
    for (const std::string& value : values) {
      builder.Add(TimestampMs(timestamp), std::nullopt, value, {{"h", "x"}});
    }
    p.log.push_back({p.end, *builder.Build()});
    p.end += static_cast<int64_t>(values.size());
  }
  void Assign(int partition, StartPosition start) {
    ASSERT_TRUE(core->AddAssignment({Name(partition), start}, loop.now()).ok());
    Pump();
  }
  static TopicPartition Name(int partition) { return {"t", PartitionIndex(partition)}; }

  void Pump() {
    ConsumerCore::Output output = core->Advance(loop.now());
    core->CheckInvariants();
    for (const SendMetadata& send : output.metadata) {
      cluster->Send(send, [this, c = send.correlation](auto answer) {
        core->OnMetadata(c, std::move(answer), loop.now());
        Pump();
      });
    }
    for (const SendListOffsets& send : output.list_offsets) {
      cluster->Send(send, [this, c = send.correlation](auto answer) {
        core->OnListOffsets(c, std::move(answer), loop.now());
        Pump();
      });
    }
    for (const SendFetch& send : output.fetches) {
      cluster->Send(send, [this, c = send.correlation](auto answer) {
        core->OnFetch(c, std::move(answer), loop.now());
        Pump();
      });
    }
    ASSERT_GT(output.wake_at, loop.now()) << "would spin";
    if (output.wake_at != wake && output.wake_at != kNever) {
      wake = output.wake_at;
      loop.At(wake, [this, at = wake] {
        if (at != wake) return;
        wake = kNever;
        Pump();
      });
    }
  }
  void RunFor(Duration duration) {
    const MonotonicTime end = loop.now() + duration;
    while (loop.Step(end)) {
    }
    loop.At(end, [] {});
    loop.Step(end);
  }
  // Runs until there is something to poll, polls it, and returns the values.
  std::vector<std::string> Poll(Duration timeout = seconds(2), size_t max = 1000) {
    const MonotonicTime end = loop.now() + timeout;
    std::vector<std::string> values;
    for (;;) {
      PolledBatches batches;
      std::vector<ConsumedRecord> records;
      error = core->Poll(max, &records, &batches);
      for (const ConsumedRecord& record : records) {
        offsets[record.partition.value()].push_back(record.offset);
        EXPECT_EQ(record.headers.size(), 1u);
        values.emplace_back(*record.value);
      }
      Pump();
      if (!error.ok() || !values.empty()) return values;
      if (!loop.Step(end)) {
        RunFor(end - loop.now());
        return values;
      }
    }
  }

  VirtualLoop loop;
  std::unique_ptr<FakeCluster> cluster;
  std::unique_ptr<ConsumerCore> core;
  MonotonicTime wake = kNever;
  absl::Status error;
  std::map<int, std::vector<Offset>> offsets;
};

using Values = std::vector<std::string>;

TEST_F(ConsumerCoreTest, ReadsFromEveryKindOfStart) {
  Start();
  Store({"a", "b"}, 0, Codec::kNone, 1000);
  Store({"c", "d"}, 0, Codec::kZstd, 2000);
  Assign(0, StartPosition::Earliest());
  EXPECT_EQ(Poll(), (Values{"a", "b", "c", "d"}));
  // At every position of a batch, its records before the position are cut off.
  for (int64_t at = 0; at < 4; ++at) {
    ASSERT_TRUE(core->Seek(Name(0), StartPosition::At(Offset(at)), loop.now()).ok());
    Values all{"a", "b", "c", "d"};
    EXPECT_EQ(Poll(), Values(all.begin() + at, all.end())) << at;
  }
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::AtTime(TimestampMs(1500)), loop.now()).ok());
  EXPECT_EQ(Poll(), (Values{"c", "d"}));
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::Latest(), loop.now()).ok());
  EXPECT_EQ(Poll(), Values{});
  Store({"e"});
  EXPECT_EQ(Poll(), Values{"e"});
  // After the last record by time: what comes next.
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::AtTime(TimestampMs(9000)), loop.now()).ok());
  EXPECT_EQ(Poll(), Values{});
  Store({"f"});
  EXPECT_EQ(Poll(), Values{"f"});
}

TEST_F(ConsumerCoreTest, ABatchIsHandedOutInPieces) {
  Start();
  Store({"a", "b", "c", "d", "e"}, 0, Codec::kSnappy);
  Assign(0, StartPosition::Earliest());
  EXPECT_EQ(Poll(seconds(1), 2), (Values{"a", "b"}));
  EXPECT_EQ(core->Progress(Name(0))->position, Offset(2));
  EXPECT_FALSE(core->Progress(Name(0))->at_end);
  EXPECT_EQ(Poll(seconds(1), 2), (Values{"c", "d"}));
  EXPECT_EQ(Poll(seconds(1), 2), (Values{"e"}));
  EXPECT_EQ(Poll(seconds(1), 2), Values{});
  EXPECT_TRUE(core->Progress(Name(0))->at_end);
  EXPECT_EQ(core->Progress(Name(0))->high_watermark, Offset(5));
}

TEST_F(ConsumerCoreTest, OutOfRangeFollowsThePolicy) {
  for (OffsetReset reset : {OffsetReset::kError, OffsetReset::kEarliest, OffsetReset::kLatest}) {
    ConsumerOptions options;
    options.auto_reset = reset;
    Start(options);
    Store({"a", "b"});
    Store({"c"});
    cluster->Partition("t", 0).log_start = Offset(2);
    Assign(0, StartPosition::At(Offset(0)));
    const Values values = Poll();
    if (reset == OffsetReset::kError) {
      EXPECT_EQ(ReasonOf(error), Reason::kOffsetOutOfRange);
      EXPECT_EQ(Poll(), Values{}) << "the error comes once";
      EXPECT_TRUE(error.ok());
      ASSERT_TRUE(core->Seek(Name(0), StartPosition::Earliest(), loop.now()).ok());
      EXPECT_EQ(Poll(), Values{"c"});
    } else if (reset == OffsetReset::kEarliest) {
      EXPECT_EQ(values, Values{"c"});
    } else {
      EXPECT_EQ(values, Values{});
      Store({"d"});
      EXPECT_EQ(Poll(), Values{"d"});
    }
  }
}

TEST_F(ConsumerCoreTest, CorruptionStopsThePartitionAfterTheRecordsBefore) {
  Start();
  Store({"a"});
  Store({"b"});
  cluster->Partition("t", 0).log[1].bytes.back() ^= 1;
  Assign(0, StartPosition::Earliest());
  Assign(1, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{"a"});
  EXPECT_EQ(Poll(), Values{});
  EXPECT_EQ(ReasonOf(error), Reason::kCorruptBatch) << error;
  Store({"other"}, 1);
  EXPECT_EQ(Poll(), Values{"other"});
  Store({"c"});
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::At(Offset(2)), loop.now()).ok());
  EXPECT_EQ(Poll(), Values{"c"});
}

TEST_F(ConsumerCoreTest, ABombIsRefused) {
  ConsumerOptions options;
  options.decompressed_bytes_max = 10'000;
  Start(options);
  Store({"before"}, 0, Codec::kZstd);
  Store({"lost", std::string(100'000, 'x')}, 0, Codec::kZstd);
  Store({"after"}, 0, Codec::kZstd);
  Store({"other"}, 1);
  Assign(0, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{"before"});
  EXPECT_EQ(Poll(), Values{});
  EXPECT_EQ(ReasonOf(error), Reason::kRecordTooLarge) << error;
  ASSERT_TRUE(GetErrorDetail(error).has_value());
  EXPECT_EQ(GetErrorDetail(error)->metadata, (ErrorMetadata{{"topic", "t"},
                                                            {"partition", "0"},
                                                            {"offset", "1"},
                                                            {"limit", "10000"},
                                                            {"next_offset", "3"}}));
  // It comes once, nothing more is fetched of the partition, and the others are read on.
  const int fetches = cluster->fetches();
  EXPECT_EQ(Poll(), Values{});
  EXPECT_TRUE(error.ok());
  EXPECT_EQ(cluster->fetches(), fetches);
  Assign(1, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{"other"});
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::At(Offset(3)), loop.now()).ok());
  EXPECT_EQ(Poll(), Values{"after"});
}

TEST_F(ConsumerCoreTest, ARefusalThatNamesTheLeaderIsFollowedAtOnce) {
  Start();
  Store({"a"});
  Assign(0, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{"a"});
  // No metadata tells of the move.
  cluster->MoveLeader(&cluster->Partition("t", 0), /*in_metadata=*/false);
  Store({"b"});
  EXPECT_EQ(Poll(), Values{"b"});
  EXPECT_TRUE(core->trouble().ok());
  RunFor(std::chrono::minutes(6));  // metadata is asked for again by its age
  Store({"c"});
  EXPECT_EQ(Poll(), Values{"c"});
  EXPECT_EQ(cluster->misdirected(), 1);
  // Look-ups follow, too.
  cluster->MoveLeader(&cluster->Partition("t", 0), /*in_metadata=*/false);
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::Earliest(), loop.now()).ok());
  Pump();
  EXPECT_EQ(Poll(), (Values{"a", "b", "c"}));
}

TEST_F(ConsumerCoreTest, PauseKeepsThePosition) {
  Start();
  Store({"a"});
  Assign(0, StartPosition::Earliest());
  RunFor(seconds(1));
  ASSERT_TRUE(core->SetPaused(Name(0), true).ok());
  EXPECT_EQ(Poll(), Values{});
  ASSERT_TRUE(core->SetPaused(Name(0), false).ok());
  EXPECT_EQ(Poll(), Values{"a"});
}

TEST_F(ConsumerCoreTest, AnUnknownTopicAndOneMadeAgainAreErrors) {
  Start();
  ASSERT_TRUE(core->AddAssignment({{"nowhere", PartitionIndex(0)}, {}}, loop.now()).ok());
  Pump();
  EXPECT_EQ(Poll(seconds(5)), Values{});
  EXPECT_EQ(ReasonOf(error), Reason::kUnknownTopic);
  core->RemoveAssignment({"nowhere", PartitionIndex(0)});

  Store({"a"});
  Assign(0, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{"a"});
  cluster->DeleteTopic("t");
  cluster->CreateTopic("t", 2);
  Store({"b"});
  EXPECT_EQ(Poll(seconds(10)), Values{});
  EXPECT_EQ(ReasonOf(error), Reason::kTopicIdMismatch) << error;
  ASSERT_TRUE(core->Seek(Name(0), StartPosition::Earliest(), loop.now()).ok());
  EXPECT_EQ(Poll(seconds(10)), Values{"b"});
}

TEST_F(ConsumerCoreTest, APartitionThatTheTopicLacksIsAnError) {
  Start();
  Assign(7, StartPosition::Earliest());
  EXPECT_EQ(Poll(), Values{});
  EXPECT_EQ(ReasonOf(error), Reason::kUnknownPartition);
  EXPECT_FALSE(core->AddAssignment({Name(7), {}}, loop.now()).ok()) << "assigned already";
  EXPECT_FALSE(core->Seek(Name(9), {}, loop.now()).ok()) << "not assigned";
}

TEST_F(ConsumerCoreTest, PrefetchIsBounded) {
  ConsumerOptions options;
  options.prefetch_bytes_max = 64 << 10;
  options.fetch_bytes_max = options.fetch_bytes_per_partition_max = 8 << 10;
  Start(options);
  for (int i = 0; i < 100; ++i) Store({std::string(4000, 'x')});
  Assign(0, StartPosition::Earliest());
  RunFor(seconds(10));
  EXPECT_GT(core->buffered_bytes(), 16u << 10);
  EXPECT_LE(core->buffered_bytes(), (64u << 10) + (8u << 10));
  size_t read = 0;
  while (read < 100) read += Poll().size();
  EXPECT_EQ(read, 100u);
}

TEST_F(ConsumerCoreTest, AbortedTransactionsAndMarkersAreSkipped) {
  PartitionReader reader({1 << 20, true, IsolationLevel::kReadCommitted}, Name(0));
  std::string log;
  int64_t offset = 0;
  auto add = [&](const std::string& value, int64_t producer, bool transactional) {
    BatchBuilderOptions options;
    options.producer_id = ProducerId(producer);
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = Sequence(0);
    options.transactional = transactional;
    options.base_offset = Offset(offset++);
    BatchBuilder builder(options);
    builder.Add(TimestampMs(1), std::nullopt, value);
    log += *builder.Build();
  };
  auto marker = [&](int64_t producer, char type) {
    BatchBuilderOptions options;
    options.producer_id = ProducerId(producer);
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = Sequence(0);
    options.transactional = true;
    options.base_offset = Offset(offset++);
    BatchBuilder builder(options);
    const std::string key = std::string("\0\0\0", 3) + type;
    builder.Add(TimestampMs(1), key, "");
    std::string batch = *builder.Build();
    batch[22] |= 32;  // control
    const uint32_t crc = Crc32c(std::string_view(batch).substr(21));
    StoreBigEndian<uint32_t>(batch.data() + 17, crc);
    log += batch;
  };
  add("plain", 1, false);       // 0
  add("aborted", 2, true);      // 1
  add("committed", 3, true);    // 2
  marker(2, 0);                 // 3: abort of 2
  add("second life", 2, true);  // 4
  marker(2, 1);                 // 5: commit of 2
  FetchResult fetched;
  fetched.batches = Buffer::FromString(log);
  fetched.next_offset = Offset(offset);
  fetched.aborted = {{ProducerId(2), Offset(1)}};
  reader.Reset(Offset(0));
  reader.Add(std::move(fetched));
  std::vector<ConsumedRecord> records;
  PolledBatches polled;
  reader.Read(100, &records, &polled);
  Values values;
  for (const ConsumedRecord& record : records) values.emplace_back(*record.value);
  EXPECT_EQ(values, (Values{"plain", "committed", "second life"}));
  EXPECT_TRUE(reader.status().ok()) << reader.status();
  EXPECT_EQ(reader.position(), Offset(6));
}

TEST_F(ConsumerCoreTest, SeedsReadExactlyWhatIsStored) {
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Random random(seed);
    ConsumerOptions options;
    options.fetch_bytes_max = 4 << 10;
    options.fetch_bytes_per_partition_max = 1 << 10;
    Start(options, seed);
    for (int p = 0; p < 2; ++p) Assign(p, StartPosition::Earliest());
    std::map<char, Values> read, written;
    size_t read_count = 0, written_count = 0;
    const double level = random.Unit() * 0.3;
    for (int round = 0; round < 60 || read_count < written_count; ++round) {
      if (round > 500) {
        for (const PartitionProgress& progress : core->ProgressOfAll()) {
          ADD_FAILURE() << "position " << progress.position->value() << ", high watermark "
                        << progress.high_watermark.value() << ", end "
                        << cluster->Partition("t", progress.partition.partition.value()).end.value()
                        << ", buffered " << core->buffered_bytes();
        }
        FAIL() << "stuck at " << read_count << " of " << written_count << ": " << core->trouble();
      }
      Faults faults{.lose_request = level * random.Unit(),
                    .black_hole = level * random.Unit(),
                    .refuse = level * random.Unit(),
                    .fail_metadata = level * random.Unit()};
      cluster->set_faults(round < 60 ? faults : Faults{});
      for (int64_t n = round < 60 ? random.Between(0, 3) : 0; n > 0; --n) {
        const int p = static_cast<int>(random.Below(2));
        Values values;
        for (int64_t r = random.Between(1, 20); r > 0; --r) {
          values.push_back(absl::StrCat(p, "-", written_count++));
          written[values.back()[0]].push_back(values.back());
        }
        Store(values, p, random.OneIn(2) ? Codec::kLz4 : Codec::kNone);
      }
      if (random.OneIn(5)) {
        FakePartition& p = cluster->Partition("t", static_cast<int>(random.Below(2)));
        cluster->MoveLeader(&p);
      }
      for (std::string& value : Poll(milliseconds(random.Between(1, 3000)), 1 + random.Below(30))) {
        ++read_count;
        read[value[0]].push_back(value);
      }
      ASSERT_TRUE(error.ok()) << error;
    }
    EXPECT_EQ(read, written);
  }
}

}  // namespace
}  // namespace catamaran::client::core
