// A value as JSON and YAML know it: what commands hand to the output and what JSON lines become.
// Objects keep the order of their members. Numbers stay numbers: a 64-bit offset isn't a string.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace catamaran::cli {

class Value {
 public:
  using Array = std::vector<Value>;
  using Member = std::pair<std::string, Value>;
  using Object = std::vector<Member>;

  Value();  // null
  // Out of line: inlined into long initializer lists they confuse GCC 12's flow analysis.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  Value(bool value) : data_(value) {}
  Value(int value) : data_(int64_t{value}) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }
  const double* number() const { return std::get_if<double>(&data_); }
  const std::string* string() const { return std::get_if<std::string>(&data_); }
  const Array* array() const { return std::get_if<Array>(&data_); }
  Array* array() { return std::get_if<Array>(&data_); }
  const Object* object() const { return std::get_if<Object>(&data_); }
  Object* object() { return std::get_if<Object>(&data_); }

  // The member of an object; nullptr when there is none or this is no object.
  const Value* Find(std::string_view name) const;
  // Adds a member to an object that has none of this name.
  void Add(std::string name, Value value);
  bool operator==(const Value& other) const;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> data_;
};

// Members in order: Members({{"name", "cars"}, {"partition", 3}}).
Value Members(std::initializer_list<Value::Member> members);

// Appends `text` as a JSON string with its quotes. Bytes that aren't UTF-8 become U+FFFD, so
// whoever must keep them encodes them first.
void AppendJsonString(std::string* out, std::string_view text);
std::string WriteJsonLine(const Value& value);    // no line breaks, none at the end
std::string WriteJsonPretty(const Value& value);  // two spaces a level, a line break at the end
std::string WriteYaml(const Value& value);        // block style, a line break at the end

// Reads one JSON value; nullopt and why otherwise. An object with two members of one name is
// refused, since readers disagree about which counts. Whole numbers outside 64 bits become doubles.
std::optional<Value> ReadJson(std::string_view text, std::string* why);

}  // namespace catamaran::cli
