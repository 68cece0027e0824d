// What every LogStore promises, run against RocksDB on the machine's disk, RocksDB on the simulated
// one, and the simulated twin.
#include <functional>

#include "base/crc32c.h"
#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"

namespace catamaran::raft {
namespace {

using ::testing::ElementsAre;

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<StoreFixture>()> make;
};

class LogStoreContractTest : public ::testing::TestWithParam<Implementation> {
 protected:
  absl::Status TryOpen(const StoreIdentity& identity, bool create) {
    store_.reset();
    auto opened = fixture_->Open(identity, create);
    if (opened.ok()) store_ = *std::move(opened);
    fixture_->Settle();
    return opened.status();
  }
  void Create() {
    const absl::Status opened = TryOpen(TestIdentity(), true);
    ASSERT_TRUE(opened.ok()) << opened;
  }
  void Reopen() {
    const absl::Status opened = TryOpen(TestIdentity(), false);
    ASSERT_TRUE(opened.ok()) << opened;
  }
  LogStore& store() { return *store_; }
  const OpenedStore& opened() { return store_->opened(); }

  void Vote(int64_t term, std::optional<ReplicaId> vote = std::nullopt) {
    LogWrite write;
    write.hard_state = HardState{Term(term), vote};
    EXPECT_TRUE(Settled(store().Write(write)).ok());
  }
  absl::Status Append(std::vector<Entry> entries, std::optional<int64_t> truncate = std::nullopt) {
    LogWrite write;
    if (truncate.has_value()) write.truncate_from = LogIndex(*truncate);
    write.entries = std::move(entries);
    return Settled(store().Write(write));
  }
  absl::Status Settled(absl::Status status) {
    fixture_->Settle();
    return status;
  }
  // "term:index payload" of each.
  std::vector<std::string> Read(int64_t first, int64_t end, size_t bytes_max = 1 << 20) {
    auto entries = store().ReadEntries(LogIndex(first), LogIndex(end), bytes_max);
    if (!entries.ok()) return {entries.status().ToString()};
    std::vector<std::string> texts;
    for (const Entry& entry : *entries) {
      texts.push_back(std::to_string(entry.term.value()) + ":" +
                      std::to_string(entry.index.value()) + " " +
                      std::string(entry.payload.view()));
    }
    return texts;
  }
  static SnapshotMeta MetaOf(LogPosition last, std::string_view bytes) {
    SnapshotMeta meta;
    meta.last = last;
    meta.membership.voters = {{TestReplica(1), {"a:1", "b:2"}}, {TestReplica(2), {}}};
    meta.membership.learners = {{TestReplica(3), {"c:3"}}};
    meta.bytes = bytes.size();
    meta.crc32c = Crc32c(bytes);
    return meta;
  }
  // In chunks of 1,000 bytes; stops before `until`.
  void SendSnapshot(const SnapshotMeta& meta, std::string_view bytes,
                    size_t until = std::string::npos) {
    const auto begun = store().BeginSnapshot(meta);
    ASSERT_TRUE(begun.ok()) << begun.status();
    for (uint64_t at = *begun; at < std::min(bytes.size(), until); at += 1'000) {
      const absl::Status sent = store().AppendSnapshot(meta.last, at, bytes.substr(at, 1'000));
      ASSERT_TRUE(Settled(sent).ok()) << sent;
    }
  }
  std::string ReadSnapshot(LogPosition last, size_t bytes_max) {
    std::string all;
    while (true) {
      const auto part = store().ReadSnapshot(last, all.size(), bytes_max);
      if (!part.ok()) return part.status().ToString();
      if (part->empty()) return all;
      all += part->view();
    }
  }
  static std::string Bytes(size_t count) {
    std::string bytes;
    Random random(count);
    while (bytes.size() < count) bytes.push_back(static_cast<char>(random.Next()));
    return bytes;
  }

  std::unique_ptr<StoreFixture> fixture_ = GetParam().make();
  std::unique_ptr<LogStore> store_;
};

TEST_P(LogStoreContractTest, ANewStoreIsEmpty) {
  Create();
  EXPECT_TRUE(opened().created);
  EXPECT_EQ(opened().identity, TestIdentity());
  EXPECT_EQ(opened().start_counter, 1u);
  EXPECT_EQ(opened().hard_state, HardState());
  EXPECT_EQ(opened().log, LogShape());
  EXPECT_FALSE(opened().snapshot.has_value());
  EXPECT_FALSE(opened().unfinished_snapshot.has_value());
  EXPECT_THAT(Read(1, 1), ElementsAre());
}

TEST_P(LogStoreContractTest, AMissingStoreIsOnlyMadeWhenAsked) {
  const std::string before = fixture_->Fingerprint();
  EXPECT_EQ(ReasonOf(TryOpen(TestIdentity(), false)), Reason::kCorruptLog);
  EXPECT_EQ(fixture_->Fingerprint(), before);
}

TEST_P(LogStoreContractTest, TheStartCounterRisesAtEachOpen) {
  Create();
  for (uint64_t start = 2; start < 6; ++start) {
    Reopen();
    EXPECT_EQ(opened().start_counter, start);
    EXPECT_FALSE(opened().created);
  }
}

TEST_P(LogStoreContractTest, KeepsWhatWasWritten) {
  Create();
  Vote(3, TestReplica(2));
  ASSERT_TRUE(Append({MakeEntry(2, 1, "a"), MakeEntry(2, 2, ""), MakeEntry(3, 3, "c")}).ok());
  EXPECT_THAT(Read(1, 4), ElementsAre("2:1 a", "2:2 ", "3:3 c"));
  Reopen();
  EXPECT_EQ(opened().hard_state, (HardState{Term(3), TestReplica(2)}));
  EXPECT_EQ(opened().log.base(), LogPosition());
  EXPECT_EQ(opened().log.last(), (LogPosition{Term(3), LogIndex(3)}));
  EXPECT_EQ(opened().log.TermAt(LogIndex(2)), Term(2));
  EXPECT_THAT(Read(1, 4), ElementsAre("2:1 a", "2:2 ", "3:3 c"));
}

TEST_P(LogStoreContractTest, OneWriteIsHardStateTruncationAndEntries) {
  Create();
  Vote(1);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(1, 2, "b"), MakeEntry(1, 3, "c")}).ok());
  const uint64_t writes = store().stats().writes;
  LogWrite write;
  write.hard_state = HardState{Term(4), TestReplica(3)};
  write.truncate_from = LogIndex(2);
  write.entries = {MakeEntry(4, 2, "B")};
  ASSERT_TRUE(Settled(store().Write(write)).ok());
  EXPECT_EQ(store().stats().writes, writes + 1);
  EXPECT_THAT(Read(1, 3), ElementsAre("1:1 a", "4:2 B"));
  Reopen();
  EXPECT_EQ(opened().log.last(), (LogPosition{Term(4), LogIndex(2)}));
  EXPECT_EQ(opened().hard_state.term, Term(4));
  EXPECT_THAT(Read(1, 3), ElementsAre("1:1 a", "4:2 B"));
}

