#include "base/batch/batch.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

using testing::BatchOf;
using testing::kTestNow;
using testing::RawBatch;
using testing::RawRecord;

std::string ValidBatch() { return BatchOf({RawRecord()}).Encode(); }

TEST(ParseBatchHeaderTest, ReadsEveryField) {
  RawBatch raw = BatchOf({RawRecord()});
  raw.header.base_offset = Offset(0x0102030405060708);
  raw.header.leader_epoch = LeaderEpoch(0x11121314);
  raw.header.attributes = 0x1f;
  raw.header.last_offset_delta = 0x21222324;
  raw.header.base_timestamp = TimestampMs(0x3132333435363738);
  raw.header.max_timestamp = TimestampMs(0x4142434445464748);
  raw.header.producer_id = ProducerId(0x5152535455565758);
  raw.header.producer_epoch = ProducerEpoch(0x6162);
  raw.header.base_sequence = Sequence(0x71727374);
  raw.header.record_count = 0x01020304;
  const std::string bytes = raw.Encode();
  auto header = ParseBatchHeader(bytes);
  ASSERT_TRUE(header.ok());
  raw.header.crc = header->crc;
  raw.header.length = static_cast<int32_t>(bytes.size()) - 12;
  EXPECT_EQ(*header, raw.header);
  EXPECT_EQ(header->size_bytes(), bytes.size());
  EXPECT_TRUE(BatchCrcMatches(bytes));
  EXPECT_TRUE(header->is_transactional());
  EXPECT_FALSE(header->is_control());
  EXPECT_EQ(header->timestamp_type(), TimestampType::kLogAppendTime);
}

TEST(ParseBatchHeaderTest, AcceptsABatchThatIsLongerThanTheBytes) {
  EXPECT_TRUE(ParseBatchHeader(ValidBatch().substr(0, kBatchHeaderBytes)).ok());
}

TEST(ParseBatchHeaderTest, RefusesWhatIsNoHeader) {
  const std::string valid = ValidBatch();
  for (size_t size = 0; size < kBatchHeaderBytes; ++size) {
    EXPECT_EQ(ReasonOf(ParseBatchHeader(valid.substr(0, size)).status()), Reason::kCorruptBatch);
  }
  for (const int32_t length :
       {0, -1, INT32_MIN, 48, static_cast<int32_t>(kBatchBytesLimit) - 11, INT32_MAX}) {
    std::string bytes = valid;
    StoreBigEndian<int32_t>(bytes.data() + 8, length);
    EXPECT_EQ(ReasonOf(ParseBatchHeader(bytes).status()), Reason::kCorruptBatch) << length;
  }
  for (const char magic : {'\0', '\1', '\3', '\xff'}) {
    std::string bytes = valid;
    bytes[16] = magic;
    EXPECT_EQ(ReasonOf(ParseBatchHeader(bytes).status()), Reason::kCorruptBatch);
  }
}

TEST(BatchCrcTest, EveryCoveredBitCounts) {
  const std::string valid = ValidBatch();
  for (size_t at = 17; at < valid.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = valid;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      EXPECT_FALSE(BatchCrcMatches(bytes)) << at;
    }
  }
  EXPECT_FALSE(BatchCrcMatches(""));
  EXPECT_FALSE(BatchCrcMatches(valid.substr(0, 60)));
}

TEST(PatchTest, OffsetAndEpochLieOutsideTheCrc) {
  std::string batch = ValidBatch();
  PatchBaseOffset(batch.data(), Offset(INT64_MAX - 1));
  PatchLeaderEpoch(batch.data(), LeaderEpoch(12));
  EXPECT_TRUE(BatchCrcMatches(batch));
  EXPECT_EQ(ParseBatchHeader(batch)->base_offset, Offset(INT64_MAX - 1));
  EXPECT_EQ(ParseBatchHeader(batch)->leader_epoch, LeaderEpoch(12));
}

TEST(PatchTest, LogAppendTimeHoldsForEveryRecord) {
  RawRecord second;
  second.offset_delta = 1;
  second.timestamp_delta = -7;
  std::string batch = BatchOf({RawRecord(), second}).Encode();
  PatchLogAppendTime(&batch, TimestampMs(99));
  EXPECT_TRUE(BatchCrcMatches(batch));
  auto opened = BatchRecords::Open(batch, 1000);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->header().timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(opened->header().max_timestamp, TimestampMs(99));
  const auto records = opened->ReadAll();
  ASSERT_TRUE(records.ok());
  for (const Record& record : *records) EXPECT_EQ(record.timestamp, TimestampMs(99));
}

TEST(RewriteProducerTest, KeepsTheCrcRight) {
  std::string batch = ValidBatch();
  RewriteProducer(&batch, ProducerId(5), ProducerEpoch(6), Sequence(7));
  EXPECT_TRUE(BatchCrcMatches(batch));
  EXPECT_EQ(ParseBatchHeader(batch)->producer_id, ProducerId(5));
  EXPECT_EQ(ParseBatchHeader(batch)->producer_epoch, ProducerEpoch(6));
  EXPECT_EQ(ParseBatchHeader(batch)->base_sequence, Sequence(7));
}

