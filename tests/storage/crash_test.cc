// Crashes at every mutating operation of a scripted workload, each with several choices of what the
// disk kept (invariants.md S1, X12, P10, P15).
#include <functional>

#include "gtest/gtest.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"
#include "tests/storage/log_model.h"

namespace catamaran::storage {
namespace {

using sim::SimCrash;
using sim::SimFileSystem;

constexpr uint64_t kSeedsPerPoint = 4;
constexpr uint64_t kSecondCrashesMax = 40;

LogConfig CrashConfig() {
  LogConfig config;
  config.segment_bytes = 3'000;
  config.index_interval_bytes = 500;
  config.retention_bytes = 6'000;
  return config;
}

// A workload that stops at the first failure, as a broker does whose machine goes down.
class Workload {
 public:
  Workload(SimFileSystem& disk, LogModel& model, LogConfig config = CrashConfig())
      : h_(disk, config), model_(model) {}
  LogHarness& harness() { return h_; }

  // False when it was cut short.
  bool Run() {
    if (!Open()) return false;
    if (!AppendSome(4) || !Sync() || !AppendSome(9) || !Sync()) return false;
    if (!Maintain() || !AppendSome(5)) return false;  // rolled, checkpointed
    if (!DeleteRecords(Offset(7)) || !Sync()) return false;
    if (!AppendJob(12) || !Sync()) return false;      // several segments in one job
    if (!AppendSome(6) || !Maintain()) return false;  // retention
    if (!AppendSome(3) || !Close() || !Open()) return false;
    if (!AppendSome(3) || !Sync() || !AppendSome(3)) return false;
    return Maintain() && AppendSome(2) && Close();
  }

  // After a recovery: the log must go on as if nothing had happened.
  bool GoOn() {
    return AppendSome(8) && Sync() && Maintain() && AppendSome(2) && Sync() && Close() && Open();
  }

  bool Open() { return h_.Open().ok(); }
  bool Close() {
    const bool ok = h_.Close().ok();
    // A close syncs everything.
    if (ok) model_.synced_end = model_.end;
    return ok;
  }
  bool Sync() {
    const Offset end = h_.log().end();
    if (!h_.Sync().ok()) return false;
    model_.synced_end = end;
    return true;
  }
  bool Maintain() {
    model_.log_start_attempted = h_.log().end();
    const bool ok = h_.Maintain().ok();
    model_.log_start = h_.log().log_start();
    if (ok) model_.log_start_attempted = model_.log_start;
    return ok;
  }
  bool DeleteRecords(Offset offset) {
    model_.log_start_attempted = std::max(offset, model_.log_start);
    const bool ok = h_.DeleteRecords(offset).ok();
    model_.log_start = h_.log().log_start();
    return ok;
  }
  bool AppendSome(int count) {
    for (int i = 0; i < count; ++i) {
      if (!AppendJob(1)) return false;
    }
    return true;
  }
  bool AppendJob(int batches) {
    std::vector<std::string> bytes;
    Offset next = h_.log().end();
    const LeaderEpoch epoch(static_cast<int32_t>(next.value() / 10));
    for (int i = 0; i < batches; ++i) {
      bytes.push_back(NextBatch(next));
      model_.Attempt(bytes.back(), next, epoch);
      next = model_.attempted_end;
    }
    absl::Status status;
    auto decisions = h_.AppendAll(std::move(bytes), &status, epoch);
    if (!status.ok()) return false;
    for (const auto& decision : decisions) {
      EXPECT_TRUE(decision.ok()) << decision.status();
      if (!decision.ok()) return false;
      EXPECT_FALSE(decision->duplicate);
    }
    model_.end = h_.log().end();
    return true;
  }

