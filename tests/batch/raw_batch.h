// Batches written field by field, so that a test can make any of them lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/batch/batch.h"
#include "base/crc32c.h"
#include "base/varint.h"

namespace catamaran::testing {

inline void AppendNullable(std::string* out, std::optional<std::string_view> bytes) {
  AppendVarint64(out, bytes ? static_cast<int64_t>(bytes->size()) : -1);
  if (bytes) out->append(*bytes);
}

// One record. Each field may be overridden; `body` replaces all after the length.
struct RawRecord {
  int8_t attributes = 0;
  int64_t timestamp_delta = 0;
  int32_t offset_delta = 0;
  std::optional<std::string_view> key = "k";
  std::optional<std::string_view> value = "v";
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::optional<int64_t> header_count;  // a count that lies
  std::optional<int64_t> length;        // a length that lies

  std::string Body() const {
    std::string body(1, static_cast<char>(attributes));
    AppendVarint64(&body, timestamp_delta);
    AppendVarint64(&body, offset_delta);
    AppendNullable(&body, key);
    AppendNullable(&body, value);
    AppendVarint64(&body, header_count.value_or(static_cast<int64_t>(headers.size())));
    for (const auto& [header_key, header_value] : headers) {
      AppendNullable(&body, header_key);
      AppendNullable(&body, header_value);
    }
    return body;
  }
  std::string Encode() const {
    const std::string body = Body();
    std::string out;
    AppendVarint64(&out, length.value_or(static_cast<int64_t>(body.size())));
    return out + body;
  }
};

// A batch around `section`, taken as it is, with a right length and CRC.
struct RawBatch {
  BatchHeader header;
  std::string section;

  std::string Encode() const {
    std::string out;
    AppendBigEndian<int64_t>(&out, header.base_offset.value());
    AppendBigEndian<int32_t>(&out, static_cast<int32_t>(49 + section.size()));
    AppendBigEndian<int32_t>(&out, header.leader_epoch.value());
    AppendBigEndian<int8_t>(&out, header.magic);
    std::string body;
    AppendBigEndian<int16_t>(&body, header.attributes);
    AppendBigEndian<int32_t>(&body, header.last_offset_delta);
    AppendBigEndian<int64_t>(&body, header.base_timestamp.value());
    AppendBigEndian<int64_t>(&body, header.max_timestamp.value());
    AppendBigEndian<int64_t>(&body, header.producer_id.value());
    AppendBigEndian<int16_t>(&body, header.producer_epoch.value());
    AppendBigEndian<int32_t>(&body, header.base_sequence.value());
    AppendBigEndian<int32_t>(&body, header.record_count);
    body += section;
    AppendBigEndian<uint32_t>(&out, Crc32c(body));
    return out + body;
  }
};

inline constexpr TimestampMs kTestNow{1'700'000'000'000};

// A valid batch of `records`, all at kTestNow plus their deltas.
inline RawBatch BatchOf(const std::vector<RawRecord>& records) {
  RawBatch batch;
  batch.header.base_timestamp = kTestNow;
  batch.header.max_timestamp = kTestNow;
  batch.header.record_count = static_cast<int32_t>(records.size());
  batch.header.last_offset_delta = batch.header.record_count - 1;
  for (const RawRecord& record : records) batch.section += record.Encode();
  return batch;
}

// "0a 0B" -> the two bytes. Blanks are skipped.
inline std::string FromHex(std::string_view text) {
  std::string out;
  int high = -1;
  for (const char c : text) {
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<char>(high * 16 + digit));
      high = -1;
    }
  }
  return out;
}

}  // namespace catamaran::testing
