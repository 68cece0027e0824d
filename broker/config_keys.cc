#include "broker/config_keys.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "metadata/commands.h"
#include "metadata/nearest_name.h"
#include "metadata/text.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;
using Config = BrokerConfig;
using enum KeyType;

constexpr int64_t kKiB = 1 << 10;
constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

constexpr ConfigKey Number(std::string_view section, std::string_view name, KeyType type,
                           std::string_view default_value, int64_t min, int64_t max,
                           std::string_view meaning, int64_t Config::*member) {
  return {section, name, type, default_value, min, max, "", meaning, member, nullptr, nullptr};
}
constexpr ConfigKey Text(std::string_view section, std::string_view name, KeyType type,
                         std::string_view default_value, std::string_view allowed,
                         std::string_view meaning, std::string Config::*member) {
  return {section, name, type, default_value, 0, 0, allowed, meaning, nullptr, member, nullptr};
}
constexpr ConfigKey Flag(std::string_view section, std::string_view name,
                         std::string_view default_value, std::string_view meaning,
                         bool Config::*member) {
  return {section, name, kBool, default_value, 0, 0, "", meaning, nullptr, nullptr, member};
}

constexpr ConfigKey kKeys[] = {
    Number("node", "id", kInteger, "1", 0, 2'147'483'647,
           "This broker's number, unique in the cluster. A data directory keeps the one it was "
           "made with.",
           &Config::node_id),
    Text("node", "rack", kString, "", "",
         "Where the broker stands, e.g. a zone; brokers of different racks hold a partition's "
         "replicas.",
         &Config::node_rack),
    Text("cluster", "id", kString, "", "",
         "The cluster's UUID. Empty: the data directory's, or a new one for an empty directory.",
         &Config::cluster_id),
    Text("data", "directory", kString, "./catamaran-data", "",
         "Where everything is kept. Created when it's missing; used by one process at a time.",
         &Config::data_directory),
    Text("listen", "client", kAddress, "127.0.0.1:7400", "",
         "Address and port of the gRPC API. Port 0 takes a free one.", &Config::listen_client),
    Text("listen", "http", kAddress, "127.0.0.1:7401", "",
         "Address and port of /metrics, /livez, /readyz and /startupz. Port 0 takes a free one.",
         &Config::listen_http),
    Text("advertised", "client", kString, "", "",
         "host:port that clients are told to reach this broker at. Empty: listen.client, with this "
         "machine's name where that is a wildcard. Port 0: the port listened on.",
         &Config::advertised_client),
    Text("log", "level", kEnum, "info", "debug|info|warning|error",
         "Least severe lines that are logged.", &Config::log_level),
    Text("log", "format", kEnum, "text", "text|json", "One line per event, on stderr.",
         &Config::log_format),
    Number("limits", "request_bytes", kBytes, "16MiB", 9 * kMiB, 64 * kMiB,
           "Largest gRPC message, either way. Above the largest batch (8 MiB).",
           &Config::request_bytes),
    Number("limits", "connection_inflight_bytes", kBytes, "64MiB", kMiB, 4 * kGiB,
           "Bytes of one connection's requests that are being worked on and of records that it was "
           "sent and hasn't taken. More are refused (OVERLOADED), or wait.",
           &Config::connection_inflight_bytes),
    Number("limits", "inflight_bytes", kBytes, "256MiB", kMiB, 64 * kGiB,
           "The same for all connections together; and as much again of what is read from the "
           "logs and not answered yet.",
           &Config::inflight_bytes),
    Number("limits", "connections", kInteger, "10000", 1, 1'000'000,
           "Connections with a call or a stream.", &Config::connections),
    Number("limits", "streams_per_connection", kInteger, "1000", 1, 100'000,
           "Streams that one connection may have open.", &Config::streams_per_connection),
    Number("limits", "streams", kInteger, "10000", 1, 1'000'000, "Streams of all connections.",
           &Config::streams),
    Number("limits", "calls", kInteger, "50000", 1, 1'000'000,
           "Calls and streams at the same time, of all connections.", &Config::calls),
    Number("limits", "partitions", kInteger, "20000", 1, 1'000'000,
           "Partitions of all topics together.", &Config::partitions),
    Number("limits", "metadata_watches", kInteger, "1000", 1, 100'000,
           "WatchMetadata streams at the same time.", &Config::metadata_watches),
    Number("limits", "decompressed_bytes", kBytes, "64MiB", kMiB, kGiB,
           "A compressed batch that would grow beyond this is refused.",
           &Config::decompressed_bytes),
    Number("threads", "shards", kInteger, "0", 0, 64,
           "Threads that own partitions. 0: as many as there are cores, at most 64.",
           &Config::shards),
    Number("threads", "io", kInteger, "2", 1, 64,
           "Threads for each of writes, syncs and cold reads.", &Config::io_threads),
    Text("durability", "sync_strategy", kEnum, "adaptive", "fdatasync|syncfs|adaptive",
         "How a round of group commit reaches the disk: fdatasync per file, one syncfs, or the "
         "first "
         "for few files and the second for many.",
         &Config::sync_strategy),
    Number(
        "storage", "free_bytes_reserve", kBytes, "64MiB", 0, 1024 * kGiB,
        "Produce is refused (STORAGE_FULL) before less than this is free on the data directory's "
        "file system; reads, deletion and metadata go on. 0: only a full disk refuses.",
        &Config::free_bytes_reserve),
    Number("shutdown", "timeout_ms", kMilliseconds, "30s", 100, 600'000,
           "How long SIGTERM and SIGINT may take to stop the broker; after it the process ends at "
           "once, "
           "as after a crash.",
           &Config::shutdown_timeout_ms),
    Flag("rpc", "reflection", "true", "Serve gRPC reflection (v1alpha), for grpcurl and the like.",
         &Config::reflection),
};

