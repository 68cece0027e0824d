// Torn tails and damage in write-ahead logs: synthetic ones, and RocksDB's own.
#include "raft/store/wal_check.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"

namespace catamaran::raft {
namespace {

constexpr size_t kBlockBytes = 32'768;

template <class T>
void AppendLittleEndian(std::string* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

// Appends one record as RocksDB does.
void AppendRecord(std::string* file, uint64_t sequence, uint32_t count, size_t payload_bytes) {
  std::string payload;
  AppendLittleEndian<uint64_t>(&payload, sequence);
  AppendLittleEndian<uint32_t>(&payload, count);
  payload += std::string(payload_bytes, 'p');
  bool first = true;
  while (first || !payload.empty()) {
    size_t left = kBlockBytes - file->size() % kBlockBytes;
    if (left < 7) {
      file->append(left, '\0');
      left = kBlockBytes;
    }
    const std::string part = payload.substr(0, left - 7);
    payload.erase(0, part.size());
    const bool last = payload.empty();
    const char type = static_cast<char>(first ? (last ? 1 : 2) : (last ? 4 : 3));
    const uint32_t crc = Crc32c(std::string(1, type) + part);
    AppendLittleEndian<uint32_t>(file, ((crc >> 15) | (crc << 17)) + 0xa282ead8);
    AppendLittleEndian<uint16_t>(file, static_cast<uint16_t>(part.size()));
    file->push_back(type);
    *file += part;
    first = false;
  }
}

std::string Log(std::initializer_list<std::pair<uint64_t, size_t>> records) {
  std::string file;
  for (const auto& [sequence, bytes] : records) AppendRecord(&file, sequence, 1, bytes);
  return file;
}

TEST(WalCheckTest, WholeLogsHold) {
  EXPECT_FALSE(CheckWal({}).corrupt);
  EXPECT_FALSE(CheckWal({{4, ""}}).corrupt);
  const WalVerdict verdict =
      CheckWal({{4, Log({{1, 10}, {2, 100'000}, {3, 0}})}, {7, ""}, {9, Log({{4, 32'000}})}});
  EXPECT_FALSE(verdict.corrupt) << verdict.what;
  EXPECT_FALSE(verdict.torn);
  EXPECT_EQ(verdict.last_sequence, 4u);
}

TEST(WalCheckTest, ATailMayBeCutAnywhere) {
  const std::string kept = Log({{1, 10}, {2, 40'000}});
  std::string whole = kept;
  AppendRecord(&whole, 3, 5, 70'000);
  for (size_t size = kept.size() + 1; size < whole.size(); size += 997) {
    const WalVerdict verdict = CheckWal({{4, whole.substr(0, size)}});
    EXPECT_FALSE(verdict.corrupt) << verdict.what;
    EXPECT_TRUE(verdict.torn) << size;
    EXPECT_EQ(verdict.last_sequence, 2u);
  }
  EXPECT_EQ(CheckWal({{4, whole}}).last_sequence, 7u);
}

TEST(WalCheckTest, ATailMayHaveLostSectors) {
  const std::string kept = Log({{1, 10}});
  std::string whole = kept;
  AppendRecord(&whole, 2, 1, 70'000);
  for (size_t hole = kept.size(); hole + 512 < whole.size(); hole += 1'533) {
    std::string torn = whole;
    std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(hole), 512, '\0');
    const WalVerdict verdict = CheckWal({{4, torn}});
    EXPECT_FALSE(verdict.corrupt) << hole << ": " << verdict.what;
    EXPECT_EQ(verdict.last_sequence, 1u);
  }
  const WalVerdict zeroes = CheckWal({{4, kept + std::string(9'000, '\0')}});
  EXPECT_FALSE(zeroes.corrupt || zeroes.torn);
}

TEST(WalCheckTest, DamageBeforeALaterRecordIsDamage) {
  const std::string first = Log({{1, 10}});
  const std::string second = Log({{1, 10}, {2, 50'000}});
  const std::string whole = Log({{1, 10}, {2, 50'000}, {3, 20}});
  for (size_t at = 0; at < second.size(); at += at < 64 ? 1 : 463) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x20);
    EXPECT_TRUE(CheckWal({{4, damaged}}).corrupt) << "byte " << at;
  }
  std::string zeroed = whole;
  std::fill_n(zeroed.begin() + static_cast<std::ptrdiff_t>(first.size()), 4'096, '\0');
  EXPECT_TRUE(CheckWal({{4, zeroed}}).corrupt);
}

TEST(WalCheckTest, FilesFollowOneAnother) {
  // A tail that an earlier start has cut: the next file goes on with the same sequence.
  const std::string torn = Log({{1, 10}, {2, 5'000}}).substr(0, 3'000);
  EXPECT_FALSE(CheckWal({{4, torn}, {8, Log({{2, 10}})}}).corrupt);
  EXPECT_TRUE(CheckWal({{4, torn}, {8, Log({{3, 10}})}}).corrupt) << "a write between is lost";
  EXPECT_TRUE(CheckWal({{4, Log({{1, 1}})}, {8, Log({{3, 10}})}}).corrupt);
  EXPECT_TRUE(CheckWal({{4, Log({{1, 1}, {3, 1}})}}).corrupt);
  // The mark of a recovery has no count.
  std::string marked;
  AppendRecord(&marked, 1, 0, 0);
  AppendRecord(&marked, 2, 1, 10);
  EXPECT_FALSE(CheckWal({{4, torn}, {8, marked}}).corrupt);
}

TEST(WalCheckTest, WhatLooksLikeAnEarlierRecordInAPayloadIsNone) {
  std::string whole = Log({{10, 10}});
  std::string payload = Log({{3, 10}});  // somebody stored a log as a value
  std::string record;
  AppendLittleEndian<uint64_t>(&record, 11);
  AppendLittleEndian<uint32_t>(&record, 1);
  record += payload;
  AppendLittleEndian<uint32_t>(&whole, 0);  // a checksum that doesn't hold
  AppendLittleEndian<uint16_t>(&whole, static_cast<uint16_t>(record.size()));
  whole += '\x01' + record;
  const WalVerdict verdict = CheckWal({{4, whole}});
  EXPECT_FALSE(verdict.corrupt) << verdict.what;
  EXPECT_TRUE(verdict.torn);
}

// The same rule on what RocksDB writes: its newest log, damaged at each place in turn.
class RocksWalTest : public ::testing::Test {
 protected:
  // Five writes, the last of `last_bytes`; then the process ends.
  void Write(RocksSimFixture& fixture, size_t last_bytes) {
    auto store = fixture.Open(TestIdentity(), true);
    ASSERT_TRUE(store.ok()) << store.status();
    LogWrite first;
    first.hard_state = HardState{Term(1), TestReplica(1)};
    ASSERT_TRUE((*store)->Write(first).ok());
    for (int64_t i = 1; i <= 4; ++i) {
      LogWrite write;
      before_last_ = LogSize(fixture);
      write.entries = {MakeEntry(1, i, std::string(i == 4 ? last_bytes : 300, 'e'))};
      ASSERT_TRUE((*store)->Write(write).ok());
    }
    end_ = LogSize(fixture);
  }
  std::string LogName(RocksSimFixture& fixture) {
    std::string newest;
    const std::vector<FileInfo> files = fixture.disk().List("raft").value();
    for (const FileInfo& file : files) {
      if (file.name.ends_with(".log")) newest = file.name;
    }
    return "raft/" + newest;
  }
  size_t LogSize(RocksSimFixture& fixture) {
    return fixture.disk().Stat(LogName(fixture)).value().size;
  }

  size_t before_last_ = 0;
  size_t end_ = 0;
};

TEST_F(RocksWalTest, DamageIsToldFromATornTail) {
  RocksSimFixture probe(1);
  Write(probe, 40'000);
  int torn = 0;
  for (size_t at = 0; at < end_; at += at < before_last_ ? 37 : 1'701) {
    SCOPED_TRACE("byte " + std::to_string(at) + " of " + std::to_string(end_));
    RocksSimFixture fixture(1);
    Write(fixture, 40'000);
    ASSERT_TRUE(fixture.disk().FlipBit(LogName(fixture), at, 3));
    const uint64_t operations = fixture.disk().operation_count();
    auto opened = fixture.Open(TestIdentity(), false);
    if (at < before_last_) {
      EXPECT_EQ(ReasonOf(opened.status()), Reason::kCorruptLog) << opened.status();
      EXPECT_EQ(fixture.disk().operation_count(), operations) << "a refusal has written";
      continue;
    }
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->opened().log.last().index, LogIndex(3));
    ++torn;
    // What was cut is gone for good, also after another start.
    LogWrite write;
    write.entries = {MakeEntry(1, 4, "again")};
    ASSERT_TRUE((*opened)->Write(write).ok());
    opened->reset();
    auto again = fixture.Open(TestIdentity(), false);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ((*again)->ReadEntries(LogIndex(4), LogIndex(5), 9)->front().payload.view(), "again");
  }
  EXPECT_GT(torn, 10);
}

}  // namespace
}  // namespace catamaran::raft
