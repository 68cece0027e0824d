#include <gtest/gtest.h>

#include "base/batch/batch.h"
#include "base/error.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

using testing::BatchOf;
using testing::FromHex;
using testing::kTestNow;
using testing::RawBatch;
using testing::RawRecord;

absl::StatusOr<size_t> CountRecords(const RawBatch& raw) {
  const std::string bytes = raw.Encode();
  auto batch = BatchRecords::Open(bytes, 1 << 20);
  if (!batch.ok()) return batch.status();
  auto records = batch->ReadAll();
  if (!records.ok()) return records.status();
  return records->size();
}

void ExpectCorrupt(const RawBatch& raw, std::string_view part_of_message) {
  const auto result = CountRecords(raw);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(ReasonOf(result.status()), Reason::kCorruptBatch) << result.status();
  EXPECT_NE(std::string(result.status().message()).find(part_of_message), std::string::npos)
      << result.status();
}

TEST(BatchRecordsTest, OpenWantsExactlyOneBatch) {
  const std::string bytes = BatchOf({RawRecord()}).Encode();
  EXPECT_TRUE(BatchRecords::Open(bytes, 100).ok());
  EXPECT_EQ(ReasonOf(BatchRecords::Open(bytes + "x", 100).status()), Reason::kCorruptBatch);
  EXPECT_EQ(ReasonOf(BatchRecords::Open(bytes.substr(0, bytes.size() - 1), 100).status()),
            Reason::kCorruptBatch);
}

TEST(BatchRecordsTest, MayBeMovedWhileNotBeingRead) {
  BatchBuilderOptions options;
  options.codec = Codec::kZstd;
  BatchBuilder builder(options);
  builder.Add(kTestNow, "k", "v");  // short enough to lie inside the string object
  const std::string bytes = *builder.Build();
  auto opened = BatchRecords::Open(bytes, 1000);
  ASSERT_TRUE(opened.ok());
  const BatchRecords moved = *std::move(opened);
  const auto records = moved.ReadAll();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->at(0).key, "k");
}

TEST(BatchRecordsTest, ABatchThatCompactionEmptiedHasNoRecords) {
  for (const int16_t codec : {0, 1, 4}) {
    RawBatch raw;
    raw.header.attributes = codec;
    raw.header.last_offset_delta = 9;
    const auto count = CountRecords(raw);
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(*count, 0u);
  }
}

TEST(RecordIteratorTest, OffsetDeltasMayHaveGapsThatCompactionLeft) {
  RawRecord second;
  second.offset_delta = 5;
  RawBatch raw = BatchOf({RawRecord(), second});
  raw.header.last_offset_delta = 9;
  raw.header.base_offset = Offset(100);
  const std::string bytes = raw.Encode();
  const auto records = BatchRecords::Open(bytes, 0)->ReadAll();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->at(1).offset, Offset(105));
}

TEST(RecordIteratorTest, OffsetDeltasMustRiseWithinTheBatch) {
  RawRecord second;
  second.offset_delta = 0;
  ExpectCorrupt(BatchOf({RawRecord(), second}), "record 1 has an offset delta");
  second.offset_delta = 2;
  ExpectCorrupt(BatchOf({RawRecord(), second}), "record 1 has an offset delta");
  second.offset_delta = -1;
  ExpectCorrupt(BatchOf({RawRecord(), second}), "record 1 has an offset delta");
}

TEST(RecordIteratorTest, CountsThatLie) {
  RawBatch raw = BatchOf({RawRecord()});
  raw.header.record_count = 2;
  ExpectCorrupt(raw, "record 1 has no readable length");
  raw.header.record_count = INT32_MAX;
  ExpectCorrupt(raw, "record 1 has no readable length");
  raw.header.record_count = 0;
  ExpectCorrupt(raw, "bytes are left over");
  raw.header.record_count = -1;
  ExpectCorrupt(raw, "negative");
  raw = BatchOf({RawRecord()});
  raw.section += "x";
  ExpectCorrupt(raw, "bytes are left over");
}

TEST(RecordIteratorTest, LengthsThatLie) {
  RawRecord record;
  const auto true_length = static_cast<int64_t>(record.Body().size());
  for (const int64_t length :
       {true_length + 1, int64_t{-1}, int64_t{INT32_MIN}, int64_t{INT32_MAX}}) {
    record.length = length;
    ExpectCorrupt(BatchOf({record}), "has a length beyond the end");
  }
  record.length = 0;
  ExpectCorrupt(BatchOf({record}), "is empty");
  for (int64_t length = 1; length < true_length; ++length) {
    record.length = length;
    ExpectCorrupt(BatchOf({record}), "record 0");
  }
}

