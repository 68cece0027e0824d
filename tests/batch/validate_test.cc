#include <gtest/gtest.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/batch/batch.h"
#include "base/error.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

using testing::BatchOf;
using testing::kTestNow;
using testing::RawBatch;
using testing::RawRecord;

ValidationOptions Options() {
  ValidationOptions options;
  options.now = kTestNow;
  return options;
}

RawRecord At(int32_t index) {
  RawRecord record;
  record.offset_delta = index;
  return record;
}

// OK, or the reason of the refusal.
std::optional<Reason> Refusal(std::string_view bytes, const ValidationOptions& options) {
  const absl::Status status = ValidateProducedBatch(bytes, options);
  if (status.ok()) return std::nullopt;
  return ReasonOf(status);
}
std::optional<Reason> Refusal(const RawBatch& raw, const ValidationOptions& options = Options()) {
  return Refusal(raw.Encode(), options);
}

std::string MetadataOf(const absl::Status& status, const std::string& key) {
  const std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail.has_value()) return "";
  for (const auto& [name, value] : detail->metadata) {
    if (name == key) return value;
  }
  return "";
}

TEST(ValidateTest, AcceptsWhatClientsSend) {
  EXPECT_EQ(Refusal(BatchOf({At(0)})), std::nullopt);
  EXPECT_EQ(Refusal(BatchOf({At(0), At(1), At(2)})), std::nullopt);
  // The leader epoch of a client means nothing: Java sends -1, librdkafka 0.
  RawBatch raw = BatchOf({At(0)});
  raw.header.leader_epoch = LeaderEpoch(-1);
  EXPECT_EQ(Refusal(raw), std::nullopt);
  // Some clients leave sequence 0 beside "no producer".
  raw.header.base_sequence = Sequence(0);
  raw.header.producer_epoch = ProducerEpoch(0);
  EXPECT_EQ(Refusal(raw), std::nullopt);
}

TEST(ValidateTest, AcceptsEveryCodec) {
  for (int codec = 0; codec < kCodecs; ++codec) {
    BatchBuilderOptions builder_options;
    builder_options.codec = static_cast<Codec>(codec);
    BatchBuilder builder(builder_options);
    builder.Add(kTestNow, std::nullopt, std::nullopt);
    builder.Add(kTestNow, "", "", {{"", ""}, {"\xc3\xa4", std::nullopt}});
    EXPECT_EQ(Refusal(*builder.Build(), Options()), std::nullopt) << codec;
  }
}

TEST(ValidateTest, WantsExactlyOneBatch) {
  const std::string bytes = BatchOf({At(0)}).Encode();
  EXPECT_EQ(Refusal("", Options()), Reason::kCorruptBatch);
  EXPECT_EQ(Refusal(bytes + bytes, Options()), Reason::kCorruptBatch);
  EXPECT_EQ(Refusal(bytes + "x", Options()), Reason::kCorruptBatch);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Refusal(std::string_view(bytes).substr(0, size), Options()), Reason::kCorruptBatch);
  }
}

TEST(ValidateTest, NoFlippedBitIsAccepted) {
  const std::string bytes = BatchOf({At(0), At(1)}).Encode();
  for (size_t at = 0; at < bytes.size(); ++at) {
    // The leader epoch alone is free.
    if (at >= 12 && at < 16) continue;
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      EXPECT_NE(Refusal(flipped, Options()), std::nullopt) << at;
    }
  }
}

TEST(ValidateTest, SizeLimit) {
  const std::string bytes = BatchOf({At(0)}).Encode();
  ValidationOptions options = Options();
  options.batch_bytes_max = bytes.size();
  EXPECT_EQ(Refusal(bytes, options), std::nullopt);
  options.batch_bytes_max = bytes.size() - 1;
  const absl::Status status = ValidateProducedBatch(bytes, options);
  EXPECT_EQ(ReasonOf(status), Reason::kRecordTooLarge);
  EXPECT_EQ(MetadataOf(status, "limit"), std::to_string(bytes.size() - 1));
  EXPECT_EQ(MetadataOf(status, "size"), std::to_string(bytes.size()));
}

TEST(ValidateTest, WrongCrc) {
  std::string bytes = BatchOf({At(0)}).Encode();
  bytes[17] = static_cast<char>(bytes[17] ^ 1);
  EXPECT_EQ(Refusal(bytes, Options()), Reason::kCorruptBatch);
}

TEST(ValidateTest, Attributes) {
  const std::pair<int, Reason> cases[] = {
      {5, Reason::kUnsupportedCompression}, {6, Reason::kUnsupportedCompression},
      {7, Reason::kUnsupportedCompression}, {8, Reason::kInvalidTimestamp},
      {16, Reason::kInvalidRecord},  // transactional without a producer
      {32, Reason::kInvalidRecord},         {64, Reason::kInvalidRecord},
      {128, Reason::kInvalidRecord},        {0x100, Reason::kInvalidRecord},
      {0x8000, Reason::kInvalidRecord}};
  for (const auto& [attributes, reason] : cases) {
    RawBatch raw = BatchOf({At(0)});
    raw.header.attributes = static_cast<int16_t>(attributes);
    EXPECT_EQ(Refusal(raw), reason) << attributes;
  }
}

