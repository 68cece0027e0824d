#include "storage/partition_log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/cache_pool.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"

namespace catamaran::storage {
namespace {

using sim::SimCrash;
using sim::SimDiskOperation;
using sim::SimFileSystem;

// Segments that hold a few batches only.
LogConfig SmallSegments() {
  LogConfig config;
  config.segment_bytes = 1'000;
  config.index_interval_bytes = 200;
  return config;
}

void DropCaches() {
  for (CachePool* pool : {&TailPool(), &IndexPool(), &FileHandlePool()}) {
    const size_t capacity = pool->capacity();
    pool->SetCapacity(0);
    pool->SetCapacity(capacity);
  }
}

TEST(PartitionLogTest, EmptyLogTouchesNoDisk) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  EXPECT_EQ(h.log().end(), Offset(0));
  EXPECT_EQ(h.log().log_start(), Offset(0));
  EXPECT_FALSE(h.log().needs_sync());
  EXPECT_EQ(h.log().last_epoch(), kNoLeaderEpoch);
  EXPECT_FALSE(h.log().TakeMaintenance(h.now, Offset(0)).has_value());
  ASSERT_TRUE(h.Close().ok());
  EXPECT_EQ(disk.operation_count(), 0u);
}

TEST(PartitionLogTest, AppendsStampOffsetsAndReadBack) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  const std::string first = MakeBatch({.records = 3});
  auto appended = h.Append(first, LeaderEpoch(7));
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_EQ(appended->base_offset, Offset(0));
  EXPECT_EQ(appended->last_offset, Offset(2));
  EXPECT_FALSE(appended->duplicate);
  appended = h.Append({.records = 2}, LeaderEpoch(7));
  ASSERT_TRUE(appended.ok());
  EXPECT_EQ(appended->base_offset, Offset(3));
  EXPECT_EQ(h.log().end(), Offset(5));
  EXPECT_EQ(h.log().synced_end(), Offset(0));

  for (bool cached : {true, false}) {
    if (!cached) DropCaches();
    auto job = h.log().PlanRead(Offset(1), 1 << 20, h.log().end());
    ASSERT_TRUE(job.ok());
    EXPECT_EQ(job->in_memory(), cached);
    auto result = job->Run();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->next_offset, Offset(5));
    auto batches = h.ReadBatches(Offset(0));
    ASSERT_TRUE(batches.ok());
    ASSERT_EQ(batches->size(), 2u);
    EXPECT_EQ(Payload((*batches)[0]), Payload(first));
    EXPECT_EQ(ParseBatchHeader((*batches)[1])->base_offset, Offset(3));
    EXPECT_EQ(ParseBatchHeader((*batches)[1])->leader_epoch, LeaderEpoch(7));
  }
  ASSERT_TRUE(h.Sync().ok());
  EXPECT_EQ(h.log().synced_end(), Offset(5));
}

TEST(PartitionLogTest, NothingIsVisibleBeforeTheWriteHasFinished) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  std::vector<StageRequest> requests(1);
  requests[0].bytes = MakeBatch({});
  auto staged = h.log().Stage(std::move(requests), LeaderEpoch(1), h.now);
  ASSERT_TRUE(staged.job.has_value());
  EXPECT_TRUE(h.log().write_in_flight());
  EXPECT_EQ(h.log().end(), Offset(0));
  staged.job->Run();
  EXPECT_EQ(h.log().end(), Offset(0));
  EXPECT_FALSE(h.log().PlanRead(Offset(0), 100, Offset(1))->Run()->bytes > 0);
  ASSERT_TRUE(h.log().FinishWrite(*std::move(staged.job)).ok());
  EXPECT_EQ(h.log().end(), Offset(1));
}

TEST(PartitionLogTest, ReadLimitsAndRange) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(h.Append({.records = 2}).ok());
  EXPECT_GT(h.log().stats().segments, 2);
  for (bool cached : {true, false}) {
    if (!cached) DropCaches();
    for (int64_t from = 0; from <= 40; ++from) {
      auto job = h.log().PlanRead(Offset(from), 1, Offset(40));
      ASSERT_TRUE(job.ok());
      auto result = job->Run();
      ASSERT_TRUE(result.ok()) << from << ": " << result.status();
      EXPECT_EQ(result->next_offset.value(), from == 40 ? 40 : (from / 2 + 1) * 2);
    }
    auto limited = h.log().PlanRead(Offset(0), 1 << 20, Offset(6));
    EXPECT_LE(limited->Run()->next_offset, Offset(6));
  }
  const auto past = h.log().PlanRead(Offset(41), 1, Offset(100));
  EXPECT_EQ(ReasonOf(past.status()), Reason::kOffsetOutOfRange);
  EXPECT_EQ(ReasonOf(h.log().PlanRead(Offset(7), 1, Offset(6)).status()),
            Reason::kOffsetOutOfRange);
}