TEST_P(LogStoreContractTest, TruncationAloneShortensTheLog) {
  Create();
  Vote(2);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(1, 2, "b"), MakeEntry(2, 3, "c")}).ok());
  ASSERT_TRUE(Append({}, 2).ok());
  ASSERT_TRUE(Append({}, 7).ok());  // past the end
  Reopen();
  EXPECT_EQ(opened().log.last(), (LogPosition{Term(1), LogIndex(1)}));
  ASSERT_TRUE(Append({}, 1).ok());
  Reopen();
  EXPECT_TRUE(opened().log.empty());
  ASSERT_TRUE(Append({MakeEntry(2, 1, "z")}).ok());
  EXPECT_THAT(Read(1, 2), ElementsAre("2:1 z"));
}

TEST_P(LogStoreContractTest, AnEmptyWriteWritesNothing) {
  Create();
  const std::string before = fixture_->Fingerprint();
  EXPECT_TRUE(store().Write(LogWrite()).ok());
  EXPECT_EQ(fixture_->Fingerprint(), before);
}

TEST_P(LogStoreContractTest, ReadsAtLeastOneEntryAndNoMoreThanAsked) {
  Create();
  Vote(1);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "aaaa"), MakeEntry(1, 2, "bbbb"), MakeEntry(1, 3, "c"),
                      MakeEntry(1, 4, "d")})
                  .ok());
  EXPECT_THAT(Read(1, 5, 8), ElementsAre("1:1 aaaa", "1:2 bbbb"));
  EXPECT_THAT(Read(1, 5, 9), ElementsAre("1:1 aaaa", "1:2 bbbb", "1:3 c"));
  EXPECT_THAT(Read(1, 5, 0), ElementsAre("1:1 aaaa"));
  EXPECT_THAT(Read(2, 4), ElementsAre("1:2 bbbb", "1:3 c"));
  EXPECT_EQ(ReasonOf(store().ReadEntries(LogIndex(0), LogIndex(2), 9).status()),
            Reason::kOffsetOutOfRange);
  EXPECT_EQ(ReasonOf(store().ReadEntries(LogIndex(4), LogIndex(6), 9).status()),
            Reason::kOffsetOutOfRange);
}

