#include "client/cli/document.h"

#include <charconv>
#include <cmath>

#include "base/check.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

std::string NumberText(double value) {
  // JSON has neither; a rate of no records in no time is better null than a broken document.
  if (!std::isfinite(value)) return "null";
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  std::string text(buffer, end);
  // So that it is read as a double again.
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

// A value without parts; false for an array or object.
bool AppendScalar(std::string* out, const Value& value) {
  if (value.is_null()) {
    out->append("null");
  } else if (const bool* boolean = value.boolean()) {
    out->append(*boolean ? "true" : "false");
  } else if (const int64_t* integer = value.integer()) {
    out->append(std::to_string(*integer));
  } else if (const double* number = value.number()) {
    out->append(NumberText(*number));
  } else if (const std::string* string = value.string()) {
    AppendJsonString(out, *string);
  } else {
    return false;
  }
  return true;
}

// Writes arrays and objects, on one line (indent < 0) or on many.
void AppendJson(std::string* out, const Value& value, int indent) {
  if (AppendScalar(out, value)) return;
  const Value::Array* array = value.array();
  const Value::Object* object = value.object();
  size_t count = array != nullptr ? array->size() : object->size();
  out->push_back(array != nullptr ? '[' : '{');
  int inner = indent < 0 ? indent : indent + 2;
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) out->push_back(',');
    if (indent >= 0) out->append("\n").append(static_cast<size_t>(inner), ' ');
    if (object != nullptr) {
      AppendJsonString(out, (*object)[i].first);
      out->append(indent < 0 ? ":" : ": ");
    }
    AppendJson(out, array != nullptr ? (*array)[i] : (*object)[i].second, inner);
  }
  if (indent >= 0 && count > 0) out->append("\n").append(static_cast<size_t>(indent), ' ');
  out->push_back(array != nullptr ? ']' : '}');
}

// Whether YAML reads `text` without quotes as this very string.
bool IsPlainYaml(const std::string& text) {
  if (text.empty() || text.size() > 200) return false;
  for (char c : text) {
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '_' && c != '-' && c != '.' && c != '/') return false;
  }
  bool letter_first = (text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z');
  if (!letter_first) return false;
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (std::string_view word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    if (lower == word) return false;
  }
  return true;
}

void AppendYamlScalar(std::string* out, const Value& value) {
  const std::string* string = value.string();
  if (string != nullptr && IsPlainYaml(*string)) {
    out->append(*string);
  } else {
    AppendScalar(out, value);  // a JSON string is a YAML string
  }
}

bool IsNested(const Value& value) {
  return (value.array() != nullptr && !value.array()->empty()) ||
         (value.object() != nullptr && !value.object()->empty());
}

void AppendYamlBlock(std::string* out, const Value& value, size_t indent);

// What follows "name:" or "-".
void AppendYamlPart(std::string* out, const Value& value, size_t indent) {
  if (IsNested(value)) {
    out->push_back('\n');
    AppendYamlBlock(out, value, indent);
    return;
  }
  out->push_back(' ');
  if (value.array() != nullptr) {
    out->append("[]");
  } else if (value.object() != nullptr) {
    out->append("{}");
  } else {
    AppendYamlScalar(out, value);
  }
  out->push_back('\n');
}

void AppendYamlMember(std::string* out, const Value::Member& member, size_t indent) {
  AppendYamlScalar(out, Value(member.first));
  out->push_back(':');
  AppendYamlPart(out, member.second, indent + 2);
}

void AppendYamlBlock(std::string* out, const Value& value, size_t indent) {
  if (const Value::Object* object = value.object()) {
    for (const Value::Member& member : *object) {
      out->append(indent, ' ');
      AppendYamlMember(out, member, indent);
    }
    return;
  }
  for (const Value& item : *value.array()) {
    out->append(indent, ' ').push_back('-');
    const Value::Object* object = item.object();
    if (object == nullptr || object->empty()) {
      AppendYamlPart(out, item, indent + 2);
      continue;
    }
    for (size_t i = 0; i < object->size(); ++i) {  // the first member stands beside the dash
      out->append(i == 0 ? std::string(" ") : std::string(indent + 2, ' '));
      AppendYamlMember(out, (*object)[i], indent + 2);
    }
  }
}

}  // namespace

Value::Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

void Value::Add(std::string name, Value value) {
  Object* members = object();
  CATAMARAN_CHECK(members != nullptr, "only an object has members");
  members->emplace_back(std::move(name), std::move(value));
}

const Value* Value::Find(std::string_view name) const {
  const Object* members = object();
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

bool Value::operator==(const Value& other) const { return data_ == other.data_; }

Value Members(std::initializer_list<Value::Member> members) {
  return Value(Value::Object(members));
}

void AppendJsonString(std::string* out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out->push_back('"');
  while (!text.empty()) {
    char c = text.front();
    auto byte = static_cast<uint8_t>(c);
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out->append({'\\', c});
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (c == '\r') {
      out->append("\\r");
    } else if (byte < 0x20 || byte == 0x7F) {
      out->append({'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]});
    } else if (byte < 0x80) {
      out->push_back(c);
    } else if (std::optional<Utf8Character> character = DecodeUtf8(text); character.has_value()) {
      length = character->length;
      out->append(text.substr(0, length));
    } else {
      out->append("\xEF\xBF\xBD");
    }
    text.remove_prefix(length);
  }
  out->push_back('"');
}

std::string WriteJsonLine(const Value& value) {
  std::string out;
  AppendJson(&out, value, -1);
  return out;
}

std::string WriteJsonPretty(const Value& value) {
  std::string out;
  AppendJson(&out, value, 0);
  out.push_back('\n');
  return out;
}

std::string WriteYaml(const Value& value) {
  std::string out;
  if (IsNested(value)) {
    AppendYamlBlock(&out, value, 0);
    return out;
  }
  AppendYamlPart(&out, value, 0);
  return out.substr(1);  // without the space that stands behind a name
}

}  // namespace catamaran::cli
