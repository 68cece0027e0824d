// The local metadata log on the simulated disk: a crash at every operation, torn tails, damage,
// full disks and failing syncs.
#include "metadata/metadata_log.h"

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "metadata/metadata_frames.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::metadata {
namespace {

constexpr Duration kPatience = std::chrono::seconds(60);

// A log on a node of the simulated world, one life long.
class LogOnDisk {
 public:
  explicit LogOnDisk(FileSystem& disk, uint64_t seed = 1)
      : world_(seed),
        node_(world_, "n"),
        executor_(node_.MakeExecutor("metadata")),
        pool_(node_.MakeIoPool()),
        log_(MakeLocalMetadataLog(disk, "metadata", *pool_, *executor_)) {}

  absl::StatusOr<LogContents> Open() { return log_->Open(); }

  absl::Status Append(std::vector<RecordBatch> batches) {
    return Wait([&](MetadataLog::Done done) { log_->Append(std::move(batches), std::move(done)); });
  }
  absl::Status WriteSnapshot(MetadataRevision revision, std::vector<Record> records) {
    return Wait([&](MetadataLog::Done done) {
      log_->WriteSnapshot(revision, std::move(records), std::move(done));
    });
  }
  MetadataLog& log() { return *log_; }

 private:
  absl::Status Wait(const std::function<void(MetadataLog::Done)>& call) {
    std::optional<absl::Status> result;
    executor_->Post([&] { call([&result](absl::Status status) { result = std::move(status); }); });
    EXPECT_TRUE(world_.RunUntil([&] { return result.has_value(); }, kPatience));
    return result.value_or(absl::UnknownError("no answer"));
  }

  sim::World world_;
  sim::SimNode node_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<IoPool> pool_;
  std::unique_ptr<MetadataLog> log_;
};

Record ConfigRecord(int64_t revision, size_t bytes = 8) {
  Record record;
  record.mutable_topic_config()->set_name("r" + std::to_string(revision));
  record.mutable_topic_config()->set_value(std::string(bytes, 'v'));
  return record;
}

RecordBatch Batch(int64_t first, int64_t count, size_t bytes = 8) {
  RecordBatch batch{MetadataRevision(first), {}};
  for (int64_t i = 0; i < count; ++i) batch.records.push_back(ConfigRecord(first + i, bytes));
  return batch;
}

// The revisions that the contents hold, which must be without gaps from the snapshot on.
int64_t LastRevision(const LogContents& contents) {
  int64_t last = contents.snapshot_revision.value();
  for (const RecordBatch& batch : contents.batches) {
    EXPECT_EQ(batch.first.value(), last + 1);
    for (const Record& record : batch.records) {
      ++last;
      bool is_frame = record.has_begin_batch() || record.has_end_batch();
      if (!is_frame) {
        EXPECT_EQ(record.topic_config().name(), "r" + std::to_string(last));
      }
    }
  }
  return last;
}

// The bytes of docs/formats.md's block "```hex <name>".
std::string Example(const std::string& name) {
  std::ifstream file("docs/formats.md");
  std::string bytes;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (inside && line == "```") return bytes;
    for (size_t at = 0; inside && at + 1 < line.size(); at += 3) {
      bytes += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    }
    if (line == "```hex " + name) inside = true;
  }
  ADD_FAILURE() << "docs/formats.md has no example " << name;
  return "";
}

RecordBatch ControllerIs(int32_t broker, int64_t revision) {
  Record record;
  record.mutable_controller_change()->set_controller_id(broker);
  return {MetadataRevision(revision), {record}};
}

