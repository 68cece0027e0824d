// The log's parts, each on its own.
#include <set>

#include "base/check.h"
#include "base/error.h"
#include "base/thread_executor.h"
#include "gtest/gtest.h"
#include "storage/binding.h"
#include "storage/cache_pool.h"
#include "storage/checkpoint_file.h"
#include "storage/epoch_history.h"
#include "storage/log_state.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/sparse_index.h"
#include "storage/sync_service.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::storage {
namespace {

BatchHeader ProducerHeader(int64_t producer, int16_t epoch, int32_t sequence, int32_t records,
                           int64_t offset = 0) {
  BatchHeader header;
  header.producer_id = ProducerId(producer);
  header.producer_epoch = ProducerEpoch(epoch);
  header.base_sequence = Sequence(sequence);
  header.last_offset_delta = records - 1;
  header.record_count = records;
  header.base_offset = Offset(offset);
  return header;
}

// Checks and adds, as one append does.
absl::StatusOr<std::optional<Appended>> Offer(ProducerMap* producers, const BatchHeader& header) {
  ProducerOverlay overlay;
  auto answer = overlay.Check(*producers, header);
  if (answer.ok() && !answer->has_value()) {
    overlay.Add(*producers, header, TimestampMs(1));
    overlay.MergeInto(producers);
  }
  return answer;
}

TEST(ProducerStateTest, UnknownProducerMayBeginAnywhere) {
  ProducerMap producers;
  EXPECT_TRUE(Offer(&producers, ProducerHeader(1, 3, 77, 2)).ok());
  EXPECT_TRUE(Offer(&producers, ProducerHeader(1, 3, 79, 1)).ok());
}

TEST(ProducerStateTest, RemembersFiveBatches) {
  ProducerMap producers;
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(Offer(&producers, ProducerHeader(1, 0, i * 2, 2, 100 + i * 2)).ok());
  }
  for (int i = 0; i < 7; ++i) {
    const auto again = Offer(&producers, ProducerHeader(1, 0, i * 2, 2));
    if (i < 2) {
      EXPECT_EQ(ReasonOf(again.status()), Reason::kOutOfOrderSequence);
    } else {
      ASSERT_TRUE(again.ok() && again->has_value());
      EXPECT_TRUE((*again)->duplicate);
      EXPECT_EQ((*again)->base_offset, Offset(100 + i * 2));
      EXPECT_EQ((*again)->last_offset, Offset(101 + i * 2));
    }
  }
  // The same first sequence with another length is no duplicate.
  EXPECT_EQ(ReasonOf(Offer(&producers, ProducerHeader(1, 0, 12, 1)).status()),
            Reason::kOutOfOrderSequence);
}

TEST(ProducerStateTest, GapsAreRefusedWithWhatWasExpected) {
  ProducerMap producers;
  ASSERT_TRUE(Offer(&producers, ProducerHeader(1, 0, 0, 3)).ok());
  const auto gap = Offer(&producers, ProducerHeader(1, 0, 4, 1));
  EXPECT_EQ(ReasonOf(gap.status()), Reason::kOutOfOrderSequence);
  const auto detail = GetErrorDetail(gap.status());
  const ErrorMetadata expected{
      {"producer_id", "1"}, {"expected_sequence", "3"}, {"received_sequence", "4"}};
  EXPECT_EQ(detail->metadata, expected);
}

TEST(ProducerStateTest, EpochsFenceAndBeginAtZero) {
  ProducerMap producers;
  ASSERT_TRUE(Offer(&producers, ProducerHeader(1, 5, 10, 1)).ok());
  EXPECT_EQ(ReasonOf(Offer(&producers, ProducerHeader(1, 4, 11, 1)).status()),
            Reason::kProducerFenced);
  EXPECT_EQ(ReasonOf(Offer(&producers, ProducerHeader(1, 6, 11, 1)).status()),
            Reason::kOutOfOrderSequence);
  EXPECT_TRUE(Offer(&producers, ProducerHeader(1, 6, 0, 1)).ok());
  EXPECT_EQ(ReasonOf(Offer(&producers, ProducerHeader(1, 5, 11, 1)).status()),
            Reason::kProducerFenced);
}