TEST_P(LogStoreContractTest, FindsTheMembershipsOfTheLog) {
  Create();
  Vote(1);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "x", EntryKind::kNoOp),
                      MakeEntry(1, 2, "first", EntryKind::kMembership), MakeEntry(1, 3, "y"),
                      MakeEntry(1, 4, "second", EntryKind::kMembership)})
                  .ok());
  Reopen();
  ASSERT_EQ(opened().memberships.size(), 2u);
  EXPECT_EQ(opened().memberships[0].index, LogIndex(2));
  EXPECT_EQ(opened().memberships[1].payload.view(), "second");
  ASSERT_TRUE(Append({}, 3).ok());
  Reopen();
  ASSERT_EQ(opened().memberships.size(), 1u);
}

TEST_P(LogStoreContractTest, AnothersStoreIsRefusedAndLeftAlone) {
  Create();
  Vote(1);
  store_.reset();
  const std::string before = fixture_->Fingerprint();
  StoreIdentity other_node = TestIdentity();
  other_node.replica.node = BrokerId(9);
  StoreIdentity other_directory = TestIdentity();
  other_directory.replica.directory = TestReplica(9).directory;
  StoreIdentity other_cluster = TestIdentity();
  other_cluster.cluster = TestCluster(9);
  for (const StoreIdentity& other : {other_node, other_directory, other_cluster}) {
    for (const bool create : {false, true}) {
      const absl::Status refused = TryOpen(other, create);
      EXPECT_EQ(ReasonOf(refused), Reason::kDirectoryMismatch) << refused;
    }
  }
  EXPECT_EQ(fixture_->Fingerprint(), before);
  StoreIdentity any_cluster = TestIdentity();
  any_cluster.cluster = ClusterId();
  ASSERT_TRUE(TryOpen(any_cluster, false).ok());
  EXPECT_EQ(opened().identity, TestIdentity());
  EXPECT_EQ(opened().start_counter, 2u) << "refusals count no start";
}

TEST_P(LogStoreContractTest, JoinsAClusterOnce) {
  StoreIdentity none = TestIdentity();
  none.cluster = ClusterId();
  ASSERT_TRUE(TryOpen(none, true).ok());
  ASSERT_TRUE(Settled(store().AdoptCluster(TestCluster(5))).ok());
  ASSERT_TRUE(store().AdoptCluster(TestCluster(5)).ok());
  EXPECT_EQ(ReasonOf(store().AdoptCluster(TestCluster(6))), Reason::kDirectoryMismatch);
  ASSERT_TRUE(TryOpen(none, false).ok());
  EXPECT_EQ(opened().identity.cluster, TestCluster(5));
  EXPECT_EQ(ReasonOf(TryOpen(TestIdentity(), false)), Reason::kDirectoryMismatch);
}

