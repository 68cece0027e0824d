// What every FileSystem promises, run against the machine's and against its simulated twin.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "base/file_system.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

// Makes a file system on an empty directory; removes it at the end.
class Fixture {
 public:
  virtual ~Fixture() = default;
  virtual FileSystem& fs() = 0;
};

class PosixFixture : public Fixture {
 public:
  PosixFixture() {
    std::string pattern = ::testing::TempDir() + "/catamaran-fs-XXXXXX";
    root_ = mkdtemp(pattern.data());
    fs_ = OpenPosixFileSystem(root_).value();
  }
  ~PosixFixture() override {
    fs_.reset();
    std::filesystem::remove_all(root_);
  }
  FileSystem& fs() override { return *fs_; }

 private:
  std::string root_;
  std::unique_ptr<FileSystem> fs_;
};

class SimFixture : public Fixture {
 public:
  FileSystem& fs() override { return fs_; }

 private:
  sim::SimFileSystem fs_{7};
};

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<Fixture>()> make;
};

class FileSystemContractTest : public ::testing::TestWithParam<Implementation> {
 protected:
  std::shared_ptr<File> Create(const std::string& path, std::string_view content) {
    std::shared_ptr<File> file = fs().Open(path, OpenMode::kCreateNew).value();
    EXPECT_TRUE(file->WriteAt(0, content).ok());
    return file;
  }
  std::string Read(const std::string& path) {
    absl::StatusOr<std::string> content = ReadWholeFile(fs(), path, 1 << 30);
    return content.ok() ? *content : content.status().ToString();
  }
  FileSystem& fs() { return fixture_->fs(); }

  std::unique_ptr<Fixture> fixture_ = GetParam().make();
};

TEST_P(FileSystemContractTest, WritesAndReadsAtPositions) {
  std::shared_ptr<File> file = Create("a", "0123456789");
  ASSERT_TRUE(file->WriteAt(8, "XYZ").ok());
  EXPECT_EQ(Read("a"), "01234567XYZ");
  char buffer[16];
  EXPECT_EQ(file->ReadAt(9, buffer, 16).value(), 2u);
  EXPECT_EQ(std::string_view(buffer, 2), "YZ");
  EXPECT_EQ(file->ReadAt(11, buffer, 16).value(), 0u);
  EXPECT_EQ(file->ReadAt(1000, buffer, 16).value(), 0u);
  EXPECT_EQ(file->ReadAt(3, buffer, 0).value(), 0u);
}

TEST_P(FileSystemContractTest, WritesPartsOneAfterAnother) {
  std::shared_ptr<File> file = Create("a", "");
  std::string_view parts[] = {"one", "", "two", "three"};
  ASSERT_TRUE(file->WriteAt(1, parts).ok());
  EXPECT_EQ(Read("a"), std::string("\0onetwothree", 12));
  ASSERT_TRUE(file->WriteAt(0, std::span<const std::string_view>()).ok());
  EXPECT_EQ(file->Size().value(), 12u);
}

TEST_P(FileSystemContractTest, WritesMorePartsThanOneSystemCallTakes) {
  std::shared_ptr<File> file = Create("a", "");
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i));
  std::vector<std::string_view> parts(texts.begin(), texts.end());
  for (const std::string& text : texts) expected += text;
  ASSERT_TRUE(file->WriteAt(0, parts).ok());
  EXPECT_EQ(Read("a"), expected);
}

TEST_P(FileSystemContractTest, AHoleReadsAsZeroes) {
  std::shared_ptr<File> file = Create("a", "x");
  ASSERT_TRUE(file->WriteAt(10000, "y").ok());
  EXPECT_EQ(Read("a"), "x" + std::string(9999, '\0') + "y");
}

TEST_P(FileSystemContractTest, LargeFilesSurviveARoundTrip) {
  std::string content;
  Random random(3);
  for (int i = 0; i < 1 << 17; ++i) content.push_back(static_cast<char>(random.Next()));
  Create("a", content);
  EXPECT_EQ(Read("a"), content);
}