TEST(ValidateTest, BaseOffsetIsZero) {
  RawBatch raw = BatchOf({At(0)});
  raw.header.base_offset = Offset(1);
  EXPECT_EQ(Refusal(raw), Reason::kInvalidRecord);
  raw.header.base_offset = Offset(-1);
  EXPECT_EQ(Refusal(raw), Reason::kInvalidRecord);
}

TEST(ValidateTest, CountsThatLie) {
  for (const int32_t count : {0, -1, 1, 3, INT32_MAX, INT32_MIN}) {
    RawBatch raw = BatchOf({At(0), At(1)});
    raw.header.record_count = count;
    EXPECT_EQ(Refusal(raw), Reason::kInvalidRecord) << count;
  }
  // The delta agrees with the count, and both lie.
  for (const int32_t count : {1, 3, INT32_MAX}) {
    RawBatch raw = BatchOf({At(0), At(1)});
    raw.header.record_count = count;
    raw.header.last_offset_delta = count - 1;
    EXPECT_EQ(Refusal(raw), Reason::kCorruptBatch) << count;
  }
  RawBatch empty;
  EXPECT_EQ(Refusal(empty), Reason::kInvalidRecord);
}

TEST(ValidateTest, OffsetDeltasAreIndexes) {
  for (const int32_t delta : {0, 2, -1, INT32_MAX, INT32_MIN}) {
    const absl::Status status =
        ValidateProducedBatch(BatchOf({At(0), At(delta), At(2)}).Encode(), Options());
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidRecord) << delta;
    EXPECT_EQ(MetadataOf(status, "record_index"), "1");
  }
}

TEST(ValidateTest, RecordAttributesAreZero) {
  RawRecord record;
  record.attributes = 1;
  EXPECT_EQ(Refusal(BatchOf({record})), Reason::kInvalidRecord);
}

TEST(ValidateTest, CompactedTopicsNeedKeys) {
  ValidationOptions options = Options();
  options.key_required = true;
  RawRecord keyless = At(1);
  keyless.key = std::nullopt;
  const RawBatch raw = BatchOf({At(0), keyless});
  EXPECT_EQ(Refusal(raw), std::nullopt);
  const absl::Status status = ValidateProducedBatch(raw.Encode(), options);
  EXPECT_EQ(ReasonOf(status), Reason::kInvalidRecord);
  EXPECT_EQ(MetadataOf(status, "record_index"), "1");
  RawRecord empty_key;
  empty_key.key = "";
  EXPECT_EQ(Refusal(BatchOf({empty_key}), options), std::nullopt);
}

RawBatch BatchAt(int64_t timestamp) {
  RawBatch raw = BatchOf({At(0)});
  raw.header.base_timestamp = TimestampMs(timestamp);
  raw.header.max_timestamp = TimestampMs(timestamp);
  return raw;
}

TEST(ValidateTest, TimestampWindow) {
  const int64_t now = kTestNow.value();
  ValidationOptions options = Options();
  options.timestamp_before_max_ms = 1000;
  options.timestamp_after_max_ms = 10;
  EXPECT_EQ(Refusal(BatchAt(now - 1000), options), std::nullopt);
  EXPECT_EQ(Refusal(BatchAt(now - 1001), options), Reason::kInvalidTimestamp);
  EXPECT_EQ(Refusal(BatchAt(now + 10), options), std::nullopt);
  EXPECT_EQ(Refusal(BatchAt(now + 11), options), Reason::kInvalidTimestamp);
  // The message names the bounds that hold; without one below, that is 1970.
  ValidationOptions unbounded = options;
  unbounded.timestamp_before_max_ms = INT64_MAX;
  for (int64_t before : {int64_t{INT64_MAX}, now + 5}) {
    unbounded.timestamp_before_max_ms = before;
    const absl::Status status = ValidateProducedBatch(BatchAt(now + 11).Encode(), unbounded);
    EXPECT_NE(status.message().find(absl::StrCat("outside 0 to ", now + 10)),
              absl::string_view::npos)
        << status;
  }
  // No timestamp is always allowed.
  EXPECT_EQ(Refusal(BatchAt(-1), options), std::nullopt);
  EXPECT_EQ(Refusal(BatchAt(-2), options), Reason::kInvalidTimestamp);
  EXPECT_EQ(Refusal(BatchAt(INT64_MIN), options), Reason::kInvalidTimestamp);
  // The broker stamps these topics, so that the client's times don't matter.
  options.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_EQ(Refusal(BatchAt(now + 11), options), std::nullopt);

  ValidationOptions unlimited = Options();
  unlimited.timestamp_after_max_ms = INT64_MAX;
  EXPECT_EQ(Refusal(BatchAt(0), unlimited), std::nullopt);
  EXPECT_EQ(Refusal(BatchAt(INT64_MAX), unlimited), std::nullopt);
}