TEST(MetadataLog, WritesTheBytesOfTheFormatPage) {
  sim::SimFileSystem disk(1);
  LogOnDisk log(disk);
  ASSERT_TRUE(log.Open().ok());
  ASSERT_TRUE(log.Append({ControllerIs(1, 1)}).ok());
  ASSERT_TRUE(log.WriteSnapshot(MetadataRevision(1), ControllerIs(1, 1).records).ok());
  absl::StatusOr<std::string> snapshot = ReadWholeFile(disk, "metadata/snapshot", 1'000);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(*snapshot, Example("metadata-snapshot"));

  sim::SimFileSystem other_disk(1);
  LogOnDisk other(other_disk);
  ASSERT_TRUE(other.Open().ok());
  ASSERT_TRUE(other.Append({ControllerIs(1, 1)}).ok());
  ASSERT_TRUE(other.Append({ControllerIs(2, 2)}).ok());
  absl::StatusOr<std::string> bytes =
      ReadWholeFile(other_disk, "metadata/log-00000000000000000001", 1'000);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(*bytes, Example("metadata-log"));
}

TEST(MetadataLog, KeepsWhatItAppended) {
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    absl::StatusOr<LogContents> contents = log.Open();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(LastRevision(*contents), 0);
    ASSERT_TRUE(log.Append({Batch(1, 3), Batch(4, 1)}).ok());
    ASSERT_TRUE(log.Append({Batch(5, 2)}).ok());
    EXPECT_GT(log.log().bytes_since_snapshot(), 0u);
  }
  disk.Restart();
  LogOnDisk log(disk);
  absl::StatusOr<LogContents> contents = log.Open();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->batches.size(), 3u);
  EXPECT_EQ(LastRevision(*contents), 6);
  EXPECT_FALSE(contents->tail_was_cut);
  ASSERT_TRUE(log.Append({Batch(7, 1)}).ok());
}

TEST(MetadataLog, ALargeBatchIsWholeOrNotThere) {
  std::vector<Record> records;
  for (int64_t i = 0; i < 40; ++i) records.push_back(ConfigRecord(i + 2, 100'000));
  std::vector<Record> wrapped = WrapLargeBatch(records);
  ASSERT_EQ(wrapped.size(), records.size() + 2);
  EXPECT_TRUE(wrapped.front().has_begin_batch());
  EXPECT_TRUE(wrapped.back().has_end_batch());
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    ASSERT_TRUE(log.Open().ok());
    ASSERT_TRUE(log.Append({RecordBatch{MetadataRevision(1), wrapped}}).ok());
  }
  disk.Restart();
  {
    LogOnDisk log(disk);
    absl::StatusOr<LogContents> contents = log.Open();
    ASSERT_TRUE(contents.ok()) << contents.status();
    ASSERT_EQ(contents->batches.size(), 1u);
    EXPECT_EQ(contents->batches[0].records.size(), wrapped.size());
  }
  // The end of the file is lost: with it the whole batch.
  const std::string path = "metadata/log-00000000000000000001";
  absl::StatusOr<FileInfo> info = disk.Stat(path);
  ASSERT_TRUE(info.ok());
  EXPECT_GT(info->size, 3u << 20);
  absl::StatusOr<std::shared_ptr<File>> file = disk.Open(path, OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok() && (*file)->Truncate(info->size - 10).ok());
  LogOnDisk log(disk);
  absl::StatusOr<LogContents> contents = log.Open();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(contents->batches.empty());
  EXPECT_TRUE(contents->tail_was_cut);
  ASSERT_TRUE(log.Append({Batch(1, 1)}).ok());
}

TEST(MetadataLog, ASnapshotReplacesTheLog) {
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    ASSERT_TRUE(log.Open().ok());
    ASSERT_TRUE(log.Append({Batch(1, 5)}).ok());
    ASSERT_TRUE(log.WriteSnapshot(MetadataRevision(5), {ConfigRecord(1), ConfigRecord(2)}).ok());
    EXPECT_EQ(log.log().bytes_since_snapshot(), 0u);
    ASSERT_TRUE(log.Append({Batch(6, 2)}).ok());
  }
  disk.Restart();
  LogOnDisk log(disk);
  absl::StatusOr<LogContents> contents = log.Open();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->snapshot_revision, MetadataRevision(5));
  EXPECT_EQ(contents->snapshot.size(), 2u);
  EXPECT_EQ(LastRevision(*contents), 7);
  absl::StatusOr<std::vector<FileInfo>> files = disk.List("metadata");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 2u) << "the snapshot and one log";
}

