// Every persisted key and value: round trips, the examples of docs/formats.md, refusals.
#include "raft/store/records.h"

#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"

namespace catamaran::raft {
namespace {

// The fenced block of docs/formats.md that begins with "```hex <name>".
std::string Example(const std::string& name) {
  std::ifstream file("docs/formats.md");
  EXPECT_TRUE(file.good()) << "run from the project's root";
  std::string bytes;
  bool inside = false;
  bool found = false;
  for (std::string line; std::getline(file, line);) {
    if (inside && line == "```") break;
    if (inside) {
      std::istringstream words(line.substr(0, line.find('#')));
      for (std::string word; words >> word;) {
        bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
      }
    }
    if (line == "```hex " + name) inside = found = true;
  }
  EXPECT_TRUE(found) << "docs/formats.md has no example " << name;
  return bytes;
}

ReplicaId ExampleReplica() {
  return {BrokerId(4), DirectoryId{*Uuid::FromString("ffeeddcc-bbaa-4998-8776-655443322110")}};
}

StoredSnapshot ExampleSnapshot() {
  StoredSnapshot snapshot;
  snapshot.number = 3;
  snapshot.meta.last = {Term(7), LogIndex(1000)};
  snapshot.meta.bytes = 4'096;
  snapshot.meta.crc32c = 0xe3069283;
  snapshot.meta.membership.voters = {{ExampleReplica(), {"host:7402"}}};
  return snapshot;
}

// A key of the table, its example, and how it's read back.
struct Row {
  std::string name;
  std::string key;
  std::string value;
  std::function<bool(std::string_view value)> reads_back;
};

std::vector<Row> Table() {
  const StoredIdentity identity{
      1, {ClusterId{*Uuid::FromString("00112233-4455-4677-8899-aabbccddeeff")}, ExampleReplica()}};
  const HardState voted{Term(7), ExampleReplica()};
  const LogPosition position{Term(7), LogIndex(1000)};
  const UnfinishedSnapshot unfinished{ExampleSnapshot(), 1'000, 0x11223344};
  const Entry entry = MakeEntry(7, 1000, "car-7");
  const ChunkPlace place{3, 1'000};
  const auto is_position = [=](StoreKey key) {
    return [=](std::string_view v) { return UnsealLogPosition(key, v).value() == position; };
  };
  return {
      {"identity", MetaKey(StoreKey::kIdentity), SealIdentity(identity),
       [=](std::string_view v) { return UnsealIdentity(v)->identity == identity.identity; }},
      {"start-counter", MetaKey(StoreKey::kStartCounter), SealStartCounter(8),
       [](std::string_view v) { return UnsealStartCounter(v).value() == 8; }},
      {"hard-state", MetaKey(StoreKey::kHardState), SealHardState(voted),
       [=](std::string_view v) { return UnsealHardState(v).value() == voted; }},
      {"log-base", MetaKey(StoreKey::kLogBase), SealLogPosition(StoreKey::kLogBase, position),
       is_position(StoreKey::kLogBase)},
      {"log-end", MetaKey(StoreKey::kLogEnd), SealLogPosition(StoreKey::kLogEnd, position),
       is_position(StoreKey::kLogEnd)},
      {"snapshot", MetaKey(StoreKey::kSnapshot), SealSnapshot(ExampleSnapshot()),
       [](std::string_view v) { return UnsealSnapshot(v).value() == ExampleSnapshot(); }},
      {"unfinished-snapshot", MetaKey(StoreKey::kUnfinishedSnapshot),
       SealUnfinishedSnapshot(unfinished),
       [=](std::string_view v) { return UnsealUnfinishedSnapshot(v).value() == unfinished; }},
      {"peer", PeerKey(ExampleReplica()), SealPeerCounter(ExampleReplica(), 12),
       [](std::string_view v) { return UnsealPeerCounter(ExampleReplica(), v).value() == 12; }},
      {"entry", EntryKey(entry.index), SealEntry(entry),
       [=](std::string_view v) {
         const Entry read = UnsealEntry(LogIndex(1000), v).value();
         return read.term == Term(7) && read.kind == EntryKind::kCommand &&
                read.payload.view() == "car-7";
       }},
      {"chunk", ChunkKey(place.snapshot, place.position), SealChunk(place, "bytes"),
       [=](std::string_view v) { return UnsealChunk(place, v).value() == "bytes"; }},
  };
}

absl::Status Read(std::string_view key, std::string_view value) {
  switch (KindOfKey(key).value()) {
    case StoreKey::kIdentity:
      return UnsealIdentity(value).status();
    case StoreKey::kStartCounter:
      return UnsealStartCounter(value).status();
    case StoreKey::kHardState:
      return UnsealHardState(value).status();
    case StoreKey::kLogBase:
    case StoreKey::kLogEnd:
      return UnsealLogPosition(*KindOfKey(key), value).status();
    case StoreKey::kSnapshot:
      return UnsealSnapshot(value).status();
    case StoreKey::kUnfinishedSnapshot:
      return UnsealUnfinishedSnapshot(value).status();
    case StoreKey::kPeer:
      return UnsealPeerCounter(*DecodePeerKey(key), value).status();
    case StoreKey::kEntry:
      return UnsealEntry(*DecodeEntryKey(key), value).status();
    case StoreKey::kChunk:
      return UnsealChunk(*DecodeChunkKey(key), value).status();
  }
  return absl::OkStatus();
}

TEST(StoreRecordsTest, EachKeyHasItsNumberAndExample) {
  std::set<StoreKey> seen;
  for (const Row& row : Table()) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(Example("raft-" + row.name), row.key + row.value);
    EXPECT_TRUE(row.reads_back(row.value));
    seen.insert(KindOfKey(row.key).value());
  }
  size_t keys = 0;
#define X(enumerator, kind, family, what)                          \
  ++keys;                                                          \
  EXPECT_TRUE(seen.contains(StoreKey::enumerator)) << #enumerator; \
  EXPECT_EQ(FamilyOf(StoreKey::enumerator), StoreFamily::family);
  CATAMARAN_RAFT_STORE_KEYS(X)
#undef X
  EXPECT_EQ(seen.size(), keys);
  // Persisted: these numbers and names stand in every store.
  EXPECT_EQ(static_cast<int>(StoreKey::kIdentity), 1);
  EXPECT_EQ(static_cast<int>(StoreKey::kStartCounter), 2);
  EXPECT_EQ(static_cast<int>(StoreKey::kHardState), 3);
  EXPECT_EQ(static_cast<int>(StoreKey::kLogBase), 4);
  EXPECT_EQ(static_cast<int>(StoreKey::kLogEnd), 5);
  EXPECT_EQ(static_cast<int>(StoreKey::kSnapshot), 6);
  EXPECT_EQ(static_cast<int>(StoreKey::kUnfinishedSnapshot), 7);
  EXPECT_EQ(static_cast<int>(StoreKey::kPeer), 8);
  EXPECT_EQ(static_cast<int>(StoreKey::kEntry), 9);
  EXPECT_EQ(static_cast<int>(StoreKey::kChunk), 10);
  EXPECT_EQ(FamilyName(StoreFamily::kMeta), "default");
  EXPECT_EQ(FamilyName(StoreFamily::kEntries), "entries");
  EXPECT_EQ(FamilyName(StoreFamily::kSnapshots), "snapshots");
}

TEST(StoreRecordsTest, AFlippedBitOrAnotherLengthIsRefused) {
  for (const Row& row : Table()) {
    SCOPED_TRACE(row.name);
    EXPECT_TRUE(Read(row.key, row.value).ok());
    for (size_t bit = 0; bit < row.value.size() * 8; ++bit) {
      std::string damaged = row.value;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_EQ(ReasonOf(Read(row.key, damaged)), Reason::kCorruptLog) << "bit " << bit;
    }
    for (size_t length = 0; length < row.value.size(); ++length) {
      EXPECT_EQ(ReasonOf(Read(row.key, row.value.substr(0, length))), Reason::kCorruptLog);
    }
    EXPECT_EQ(ReasonOf(Read(row.key, row.value + "x")), Reason::kCorruptLog);
  }
}

TEST(StoreRecordsTest, AValueHoldsUnderItsOwnKeyOnly) {
  const Entry entry = MakeEntry(7, 1000, "car-7");
  EXPECT_EQ(ReasonOf(UnsealEntry(LogIndex(1001), SealEntry(entry)).status()), Reason::kCorruptLog);
  const std::string base = SealLogPosition(StoreKey::kLogBase, {Term(1), LogIndex(2)});
  EXPECT_EQ(ReasonOf(UnsealLogPosition(StoreKey::kLogEnd, base).status()), Reason::kCorruptLog);
  EXPECT_EQ(ReasonOf(UnsealChunk({3, 0}, SealChunk({4, 0}, "x")).status()), Reason::kCorruptLog);
  EXPECT_EQ(
      ReasonOf(UnsealPeerCounter(TestReplica(2), SealPeerCounter(TestReplica(3), 1)).status()),
      Reason::kCorruptLog);
}

TEST(StoreRecordsTest, ALaterFormatIsToldAsSuch) {
  StoredIdentity later;
  later.format_version = kStoreFormatVersion + 1;
  EXPECT_EQ(ReasonOf(UnsealIdentity(SealIdentity(later)).status()), Reason::kUnsupportedVersion);
}

TEST(StoreRecordsTest, KeysAreInOrder) {
  EXPECT_LT(EntryKey(LogIndex(255)), EntryKey(LogIndex(256)));
  EXPECT_LT(ChunkKey(1, 1'000'000), ChunkKey(2, 0));
  EXPECT_LT(ChunkKey(2, 255), ChunkKey(2, 256));
  EXPECT_EQ(DecodeEntryKey(EntryKey(LogIndex(77))).value(), LogIndex(77));
  EXPECT_EQ(DecodePeerKey(PeerKey(ExampleReplica())).value(), ExampleReplica());
  EXPECT_EQ(DecodeChunkKey(ChunkKey(5, 6))->position, 6u);
  for (const std::string& bad : {std::string(), std::string("\x63"), EntryKey(LogIndex(1)) + "x"}) {
    EXPECT_FALSE(DecodeEntryKey(bad).ok());
    EXPECT_FALSE(DecodePeerKey(bad).ok());
    EXPECT_FALSE(DecodeChunkKey(bad).ok());
  }
  EXPECT_FALSE(KindOfKey("").ok());
  EXPECT_FALSE(KindOfKey("\x63").ok());
}

TEST(LogShapeTest, TellsTheTermOfEachIndex) {
  LogShape log({Term(2), LogIndex(10)});
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(log.TermAt(LogIndex(10)), Term(2));
  EXPECT_EQ(log.TermAt(LogIndex(9)), std::nullopt);
  for (const auto& [term, index] : {std::pair{2, 11}, {2, 12}, {5, 13}, {5, 14}, {6, 15}}) {
    log.Append({Term(term), LogIndex(index)});
  }
  EXPECT_FALSE(log.MayFollow({Term(6), LogIndex(17)}));
  EXPECT_FALSE(log.MayFollow({Term(5), LogIndex(16)}));
  EXPECT_EQ(log.TermAt(LogIndex(12)), Term(2));
  EXPECT_EQ(log.TermAt(LogIndex(13)), Term(5));
  EXPECT_EQ(log.TermAt(LogIndex(16)), std::nullopt);
  EXPECT_EQ(log.runs().size(), 3u);

  LogShape cut = log;
  cut.TruncateFrom(LogIndex(14));
  EXPECT_EQ(cut.last(), (LogPosition{Term(5), LogIndex(13)}));
  EXPECT_EQ(cut.runs().size(), 2u);
  cut.TruncateFrom(LogIndex(11));
  EXPECT_TRUE(cut.empty());
  EXPECT_EQ(cut.last(), cut.base());

  LogShape inside = log;
  inside.CompactTo(LogIndex(13));
  EXPECT_EQ(inside.base(), (LogPosition{Term(5), LogIndex(13)}));
  EXPECT_EQ(inside.runs(),
            (std::vector<LogPosition>{{Term(5), LogIndex(14)}, {Term(6), LogIndex(15)}}));
  LogShape between = log;
  between.CompactTo(LogIndex(14));
  EXPECT_EQ(between.runs(), (std::vector<LogPosition>{{Term(6), LogIndex(15)}}));
  LogShape all = log;
  all.CompactTo(LogIndex(15));
  EXPECT_TRUE(all.empty());
  EXPECT_TRUE(all.runs().empty());
  EXPECT_EQ(all.TermAt(LogIndex(15)), Term(6));
}

}  // namespace
}  // namespace catamaran::raft