TEST(ProducerStateTest, SequencesWrap) {
  ProducerMap producers;
  ASSERT_TRUE(Offer(&producers, ProducerHeader(1, 0, INT32_MAX - 1, 2)).ok());
  const auto next = Offer(&producers, ProducerHeader(1, 0, 0, 1));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(next->has_value());
}

TEST(ProducerStateTest, OverlayIsForgottenUnlessMerged) {
  ProducerMap producers;
  ASSERT_TRUE(Offer(&producers, ProducerHeader(1, 0, 0, 1)).ok());
  {
    ProducerOverlay overlay;
    overlay.Add(producers, ProducerHeader(1, 0, 1, 1), TimestampMs(1));
    // A later batch of the same job sees it.
    EXPECT_TRUE(overlay.Check(producers, ProducerHeader(1, 0, 2, 1)).ok());
    EXPECT_TRUE(overlay.Check(producers, ProducerHeader(1, 0, 1, 1))->has_value());
  }
  EXPECT_FALSE(Offer(&producers, ProducerHeader(1, 0, 2, 1)).ok());
  EXPECT_TRUE(Offer(&producers, ProducerHeader(1, 0, 1, 1)).ok());
}

TEST(ProducerStateTest, IdleProducersExpire) {
  ProducerMap producers;
  ReplayProducerBatch(ProducerHeader(1, 0, 0, 1), TimestampMs(100), &producers);
  ReplayProducerBatch(ProducerHeader(2, 0, 0, 1), TimestampMs(200), &producers);
  EXPECT_EQ(ExpireProducers(TimestampMs(250), 100, &producers), 1u);
  EXPECT_TRUE(producers.contains(ProducerId(2)));
}

TEST(ProducerStateTest, RoundTrip) {
  ProducerMap producers;
  for (int i = 0; i < 8; ++i) {
    ReplayProducerBatch(ProducerHeader(i % 3, 2, i, 1, i), TimestampMs(i), &producers);
  }
  std::string bytes;
  EncodeProducers(producers, &bytes);
  ByteReader reader(bytes);
  const auto decoded = DecodeProducers(&reader);
  ASSERT_TRUE(decoded.ok());
  std::string again;
  EncodeProducers(*decoded, &again);
  EXPECT_EQ(again, bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    ByteReader part(std::string_view(bytes).substr(0, cut));
    EXPECT_FALSE(DecodeProducers(&part).ok() && part.ok());
  }
}

TEST(EpochHistoryTest, TrimsFrontAndBack) {
  EpochHistory history;
  history.Assign(LeaderEpoch(1), Offset(0));
  history.Assign(LeaderEpoch(1), Offset(5));
  history.Assign(LeaderEpoch(3), Offset(10));
  history.Assign(LeaderEpoch(4), Offset(20));
  EXPECT_EQ(history.entries().size(), 3u);
  history.TrimFront(Offset(12));
  EXPECT_EQ(history.entries().front(), (EpochStart{LeaderEpoch(3), Offset(12)}));
  history.TrimBack(Offset(20));
  EXPECT_EQ(history.last_epoch(), LeaderEpoch(3));
  std::string bytes;
  history.EncodeTo(&bytes);
  ByteReader reader(bytes);
  EXPECT_EQ(EpochHistory::DecodeFrom(&reader)->entries(), history.entries());
}

