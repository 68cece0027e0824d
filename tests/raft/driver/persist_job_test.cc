// A batch of the core as calls of the store, cut off at every call: what is left is a store that a
// core can start from, and the batch's promises hold when it's done.
#include "raft/driver/persist_job.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "raft/core/raft.h"
#include "tests/raft/store/sim_store.h"
#include "tests/raft/store/store_fixture.h"

namespace catamaran::raft {
namespace {

Membership OneVoter() {
  Membership membership;
  membership.voters = {{TestReplica(1), {}}};
  return membership;
}

SnapshotMeta Snapshot(int64_t term, int64_t index, std::string_view data) {
  return {{Term(term), LogIndex(index)}, OneVoter(), data.size(), Crc32c(data)};
}

// Term 3, entries 1 to 8, of which 1 to 4 are of term 1 and the others of term 2.
void Prepare(LogStore* store) {
  LogWrite write;
  write.hard_state = HardState{Term(3), std::nullopt};
  for (int64_t i = 1; i <= 8; ++i) write.entries.push_back(MakeEntry(i <= 4 ? 1 : 2, i, "old"));
  ASSERT_TRUE(store->Write(write).ok());
}

void StoreData(LogStore* store, const SnapshotMeta& meta, std::string_view data) {
  ASSERT_TRUE(store->BeginSnapshot(meta).ok());
  ASSERT_TRUE(store->AppendSnapshot(meta.last, 0, data).ok());
}

// What the core makes of it.
absl::Status StartCore(LogStore* store) {
  const OpenedStore& found = store->opened();
  Recovered recovered;
  recovered.hard_state = found.hard_state;
  if (found.snapshot) recovered.snapshot = *found.snapshot;
  if (!found.log.empty()) {
    auto entries =
        store->ReadEntries(found.log.first_index(), found.log.last().index + 1, size_t{1} << 20);
    CATAMARAN_RETURN_IF_ERROR(entries.status());
    recovered.entries = *std::move(entries);
  }
  Config config;
  config.self = TestReplica(1);
  return Raft::Create(config, std::move(recovered), Random(1), MonotonicTime()).status();
}

PersistBatch InstallOverConflict() {
  // The log has another entry at 6 than the leader that sent the snapshot: all of it goes.
  PersistBatch batch;
  batch.hard_state = HardState{Term(4), std::nullopt};
  batch.snapshot = Snapshot(3, 6, "data");
  batch.truncate_from = LogIndex(1);
  batch.compact_through = LogIndex(6);
  batch.entries = {MakeEntry(4, 7, "new")};
  return batch;
}

PersistBatch InstallKeepingNothingThatWasTruncated() {
  // It has the entry at 6, but what follows was truncated in memory before.
  PersistBatch batch;
  batch.snapshot = Snapshot(2, 6, "data");
  batch.truncate_from = LogIndex(1);
  batch.compact_through = LogIndex(6);
  batch.entries = {MakeEntry(3, 7, "new")};
  return batch;
}

PersistBatch TakeOwn() {
  PersistBatch batch;
  batch.hard_state = HardState{Term(3), TestReplica(2)};
  batch.snapshot = Snapshot(1, 4, "data");
  batch.compact_through = LogIndex(2);
  batch.truncate_from = LogIndex(8);
  batch.entries = {MakeEntry(3, 8, "new"), MakeEntry(3, 9, "new")};
  return batch;
}

LogShape Expected(LogPosition base, const std::vector<LogPosition>& entries) {
  LogShape shape(base);
  for (const LogPosition& entry : entries) shape.Append(entry);
  return shape;
}
LogPosition At(int64_t term, int64_t index) { return {Term(term), LogIndex(index)}; }

struct Case {
  const char* name;
  PersistBatch (*batch)();
  LogShape log;  // when it's done
};

std::vector<Case> Cases() {
  return {
      {"conflict", InstallOverConflict, Expected(At(3, 6), {At(4, 7)})},
      {"truncated", InstallKeepingNothingThatWasTruncated, Expected(At(2, 6), {At(3, 7)})},
      {"own", TakeOwn,
       Expected(At(1, 2), {At(1, 3), At(1, 4), At(2, 5), At(2, 6), At(2, 7), At(3, 8), At(3, 9)})}};
}

TEST(PersistJob, DoneMeansAllOfIt) {
  for (const Case& test : Cases()) {
    SimStoreDisk disk(1);
    auto store = *disk.Open(TestIdentity(), true);
    Prepare(store.get());
    StoreData(store.get(), *test.batch().snapshot, "data");
    PersistJob job(test.batch());
    ASSERT_TRUE(job.Run(*store).ok()) << test.name;
    store.reset();
    store = *disk.Open(TestIdentity(), false);
    EXPECT_EQ(store->opened().log, test.log) << test.name;
    EXPECT_EQ(store->opened().snapshot, test.batch().snapshot) << test.name;
    EXPECT_TRUE(StartCore(store.get()).ok()) << test.name;
  }
}

TEST(PersistJob, CutOffAnywhereItLeavesAStoreThatStarts) {
  for (const Case& test : Cases()) {
    int cuts = 0;
    for (uint64_t seed = 0; seed < 8; ++seed) {  // whether the write that is cut happened
      for (uint64_t write = 1; write <= 8; ++write) {
        SimStoreDisk disk(seed);
        auto store = *disk.Open(TestIdentity(), true);
        Prepare(store.get());
        StoreData(store.get(), *test.batch().snapshot, "data");
        disk.SetCrashAfter(write);
        PersistJob job(test.batch());
        const bool cut = !job.Run(*store).ok();
        cuts += cut ? 1 : 0;
        store.reset();
        disk.Restart();
        auto again = disk.Open(TestIdentity(), false);
        ASSERT_TRUE(again.ok()) << test.name << " " << again.status();
        const absl::Status started = StartCore(again->get());
        EXPECT_TRUE(started.ok()) << test.name << " after write " << write << ": " << started;
        const OpenedStore& found = (*again)->opened();
        EXPECT_GE(found.hard_state.term, Term(3));
        // What was durable and isn't truncated by the batch is there, as entries or as snapshot.
        const LogIndex covered = found.snapshot ? found.snapshot->last.index : kNoIndex;
        EXPECT_GE(std::max(found.log.last().index, covered), LogIndex(6)) << test.name;
      }
    }
    EXPECT_GE(cuts, 8 * 3) << "each of several calls was cut";
  }
}

TEST(PersistJob, GoesOnWhereTheDiskWasFull) {
  for (const Case& test : Cases()) {
    SimStoreDisk disk(1);
    auto store = *disk.Open(TestIdentity(), true);
    Prepare(store.get());
    StoreData(store.get(), *test.batch().snapshot, "data");
    PersistJob job(test.batch());
    disk.SetFull(true);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ReasonOf(job.Run(*store)), Reason::kStorageFull);
    }
    disk.SetFull(false);
    ASSERT_TRUE(job.Run(*store).ok());
    store.reset();
    store = *disk.Open(TestIdentity(), false);
    EXPECT_EQ(store->opened().log, test.log) << test.name;
  }
}

TEST(PersistJob, MoreThanOneWriteTakesArriveAsSeveral) {
  SimStoreDisk disk(1);
  auto store = *disk.Open(TestIdentity(), true);
  PersistBatch batch;
  batch.hard_state = HardState{Term(1), std::nullopt};
  const std::string payload(kEntryPayloadBytesMax, 'x');
  for (int64_t i = 1; i <= 40; ++i) batch.entries.push_back(MakeEntry(1, i, payload));
  PersistJob job(std::move(batch));
  const uint64_t before = store->stats().writes;
  ASSERT_TRUE(job.Run(*store).ok());
  EXPECT_GT(store->stats().writes - before, 2u);
  auto last = store->ReadEntries(LogIndex(40), LogIndex(41), 1);
  ASSERT_TRUE(last.ok());
  EXPECT_EQ((*last)[0].payload.view(), payload);
}

}  // namespace
}  // namespace catamaran::raft