struct FriendlyFlag {
  std::string_view flag;
  std::string_view key;
};
constexpr FriendlyFlag kFriendlyFlags[] = {
    {"data", "data.directory"},         {"node-id", "node.id"},      {"rack", "node.rack"},
    {"cluster-id", "cluster.id"},       {"listen", "listen.client"}, {"http", "listen.http"},
    {"advertise", "advertised.client"}, {"log-level", "log.level"},  {"log-format", "log.format"},
};

absl::Status Invalid(const ConfigKey& key, std::string_view text, std::string_view why) {
  std::string shown(text.substr(0, 100));
  return MakeError(Reason::kInvalidConfig,
                   Cat("'", FullName(key), "' can't be '", shown, "': ", why),
                   {{"key", FullName(key)}, {"value", shown}});
}

struct Unit {
  std::string_view suffix;
  int64_t factor;
};
// Longest suffixes first.
constexpr Unit kByteUnits[] = {{"GiB", kGiB}, {"MiB", kMiB}, {"KiB", kKiB}, {"B", 1}};
constexpr Unit kTimeUnits[] = {{"ms", 1}, {"min", 60'000}, {"s", 1'000}, {"h", 3'600'000}};

std::optional<int64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  int64_t factor = 1;
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.suffix)) continue;
    text = metadata::StripSpaces(text.substr(0, text.size() - unit.suffix.size()));
    factor = unit.factor;
    break;
  }
  std::optional<int64_t> number = metadata::ParseNumber<int64_t>(text);
  if (!number || *number > INT64_MAX / factor || *number < INT64_MIN / factor) return std::nullopt;
  return *number * factor;
}

absl::StatusOr<ParsedValue> ParseNumberValue(const ConfigKey& key, std::string_view text) {
  std::span<const Unit> units;
  if (key.type == kBytes) units = kByteUnits;
  if (key.type == kMilliseconds) units = kTimeUnits;
  std::optional<int64_t> number = ParseWithUnit(text, units);
  std::string range = Cat(key.min, " to ", key.max);
  if (key.type == kBytes) range = Cat(FormatBytes(key.min), " to ", FormatBytes(key.max));
  if (key.type == kMilliseconds) {
    range = Cat(FormatMilliseconds(key.min), " to ", FormatMilliseconds(key.max));
  }
  if (!number) {
    return Invalid(key, text, Cat("give ", TypeName(key.type), " from ", range, "."));
  }
  if (*number < key.min || *number > key.max) {
    return Invalid(key, text, Cat("it is out of range; give ", range, "."));
  }
  ParsedValue value;
  value.number = *number;
  return value;
}

