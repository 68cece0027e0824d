#include "broker/config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "broker/config_keys.h"
#include "broker/config_toml.h"
#include "metadata/commands.h"
#include "metadata/text.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

// A value as some source gives it, not checked yet.
struct RawValue {
  std::string text;
  std::string origin;
};

// "topic.retention.ms" -> "retention.ms"; empty for other sections.
std::string TopicSetting(std::string_view key) {
  if (!key.starts_with(kTopicSection) || key.size() <= kTopicSection.size() ||
      key[kTopicSection.size()] != '.') {
    return "";
  }
  return std::string(key.substr(kTopicSection.size() + 1));
}

bool IsKnown(std::string_view key) {
  if (FindKey(key) != nullptr) return true;
  std::string setting = TopicSetting(key);
  return !setting.empty() && metadata::FindTopicConfigDefinition(setting) != nullptr;
}

absl::Status UnknownKey(std::string_view key, std::string_view origin) {
  std::string shown(key.substr(0, 100));
  std::string nearest = NearestKey(shown);
  return MakeError(
      Reason::kInvalidConfig,
      Cat("There is no key '", shown, "' (", origin, "). Did you mean '", nearest, "'?"),
      {{"key", shown}, {"nearest", nearest}, {"origin", std::string(origin)}});
}

absl::Status WithOrigin(const absl::Status& status, std::string_view origin) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  ErrorMetadata values = detail ? detail->metadata : ErrorMetadata{};
  values.emplace_back("origin", std::string(origin));
  return MakeError(Reason::kInvalidConfig,
                   Cat(metadata::FromAbsl(status.message()), " (", origin, ")"), std::move(values));
}

// All keys, topic settings too, by environment variable.
std::map<std::string, std::string> KeysByVariable() {
  std::map<std::string, std::string> keys;
  for (const ConfigKey& key : ConfigKeys()) keys[EnvironmentName(FullName(key))] = FullName(key);
  for (const auto& definition : metadata::TopicConfigDefinitions()) {
    std::string name = Cat(kTopicSection, ".", definition.name);
    keys[EnvironmentName(name)] = name;
  }
  return keys;
}

// A variable with the prefix of one of our sections is meant for us; other CATAMARAN_ ones are the
// clients'.
bool IsOurs(std::string_view variable) {
  if (!variable.starts_with(kEnvironmentPrefix)) return false;
  if (variable.starts_with(Cat(EnvironmentName(kTopicSection), "_"))) return true;
  for (const ConfigKey& key : ConfigKeys()) {
    if (variable.starts_with(Cat(EnvironmentName(key.section), "_"))) return true;
  }
  return false;
}

absl::Status TakeEnvironment(const std::map<std::string, std::string>& environment,
                             std::map<std::string, RawValue>* raw) {
  std::map<std::string, std::string> keys = KeysByVariable();
  for (const auto& [variable, text] : environment) {
    if (!IsOurs(variable)) continue;
    std::string origin = Cat("environment ", variable.substr(0, 100));
    auto it = keys.find(variable);
    if (it == keys.end()) {
      std::string guess = variable.substr(kEnvironmentPrefix.size());
      for (char& c : guess) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      size_t underscore = guess.find('_');
      if (underscore != std::string::npos) guess[underscore] = '.';
      return UnknownKey(guess, origin);
    }
    (*raw)[it->second] = {text, origin};
  }
  return absl::OkStatus();
}

absl::Status TakeFile(const ConfigSources& sources, std::map<std::string, RawValue>* raw) {
  if (sources.file_name.empty()) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<FileValue> values,
                             ReadToml(sources.file_name, sources.file_text));
  for (FileValue& value : values) {
    std::string origin = Cat("file ", sources.file_name, ":", value.line);
    if (!IsKnown(value.key)) return UnknownKey(value.key, origin);
    (*raw)[value.key] = {std::move(value.text), origin};
  }
  return absl::OkStatus();
}

