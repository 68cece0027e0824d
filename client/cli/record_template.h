// How records look as text: templates such as '%k\t%v\n', and one JSON object a line. The same
// template reads what it wrote (client/cli/record_reader.h).
//
//   %t topic   %p partition   %o offset   %k key   %v value   %h headers   %T time   %% a per cent
// sign
//   %k{hex} %v{base64} %h{json}: the bytes as hex, base64 or JSON. %T{iso}: RFC 3339. As JSON,
//   bytes that aren't UTF-8 are {"base64":"..."}: nothing is lost. \n \t \r \0 \\ \xHH: that byte.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"

namespace catamaran::cli {

enum class RecordField : uint8_t {
  kTopic,
  kPartition,
  kOffset,
  kKey,
  kValue,
  kHeaders,
  kTime,
};
enum class FieldEncoding : uint8_t {
  kPlain,  // the bytes themselves; numbers in decimal, times in milliseconds
  kHex,
  kBase64,
  kJson,  // a JSON string, number, null, or an array of headers
  kIso,   // times only
};

class RecordTemplate {
 public:
  struct Piece {
    std::optional<RecordField> field;  // absent: `literal`
    FieldEncoding encoding = FieldEncoding::kPlain;
    std::string literal;
    bool operator==(const Piece&) const = default;
  };

  // InvalidArgument for an unknown token, modifier or escape. Neighbouring literals are one piece.
  static absl::StatusOr<RecordTemplate> Parse(std::string_view text);

  const std::vector<Piece>& pieces() const { return pieces_; }

 private:
  std::vector<Piece> pieces_;
};

// A record to show; the views live as long as the call.
struct RecordView {
  std::string_view topic;
  PartitionIndex partition;
  Offset offset;
  LeaderEpoch leader_epoch;
  TimestampMs timestamp = kNoTimestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::span<const RecordHeader> headers;
};

void AppendRecord(std::string* out, const RecordTemplate& format, const RecordView& record);

// One JSON object and a line break. Keys and values that aren't UTF-8 stand as "key_base64",
// "value_base64", so that nothing is lost.
void AppendRecordJson(std::string* out, const RecordView& record);
// One YAML document, led by "---".
void AppendRecordYaml(std::string* out, const RecordView& record);
// "topic/partition/offset" and a line break.
void AppendRecordName(std::string* out, const RecordView& record);
// Aligned as far as a stream can be: partition, offset, time, key, value; all printable.
void AppendRecordWide(std::string* out, const RecordView& record);

}  // namespace catamaran::cli
