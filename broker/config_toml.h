// A TOML file as flat keys with their lines. The only code that knows toml++.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace catamaran::broker {

struct FileValue {
  std::string key;  // "limits.request_bytes"
  std::string text;
  int64_t line = 0;
};

// In the order of lines. kInvalidConfig with the line for text that isn't TOML, for values that
// aren't strings, whole numbers or booleans, and for keys without a section.
absl::StatusOr<std::vector<FileValue>> ReadToml(const std::string& file_name,
                                                const std::string& text);

}  // namespace catamaran::broker
