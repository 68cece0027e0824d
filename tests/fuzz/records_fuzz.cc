// A records section behind a codec: byte 0 is the codec, byte 1 the record count, the rest the
// stream. Streams are decompressed under a limit; any bytes survive compression and back.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/varint.h"

namespace catamaran {
namespace {

constexpr size_t kDecompressedBytesMax = 256u << 10;
constexpr size_t kControlBytes = 2;

void ReadRecords(Codec codec, int32_t record_count, std::string_view section) {
  std::string batch(kBatchHeaderBytes, '\0');
  batch.append(section);
  StoreBigEndian<int32_t>(batch.data() + 8, static_cast<int32_t>(batch.size() - 12));
  batch[16] = kBatchMagic;
  StoreBigEndian<int16_t>(batch.data() + 21, static_cast<int16_t>(codec));
  StoreBigEndian<int32_t>(batch.data() + 23, INT32_MAX);
  StoreBigEndian<int32_t>(batch.data() + 57, record_count);
  const auto opened = BatchRecords::Open(batch, kDecompressedBytesMax);
  if (!opened.ok()) return;
  RecordIterator iterator = opened->begin_reading();
  Record record;
  int32_t read = 0;
  size_t bytes = 0;
  while (iterator.Next(&record)) {
    ++read;
    bytes += record.key.value_or("").size() + record.value.value_or("").size();
  }
  CATAMARAN_CHECK(read <= record_count, "no more records than are counted");
  CATAMARAN_CHECK(!iterator.status().ok() || read == record_count, "all records were read");
  CATAMARAN_CHECK(bytes <= std::max(kDecompressedBytesMax, batch.size()),
                  "records lie inside the section");
}

void RunOne(std::string_view bytes) {
  if (bytes.size() < kControlBytes) return;
  const auto codec = static_cast<Codec>(static_cast<uint8_t>(bytes[0]) % 8);
  const int32_t record_count = static_cast<uint8_t>(bytes[1]);
  const std::string_view section = bytes.substr(kControlBytes);

  const auto plain = Decompress(codec, section, kDecompressedBytesMax);
  if (plain.ok()) {
    CATAMARAN_CHECK(plain->size() <= kDecompressedBytesMax, "the limit holds");
  }
  ReadRecords(codec, record_count, section);

  const auto packed = Compress(codec, section, std::nullopt);
  if (!packed.ok()) return;
  const auto unpacked = Decompress(codec, *packed, section.size());
  CATAMARAN_CHECK(unpacked.ok() && *unpacked == section, "what was compressed comes back");
}

}  // namespace
}  // namespace catamaran

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::RunOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
