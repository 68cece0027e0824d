// The inner loop that reading and validating share: one record taken apart in place, without
// copying and without allocating. Internal to base/batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/varint.h"

namespace catamaran::batch_internal {

// length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte
// each at the least. Bounds how many records a section can hold, whatever the header claims.
inline constexpr size_t kRecordBytesMin = 7;
// A header's two lengths.
inline constexpr size_t kRecordHeaderBytesMin = 2;

// Positions of the fields of the batch header; docs/formats.md.
inline constexpr size_t kLengthAt = 8;
inline constexpr size_t kLeaderEpochAt = 12;
inline constexpr size_t kMagicAt = 16;
inline constexpr size_t kCrcAt = 17;
inline constexpr size_t kAttributesAt = 21;
inline constexpr size_t kLastOffsetDeltaAt = 23;
inline constexpr size_t kBaseTimestampAt = 27;
inline constexpr size_t kMaxTimestampAt = 35;
inline constexpr size_t kProducerIdAt = 43;
inline constexpr size_t kProducerEpochAt = 51;
inline constexpr size_t kBaseSequenceAt = 53;
inline constexpr size_t kRecordCountAt = 57;

// The cases that the inlined readers below leave over. nullptr when the varint is cut off, longer
// than 10 (5) bytes or outside 64 (32) bits. As Kafka does, accepts padded forms such as 80 00.
const char* ParseVarint64Slow(const char* at, const char* end, int64_t* value);
const char* ParseVarint32Slow(const char* at, const char* end, int32_t* value);

// Each returns the position after the varint, or nullptr. Up to three bytes (lengths below 1 MiB)
// are read inline.
template <class Int, const char* (*slow)(const char*, const char*, Int*)>
[[gnu::always_inline]] inline const char* ParseVarint(const char* at, const char* end, Int* value) {
  if (at < end) [[likely]] {
    const uint32_t first = static_cast<uint8_t>(at[0]);
    if (first < 0x80) [[likely]] {
      *value = static_cast<Int>(ZigZagDecode(first));
      return at + 1;
    }
    if (end - at >= 3) [[likely]] {
      const uint32_t second = static_cast<uint8_t>(at[1]);
      if (second < 0x80) {
        *value = static_cast<Int>(ZigZagDecode((first & 0x7f) | (second << 7)));
        return at + 2;
      }
      const uint32_t third = static_cast<uint8_t>(at[2]);
      if (third < 0x80) {
        *value =
            static_cast<Int>(ZigZagDecode((first & 0x7f) | ((second & 0x7f) << 7) | (third << 14)));
        return at + 3;
      }
    }
  }
  return slow(at, end, value);
}
[[gnu::always_inline]] inline const char* ParseVarint64(const char* at, const char* end,
                                                        int64_t* value) {
  return ParseVarint<int64_t, ParseVarint64Slow>(at, end, value);
}
[[gnu::always_inline]] inline const char* ParseVarint32(const char* at, const char* end,
                                                        int32_t* value) {
  return ParseVarint<int32_t, ParseVarint32Slow>(at, end, value);
}

// Reads a length and as many bytes; length -1 is null. nullptr when it lies.
[[gnu::always_inline]] inline const char* ParseBytes(const char* at, const char* end,
                                                     std::optional<std::string_view>* bytes) {
  int32_t length;
  at = ParseVarint32(at, end, &length);
  if (at == nullptr) return nullptr;
  if (length < 0) {
    *bytes = std::nullopt;
    return length == -1 ? at : nullptr;
  }
  if (length > end - at) return nullptr;
  *bytes = std::string_view(at, static_cast<size_t>(length));
  return at + length;
}

// One record, taken apart. The views point into the section. Nothing is cleared beforehand, because
// that took a third of the time of validating: only what ParseRecord accepted may be read.
struct ParsedRecord {
  int8_t attributes;
  int64_t timestamp_delta;
  int32_t offset_delta;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  int32_t header_count;
  const char* headers;  // [headers, end) holds exactly the headers, see VisitHeaders
  const char* end;
};

// Takes the record at `at` apart, all but its headers. nullptr when it is well-formed, else what is
// wrong, to follow "record N ". Doesn't look at the headers' bytes: VisitHeaders must follow.
// Always inlined, so that `record` stays in registers: half of the cost of validating small
// records.
[[gnu::always_inline]] inline const char* ParseRecord(const char* at, const char* end,
                                                      ParsedRecord* record) {
  int32_t length;
  at = ParseVarint32(at, end, &length);
  if (at == nullptr) return "has no readable length";
  if (length < 0 || length > end - at) return "has a length beyond the end of the batch";
  end = at + length;
  record->end = end;
  if (at == end) return "is empty";
  record->attributes = static_cast<int8_t>(*at++);
  at = ParseVarint64(at, end, &record->timestamp_delta);
  if (at == nullptr) return "has no readable timestamp delta";
  at = ParseVarint32(at, end, &record->offset_delta);
  if (at == nullptr) return "has no readable offset delta";
  at = ParseBytes(at, end, &record->key);
  if (at == nullptr) return "has a key that goes beyond its end";
  at = ParseBytes(at, end, &record->value);
  if (at == nullptr) return "has a value that goes beyond its end";
  at = ParseVarint32(at, end, &record->header_count);
  if (at == nullptr) return "has no readable header count";
  record->headers = at;
  if (record->header_count == 0) return at == end ? nullptr : "is shorter than its length says";
  const size_t headers_max = static_cast<size_t>(end - at) / kRecordHeaderBytesMin;
  if (record->header_count < 0 || static_cast<size_t>(record->header_count) > headers_max) {
    return "counts more headers than it has bytes for";
  }
  return nullptr;
}

// Calls visit(key, optional value) per header. nullptr when all are well-formed and end where the
// record ends and every call returned nullptr, else what is wrong.
template <class Visit>
inline const char* VisitHeaders(const ParsedRecord& record, Visit&& visit) {
  const char* at = record.headers;
  for (int32_t i = 0; i < record.header_count; ++i) {
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    at = ParseBytes(at, record.end, &key);
    if (at == nullptr || !key.has_value()) return "has a header without a readable key";
    at = ParseBytes(at, record.end, &value);
    if (at == nullptr) return "has a header value that goes beyond its end";
    if (const char* problem = visit(*key, value); problem != nullptr) return problem;
  }
  return at == record.end ? nullptr : "is shorter than its length says";
}

}  // namespace catamaran::batch_internal
