#include "client/cli/record_template.h"

#include <algorithm>

#include "base/error.h"
#include "client/cli/document.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

using Piece = RecordTemplate::Piece;

constexpr size_t kWideValueColumns = 80;
constexpr size_t kWideKeyColumns = 24;

std::optional<RecordField> FieldOf(char token) {
  switch (token) {
    case 't':
      return RecordField::kTopic;
    case 'p':
      return RecordField::kPartition;
    case 'o':
      return RecordField::kOffset;
    case 'k':
      return RecordField::kKey;
    case 'v':
      return RecordField::kValue;
    case 'h':
      return RecordField::kHeaders;
    case 'T':
      return RecordField::kTime;
    default:
      return std::nullopt;
  }
}

std::optional<FieldEncoding> EncodingOf(std::string_view name, RecordField field) {
  if (name == "hex") return FieldEncoding::kHex;
  if (name == "base64") return FieldEncoding::kBase64;
  if (name == "json") return FieldEncoding::kJson;
  if (name == "iso" && field == RecordField::kTime) return FieldEncoding::kIso;
  return std::nullopt;
}

absl::Status BadTemplate(std::string_view what) {
  return MakeError(
      Reason::kInvalidArgument,
      Cat({what,
           " Tokens: %t %p %o %k %v %h %T %%; modifiers: {hex} {base64} {json}, for %T "
           "also {iso}; escapes: \\n \\t \\r \\0 \\\\ \\xHH."}));
}

void AppendLiteral(std::vector<Piece>* pieces, std::string_view literal) {
  if (!pieces->empty() && !pieces->back().field.has_value()) {
    pieces->back().literal.append(literal);
    return;
  }
  pieces->push_back({std::nullopt, FieldEncoding::kPlain, std::string(literal)});
}

// Takes "%k{hex}" off the front of `text`, which begins with '%'.
absl::Status TakeToken(std::string_view* text, std::vector<Piece>* pieces) {
  if (text->size() < 2) return BadTemplate("The template ends with a lone %.");
  char token = (*text)[1];
  text->remove_prefix(2);
  if (token == '%') {
    AppendLiteral(pieces, "%");
    return absl::OkStatus();
  }
  std::optional<RecordField> field = FieldOf(token);
  if (!field.has_value()) {
    return BadTemplate(Cat({"The template has an unknown token %", Printable({&token, 1}), "."}));
  }
  Piece piece{*field, FieldEncoding::kPlain, ""};
  if (!text->empty() && text->front() == '{') {
    size_t end = text->find('}');
    std::string_view name = text->substr(1, end == text->npos ? text->npos : end - 1);
    std::optional<FieldEncoding> encoding = EncodingOf(name, *field);
    if (end == text->npos || !encoding.has_value()) {
      return BadTemplate(Cat({"The template has an unknown modifier {", Printable(name), "}."}));
    }
    piece.encoding = *encoding;
    text->remove_prefix(end + 1);
  }
  pieces->push_back(std::move(piece));
  return absl::OkStatus();
}

void AppendBytes(std::string* out, std::string_view bytes, FieldEncoding encoding) {
  switch (encoding) {
    case FieldEncoding::kHex:
      out->append(ToHex(bytes));
      return;
    case FieldEncoding::kBase64:
      out->append(ToBase64(bytes));
      return;
    case FieldEncoding::kJson:
      if (IsUtf8(bytes)) {
        AppendJsonString(out, bytes);
      } else {
        out->append("{\"base64\":\"").append(ToBase64(bytes)).append("\"}");
      }
      return;
    default:
      out->append(bytes);
  }
}

// A key or value; null is nothing, or JSON's null.
void AppendNullable(std::string* out, std::optional<std::string_view> bytes,
                    FieldEncoding encoding) {
  if (bytes.has_value()) return AppendBytes(out, *bytes, encoding);
  if (encoding == FieldEncoding::kJson) out->append("null");
}

// "name":"text", or "name_base64":"..." when the bytes are no text, or "name":null.
void AppendJsonBytes(std::string* out, std::string_view name,
                     std::optional<std::string_view> bytes) {
  bool text = !bytes.has_value() || IsUtf8(*bytes);
  out->append("\"").append(name).append(text ? "\":" : "_base64\":");
  if (!bytes.has_value()) {
    out->append("null");
  } else if (text) {
    AppendJsonString(out, *bytes);
  } else {
    out->append("\"").append(ToBase64(*bytes)).append("\"");
  }
}

void AppendJsonHeaders(std::string* out, std::span<const RecordHeader> headers) {
  out->push_back('[');
  for (size_t i = 0; i < headers.size(); ++i) {
    out->append(i > 0 ? ",{" : "{");
    AppendJsonBytes(out, "key", headers[i].key);
    out->push_back(',');
    AppendJsonBytes(out, "value", headers[i].value);
    out->push_back('}');
  }
  out->push_back(']');
}

