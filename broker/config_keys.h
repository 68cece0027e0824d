// Helpers that the parts of the configuration share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/config.h"

namespace catamaran::broker {

inline constexpr std::string_view kTopicSection = "topic";
inline constexpr std::string_view kEnvironmentPrefix = "CATAMARAN_";

std::string FullName(const ConfigKey& key);               // "limits.request_bytes"
std::string EnvironmentName(std::string_view full_name);  // "CATAMARAN_LIMITS_REQUEST_BYTES"
const ConfigKey* FindKey(std::string_view full_name);
std::string NearestKey(std::string_view full_name);

// A value that was read and checked.
struct ParsedValue {
  int64_t number = 0;
  std::string text;
  bool flag = false;
};
// "16MiB" and "16777216" for bytes, "10s", "500ms" and "500" for milliseconds.
absl::StatusOr<ParsedValue> ParseValue(const ConfigKey& key, std::string_view text);
void Store(const ConfigKey& key, const ParsedValue& value, BrokerConfig* config);

std::string AsToml(const ConfigKey& key, const BrokerConfig& config);
std::string AsNote(const ConfigKey& key, const BrokerConfig& config);
std::string QuoteToml(std::string_view text);
std::string FormatBytes(int64_t bytes);
std::string FormatMilliseconds(int64_t ms);
std::string_view TypeName(KeyType type);

}  // namespace catamaran::broker
