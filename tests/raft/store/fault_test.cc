// The store on RocksDB on the simulated disk: failed syncs and writes, full disks, flipped bits,
// missing files (invariants.md S3, S4, S7).
#include <algorithm>
#include <cstdio>
#include <set>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/store/store_history.h"

namespace catamaran::raft {
namespace {

using sim::SimCrash;
using sim::SimDiskOperation;

// A failed sync of a file or directory: nothing is acknowledged after it, reads go on, and after a
// restart of the process, whose page cache shows what the disk doesn't have, everything that is
// found is made durable before it's acted on.
void FailSyncAt(int step, SimDiskOperation operation) {
  SCOPED_TRACE("failed sync at step " + std::to_string(step));
  RocksSimFixture fixture(static_cast<uint64_t>(step));
  History history(fixture, 11, 2);
  ASSERT_TRUE(history.Run(step, 1'000));
  fixture.disk().FailNext(operation, 1, "raft");
  absl::Status failed;
  for (int i = 0; i < 200 && failed.ok(); ++i) failed = history.Step();
  ASSERT_EQ(ReasonOf(failed), Reason::kStorageFailed) << failed;
  LogWrite next;
  next.hard_state = HardState{history.acknowledged().hard_state.term + 5, std::nullopt};
  const absl::Status refused = history.store().Write(next);
  EXPECT_EQ(ReasonOf(refused), Reason::kStorageFailed) << refused;
  fixture.Settle();
  const auto readable = ObserveReadable(history.store(), history.acknowledged());
  ASSERT_TRUE(readable.ok()) << readable.status();
  EXPECT_EQ(*readable, history.acknowledged());
  history.Close();
  fixture.Settle();
  fixture.disk().Restart(SimCrash::kProcessOnly);
  const absl::Status opened = history.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  history.Check();
  fixture.disk().Crash();
  history.Close();
  fixture.Settle();
  fixture.disk().Restart(SimCrash::kPowerLoss);
  const absl::Status again = history.Open();
  ASSERT_TRUE(again.ok()) << again;
  history.Check();
  EXPECT_FALSE(history.kept_unacknowledged());
}

TEST(StoreFaultTest, AFailedSyncOfAFileLatches) {
  for (int step = 0; step < 60; ++step) FailSyncAt(step, SimDiskOperation::kSync);
}

TEST(StoreFaultTest, AFailedSyncOfTheDirectoryLatches) {
  for (int step = 0; step < 20; ++step) FailSyncAt(step, SimDiskOperation::kSyncDirectory);
}

// A sync of a flush or a compaction fails, in the background, and would be retried with success.
TEST(StoreFaultTest, AFailedSyncInTheBackgroundLatches) {
  int latched = 0;
  for (int quiet_steps = 0; quiet_steps < 60; ++quiet_steps) {
    SCOPED_TRACE("after step " + std::to_string(quiet_steps));
    RocksSimFixture fixture(static_cast<uint64_t>(quiet_steps));
    History history(fixture, 17, 1);
    ASSERT_TRUE(history.Run(quiet_steps, 1'000));
    for (int i = 0; i < 60 && fixture.env().failed_syncs() == 0; ++i) {
      ASSERT_TRUE(history.StepOnly().ok());
      sim::SimDiskFaults faults;
      faults.sync_error = 1;
      fixture.disk().SetFaults(faults);
      fixture.Settle();
      fixture.disk().SetFaults({});
    }
    ASSERT_GT(fixture.env().failed_syncs(), 0u);
    EXPECT_EQ(fixture.env().failed_syncs(), 1u) << "a second sync reached the disk";
    LogWrite next;
    next.hard_state = HardState{history.acknowledged().hard_state.term + 5, std::nullopt};
    EXPECT_EQ(ReasonOf(history.store().Write(next)), Reason::kStorageFailed);
    ++latched;
    history.Close();
    fixture.Settle();
    fixture.disk().Restart(quiet_steps % 2 == 0 ? SimCrash::kPowerLoss : SimCrash::kProcessOnly);
    const absl::Status opened = history.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    history.Check();
    EXPECT_FALSE(history.kept_unacknowledged());
  }
  EXPECT_EQ(latched, 60);
}

TEST(StoreFaultTest, AFailedWriteLatches) {
  for (int step = 0; step < 20; ++step) FailSyncAt(step, SimDiskOperation::kWrite);
}

// Little space is refused before anything is touched, and the store goes on when there is space.
TEST(StoreFaultTest, LittleSpaceIsRefusedAndResumed) {
  RocksSimFixture fixture;
  History history(fixture, 21, 2);
  ASSERT_TRUE(history.Run(30, 1'000));
  fixture.disk().SetCapacity(fixture.disk().used_bytes() + kStoreFreeBytesMin);
  const uint64_t operations = fixture.disk().operation_count();
  absl::Status full;
  for (int i = 0; i < 20 && full.ok(); ++i) full = history.Step();
  ASSERT_EQ(ReasonOf(full), Reason::kStorageFull) << full;
  EXPECT_EQ(fixture.disk().operation_count(), operations);
  EXPECT_EQ(*ObserveReadable(history.store(), history.acknowledged()), history.acknowledged());
  EXPECT_GT(history.store().stats().refused_full, 0u);
  fixture.disk().SetCapacity(sim::kSimDiskCapacityBytesDefault);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(history.Step().ok());
  EXPECT_EQ(history.store().stats().resumes, 1u);
  ASSERT_TRUE(history.Open().ok());
  history.Check();
}

// RocksDB itself meets the full disk, at any of its writes: quotas don't show as free space.
TEST(StoreFaultTest, AFullDiskIsRefusedAndResumed) {
  int refused = 0;
  for (uint64_t room = 0; room < 400'000; room += 9'000) {
    SCOPED_TRACE("room for " + std::to_string(room) + " bytes");
    RocksSimFixture fixture(room);
    fixture.env().PretendFree(uint64_t{1} << 40);
    History history(fixture, 31, 1);
    ASSERT_TRUE(history.Run(10, 1'000));
    fixture.disk().SetCapacity(fixture.disk().used_bytes() + room);
    absl::Status full;
    for (int i = 0; i < 200 && full.ok(); ++i) full = history.Step();
    ASSERT_EQ(ReasonOf(full), Reason::kStorageFull) << full;
    history.Refused();
    ++refused;
    EXPECT_EQ(*ObserveReadable(history.store(), history.acknowledged()), history.acknowledged());
    // Space comes back, for the same store or for the next start.
    fixture.disk().SetCapacity(sim::kSimDiskCapacityBytesDefault);
    if (room % 2 == 0) {
      for (int i = 0; i < 5; ++i) {
        const absl::Status stepped = history.Step();
        ASSERT_TRUE(stepped.ok()) << stepped;
      }
    } else {
      fixture.disk().Crash();
      history.Close();
      fixture.Settle();
      fixture.disk().Restart();
    }
    const absl::Status opened = history.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    history.Check();
    EXPECT_FALSE(history.kept_unacknowledged()) << "what was refused is there";
  }
  EXPECT_GT(refused, 40);
}

// A bit anywhere: the store says so, or nothing is wrong. Only the last write, which looks like a
// torn one then, may be missing.
TEST(StoreFaultTest, AFlippedBitIsFoundOrHarmless) {
  int found = 0;
  int harmless = 0;
  int last_write_lost = 0;
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RocksSimFixture fixture(seed);
    History history(fixture, seed % 7, 3);
    ASSERT_TRUE(history.Run(40, 30));
    const StoreImage before = history.acknowledged();
    absl::Status stepped = history.Step();
    for (int i = 0; i < 30 && history.acknowledged() == before; ++i) stepped = history.Step();
    ASSERT_TRUE(stepped.ok());
    const StoreImage after = history.acknowledged();
    history.Close();
    fixture.Settle();
    std::vector<FileInfo> files = fixture.disk().List("raft").value();
    std::erase_if(files, [](const FileInfo& file) { return file.size == 0; });
    Random random(seed);
    const auto newest_log = std::find_if(files.rbegin(), files.rend(), [](const FileInfo& file) {
      return file.name.ends_with(".log");
    });
    const bool in_log = newest_log != files.rend() && random.OneIn(4);
    const FileInfo& file = in_log ? *newest_log : files[random.Below(files.size())];
    if (in_log) {
      const uint64_t from_end = 1 + random.Below(std::min<uint64_t>(file.size, 100));
      fixture.disk().FlipBit("raft/" + file.name, file.size - from_end, 5);
    } else {
      fixture.disk().FlipRandomBit("raft/" + file.name);
    }
    const uint64_t operations = fixture.disk().operation_count();
    auto opened = fixture.Open(TestIdentity(), false);
    if (!opened.ok()) {
      EXPECT_EQ(ReasonOf(opened.status()), Reason::kCorruptLog)
          << file.name << ": " << opened.status();
      EXPECT_EQ(fixture.disk().operation_count(), operations) << "a refusal has written";
      ++found;
      continue;
    }
    const auto image = Observe(**opened);
    if (!image.ok()) {  // in a block of what was deleted, which some reads pass over
      EXPECT_EQ(ReasonOf(image.status()), Reason::kCorruptLog) << image.status();
      EXPECT_TRUE(file.name.ends_with(".sst")) << file.name;
      ++found;
      continue;
    }
    const bool is_log = file.name.ends_with(".log");
    EXPECT_TRUE(*image == after || (is_log && *image == before))
        << file.name << ": " << *image << "\nwas " << after;
    ++(*image == after ? harmless : last_write_lost);
  }
  std::printf("%d found, %d harmless, %d took the last write for torn\n", found, harmless,
              last_write_lost);
  EXPECT_GT(found, 20);
  EXPECT_GT(last_write_lost, 0);
}

// Each file in turn is gone.
TEST(StoreFaultTest, AMissingFileIsFoundOrHarmless) {
  std::set<std::string> harmless;
  for (size_t at = 0; at < 40; ++at) {
    RocksSimFixture fixture(5);
    History history(fixture, 3, 1);
    ASSERT_TRUE(history.Run(60, 1'000));
    history.Close();
    fixture.Settle();
    const std::vector<FileInfo> files = fixture.disk().List("raft").value();
    if (at >= files.size()) break;
    const std::string name = files[at].name;
    // Nothing tells that the newest log was there: RocksDB counts a log only when it's finished.
    const bool newest_log =
        name.ends_with(".log") && (at + 1 == files.size() || !files[at + 1].name.ends_with(".log"));
    if (newest_log) continue;
    ASSERT_TRUE(fixture.disk().Remove("raft/" + name).ok());
    auto opened = fixture.Open(TestIdentity(), false);
    if (!opened.ok()) {
      EXPECT_EQ(ReasonOf(opened.status()), Reason::kCorruptLog) << name << ": " << opened.status();
      continue;
    }
    EXPECT_EQ(*Observe(**opened), history.acknowledged()) << name;
    harmless.insert(name.substr(0, name.find('-')));
  }
  for (const std::string& name : harmless) {
    EXPECT_TRUE(name == "IDENTITY" || name == "LOCK" || name == "OPTIONS") << name;
  }
}

}  // namespace
}  // namespace catamaran::raft