// A workload with snapshots and large batches; returns the last revision that was acknowledged.
int64_t RunWorkload(FileSystem& disk, uint64_t seed) {
  int64_t acknowledged = 0;
  LogOnDisk log(disk, seed);
  if (!log.Open().ok()) return 0;
  Random random(seed);
  for (int i = 0; i < 12; ++i) {
    std::vector<RecordBatch> batches;
    int64_t next = acknowledged + 1;
    for (uint64_t b = random.Between(1, 3); b > 0; --b) {
      int64_t count = random.Between(1, 4);
      batches.push_back(Batch(next, count, random.OneIn(4) ? 3'000 : 20));
      next += count;
    }
    if (!log.Append(std::move(batches)).ok()) return acknowledged;
    acknowledged = next - 1;
    if (i % 4 == 3) {
      std::vector<Record> records = {ConfigRecord(1), ConfigRecord(2)};
      if (!log.WriteSnapshot(MetadataRevision(acknowledged), std::move(records)).ok()) {
        return acknowledged;
      }
    }
  }
  return acknowledged;
}

// Every write, sync, rename, creation and removal is cut once, with several fates of the unsynced
// bytes: everything acknowledged is there, nothing is twice or out of order, and the log goes on.
TEST(MetadataLogCrash, AtEveryOperation) {
  uint64_t operations = 0;
  {
    sim::SimFileSystem disk(1);
    RunWorkload(disk, 1);
    operations = disk.operation_count();
  }
  ASSERT_GT(operations, 30u);
  int cut = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    for (uint64_t at = 1; at <= operations; ++at) {
      sim::SimFileSystem disk(seed * 1'000 + at);
      disk.SetCrashAfter(at);
      int64_t acknowledged = RunWorkload(disk, 1);
      disk.SetCrashAfter(0);
      disk.Restart();
      int64_t last = 0;
      {
        LogOnDisk log(disk);
        absl::StatusOr<LogContents> contents = log.Open();
        ASSERT_TRUE(contents.ok()) << "seed " << seed << " at " << at << ": " << contents.status();
        cut += contents->tail_was_cut ? 1 : 0;
        last = LastRevision(*contents);
        ASSERT_GE(last, acknowledged) << "seed " << seed << " at " << at;
        ASSERT_TRUE(log.Append({Batch(last + 1, 2)}).ok());
      }
      disk.Restart();
      LogOnDisk log(disk);
      absl::StatusOr<LogContents> contents = log.Open();
      ASSERT_TRUE(contents.ok()) << "seed " << seed << " at " << at << ": " << contents.status();
      ASSERT_EQ(LastRevision(*contents), last + 2);
    }
  }
  EXPECT_GT(cut, 0) << "some crashes leave a torn tail";
}

TEST(MetadataLog, DamageInTheMiddleIsRefused) {
  const std::string path = "metadata/log-00000000000000000001";
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    ASSERT_TRUE(log.Open().ok());
    for (int64_t i = 1; i <= 3; ++i) ASSERT_TRUE(log.Append({Batch(i, 1, 100)}).ok());
  }
  absl::StatusOr<FileInfo> info = disk.Stat(path);
  ASSERT_TRUE(info.ok());
  uint64_t last_entry = info->size - (info->size - kFileHeaderBytes) / 3;
  for (uint64_t position = 0; position < last_entry; position += 7) {
    ASSERT_TRUE(disk.FlipBit(path, position, 3));
    uint64_t hash = disk.StateHash();
    {
      LogOnDisk log(disk);
      EXPECT_EQ(ReasonOf(log.Open().status()), Reason::kCorruptLog) << "byte " << position;
    }
    EXPECT_EQ(disk.StateHash(), hash) << "nothing is written when it refuses";
    ASSERT_TRUE(disk.FlipBit(path, position, 3));
  }
}

TEST(MetadataLog, ADamagedSnapshotIsRefused) {
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    ASSERT_TRUE(log.Open().ok());
    ASSERT_TRUE(log.Append({Batch(1, 5)}).ok());
    ASSERT_TRUE(log.WriteSnapshot(MetadataRevision(5), {ConfigRecord(1)}).ok());
  }
  ASSERT_TRUE(disk.FlipRandomBit("metadata/snapshot").has_value());
  LogOnDisk log(disk);
  EXPECT_EQ(ReasonOf(log.Open().status()), Reason::kCorruptLog);
}

