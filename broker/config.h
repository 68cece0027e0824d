// The broker's configuration: one table of keys (config_keys.cc) drives the file, the environment,
// the flags, --print-config and docs/configuration.md.
//
// Precedence: flag, then environment, then file, then default. A key is "section.name"; its
// environment variable is CATAMARAN_SECTION_NAME, its flag --section.name=value. The section
// `topic` takes every topic setting of metadata/topic_config.h as the default for topics that don't
// set it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace catamaran::broker {

struct BrokerConfig {
  // node
  int64_t node_id = 0;
  std::string node_rack;
  // cluster
  std::string cluster_id;  // UUID, or empty: the directory's, or a new one
  // data
  std::string data_directory;
  // listen, advertised
  std::string listen_client;
  std::string listen_http;
  std::string advertised_client;  // empty: derived from listen_client
  // log
  std::string log_level;
  std::string log_format;
  // limits
  int64_t request_bytes = 0;
  int64_t connection_inflight_bytes = 0;
  int64_t inflight_bytes = 0;
  int64_t connections = 0;
  int64_t streams_per_connection = 0;
  int64_t streams = 0;
  int64_t calls = 0;
  int64_t partitions = 0;
  int64_t metadata_watches = 0;
  int64_t decompressed_bytes = 0;
  // threads
  int64_t shards = 0;  // 0: one a core
  int64_t io_threads = 0;
  // durability
  std::string sync_strategy;
  // storage
  int64_t free_bytes_reserve = 0;
  // shutdown
  int64_t shutdown_timeout_ms = 0;
  // rpc
  bool reflection = false;
  // topic
  std::map<std::string, std::string> topic_defaults;
};

enum class KeyType : uint8_t { kString, kInteger, kBytes, kMilliseconds, kBool, kEnum, kAddress };

struct ConfigKey {
  std::string_view section;
  std::string_view name;
  KeyType type;
  std::string_view default_value;
  int64_t min;  // of numbers
  int64_t max;
  std::string_view allowed;  // of kEnum, separated by '|'
  std::string_view meaning;
  // Exactly one is set, as the type says (bool for kBool).
  int64_t BrokerConfig::*number;
  std::string BrokerConfig::*text;
  bool BrokerConfig::*flag;
};
std::span<const ConfigKey> ConfigKeys();

// A configuration and where each of its values comes from.
struct LoadedConfig {
  BrokerConfig config;
  struct Value {
    std::string key;   // "limits.request_bytes"
    std::string text;  // as TOML, e.g. 16777216 or "sync"
    std::string note;  // e.g. "16 MiB"; may be empty
    std::string
        origin;  // "default", "file broker.toml:12", "environment CATAMARAN_...", "flag --..."
  };
  std::vector<Value> values;  // in the order of the table, topic settings last
};

struct ConfigSources {
  std::string file_name;  // for messages; empty: no file
  std::string file_text;
  std::map<std::string, std::string> environment;  // all of it; what isn't ours is left alone
  std::vector<std::pair<std::string, std::string>> flags;  // "section.name", value
};
inline constexpr size_t kConfigFileBytesMax = 1 << 20;

// kInvalidConfig: an unknown key (with the nearest one, and file and line), a value of the wrong
// type or out of its range, values that contradict each other. Pure.
absl::StatusOr<LoadedConfig> LoadConfig(const ConfigSources& sources);

// "section.name" of a friendly flag such as "data" or "node-id"; empty when there is none.
std::string_view KeyOfFriendlyFlag(std::string_view flag);

// The table and --help, as text.
std::string PrintConfig(const LoadedConfig& loaded);  // TOML with a comment per line
std::string ConfigReference();                        // the tables of docs/configuration.md
std::string HelpText();

struct HostPort {
  std::string host;  // without brackets
  int port = 0;
};
// "127.0.0.1:7400", "[::1]:7400", "example.org:7400"; port 0 to 65535.
absl::StatusOr<HostPort> ParseHostPort(std::string_view text);
std::string JoinHostPort(const HostPort& address);

}  // namespace catamaran::broker
