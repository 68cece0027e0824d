// The only file that knows the JSON library: it takes seconds to compile.
#include <nlohmann/json.hpp>

#include "client/cli/document.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

// Deeper input is refused, so that it can't exhaust the stack when it is written out again.
constexpr size_t kJsonDepthMax = 64;

// Builds a Value from the parser's events.
class ValueBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ValueBuilder(std::string* why) : why_(why) {}

  bool null() override { return Add(Value()); }
  bool boolean(bool value) override { return Add(Value(value)); }
  bool number_integer(number_integer_t value) override { return Add(Value(int64_t{value})); }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(INT64_MAX)) return Add(Value(static_cast<double>(value)));
    return Add(Value(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t value, const string_t&) override { return Add(Value(value)); }
  bool string(string_t& value) override { return Add(Value(std::move(value))); }
  bool binary(binary_t&) override { return Fail("binary values aren't JSON"); }
  bool start_object(size_t) override { return Open(Value(Value::Object())); }
  bool start_array(size_t) override { return Open(Value(Value::Array())); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    names_.back() = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(Cat({"it is no valid JSON at byte ", std::to_string(position)}));
  }

  Value Take() { return std::move(root_); }

 private:
  bool Fail(std::string why) {
    if (why_->empty()) *why_ = std::move(why);
    return false;
  }

  bool Open(Value container) {
    if (open_.size() >= kJsonDepthMax) {
      return Fail(Cat({"it is nested deeper than ", std::to_string(kJsonDepthMax), " levels"}));
    }
    open_.push_back(std::move(container));
    names_.emplace_back();
    return true;
  }

  bool Close() {
    Value closed = std::move(open_.back());
    open_.pop_back();
    names_.pop_back();
    return Add(std::move(closed));
  }

  bool Add(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    if (Value::Array* array = open_.back().array()) {
      array->push_back(std::move(value));
      return true;
    }
    Value::Object* object = open_.back().object();
    for (const Value::Member& member : *object) {
      if (member.first != names_.back()) continue;
      return Fail(Cat({"it has \"", Printable(names_.back()), "\" twice"}));
    }
    object->emplace_back(std::move(names_.back()), std::move(value));
    return true;
  }

  std::string* why_;
  Value root_;
  std::vector<Value> open_;         // the containers around the next value, outermost first
  std::vector<std::string> names_;  // one for each: the name of its next member
};

}  // namespace

std::optional<Value> ReadJson(std::string_view text, std::string* why) {
  why->clear();
  ValueBuilder builder(why);
  bool ok = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  if (!ok) return std::nullopt;
  return builder.Take();
}

}  // namespace catamaran::cli