TEST(PartitionLogTest, CleanStopReadsNoLogData) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(h.Append({.records = 2}, LeaderEpoch(1 + i / 5)).ok());
  const auto before = h.ReadBatches(Offset(0));
  const std::string producers = h.log().EncodeProducerState();
  const auto epochs = h.log().epochs();
  const LogStats stats = h.log().stats();
  ASSERT_TRUE(h.Close().ok());
  ASSERT_TRUE(h.Open().ok());
  EXPECT_EQ(h.log().stats().recovered_bytes, 0);
  EXPECT_EQ(h.log().end(), Offset(40));
  EXPECT_EQ(h.log().synced_end(), Offset(40));
  EXPECT_EQ(h.log().epochs(), epochs);
  EXPECT_EQ(h.log().stats().size_bytes, stats.size_bytes);
  EXPECT_EQ(*h.ReadBatches(Offset(0)), *before);
  ASSERT_TRUE(h.Append(BatchSpec{}, LeaderEpoch(9)).ok());
  // The mark is gone: a crash now is a crash.
  ASSERT_TRUE(h.Sync().ok());
  h.Drop();
  disk.Restart(SimCrash::kProcessOnly);
  ASSERT_TRUE(h.Open().ok());
  EXPECT_GT(h.log().stats().recovered_bytes, 0);
  EXPECT_EQ(h.log().end(), Offset(41));
}

TEST(PartitionLogTest, CrashReadsOnlyWhatFollowsTheRecoveryPoint) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(h.Append({.records = 2}).ok());
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().recovery_point(), Offset(40));
  ASSERT_TRUE(h.Append({.records = 2}).ok());
  ASSERT_TRUE(h.Sync().ok());
  const auto before = h.ReadBatches(Offset(0));
  h.Drop();
  disk.Restart();
  ASSERT_TRUE(h.Open().ok());
  EXPECT_EQ(h.log().stats().recovered_bytes, static_cast<int64_t>(before->back().size()));
  EXPECT_EQ(*h.ReadBatches(Offset(0)), *before);
}

TEST(PartitionLogTest, AnotherTopicsDirectoryIsRefused) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  ASSERT_TRUE(h.Close().ok());
  auto other = PartitionLog::Open(disk, {"topic-3", TestPartition(4)}, {}, h.now);
  EXPECT_EQ(ReasonOf(other.status()), Reason::kTopicIdMismatch);
  EXPECT_EQ(**ReadLogDirectoryIdentity(disk, "topic-3"), TestPartition());
  EXPECT_FALSE(ReadLogDirectoryIdentity(disk, "topic-4")->has_value());
}

TEST(PartitionLogTest, DeleteRemovesEverything) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  ASSERT_TRUE(h.Maintain().ok());
  ASSERT_TRUE(h.Delete().ok());
  EXPECT_TRUE(absl::IsNotFound(disk.List("topic-3").status()));
  EXPECT_TRUE(RemoveLogDirectory(disk, "topic-3").ok());
}

TEST(PartitionLogTest, RollsByAge) {
  SimFileSystem disk(1);
  LogConfig config;
  config.segment_ms = 10'000;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  h.now = h.now + 9'999;
  ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  EXPECT_EQ(h.log().stats().segments, 1);
  h.now = h.now + 1;
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().stats().segments, 1);
  ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  EXPECT_EQ(h.log().stats().segments, 2);
}

TEST(PartitionLogTest, OneJobMayFillSeveralSegments) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  std::vector<std::string> batches;
  for (int i = 0; i < 30; ++i) batches.push_back(MakeBatch({.fill = static_cast<char>('a' + i)}));
  absl::Status status;
  auto decisions = h.AppendAll(batches, &status);
  ASSERT_TRUE(status.ok());
  EXPECT_GT(h.log().stats().segments, 2);
  EXPECT_GT(h.log().TakeSync().files.size(), 2u);
  ASSERT_TRUE(h.Sync().ok());
  ASSERT_TRUE(h.Maintain().ok());
  DropCaches();
  auto read = h.ReadBatches(Offset(0));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 30u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Payload((*read)[i]), Payload(batches[i]));
}

