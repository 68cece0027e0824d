// The texts that are made from the table of keys: --help and the tables of docs/configuration.md.
#include <string>

#include "broker/config.h"
#include "broker/config_keys.h"
#include "metadata/text.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

std::string EscapeCell(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string Range(const ConfigKey& key) {
  switch (key.type) {
    case KeyType::kInteger:
      return Cat(key.min, " to ", key.max);
    case KeyType::kBytes:
      return Cat("bytes, ", FormatBytes(key.min), " to ", FormatBytes(key.max));
    case KeyType::kMilliseconds:
      return Cat("milliseconds, ", FormatMilliseconds(key.min), " to ",
                 FormatMilliseconds(key.max));
    case KeyType::kBool:
      return "true, false";
    case KeyType::kEnum: {
      std::string listed;
      for (std::string_view each : metadata::Split(key.allowed, '|')) {
        listed = Cat(listed, listed.empty() ? "" : ", ", each);
      }
      return listed;
    }
    case KeyType::kAddress:
      return "host:port";
    case KeyType::kString:
      return "text";
  }
  return "";
}

std::string_view ConfigTypeName(metadata::ConfigType type) {
  switch (type) {
    case metadata::ConfigType::kBool:
      return "true, false";
    case metadata::ConfigType::kInt:
    case metadata::ConfigType::kLong:
    case metadata::ConfigType::kDouble:
      return "number";
    case metadata::ConfigType::kString:
      return "text";
    case metadata::ConfigType::kList:
      return "list";
  }
  return "";
}

std::string TopicRange(const metadata::ConfigDefinition& definition) {
  using metadata::ConfigType;
  if (!definition.allowed.empty()) {
    std::string listed;
    for (std::string_view each : metadata::Split(definition.allowed, '|')) {
      listed = Cat(listed, listed.empty() ? "" : ", ", each);
    }
    return listed;
  }
  bool is_number = definition.type == ConfigType::kInt || definition.type == ConfigType::kLong ||
                   definition.type == ConfigType::kDouble;
  if (!is_number) return std::string(ConfigTypeName(definition.type));
  if (definition.max == INT64_MAX) return Cat("from ", definition.min);
  return Cat(definition.min, " to ", definition.max);
}

}  // namespace

std::string ConfigReference() {
  std::string out =
      "| key | meaning | values | default | environment |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const ConfigKey& key : ConfigKeys()) {
    std::string name = FullName(key);
    out +=
        Cat("| `", name, "` | ", EscapeCell(key.meaning), " | ", EscapeCell(Range(key)), " | ",
            key.default_value.empty() ? std::string("(empty)") : Cat("`", key.default_value, "`"),
            " | `", EnvironmentName(name), "` |\n");
  }
  out +=
      "\n## Topic settings\n\n"
      "Set on a topic, or for all topics that don't set them under `[topic]`.\n\n"
      "| setting | meaning | values | default | in effect |\n"
      "| --- | --- | --- | --- | --- |\n";
  for (const metadata::ConfigDefinition& definition : metadata::TopicConfigDefinitions()) {
    out += Cat("| `", definition.name, "` | ", EscapeCell(definition.meaning), " | ",
               EscapeCell(TopicRange(definition)), " | ",
               definition.default_value.empty() ? std::string("(empty)")
                                                : Cat("`", definition.default_value, "`"),
               " | ", definition.has_effect ? "yes" : "stored only", " |\n");
  }
  return out;
}

std::string HelpText() {
  std::string out =
      "catamarand: a Catamaran broker.\n"
      "\n"
      "Usage: catamarand [--config=FILE] [--section.key=value ...]\n"
      "\n"
      "  --config=FILE       read a TOML file (or CATAMARAN_CONFIG)\n"
      "  --data=DIR          data.directory       --node-id=N         node.id\n"
      "  --listen=HOST:PORT  listen.client        --http=HOST:PORT    listen.http\n"
      "  --advertise=H:P     advertised.client    --rack=NAME         node.rack\n"
      "  --cluster-id=UUID   cluster.id           --log-level=LEVEL   log.level\n"
      "  --log-format=FORMAT log.format\n"
      "  --ports-file=FILE   write the ports listened on when the broker is ready\n"
      "  --print-config      print every key with its value and origin, and end\n"
      "  --check-config      check the configuration, and end\n"
      "  --help, --version\n"
      "\n"
      "Exit codes: 0 stopped as asked, 1 failure, 2 wrong configuration or usage, 4 the data "
      "directory is\n"
      "in use, belongs to another broker or was written by a newer version, or a port is taken.\n"
      "\n"
      "Keys (file and --section.key; the environment variable is CATAMARAN_SECTION_KEY):\n";
  for (const ConfigKey& key : ConfigKeys()) {
    std::string name = FullName(key);
    name.resize(std::max<size_t>(name.size() + 1, 34), ' ');
    out += Cat("  ", name, key.default_value.empty() ? "(empty)" : key.default_value, "\n");
  }
  out +=
      "  topic.SETTING                     defaults of topics, e.g. --topic.retention.ms=3600000\n";
  return out;
}

}  // namespace catamaran::broker
