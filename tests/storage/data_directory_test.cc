#include "storage/data_directory.h"

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::storage {
namespace {

using sim::SimFileSystem;

constexpr char kFile[] = "meta.properties";

TEST(DataDirectoryTest, FirstStartThenRestart) {
  SimFileSystem disk(1);
  Random random(5);
  DirectoryIdentity first;
  {
    auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
    ASSERT_TRUE(opened.ok()) << opened.status();
    first = (*opened)->identity();
    EXPECT_TRUE((*opened)->was_empty());
    EXPECT_EQ(first.node, BrokerId(4));
    EXPECT_FALSE(first.cluster.uuid.is_nil());
    EXPECT_FALSE(first.directory.uuid.is_nil());
    EXPECT_EQ(first.start_counter, 1u);
  }
  disk.Restart();  // the counter was durable before Open returned
  auto again = DataDirectory::Open(disk, {BrokerId(4), first.cluster}, random);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_FALSE((*again)->was_empty());
  EXPECT_EQ((*again)->identity().directory, first.directory);
  EXPECT_EQ((*again)->identity().cluster, first.cluster);
  EXPECT_EQ((*again)->identity().start_counter, 2u);
}

TEST(DataDirectoryTest, ConfiguredClusterIsTaken) {
  SimFileSystem disk(1);
  Random random(5);
  const ClusterId cluster{random.NextUuid()};
  auto opened = DataDirectory::Open(disk, {BrokerId(4), cluster}, random);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ((*opened)->identity().cluster, cluster);
}

TEST(DataDirectoryTest, SecondOwnerIsRefused) {
  SimFileSystem disk(1);
  Random random(5);
  auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
  ASSERT_TRUE(opened.ok());
  const uint64_t hash = disk.StateHash();
  EXPECT_EQ(ReasonOf(DataDirectory::Open(disk, {BrokerId(4), {}}, random).status()),
            Reason::kDirectoryInUse);
  EXPECT_EQ(disk.StateHash(), hash);
  opened->reset();
  EXPECT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
}

// Refused with this reason, and not a byte is written.
void ExpectRefused(SimFileSystem& disk, const DataDirectory::Expectation& expected, Reason reason) {
  Random random(6);
  const uint64_t hash = disk.StateHash();
  const auto opened = DataDirectory::Open(disk, expected, random);
  EXPECT_EQ(ReasonOf(opened.status()), reason) << opened.status();
  EXPECT_EQ(disk.StateHash(), hash);
}

TEST(DataDirectoryTest, RefusalsWriteNothing) {
  SimFileSystem disk(1);
  Random random(5);
  ASSERT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
  ExpectRefused(disk, {BrokerId(5), {}}, Reason::kDirectoryMismatch);
  ExpectRefused(disk, {BrokerId(4), ClusterId{random.NextUuid()}}, Reason::kDirectoryMismatch);

  const std::string intact = *ReadWholeFile(disk, kFile, 4096);
  for (size_t i = 0; i < intact.size(); ++i) {
    SCOPED_TRACE(i);
    std::string damaged = intact;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    ASSERT_TRUE(WriteFileAtomically(disk, kFile, damaged).ok());
    const uint64_t hash = disk.StateHash();
    const auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
    EXPECT_FALSE(opened.ok());
    EXPECT_EQ(disk.StateHash(), hash);
  }
  std::string newer = intact;
  newer.replace(newer.find("version=1"), 9, "version=2");
  ASSERT_TRUE(WriteFileAtomically(disk, kFile, newer).ok());
  ExpectRefused(disk, {BrokerId(4), {}}, Reason::kUnsupportedVersion);
  ASSERT_TRUE(WriteFileAtomically(disk, kFile, "").ok());
  ExpectRefused(disk, {BrokerId(4), {}}, Reason::kCorruptLog);
}

TEST(DataDirectoryTest, AnOversizedIdentityIsCorruptAndNamed) {
  SimFileSystem disk(1);
  Random random(5);
  ASSERT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
  ASSERT_TRUE(WriteFileAtomically(disk, kFile, std::string(100'000, 'x')).ok());
  ExpectRefused(disk, {BrokerId(4), {}}, Reason::kCorruptLog);
  const auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
  EXPECT_NE(opened.status().message().find(kFile), absl::string_view::npos) << opened.status();
}

TEST(DataDirectoryTest, StartsOnAFullDisk) {
  SimFileSystem disk(1);
  Random random(5);
  ASSERT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
  for (int round = 0; round < 2; ++round) {
    disk.SetCapacity(disk.used_bytes());
    ASSERT_FALSE(WriteFileAtomically(disk, "other", std::string(10'000, 'x')).ok());
    {
      const auto opened = DataDirectory::Open(disk, {BrokerId(4), {}}, random);
      ASSERT_TRUE(opened.ok()) << opened.status();
      EXPECT_GE((*opened)->identity().start_counter, 2);
      // The metadata have room too.
      EXPECT_TRUE(WriteFileAtomically(disk, "metadata", std::string(10'000, 'x')).ok());
    }
    // With space again, the next start keeps a spare again.
    disk.SetCapacity(uint64_t{1} << 40);
    ASSERT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
  }
}

TEST(DataDirectoryTest, StrangersDirectoryIsRefused) {
  SimFileSystem disk(1);
  ASSERT_TRUE(disk.MakeDirectory("photos").ok());
  ExpectRefused(disk, {BrokerId(4), {}}, Reason::kDirectoryMismatch);
}

TEST(DataDirectoryTest, FirstStartMayCrashAnywhere) {
  for (uint64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    SimFileSystem disk(at);
    Random random(5);
    disk.SetCrashAfter(at);
    const bool done = DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok();
    if (done) {
      EXPECT_GT(at, 3u);
      break;
    }
    disk.Restart();
    EXPECT_TRUE(DataDirectory::Open(disk, {BrokerId(4), {}}, random).ok());
  }
}

}  // namespace
}  // namespace catamaran::storage