TEST(RecordIteratorTest, EveryTruncationIsFound) {
  RawRecord record;
  record.headers = {{"a", "b"}, {"c", std::nullopt}};
  const RawBatch whole = BatchOf({record});
  ASSERT_TRUE(CountRecords(whole).ok());
  for (size_t size = 0; size < whole.section.size(); ++size) {
    RawBatch raw = whole;
    raw.section.resize(size);
    ExpectCorrupt(raw, "record 0");
  }
}

TEST(RecordIteratorTest, HeaderCountsThatLie) {
  RawRecord record;
  record.headers = {{"a", "b"}};
  for (const int64_t count : {int64_t{-1}, int64_t{INT32_MAX}, int64_t{3}}) {
    record.header_count = count;
    ExpectCorrupt(BatchOf({record}), "counts more headers");
  }
  record.header_count = 2;
  ExpectCorrupt(BatchOf({record}), "has a header without a readable key");
  record.header_count = 0;
  ExpectCorrupt(BatchOf({record}), "is shorter");
}

RawBatch BatchWithBody(std::string_view hex) {
  RawBatch raw = BatchOf({RawRecord()});
  const std::string body = FromHex(hex);
  raw.section.clear();
  AppendVarint64(&raw.section, static_cast<int64_t>(body.size()));
  raw.section += body;
  return raw;
}

TEST(RecordIteratorTest, FieldsByHand) {
  EXPECT_TRUE(CountRecords(BatchWithBody("00 00 00 01 01 00")).ok());
  // A padded varint, as Kafka's own reader takes it.
  EXPECT_TRUE(CountRecords(BatchWithBody("00 8000 00 01 01 00")).ok());
  // A timestamp delta of 10 bytes: the smallest int64.
  EXPECT_TRUE(CountRecords(BatchWithBody("00 ffffffffffffffffff01 00 01 01 00")).ok());
  ExpectCorrupt(BatchWithBody("00 ffffffffffffffffff02 00 01 01 00"), "timestamp delta");
  ExpectCorrupt(BatchWithBody("00 ffffffffffffffffffff 00 01 01 00"), "timestamp delta");
  ExpectCorrupt(BatchWithBody("00 00 ffffffff1f 01 01 00"), "offset delta");
  ExpectCorrupt(BatchWithBody("00 00 ffffffffff00 01 01 00"), "offset delta");
  ExpectCorrupt(BatchWithBody("00 00 00 03 01 00"), "key");    // length -2
  ExpectCorrupt(BatchWithBody("00 00 00 01 03 00"), "value");  // length -2
  ExpectCorrupt(BatchWithBody("00 00 00 01 7e 00"), "value");
  ExpectCorrupt(BatchWithBody("00 00 00 01 01"), "header count");
  ExpectCorrupt(BatchWithBody("00 00 00 01 01 02 01 00"), "header without");  // null key
  ExpectCorrupt(BatchWithBody("00 00 00 01 01 02 00 03"), "header value");
  ExpectCorrupt(BatchWithBody("00 00 00 01 01 00 00"), "is shorter");
}

TEST(RecordIteratorTest, StaysAtItsError) {
  RawBatch raw = BatchOf({RawRecord()});
  raw.header.record_count = 2;
  const std::string bytes = raw.Encode();
  const auto batch = BatchRecords::Open(bytes, 0);
  RecordIterator iterator = batch->begin_reading();
  Record record;
  EXPECT_TRUE(iterator.Next(&record));
  EXPECT_FALSE(iterator.Next(&record));
  EXPECT_FALSE(iterator.Next(&record));
  EXPECT_FALSE(iterator.status().ok());
}

TEST(RecordIteratorTest, ReusedRecordForgetsTheOneBefore) {
  RawRecord first;
  first.headers = {{"a", "b"}};
  RawRecord second;
  second.offset_delta = 1;
  second.key = std::nullopt;
  second.value = std::nullopt;
  const std::string bytes = BatchOf({first, second}).Encode();
  const auto batch = BatchRecords::Open(bytes, 0);
  RecordIterator iterator = batch->begin_reading();
  Record record;
  ASSERT_TRUE(iterator.Next(&record));
  EXPECT_EQ(record.headers.size(), 1u);
  ASSERT_TRUE(iterator.Next(&record));
  EXPECT_TRUE(record.headers.empty());
  EXPECT_EQ(record.key, std::nullopt);
  EXPECT_EQ(record.value, std::nullopt);
  EXPECT_FALSE(iterator.Next(&record));
  EXPECT_TRUE(iterator.status().ok());
}

}  // namespace
}  // namespace catamaran
