#include "base/batch/batch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/batch/record_parser.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran {
namespace batch_internal {
namespace {

// Base-128 little-endian, without the zigzag.
const char* ParseBase128(const char* at, const char* end, int bytes_max, uint64_t* value) {
  uint64_t result = 0;
  for (int i = 0; i < bytes_max && at < end; ++i) {
    const uint64_t byte = static_cast<uint8_t>(*at++);
    // The tenth byte has room for one bit.
    if (i == 9 && byte > 1) return nullptr;
    result |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *value = result;
      return at;
    }
  }
  return nullptr;
}

}  // namespace

const char* ParseVarint64Slow(const char* at, const char* end, int64_t* value) {
  uint64_t raw;
  at = ParseBase128(at, end, 10, &raw);
  if (at != nullptr) *value = ZigZagDecode(raw);
  return at;
}

const char* ParseVarint32Slow(const char* at, const char* end, int32_t* value) {
  uint64_t raw;
  at = ParseBase128(at, end, 5, &raw);
  if (at == nullptr || raw > UINT32_MAX) return nullptr;
  *value = static_cast<int32_t>(ZigZagDecode(raw));
  return at;
}

}  // namespace batch_internal

namespace {

using namespace batch_internal;  // NOLINT: the positions of the header's fields

constexpr size_t kBatchLengthMin = kBatchHeaderBytes - kBatchLengthPrefixBytes;
constexpr int16_t kLogAppendTimeBit = 8;

absl::Status Corrupt(const std::string& what, ErrorMetadata metadata) {
  return MakeError(Reason::kCorruptBatch,
                   absl::StrCat("The record batch is damaged: ", what,
                                ". Encode or fetch it again, and check what lies between."),
                   std::move(metadata));
}

void RecomputeCrc(std::string* batch) {
  const uint32_t crc = Crc32c(std::string_view(*batch).substr(kAttributesAt));
  StoreBigEndian<uint32_t>(batch->data() + kCrcAt, crc);
}

}  // namespace

Sequence AddSequence(Sequence sequence, int32_t distance) {
  constexpr int64_t kSequences = int64_t{1} << 31;
  const int64_t sum = int64_t{sequence.value()} + distance;
  return Sequence(static_cast<int32_t>(((sum % kSequences) + kSequences) % kSequences));
}

Sequence BatchHeader::last_sequence() const {
  return base_sequence.value() < 0 ? kNoSequence : AddSequence(base_sequence, last_offset_delta);
}

absl::StatusOr<BatchHeader> ParseBatchHeader(std::string_view bytes) {
  if (bytes.size() < kBatchHeaderBytes) {
    return Corrupt(
        "it has fewer bytes than a header",
        {{"size", absl::StrCat(bytes.size())}, {"header_bytes", absl::StrCat(kBatchHeaderBytes)}});
  }
  const char* at = bytes.data();
  BatchHeader header;
  // Magic first: before version 2 other fields lie where the length's neighbours are.
  header.magic = static_cast<int8_t>(at[kMagicAt]);
  if (header.magic != kBatchMagic) {
    return Corrupt("its magic isn't 2", {{"magic", absl::StrCat(int{header.magic})}});
  }
  header.length = LoadBigEndian<int32_t>(at + kLengthAt);
  if (header.length < static_cast<int32_t>(kBatchLengthMin) ||
      header.size_bytes() > kBatchBytesLimit) {
    return Corrupt("its length is impossible", {{"length", absl::StrCat(header.length)},
                                                {"limit", absl::StrCat(kBatchBytesLimit)}});
  }
  header.base_offset = Offset(LoadBigEndian<int64_t>(at));
  header.leader_epoch = LeaderEpoch(LoadBigEndian<int32_t>(at + kLeaderEpochAt));
  header.crc = LoadBigEndian<uint32_t>(at + kCrcAt);
  header.attributes = LoadBigEndian<int16_t>(at + kAttributesAt);
  header.last_offset_delta = LoadBigEndian<int32_t>(at + kLastOffsetDeltaAt);
  header.base_timestamp = TimestampMs(LoadBigEndian<int64_t>(at + kBaseTimestampAt));
  header.max_timestamp = TimestampMs(LoadBigEndian<int64_t>(at + kMaxTimestampAt));
  header.producer_id = ProducerId(LoadBigEndian<int64_t>(at + kProducerIdAt));
  header.producer_epoch = ProducerEpoch(LoadBigEndian<int16_t>(at + kProducerEpochAt));
  header.base_sequence = Sequence(LoadBigEndian<int32_t>(at + kBaseSequenceAt));
  header.record_count = LoadBigEndian<int32_t>(at + kRecordCountAt);
  return header;
}

bool BatchCrcMatches(std::string_view bytes) {
  return bytes.size() >= kBatchHeaderBytes &&
         LoadBigEndian<uint32_t>(bytes.data() + kCrcAt) == Crc32c(bytes.substr(kAttributesAt));
}

void PatchBaseOffset(char* batch, Offset base_offset) {
  StoreBigEndian<int64_t>(batch, base_offset.value());
}

