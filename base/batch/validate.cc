#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/batch/batch.h"
#include "base/batch/record_parser.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran {
namespace {

using namespace batch_internal;  // NOLINT: ParseRecord and its kin

// What a thread keeps for the next compressed batch.
constexpr size_t kRetainedScratchBytes = 4u << 20;

absl::Status Refuse(Reason reason, std::string_view sentence, ErrorMetadata metadata = {}) {
  return MakeError(reason, sentence, std::move(metadata));
}

absl::Status RefuseRecord(Reason reason, int32_t index, const std::string& what) {
  return MakeError(reason,
                   absl::StrCat("Record ", index, " of the batch ", what,
                                ". Nothing of the batch was stored; mend the record and send the "
                                "batch again."),
                   {{"record_index", absl::StrCat(index)}});
}

// a + b, held at the ends of the range.
int64_t AddSaturated(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = at + text.size();
  while (at < end) {
    const unsigned first = *at++;
    if (first < 0x80) continue;
    if (first < 0xc2 || first > 0xf4) return false;
    const int more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (end - at < more) return false;
    unsigned low = 0x80, high = 0xbf;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    for (int i = 0; i < more; ++i) {
      if (*at < low || *at > high) return false;
      ++at;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

absl::Status CheckAttributes(const BatchHeader& header) {
  constexpr int kUsedBits = 0x7f;
  if ((header.attributes & ~kUsedBits) != 0) {
    return Refuse(Reason::kInvalidRecord,
                  "The batch sets attribute bits that have no meaning. Set them to zero.",
                  {{"attributes", absl::StrCat(header.attributes)}});
  }
  if (static_cast<int>(header.codec()) >= kCodecs) {
    return Refuse(Reason::kUnsupportedCompression,
                  absl::StrCat("Codec number ", static_cast<int>(header.codec()),
                               " is unknown. Use none, gzip, snappy, lz4 or zstd."),
                  {{"codec", absl::StrCat(static_cast<int>(header.codec()))}});
  }
  if (header.is_control()) {
    return Refuse(Reason::kInvalidRecord,
                  "A control batch can't be produced by a client. Clear the control bit.");
  }
  if (header.has_delete_horizon()) {
    return Refuse(Reason::kInvalidRecord,
                  "Only compaction sets the delete horizon. Clear attribute bit 6.");
  }
  if (header.timestamp_type() == TimestampType::kLogAppendTime) {
    return Refuse(Reason::kInvalidTimestamp,
                  "Only the broker sets log-append time. Clear attribute bit 3 and send the "
                  "records' create times.");
  }
  return absl::OkStatus();
}

absl::Status CheckHeader(const BatchHeader& header) {
  CATAMARAN_RETURN_IF_ERROR(CheckAttributes(header));
  if (header.base_offset.value() != 0) {
    return Refuse(Reason::kInvalidRecord,
                  "The broker gives offsets. Send batches with base offset 0.",
                  {{"base_offset", absl::StrCat(header.base_offset.value())}});
  }
  if (header.record_count <= 0 || int64_t{header.last_offset_delta} + 1 != header.record_count) {
    return Refuse(Reason::kInvalidRecord,
                  "The batch must count at least one record, and its last offset delta must be the "
                  "count less one. Encode it again.",
                  {{"record_count", absl::StrCat(header.record_count)},
                   {"last_offset_delta", absl::StrCat(header.last_offset_delta)}});
  }
  // Without an id the epoch and sequence are ignored: some clients leave zeros there.
  const bool producer_valid =
      header.has_producer()
          ? header.producer_epoch.value() >= 0 && header.base_sequence.value() >= 0
          : header.producer_id == kNoProducerId && !header.is_transactional();
  if (!producer_valid) {
    return Refuse(Reason::kInvalidRecord,
                  "A producer id needs an epoch and a sequence that aren't negative, and a "
                  "transactional batch needs a producer id. Take an id from InitProducerId.",
                  {{"producer_id", absl::StrCat(header.producer_id.value())},
                   {"producer_epoch", absl::StrCat(header.producer_epoch.value())},
                   {"base_sequence", absl::StrCat(header.base_sequence.value())}});
  }
  return absl::OkStatus();
}

// One pass over the records. Nothing is allocated unless the batch is refused.
class RecordChecker {
 public:
  RecordChecker(const BatchHeader& header, const ValidationOptions& options)
      : header_(header),
        options_(options),
        create_time_(options.timestamp_type == TimestampType::kCreateTime),
        earliest_(options.timestamp_before_max_ms == INT64_MAX
                      ? 0  // no bound: no timestamp but -1 is negative
                      : std::max<int64_t>(0, AddSaturated(options.now.value(),
                                                          -options.timestamp_before_max_ms))),
        latest_(AddSaturated(options.now.value(), options.timestamp_after_max_ms)) {}

  absl::Status Check(std::string_view section) {
    const char* at = section.data();
    const char* end = at + section.size();
    if (static_cast<size_t>(header_.record_count) > section.size() / kRecordBytesMin) {
      return Refuse(Reason::kCorruptBatch,
                    "The batch counts more records than it has bytes for. Encode it again.",
                    {{"record_count", absl::StrCat(header_.record_count)}});
    }
    ParsedRecord record;
    for (int32_t i = 0; i < header_.record_count; ++i) {
      if (const char* problem = ParseRecord(at, end, &record); problem != nullptr) [[unlikely]] {
        return RefuseRecord(Reason::kCorruptBatch, i, problem);
      }
      if (!IsPlain(record, i)) [[unlikely]] {
        CATAMARAN_RETURN_IF_ERROR(CheckClosely(record, i));
      }
      at = record.end;
    }
    if (at != end) {
      return Refuse(Reason::kCorruptBatch,
                    "The batch holds bytes after its last record. Encode it again.",
                    {{"bytes_left", absl::StrCat(end - at)}});
    }
    return CheckMaxTimestamp();
  }

 private:
  // The usual record passes here; CheckClosely says what is wrong with one that doesn't.
  bool IsPlain(const ParsedRecord& record, int32_t index) {
    int64_t timestamp;
    if (__builtin_add_overflow(header_.base_timestamp.value(), record.timestamp_delta,
                               &timestamp)) {
      return false;
    }
    if (timestamp > max_timestamp_) max_timestamp_ = timestamp;
    return record.attributes == 0 && record.offset_delta == index &&
           (record.key.has_value() || !options_.key_required) && record.header_count == 0 &&
           timestamp >= 0 && (!create_time_ || (timestamp >= earliest_ && timestamp <= latest_));
  }

  absl::Status CheckClosely(const ParsedRecord& record, int32_t index) const {
    if (record.attributes != 0) {
      return RefuseRecord(Reason::kInvalidRecord, index,
                          "sets record attributes; none are defined");
    }
    if (record.offset_delta != index) {
      return RefuseRecord(Reason::kInvalidRecord, index,
                          absl::StrCat("has offset delta ", record.offset_delta,
                                       ", which must be its index in the batch"));
    }
    if (options_.key_required && !record.key.has_value()) {
      return RefuseRecord(Reason::kInvalidRecord, index,
                          "has no key, which a compacted topic requires");
    }
    CATAMARAN_RETURN_IF_ERROR(CheckTimestamp(record, index));
    const char* problem = VisitHeaders(
        record, [](std::string_view key, std::optional<std::string_view>) -> const char* {
          return IsUtf8(key) ? nullptr : kHeaderKeyNotUtf8;
        });
    if (problem == nullptr) return absl::OkStatus();
    return RefuseRecord(
        problem == kHeaderKeyNotUtf8 ? Reason::kInvalidRecord : Reason::kCorruptBatch, index,
        problem);
  }

  absl::Status CheckTimestamp(const ParsedRecord& record, int32_t index) const {
    int64_t timestamp;
    if (__builtin_add_overflow(header_.base_timestamp.value(), record.timestamp_delta,
                               &timestamp)) {
      return RefuseRecord(Reason::kInvalidTimestamp, index, "has a timestamp beyond 64 bits");
    }
    if (timestamp == kNoTimestamp.value()) return absl::OkStatus();
    if (timestamp < 0) {
      return RefuseRecord(Reason::kInvalidTimestamp, index,
                          absl::StrCat("has timestamp ", timestamp,
                                       "; use milliseconds since 1970, or -1 for none"));
    }
    if (create_time_ && (timestamp < earliest_ || timestamp > latest_)) {
      return RefuseRecord(
          Reason::kInvalidTimestamp, index,
          absl::StrCat("has timestamp ", timestamp, ", outside ", earliest_, " to ", latest_,
                       " that message.timestamp.before.max.ms and message.timestamp.after.max.ms "
                       "allow now"));
    }
    return absl::OkStatus();
  }

  // A broker that trusted a wrong maximum would answer look-ups by time wrongly for ever; mending
  // it would mean to rewrite bytes under the CRC. Log-append time overwrites it anyway.
  absl::Status CheckMaxTimestamp() const {
    if (!create_time_ || header_.max_timestamp.value() == max_timestamp_) return absl::OkStatus();
    return Refuse(Reason::kInvalidTimestamp,
                  "The batch's max timestamp isn't the greatest of its records' timestamps. Encode "
                  "it again.",
                  {{"max_timestamp", absl::StrCat(header_.max_timestamp.value())},
                   {"expected", absl::StrCat(max_timestamp_)}});
  }

  static constexpr const char* kHeaderKeyNotUtf8 = "has a header key that isn't UTF-8";

  const BatchHeader& header_;
  const ValidationOptions& options_;
  const bool create_time_;
  const int64_t earliest_;
  const int64_t latest_;
  int64_t max_timestamp_ = kNoTimestamp.value();  // of the records seen
};

absl::Status CheckSize(std::string_view bytes, const BatchHeader& header,
                       const ValidationOptions& options) {
  if (bytes.size() != header.size_bytes()) {
    return Refuse(Reason::kCorruptBatch,
                  "The bytes aren't exactly one record batch: its length field disagrees with "
                  "their number. Send one batch per partition.",
                  {{"length", absl::StrCat(header.length)}, {"size", absl::StrCat(bytes.size())}});
  }
  if (bytes.size() > options.batch_bytes_max) {
    return Refuse(
        Reason::kRecordTooLarge,
        absl::StrCat("The batch has ", bytes.size(),
                     " bytes, and the topic's "
                     "max.message.bytes is ",
                     options.batch_bytes_max, ". Send smaller batches or raise max.message.bytes."),
        {{"size", absl::StrCat(bytes.size())}, {"limit", absl::StrCat(options.batch_bytes_max)}});
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateProducedBatch(std::string_view bytes, const ValidationOptions& options) {
  CATAMARAN_ASSIGN_OR_RETURN(const BatchHeader header, ParseBatchHeader(bytes));
  CATAMARAN_RETURN_IF_ERROR(CheckSize(bytes, header, options));
  if (!BatchCrcMatches(bytes)) {
    return Refuse(
        Reason::kCorruptBatch,
        "The batch's CRC doesn't match its bytes: they were changed on their way. Send it "
        "again.",
        {{"crc", absl::StrCat(header.crc)}});
  }
  CATAMARAN_RETURN_IF_ERROR(CheckHeader(header));
  RecordChecker checker(header, options);
  const std::string_view section = bytes.substr(kBatchHeaderBytes);
  if (header.codec() == Codec::kNone) return checker.Check(section);

  thread_local std::string scratch;
  absl::Status status =
      DecompressTo(header.codec(), section, options.decompressed_bytes_max, &scratch);
  if (status.ok()) status = checker.Check(scratch);
  if (scratch.capacity() > kRetainedScratchBytes) std::string().swap(scratch);
  return status;
}

}  // namespace catamaran
