// A whole batch from a client: as it comes, and again with length, magic and CRC mended so that the
// checks behind them are reached.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/varint.h"

namespace catamaran {
namespace {

constexpr size_t kDecompressedBytesMax = 1u << 20;

// Whatever the bytes are, reading ends; and what validation accepts can be read as it was counted
// and survives a round trip.
void Read(std::string_view bytes, const ValidationOptions& options) {
  const absl::Status valid = ValidateProducedBatch(bytes, options);
  const auto batch = BatchRecords::Open(bytes, kDecompressedBytesMax);
  if (!batch.ok()) {
    CATAMARAN_CHECK(!valid.ok(), "a valid batch can be opened");
    return;
  }
  const auto records = batch->ReadAll();
  if (!records.ok()) {
    CATAMARAN_CHECK(!valid.ok(), "a valid batch can be read");
    return;
  }
  CATAMARAN_CHECK(records->size() == static_cast<size_t>(batch->header().record_count),
                  "as many records as the header counts");
  if (!valid.ok()) return;

  BatchBuilder builder({});
  TimestampMs max_timestamp = kNoTimestamp;
  for (size_t i = 0; i < records->size(); ++i) {
    const Record& record = (*records)[i];
    CATAMARAN_CHECK(record.offset.value() == static_cast<int64_t>(i), "offsets are indexes");
    CATAMARAN_CHECK(record.key.has_value() || !options.key_required, "every record has a key");
    if (record.timestamp > max_timestamp) max_timestamp = record.timestamp;
    builder.Add(record.timestamp, record.key, record.value, record.headers);
  }
  if (options.timestamp_type == TimestampType::kCreateTime) {
    CATAMARAN_CHECK(max_timestamp == batch->header().max_timestamp, "the max timestamp is right");
  }
  const auto again = builder.Build();
  CATAMARAN_CHECK(again.ok(), "what was read can be written");
  CATAMARAN_CHECK(ValidateProducedBatch(*again, options).ok(), "what was written is valid");
}

void RunOne(std::string_view bytes) {
  ValidationOptions options;
  options.batch_bytes_max = kBatchBytesLimit;
  options.decompressed_bytes_max = kDecompressedBytesMax;
  options.now = TimestampMs(1'700'000'000'000);
  Read(bytes, options);
  if (bytes.size() < kBatchHeaderBytes) return;

  std::string mended(bytes);
  // Bytes that mean nothing in a produced batch choose the options.
  const uint32_t choice = static_cast<uint8_t>(mended[15]);
  options.key_required = (choice & 1) != 0;
  if ((choice & 2) != 0) options.timestamp_type = TimestampType::kLogAppendTime;
  if ((choice & 4) != 0) options.timestamp_after_max_ms = INT64_MAX;
  if ((choice & 8) != 0) options.timestamp_before_max_ms = 1000;
  StoreBigEndian<int64_t>(mended.data(), 0);
  StoreBigEndian<int32_t>(mended.data() + 8, static_cast<int32_t>(mended.size() - 12));
  mended[16] = kBatchMagic;
  StoreBigEndian<uint32_t>(mended.data() + 17, Crc32c(std::string_view(mended).substr(21)));
  Read(mended, options);
}

}  // namespace
}  // namespace catamaran

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::RunOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
