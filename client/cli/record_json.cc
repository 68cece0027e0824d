// Records from JSON lines.
#include "client/cli/document.h"
#include "client/cli/record_reader.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

const std::vector<std::string>& FieldNames() {
  static const auto* names = new std::vector<std::string>{
      "topic",      "partition",    "offset", "timestamp_ms", "key",
      "key_base64", "value_base64", "value",  "headers",      "leader_epoch"};
  return *names;
}

// "name" or "name_base64" of `object`. An absent one is null.
bool ReadBytesMember(const Value& object, std::string_view name, InputRecord* record,
                     std::optional<std::string_view>* bytes, std::string* why) {
  const Value* plain = object.Find(name);
  const Value* encoded = object.Find(Cat({name, "_base64"}));
  if (plain != nullptr && encoded != nullptr) {
    *why = Cat({"it has both \"", name, "\" and \"", name, "_base64\""});
    return false;
  }
  if (encoded != nullptr) {
    std::optional<std::string> decoded;
    if (encoded->string() != nullptr) decoded = FromBase64(*encoded->string());
    if (!decoded.has_value()) {
      *why = Cat({"\"", name, "_base64\" is no base64 string"});
      return false;
    }
    *bytes = record->Keep(std::move(*decoded));
    return true;
  }
  if (plain == nullptr || plain->is_null()) return true;
  const std::string* string = plain->string();
  *bytes = record->Keep(string != nullptr ? *string : WriteJsonLine(*plain));
  return true;
}

bool AddHeader(std::string_view key, std::optional<std::string_view> value, InputRecord* record,
               std::string* why) {
  if (key.empty() || !IsUtf8(key)) {
    *why = "a header's key must be UTF-8 and not empty";
    return false;
  }
  record->headers.push_back({key, value});
  return true;
}

bool ReadHeaderObject(const Value& header, InputRecord* record, std::string* why) {
  std::optional<std::string_view> key, value;
  if (header.object() == nullptr || !ReadBytesMember(header, "key", record, &key, why) ||
      !key.has_value()) {
    if (why->empty()) *why = "a header must be an object with \"key\" and \"value\"";
    return false;
  }
  if (!ReadBytesMember(header, "value", record, &value, why)) return false;
  return AddHeader(*key, value, record, why);
}

bool ReadHeadersMember(const Value& headers, InputRecord* record, std::string* why) {
  if (const Value::Array* array = headers.array()) {
    for (const Value& header : *array) {
      if (!ReadHeaderObject(header, record, why)) return false;
    }
    return true;
  }
  if (const Value::Object* object = headers.object()) {
    for (const auto& [name, value] : *object) {
      std::optional<std::string_view> bytes;
      const std::string* string = value.string();
      if (!value.is_null()) {
        bytes = record->Keep(string != nullptr ? *string : WriteJsonLine(value));
      }
      if (!AddHeader(record->Keep(name), bytes, record, why)) return false;
    }
    return true;
  }
  if (headers.is_null()) return true;
  *why = "\"headers\" must be an array or an object";
  return false;
}

bool ReadWholeNumber(const Value& object, std::string_view name, int64_t max,
                     std::optional<int64_t>* number, std::string* why) {
  const Value* value = object.Find(name);
  if (value == nullptr || value->is_null()) return true;
  const int64_t* integer = value->integer();
  if (integer == nullptr || *integer < -1 || *integer > max) {
    *why = Cat({"\"", name, "\" must be a whole number from 0 to ", std::to_string(max)});
    return false;
  }
  if (*integer >= 0) *number = *integer;  // -1 is how "none" is written
  return true;
}

bool KnowsMembers(const Value::Object& object, std::string* why) {
  for (const auto& [name, value] : object) {
    bool known = false;
    for (const std::string& field : FieldNames()) known |= field == name;
    if (known) continue;
    std::optional<std::string> nearest = Nearest(name, FieldNames());
    *why = Cat({"it has an unknown field \"", Printable(name), "\"",
                nearest.has_value() ? Cat({" (did you mean \"", *nearest, "\"?)"}) : ""});
    return false;
  }
  return true;
}

}  // namespace

bool ReadJsonRecord(std::string_view json, InputRecord* record, std::string* why) {
  std::optional<Value> value = ReadJson(json, why);
  if (!value.has_value()) return false;
  const Value::Object* object = value->object();
  if (object == nullptr) {
    *why = "it is no JSON object";
    return false;
  }
  std::optional<int64_t> partition, time;
  if (!KnowsMembers(*object, why) || !ReadBytesMember(*value, "key", record, &record->key, why) ||
      !ReadBytesMember(*value, "value", record, &record->value, why) ||
      !ReadWholeNumber(*value, "partition", INT32_MAX, &partition, why) ||
      !ReadWholeNumber(*value, "timestamp_ms", INT64_MAX, &time, why)) {
    return false;
  }
  if (partition.has_value()) record->partition = PartitionIndex(static_cast<int32_t>(*partition));
  if (time.has_value()) record->timestamp = TimestampMs(*time);
  const Value* headers = value->Find("headers");
  return headers == nullptr || ReadHeadersMember(*headers, record, why);
}

}  // namespace catamaran::cli
