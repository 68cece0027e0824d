#include "client/cli/record_reader.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "client/cli/document.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

using Piece = RecordTemplate::Piece;
using Mode = RecordReaderOptions::Mode;

// Bytes that were read are dropped from the buffer when there are so many of them.
constexpr size_t kCompactBytes = 1 << 20;

int CountOf(std::string_view text, std::string_view part) {
  int count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

// The bytes that `text` stands for; nullopt and why if it isn't well-formed.
std::optional<std::string> DecodeBytes(std::string_view text, FieldEncoding encoding,
                                       std::string* why) {
  std::optional<std::string> bytes =
      encoding == FieldEncoding::kHex ? FromHex(text) : FromBase64(text);
  if (!bytes.has_value()) {
    *why = encoding == FieldEncoding::kHex ? "it is no hex" : "it is no base64";
  }
  return bytes;
}

// What {json} wrote: a string, null, or {"base64":"..."}.
bool ReadJsonBytes(std::string_view text, InputRecord* record,
                   std::optional<std::string_view>* bytes, std::string* why) {
  std::optional<Value> value = ReadJson(text, why);
  if (!value.has_value()) return false;
  if (value->is_null()) return true;
  if (const std::string* string = value->string(); string != nullptr) {
    *bytes = record->Keep(*string);
    return true;
  }
  const Value* encoded =
      value->object() != nullptr && value->object()->size() == 1 ? value->Find("base64") : nullptr;
  std::optional<std::string> decoded;
  if (encoded != nullptr && encoded->string() != nullptr) decoded = FromBase64(*encoded->string());
  if (!decoded.has_value()) {
    *why = "it must be a JSON string, null, or {\"base64\":\"...\"}";
    return false;
  }
  *bytes = record->Keep(std::move(*decoded));
  return true;
}

// A key or value of a template.
bool ReadBytes(std::string_view text, const Piece& piece, InputRecord* record, std::string* why) {
  std::optional<std::string_view>& bytes =
      *piece.field == RecordField::kKey ? record->key : record->value;
  if (piece.encoding == FieldEncoding::kJson) {
    return ReadJsonBytes(text, record, &bytes, why);
  }
  // An empty key is no key: that is how consume writes a record without one.
  if (text.empty() && *piece.field == RecordField::kKey) return true;
  if (piece.encoding == FieldEncoding::kPlain) {
    bytes = text;
    return true;
  }
  std::optional<std::string> decoded = DecodeBytes(text, piece.encoding, why);
  if (!decoded.has_value()) return false;
  bytes = record->Keep(std::move(*decoded));
  return true;
}

bool ReadPartition(std::string_view text, InputRecord* record, std::string* why) {
  std::optional<int64_t> number = ParseInt64(text);
  if (!number.has_value() || *number < 0 || *number > INT32_MAX) {
    *why = "it is no partition number";
    return false;
  }
  record->partition = PartitionIndex(static_cast<int32_t>(*number));
  return true;
}

bool ReadTime(std::string_view text, InputRecord* record, std::string* why) {
  if (text.empty() || text == "-1" || text == "-") return true;  // how "no time" is written
  std::optional<TimestampMs> time = ParseTimestamp(text);
  if (!time.has_value()) {
    *why = "it is no time (milliseconds since 1970 or RFC 3339)";
    return false;
  }
  record->timestamp = *time;
  return true;
}

bool ReadField(std::string_view text, const Piece& piece, InputRecord* record, std::string* why) {
  switch (*piece.field) {
    case RecordField::kKey:
    case RecordField::kValue:
      return ReadBytes(text, piece, record, why);
    case RecordField::kHeaders:
      return ReadHeaders(text, piece.encoding, record, why);
    case RecordField::kPartition:
      return ReadPartition(text, record, why);
    case RecordField::kTime:
      return ReadTime(text, record, why);
    case RecordField::kTopic:
    case RecordField::kOffset:
      return true;  // said by the command and the broker
  }
  return true;
}

std::string_view NameOf(RecordField field) {
  constexpr std::string_view kNames[] = {"%t", "%p", "%o", "%k", "%v", "%h", "%T"};
  return kNames[static_cast<size_t>(field)];
}

// Matches `text` against pieces that alternate between literals and fields.
bool ReadPieces(std::string_view text, const std::vector<Piece>& pieces, InputRecord* record,
                std::string* why) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (!piece.field.has_value()) {
      if (text.substr(0, piece.literal.size()) != piece.literal) {
        *why = Cat({"\"", Printable(piece.literal), "\" of the template isn't there"});
        return false;
      }
      text.remove_prefix(piece.literal.size());
      continue;
    }
    bool last = i + 1 == pieces.size();
    size_t end = last ? text.size() : text.find(pieces[i + 1].literal);
    if (end == text.npos) {
      *why = Cat({"\"", Printable(pieces[i + 1].literal), "\" of the template isn't there"});
      return false;
    }
    if (!ReadField(text.substr(0, end), piece, record, why)) {
      *why = Cat({NameOf(*piece.field), ": ", *why});
      return false;
    }
    text.remove_prefix(end);
  }
  if (text.empty()) return true;
  *why = Cat({"\"", PrintableCut(text, 20), "\" is left over behind the template"});
  return false;
}

}  // namespace

