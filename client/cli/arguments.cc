#include "client/cli/arguments.h"

#include <cstdlib>

#include "base/error.h"
#include "client/cli/command_tree.h"

namespace catamaran::cli {
namespace {

const CLI::App* DeepestParsed(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

bool IsFlagWord(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

// Every "--flag" and "-f" that may stand behind `app`'s name.
std::vector<std::string> FlagsOf(const CLI::App* app) {
  std::vector<std::string> flags;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
      for (const std::string& name : option->get_snames()) flags.push_back("-" + name);
    }
  }
  return flags;
}

std::vector<std::string> CommandsOf(const CLI::App* app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return names;
}

std::string Suggestion(const std::string& word, const std::vector<std::string>& candidates) {
  std::optional<std::string> nearest = Nearest(word.substr(0, word.find('=')), candidates);
  return nearest.has_value() ? Cat({" Did you mean ", *nearest, "?"}) : "";
}

// What is wrong, in our words where CLI11's would leave the user alone.
std::string ExplainParseError(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App* app = DeepestParsed(root);
  std::vector<std::string> unknown = root.remaining(true);
  for (const std::string& word : unknown) {
    if (!IsFlagWord(word)) continue;
    return Cat({"Unknown flag ", Printable(word), ".", Suggestion(word, FlagsOf(app))});
  }
  std::vector<std::string> commands = CommandsOf(app);
  if (!unknown.empty() && !commands.empty()) {
    return Cat({"Unknown command \"", PathOf(app), " ", Printable(unknown[0]), "\".",
                Suggestion(unknown[0], commands)});
  }
  if (!unknown.empty()) return Cat({"Unexpected argument \"", Printable(unknown[0]), "\"."});
  if (!commands.empty()) {
    return Cat({PathOf(app), " needs a command: ", Join(commands, ", "), "."});
  }
  std::string what = error.what();
  return !what.empty() && what.back() == '.' ? what : what + ".";
}

std::optional<OutputFormat> FormatFromName(std::string_view name) {
  if (name == "json") return OutputFormat::kJson;
  if (name == "yaml") return OutputFormat::kYaml;
  return std::nullopt;
}

// The wanted output format of a line that may be broken elsewhere.
OutputFormat GuessFormat(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    std::optional<OutputFormat> format;
    if ((word == "-o" || word == "--output") && i + 1 < words.size()) {
      format = FormatFromName(words[i + 1]);
    } else if (word.substr(0, 9) == "--output=") {
      format = FormatFromName(word.substr(9));
    } else if (word.substr(0, 2) == "-o") {
      format = FormatFromName(word.substr(2));
    }
    if (format.has_value()) return *format;
  }
  const char* environment = std::getenv("CATAMARAN_OUTPUT");
  std::string_view name = environment != nullptr ? environment : "";
  return FormatFromName(name).value_or(OutputFormat::kTable);
}

EarlyExit UsageError(const CLI::App& root, const std::vector<std::string>& words,
                     const absl::Status& why) {
  std::string hint = Cat({PathOf(DeepestParsed(root)), " --help shows how it is used."});
  absl::Status status = MakeFailure(absl::StatusCode::kInvalidArgument, "USAGE",
                                    std::string(why.message().data(), why.message().size()), hint);
  return {ExitCode::kUsage, "", RenderFailure(status, GuessFormat(words), false)};
}

// Runs the parser. Absent: go on with tree->Take().
std::optional<EarlyExit> RunParser(CommandTree* tree, const std::vector<std::string>& words) {
  CLI::App& app = tree->app();
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* command = DeepestParsed(app);
    return EarlyExit{ExitCode::kOk, command->help(), ""};
  } catch (const CLI::ParseError& error) {
    std::string why = ExplainParseError(app, error);
    return UsageError(app, words, absl::InvalidArgumentError(why));
  }
  return std::nullopt;
}

const CLI::App* FindCommand(const CLI::App* app, const std::string& name) {
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

const CLI::Option* FindOption(const CLI::App* app, const std::string& word) {
  std::string name = word.substr(0, word.find('='));
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      if (!option->get_positional() && option->check_name(name)) return option;
    }
  }
  return nullptr;
}

