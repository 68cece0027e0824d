// Help texts, and the reference that is made from them.
#include "client/cli/arguments.h"
#include "client/cli/command_tree.h"

namespace catamaran::cli {
namespace {

constexpr size_t kLeftColumns = 36;
constexpr size_t kTextColumns = 64;

// "-b, --brokers HOST:PORT,..."
std::string LabelOf(const CLI::Option* option) {
  std::vector<std::string> names;
  for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  std::string label = Cat({option->get_snames().empty() ? "    " : "", Join(names, ", ")});
  bool takes_value = option->get_items_expected_max() > 0 && !option->get_type_name().empty();
  return takes_value ? Cat({label, " ", option->get_type_name()}) : label;
}

// Two columns; the right one is broken at blanks.
void AppendEntry(std::string* out, const std::string& left, const std::string& right) {
  std::string line = Cat({"  ", left});
  if (line.size() + 2 > kLeftColumns) {
    out->append(line).push_back('\n');
    line.clear();
  }
  line.resize(kLeftColumns, ' ');
  size_t columns = 0;
  for (const std::string& word : Split(right, ' ')) {
    if (columns > 0 && columns + 1 + word.size() > kTextColumns) {
      out->append(line).push_back('\n');
      line.assign(kLeftColumns, ' ');
      columns = 0;
    }
    if (columns > 0) line.push_back(' ');
    line.append(word);
    columns += word.size() + (columns > 0 ? 1 : 0);
  }
  out->append(line).push_back('\n');
}

std::string AboutOf(const CLI::Option* option) {
  std::string about = option->get_description();
  if (!option->get_positional() && option->get_required()) about += " (required)";
  if (!option->get_envname().empty()) about += Cat({" [", option->get_envname(), "]"});
  return about;
}

std::string UsageOf(const CLI::App* app) {
  std::string usage = Cat({"Usage: ", PathOf(app)});
  if (!app->get_subcommands([](const CLI::App*) { return true; }).empty()) {
    return usage + " COMMAND [flags]";
  }
  for (const CLI::Option* option : app->get_options()) {
    if (!option->get_positional()) continue;
    bool many = option->get_items_expected_max() > 1;
    usage += Cat({" ", option->get_name(true), many ? "..." : ""});
  }
  return usage + " [flags]";
}

// The flag for help stands with the global ones only.
void AppendFlags(std::string* out, const CLI::App* app, const std::string& title) {
  bool global = app->get_parent() == nullptr;
  std::string entries;
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional() || (option == app->get_help_ptr() && !global)) continue;
    AppendEntry(&entries, LabelOf(option), AboutOf(option));
  }
  if (!entries.empty()) out->append(Cat({"\n", title, ":\n", entries}));
}

void AppendReference(std::string* out, const CLI::App* app, const std::string& level) {
  out->append(Cat({"\n", level, " ", PathOf(app), "\n\n```text\n", app->help(), "```\n"}));
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    AppendReference(out, command, app->get_parent() == nullptr ? "##" : "###");
  }
}

constexpr const char* kReferenceHead = R"(# The command line

Generated from the help of `catamaran`; a test compares them. To write it again after a change:
`catamaran __reference > docs/cli.md`. The [tutorial](tutorial.md) shows the commands at work.

Data goes to standard output; hints, progress and errors go to standard error. With `-o json` a list
is an object with an array field, numbers are numbers (64-bit offsets too), and an error is one line
on standard error: `{"error":{"code","reason","message","hint","metadata"}}`.

## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | another failure |
| 2 | usage: the command line, a name, a setting or a record of the input is wrong |
| 3 | not found: topic, partition |
| 4 | conflict: it exists already, it was changed meanwhile, the offset is outside the log |
| 5 | not authenticated or not allowed |
| 6 | unavailable: no broker can be reached, no leader, overloaded, disk full |
| 7 | not answered in time; the outcome may be unknown |
| 8 | some of several things failed |
| 10 | a health check says no |
| 130 | interrupted (Ctrl-C) |

## Templates

`produce -f` reads and `consume -f` writes records as a template describes them:

| token | field |
| --- | --- |
| `%t` `%p` `%o` | topic, partition, offset |
| `%k` `%v` | key, value: their bytes |
| `%h` | headers: `name=value,name=value` |
| `%T` | time in milliseconds since 1970 |
| `%%` | a per cent sign |

Behind a token may stand `{hex}`, `{base64}` or `{json}`; behind `%T` also `{iso}`. `{json}` writes
a key or value as a JSON string or null, or as `{"base64":"..."}` when its bytes aren't UTF-8.
`\n \t \r \0 \\ \xHH` are the bytes they always are. Keys and values are bytes: nothing is trimmed
or converted, so `consume -f '%v'` writes exactly what was stored. Reading a template, an empty `%k`
is no key at all; in JSON `null` and `""` are told apart. When reading, `%t` and `%o` are passed
over, so the template that wrote a file can read it.

JSON lines are objects like `{"partition":0,"timestamp_ms":1700000000000,"key":"k","value":"v",
"headers":[{"key":"h","value":"x"}]}`. Bytes that aren't UTF-8 stand in base64 as `key_base64`,
`value_base64`. What `consume -o json` writes, `produce --json` takes; `topic`, `offset` and
`leader_epoch` are passed over. Anything else is refused with the number of its line, so that no
guess is stored: an unknown or doubled field, a key or value that is neither string nor null, a
partition below 0, headers that are no array.
)";

}  // namespace

std::string PathOf(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  return parent == nullptr ? app->get_name() : Cat({PathOf(parent), " ", app->get_name()});
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  std::string out = Cat({app->get_description(), "\n\n", UsageOf(app), "\n"});
  std::vector<const CLI::App*> commands =
      app->get_subcommands([](const CLI::App*) { return true; });
  if (!commands.empty()) out += "\nCommands:\n";
  for (const CLI::App* command : commands) {
    AppendEntry(&out, command->get_name(), command->get_description());
  }
  if (commands.empty()) AppendFlags(&out, app, "Flags");
  const CLI::App* root = app;
  while (root->get_parent() != nullptr) root = root->get_parent();
  AppendFlags(&out, root, "Global flags");
  if (!app->get_footer().empty()) out += Cat({"\nExamples:\n", app->get_footer(), "\n"});
  return out;
}

std::string ReferenceMarkdown() {
  CommandTree tree{TimestampMs(0)};
  std::string out = kReferenceHead;
  AppendReference(&out, &tree.app(), "##");
  return out;
}

}  // namespace catamaran::cli
