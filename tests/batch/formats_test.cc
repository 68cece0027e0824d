// Holds docs/formats.md to what the code does: its examples are read from the page itself.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/batch/batch.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

using testing::FromHex;

// The bytes of the fenced block "```hex <name>"; comments run from '#' to the end of the line.
std::string Example(const std::string& name) {
  std::ifstream file("docs/formats.md");
  EXPECT_TRUE(file.good()) << "run from the project's root";
  std::string hex;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (inside && line == "```") return FromHex(hex);
    if (inside) hex += line.substr(0, line.find('#')) + " ";
    if (line == "```hex " + name) inside = true;
  }
  ADD_FAILURE() << "docs/formats.md has no example " << name;
  return "";
}

BatchBuilder ExampleRecords(const BatchBuilderOptions& options) {
  BatchBuilder builder(options);
  builder.Add(TimestampMs(1700000000000), "car-7", "speed=42", {{"unit", "km/h"}});
  builder.Add(TimestampMs(1699999999995), std::nullopt, "", {{"n", std::nullopt}});
  return builder;
}

TEST(FormatsTest, BatchExampleIsWhatTheBuilderWrites) {
  BatchBuilderOptions options;
  options.producer_id = ProducerId(4711);
  options.producer_epoch = ProducerEpoch(3);
  options.base_sequence = Sequence(10);
  auto batch = ExampleRecords(options).Build();
  ASSERT_TRUE(batch.ok());
  ValidationOptions validation;
  validation.now = TimestampMs(1700000000000);
  EXPECT_TRUE(ValidateProducedBatch(*batch, validation).ok());

  PatchBaseOffset(batch->data(), Offset(1000));
  PatchLeaderEpoch(batch->data(), LeaderEpoch(7));
  EXPECT_EQ(*batch, Example("record-batch"));
}

TEST(FormatsTest, BatchExampleReadsAsThePageSays) {
  const std::string bytes = Example("record-batch");
  EXPECT_TRUE(BatchCrcMatches(bytes));
  auto batch = BatchRecords::Open(bytes, 1000);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->header().base_offset, Offset(1000));
  EXPECT_EQ(batch->header().leader_epoch, LeaderEpoch(7));
  EXPECT_EQ(batch->header().crc, 0xcc2fe0dcu);
  EXPECT_EQ(batch->header().last_sequence(), Sequence(11));
  EXPECT_EQ(batch->header().next_offset(), Offset(1002));
  auto records = batch->ReadAll();
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 2u);
  const Record& first = (*records)[0];
  EXPECT_EQ(first.offset, Offset(1000));
  EXPECT_EQ(first.key, "car-7");
  EXPECT_EQ(first.value, "speed=42");
  EXPECT_EQ(first.headers, (std::vector<RecordHeader>{{"unit", "km/h"}}));
  const Record& second = (*records)[1];
  EXPECT_EQ(second.offset, Offset(1001));
  EXPECT_EQ(second.timestamp, TimestampMs(1699999999995));
  EXPECT_EQ(second.key, std::nullopt);
  EXPECT_EQ(second.value, "");
  EXPECT_EQ(second.headers, (std::vector<RecordHeader>{{"n", std::nullopt}}));
}

TEST(FormatsTest, CodecExamplesHoldTheSameRecords) {
  const std::string section = Example("record-batch").substr(kBatchHeaderBytes);
  const std::pair<const char*, Codec> examples[] = {{"codec-gzip", Codec::kGzip},
                                                    {"codec-snappy-raw", Codec::kSnappy},
                                                    {"codec-snappy-xerial", Codec::kSnappy},
                                                    {"codec-lz4", Codec::kLz4},
                                                    {"codec-zstd", Codec::kZstd}};
  for (const auto& [name, codec] : examples) {
    auto plain = Decompress(codec, Example(name), section.size());
    ASSERT_TRUE(plain.ok()) << name << ": " << plain.status();
    EXPECT_EQ(*plain, section) << name;
  }
}

}  // namespace
}  // namespace catamaran