TEST(ValidateTest, TimestampOverflow) {
  RawRecord record;
  record.timestamp_delta = INT64_MAX;
  EXPECT_EQ(Refusal(BatchOf({record})), Reason::kInvalidTimestamp);
  RawBatch raw = BatchOf({record});
  raw.header.base_timestamp = TimestampMs(-5);
  raw.section = [] {
    RawRecord lowest;
    lowest.timestamp_delta = INT64_MIN;
    return lowest.Encode();
  }();
  EXPECT_EQ(Refusal(raw), Reason::kInvalidTimestamp);
}

TEST(ValidateTest, MaxTimestampIsRight) {
  RawRecord later = At(1);
  later.timestamp_delta = 5;
  RawBatch raw = BatchOf({At(0), later, At(2)});
  EXPECT_EQ(Refusal(raw), Reason::kInvalidTimestamp);
  raw.header.max_timestamp = kTestNow + 5;
  EXPECT_EQ(Refusal(raw), std::nullopt);
  raw.header.max_timestamp = kTestNow + 6;
  EXPECT_EQ(Refusal(raw), Reason::kInvalidTimestamp);
  ValidationOptions options = Options();
  options.timestamp_type = TimestampType::kLogAppendTime;
  EXPECT_EQ(Refusal(raw, options), std::nullopt);
}

TEST(ValidateTest, ProducerFields) {
  const auto with = [](int64_t id, int16_t epoch, int32_t sequence, int16_t attributes) {
    RawBatch raw = BatchOf({At(0)});
    raw.header.producer_id = ProducerId(id);
    raw.header.producer_epoch = ProducerEpoch(epoch);
    raw.header.base_sequence = Sequence(sequence);
    raw.header.attributes = attributes;
    return Refusal(raw);
  };
  EXPECT_EQ(with(0, 0, 0, 0), std::nullopt);
  EXPECT_EQ(with(INT64_MAX, INT16_MAX, INT32_MAX, 16), std::nullopt);
  EXPECT_EQ(with(1, -1, 0, 0), Reason::kInvalidRecord);
  EXPECT_EQ(with(1, 0, -1, 0), Reason::kInvalidRecord);
  EXPECT_EQ(with(-2, 0, 0, 0), Reason::kInvalidRecord);
  EXPECT_EQ(with(-1, 0, 0, 16), Reason::kInvalidRecord);
}

TEST(ValidateTest, HeaderKeysAreUtf8) {
  const auto with_key = [](const std::string& key) {
    RawRecord record;
    record.headers = {{"ok", "\xff\xfe"}, {key, std::nullopt}};
    return Refusal(BatchOf({record}));
  };
  for (const char* good : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(with_key(good), std::nullopt) << good;
  }
  for (const char* bad : {"\x80", "\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf0\x80\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(with_key(bad), Reason::kInvalidRecord);
  }
}

TEST(ValidateTest, DamagedRecords) {
  RawRecord record;
  record.headers = {{"a", "b"}};
  record.header_count = 2;
  EXPECT_EQ(Refusal(BatchOf({record})), Reason::kCorruptBatch);
  record.header_count = 0;
  EXPECT_EQ(Refusal(BatchOf({record})), Reason::kCorruptBatch);
  record.header_count = std::nullopt;
  record.length = static_cast<int64_t>(record.Body().size()) - 1;
  EXPECT_EQ(Refusal(BatchOf({record})), Reason::kCorruptBatch);
  RawBatch leftover = BatchOf({At(0)});
  leftover.section += "x";
  EXPECT_EQ(Refusal(leftover), Reason::kCorruptBatch);
}

TEST(ValidateTest, CompressedBatchesAreReadThrough) {
  for (int codec = 1; codec < kCodecs; ++codec) {
    RawRecord wrong = At(1);
    wrong.offset_delta = 7;
    RawBatch raw = BatchOf({At(0), wrong});
    raw.header.attributes = static_cast<int16_t>(codec);
    raw.section = *Compress(static_cast<Codec>(codec), raw.section, std::nullopt);
    EXPECT_EQ(Refusal(raw), Reason::kInvalidRecord) << codec;
    raw.section = "this is no stream of any codec";
    EXPECT_EQ(Refusal(raw), Reason::kCorruptBatch) << codec;
    raw.section = "";
    EXPECT_EQ(Refusal(raw), Reason::kCorruptBatch) << codec;
  }
}

TEST(ValidateTest, DecompressionIsBounded) {
  RawRecord record;
  const std::string value(100'000, 'x');
  record.value = value;
  for (int codec = 1; codec < kCodecs; ++codec) {
    RawBatch raw = BatchOf({record});
    const size_t plain_bytes = raw.section.size();
    raw.header.attributes = static_cast<int16_t>(codec);
    raw.section = *Compress(static_cast<Codec>(codec), raw.section, std::nullopt);
    ValidationOptions options = Options();
    options.decompressed_bytes_max = plain_bytes;
    EXPECT_EQ(Refusal(raw, options), std::nullopt) << codec;
    options.decompressed_bytes_max = plain_bytes - 1;
    EXPECT_EQ(Refusal(raw, options), Reason::kRecordTooLarge) << codec;
  }
}

}  // namespace
}  // namespace catamaran