void AppendHeaders(std::string* out, std::span<const RecordHeader> headers,
                   FieldEncoding encoding) {
  if (encoding == FieldEncoding::kJson) return AppendJsonHeaders(out, headers);
  for (size_t i = 0; i < headers.size(); ++i) {
    if (i > 0) out->push_back(',');
    out->append(headers[i].key);
    if (!headers[i].value.has_value()) continue;  // a null value has no "=" either
    out->push_back('=');
    AppendBytes(out, *headers[i].value, encoding);
  }
}

void AppendNumber(std::string* out, int64_t number, FieldEncoding encoding) {
  std::string text = std::to_string(number);
  bool as_bytes = encoding == FieldEncoding::kHex || encoding == FieldEncoding::kBase64;
  AppendBytes(out, text, as_bytes ? encoding : FieldEncoding::kPlain);
}

void AppendPiece(std::string* out, const Piece& piece, const RecordView& record) {
  if (!piece.field.has_value()) {
    out->append(piece.literal);
    return;
  }
  switch (*piece.field) {
    case RecordField::kTopic:
      return AppendBytes(out, record.topic, piece.encoding);
    case RecordField::kPartition:
      return AppendNumber(out, record.partition.value(), piece.encoding);
    case RecordField::kOffset:
      return AppendNumber(out, record.offset.value(), piece.encoding);
    case RecordField::kKey:
      return AppendNullable(out, record.key, piece.encoding);
    case RecordField::kValue:
      return AppendNullable(out, record.value, piece.encoding);
    case RecordField::kHeaders:
      return AppendHeaders(out, record.headers, piece.encoding);
    case RecordField::kTime:
      if (piece.encoding != FieldEncoding::kIso) {
        return AppendNumber(out, record.timestamp.value(), piece.encoding);
      }
      out->append(FormatTimestamp(record.timestamp));
  }
}

std::string Padded(std::string text, size_t columns) {
  size_t width = DisplayWidth(text);
  if (width < columns) text.append(columns - width, ' ');
  return text;
}

}  // namespace

absl::StatusOr<RecordTemplate> RecordTemplate::Parse(std::string_view text) {
  RecordTemplate parsed;
  while (!text.empty()) {
    if (text.front() == '%') {
      absl::Status status = TakeToken(&text, &parsed.pieces_);
      if (!status.ok()) return status;
      continue;
    }
    std::string_view literal = text.substr(0, text.find('%'));
    std::optional<std::string> plain = Unescape(literal);
    if (!plain.has_value()) {
      return BadTemplate(
          Cat({"The template has an unknown escape in \"", Printable(literal), "\"."}));
    }
    AppendLiteral(&parsed.pieces_, *plain);
    text.remove_prefix(literal.size());
  }
  return parsed;
}

void AppendRecord(std::string* out, const RecordTemplate& format, const RecordView& record) {
  for (const Piece& piece : format.pieces()) AppendPiece(out, piece, record);
}

void AppendRecordJson(std::string* out, const RecordView& record) {
  out->append("{\"topic\":");
  AppendJsonString(out, record.topic);
  out->append(",\"partition\":").append(std::to_string(record.partition.value()));
  out->append(",\"offset\":").append(std::to_string(record.offset.value()));
  out->append(",\"timestamp_ms\":").append(std::to_string(record.timestamp.value()));
  out->push_back(',');
  AppendJsonBytes(out, "key", record.key);
  out->push_back(',');
  AppendJsonBytes(out, "value", record.value);
  out->append(",\"headers\":");
  AppendJsonHeaders(out, record.headers);
  out->append(",\"leader_epoch\":").append(std::to_string(record.leader_epoch.value()));
  out->append("}\n");
}

void AppendRecordYaml(std::string* out, const RecordView& record) {
  std::string json;
  AppendRecordJson(&json, record);
  std::string why;
  std::optional<Value> value = ReadJson(json, &why);
  out->append("---\n");
  if (value.has_value()) out->append(WriteYaml(*value));
}

void AppendRecordName(std::string* out, const RecordView& record) {
  out->append(record.topic).append("/").append(std::to_string(record.partition.value()));
  out->append("/").append(std::to_string(record.offset.value())).append("\n");
}

void AppendRecordWide(std::string* out, const RecordView& record) {
  std::string key = record.key.has_value() ? PrintableCut(*record.key, kWideKeyColumns) : "-";
  std::string value =
      record.value.has_value() ? PrintableCut(*record.value, kWideValueColumns) : "(null)";
  out->append(Padded(std::to_string(record.partition.value()), 4)).append("  ");
  out->append(Padded(std::to_string(record.offset.value()), 10)).append("  ");
  out->append(FormatTimestamp(record.timestamp)).append("  ");
  out->append(Padded(std::move(key), 12)).append("  ").append(value);
  if (!record.headers.empty()) {
    std::string headers;
    AppendHeaders(&headers, record.headers, FieldEncoding::kPlain);
    out->append("  [").append(PrintableCut(headers, kWideValueColumns)).append("]");
  }
  out->push_back('\n');
}

}  // namespace catamaran::cli