TEST_P(LogStoreContractTest, IsOpenOnce) {
  Create();
  auto second = fixture_->Open(TestIdentity(), false);
  EXPECT_EQ(ReasonOf(second.status()), Reason::kDirectoryInUse) << second.status();
  Vote(1);
}

TEST_P(LogStoreContractTest, RefusesAPeerThatGoesBack) {
  Create();
  ASSERT_TRUE(store().ObservePeer(TestReplica(2), 7).ok());
  ASSERT_TRUE(store().ObservePeer(TestReplica(2), 7).ok());
  EXPECT_EQ(ReasonOf(store().ObservePeer(TestReplica(2), 6)), Reason::kDirectoryMismatch);
  ReplicaId reset = TestReplica(2);
  reset.directory = TestReplica(8).directory;
  ASSERT_TRUE(store().ObservePeer(reset, 1).ok());
  ASSERT_TRUE(store().ObservePeer(TestReplica(3), 1).ok());
  Reopen();
  EXPECT_EQ(opened().peer_start_counters,
            (std::map<ReplicaId, uint64_t>{{TestReplica(2), 7}, {reset, 1}, {TestReplica(3), 1}}));
  EXPECT_EQ(ReasonOf(store().ObservePeer(TestReplica(2), 6)), Reason::kDirectoryMismatch);
  ASSERT_TRUE(store().ObservePeer(TestReplica(2), 9).ok());
  ASSERT_TRUE(store().ForgetPeer(TestReplica(3)).ok());
  ASSERT_TRUE(store().ForgetPeer(TestReplica(4)).ok());
  Reopen();
  EXPECT_EQ(opened().peer_start_counters,
            (std::map<ReplicaId, uint64_t>{{TestReplica(2), 9}, {reset, 1}}));
}

TEST_P(LogStoreContractTest, ASnapshotOfTheLogKeepsTheLog) {
  Create();
  Vote(1);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(1, 2, "b"), MakeEntry(1, 3, "c")}).ok());
  const std::string bytes = Bytes(4'321);
  const SnapshotMeta meta = MetaOf({Term(1), LogIndex(2)}, bytes);
  SendSnapshot(meta, bytes);
  const auto log = store().FinishSnapshot(meta.last);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(log->base(), LogPosition());
  EXPECT_EQ(log->last().index, LogIndex(3));
  ASSERT_TRUE(Settled(store().CompactLog(LogIndex(1))).ok());
  EXPECT_THAT(Read(2, 4), ElementsAre("1:2 b", "1:3 c"));
  EXPECT_EQ(ReasonOf(store().ReadEntries(LogIndex(1), LogIndex(3), 9).status()),
            Reason::kOffsetOutOfRange);
  Reopen();
  EXPECT_EQ(opened().snapshot, meta);
  EXPECT_EQ(opened().log.base(), (LogPosition{Term(1), LogIndex(1)}));
  EXPECT_EQ(ReadSnapshot(meta.last, 700), bytes);
  EXPECT_EQ(ReadSnapshot(meta.last, 1 << 20), bytes);
  ASSERT_TRUE(store().CompactLog(LogIndex(1)).ok()) << "again changes nothing";
  ASSERT_TRUE(Settled(store().CompactLog(LogIndex(2))).ok());
  Reopen();
  EXPECT_EQ(opened().log.base(), (LogPosition{Term(1), LogIndex(2)}));
  EXPECT_THAT(Read(3, 4), ElementsAre("1:3 c"));
  ASSERT_TRUE(Append({MakeEntry(1, 4, "d")}).ok());
}