TEST_P(FileSystemContractTest, OpenModes) {
  EXPECT_TRUE(absl::IsNotFound(fs().Open("a", OpenMode::kRead).status()));
  EXPECT_TRUE(absl::IsNotFound(fs().Open("a", OpenMode::kReadWrite).status()));
  ASSERT_TRUE(fs().Open("a", OpenMode::kCreate).value()->WriteAt(0, "kept").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(fs().Open("a", OpenMode::kCreateNew).status()));
  ASSERT_TRUE(fs().Open("a", OpenMode::kCreate).ok());
  ASSERT_TRUE(fs().Open("a", OpenMode::kReadWrite).ok());
  EXPECT_EQ(Read("a"), "kept");
}

TEST_P(FileSystemContractTest, AMissingFileHasNoReason) {
  absl::Status status = fs().Open("a", OpenMode::kRead).status();
  EXPECT_FALSE(GetErrorDetail(status).has_value()) << status;
  EXPECT_TRUE(absl::IsNotFound(fs().Open("no/such", OpenMode::kCreate).status()));
  EXPECT_TRUE(absl::IsNotFound(fs().Remove("a")));
  EXPECT_TRUE(absl::IsNotFound(fs().Rename("a", "b")));
  EXPECT_TRUE(absl::IsNotFound(fs().Stat("a").status()));
  EXPECT_TRUE(absl::IsNotFound(fs().List("a").status()));
  EXPECT_TRUE(absl::IsNotFound(fs().SyncDirectory("a")));
  EXPECT_TRUE(absl::IsNotFound(fs().RemoveDirectory("a")));
  EXPECT_TRUE(absl::IsNotFound(fs().MakeDirectory("a/b")));
}

TEST_P(FileSystemContractTest, AReadOnlyHandleRefusesWrites) {
  Create("a", "x");
  std::shared_ptr<File> file = fs().Open("a", OpenMode::kRead).value();
  EXPECT_TRUE(absl::IsFailedPrecondition(file->WriteAt(0, "y")));
  EXPECT_TRUE(absl::IsFailedPrecondition(file->Truncate(0)));
  EXPECT_TRUE(absl::IsFailedPrecondition(file->Allocate(10)));
  EXPECT_TRUE(file->SyncData().ok());
  EXPECT_EQ(Read("a"), "x");
}

TEST_P(FileSystemContractTest, TruncateCutsAndExtendsWithZeroes) {
  std::shared_ptr<File> file = Create("a", "0123456789");
  ASSERT_TRUE(file->Truncate(4).ok());
  EXPECT_EQ(Read("a"), "0123");
  ASSERT_TRUE(file->Truncate(6).ok());
  EXPECT_EQ(Read("a"), std::string("0123\0\0", 6));
}

TEST_P(FileSystemContractTest, AllocateExtendsWithZeroesAndNeverShrinks) {
  std::shared_ptr<File> file = Create("a", "0123");
  ASSERT_TRUE(file->Allocate(8192).ok());
  EXPECT_EQ(Read("a"), "0123" + std::string(8188, '\0'));
  ASSERT_TRUE(file->Allocate(100).ok());
  EXPECT_EQ(file->Size().value(), 8192u);
  file->StartWriteback(0, 8192);
  EXPECT_TRUE(file->SyncData().ok());
}

TEST_P(FileSystemContractTest, RenameReplacesTheTarget) {
  Create("a", "new");
  Create("b", "old");
  ASSERT_TRUE(fs().Rename("a", "b").ok());
  EXPECT_EQ(Read("b"), "new");
  EXPECT_TRUE(absl::IsNotFound(fs().Stat("a").status()));
}

TEST_P(FileSystemContractTest, RenameOntoItselfDoesNothing) {
  Create("a", "x");
  EXPECT_TRUE(fs().Rename("a", "a").ok());
  EXPECT_EQ(Read("a"), "x");
}

