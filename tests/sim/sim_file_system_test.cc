// What the simulated disk does wrong on purpose. What it does right is in
// tests/base/file_system_contract_test.cc.
#include "tests/sim/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/error.h"

namespace catamaran::sim {
namespace {

constexpr int kSeeds = 200;
constexpr uint64_t kContentBytesMax = 1 << 20;

std::string ReadAll(SimFileSystem& disk, const std::string& path) {
  absl::StatusOr<std::string> content = ReadWholeFile(disk, path, kContentBytesMax);
  return content.ok() ? *content : content.status().ToString();
}

bool Exists(SimFileSystem& disk, const std::string& path) { return disk.Stat(path).ok(); }

std::shared_ptr<File> Create(SimFileSystem& disk, const std::string& path) {
  return disk.Open(path, OpenMode::kCreate).value();
}

// Runs `scenario` on many seeds and collects what it saw.
std::set<std::string> OverSeeds(const std::function<std::string(SimFileSystem&)>& scenario) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFileSystem disk(seed);
    seen.insert(scenario(disk));
  }
  return seen;
}

TEST(SimDiskCrashTest, SyncedBytesUnderASyncedNameSurvive) {
  std::string content(10000, 'x');
  OverSeeds([&](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(file->WriteAt(0, content).ok());
    EXPECT_TRUE(file->SyncData().ok());
    EXPECT_TRUE(disk.SyncDirectory("").ok());
    // The tail of the last sector isn't synced and must not harm its head.
    EXPECT_TRUE(file->WriteAt(content.size(), std::string(500, 'y')).ok());
    disk.Restart();
    EXPECT_EQ(ReadAll(disk, "a").substr(0, content.size()), content);
    return std::string();
  });
}

TEST(SimDiskCrashTest, UnsyncedBytesAreLostKeptTornOrZeroed) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(disk.SyncDirectory("").ok());
    EXPECT_TRUE(file->WriteAt(0, std::string(2 * kSectorBytes, 'x')).ok());
    disk.Restart();
    std::string content = ReadAll(disk, "a");
    if (content.empty()) return "lost";
    if (content == std::string(2 * kSectorBytes, 'x')) return "kept";
    if (content.size() == 2 * kSectorBytes && content.find('x') == std::string::npos) {
      return "extended without data";
    }
    if (content.size() == 2 * kSectorBytes && content[0] == '\0' && content.back() == 'x') {
      return "a hole before data";
    }
    return "torn";
  });
  EXPECT_EQ(seen, (std::set<std::string>{"lost", "kept", "extended without data",
                                         "a hole before data", "torn"}));
}

TEST(SimDiskCrashTest, AnOverwriteThatIsNotSyncedLeavesOldOrNewPerUnit) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(file->WriteAt(0, std::string(kSectorBytes, 'o')).ok());
    EXPECT_TRUE(file->SyncData().ok());
    EXPECT_TRUE(disk.SyncDirectory("").ok());
    EXPECT_TRUE(file->WriteAt(0, std::string(kTearBytes, 'n')).ok());
    disk.Restart();
    std::string content = ReadAll(disk, "a");
    EXPECT_EQ(content.size(), kSectorBytes);
    EXPECT_EQ(content.substr(kTearBytes), std::string(kSectorBytes - kTearBytes, 'o'));
    return content.substr(0, 1);
  });
  EXPECT_EQ(seen, (std::set<std::string>{"o", "n", std::string(1, '\0')}));
}

TEST(SimDiskCrashTest, ATruncationThatIsNotSyncedMayComeUndone) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(file->WriteAt(0, "0123456789").ok());
    EXPECT_TRUE(file->SyncData().ok());
    EXPECT_TRUE(disk.SyncDirectory("").ok());
    EXPECT_TRUE(file->Truncate(4).ok());
    disk.Restart();
    return ReadAll(disk, "a");
  });
  EXPECT_EQ(seen, (std::set<std::string>{"0123", "0123456789"}));
}

TEST(SimDiskCrashTest, ANameWhoseDirectoryWasNotSyncedMayBeForgotten) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(file->WriteAt(0, "x").ok());
    EXPECT_TRUE(file->SyncData().ok());
    disk.Restart();
    return ReadAll(disk, "a") == "x" ? "kept" : "forgotten";
  });
  EXPECT_EQ(seen, (std::set<std::string>{"kept", "forgotten"}));
}

