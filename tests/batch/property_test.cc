// Random batches: what is put in comes out, for every codec, and validation agrees with reading.
#include <gtest/gtest.h>

#include <deque>

#include "base/batch/batch.h"
#include "base/batch/record_parser.h"
#include "base/error.h"
#include "base/random.h"
#include "base/varint.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

constexpr int kBatches = 400;
constexpr int kMutations = 20'000;

// Owns the bytes that the records it makes point to.
class RecordSource {
 public:
  explicit RecordSource(Random& random) : random_(random) {}

  Record Next(int64_t offset) {
    Record record;
    record.offset = Offset(offset);
    record.timestamp = TimestampMs(random_.Between(0, 2'000'000'000'000));
    if (random_.OneIn(10)) record.timestamp = kNoTimestamp;
    record.key = Nullable();
    record.value = Nullable();
    for (uint64_t i = random_.OneIn(3) ? random_.Below(5) : 0; i > 0; --i) {
      record.headers.push_back({Text(), Nullable()});
    }
    return record;
  }

 private:
  std::optional<std::string_view> Nullable() {
    if (random_.OneIn(5)) return std::nullopt;
    return Bytes();
  }
  std::string_view Text() {
    std::string& text = owned_.emplace_back();
    for (uint64_t i = random_.Below(9); i > 0; --i) text.push_back('a' + random_.Below(26) % 26);
    return text;
  }
  std::string_view Bytes() {
    const uint64_t size = random_.Below(random_.OneIn(20) ? 20'000 : 80);
    std::string& bytes = owned_.emplace_back();
    for (uint64_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random_.Below(7)));
    return bytes;
  }

  Random& random_;
  std::deque<std::string> owned_;
};

bool Same(const Record& a, const Record& b) {
  return a.offset == b.offset && a.timestamp == b.timestamp && a.key == b.key &&
         a.value == b.value && a.headers == b.headers;
}

TEST(BatchPropertyTest, WhatGoesInComesOut) {
  for (uint64_t seed = 1; seed <= kBatches; ++seed) {
    Random random(seed);
    SCOPED_TRACE(seed);
    RecordSource source(random);
    BatchBuilderOptions options;
    options.codec = static_cast<Codec>(random.Below(kCodecs));
    BatchBuilder builder(options);
    std::vector<Record> expected;
    for (uint64_t i = 0, count = 1 + random.Below(60); i < count; ++i) {
      Record record = source.Next(static_cast<int64_t>(i));
      const size_t bound = builder.SizeAfter(record.key, record.value, record.headers);
      builder.Add(record.timestamp, record.key, record.value, record.headers);
      ASSERT_LE(builder.uncompressed_bytes(), bound);
      expected.push_back(std::move(record));
    }
    const auto batch = builder.Build();
    ASSERT_TRUE(batch.ok());
    ValidationOptions validation;
    validation.batch_bytes_max = kBatchBytesLimit;
    validation.now = TimestampMs(2'000'000'000'000);
    const absl::Status valid = ValidateProducedBatch(*batch, validation);
    EXPECT_TRUE(valid.ok()) << valid;
    const auto opened = BatchRecords::Open(*batch, validation.decompressed_bytes_max);
    ASSERT_TRUE(opened.ok());
    const auto records = opened->ReadAll();
    ASSERT_TRUE(records.ok());
    ASSERT_EQ(records->size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(Same((*records)[i], expected[i])) << i;
  }
}

// A batch that validation lets in can always be read, with the records that the header counts.
TEST(BatchPropertyTest, ValidMeansReadable) {
  Random random(7);
  BatchBuilder builder({});
  for (int i = 0; i < 5; ++i) {
    builder.Add(TimestampMs(1000 + i), "key", "value", {{"header", "value"}});
  }
  const std::string original = *builder.Build();
  int valid = 0;
  for (int i = 0; i < kMutations; ++i) {
    std::string bytes = original;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
      const size_t at = kBatchHeaderBytes + random.Below(bytes.size() - kBatchHeaderBytes);
      bytes[at] = static_cast<char>(random.Next());
    }
    RewriteProducer(&bytes, kNoProducerId, kNoProducerEpoch, kNoSequence);  // mends the CRC
    ValidationOptions options;
    options.now = TimestampMs(1000);
    const absl::Status status = ValidateProducedBatch(bytes, options);
    const auto records = BatchRecords::Open(bytes, 0)->ReadAll();
    if (!status.ok()) continue;
    ++valid;
    ASSERT_TRUE(records.ok()) << i << " " << records.status();
    ASSERT_EQ(records->size(), 5u);
    for (int32_t r = 0; r < 5; ++r) ASSERT_EQ((*records)[r].offset, Offset(r));
  }
  EXPECT_GT(valid, kMutations / 20);  // or this test tested nothing
}

// The inlined varint readers against the plain ones of base.
TEST(BatchPropertyTest, VarintReadersAgree) {
  Random random(11);
  for (int i = 0; i < kMutations; ++i) {
    std::string bytes;
    if (random.OneIn(2)) {
      AppendVarint64(&bytes, static_cast<int64_t>(random.Next() >> random.Below(64)));
      if (random.OneIn(3)) bytes.resize(random.Below(bytes.size() + 1));
    } else {
      for (uint64_t n = random.Below(13); n > 0; --n) {
        bytes.push_back(static_cast<char>(random.OneIn(8) ? random.Next() : 0x80 | random.Next()));
      }
    }
    const char* end = bytes.data() + bytes.size();
    ByteReader reader64(bytes);
    const int64_t expected64 = reader64.ReadVarint64();
    int64_t value64 = 0;
    const char* after64 = batch_internal::ParseVarint64(bytes.data(), end, &value64);
    ASSERT_EQ(after64 != nullptr, reader64.ok());
    if (after64 != nullptr) {
      ASSERT_EQ(value64, expected64);
      ASSERT_EQ(after64, reader64.position());
    }
    ByteReader reader32(bytes);
    const int32_t expected32 = reader32.ReadVarint32();
    int32_t value32 = 0;
    const char* after32 = batch_internal::ParseVarint32(bytes.data(), end, &value32);
    ASSERT_EQ(after32 != nullptr, reader32.ok());
    if (after32 != nullptr) {
      ASSERT_EQ(value32, expected32);
      ASSERT_EQ(after32, reader32.position());
    }
  }
}

}  // namespace
}  // namespace catamaran