void InputRecord::Clear() {
  partition.reset();
  key.reset();
  value.reset();
  headers.clear();
  timestamp = kNoTimestamp;
  storage.clear();
}

absl::Status ValidateReadable(const RecordTemplate& format) {
  bool any = false;
  bool field_before = false;
  for (const Piece& piece : format.pieces()) {
    bool field = piece.field.has_value();
    if (field && field_before) {
      return MakeError(Reason::kInvalidArgument,
                       "Two fields of the template touch, so nobody can tell where one ends: put "
                       "something between them, e.g. '%k\\t%v\\n'.");
    }
    any |= field;
    field_before = field;
  }
  if (any) return absl::OkStatus();
  return MakeError(Reason::kInvalidArgument,
                   "The template has no field to read: use %k, %v, %h, %p or %T.");
}

bool ReadHeaders(std::string_view text, FieldEncoding encoding, InputRecord* record,
                 std::string* why) {
  if (encoding == FieldEncoding::kJson) {
    return ReadJsonHeaders(text, record, why);
  }
  if (text.empty()) return true;
  for (const std::string& part : Split(text, ',')) {
    std::string_view kept = record->Keep(part);
    size_t equals = kept.find('=');
    RecordHeader header{kept.substr(0, equals), std::nullopt};
    if (header.key.empty() || !IsUtf8(header.key)) {
      *why = "a header's name must be UTF-8 and not empty";
      return false;
    }
    if (equals != kept.npos) {
      header.value = kept.substr(equals + 1);
      if (encoding != FieldEncoding::kPlain) {
        std::optional<std::string> bytes = DecodeBytes(*header.value, encoding, why);
        if (!bytes.has_value()) return false;
        header.value = record->Keep(std::move(*bytes));
      }
    }
    record->headers.push_back(header);
  }
  return true;
}

RecordReader::RecordReader(RecordReaderOptions options) : options_(std::move(options)) {
  terminator_ = options_.mode == Mode::kDelimited ? options_.delimiter : "\n";
  if (options_.mode == Mode::kTemplate) {
    pieces_ = options_.format.pieces();
    if (!pieces_.empty() && !pieces_.back().field.has_value()) {
      terminator_ = pieces_.back().literal;
      pieces_.pop_back();
    }
    // A terminator that the template has inside ends the record only when it comes once more.
    for (const Piece& piece : pieces_) terminators_inside_ += CountOf(piece.literal, terminator_);
  }
  CATAMARAN_CHECK(!terminator_.empty(), "the arguments' parser refuses an empty delimiter");
}

