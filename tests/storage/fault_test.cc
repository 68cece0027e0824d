// Disks that are full, fail or lie.
#include <algorithm>

#include "gtest/gtest.h"
#include "storage/cache_pool.h"
#include "storage/segment.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"
#include "tests/storage/log_model.h"

namespace catamaran::storage {
namespace {

using sim::SimCrash;
using sim::SimDiskOperation;
using sim::SimFileSystem;

LogConfig SmallSegments() {
  LogConfig config;
  config.segment_bytes = 2'000;
  config.index_interval_bytes = 300;
  return config;
}

void DropCaches() {
  for (CachePool* pool : {&TailPool(), &IndexPool(), &FileHandlePool()}) {
    const size_t capacity = pool->capacity();
    pool->SetCapacity(0);
    pool->SetCapacity(capacity);
  }
}

std::string NameOf(Offset base, std::string_view suffix) {
  return "topic-3/" + SegmentFileName(base, suffix);
}

// Every batch has a producer of its own, which any sequence is new to.
void Fill(LogHarness& h, int batches, size_t value_bytes = 100) {
  for (int i = 0; i < batches; ++i) {
    BatchSpec spec;
    spec.value_bytes = value_bytes;
    spec.producer = ProducerId(h.log().end().value());
    ASSERT_TRUE(h.Append(spec).ok());
  }
}

TEST(FaultTest, FailedSyncLatchesUntilReopened) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 3);
  disk.FailNext(SimDiskOperation::kSync);
  EXPECT_FALSE(h.Sync().ok());
  EXPECT_EQ(h.log().synced_end(), Offset(0));
  EXPECT_EQ(ReasonOf(h.log().health()), Reason::kStorageFailed);
  const auto refused = h.Append(BatchSpec{});
  EXPECT_EQ(ReasonOf(refused.status()), Reason::kStorageFailed);
  EXPECT_FALSE(h.log().TakeMaintenance(h.now, h.log().end()).has_value());
  EXPECT_TRUE(h.Read(Offset(0)).ok()) << "reads go on";
  // A close of a log in doubt leaves no clean mark.
  ASSERT_TRUE(h.Close().ok());
  EXPECT_FALSE(disk.Stat("topic-3/checkpoint.clean").ok());
  ASSERT_TRUE(h.Open().ok());
  EXPECT_TRUE(h.Append(BatchSpec{}).ok());
}

// The page cache shows what the disk never got, and no sync writes it: what a restart of the
// process alone recovers must be on disk nevertheless.
TEST(FaultTest, WhatARestartRecoversAfterAFailedSyncSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimFileSystem disk(seed);
    LogHarness h(disk, SmallSegments());
    ASSERT_TRUE(h.Open().ok());
    Fill(h, 3);
    ASSERT_TRUE(h.Sync().ok());
    Fill(h, 30, 400);
    disk.FailNext(SimDiskOperation::kSync);
    ASSERT_FALSE(h.Sync().ok());
    h.Drop();
    DropCaches();
    ASSERT_TRUE(h.Open().ok());
    const Offset recovered = h.log().end();
    EXPECT_EQ(recovered, Offset(33)) << "only the process died";
    EXPECT_EQ(h.log().synced_end(), recovered);
    const auto before = h.ReadBatches(Offset(0));
    ASSERT_TRUE(before.ok()) << before.status();
    h.Drop();
    DropCaches();
    disk.Restart();
    const absl::Status opened = h.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(h.log().end(), recovered);
    const auto after = h.ReadBatches(Offset(0));
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(*after, *before);
  }
}

TEST(FaultTest, FailedWriteLatchesAndShowsNothing) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 3);
  disk.FailNext(SimDiskOperation::kWrite, 1, NameOf(Offset(0), ".log"));
  EXPECT_EQ(ReasonOf(h.Append(BatchSpec{}).status()), Reason::kStorageFailed);
  EXPECT_EQ(h.log().end(), Offset(3));
  EXPECT_EQ(ReasonOf(h.log().health()), Reason::kStorageFailed);
  EXPECT_EQ(ReasonOf(h.Append(BatchSpec{}).status()), Reason::kStorageFailed);
}

