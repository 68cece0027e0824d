#include "base/latched_file_system.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran {
namespace {

using sim::SimDiskOperation;
using sim::SimFileSystem;

// A latched file system with two files, over a disk that fails when it is told to.
struct Volume {
  SimFileSystem disk{1};
  std::unique_ptr<FileSystem> fs = LatchSyncFailures(&disk);
  std::shared_ptr<File> a = Make("a");
  std::shared_ptr<File> b = Make("b");

  std::shared_ptr<File> Make(const std::string& name) {
    std::shared_ptr<File> file = fs->Open(name, OpenMode::kCreate).value();
    EXPECT_TRUE(file->WriteAt(0, "x").ok());
    return file;
  }
  // Every way to make something durable.
  std::vector<absl::Status> SyncAllWays() {
    return {a->SyncData(), b->SyncData(), fs->SyncDirectory(""), fs->SyncAll(),
            fs->Open("a", OpenMode::kReadWrite).value()->SyncData()};
  }
};

TEST(LatchedFileSystem, PassesSyncsOnWhileNoneFails) {
  Volume volume;
  for (int i = 0; i < 2; ++i) {
    for (const absl::Status& status : volume.SyncAllWays()) EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(LatchedFileSystem, TheFirstFailedSyncIsTheLastThatIsTried) {
  const std::vector<std::pair<SimDiskOperation, std::function<absl::Status(Volume&)>>> ways = {
      {SimDiskOperation::kSync, [](Volume& volume) { return volume.a->SyncData(); }},
      {SimDiskOperation::kSyncAll, [](Volume& volume) { return volume.fs->SyncAll(); }},
      {SimDiskOperation::kSyncDirectory,
       [](Volume& volume) { return volume.fs->SyncDirectory(""); }},
  };
  for (size_t i = 0; i < ways.size(); ++i) {
    SCOPED_TRACE(i);
    Volume volume;
    volume.disk.FailNext(ways[i].first);
    const absl::Status first = ways[i].second(volume);
    ASSERT_EQ(ReasonOf(first), Reason::kStorageFailed) << first;
    // The disk would let each of these succeed.
    for (const absl::Status& status : volume.SyncAllWays()) EXPECT_EQ(status, first);
    // Reads, writes and names go on.
    EXPECT_TRUE(volume.a->WriteAt(1, "y").ok());
    char byte = 0;
    EXPECT_EQ(volume.a->ReadAt(1, &byte, 1).value(), 1u);
    EXPECT_EQ(byte, 'y');
    EXPECT_TRUE(volume.fs->Rename("a", "c").ok());
    EXPECT_TRUE(volume.fs->Remove("c").ok());
    // Opened anew, as after a restart, the volume is trusted again.
    std::unique_ptr<FileSystem> again = LatchSyncFailures(&volume.disk);
    EXPECT_TRUE(again->SyncAll().ok());
  }
}

TEST(LatchedFileSystem, OtherErrorsDontLatch) {
  Volume volume;
  EXPECT_TRUE(absl::IsNotFound(volume.fs->SyncDirectory("missing")));
  volume.disk.FailNext(SimDiskOperation::kWrite);
  EXPECT_FALSE(volume.a->WriteAt(0, "z").ok());
  for (const absl::Status& status : volume.SyncAllWays()) EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace catamaran