TEST(PartitionLogTest, RetentionBySizeKeepsTheWatermarkAndTheLastSegment) {
  SimFileSystem disk(1);
  LogConfig config = SmallSegments();
  config.retention_bytes = 0;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  ASSERT_TRUE(h.Maintain(Offset(0)).ok());
  EXPECT_EQ(h.log().log_start(), Offset(0));
  ASSERT_TRUE(h.Maintain(Offset(15)).ok());
  EXPECT_GT(h.log().log_start(), Offset(0));
  EXPECT_LE(h.log().log_start(), Offset(15));
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().stats().segments, 1);
  const Offset start = h.log().log_start();
  EXPECT_EQ(ReasonOf(h.Read(start - 1).status()), Reason::kOffsetOutOfRange);
  h.Drop();
  disk.Restart();
  ASSERT_TRUE(h.Open().ok());
  EXPECT_EQ(h.log().log_start(), start);
  EXPECT_EQ(h.log().epochs(), (std::vector<EpochStart>{{LeaderEpoch(1), start}}));
}

TEST(PartitionLogTest, RetentionByTimeDoesNotTrustTimestampsFromTheFuture) {
  SimFileSystem disk(1);
  LogConfig config = SmallSegments();
  config.retention_ms = 5'000;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(h.Append({.timestamp = i < 15 ? h.now : TimestampMs(int64_t{1} << 60)}).ok());
  }
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().log_start(), Offset(0));
  h.now = h.now + 5'001;
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().stats().segments, 1);
}

TEST(PartitionLogTest, AnIdleLogExpiresToItsEnd) {
  SimFileSystem disk(1);
  LogConfig config;  // one large segment takes everything
  config.retention_ms = 5'000;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  // Old timestamps, as of a copy: what counts is when they came.
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(h.Append({.timestamp = TimestampMs(0)}).ok());
  h.now = h.now + 5'000;
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().log_start(), Offset(0)) << "it isn't older than that yet";
  h.now = h.now + 1;
  ASSERT_TRUE(h.Maintain(Offset(9)).ok());
  EXPECT_EQ(h.log().log_start(), Offset(0)) << "what isn't committed stays";
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().log_start(), Offset(10));
  // It was not synced before; a power cut must not bring the log back shorter than its start.
  h.Drop();
  disk.Restart();
  const absl::Status opened = h.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(h.log().log_start(), Offset(10));
  EXPECT_EQ(h.log().end(), Offset(10));
  ASSERT_TRUE(h.Append({.timestamp = h.now}).ok());
  h.now = h.now + 5'001;
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().log_start(), Offset(11));
  // The next append begins another file, and the old one goes.
  ASSERT_TRUE(h.Append({.timestamp = h.now}).ok());
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().stats().segments, 1);
  EXPECT_EQ(h.log().stats().size_bytes, static_cast<int64_t>(MakeBatch({}).size()));
}

TEST(PartitionLogTest, RetentionLeavesCompactedTopicsAlone) {
  SimFileSystem disk(1);
  LogConfig config = SmallSegments();
  config.retention_bytes = 0;
  config.delete_old_segments = false;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(h.Append(BatchSpec{}).ok());
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_EQ(h.log().log_start(), Offset(0));
}

TEST(PartitionLogTest, DeleteRecordsMovesTheStartForGood) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(h.Append({.records = 2}).ok());
  EXPECT_EQ(ReasonOf(h.DeleteRecords(Offset(61))), Reason::kOffsetOutOfRange);
  ASSERT_TRUE(h.DeleteRecords(Offset(31)).ok());
  EXPECT_EQ(h.log().log_start(), Offset(31));
  ASSERT_TRUE(h.DeleteRecords(Offset(20)).ok());
  EXPECT_EQ(h.log().log_start(), Offset(31));
  EXPECT_EQ(ReasonOf(h.Read(Offset(30)).status()), Reason::kOffsetOutOfRange);
  EXPECT_TRUE(h.Read(Offset(31)).ok());
  ASSERT_TRUE(h.Maintain().ok());
  EXPECT_LT(h.log().stats().segments, 7);
  h.Drop();
  disk.Restart();
  ASSERT_TRUE(h.Open().ok());
  EXPECT_EQ(h.log().log_start(), Offset(31));
}