TEST(FaultTest, FullDiskRefusesWholeAndServiceResumes) {
  // Every batch size and fill level: the refusal may come in any write of the job.
  for (uint64_t room = 0; room < 12; ++room) {
    SCOPED_TRACE(testing::Message() << room << " sectors left");
    SimFileSystem disk(room + 1);
    LogModel model;
    LogHarness h(disk, SmallSegments());
    ASSERT_TRUE(h.Open().ok());
    Fill(h, 5);
    ASSERT_TRUE(h.Sync().ok());
    const auto before = h.ReadBatches(Offset(0));
    const std::string producers = h.log().EncodeProducerState();
    disk.SetCapacity(disk.used_bytes() + room * 4'096);
    bool refused = false;
    std::vector<std::string> kept = *before;
    for (int i = 0; i < 40 && !refused; ++i) {
      const Offset end = h.log().end();
      std::vector<std::string> job;
      for (int b = 0; b < 7; ++b) {
        job.push_back(MakeBatch({.value_bytes = 900, .fill = static_cast<char>('a' + b)}));
      }
      absl::Status status;
      h.AppendAll(job, &status);
      if (status.ok()) continue;
      refused = true;
      EXPECT_EQ(ReasonOf(status), Reason::kStorageFull);
      EXPECT_EQ(h.log().end(), end);
      EXPECT_TRUE(h.log().health().ok());
    }
    ASSERT_TRUE(refused);
    const Offset end = h.log().end();
    DropCaches();
    const auto held = h.ReadBatches(Offset(0));
    ASSERT_TRUE(held.ok()) << held.status();
    // Nothing of the refused job comes back with a power cut either.
    SimFileSystem* same_disk = &disk;
    ASSERT_TRUE(h.Sync().ok());
    const bool restart = room % 2 == 0;
    if (restart) {
      h.Drop();
      same_disk->Restart();
      const absl::Status opened = h.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      EXPECT_EQ(h.log().end(), end);
      EXPECT_EQ(*h.ReadBatches(Offset(0)), *held);
    }
    disk.SetCapacity(uint64_t{1} << 30);
    Fill(h, 3);
    EXPECT_EQ(h.log().end(), end + 3);
    ASSERT_TRUE(h.Maintain().ok());
    ASSERT_TRUE(h.Close().ok());
    ASSERT_TRUE(h.Open().ok());
    EXPECT_EQ(h.log().end(), end + 3);
  }
}

TEST(FaultTest, RetentionMakesRoomOnAFullDisk) {
  SimFileSystem disk(1);
  LogConfig config = SmallSegments();
  LogHarness h(disk, config);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 60);
  ASSERT_TRUE(h.Maintain().ok());
  Fill(h, 30);
  disk.SetCapacity(disk.used_bytes());
  config.retention_bytes = 2'000;
  h.log().SetConfig(config);
  // Checkpoints are refused, retention isn't.
  for (int i = 0; i < 10 && !h.Maintain().ok(); ++i) {
  }
  EXPECT_TRUE(h.log().health().ok());
  EXPECT_GT(h.log().log_start(), Offset(0));
  Fill(h, 1);
}

TEST(FaultTest, BitFlipsBelowTheRecoveryPointAreNeverServed) {
  SimFileSystem disk(1);
  LogHarness h(disk, SmallSegments());
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 40);
  ASSERT_TRUE(h.Maintain().ok());
  ASSERT_TRUE(h.Close().ok());
  const std::string name = NameOf(Offset(0), ".log");
  const uint64_t size = disk.Stat(name)->size;
  ASSERT_GT(size, 500u);
  ASSERT_TRUE(h.Open().ok());
  const auto intact = h.ReadBatches(Offset(0));
  ASSERT_TRUE(intact.ok());
  for (uint64_t position = 0; position < size; ++position) {
    SCOPED_TRACE(position);
    const int bit = static_cast<int>(position % 8);
    ASSERT_TRUE(disk.FlipBit(name, position, bit));
    DropCaches();
    Offset from(0);
    absl::Status status;
    while (from < h.log().end()) {
      auto result = h.Read(from, 1);
      if (!result.ok()) {
        status = result.status();
        break;
      }
      from = result->next_offset;
    }
    EXPECT_EQ(ReasonOf(status), Reason::kCorruptLog);
    ASSERT_TRUE(disk.FlipBit(name, position, bit));
  }
  DropCaches();
  EXPECT_EQ(*h.ReadBatches(Offset(0)), *intact);
}