TEST_P(FileSystemContractTest, RenameMovesBetweenDirectories) {
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  ASSERT_TRUE(fs().MakeDirectory("e").ok());
  Create("d/a", "x");
  ASSERT_TRUE(fs().Rename("d/a", "e/b").ok());
  EXPECT_EQ(Read("e/b"), "x");
  ASSERT_TRUE(fs().Rename("e", "d/e").ok());
  EXPECT_EQ(Read("d/e/b"), "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().Rename("d", "d/e/d")));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().Rename("d/e/b", "d")));
}

TEST_P(FileSystemContractTest, AHandleOutlivesItsName) {
  std::shared_ptr<File> file = Create("a", "x");
  ASSERT_TRUE(fs().Remove("a").ok());
  ASSERT_TRUE(file->WriteAt(1, "y").ok());
  char buffer[2];
  EXPECT_EQ(file->ReadAt(0, buffer, 2).value(), 2u);
  EXPECT_EQ(std::string_view(buffer, 2), "xy");
  EXPECT_TRUE(file->SyncData().ok());
  Create("a", "other");
  EXPECT_EQ(Read("a"), "other");
}

TEST_P(FileSystemContractTest, DirectoriesAndFilesAreToldApart) {
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  Create("f", "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().Open("d", OpenMode::kRead).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().Open("d", OpenMode::kCreate).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().Remove("d")));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().RemoveDirectory("f")));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().List("f").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().MakeDirectory("f")));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().SyncDirectory("f")));
}

TEST_P(FileSystemContractTest, MakesListsAndRemovesDirectories) {
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  ASSERT_TRUE(fs().MakeDirectory("d/sub").ok());
  Create("d/b", "22");
  Create("d/a", "1");
  std::vector<FileInfo> infos = fs().List("d").value();
  EXPECT_THAT(infos, ElementsAre(Field(&FileInfo::name, "a"), Field(&FileInfo::name, "b"),
                                 Field(&FileInfo::name, "sub")));
  EXPECT_EQ(infos[1].size, 2u);
  EXPECT_FALSE(infos[1].is_directory);
  EXPECT_TRUE(infos[2].is_directory);
  EXPECT_EQ(infos[2].size, 0u);
  EXPECT_TRUE(absl::IsFailedPrecondition(fs().RemoveDirectory("d")));
  ASSERT_TRUE(fs().Remove("d/a").ok());
  ASSERT_TRUE(fs().Remove("d/b").ok());
  ASSERT_TRUE(fs().RemoveDirectory("d/sub").ok());
  ASSERT_TRUE(fs().RemoveDirectory("d").ok());
  EXPECT_TRUE(fs().List("").value().empty());
  EXPECT_TRUE(fs().SyncDirectory("").ok());
  EXPECT_TRUE(fs().SyncAll().ok());
}

TEST_P(FileSystemContractTest, StatTellsKindAndSize) {
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  Create("d/a", "123");
  FileInfo file = fs().Stat("d/a").value();
  EXPECT_EQ(file.name, "a");
  EXPECT_EQ(file.size, 3u);
  EXPECT_TRUE(fs().Stat("d").value().is_directory);
}

TEST_P(FileSystemContractTest, RefusesPathsThatLeaveTheRoot) {
  const std::string bad[] = {
      "/a", "..", "a/../b", "./a", "a//b", "a/", std::string("a\0b", 3), std::string(256, 'n'), ""};
  for (const std::string& path : bad) {
    SCOPED_TRACE(path);
    EXPECT_EQ(ReasonOf(fs().Open(path, OpenMode::kCreate).status()), Reason::kInvalidArgument);
    EXPECT_EQ(ReasonOf(fs().Remove(path)), Reason::kInvalidArgument);
    EXPECT_EQ(ReasonOf(fs().MakeDirectory(path)), Reason::kInvalidArgument);
    EXPECT_EQ(ReasonOf(fs().Lock(path).status()), Reason::kInvalidArgument);
    EXPECT_EQ(ReasonOf(fs().Rename("x", path)), Reason::kInvalidArgument);
  }
  EXPECT_TRUE(fs().Open(std::string(255, 'n'), OpenMode::kCreate).ok());
}

TEST_P(FileSystemContractTest, ALockIsHeldByOne) {
  absl::StatusOr<std::unique_ptr<DirectoryLock>> first = fs().Lock("lock");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(ReasonOf(fs().Lock("lock").status()), Reason::kDirectoryInUse);
  EXPECT_TRUE(fs().Stat("lock").ok());
  first->reset();
  EXPECT_TRUE(fs().Lock("lock").ok());
}

TEST_P(FileSystemContractTest, TellsFreeSpace) {
  FreeSpace space = fs().GetFreeSpace().value();
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

TEST_P(FileSystemContractTest, AtomicWriteReplacesTheContent) {
  ASSERT_TRUE(fs().MakeDirectory("d").ok());
  ASSERT_TRUE(WriteFileAtomically(fs(), "d/a", "first, which is longer").ok());
  ASSERT_TRUE(WriteFileAtomically(fs(), "d/a", "second").ok());
  EXPECT_EQ(Read("d/a"), "second");
  EXPECT_EQ(fs().List("d").value().size(), 1u);
}

TEST_P(FileSystemContractTest, ReadWholeFileHasALimit) {
  Create("a", "12345");
  EXPECT_EQ(ReadWholeFile(fs(), "a", 5).value(), "12345");
  EXPECT_EQ(ReasonOf(ReadWholeFile(fs(), "a", 4).status()), Reason::kLimitExceeded);
}

INSTANTIATE_TEST_SUITE_P(
    Each, FileSystemContractTest,
    ::testing::Values(Implementation{"Posix", [] { return std::make_unique<PosixFixture>(); }},
                      Implementation{"Simulated", [] { return std::make_unique<SimFixture>(); }}),
    [](const auto& instance) { return instance.param.name; });

// What only the real one can meet.
class PosixFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/catamaran-fs-XXXXXX";
    root_ = mkdtemp(pattern.data());
    fs_ = OpenPosixFileSystem(root_).value();
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  std::unique_ptr<FileSystem> fs_;
};

TEST_F(PosixFileSystemTest, FollowsNoSymbolicLink) {
  std::filesystem::create_directory_symlink("/", root_ + "/out");
  std::filesystem::create_symlink("/etc/passwd", root_ + "/file");
  EXPECT_TRUE(absl::IsFailedPrecondition(fs_->Open("out/etc/passwd", OpenMode::kRead).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs_->Open("file", OpenMode::kRead).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(fs_->List("out").status()));
}

TEST_F(PosixFileSystemTest, IsPrivateToItsUser) {
  ASSERT_TRUE(fs_->MakeDirectory("d").ok());
  ASSERT_TRUE(fs_->Open("d/a", OpenMode::kCreateNew).ok());
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(root_ + "/d").permissions(), perms::owner_all);
  EXPECT_EQ(std::filesystem::status(root_ + "/d/a").permissions(),
            perms::owner_read | perms::owner_write);
}

TEST_F(PosixFileSystemTest, AMissingRootIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(OpenPosixFileSystem(root_ + "/none").status()));
}

TEST_F(PosixFileSystemTest, AFullDeviceIsStorageFull) {
  absl::StatusOr<std::unique_ptr<FileSystem>> dev = OpenPosixFileSystem("/dev");
  ASSERT_TRUE(dev.ok());
  absl::StatusOr<std::shared_ptr<File>> full = (*dev)->Open("full", OpenMode::kReadWrite);
  if (!full.ok()) GTEST_SKIP() << "no /dev/full here: " << full.status();
  absl::Status status = (*full)->WriteAt(0, "x");
  EXPECT_EQ(ReasonOf(status), Reason::kStorageFull) << status;
}

}  // namespace
}  // namespace catamaran
