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

const std::vector<std::string>& HeaderFieldNames() {
  static const auto* names =
      new std::vector<std::string>{"key", "key_base64", "value", "value_base64"};
  return *names;
}

// A misspelt field would be lost without a word. `subject` begins the sentence.
bool KnowsMembers(const Value::Object& object, const std::vector<std::string>& fields,
                  std::string_view subject, std::string* why) {
  for (const auto& [name, value] : object) {
    bool known = false;
    for (const std::string& field : fields) known |= field == name;
    if (known) continue;
    std::optional<std::string> nearest = Nearest(name, fields);
    *why = Cat({subject, " has an unknown field \"", Printable(name), "\"",
                nearest.has_value() ? Cat({" (did you mean \"", *nearest, "\"?)"}) : ""});
    return false;
  }
  return true;
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
  if (string == nullptr) {
    *why =
        Cat({"\"", name, "\" must be a string or null (jq's tojson makes a string of any JSON)"});
    return false;
  }
  *bytes = record->Keep(*string);
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
  if (header.object() == nullptr) {
    *why = "a header must be an object with \"key\" and \"value\"";
    return false;
  }
  if (!KnowsMembers(*header.object(), HeaderFieldNames(), "a header", why) ||
      !ReadBytesMember(header, "key", record, &key, why) ||
      !ReadBytesMember(header, "value", record, &value, why)) {
    return false;
  }
  if (!key.has_value()) {
    *why = "a header needs a \"key\"";
    return false;
  }
  return AddHeader(*key, value, record, why);
}

bool ReadHeadersMember(const Value& headers, InputRecord* record, std::string* why) {
  if (const Value::Array* array = headers.array()) {
    for (const Value& header : *array) {
      if (!ReadHeaderObject(header, record, why)) return false;
    }
    return true;
  }
  if (headers.is_null()) return true;
  *why =
      "\"headers\" must be an array of {\"key\":...,\"value\":...}: their order counts, and a key "
      "may come twice";
  return false;
}

// From `min` (0, or -1 where that is how "none" is written) to `max`.
bool ReadWholeNumber(const Value& object, std::string_view name, int64_t min, int64_t max,
                     std::optional<int64_t>* number, std::string* why) {
  const Value* value = object.Find(name);
  if (value == nullptr || value->is_null()) return true;
  const int64_t* integer = value->integer();
  if (integer == nullptr || *integer < min || *integer > max) {
    *why = Cat({"\"", name, "\" must be a whole number from 0 to ", std::to_string(max)});
    return false;
  }
  if (*integer >= 0) *number = *integer;
  return true;
}

}  // namespace

bool ReadJsonHeaders(std::string_view json, InputRecord* record, std::string* why) {
  std::optional<Value> value = ReadJson(json, why);
  return value.has_value() && ReadHeadersMember(*value, record, why);
}

bool ReadJsonRecord(std::string_view json, InputRecord* record, std::string* why) {
  std::optional<Value> value = ReadJson(json, why);
  if (!value.has_value()) return false;
  const Value::Object* object = value->object();
  if (object == nullptr) {
    *why = "it is no JSON object";
    return false;
  }
  std::optional<int64_t> partition, time;
  if (!KnowsMembers(*object, FieldNames(), "it", why) ||
      !ReadBytesMember(*value, "key", record, &record->key, why) ||
      !ReadBytesMember(*value, "value", record, &record->value, why) ||
      !ReadWholeNumber(*value, "partition", 0, INT32_MAX, &partition, why) ||
      !ReadWholeNumber(*value, "timestamp_ms", -1, INT64_MAX, &time, why)) {
    return false;
  }
  if (partition.has_value()) record->partition = PartitionIndex(static_cast<int32_t>(*partition));
  if (time.has_value()) record->timestamp = TimestampMs(*time);
  const Value* headers = value->Find("headers");
  return headers == nullptr || ReadHeadersMember(*headers, record, why);
}

}  // namespace catamaran::cli