TEST(SimDiskCrashTest, ARemovedNameMayComeBack) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(file->WriteAt(0, "x").ok());
    EXPECT_TRUE(disk.SyncAll().ok());
    EXPECT_TRUE(disk.Remove("a").ok());
    disk.Restart();
    return Exists(disk, "a") ? ReadAll(disk, "a") : "gone";
  });
  EXPECT_EQ(seen, (std::set<std::string>{"x", "gone"}));
}

TEST(SimDiskCrashTest, ARenameHappensWholeOrNotAtAll) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    EXPECT_TRUE(Create(disk, "old")->WriteAt(0, "old").ok());
    EXPECT_TRUE(Create(disk, "new")->WriteAt(0, "new").ok());
    EXPECT_TRUE(disk.SyncAll().ok());
    EXPECT_TRUE(disk.Rename("new", "old").ok());
    disk.Restart();
    return ReadAll(disk, "old") + (Exists(disk, "new") ? "+source" : "");
  });
  EXPECT_EQ(seen, (std::set<std::string>{"old+source", "new"}));
}

TEST(SimDiskCrashTest, ASyncedDirectoryInAForgottenOneIsForgotten) {
  std::set<std::string> seen = OverSeeds([](SimFileSystem& disk) {
    EXPECT_TRUE(disk.MakeDirectory("d").ok());
    Create(disk, "d/a");
    EXPECT_TRUE(disk.SyncDirectory("d").ok());
    disk.Restart();
    return Exists(disk, "d/a") ? "there" : "gone";
  });
  EXPECT_EQ(seen, (std::set<std::string>{"there", "gone"}));
}

TEST(SimDiskCrashTest, AKilledProcessLosesNothing) {
  SimFileSystem disk(1);
  std::shared_ptr<File> file = Create(disk, "a");
  ASSERT_TRUE(file->WriteAt(0, "never synced").ok());
  disk.Restart(SimCrash::kProcessOnly);
  EXPECT_EQ(ReadAll(disk, "a"), "never synced");
  EXPECT_EQ(ReasonOf(file->SyncData()), Reason::kStorageFailed) << "handles are gone";
}

TEST(SimDiskCrashTest, EverythingFailsUntilRestart) {
  SimFileSystem disk(1);
  std::shared_ptr<File> file = Create(disk, "a");
  std::unique_ptr<DirectoryLock> lock = disk.Lock("lock").value();
  disk.Crash();
  EXPECT_TRUE(disk.crashed());
  char byte = 0;
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "x")), Reason::kStorageFailed);
  EXPECT_EQ(ReasonOf(file->ReadAt(0, &byte, 1).status()), Reason::kStorageFailed);
  EXPECT_EQ(ReasonOf(disk.Open("b", OpenMode::kCreate).status()), Reason::kStorageFailed);
  EXPECT_EQ(ReasonOf(disk.List("").status()), Reason::kStorageFailed);
  EXPECT_EQ(ReasonOf(disk.SyncAll()), Reason::kStorageFailed);
  disk.Restart();
  EXPECT_FALSE(disk.crashed());
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "x")), Reason::kStorageFailed) << "a handle of before";
  absl::StatusOr<std::unique_ptr<DirectoryLock>> next = disk.Lock("lock");
  EXPECT_TRUE(next.ok()) << "the lock went with its process";
  lock.reset();
  EXPECT_EQ(ReasonOf(disk.Lock("lock").status()), Reason::kDirectoryInUse)
      << "the end of the old lock doesn't release the new one";
}

// The enumeration that storage tests build on: a crash in each mutating operation of a sequence.
TEST(SimDiskCrashTest, EveryCrashPointOfAnAtomicWriteLeavesOldOrNew) {
  auto workload = [](SimFileSystem& disk) { return WriteFileAtomically(disk, "a", "new"); };
  auto prepare = [](SimFileSystem& disk) {
    ASSERT_TRUE(WriteFileAtomically(disk, "a", "old").ok());
  };
  SimFileSystem dry(0);
  prepare(dry);
  uint64_t before = dry.operation_count();
  ASSERT_TRUE(workload(dry).ok());
  uint64_t operations = dry.operation_count() - before;
  ASSERT_EQ(operations, 6u) << "create, truncate, write, sync, rename, directory sync";
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (uint64_t point = 1; point <= operations; ++point) {
      SimFileSystem disk(seed);
      prepare(disk);
      disk.SetCrashAfter(point);
      EXPECT_FALSE(workload(disk).ok());
      EXPECT_TRUE(disk.crashed());
      disk.Restart();
      seen.insert(ReadAll(disk, "a"));
    }
    SimFileSystem disk(seed);
    prepare(disk);
    disk.SetCrashAfter(operations + 1);
    ASSERT_TRUE(workload(disk).ok());
    disk.Restart();
    EXPECT_EQ(ReadAll(disk, "a"), "new") << "it was acknowledged";
  }
  EXPECT_EQ(seen, (std::set<std::string>{"old", "new"}));
}