absl::Status CheckText(const ConfigKey& key, std::string_view text) {
  bool printable = std::all_of(text.begin(), text.end(),
                               [](char c) { return static_cast<unsigned char>(c) >= ' '; });
  if (!printable || text.size() > 1'000) {
    return Invalid(key, "?", "use printable text of at most 1,000 characters.");
  }
  if (key.type == kEnum) {
    std::vector<std::string_view> allowed = metadata::Split(key.allowed, '|');
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
      std::string listed;
      for (std::string_view each : allowed) listed = Cat(listed, listed.empty() ? "" : ", ", each);
      return Invalid(key, text, Cat("give one of ", listed, "."));
    }
  }
  bool is_address =
      key.type == kAddress || (key.text == &Config::advertised_client && !text.empty());
  if (is_address && !ParseHostPort(text).ok()) {
    return Invalid(key, text, "give host:port, e.g. 127.0.0.1:7400 or [::]:7400.");
  }
  if (key.text == &Config::cluster_id && !text.empty() && !Uuid::FromString(text)) {
    return Invalid(key, text, "give a UUID of 36 characters.");
  }
  if (key.text == &Config::data_directory && text.empty()) {
    return Invalid(key, text, "give a directory.");
  }
  if (key.text == &Config::node_rack && text.size() > metadata::kBrokerRackBytesMax) {
    return Invalid(key, text, Cat("at most ", metadata::kBrokerRackBytesMax, " characters."));
  }
  return absl::OkStatus();
}

}  // namespace

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

std::string FullName(const ConfigKey& key) { return Cat(key.section, ".", key.name); }

std::string EnvironmentName(std::string_view full_name) {
  std::string name(kEnvironmentPrefix);
  for (char c : full_name) {
    bool is_letter = c >= 'a' && c <= 'z';
    name += is_letter ? static_cast<char>(c - 'a' + 'A') : (c == '.' || c == '-' ? '_' : c);
  }
  return name;
}

const ConfigKey* FindKey(std::string_view full_name) {
  for (const ConfigKey& key : kKeys) {
    if (FullName(key) == full_name) return &key;
  }
  return nullptr;
}

std::string NearestKey(std::string_view full_name) {
  std::vector<std::string> names;
  for (const ConfigKey& key : kKeys) names.push_back(FullName(key));
  for (const auto& definition : metadata::TopicConfigDefinitions()) {
    names.push_back(Cat(kTopicSection, ".", definition.name));
  }
  std::vector<std::string_view> views(names.begin(), names.end());
  return std::string(metadata::NearestName(full_name, views));
}

std::string_view KeyOfFriendlyFlag(std::string_view flag) {
  for (const FriendlyFlag& friendly : kFriendlyFlags) {
    if (friendly.flag == flag) return friendly.key;
  }
  return "";
}

absl::StatusOr<ParsedValue> ParseValue(const ConfigKey& key, std::string_view text) {
  if (key.number != nullptr) return ParseNumberValue(key, text);
  ParsedValue value;
  if (key.flag != nullptr) {
    if (text != "true" && text != "false") return Invalid(key, text, "give true or false.");
    value.flag = text == "true";
    return value;
  }
  CATAMARAN_RETURN_IF_ERROR(CheckText(key, text));
  value.text = std::string(text);
  return value;
}

void Store(const ConfigKey& key, const ParsedValue& value, BrokerConfig* config) {
  if (key.number != nullptr) config->*key.number = value.number;
  if (key.text != nullptr) config->*key.text = value.text;
  if (key.flag != nullptr) config->*key.flag = value.flag;
}

std::string QuoteToml(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string AsToml(const ConfigKey& key, const BrokerConfig& config) {
  if (key.number != nullptr) return Cat(config.*key.number);
  if (key.flag != nullptr) return config.*key.flag ? "true" : "false";
  return QuoteToml(config.*key.text);
}

std::string AsNote(const ConfigKey& key, const BrokerConfig& config) {
  if (key.type == kBytes) return FormatBytes(config.*key.number);
  if (key.type == kMilliseconds) return FormatMilliseconds(config.*key.number);
  return "";
}

std::string FormatBytes(int64_t bytes) {
  for (const Unit& unit : kByteUnits) {
    if (bytes >= unit.factor && bytes % unit.factor == 0) {
      return Cat(bytes / unit.factor, " ", unit.suffix);
    }
  }
  return Cat(bytes, " B");
}

std::string FormatMilliseconds(int64_t ms) {
  return ms >= 1'000 && ms % 1'000 == 0 ? Cat(ms / 1'000, " s") : Cat(ms, " ms");
}

std::string_view TypeName(KeyType type) {
  switch (type) {
    case kString:
      return "text";
    case kInteger:
      return "a whole number";
    case kBytes:
      return "bytes (or with KiB, MiB, GiB)";
    case kMilliseconds:
      return "milliseconds (or with ms, s, min, h)";
    case kBool:
      return "true or false";
    case kEnum:
      return "one of";
    case kAddress:
      return "host:port";
  }
  return "";
}

}  // namespace catamaran::broker