TEST(MetadataLog, AMissingSnapshotIsRefused) {
  sim::SimFileSystem disk(1);
  {
    LogOnDisk log(disk);
    ASSERT_TRUE(log.Open().ok());
    ASSERT_TRUE(log.Append({Batch(1, 5)}).ok());
    ASSERT_TRUE(log.WriteSnapshot(MetadataRevision(5), {ConfigRecord(1)}).ok());
    ASSERT_TRUE(log.Append({Batch(6, 1)}).ok());
  }
  ASSERT_TRUE(disk.Remove("metadata/snapshot").ok());
  LogOnDisk log(disk);
  EXPECT_EQ(ReasonOf(log.Open().status()), Reason::kCorruptLog);
}

TEST(MetadataLog, AFullDiskRefusesAndGoesOn) {
  sim::SimFileSystem disk(1);
  LogOnDisk log(disk);
  ASSERT_TRUE(log.Open().ok());
  ASSERT_TRUE(log.Append({Batch(1, 1)}).ok());
  disk.SetCapacity(disk.used_bytes());
  EXPECT_EQ(ReasonOf(log.Append({Batch(2, 10, 9'000)})), Reason::kStorageFull);
  EXPECT_EQ(ReasonOf(log.Append({Batch(2, 10, 9'000)})), Reason::kStorageFull);
  disk.SetCapacity(uint64_t{1} << 30);
  EXPECT_TRUE(log.Append({Batch(2, 3, 9'000)}).ok());
  disk.Restart();
  LogOnDisk again(disk);
  absl::StatusOr<LogContents> contents = again.Open();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(LastRevision(*contents), 4);
}

// The disk keeps a prefix of what didn't fit, whole entries of it too: refused is refused after a
// crash.
TEST(MetadataLog, WhatAFullDiskRefusedNeverComesBack) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    sim::SimFileSystem disk(seed);
    {
      LogOnDisk log(disk);
      ASSERT_TRUE(log.Open().ok());
      ASSERT_TRUE(log.Append({Batch(1, 1)}).ok());
      disk.SetCapacity(disk.used_bytes());
      ASSERT_EQ(ReasonOf(log.Append({Batch(2, 1), Batch(3, 4, 9'000)})), Reason::kStorageFull);
    }
    disk.Restart(seed % 2 == 0 ? sim::SimCrash::kProcessOnly : sim::SimCrash::kPowerLoss);
    LogOnDisk log(disk);
    absl::StatusOr<LogContents> contents = log.Open();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(LastRevision(*contents), 1) << "seed " << seed;
  }
}

TEST(MetadataLog, AFailedSyncLatches) {
  sim::SimFileSystem disk(1);
  LogOnDisk log(disk);
  ASSERT_TRUE(log.Open().ok());
  ASSERT_TRUE(log.Append({Batch(1, 1)}).ok());
  disk.FailNext(sim::SimDiskOperation::kSync);
  EXPECT_EQ(ReasonOf(log.Append({Batch(2, 1)})), Reason::kStorageFailed);
  // The disk works again, but nobody knows what the failed sync left: only opening anew tells.
  EXPECT_EQ(ReasonOf(log.Append({Batch(2, 1)})), Reason::kStorageFailed);
}

// After a failed sync the page cache shows bytes that the disk never got, and no sync writes them:
// what a restart of the process alone shows must be on disk nevertheless before it's acted on.
TEST(MetadataLog, WhatARestartShowsAfterAFailedSyncSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    sim::SimFileSystem disk(seed);
    {
      LogOnDisk log(disk);
      ASSERT_TRUE(log.Open().ok());
      ASSERT_TRUE(log.Append({Batch(1, 1)}).ok());
      disk.FailNext(sim::SimDiskOperation::kSync);
      ASSERT_FALSE(log.Append({Batch(2, 3, 3'000)}).ok());
    }
    int64_t shown = 0;
    {
      LogOnDisk log(disk);
      absl::StatusOr<LogContents> contents = log.Open();
      ASSERT_TRUE(contents.ok()) << contents.status();
      shown = LastRevision(*contents);
      EXPECT_GE(shown, 1);
    }
    disk.Restart();
    LogOnDisk log(disk);
    absl::StatusOr<LogContents> contents = log.Open();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(LastRevision(*contents), shown) << "seed " << seed;
  }
}

}  // namespace
}  // namespace catamaran::metadata
