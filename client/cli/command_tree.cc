// The tree's root, what its branches share, and the commands about topics.
#include "client/cli/command_tree.h"

#include "base/error.h"

namespace catamaran::cli {
namespace {

constexpr int32_t kPartitionsMax = 10'000;
constexpr int32_t kReplicationFactorMax = 1'000;
constexpr Duration kTimeoutMin = std::chrono::milliseconds(100);
constexpr Duration kTimeoutMax = std::chrono::minutes(5);

// "name=value" words as a map.
absl::StatusOr<std::map<std::string, std::string>> ParseConfigs(
    const std::vector<std::string>& words) {
  std::map<std::string, std::string> configs;
  for (const std::string& word : words) {
    size_t equals = word.find('=');
    if (equals == word.npos || equals == 0) {
      return MakeError(Reason::kInvalidArgument,
                       Cat({"\"", Printable(word),
                            "\" is no setting: write name=value, e.g. retention.ms=3600000."}));
    }
    if (!configs.emplace(word.substr(0, equals), word.substr(equals + 1)).second) {
      return MakeError(Reason::kInvalidArgument,
                       Cat({"The setting ", word.substr(0, equals), " is given twice."}));
    }
  }
  return configs;
}

std::optional<std::vector<std::string>> ParseBrokers(std::string_view text) {
  std::vector<std::string> brokers = Split(text, ',');
  for (const std::string& broker : brokers) {
    size_t colon = broker.rfind(':');
    if (colon == broker.npos || colon == 0) return std::nullopt;
    std::optional<int64_t> port = ParseInt64(std::string_view(broker).substr(colon + 1));
    if (!port.has_value() || *port < 1 || *port > 65'535) return std::nullopt;
  }
  return brokers;
}

std::optional<Duration> ParseTimeout(std::string_view text) {
  std::optional<Duration> timeout = ParseDuration(text);
  bool fits = timeout.has_value() && *timeout >= kTimeoutMin && *timeout <= kTimeoutMax;
  return fits ? timeout : std::nullopt;
}

}  // namespace

CommandTree::CommandTree(TimestampMs now)
    : now_(now),
      app_("Work with a Catamaran cluster: topics, records, measurements.", "catamaran") {
  app_.formatter(std::make_shared<HelpFormatter>());
  app_.set_help_flag("-h,--help", "Print this help");
  app_.require_subcommand(1);
  app_.fallthrough();
  app_.footer(
      "  catamaran topic create cars --partitions 3\n"
      "  echo 'hello' | catamaran produce cars\n"
      "  catamaran consume cars --offset start:end");
  AddGlobal();
  AddTopicCommands();
  AddProduce();
  AddConsume();
  AddOthers();
  AddBench();
}

void CommandTree::AddGlobal() {
  AddParsed(&app_, "-b,--brokers", &global_.brokers, ParseBrokers, "HOST:PORT,...",
            "list of brokers: write host:port, several with commas between",
            Cat({"Brokers to begin with; the others are found. Default: ", kDefaultBroker}))
      ->envname("CATAMARAN_BROKERS");
  AddChoice<OutputFormat>(&app_, "-o,--output", &global_.output,
                          {{"table", OutputFormat::kTable},
                           {"wide", OutputFormat::kWide},
                           {"json", OutputFormat::kJson},
                           {"yaml", OutputFormat::kYaml},
                           {"name", OutputFormat::kName}},
                          "How to print results and errors. Default: table")
      ->envname("CATAMARAN_OUTPUT");
  AddParsed(&app_, "--timeout", &global_.timeout, ParseTimeout, "DURATION", "time from 100ms to 5m",
            "How long to wait for one answer or one record's storage. Default: 30s")
      ->envname("CATAMARAN_TIMEOUT");
  AddParsed(&app_, "--connect-timeout", &global_.connect_timeout, ParseTimeout, "DURATION",
            "time from 100ms to 5m", "How long to wait for a connection. Default: 3s")
      ->envname("CATAMARAN_CONNECT_TIMEOUT");
  app_.add_flag("-q,--quiet", global_.quiet, "No hints and no progress on standard error")
      ->envname("CATAMARAN_QUIET");
  app_.add_flag("--no-color", global_.no_colour, "No colours, as with NO_COLOR")
      ->envname("CATAMARAN_NO_COLOR");
  for (CLI::Option* option : app_.get_options()) option->group("Global flags");
}

CLI::App* CommandTree::AddCommand(CLI::App* parent, const std::string& name,
                                  const std::string& about, const std::string& examples,
                                  TakeFunction take) {
  CLI::App* command = parent->add_subcommand(name, about);
  command->footer(examples);
  takers_[command] = std::move(take);
  return command;
}

CLI::Option* CommandTree::AddTopic(CLI::App* app, std::string* topic) {
  CLI::Option* option = app->add_option("TOPIC", *topic, "The topic's name");
  option->required()->type_name("");
  topics_.insert(option);
  return option;
}

CLI::Option* CommandTree::AddTopics(CLI::App* app, std::vector<std::string>* topics,
                                    bool existing) {
  CLI::Option* option = app->add_option("TOPIC", *topics, "Names of topics");
  option->required()->type_name("");
  if (existing) topics_.insert(option);
  return option;
}

CLI::Option* CommandTree::AddRepeated(CLI::App* app, const std::string& flags,
                                      std::vector<std::string>* target, const std::string& type,
                                      const std::string& about) {
  CLI::Option* option = app->add_option(flags, *target, about + " (repeatable)");
  option->type_name(type)->allow_extra_args(false);
  return option;
}

void CommandTree::AddDryRun(CLI::App* app, bool* dry_run) {
  app->add_flag("--dry-run", *dry_run, "Check everything, change nothing");
}

void CommandTree::AddYes(CLI::App* app, bool* yes) {
  app->add_flag("-y,--yes", *yes, "Don't ask; needed when standard input is no terminal");
}

CLI::Option* CommandTree::AddDuration(CLI::App* app, const std::string& flags, Duration* target,
                                      const std::string& about) {
  return AddParsed(app, flags, target, ParseDuration, "DURATION",
                   "time: write a number with ms, s, m, h or d", about);
}

CLI::Option* CommandTree::AddCount(CLI::App* app, const std::string& flags, int64_t* target,
                                   int64_t min, int64_t max, const std::string& about) {
  auto parse = [min, max](std::string_view word) -> std::optional<int64_t> {
    std::optional<int64_t> count = ParseInt64(word);
    return count.has_value() && *count >= min && *count <= max ? count : std::nullopt;
  };
  return AddParsed(app, flags, target, parse, "N",
                   Cat({"whole number from ", std::to_string(min), " to ", std::to_string(max)}),
                   about);
}

CLI::Option* CommandTree::AddCount32(CLI::App* app, const std::string& flags, int32_t* target,
                                     int32_t min, int32_t max, const std::string& about) {
  auto parse = [min, max](std::string_view word) -> std::optional<int32_t> {
    std::optional<int64_t> count = ParseInt64(word);
    if (!count.has_value() || *count < min || *count > max) return std::nullopt;
    return static_cast<int32_t>(*count);
  };
  return AddParsed(app, flags, target, parse, "N",
                   Cat({"whole number from ", std::to_string(min), " to ", std::to_string(max)}),
                   about);
}

void CommandTree::AddTopicCommands() {
  CLI::App* topic = app_.add_subcommand("topic", "Create, look at, change and delete topics");
  topic->require_subcommand(1);
  topic->footer("  catamaran topic list\n  catamaran topic describe cars -o wide");

  auto create = std::make_shared<TopicCreate>();
  auto configs = std::make_shared<std::vector<std::string>>();
  CLI::App* app = AddCommand(
      topic, "create", "Create topics",
      "  catamaran topic create cars --partitions 3\n"
      "  catamaran topic create cars --if-not-exists -c retention.ms=86400000 -c durability=async",
      [create, configs]() -> absl::StatusOr<Command> {
        absl::StatusOr<std::map<std::string, std::string>> parsed = ParseConfigs(*configs);
        if (!parsed.ok()) return parsed.status();
        create->configs = std::move(*parsed);
        return Command(*create);
      });
  AddTopics(app, &create->topics, /*existing=*/false);
  AddCount32(app, "-p,--partitions", &create->partitions, 1, kPartitionsMax,
             "Partitions of each. Default: the cluster's");
  AddCount32(app, "-r,--replication-factor", &create->replication_factor, 1, kReplicationFactorMax,
             "Brokers that keep each partition. Default: the cluster's");
  AddRepeated(app, "-c,--config", configs.get(), "NAME=VALUE",
              "A setting, e.g. retention.ms=3600000");
  app->add_flag("--if-not-exists", create->if_not_exists, "A topic that exists is a success");
  AddDryRun(app, &create->dry_run);

  auto list = std::make_shared<TopicList>();
  app = AddCommand(topic, "list", "List topics",
                   "  catamaran topic list\n  catamaran topic list -o name | grep '^orders-'",
                   [list]() -> absl::StatusOr<Command> { return Command(*list); });
  app->add_flag("--internal", list->internal, "The cluster's own topics too");

  auto describe = std::make_shared<TopicDescribe>();
  app = AddCommand(topic, "describe", "Show topics with partitions, offsets and settings",
                   "  catamaran topic describe cars\n  catamaran topic describe cars -o wide",
                   [describe]() -> absl::StatusOr<Command> { return Command(*describe); });
  AddTopics(app, &describe->topics, /*existing=*/true);
  AddTopicChangeCommands(topic);
}

void CommandTree::AddTopicChangeCommands(CLI::App* topic) {
  auto alter = std::make_shared<TopicAlter>();
  auto sets = std::make_shared<std::vector<std::string>>();
  CLI::App* app = AddCommand(
      topic, "alter", "Change a topic's settings",
      "  catamaran topic alter cars --set retention.ms=3600000\n"
      "  catamaran topic alter cars --unset retention.ms --dry-run",
      [alter, sets]() -> absl::StatusOr<Command> {
        absl::StatusOr<std::map<std::string, std::string>> parsed = ParseConfigs(*sets);
        if (!parsed.ok()) return parsed.status();
        if (parsed->empty() && alter->remove.empty()) {
          return MakeError(Reason::kInvalidArgument, "Nothing to change: pass --set or --unset.");
        }
        alter->set = std::move(*parsed);
        return Command(*alter);
      });
  AddTopic(app, &alter->topic);
  AddRepeated(app, "--set", sets.get(), "NAME=VALUE", "A new value");
  AddRepeated(app, "--unset", &alter->remove, "NAME", "Back to the default");
  app->add_option("--expected-version", alter->expected_version,
                  "Only if the topic's version is still this one")
      ->type_name("N");
  AddDryRun(app, &alter->dry_run);

  auto add = std::make_shared<TopicAddPartitions>();
  app = AddCommand(topic, "add-partitions",
                   "Give a topic more partitions; keys go to other ones from then on",
                   "  catamaran topic add-partitions cars --partitions 6",
                   [add]() -> absl::StatusOr<Command> { return Command(*add); });
  AddTopic(app, &add->topic);
  AddCount32(app, "-p,--partitions", &add->partitions, 1, kPartitionsMax, "The new total")
      ->required();
  AddDryRun(app, &add->dry_run);

  auto remove = std::make_shared<TopicDelete>();
  app = AddCommand(topic, "delete", "Delete topics and their records for ever",
                   "  catamaran topic delete cars\n"
                   "  catamaran topic delete cars bikes --if-exists --yes",
                   [remove]() -> absl::StatusOr<Command> { return Command(*remove); });
  AddTopics(app, &remove->topics, /*existing=*/true);
  app->add_flag("--if-exists", remove->if_exists, "A topic that isn't there is a success");
  AddYes(app, &remove->yes);
  AddDryRun(app, &remove->dry_run);

  auto trim = std::make_shared<TopicDeleteRecords>();
  app = AddCommand(topic, "delete-records", "Delete the oldest records of partitions for ever",
                   "  catamaran topic delete-records cars -p 0 --before 1500\n"
                   "  catamaran topic delete-records cars -p 0 -p 1 --before @-7d --yes",
                   [trim]() -> absl::StatusOr<Command> { return Command(*trim); });
  AddTopic(app, &trim->topic);
  app->add_option("-p,--partition", trim->partitions, "Which partition (repeatable)")
      ->required()
      ->type_name("N")
      ->allow_extra_args(false)
      ->check(CLI::NonNegativeNumber);
  auto parse_point = [now = now_](std::string_view word) -> std::optional<OffsetPoint> {
    absl::StatusOr<OffsetPoint> point = ParseOffsetPoint(word, now);
    return point.ok() ? std::optional<OffsetPoint>(*point) : std::nullopt;
  };
  AddParsed(app, "--before", &trim->before, parse_point, "OFFSET",
            "place in a log: write an offset, end, -N or @time",
            "Delete what is before: an offset, end (all), -N (keep N), @time")
      ->required();
  AddYes(app, &trim->yes);
  AddDryRun(app, &trim->dry_run);
}

absl::StatusOr<Command> CommandTree::Take() {
  const CLI::App* command = &app_;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  auto taker = takers_.find(command);
  if (taker == takers_.end()) {
    return MakeError(Reason::kInvalidArgument, Cat({PathOf(command), " needs a command."}));
  }
  return taker->second();
}

std::vector<std::string> CommandTree::ChoicesOf(const CLI::Option* option) const {
  auto choices = choices_.find(option);
  return choices == choices_.end() ? std::vector<std::string>() : choices->second;
}

}  // namespace catamaran::cli