TEST(SimDiskCrashTest, LeavingOutOneSyncIsCaught) {
  bool damaged = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFileSystem disk(seed);
    ASSERT_TRUE(WriteFileAtomically(disk, "a", "old").ok());
    std::shared_ptr<File> file = Create(disk, "a.tmp");
    ASSERT_TRUE(file->WriteAt(0, "new").ok());
    ASSERT_TRUE(disk.Rename("a.tmp", "a").ok());  // without SyncData before
    ASSERT_TRUE(disk.SyncDirectory("").ok());
    disk.Restart();
    damaged = damaged || ReadAll(disk, "a") != "new";
  }
  EXPECT_TRUE(damaged);
}

TEST(SimDiskCrashTest, AWriteThatTheCrashCutsTears) {
  std::set<std::string> sizes = OverSeeds([](SimFileSystem& disk) {
    std::shared_ptr<File> file = Create(disk, "a");
    EXPECT_TRUE(disk.SyncDirectory("").ok());
    disk.SetCrashAfter(1);
    EXPECT_EQ(ReasonOf(file->WriteAt(0, std::string(100, 'x'))), Reason::kStorageFailed);
    disk.Restart(SimCrash::kProcessOnly);  // shows what reached the page cache
    std::string content = ReadAll(disk, "a");
    EXPECT_EQ(content, std::string(content.size(), 'x'));
    return std::to_string(content.size());
  });
  EXPECT_GT(sizes.size(), 20u);
}

TEST(SimDiskFaultTest, AFailedSyncDropsBytesAndTheNextOneSucceeds) {
  bool lost = false;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimFileSystem disk(seed);
    std::shared_ptr<File> file = Create(disk, "a");
    ASSERT_TRUE(disk.SyncDirectory("").ok());
    ASSERT_TRUE(file->WriteAt(0, "precious").ok());
    disk.FailNext(SimDiskOperation::kSync);
    EXPECT_EQ(ReasonOf(file->SyncData()), Reason::kStorageFailed);
    EXPECT_EQ(ReadAll(disk, "a"), "precious") << "the page cache still shows it";
    EXPECT_TRUE(file->SyncData().ok()) << "this is the lie";
    disk.Restart();
    lost = lost || ReadAll(disk, "a") != "precious";
  }
  EXPECT_TRUE(lost);
}

TEST(SimDiskFaultTest, FaultsFollowTheirProbability) {
  SimFileSystem disk(3);
  std::shared_ptr<File> file = Create(disk, "a");
  ASSERT_TRUE(file->WriteAt(0, "0123456789").ok());
  disk.SetFaults({.read_error = 0.5, .write_error = 0.5});
  int reads = 0;
  int writes = 0;
  char byte = 0;
  for (int i = 0; i < 1000; ++i) {
    reads += file->ReadAt(0, &byte, 1).ok() ? 0 : 1;
    writes += file->WriteAt(0, "x").ok() ? 0 : 1;
  }
  EXPECT_NEAR(reads, 500, 100);
  EXPECT_NEAR(writes, 500, 100);
  EXPECT_TRUE(file->SyncData().ok());
}

TEST(SimDiskFaultTest, OneFaultHitsOneOperationOnOnePath) {
  SimFileSystem disk(3);
  disk.FailNext(SimDiskOperation::kWrite, 2, "b");
  std::shared_ptr<File> a = Create(disk, "a");
  std::shared_ptr<File> b = Create(disk, "b");
  EXPECT_TRUE(a->WriteAt(0, "x").ok());
  EXPECT_FALSE(b->WriteAt(0, "x").ok());
  EXPECT_FALSE(b->WriteAt(0, "x").ok());
  EXPECT_TRUE(b->WriteAt(0, "x").ok());
  disk.FailNext(SimDiskOperation::kRename);
  EXPECT_EQ(ReasonOf(disk.Rename("a", "c")), Reason::kStorageFailed);
  EXPECT_TRUE(Exists(disk, "a"));
}

