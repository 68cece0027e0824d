#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/batch/batch.h"
#include "base/batch/record_parser.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran {
namespace {

using namespace batch_internal;  // NOLINT: the positions of the header's fields

constexpr int16_t kTransactionalBit = 16;

// Kafka's attributes, lengths of key and value and the header count: 1 + 5 + 5 + 5; with the
// record's own length, timestamp delta and offset delta: 5 + 10 + 5 more.
constexpr size_t kRecordOverheadMax = 36;
constexpr size_t kRecordHeaderOverheadMax = 10;  // two lengths

// Room beyond the expected size: an eighth, since batches of one producer are about alike.
constexpr size_t kExpectedSlack = 8;
// A finished batch doesn't hold on to more than this beyond twice its size.
constexpr size_t kSpareBytesMax = 4096;

size_t SizeOf(std::optional<std::string_view> bytes) { return bytes ? bytes->size() : 0; }

// StoreVarint64 and VarintSize with the usual lengths inlined.
char* StoreVarint(char* at, int64_t value) {
  const uint64_t raw = ZigZagEncode(value);
  if (raw < 0x80) [[likely]] {
    *at = static_cast<char>(raw);
    return at + 1;
  }
  if (raw < 0x4000) {
    at[0] = static_cast<char>(raw | 0x80);
    at[1] = static_cast<char>(raw >> 7);
    return at + 2;
  }
  return StoreVarint64(at, value);
}

size_t VarintBytes(int64_t value) {
  const uint64_t raw = ZigZagEncode(value);
  if (raw < 0x80) [[likely]] {
    return 1;
  }
  return raw < 0x4000 ? 2 : static_cast<size_t>(VarintSize(value));
}

// Bytes of a nullable field with its length.
size_t EncodedSize(std::optional<std::string_view> bytes) {
  if (!bytes) return 1;
  return VarintBytes(static_cast<int64_t>(bytes->size())) + bytes->size();
}

char* StoreBytes(char* at, std::optional<std::string_view> bytes) {
  if (!bytes) return StoreVarint(at, -1);
  at = StoreVarint(at, static_cast<int64_t>(bytes->size()));
  if (!bytes->empty()) std::memcpy(at, bytes->data(), bytes->size());
  return at + bytes->size();
}

}  // namespace

// records_ begins with room for the header, so that an uncompressed batch is finished in place and
// handed out by moving it: each record's bytes are copied once, in Add.
BatchBuilder::BatchBuilder(const BatchBuilderOptions& options)
    : options_(options), records_(kBatchHeaderBytes, '\0') {}

size_t BatchBuilder::SizeAfter(std::optional<std::string_view> key,
                               std::optional<std::string_view> value,
                               const std::vector<RecordHeader>& headers) const {
  size_t size = uncompressed_bytes() + kRecordOverheadMax + SizeOf(key) + SizeOf(value);
  for (const RecordHeader& header : headers) {
    size += kRecordHeaderOverheadMax + header.key.size() + SizeOf(header.value);
  }
  return size;
}

void BatchBuilder::Add(TimestampMs timestamp, std::optional<std::string_view> key,
                       std::optional<std::string_view> value,
                       const std::vector<RecordHeader>& headers) {
  // Also keeps every length below 2^31.
  if (too_large_ || SizeAfter(key, value, headers) > kBatchBytesLimit) {
    too_large_ = true;
    return;
  }
  if (record_count_ == 0) {
    base_timestamp_ = max_timestamp_ = timestamp;
    // Saves growing step by step; taken only when the batch begins, so that a builder that waits
    // holds no memory.
    records_.reserve(options_.expected_bytes + options_.expected_bytes / kExpectedSlack);
  }
  max_timestamp_ = std::max(max_timestamp_, timestamp);
  // Wraps like Java's long; reading wraps back.
  const auto delta = static_cast<int64_t>(static_cast<uint64_t>(timestamp.value()) -
                                          static_cast<uint64_t>(base_timestamp_.value()));
  size_t length = 1 + VarintBytes(delta) + VarintBytes(record_count_) + EncodedSize(key) +
                  EncodedSize(value) + VarintBytes(static_cast<int64_t>(headers.size()));
  for (const RecordHeader& header : headers) {
    length += EncodedSize(header.key) + EncodedSize(header.value);
  }

  const size_t start = records_.size();
  const size_t size = VarintBytes(static_cast<int64_t>(length)) + length;
  records_.resize(start + size);
  char* at = StoreVarint(records_.data() + start, static_cast<int64_t>(length));
  *at++ = 0;  // record attributes: none are defined
  at = StoreVarint(at, delta);
  at = StoreVarint(at, record_count_);
  at = StoreBytes(at, key);
  at = StoreBytes(at, value);
  at = StoreVarint(at, static_cast<int64_t>(headers.size()));
  for (const RecordHeader& header : headers) {
    at = StoreBytes(at, header.key);
    at = StoreBytes(at, header.value);
  }
  CATAMARAN_CHECK(at == records_.data() + records_.size(),
                  "the record's size was foretold wrongly");
  ++record_count_;
}