TEST_P(LogStoreContractTest, ASnapshotThatTheLogDoesNotReachEmptiesIt) {
  Create();
  Vote(5);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(2, 2, "b")}).ok());
  const std::string bytes = Bytes(2'000);
  const SnapshotMeta meta = MetaOf({Term(4), LogIndex(9)}, bytes);
  SendSnapshot(meta, bytes);
  const auto log = store().FinishSnapshot(meta.last);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(*log, LogShape(meta.last));
  Reopen();
  EXPECT_EQ(opened().log, LogShape(meta.last));
  EXPECT_EQ(opened().snapshot, meta);
  ASSERT_TRUE(Append({MakeEntry(5, 10, "j")}).ok());
  Reopen();
  EXPECT_THAT(Read(10, 11), ElementsAre("5:10 j"));
}

TEST_P(LogStoreContractTest, ASnapshotOfAnotherTermEmptiesTheLog) {
  Create();
  Vote(5);
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(2, 2, "b"), MakeEntry(2, 3, "c")}).ok());
  const SnapshotMeta meta = MetaOf({Term(3), LogIndex(2)}, "");
  SendSnapshot(meta, "");
  const auto log = store().FinishSnapshot(meta.last);
  ASSERT_TRUE(log.ok()) << log.status();
  EXPECT_EQ(*log, LogShape(meta.last));
  Reopen();
  EXPECT_EQ(opened().log, LogShape(meta.last));
}

