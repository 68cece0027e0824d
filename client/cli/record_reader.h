// Text to records: delimited values, templates, JSON lines. Push bytes in, take records out; pure.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "client/cli/record_template.h"

namespace catamaran::cli {

// Longest text of one record; a missing delimiter must not fill the memory.
inline constexpr size_t kRecordTextBytesMax = 64u << 20;

struct RecordReaderOptions {
  enum class Mode : uint8_t {
    kDelimited,  // a value, or key, key separator and value, up to each delimiter
    kTemplate,   // what `format` describes
    kJson,       // one JSON object a line; blank lines are passed over
  };
  Mode mode = Mode::kDelimited;
  std::string delimiter = "\n";              // kDelimited; not empty
  bool keep_delimiter = false;               // kDelimited: the delimiter stays part of the value
  std::optional<std::string> key_separator;  // kDelimited; not empty
  RecordTemplate format;                     // kTemplate
};

// OK, or InvalidArgument: a template that can't be read back because two fields touch, or that has
// no field.
absl::Status ValidateReadable(const RecordTemplate& format);

// A record as it was read. The views live until the next call of the reader.
struct InputRecord {
  std::optional<PartitionIndex> partition;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<RecordHeader> headers;
  TimestampMs timestamp = kNoTimestamp;

  void Clear();
  // Keeps `bytes` as long as the record.
  std::string_view Keep(std::string bytes) { return storage.emplace_back(std::move(bytes)); }

  std::deque<std::string> storage;
};

class RecordReader {
 public:
  explicit RecordReader(RecordReaderOptions options);

  void Feed(std::string_view bytes);
  void Finish() { finished_ = true; }  // no more bytes come: what is left is the last record

  // True with the next record in `record`; false when more bytes are needed, or after Finish() when
  // there are no more. An error (kInvalidRecord) names the record's number, the line that it begins
  // in where records end with a line, and the cause; the reader is then beyond it.
  absl::StatusOr<bool> Next(InputRecord* record);

  int64_t records_read() const { return records_read_; }

 private:
  // The next record's text without its terminator.
  absl::StatusOr<bool> NextFrame(std::string_view* frame, std::string_view* terminator);
  absl::Status ReadFrame(std::string_view frame, std::string_view terminator, InputRecord* record);

  const RecordReaderOptions options_;
  std::string terminator_;                     // ends a record's text ...
  int terminators_inside_ = 0;                 // ... after this many that are part of it
  std::vector<RecordTemplate::Piece> pieces_;  // kTemplate: those before the terminator

  std::string buffer_;
  size_t at_ = 0;        // Invariant: at_ <= buffer_.size(); what is before is read
  size_t searched_ = 0;  // no further terminator ends before here
  int seen_inside_ = 0;  // terminators of this record that are before searched_
  bool finished_ = false;
  int64_t records_read_ = 0;
  int64_t lines_read_ = 0;  // counted only where lines end records
  int64_t frame_line_ = 1;  // that the last frame begins in
};

// A JSON object as a record: "key", "value" (a string or null) or "key_base64", "value_base64";
// "headers" (an array of {"key","value"}, where again "_base64" may stand behind a name);
// "partition" (0 and up); "timestamp_ms" (-1 is none). "topic", "offset" and "leader_epoch" are
// passed over, so that what consume writes can be produced again. False and why otherwise: nothing
// is guessed, since a wrong guess would be stored for good.
bool ReadJsonRecord(std::string_view json, InputRecord* record, std::string* why);

// The "headers" of such an object.
bool ReadJsonHeaders(std::string_view json, InputRecord* record, std::string* why);

// "name=value,other=value"; a name without "=" has a null value. Values in `encoding`.
bool ReadHeaders(std::string_view text, FieldEncoding encoding, InputRecord* record,
                 std::string* why);

}  // namespace catamaran::cli