absl::Status TakeFlags(const ConfigSources& sources, std::map<std::string, RawValue>* raw) {
  for (const auto& [key, text] : sources.flags) {
    std::string origin = Cat("flag --", key.substr(0, 100));
    if (!IsKnown(key)) return UnknownKey(key, origin);
    (*raw)[key] = {text, origin};
  }
  return absl::OkStatus();
}

absl::Status CheckTogether(const BrokerConfig& config) {
  auto refuse = [](std::string_view what) { return MakeError(Reason::kInvalidConfig, what); };
  if (config.connection_inflight_bytes < config.request_bytes) {
    return refuse(
        "'limits.connection_inflight_bytes' is below 'limits.request_bytes': a largest "
        "request could never be taken. Raise the first or lower the second.");
  }
  if (config.inflight_bytes < config.connection_inflight_bytes) {
    return refuse(
        "'limits.inflight_bytes' is below 'limits.connection_inflight_bytes'. Raise the "
        "first or lower the second.");
  }
  if (config.listen_client == config.listen_http && !config.listen_client.ends_with(":0")) {
    return refuse("'listen.client' and 'listen.http' are the same address. Give them two ports.");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedConfig> LoadConfig(const ConfigSources& sources) {
  std::map<std::string, RawValue> raw;  // later sources replace earlier ones
  CATAMARAN_RETURN_IF_ERROR(TakeFile(sources, &raw));
  CATAMARAN_RETURN_IF_ERROR(TakeEnvironment(sources.environment, &raw));
  CATAMARAN_RETURN_IF_ERROR(TakeFlags(sources, &raw));

  LoadedConfig loaded;
  for (const ConfigKey& key : ConfigKeys()) {
    std::string name = FullName(key);
    auto it = raw.find(name);
    std::string origin = it == raw.end() ? "default" : it->second.origin;
    absl::StatusOr<ParsedValue> value =
        ParseValue(key, it == raw.end() ? key.default_value : std::string_view(it->second.text));
    if (!value.ok()) return WithOrigin(value.status(), origin);
    Store(key, *value, &loaded.config);
    loaded.values.push_back({name, AsToml(key, loaded.config), AsNote(key, loaded.config), origin});
  }
  for (const auto& [name, value] : raw) {
    std::string setting = TopicSetting(name);
    if (setting.empty()) continue;
    absl::Status valid = metadata::ValidateTopicConfig(setting, value.text);
    if (!valid.ok()) return WithOrigin(valid, value.origin);
    loaded.config.topic_defaults[setting] = value.text;
    loaded.values.push_back({name, QuoteToml(value.text), "", value.origin});
  }
  CATAMARAN_RETURN_IF_ERROR(CheckTogether(loaded.config));
  return loaded;
}

absl::StatusOr<HostPort> ParseHostPort(std::string_view text) {
  absl::Status malformed = MakeError(Reason::kInvalidArgument,
                                     "An address is host:port, e.g. 127.0.0.1:7400 or [::1]:7400.");
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed;
  std::string_view host = text.substr(0, colon);
  std::optional<int> port = metadata::ParseNumber<int>(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65'535) return malformed;
  bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed;
  }
  bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '%';
  });
  if (host.empty() || host.size() > 255 || !plain) return malformed;
  return HostPort{std::string(host), *port};
}

std::string JoinHostPort(const HostPort& address) {
  bool needs_brackets = address.host.find(':') != std::string::npos;
  return Cat(needs_brackets ? "[" : "", address.host, needs_brackets ? "]" : "", ":", address.port);
}

std::string PrintConfig(const LoadedConfig& loaded) {
  std::string out;
  std::string section;
  for (const LoadedConfig::Value& value : loaded.values) {
    size_t dot = value.key.find('.');
    std::string_view key(value.key);
    if (section != key.substr(0, dot)) {
      section = std::string(key.substr(0, dot));
      out += Cat(out.empty() ? "" : "\n", "[", section, "]\n");
    }
    std::string name(key.substr(dot + 1));
    if (name.find('.') != std::string::npos) name = QuoteToml(name);
    out += Cat(name, " = ", value.text, "  # ", value.note, value.note.empty() ? "" : "; ",
               value.origin, "\n");
  }
  return out;
}

}  // namespace catamaran::broker