TEST(SparseIndexTest, Floors) {
  SparseIndex index;
  const IndexEntry begin{Offset(100), 0, 0, kNoTimestamp};
  for (int i = 0; i < 10; ++i) {
    index.MaybeAdd({Offset(100 + i * 10), static_cast<uint64_t>(i) * 50, static_cast<uint64_t>(i),
                    TimestampMs(i * 1'000 - 1)},
                   100);
  }
  EXPECT_EQ(index.entries().size(), 4u);  // every second one; the beginning needs none
  EXPECT_EQ(index.FloorOffset(Offset(105), begin), begin);
  EXPECT_EQ(index.FloorOffset(Offset(120), begin).position, 100u);
  EXPECT_EQ(index.FloorOffset(Offset(139), begin).position, 100u);
  EXPECT_EQ(index.FloorOffset(Offset(900), begin).position, 400u);
  EXPECT_EQ(index.FloorTimestamp(TimestampMs(1'999), begin), begin);
  EXPECT_EQ(index.FloorTimestamp(TimestampMs(2'000), begin).position, 100u);
  const auto decoded =
      SparseIndex::Decode(index.EncodeOffsets(), index.EncodeTimes(), Offset(100), 500);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->entries(), index.entries());
  EXPECT_FALSE(SparseIndex::Decode(index.EncodeOffsets(), "", Offset(100), 500).ok());
  EXPECT_FALSE(
      SparseIndex::Decode(index.EncodeOffsets(), index.EncodeTimes(), Offset(100), 400).ok());
}

TEST(CheckpointFileTest, EveryFlippedBitIsSeen) {
  const std::string file = EncodeFrame(FileKind::kLogStart, "content");
  EXPECT_EQ(*DecodeFrame(FileKind::kLogStart, file), "content");
  EXPECT_FALSE(DecodeFrame(FileKind::kTopicId, file).ok());
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeFrame(FileKind::kLogStart, damaged).ok()) << bit;
  }
}

// Persisted: what these bytes are must never change.
TEST(FormatTest, GoldenBytes) {
  const TopicPartitionId partition{
      TopicId{*Uuid::FromString("00112233-4455-4677-8899-aabbccddeeff")}, PartitionIndex(1)};
  std::string entry;
  BatchHeader header;
  header.base_offset = Offset(5);
  header.leader_epoch = LeaderEpoch(2);
  header.crc = 0x01020304;
  AppendBindEntry(MakeBindEntry(partition, header, Offset(4)), &entry);
  ASSERT_EQ(entry.size(), kBindEntryBytes);
  EXPECT_EQ(ReadBindEntry(entry.data()).synced_end, Offset(4));
  EXPECT_TRUE(BindEntryMatches(ReadBindEntry(entry.data()), partition, header));
  header.crc ^= 1;
  EXPECT_FALSE(BindEntryMatches(ReadBindEntry(entry.data()), partition, header));
  EXPECT_EQ(SegmentFileName(Offset(42), ".log"), "00000000000000000042.log");
  EXPECT_EQ(ParseSegmentFileName("00000000000000000042.log", ".log"), Offset(42));
  EXPECT_FALSE(ParseSegmentFileName("0000000000000000004x.log", ".log").has_value());
  EXPECT_FALSE(ParseSegmentFileName("99999999999999999999.log", ".log").has_value());
  EXPECT_EQ(*DecodeTopicId(EncodeTopicId(partition)), partition);
  EXPECT_EQ(*DecodeLogStart(EncodeLogStart(Offset(9))), Offset(9));
}

TEST(CachePoolTest, EvictsTheLeastRecentlyUsed) {
  CachePool pool(3);
  CacheSlot a(pool), b(pool), c(pool);
  a.Put(std::make_shared<int>(1), 1);
  b.Put(std::make_shared<int>(2), 1);
  EXPECT_EQ(*a.Get<int>(), 1);
  c.Put(std::make_shared<int>(3), 2);
  EXPECT_EQ(b.Get<int>(), nullptr);
  EXPECT_NE(a.Get<int>(), nullptr);
  EXPECT_EQ(pool.used(), 3u);
  a.Put(std::make_shared<int>(4), 9);  // more than the pool holds
  EXPECT_EQ(a.Get<int>(), nullptr);
  {
    CacheSlot d(pool);
    d.Put(std::make_shared<int>(5), 1);
  }
  pool.SetCapacity(0);
  EXPECT_EQ(pool.used(), 0u);
}

TEST(PooledFileTest, FewHandlesServeManyFiles) {
  sim::SimFileSystem disk(1);
  const size_t capacity = FileHandlePool().capacity();
  FileHandlePool().SetCapacity(2);
  std::vector<std::unique_ptr<PooledFile>> files;
  for (int i = 0; i < 10; ++i) {
    files.push_back(std::make_unique<PooledFile>(disk, "f" + std::to_string(i)));
    ASSERT_TRUE(files.back()->Create().ok());
    ASSERT_TRUE(files.back()->WriteAt(0, std::to_string(i)).ok());
  }
  EXPECT_EQ(FileHandlePool().used(), 2u);
  for (int i = 0; i < 10; ++i) {
    char byte = 0;
    ASSERT_EQ(*files[static_cast<size_t>(i)]->ReadAt(0, &byte, 1), 1u);
    EXPECT_EQ(byte, '0' + i);
  }
  FileHandlePool().SetCapacity(capacity);
}

// ---- the sync service, on real threads over the simulated disk ----

struct Answers {
  void Add(const absl::Status& status) {
    MutexLock lock(&mu);
    statuses.push_back(status);
    changed.SignalAll();
  }
  void WaitFor(size_t count) {
    MutexLock lock(&mu);
    while (statuses.size() < count) changed.Wait(&mu);
  }
  Mutex mu;
  CondVar changed;
  std::vector<absl::Status> statuses ABSL_GUARDED_BY(mu);
};

TEST(SyncServiceTest, EveryStrategyMakesDurableAndLatchesFailures) {
  for (SyncStrategy strategy :
       {SyncStrategy::kFdatasync, SyncStrategy::kSyncfs, SyncStrategy::kAdaptive}) {
    sim::SimFileSystem disk(1);
    Answers answers;
    auto shard = MakeThreadExecutor("shard", SystemClock());
    auto other = MakeThreadExecutor("other", SystemClock());
    // Goes before the executors, which its jobs post to.
    auto pool = MakeIoThreadPool({});
    auto service = MakeSyncService(strategy, disk, *pool);
    constexpr size_t kFiles = 10;
    for (size_t i = 0; i < kFiles; ++i) {
      auto file = disk.Open("f" + std::to_string(i), OpenMode::kCreate);
      ASSERT_TRUE((*file)->WriteAt(0, "data").ok());
      Executor* const reply_to = i % 2 == 0 ? shard.get() : other.get();
      service->Sync({*file}, reply_to, [&answers, reply_to](const absl::Status& status) {
        CATAMARAN_CHECK(reply_to->IsCurrent(), "answered elsewhere");
        answers.Add(status);
      });
    }
    answers.WaitFor(kFiles);
    ASSERT_TRUE(disk.SyncDirectory("").ok());
    {
      MutexLock lock(&answers.mu);
      for (const absl::Status& status : answers.statuses) EXPECT_TRUE(status.ok()) << status;
    }
    auto file = disk.Open("f0", OpenMode::kReadWrite);
    sim::SimDiskFaults faults;
    faults.sync_error = 1;
    disk.SetFaults(faults);
    service->Sync({*file}, shard.get(), [&](const absl::Status& status) { answers.Add(status); });
    answers.WaitFor(kFiles + 1);
    disk.SetFaults({});
    service->Sync({*file}, shard.get(), [&](const absl::Status& status) { answers.Add(status); });
    answers.WaitFor(kFiles + 2);
    MutexLock lock(&answers.mu);
    EXPECT_FALSE(answers.statuses[kFiles].ok());
    EXPECT_EQ(answers.statuses[kFiles + 1], answers.statuses[kFiles]) << "it was tried again";
    disk.Restart();
    for (size_t i = 0; i < kFiles; ++i) {
      EXPECT_EQ(*ReadWholeFile(disk, "f" + std::to_string(i), 10), "data");
    }
  }
}

}  // namespace
}  // namespace catamaran::storage