void PatchLeaderEpoch(char* batch, LeaderEpoch epoch) {
  StoreBigEndian<int32_t>(batch + kLeaderEpochAt, epoch.value());
}

void PatchLogAppendTime(std::string* batch, TimestampMs now) {
  CATAMARAN_CHECK(batch->size() >= kBatchHeaderBytes, "a whole batch is needed");
  const auto attributes = LoadBigEndian<int16_t>(batch->data() + kAttributesAt);
  StoreBigEndian<int16_t>(batch->data() + kAttributesAt,
                          static_cast<int16_t>(attributes | kLogAppendTimeBit));
  StoreBigEndian<int64_t>(batch->data() + kMaxTimestampAt, now.value());
  RecomputeCrc(batch);
}

void RewriteProducer(std::string* batch, ProducerId id, ProducerEpoch epoch,
                     Sequence base_sequence) {
  CATAMARAN_CHECK(batch->size() >= kBatchHeaderBytes, "a whole batch is needed");
  StoreBigEndian<int64_t>(batch->data() + kProducerIdAt, id.value());
  StoreBigEndian<int16_t>(batch->data() + kProducerEpochAt, epoch.value());
  StoreBigEndian<int32_t>(batch->data() + kBaseSequenceAt, base_sequence.value());
  RecomputeCrc(batch);
}

absl::StatusOr<BatchRecords> BatchRecords::Open(std::string_view bytes,
                                                size_t decompressed_bytes_max) {
  BatchRecords batch;
  CATAMARAN_ASSIGN_OR_RETURN(batch.header_, ParseBatchHeader(bytes));
  if (bytes.size() != batch.header_.size_bytes()) {
    return Corrupt(
        "its length field disagrees with its size",
        {{"length", absl::StrCat(batch.header_.length)}, {"size", absl::StrCat(bytes.size())}});
  }
  batch.plain_ = bytes.substr(kBatchHeaderBytes);
  // A batch that compaction emptied keeps its attributes but no compressed stream.
  if (batch.header_.codec() != Codec::kNone && !batch.plain_.empty()) {
    CATAMARAN_RETURN_IF_ERROR(DecompressTo(batch.header_.codec(), batch.plain_,
                                           decompressed_bytes_max, &batch.decompressed_));
    batch.plain_ = {};
  }
  return batch;
}

std::string_view BatchRecords::section() const {
  return header_.codec() == Codec::kNone ? plain_ : std::string_view(decompressed_);
}

RecordIterator BatchRecords::begin_reading() const {
  RecordIterator iterator;
  iterator.batch_ = this;
  iterator.at_ = section().data();
  return iterator;
}

absl::StatusOr<std::vector<Record>> BatchRecords::ReadAll() const {
  std::vector<Record> records;
  const size_t records_max = section().size() / kRecordBytesMin;
  records.reserve(std::min(records_max, static_cast<size_t>(std::max(header_.record_count, 0))));
  RecordIterator iterator = begin_reading();
  for (Record record; iterator.Next(&record); record = Record()) {
    records.push_back(std::move(record));
  }
  CATAMARAN_RETURN_IF_ERROR(iterator.status());
  return records;
}

bool RecordIterator::Fail(const char* what) {
  status_ =
      Corrupt(absl::StrCat("record ", index_, " ", what), {{"record_index", absl::StrCat(index_)}});
  return false;
}

bool RecordIterator::Next(Record* record) {
  if (!status_.ok() || batch_ == nullptr) return false;
  const BatchHeader& header = batch_->header_;
  const std::string_view section = batch_->section();
  const char* end = section.data() + section.size();
  if (index_ >= header.record_count) {
    if (header.record_count < 0) return Fail("can't be: the record count is negative");
    return at_ == end ? false : Fail("isn't counted by the header: bytes are left over");
  }
  ParsedRecord parsed;
  if (const char* problem = ParseRecord(at_, end, &parsed); problem != nullptr) {
    return Fail(problem);
  }
  // Compaction leaves gaps, but never turns the order round.
  if (parsed.offset_delta <= last_delta_ || parsed.offset_delta > header.last_offset_delta) {
    return Fail("has an offset delta out of order or beyond the batch's last");
  }
  record->headers.clear();
  const char* problem = VisitHeaders(
      parsed, [record](std::string_view key, std::optional<std::string_view> value) -> const char* {
        record->headers.push_back({key, value});
        return nullptr;
      });
  if (problem != nullptr) return Fail(problem);
  record->offset = header.base_offset + parsed.offset_delta;
  // Wraps like Java's long, so that the extremes survive a round trip.
  record->timestamp =
      header.timestamp_type() == TimestampType::kLogAppendTime
          ? header.max_timestamp
          : TimestampMs(static_cast<int64_t>(static_cast<uint64_t>(header.base_timestamp.value()) +
                                             static_cast<uint64_t>(parsed.timestamp_delta)));
  record->key = parsed.key;
  record->value = parsed.value;
  last_delta_ = parsed.offset_delta;
  at_ = parsed.end;
  ++index_;
  return true;
}

}  // namespace catamaran