TEST(SimDiskFaultTest, AFullDiskRefusesGrowthOnly) {
  SimFileSystem disk(4, 4 * kSectorBytes);
  std::shared_ptr<File> file = Create(disk, "a");
  ASSERT_TRUE(file->WriteAt(0, std::string(3 * kSectorBytes, 'x')).ok());
  EXPECT_EQ(disk.used_bytes(), 3 * kSectorBytes);
  absl::Status status = file->WriteAt(3 * kSectorBytes, std::string(2 * kSectorBytes, 'y'));
  EXPECT_EQ(ReasonOf(status), Reason::kStorageFull) << status;
  EXPECT_EQ(file->Size().value(), 4 * kSectorBytes) << "a part of it was written";
  EXPECT_TRUE(file->WriteAt(0, "overwriting goes on").ok());
  EXPECT_EQ(ReasonOf(file->Allocate(5 * kSectorBytes)), Reason::kStorageFull);
  EXPECT_EQ(disk.GetFreeSpace().value().free_bytes, 0u);
  EXPECT_EQ(ReasonOf(Create(disk, "b")->WriteAt(0, "x")), Reason::kStorageFull);
  disk.SetCapacity(100 * kSectorBytes);
  EXPECT_TRUE(Create(disk, "b")->WriteAt(0, "x").ok());
}

TEST(SimDiskFaultTest, SpaceComesBackWhenTheLastHandleGoes) {
  SimFileSystem disk(4, 2 * kSectorBytes);
  std::shared_ptr<File> file = Create(disk, "a");
  ASSERT_TRUE(file->WriteAt(0, std::string(2 * kSectorBytes, 'x')).ok());
  ASSERT_TRUE(disk.Remove("a").ok());
  EXPECT_EQ(disk.used_bytes(), 2 * kSectorBytes);
  file.reset();
  EXPECT_EQ(disk.used_bytes(), 0u);
  file = Create(disk, "b");
  ASSERT_TRUE(file->WriteAt(0, "x").ok());
  ASSERT_TRUE(disk.SyncAll().ok());
  disk.Restart();
  EXPECT_EQ(disk.used_bytes(), kSectorBytes);
}

TEST(SimDiskFaultTest, BitsFlipSilentlyAndSurviveARestart) {
  SimFileSystem disk(5);
  ASSERT_TRUE(WriteFileAtomically(disk, "a", "0123456789").ok());
  EXPECT_TRUE(disk.FlipBit("a", 2, 0));
  EXPECT_EQ(ReadAll(disk, "a"), "0133456789");
  EXPECT_FALSE(disk.FlipBit("a", 10, 0));
  EXPECT_TRUE(disk.Damage("a", 8, "XX"));
  EXPECT_FALSE(disk.Damage("a", 9, "XX"));
  EXPECT_EQ(disk.FlipRandomBit("none"), std::nullopt);
  disk.Restart();
  EXPECT_EQ(ReadAll(disk, "a"), "01334567XX");
  std::optional<uint64_t> position = disk.FlipRandomBit("a");
  ASSERT_TRUE(position.has_value());
  EXPECT_NE(ReadAll(disk, "a")[*position], "01334567XX"[*position]);
}

// The same seed and history give the same disk, byte for byte; another seed gives another.
TEST(SimDiskTwinTest, TwinsAreEqual) {
  auto run = [](uint64_t seed) {
    SimFileSystem disk(seed, 64 * kSectorBytes);
    Random random(99);  // the workload is the same for all
    disk.SetFaults({.write_error = 0.05, .sync_error = 0.05, .metadata_error = 0.05});
    for (int i = 0; i < 500; ++i) {
      std::string path = "f" + std::to_string(random.Below(8));
      absl::StatusOr<std::shared_ptr<File>> file = disk.Open(path, OpenMode::kCreate);
      std::string bytes(random.Below(6000), static_cast<char>('a' + random.Below(26)));
      if (file.ok()) (void)(*file)->WriteAt(random.Below(10000), bytes);
      if (file.ok() && random.OneIn(5)) (void)(*file)->SyncData();
      if (random.OneIn(10)) (void)disk.SyncDirectory("");
      if (random.OneIn(10)) (void)disk.Rename(path, "g" + std::to_string(random.Below(4)));
      if (random.OneIn(10)) (void)disk.Remove("g" + std::to_string(random.Below(4)));
      if (random.OneIn(40)) disk.SetCrashAfter(3);
      if (disk.crashed()) disk.Restart();
    }
    return disk.StateHash();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_EQ(run(2), run(2));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace catamaran::sim