TEST(FaultTest, BatchesInTheWrongPlaceAreNotServed) {
  // The same offsets, epochs and sizes in two partitions: only the binding tells them apart.
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 3);
  ASSERT_TRUE(h.Close().ok());
  auto other = PartitionLog::Open(disk, {"topic-4", TestPartition(4)}, {}, h.now);
  ASSERT_TRUE(other.ok());
  for (int i = 0; i < 3; ++i) {
    std::vector<StageRequest> requests(1);
    requests[0].bytes = MakeBatch(
        {.value_bytes = 100, .producer = ProducerId(9), .sequence = Sequence(i), .fill = 'w'});
    auto staged = (*other)->Stage(std::move(requests), LeaderEpoch(1), h.now);
    staged.job->Run();
    ASSERT_TRUE((*other)->FinishWrite(*std::move(staged.job)).ok());
  }
  const std::string mine = NameOf(Offset(0), ".log");
  const auto misdirected =
      ReadWholeFile(disk, "topic-4/" + SegmentFileName(Offset(0), ".log"), 1 << 20);
  ASSERT_EQ(misdirected->size(), disk.Stat(mine)->size);
  ASSERT_TRUE(disk.Damage(mine, 0, *misdirected));
  ASSERT_TRUE(h.Open().ok());
  DropCaches();
  EXPECT_EQ(ReasonOf(h.Read(Offset(0)).status()), Reason::kCorruptLog);
}

TEST(FaultTest, LostCachesChangeNothing) {
  for (const std::string lost : {"checkpoint", "checkpoint.clean", "index", "timeindex"}) {
    for (bool damage : {false, true}) {
      SCOPED_TRACE(lost + (damage ? " damaged" : " deleted"));
      SimFileSystem disk(1);
      LogHarness h(disk, SmallSegments());
      ASSERT_TRUE(h.Open().ok());
      Fill(h, 40);
      ASSERT_TRUE(h.Maintain().ok());
      Fill(h, 5);
      ASSERT_TRUE(h.DeleteRecords(Offset(3)).ok());
      const auto batches = h.ReadBatches(Offset(3));
      const std::string producers = h.log().EncodeProducerState();
      const auto epochs = h.log().epochs();
      ASSERT_TRUE(h.Close().ok());
      int lost_files = 0;
      const auto listing = disk.List("topic-3");
      for (const FileInfo& file : *listing) {
        if (!file.name.ends_with(lost)) continue;
        ++lost_files;
        if (damage) {
          ASSERT_TRUE(disk.FlipRandomBit("topic-3/" + file.name).has_value());
        } else {
          ASSERT_TRUE(disk.Remove("topic-3/" + file.name).ok());
        }
      }
      EXPECT_GT(lost_files, 0);
      DropCaches();
      const absl::Status opened = h.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      EXPECT_EQ(h.log().end(), Offset(45));
      EXPECT_EQ(h.log().log_start(), Offset(3));
      EXPECT_EQ(h.log().EncodeProducerState(), producers);
      EXPECT_EQ(h.log().epochs(), epochs);
      for (int64_t from = 3; from < 45; ++from) {
        auto result = h.Read(Offset(from), 1);
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_EQ(result->batches_runs[0].view(), (*batches)[static_cast<size_t>(from - 3)]);
      }
      auto found = h.log().PlanTimestampLookup(TimestampMs(0), h.log().end())();
      ASSERT_TRUE(found.ok());
      EXPECT_EQ((*found)->offset, Offset(3));
      EXPECT_TRUE(h.Append(BatchSpec{}).ok());
    }
  }
}

TEST(FaultTest, DamagedIdentityAndStartAreToldAndNothingIsCut) {
  for (const std::string name : {"topic-3/topic-id", "topic-3/log-start"}) {
    SimFileSystem disk(1);
    LogHarness h(disk);
    ASSERT_TRUE(h.Open().ok());
    Fill(h, 5);
    ASSERT_TRUE(h.DeleteRecords(Offset(2)).ok());
    ASSERT_TRUE(h.Close().ok());
    ASSERT_TRUE(disk.FlipRandomBit(name).has_value());
    const uint64_t operations = disk.operation_count();
    EXPECT_EQ(ReasonOf(h.Open()), Reason::kCorruptLog);
    EXPECT_EQ(disk.operation_count(), operations);
  }
}

TEST(FaultTest, ShortenedFilesBelowTheRecoveryPointAreDamage) {
  for (std::string_view suffix : {".log", ".bind"}) {
    SimFileSystem disk(1);
    LogHarness h(disk, SmallSegments());
    ASSERT_TRUE(h.Open().ok());
    Fill(h, 40);
    ASSERT_TRUE(h.Close().ok());
    auto file = disk.Open(NameOf(Offset(0), suffix), OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(*(*file)->Size() - 1).ok());
    EXPECT_EQ(ReasonOf(h.Open()), Reason::kCorruptLog);
  }
}

