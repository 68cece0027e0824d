#include "broker/config_toml.h"

#define TOML_EXCEPTIONS 0
// Its assertions fire on some texts that aren't TOML, though the parser goes on to report an error
// of its own behind them; a configuration file must never abort the process.
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>

#include "base/error.h"
#include "broker/config.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

absl::Status Malformed(const std::string& file_name, int64_t line, std::string_view what) {
  return MakeError(Reason::kInvalidConfig, Cat(file_name, ":", line, ": ", what),
                   {{"file", file_name}, {"line", Cat(line)}});
}

absl::Status Flatten(const std::string& file_name, const std::string& prefix,
                     const toml::table& table, std::vector<FileValue>* values) {
  for (auto&& [name, node] : table) {
    std::string key = prefix.empty() ? std::string(name.str()) : Cat(prefix, ".", name.str());
    int64_t line = static_cast<int64_t>(node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      CATAMARAN_RETURN_IF_ERROR(Flatten(file_name, key, *inner, values));
      continue;
    }
    FileValue value{key, "", line};
    if (const auto* text = node.as_string()) {
      value.text = text->get();
    } else if (const auto* number = node.as_integer()) {
      value.text = Cat(number->get());
    } else if (const auto* flag = node.as_boolean()) {
      value.text = flag->get() ? "true" : "false";
    } else if (const auto* real = node.as_floating_point()) {
      value.text = Cat(real->get());
    } else {
      return Malformed(
          file_name, line,
          Cat("'", key.substr(0, 100), "' is neither text nor a number nor a boolean."));
    }
    values->push_back(std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<FileValue>> ReadToml(const std::string& file_name,
                                                const std::string& text) {
  if (text.size() > kConfigFileBytesMax) {
    return Malformed(file_name, 1, Cat("the file is larger than ", kConfigFileBytesMax, " bytes."));
  }
  toml::parse_result parsed = toml::parse(std::string_view(text));
  if (!parsed) {
    return Malformed(file_name, static_cast<int64_t>(parsed.error().source().begin.line),
                     Cat("not TOML: ", parsed.error().description(), "."));
  }
  std::vector<FileValue> values;
  CATAMARAN_RETURN_IF_ERROR(Flatten(file_name, "", parsed.table(), &values));
  std::stable_sort(values.begin(), values.end(),
                   [](const FileValue& a, const FileValue& b) { return a.line < b.line; });
  return values;
}

}  // namespace catamaran::broker