TEST(PartitionLogTest, TimestampLookup) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(h.Append({.records = 3,
                          .timestamp = TimestampMs(1'000 + i * 10),
                          .codec = i % 2 == 0 ? Codec::kNone : Codec::kLz4})
                    .ok());
  }
  const auto check = [&] {
    for (int t = 990; t < 1'300; ++t) {
      auto found = h.log().PlanTimestampLookup(TimestampMs(t), h.log().end())();
      ASSERT_TRUE(found.ok()) << found.status();
      const int batch = std::max(0, (t - 1'000) / 10);
      const int rest = std::max(0, (t - 1'000) % 10);
      int expected = rest <= 2 ? batch * 3 + rest : (batch + 1) * 3;
      if (t < 1'000) expected = 0;
      if (expected >= 90) {
        EXPECT_FALSE(found->has_value()) << t;
      } else {
        ASSERT_TRUE(found->has_value()) << t;
        EXPECT_EQ((*found)->offset, Offset(expected)) << t;
        EXPECT_GE((*found)->timestamp, TimestampMs(t));
        EXPECT_EQ((*found)->leader_epoch, LeaderEpoch(1));
      }
    }
    auto limited = h.log().PlanTimestampLookup(TimestampMs(1'100), Offset(30))();
    EXPECT_FALSE(limited->has_value());
  };
  check();
  ASSERT_TRUE(h.Maintain().ok());
  check();
  ASSERT_TRUE(h.Close().ok());
  ASSERT_TRUE(h.Open().ok());
  check();
}

TEST(PartitionLogTest, LogAppendTime) {
  SimFileSystem disk(1);
  LogConfig config;
  config.timestamp_type = TimestampType::kLogAppendTime;
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  const BatchSpec spec{.records = 2, .timestamp = TimestampMs(5), .producer = ProducerId(1)};
  auto appended = h.Append(spec);
  ASSERT_TRUE(appended.ok());
  EXPECT_EQ(appended->append_time, h.now);
  const TimestampMs first = h.now;
  h.now = h.now + 1'000;
  auto again = h.Append(spec);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->append_time, first);
  auto batches = h.ReadBatches(Offset(0));
  EXPECT_EQ(ParseBatchHeader((*batches)[0])->max_timestamp, first);
  EXPECT_TRUE(BatchCrcMatches((*batches)[0]));
  auto found = h.log().PlanTimestampLookup(first, h.log().end())();
  EXPECT_EQ((*found)->offset, Offset(0));
  h.Drop();
  ASSERT_TRUE(h.Open().ok());
  again = h.Append(spec);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->append_time, first);
}

TEST(PartitionLogTest, EpochsAnswerWhereTheyEnded) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  ASSERT_TRUE(h.Append({.records = 5}, LeaderEpoch(2)).ok());
  ASSERT_TRUE(h.Append({.records = 5}, LeaderEpoch(4)).ok());
  const auto low = h.Append(BatchSpec{}, LeaderEpoch(3));
  EXPECT_EQ(ReasonOf(low.status()), Reason::kFencedEpoch);
  EXPECT_EQ(h.log().EndOfEpoch(LeaderEpoch(1)), (EpochStart{kNoLeaderEpoch, Offset(0)}));
  EXPECT_EQ(h.log().EndOfEpoch(LeaderEpoch(2)), (EpochStart{LeaderEpoch(2), Offset(5)}));
  EXPECT_EQ(h.log().EndOfEpoch(LeaderEpoch(3)), (EpochStart{LeaderEpoch(2), Offset(5)}));
  EXPECT_EQ(h.log().EndOfEpoch(LeaderEpoch(9)), (EpochStart{LeaderEpoch(4), Offset(10)}));
}

TEST(PartitionLogTest, TruncationTakesEpochsAndProducersAlong) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(
        h.Append({.producer = ProducerId(1), .sequence = Sequence(i)}, LeaderEpoch(1 + i / 10))
            .ok());
  }
  ASSERT_TRUE(h.Maintain().ok());
  const auto before = h.ReadBatches(Offset(0));
  ASSERT_TRUE(h.Truncate(Offset(10)).ok());
  EXPECT_EQ(h.log().end(), Offset(10));
  EXPECT_EQ(h.log().last_epoch(), LeaderEpoch(1));
  auto appended = h.Append({.producer = ProducerId(1), .sequence = Sequence(10)}, LeaderEpoch(5));
  ASSERT_TRUE(appended.ok()) << appended.status();
  EXPECT_FALSE(appended->duplicate);
  ASSERT_TRUE(h.Truncate(Offset(100)).ok());
  EXPECT_EQ(h.log().end(), Offset(11));
  h.Drop();
  disk.Restart();
  ASSERT_TRUE(h.Open().ok());
  auto after = h.ReadBatches(Offset(0));
  ASSERT_TRUE(after.ok());
  ASSERT_GE(after->size(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ((*after)[i], (*before)[i]);
  ASSERT_TRUE(h.Truncate(Offset(0)).ok());
  EXPECT_EQ(h.log().end(), Offset(0));
  ASSERT_TRUE(h.Append(BatchSpec{}, LeaderEpoch(6)).ok());
}

}  // namespace
}  // namespace catamaran::storage