TEST_P(LogStoreContractTest, AnUnfinishedSnapshotGoesOnWhereItStood) {
  Create();
  Vote(1);
  const std::string bytes = Bytes(5'000);
  const SnapshotMeta meta = MetaOf({Term(1), LogIndex(4)}, bytes);
  SendSnapshot(meta, bytes, 2'500);
  Reopen();
  EXPECT_EQ(opened().unfinished_snapshot, meta);
  EXPECT_EQ(opened().unfinished_bytes, 3'000u);
  EXPECT_FALSE(opened().snapshot.has_value());
  EXPECT_EQ(store().BeginSnapshot(meta).value(), 3'000u);
  const absl::Status wrong = store().AppendSnapshot(meta.last, 2'000, "x");
  EXPECT_EQ(ReasonOf(wrong), Reason::kOffsetOutOfRange);
  EXPECT_EQ(ReasonOf(store().AppendSnapshot(meta.last, 3'000, std::string(2'001, 'x'))),
            Reason::kOffsetOutOfRange);
  SendSnapshot(meta, bytes);
  ASSERT_TRUE(store().FinishSnapshot(meta.last).ok());
  EXPECT_EQ(ReadSnapshot(meta.last, 4'096), bytes);
}

TEST_P(LogStoreContractTest, AnotherSnapshotTakesTheUnfinishedOnesPlace) {
  Create();
  Vote(2);
  const std::string bytes = Bytes(3'000);
  const SnapshotMeta first = MetaOf({Term(1), LogIndex(4)}, bytes);
  const SnapshotMeta second = MetaOf({Term(1), LogIndex(6)}, bytes);
  SendSnapshot(first, bytes, 1'500);
  SendSnapshot(second, bytes);
  EXPECT_EQ(ReasonOf(store().AppendSnapshot(first.last, 2'000, "x")), Reason::kVersionMismatch);
  EXPECT_EQ(ReasonOf(store().FinishSnapshot(first.last).status()), Reason::kVersionMismatch);
  ASSERT_TRUE(store().FinishSnapshot(second.last).ok());
  const absl::Status older = store().BeginSnapshot(first).status();
  EXPECT_EQ(ReasonOf(older), Reason::kVersionMismatch);
  const SnapshotMeta third = MetaOf({Term(2), LogIndex(8)}, "third");
  SendSnapshot(third, "third");
  EXPECT_EQ(ReadSnapshot(second.last, 100), bytes) << "current until the next is finished";
  ASSERT_TRUE(store().FinishSnapshot(third.last).ok());
  EXPECT_EQ(ReasonOf(store().ReadSnapshot(second.last, 0, 100).status()), Reason::kVersionMismatch);
  Reopen();
  EXPECT_EQ(ReadSnapshot(third.last, 100), "third");
}

TEST_P(LogStoreContractTest, ASnapshotWithOtherBytesIsDropped) {
  Create();
  Vote(1);
  const SnapshotMeta meta = MetaOf({Term(1), LogIndex(4)}, "right");
  ASSERT_TRUE(store().BeginSnapshot(meta).ok());
  EXPECT_EQ(ReasonOf(store().FinishSnapshot(meta.last).status()), Reason::kCorruptBatch);
  SendSnapshot(meta, "wrong");
  EXPECT_EQ(ReasonOf(store().FinishSnapshot(meta.last).status()), Reason::kCorruptBatch);
  EXPECT_EQ(ReasonOf(store().FinishSnapshot(meta.last).status()), Reason::kVersionMismatch);
  EXPECT_EQ(store().BeginSnapshot(meta).value(), 0u);
  SendSnapshot(meta, "right");
  EXPECT_TRUE(store().FinishSnapshot(meta.last).ok());
  Reopen();
  EXPECT_EQ(opened().snapshot, meta);
}

TEST_P(LogStoreContractTest, TakesTheLargestEntryAndChunk) {
  Create();
  Vote(1);
  const std::string payload = Bytes(kEntryPayloadBytesMax);
  ASSERT_TRUE(Append({MakeEntry(1, 1, payload), MakeEntry(1, 2, "b")}).ok());
  const std::string bytes = Bytes(kSnapshotChunkBytesMax);
  const SnapshotMeta meta = MetaOf({Term(1), LogIndex(1)}, bytes);
  ASSERT_TRUE(store().BeginSnapshot(meta).ok());
  ASSERT_TRUE(Settled(store().AppendSnapshot(meta.last, 0, bytes)).ok());
  ASSERT_TRUE(store().FinishSnapshot(meta.last).ok());
  Reopen();
  auto entries = store().ReadEntries(LogIndex(1), LogIndex(3), 1);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ((*entries)[0].payload.view(), payload);
  EXPECT_EQ(ReadSnapshot(meta.last, 1 << 30), bytes);
}

using LogStoreContractDeathTest = LogStoreContractTest;

TEST_P(LogStoreContractDeathTest, BrokenCallsStopTheProcess) {
  GTEST_FLAG_SET(death_test_style, "fast");
  Create();
  Vote(2, TestReplica(1));
  ASSERT_TRUE(Append({MakeEntry(1, 1, "a"), MakeEntry(2, 2, "b")}).ok());
  EXPECT_DEATH(Append({MakeEntry(2, 4, "gap")}).IgnoreError(), "contiguous");
  EXPECT_DEATH(Append({MakeEntry(1, 3, "falls")}).IgnoreError(), "fall");
  EXPECT_DEATH(Append({MakeEntry(3, 3, "ahead")}).IgnoreError(), "current one");
  EXPECT_DEATH(Vote(1), "the term doesn't fall");
  EXPECT_DEATH(Vote(2, TestReplica(2)), "a vote isn't changed");
  EXPECT_DEATH(Append({}, 0).IgnoreError(), "compacted");
  EXPECT_DEATH(store().CompactLog(LogIndex(1)).IgnoreError(), "snapshot covers");
}

INSTANTIATE_TEST_SUITE_P(
    Each, LogStoreContractTest,
    ::testing::Values(Implementation{"Rocks", [] { return std::make_unique<RocksFixture>(); }},
                      Implementation{"RocksOnSimulatedDisk",
                                     [] { return std::make_unique<RocksSimFixture>(); }},
                      Implementation{"Simulated", [] { return std::make_unique<SimFixture>(); }}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(Each, LogStoreContractDeathTest,
                         ::testing::Values(Implementation{
                             "Simulated", [] { return std::make_unique<SimFixture>(); }}),
                         [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace catamaran::raft