// A bad batch past the recovery point with valid ones behind it, all of them synced: damage. Any
// byte.
TEST(FaultTest, DamagedMiddleIsNeverCut) {
  for (bool synced : {true, false}) {
    for (const SimCrash kind : {SimCrash::kProcessOnly, SimCrash::kPowerLoss}) {
      if (!synced && kind == SimCrash::kPowerLoss) continue;
      for (uint64_t position = 0; position < 700; position += 3) {
        SCOPED_TRACE(testing::Message() << position << ", synced " << synced);
        SimFileSystem disk(position);
        LogHarness h(disk);
        ASSERT_TRUE(h.Open().ok());
        for (int i = 0; i < 8; ++i) {
          Fill(h, 1);
          if (synced) {
            ASSERT_TRUE(h.Sync().ok());
          }
        }
        h.Drop();
        const std::string name = NameOf(Offset(0), ".log");
        ASSERT_GT(disk.Stat(name)->size, 900u);
        ASSERT_TRUE(disk.FlipBit(name, position, static_cast<int>(position % 8)));
        disk.Restart(kind);
        const auto before = ReadWholeFile(disk, name, 1 << 20);
        EXPECT_EQ(ReasonOf(h.Open()), Reason::kCorruptLog);
        EXPECT_EQ(*ReadWholeFile(disk, name, 1 << 20), *before) << "something was cut";
      }
    }
  }
}

// The last batch cut short anywhere is a torn tail.
TEST(FaultTest, TornTailIsCut) {
  SimFileSystem probe(1);
  LogHarness measured(probe);
  ASSERT_TRUE(measured.Open().ok());
  Fill(measured, 3);
  const uint64_t before_last = probe.Stat(NameOf(Offset(0), ".log"))->size;
  Fill(measured, 1);
  const uint64_t size = probe.Stat(NameOf(Offset(0), ".log"))->size;
  for (uint64_t cut = before_last; cut < size; ++cut) {
    for (const bool zeroes : {false, true}) {
      SCOPED_TRACE(testing::Message() << cut << ", zeroes " << zeroes);
      SimFileSystem disk(1);
      LogHarness h(disk);
      ASSERT_TRUE(h.Open().ok());
      Fill(h, 4);
      h.Drop();
      auto file = disk.Open(NameOf(Offset(0), ".log"), OpenMode::kReadWrite);
      ASSERT_TRUE((*file)->Truncate(cut).ok());
      if (zeroes) {
        ASSERT_TRUE((*file)->WriteAt(cut, std::string(5'000, '\0')).ok());
      }
      const absl::Status opened = h.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      // A batch whose last bytes are zeroes is whole again when it is cut there.
      EXPECT_GE(h.log().end(), Offset(3));
      EXPECT_LE(h.log().end(), Offset(zeroes ? 4 : 3));
      EXPECT_EQ(h.ReadBatches(Offset(0))->size(), static_cast<size_t>(h.log().end().value()));
      Fill(h, 2);
    }
  }
}

// A record's value that is itself a batch must not convict a torn tail.
TEST(FaultTest, StoredBatchesDoNotLookLikeLaterOnes) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 3);
  ASSERT_TRUE(h.Sync().ok());
  std::string inner = MakeBatch({});
  PatchBaseOffset(inner.data(), Offset(5));
  PatchLeaderEpoch(inner.data(), LeaderEpoch(1));
  BatchBuilder builder({});
  builder.Add(TimestampMs(1), std::nullopt, inner + std::string(3'000, 'x'));
  ASSERT_TRUE(h.Append(*builder.Build()).ok());
  h.Drop();
  const std::string name = NameOf(Offset(0), ".log");
  const uint64_t size = disk.Stat(name)->size;
  auto file = disk.Open(name, OpenMode::kReadWrite);
  ASSERT_TRUE((*file)->WriteAt(size - 600, std::string(600, '\0')).ok());
  const absl::Status opened = h.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(h.log().end(), Offset(3));
}

TEST(FaultTest, ReadErrorsAreToldAndLatchNothing) {
  SimFileSystem disk(1);
  LogHarness h(disk);
  ASSERT_TRUE(h.Open().ok());
  Fill(h, 3);
  DropCaches();
  disk.FailNext(SimDiskOperation::kRead);
  EXPECT_EQ(ReasonOf(h.Read(Offset(0)).status()), Reason::kStorageFailed);
  EXPECT_TRUE(h.Read(Offset(0)).ok());
  h.log().ReportCorruption(MakeError(Reason::kCorruptLog, "Found by a reader."));
  EXPECT_EQ(ReasonOf(h.Append(BatchSpec{}).status()), Reason::kCorruptLog);
}

}  // namespace
}  // namespace catamaran::storage
