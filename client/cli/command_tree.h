// The tree of commands and flags behind arguments.h. Only its .cc files and arguments.cc know
// CLI11.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/options.h"
#include "client/cli/text.h"

namespace catamaran::cli {

// The application and the values that its options write to.
class CommandTree {
 public:
  explicit CommandTree(TimestampMs now);
  CommandTree(const CommandTree&) = delete;
  CommandTree& operator=(const CommandTree&) = delete;

  CLI::App& app() { return app_; }
  const GlobalOptions& global() const { return global_; }
  // The command of the subcommand that was parsed, after the checks that concern several flags.
  absl::StatusOr<Command> Take();

  // Fixed values that an option takes; empty when it takes anything.
  std::vector<std::string> ChoicesOf(const CLI::Option* option) const;
  bool TakesTopics(const CLI::Option* option) const { return topics_.count(option) > 0; }
  bool TakesFiles(const CLI::Option* option) const { return files_.count(option) > 0; }

 private:
  template <class T>
  struct Choice {
    std::string name;
    T value;
  };
  using TakeFunction = std::function<absl::StatusOr<Command>()>;

  void AddGlobal();
  void AddTopicCommands();
  void AddTopicChangeCommands(CLI::App* topic);
  void AddProduce();
  void AddConsume();
  void AddBench();
  void AddOthers();
  void AddSendOptions(CLI::App* app, SendOptions* send);

  CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& about,
                       const std::string& examples, TakeFunction take);
  CLI::Option* AddTopic(CLI::App* app, std::string* topic);
  CLI::Option* AddTopics(CLI::App* app, std::vector<std::string>* topics, bool existing);
  // A flag that may be given several times, each time with one word.
  CLI::Option* AddRepeated(CLI::App* app, const std::string& flags,
                           std::vector<std::string>* target, const std::string& type,
                           const std::string& about);
  void AddDryRun(CLI::App* app, bool* dry_run);
  void AddYes(CLI::App* app, bool* yes);

  // An option of one word that `parse` turns into a value; parse returns nullopt when it can't, and
  // `expected` tells the user what was wanted.
  template <class T, class Parse>
  CLI::Option* AddParsed(CLI::App* app, const std::string& flags, T* target, Parse parse,
                         const std::string& type, const std::string& expected,
                         const std::string& about) {
    std::string* raw = &raw_.emplace_back();
    CLI::Option* option = app->add_option(flags, *raw, about);
    option->type_name(type);
    option->check(CLI::Validator(
        [target, parse, expected](std::string& word) -> std::string {
          auto value = parse(std::string_view(word));
          if (!value.has_value()) return Cat({"\"", Printable(word), "\" is no ", expected});
          *target = *value;
          return "";
        },
        ""));
    return option;
  }

  template <class T>
  CLI::Option* AddChoice(CLI::App* app, const std::string& flags, T* target,
                         std::vector<Choice<T>> choices, const std::string& about) {
    std::vector<std::string> names;
    for (const Choice<T>& choice : choices) names.push_back(choice.name);
    CLI::Option* option = AddParsed(
        app, flags, target,
        [choices](std::string_view word) -> std::optional<T> {
          for (const Choice<T>& choice : choices) {
            if (choice.name == word) return choice.value;
          }
          return std::nullopt;
        },
        Join(names, "|"), Cat({"choice here: use ", Join(names, ", ")}), about);
    choices_[option] = std::move(names);
    return option;
  }

  CLI::Option* AddDuration(CLI::App* app, const std::string& flags, Duration* target,
                           const std::string& about);
  CLI::Option* AddCount(CLI::App* app, const std::string& flags, int64_t* target, int64_t min,
                        int64_t max, const std::string& about);
  CLI::Option* AddCount32(CLI::App* app, const std::string& flags, int32_t* target, int32_t min,
                          int32_t max, const std::string& about);

  const TimestampMs now_;
  GlobalOptions global_;
  CLI::App app_;
  std::deque<std::string> raw_;  // where CLI11 leaves words that a parser of ours has read
  std::map<const CLI::App*, TakeFunction> takers_;
  std::map<const CLI::Option*, std::vector<std::string>> choices_;
  std::set<const CLI::Option*> topics_;
  std::set<const CLI::Option*> files_;
};

// Help as we write it: what it does, usage, flags, examples.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

// "catamaran topic create".
std::string PathOf(const CLI::App* app);

}  // namespace catamaran::cli