void BatchBuilder::SetProducer(ProducerId id, ProducerEpoch epoch, Sequence base_sequence) {
  options_.producer_id = id;
  options_.producer_epoch = epoch;
  options_.base_sequence = base_sequence;
}

absl::StatusOr<std::string> BatchBuilder::Build() {
  std::string records = std::move(records_);
  const int32_t record_count = record_count_;
  const TimestampMs base_timestamp = base_timestamp_;
  const TimestampMs max_timestamp = max_timestamp_;
  const bool too_large = too_large_;
  records_.assign(kBatchHeaderBytes, '\0');
  options_.expected_bytes = records.size();
  record_count_ = 0;
  base_timestamp_ = max_timestamp_ = kNoTimestamp;
  too_large_ = false;

  if (too_large) {
    return MakeError(Reason::kRecordTooLarge,
                     "The records don't fit into one batch. Send fewer or smaller records at once.",
                     {{"limit", absl::StrCat(kBatchBytesLimit)}});
  }
  CATAMARAN_CHECK(record_count > 0, "a batch has at least one record");

  std::string batch;
  if (options_.codec == Codec::kNone) {
    // Only refuses a level: there is nothing to compress.
    CATAMARAN_RETURN_IF_ERROR(CompressTo(Codec::kNone, "", options_.compression_level, &batch));
    batch = std::move(records);
    if (batch.capacity() > 2 * batch.size() + kSpareBytesMax) batch.shrink_to_fit();
  } else {
    batch.assign(kBatchHeaderBytes, '\0');
    CATAMARAN_RETURN_IF_ERROR(CompressTo(options_.codec,
                                         std::string_view(records).substr(kBatchHeaderBytes),
                                         options_.compression_level, &batch));
    if (batch.size() > kBatchBytesLimit) {
      return MakeError(Reason::kRecordTooLarge,
                       "The compressed records don't fit into one batch. Send fewer at once.",
                       {{"limit", absl::StrCat(kBatchBytesLimit)}});
    }
  }

  const auto attributes = static_cast<int16_t>(static_cast<int>(options_.codec) |
                                               (options_.transactional ? kTransactionalBit : 0));
  char* at = batch.data();
  StoreBigEndian<int64_t>(at, options_.base_offset.value());
  StoreBigEndian<int32_t>(at + kLengthAt,
                          static_cast<int32_t>(batch.size() - kBatchLengthPrefixBytes));
  StoreBigEndian<int32_t>(at + kLeaderEpochAt, kNoLeaderEpoch.value());
  at[kMagicAt] = kBatchMagic;
  StoreBigEndian<int16_t>(at + kAttributesAt, attributes);
  StoreBigEndian<int32_t>(at + kLastOffsetDeltaAt, record_count - 1);
  StoreBigEndian<int64_t>(at + kBaseTimestampAt, base_timestamp.value());
  StoreBigEndian<int64_t>(at + kMaxTimestampAt, max_timestamp.value());
  StoreBigEndian<int64_t>(at + kProducerIdAt, options_.producer_id.value());
  StoreBigEndian<int16_t>(at + kProducerEpochAt, options_.producer_epoch.value());
  StoreBigEndian<int32_t>(at + kBaseSequenceAt, options_.base_sequence.value());
  StoreBigEndian<int32_t>(at + kRecordCountAt, record_count);
  StoreBigEndian<uint32_t>(at + kCrcAt, Crc32c(std::string_view(batch).substr(kAttributesAt)));
  return batch;
}

}  // namespace catamaran