bool TakesValue(const CLI::Option* option) { return option->get_items_expected_max() > 0; }

// Where in the tree the last word stands.
struct Cursor {
  const CLI::App* app;
  const CLI::Option* pending = nullptr;  // a flag whose value is the last word
  size_t arguments = 0;                  // positional words so far
};

Cursor WalkTo(const CLI::App& root, const std::vector<std::string>& words, Candidates* candidates) {
  Cursor cursor{&root};
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (cursor.pending != nullptr) {
      if (cursor.pending->check_lname("brokers")) {
        candidates->global.brokers = Split(word, ',');
      }
      cursor.pending = nullptr;
    } else if (IsFlagWord(word)) {
      const CLI::Option* option = FindOption(cursor.app, word);
      bool separate = option != nullptr && TakesValue(option) && word.find('=') == word.npos;
      cursor.pending = separate ? option : nullptr;
    } else {
      const CLI::App* next = FindCommand(cursor.app, word);
      if (next == nullptr) ++cursor.arguments;
      if (next != nullptr) cursor.app = next;
    }
  }
  return cursor;
}

void AddPositional(const CommandTree& tree, const Cursor& cursor, Candidates* candidates) {
  size_t position = 0;
  for (const CLI::Option* option : cursor.app->get_options()) {
    if (!option->get_positional()) continue;
    bool many = option->get_items_expected_max() > 1;
    if (position == cursor.arguments || (many && position <= cursor.arguments)) {
      for (const std::string& word : tree.ChoicesOf(option)) candidates->words.push_back(word);
      candidates->topics |= tree.TakesTopics(option);
    }
    ++position;
  }
}

}  // namespace

std::variant<Invocation, EarlyExit> ParseArguments(const std::vector<std::string>& words,
                                                   TimestampMs now) {
  if (!words.empty() && words[0] == "__complete") {
    return Invocation{{}, Complete{{words.begin() + 1, words.end()}}};
  }
  if (!words.empty() && words[0] == "__reference") return Invocation{{}, Reference{}};
  CommandTree tree(now);
  if (words.empty()) return EarlyExit{ExitCode::kUsage, "", tree.app().help()};
  std::optional<EarlyExit> early = RunParser(&tree, words);
  if (early.has_value()) return *early;
  absl::StatusOr<Command> command = tree.Take();
  if (!command.ok()) return UsageError(tree.app(), words, command.status());
  return Invocation{tree.global(), std::move(*command)};
}

Candidates FindCandidates(const std::vector<std::string>& words) {
  CommandTree tree{TimestampMs(0)};
  Candidates candidates;
  const char* environment = std::getenv("CATAMARAN_BROKERS");
  if (environment != nullptr && *environment != '\0') {
    candidates.global.brokers = Split(environment, ',');
  }
  std::string last = words.empty() ? "" : words.back();
  Cursor cursor = WalkTo(tree.app(), words, &candidates);
  size_t equals = last.find('=');
  if (cursor.pending == nullptr && IsFlagWord(last) && equals != last.npos) {
    const CLI::Option* option = FindOption(cursor.app, last);
    if (option == nullptr) return candidates;
    for (const std::string& choice : tree.ChoicesOf(option)) {
      candidates.words.push_back(last.substr(0, equals + 1) + choice);
    }
  } else if (cursor.pending != nullptr) {
    candidates.words = tree.ChoicesOf(cursor.pending);
    candidates.topics = tree.TakesTopics(cursor.pending);
    candidates.files = tree.TakesFiles(cursor.pending);
  } else if (!last.empty() && last[0] == '-') {
    for (std::string& flag : FlagsOf(cursor.app)) {
      if (flag.substr(0, 2) == "--") candidates.words.push_back(std::move(flag));
    }
  } else {
    candidates.words = CommandsOf(cursor.app);
    AddPositional(tree, cursor, &candidates);
  }
  std::vector<std::string> fitting;
  for (std::string& word : candidates.words) {
    if (word.substr(0, last.size()) == last) fitting.push_back(std::move(word));
  }
  candidates.words = std::move(fitting);
  return candidates;
}

}  // namespace catamaran::cli