void RecordReader::Feed(std::string_view bytes) {
  if (at_ >= kCompactBytes || at_ == buffer_.size()) {
    buffer_.erase(0, at_);
    searched_ -= at_;
    at_ = 0;
  }
  buffer_.append(bytes);
}

absl::StatusOr<bool> RecordReader::NextFrame(std::string_view* frame,
                                             std::string_view* terminator) {
  std::string_view all = buffer_;
  while (true) {
    size_t end = all.find(terminator_, searched_);
    if (end == all.npos) break;
    searched_ = end + terminator_.size();
    if (seen_inside_ < terminators_inside_) {
      ++seen_inside_;
      continue;
    }
    *frame = all.substr(at_, end - at_);
    *terminator = all.substr(end, terminator_.size());
    at_ = searched_;
    seen_inside_ = 0;
    frame_line_ = lines_read_ + 1;
    lines_read_ += 1 + terminators_inside_;
    return true;
  }
  if (all.size() - at_ > kRecordTextBytesMax) {
    return MakeError(Reason::kInvalidRecord,
                     Cat({"Record ", std::to_string(records_read_ + 1), " has no end within ",
                          std::to_string(kRecordTextBytesMax), " bytes: check --delimiter."}));
  }
  if (finished_ && at_ < all.size()) {
    *frame = all.substr(at_);
    *terminator = {};
    at_ = searched_ = all.size();
    seen_inside_ = 0;
    frame_line_ = lines_read_ + 1;
    return true;
  }
  // The terminator may be cut in two by the end of what was fed.
  size_t overlap = terminator_.size() - 1;
  if (all.size() > searched_ + overlap) searched_ = all.size() - overlap;
  return false;
}

absl::Status RecordReader::ReadFrame(std::string_view frame, std::string_view terminator,
                                     InputRecord* record) {
  std::string why;
  bool ok = true;
  switch (options_.mode) {
    case Mode::kTemplate:
      ok = ReadPieces(frame, pieces_, record, &why);
      break;
    case Mode::kJson:
      ok = ReadJsonRecord(frame, record, &why);
      break;
    case Mode::kDelimited: {
      // The terminator stands right behind the frame, in one buffer.
      if (options_.keep_delimiter) frame = {frame.data(), frame.size() + terminator.size()};
      if (!options_.key_separator.has_value()) {
        record->value = frame;
        break;
      }
      size_t end = frame.find(*options_.key_separator);
      ok = end != frame.npos;
      if (!ok) {
        why = Cat({"it has no key separator \"", Printable(*options_.key_separator), "\""});
        break;
      }
      if (end > 0) record->key = frame.substr(0, end);
      record->value = frame.substr(end + options_.key_separator->size());
      break;
    }
  }
  if (ok) return absl::OkStatus();
  std::string number = std::to_string(records_read_);
  std::string line = terminator_ == "\n" ? std::to_string(frame_line_) : "";
  ErrorMetadata metadata = {{"record_number", number}};
  if (!line.empty()) metadata.emplace_back("line_number", line);
  return MakeError(
      Reason::kInvalidRecord,
      Cat({"Record ", number, " of the input", line.empty() ? "" : Cat({" (line ", line, ")"}),
           " can't be read: ", why, "."}),
      std::move(metadata));
}

absl::StatusOr<bool> RecordReader::Next(InputRecord* record) {
  record->Clear();
  std::string_view frame, terminator;
  while (true) {
    absl::StatusOr<bool> found = NextFrame(&frame, &terminator);
    if (!found.ok() || !*found) return found;
    bool blank = frame.find_first_not_of(" \t\r") == frame.npos;
    if (options_.mode != Mode::kJson || !blank) break;
  }
  ++records_read_;
  absl::Status status = ReadFrame(frame, terminator, record);
  if (!status.ok()) return status;
  return true;
}

}  // namespace catamaran::cli