 private:
  // Two producers take turns, some batches have none, one is larger than a sector. What comes at an
  // offset depends on the log before it only, so that a workload goes on well after a recovery.
  std::string NextBatch(Offset at) {
    BatchSpec spec;
    spec.records = 1 + static_cast<int>(at.value() % 2);
    spec.value_bytes = at.value() % 7 == 3 ? 1'900 : 150 + static_cast<size_t>(at.value() % 100);
    spec.fill = static_cast<char>('a' + at.value() % 26);
    if (at.value() % 3 != 0) {
      spec.producer = ProducerId(at.value() % 3);
      spec.sequence = NextSequence(spec.producer);
    }
    return MakeBatch(spec);
  }
  Sequence NextSequence(ProducerId producer) const {
    Sequence next(0);
    for (const auto& [base, batch] : model_.batches) {
      if (batch.header.producer_id == producer) {
        next = AddSequence(batch.header.last_sequence(), 1);
      }
    }
    return next;
  }

  LogHarness h_;
  LogModel& model_;
};

// What the crashes led to, so that a disk that never tears anything is noticed.
struct Seen {
  int cut = 0;            // a torn tail was cut
  int kept_unsynced = 0;  // more survived than was promised
  int exact = 0;          // just what was promised
};

void CheckAndGoOn(SimFileSystem& disk, LogModel& model, Offset end_min, Seen* seen = nullptr) {
  Workload after(disk, model);
  const absl::Status opened = after.harness().Open();
  ASSERT_TRUE(opened.ok()) << opened;
  if (seen != nullptr) {
    const Offset end = after.harness().log().end();
    seen->cut += after.harness().log().stats().truncated_bytes > 0 ? 1 : 0;
    seen->kept_unsynced += end > end_min ? 1 : 0;
    seen->exact += end == end_min ? 1 : 0;
  }
  model.CheckRecovered(after.harness(), end_min);
  ASSERT_TRUE(after.GoOn());
  model.CheckContent(after.harness());
}

uint64_t OperationsOf(const std::function<void(SimFileSystem&)>& run) {
  SimFileSystem disk(1);
  run(disk);
  EXPECT_FALSE(disk.crashed());
  return disk.operation_count();
}

uint64_t WorkloadOperations() {
  return OperationsOf([](SimFileSystem& disk) {
    LogModel model;
    Workload workload(disk, model);
    EXPECT_TRUE(workload.Run());
  });
}

TEST(CrashTest, WorkloadCoversWhatItShould) {
  SimFileSystem disk(1);
  LogModel model;
  Workload workload(disk, model);
  ASSERT_TRUE(workload.Run());
  EXPECT_GT(model.log_start, Offset(7)) << "retention did nothing";
  EXPECT_GT(model.end, Offset(50));
  EXPECT_GT(WorkloadOperations(), 150u);
}

TEST(CrashTest, PowerLossAtEveryOperation) {
  const uint64_t operations = WorkloadOperations();
  Seen seen;
  for (uint64_t at = 1; at <= operations; ++at) {
    for (uint64_t seed = 1; seed <= kSeedsPerPoint; ++seed) {
      SCOPED_TRACE(testing::Message() << "operation " << at << ", seed " << seed);
      SimFileSystem disk(seed * 1'000'003 + at);
      LogModel model;
      {
        Workload workload(disk, model);
        disk.SetCrashAfter(at);
        ASSERT_FALSE(workload.Run());
      }
      disk.Restart(SimCrash::kPowerLoss);
      CheckAndGoOn(disk, model, model.synced_end, &seen);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(seen.cut, 0);
  EXPECT_GT(seen.kept_unsynced, 0);
  EXPECT_GT(seen.exact, 0);
}

TEST(CrashTest, ProcessDeathAtEveryOperation) {
  const uint64_t operations = WorkloadOperations();
  for (uint64_t at = 1; at <= operations; ++at) {
    SCOPED_TRACE(testing::Message() << "operation " << at);
    SimFileSystem disk(at);
    LogModel model;
    {
      Workload workload(disk, model);
      disk.SetCrashAfter(at);
      ASSERT_FALSE(workload.Run());
    }
    disk.Restart(SimCrash::kProcessOnly);
    // The page cache survived: so did all that was written.
    CheckAndGoOn(disk, model, model.end);
    if (HasFailure()) return;
  }
}

TEST(CrashTest, SecondCrashDuringRecovery) {
  const uint64_t operations = WorkloadOperations();
  for (uint64_t at = 1; at <= operations; at += 2) {
    for (uint64_t second = 1; second <= kSecondCrashesMax; ++second) {
      SCOPED_TRACE(testing::Message() << "operation " << at << ", then " << second);
      SimFileSystem disk(at * 7'919 + second);
      LogModel model;
      {
        Workload workload(disk, model);
        disk.SetCrashAfter(at);
        ASSERT_FALSE(workload.Run());
      }
      disk.Restart(second % 3 == 0 ? SimCrash::kProcessOnly : SimCrash::kPowerLoss);
      disk.SetCrashAfter(second);
      Workload recovering(disk, model);
      const bool done = recovering.Open();
      if (done) break;  // recovery has fewer operations than that
      ASSERT_TRUE(disk.crashed());
      disk.Restart(SimCrash::kPowerLoss);
      CheckAndGoOn(disk, model, model.synced_end);
      if (HasFailure()) return;
    }
  }
}

TEST(CrashTest, DeletionAtEveryOperation) {
  const auto fill = [](SimFileSystem& disk, LogModel& model) {
    Workload workload(disk, model);
    EXPECT_TRUE(workload.Open() && workload.AppendSome(20) && workload.Maintain() &&
                workload.AppendSome(3));
    return workload.harness().Delete().ok();
  };
  LogModel counted;
  SimFileSystem probe(1);
  ASSERT_TRUE(fill(probe, counted));
  const uint64_t operations = probe.operation_count();
  LogModel before_delete;
  SimFileSystem probe2(1);
  Workload workload2(probe2, before_delete);
  ASSERT_TRUE(workload2.Open() && workload2.AppendSome(20) && workload2.Maintain() &&
              workload2.AppendSome(3));
  for (uint64_t at = probe2.operation_count() + 1; at <= operations; ++at) {
    SCOPED_TRACE(testing::Message() << "operation " << at);
    SimFileSystem disk(at);
    LogModel model;
    disk.SetCrashAfter(at);
    ASSERT_FALSE(fill(disk, model));
    disk.Restart();
    // Whatever is left can be removed, and then a new log begins from nothing.
    ASSERT_TRUE(RemoveLogDirectory(disk, "topic-3").ok());
    LogModel fresh;
    Workload after(disk, fresh);
    ASSERT_TRUE(after.Open());
    EXPECT_EQ(after.harness().log().end(), Offset(0));
    ASSERT_TRUE(after.AppendSome(3));
    fresh.CheckContent(after.harness());
  }
}

// The same for truncation: old or new end, never in between or beyond.
TEST(CrashTest, TruncationAtEveryOperation) {
  LogConfig keep_all = CrashConfig();
  keep_all.retention_bytes = -1;
  const auto fill = [](SimFileSystem& disk, LogModel& model, Workload& workload) {
    EXPECT_TRUE(workload.Open() && workload.AppendSome(25) && workload.Sync() &&
                workload.Maintain());
    const uint64_t begun = disk.operation_count();
    model.synced_end = Offset(15);
    return std::make_pair(begun, workload.harness().Truncate(Offset(15)).ok());
  };
  SimFileSystem probe(1);
  LogModel counted;
  Workload counting(probe, counted, keep_all);
  const auto [begun, ok] = fill(probe, counted, counting);
  ASSERT_TRUE(ok);
  const uint64_t operations = probe.operation_count();
  for (uint64_t at = begun + 1; at <= operations; ++at) {
    for (uint64_t seed = 1; seed <= kSeedsPerPoint; ++seed) {
      SCOPED_TRACE(testing::Message() << "operation " << at << ", seed " << seed);
      SimFileSystem disk(at * 104'729 + seed);
      LogModel model;
      {
        Workload workload(disk, model, keep_all);
        disk.SetCrashAfter(at);
        ASSERT_FALSE(fill(disk, model, workload).second);
      }
      disk.Restart();
      CheckAndGoOn(disk, model, Offset(14));
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace catamaran::storage