TEST(SequenceTest, WrapsToZero) {
  EXPECT_EQ(AddSequence(Sequence(0), 0), Sequence(0));
  EXPECT_EQ(AddSequence(Sequence(5), 3), Sequence(8));
  EXPECT_EQ(AddSequence(Sequence(INT32_MAX), 1), Sequence(0));
  EXPECT_EQ(AddSequence(Sequence(INT32_MAX - 1), 4), Sequence(2));
  EXPECT_EQ(AddSequence(Sequence(INT32_MAX), INT32_MAX), Sequence(INT32_MAX - 1));
  EXPECT_EQ(AddSequence(Sequence(0), -1), Sequence(INT32_MAX));
  BatchHeader header;
  header.base_sequence = Sequence(INT32_MAX - 1);
  header.last_offset_delta = 2;
  EXPECT_EQ(header.last_sequence(), Sequence(0));
  header.base_sequence = kNoSequence;
  EXPECT_EQ(header.last_sequence(), kNoSequence);
}

TEST(BatchBuilderTest, SizeIsForetold) {
  for (const Codec codec : {Codec::kNone, Codec::kLz4}) {
    BatchBuilderOptions options;
    options.codec = codec;
    BatchBuilder builder(options);
    EXPECT_EQ(builder.uncompressed_bytes(), kBatchHeaderBytes);
    const std::string value(300, 'x');
    for (int i = 0; i < 100; ++i) {
      const size_t bound = builder.SizeAfter("key", value, {{"h", "v"}});
      const size_t before = builder.uncompressed_bytes();
      builder.Add(kTestNow + i, "key", value, {{"h", "v"}});
      EXPECT_GT(builder.uncompressed_bytes(), before + 303);
      EXPECT_LE(builder.uncompressed_bytes(), bound);
    }
    EXPECT_EQ(builder.record_count(), 100);
    const size_t plain_bytes = builder.uncompressed_bytes();
    const auto batch = builder.Build();
    ASSERT_TRUE(batch.ok());
    if (codec == Codec::kNone) {
      EXPECT_EQ(batch->size(), plain_bytes);
    } else {
      EXPECT_LT(batch->size(), plain_bytes / 4);
    }
    EXPECT_EQ(builder.record_count(), 0);
    EXPECT_EQ(builder.uncompressed_bytes(), kBatchHeaderBytes);
  }
}

TEST(BatchBuilderTest, IsEmptyAndUsableAfterBuild) {
  BatchBuilder builder({});
  builder.Add(kTestNow, "a", "1");
  const std::string first = *builder.Build();
  builder.Add(kTestNow, "a", "1");
  EXPECT_EQ(*builder.Build(), first);
}

TEST(BatchBuilderTest, ProducerMayBeSetLate) {
  BatchBuilderOptions options;
  options.transactional = true;
  BatchBuilder builder(options);
  builder.Add(kTestNow, "a", "1");
  builder.SetProducer(ProducerId(1), ProducerEpoch(2), Sequence(3));
  const auto header = ParseBatchHeader(*builder.Build());
  EXPECT_EQ(header->producer_id, ProducerId(1));
  EXPECT_EQ(header->producer_epoch, ProducerEpoch(2));
  EXPECT_EQ(header->base_sequence, Sequence(3));
  EXPECT_TRUE(header->is_transactional());
}

TEST(BatchBuilderTest, MaxTimestampIsTheGreatestNotTheLast) {
  BatchBuilder builder({});
  for (const int64_t t : {500, 900, 100}) builder.Add(TimestampMs(t), "a", "1");
  const std::string batch = *builder.Build();
  EXPECT_EQ(ParseBatchHeader(batch)->base_timestamp, TimestampMs(500));
  EXPECT_EQ(ParseBatchHeader(batch)->max_timestamp, TimestampMs(900));
  const auto records = BatchRecords::Open(batch, 0)->ReadAll();
  ASSERT_TRUE(records.ok());
  EXPECT_EQ((*records)[2].timestamp, TimestampMs(100));
}

TEST(BatchBuilderTest, RefusesMoreThanABatchCanHold) {
  BatchBuilder builder({});
  const std::string value(kBatchBytesLimit / 2, 'x');
  builder.Add(kTestNow, std::nullopt, value);
  EXPECT_GT(builder.SizeAfter(std::nullopt, value), kBatchBytesLimit);
  builder.Add(kTestNow, std::nullopt, value);
  EXPECT_EQ(ReasonOf(builder.Build().status()), Reason::kRecordTooLarge);
  builder.Add(kTestNow, std::nullopt, "small");
  EXPECT_TRUE(builder.Build().ok());
}

TEST(BatchBuilderTest, RefusesALevelThatTheCodecHasNot) {
  for (const auto& [codec, level] : {std::pair{Codec::kNone, 1},
                                     {Codec::kGzip, 10},
                                     {Codec::kGzip, 0},
                                     {Codec::kSnappy, 1},
                                     {Codec::kLz4, 13},
                                     {Codec::kZstd, 23},
                                     {Codec::kZstd, 0}}) {
    BatchBuilderOptions options;
    options.codec = codec;
    options.compression_level = level;
    BatchBuilder builder(options);
    builder.Add(kTestNow, "a", "1");
    EXPECT_EQ(ReasonOf(builder.Build().status()), Reason::kInvalidArgument) << CodecName(codec);
  }
}

}  // namespace
}  // namespace catamaran
