#include "broker/config.h"

#include <set>
#include <string>

#include "base/error.h"
#include "broker/config_keys.h"
#include "gtest/gtest.h"
#include "tests/broker/docs_file.h"

namespace catamaran::broker {
namespace {

ConfigSources File(std::string text) {
  ConfigSources sources;
  sources.file_name = "broker.toml";
  sources.file_text = std::move(text);
  return sources;
}

std::string MessageOf(const absl::StatusOr<LoadedConfig>& loaded) {
  EXPECT_EQ(ReasonOf(loaded.status()), Reason::kInvalidConfig) << loaded.status();
  return std::string(loaded.status().message());
}

const LoadedConfig::Value& ValueOf(const LoadedConfig& loaded, const std::string& key) {
  static const LoadedConfig::Value none;
  for (const LoadedConfig::Value& value : loaded.values) {
    if (value.key == key) return value;
  }
  ADD_FAILURE() << key;
  return none;
}

TEST(Config, DefaultsAreValid) {
  absl::StatusOr<LoadedConfig> loaded = LoadConfig({});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.listen_client, "127.0.0.1:7400");
  EXPECT_EQ(loaded->config.listen_http, "127.0.0.1:7401");
  EXPECT_EQ(loaded->config.request_bytes, 16 << 20);
  EXPECT_EQ(loaded->config.shutdown_timeout_ms, 30'000);
  EXPECT_TRUE(loaded->config.reflection);
  for (const LoadedConfig::Value& value : loaded->values) EXPECT_EQ(value.origin, "default");
}

TEST(Config, TheTableIsSound) {
  std::set<std::string> names;
  std::set<std::string> variables;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_TRUE(names.insert(FullName(key)).second);
    EXPECT_TRUE(variables.insert(EnvironmentName(FullName(key))).second);
    int members = (key.number != nullptr) + (key.text != nullptr) + (key.flag != nullptr);
    EXPECT_EQ(members, 1) << FullName(key);
    EXPECT_TRUE(ParseValue(key, key.default_value).ok()) << FullName(key);
    EXPECT_LE(key.min, key.max);
  }
}

TEST(Config, FlagsComeBeforeEnvironmentBeforeFile) {
  ConfigSources sources = File("[node]\nid = 3\nrack = \"file\"\n[log]\nlevel = \"debug\"\n");
  sources.environment = {{"CATAMARAN_NODE_ID", "4"}, {"CATAMARAN_NODE_RACK", "env"}, {"PATH", "/"}};
  sources.flags = {{"node.id", "5"}};
  absl::StatusOr<LoadedConfig> loaded = LoadConfig(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.node_id, 5);
  EXPECT_EQ(loaded->config.node_rack, "env");
  EXPECT_EQ(loaded->config.log_level, "debug");
  EXPECT_EQ(ValueOf(*loaded, "node.id").origin, "flag --node.id");
  EXPECT_EQ(ValueOf(*loaded, "node.rack").origin, "environment CATAMARAN_NODE_RACK");
  EXPECT_EQ(ValueOf(*loaded, "log.level").origin, "file broker.toml:5");
}

TEST(Config, AnUnknownKeyNamesTheNearestAndItsPlace) {
  std::string message = MessageOf(LoadConfig(File("[limits]\n\nrequest_byte = 1\n")));
  EXPECT_NE(message.find("limits.request_bytes"), std::string::npos) << message;
  EXPECT_NE(message.find("broker.toml:3"), std::string::npos) << message;

  ConfigSources sources;
  sources.environment = {{"CATAMARAN_LISTEN_CLIEN", "x"}};
  message = MessageOf(LoadConfig(sources));
  EXPECT_NE(message.find("listen.client"), std::string::npos) << message;

  sources = {};
  sources.flags = {{"node.di", "1"}};
  message = MessageOf(LoadConfig(sources));
  EXPECT_NE(message.find("'node.id'"), std::string::npos) << message;
}

// Clients share the prefix: CATAMARAN_BROKERS is theirs.
TEST(Config, VariablesOfOthersAreLeftAlone) {
  ConfigSources sources;
  sources.environment = {{"CATAMARAN_BROKERS", "x"}, {"CATAMARAN_SIM_SECONDS", "3"}};
  EXPECT_TRUE(LoadConfig(sources).ok());
}

TEST(Config, RefusesWrongValues) {
  for (const char* text : {"[node]\nid = -1\n",
                           "[node]\nid = \"one\"\n",
                           "[node]\nid = 2147483648\n",
                           "[limits]\nrequest_bytes = 5\n",
                           "[limits]\nrequest_bytes = \"16Mib\"\n",
                           "[limits]\nrequest_bytes = 1.5\n",
                           "[limits]\nrequest_bytes = \"9999999999999GiB\"\n",
                           "[log]\nlevel = \"loud\"\n",
                           "[listen]\nclient = \"7400\"\n",
                           "[listen]\nclient = \"a:b\"\n",
                           "[listen]\nclient = \"a:65536\"\n",
                           "[cluster]\nid = \"x\"\n",
                           "[data]\ndirectory = \"\"\n",
                           "[rpc]\nreflection = \"maybe\"\n",
                           "[node]\nid = [1]\n",
                           "[node]\nid = 1\nid = 2\n",
                           "[shutdown]\ntimeout_ms = \"5\"\n",
                           "node",
                           "[topic]\n\"retention.ms\" = \"long\"\n",
                           "[topic]\n\"cleanup.policy\" = \"compact\"\n",
                           "[topic]\nretention = 5\n",
                           "[node]\nrack = 2020-01-01\n",
                           "[limits]\ninflight_bytes = \"1MiB\"\n",
                           "[listen]\nhttp = \"127.0.0.1:7400\"\n"}) {
    MessageOf(LoadConfig(File(text)));
  }
  EXPECT_NE(MessageOf(LoadConfig(File("[log]\nlevel = \"loud\"\n"))).find("broker.toml:2"),
            std::string::npos);
}

TEST(Config, UnitsAreUnderstood) {
  absl::StatusOr<LoadedConfig> loaded =
      LoadConfig(File("[limits]\nrequest_bytes = \"32 MiB\"\n[shutdown]\ntimeout_ms = \"2min\"\n"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.request_bytes, 32 << 20);
  EXPECT_EQ(loaded->config.shutdown_timeout_ms, 120'000);
  EXPECT_EQ(ValueOf(*loaded, "limits.request_bytes").note, "32 MiB");
}

TEST(Config, TopicDefaultsComeFromEverySource) {
  ConfigSources sources = File("[topic]\nretention.ms = 5\n\"segment.bytes\" = 65536\n");
  sources.environment = {{"CATAMARAN_TOPIC_RETENTION_MS", "6"}};
  sources.flags = {{"topic.durability", "async"}};
  absl::StatusOr<LoadedConfig> loaded = LoadConfig(sources);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.topic_defaults,
            (std::map<std::string, std::string>{
                {"durability", "async"}, {"retention.ms", "6"}, {"segment.bytes", "65536"}}));
}

// What --print-config prints is itself a configuration with the same values.
TEST(Config, PrintedConfigurationReadsBack) {
  ConfigSources sources;
  sources.flags = {
      {"node.rack", "a \"b\" \\c"}, {"topic.retention.ms", "7"}, {"limits.calls", "12"}};
  absl::StatusOr<LoadedConfig> first = LoadConfig(sources);
  ASSERT_TRUE(first.ok()) << first.status();
  std::string printed = PrintConfig(*first);
  EXPECT_NE(printed.find("calls = 12  # flag --limits.calls"), std::string::npos) << printed;
  absl::StatusOr<LoadedConfig> second = LoadConfig(File(printed));
  ASSERT_TRUE(second.ok()) << second.status() << "\n" << printed;
  ASSERT_EQ(first->values.size(), second->values.size());
  for (size_t i = 0; i < first->values.size(); ++i) {
    EXPECT_EQ(first->values[i].key, second->values[i].key);
    EXPECT_EQ(first->values[i].text, second->values[i].text);
  }
}

TEST(Config, HostPorts) {
  EXPECT_EQ(JoinHostPort(*ParseHostPort("[::1]:5")), "[::1]:5");
  EXPECT_EQ(ParseHostPort("example.org:0")->host, "example.org");
  for (const char* text : {"", ":5", "a", "::1:5", "[::1]", "a:-1", "a b:5", "a:5x"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

TEST(Config, HelpNamesEveryKeyAndFriendlyFlagsExist) {
  std::string help = HelpText();
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_NE(help.find(FullName(key)), std::string::npos) << FullName(key);
  }
  for (const char* flag : {"data", "node-id", "listen", "http", "advertise", "rack", "cluster-id",
                           "log-level", "log-format"}) {
    EXPECT_NE(FindKey(KeyOfFriendlyFlag(flag)), nullptr) << flag;
    EXPECT_NE(help.find(std::string("--") + flag + "="), std::string::npos) << flag;
  }
  EXPECT_EQ(KeyOfFriendlyFlag("nothing"), "");
}

TEST(Config, TheReferenceIsUpToDate) {
  ExpectGenerated("docs/configuration.md", ConfigReference());
}

}  // namespace
}  // namespace catamaran::broker
