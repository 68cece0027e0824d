// Completion for shells, and the texts that come from the command tree.
#include "client/cli/arguments.h"
#include "client/cli/commands.h"
#include "client/cli/session.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

// Whoever presses Tab doesn't wait longer.
constexpr Duration kCompletionConnectMax = std::chrono::milliseconds(100);
constexpr Duration kCompletionAnswerMax = std::chrono::milliseconds(150);

// `catamaran __complete WORDS...` prints the candidates for the last word, one a line, and first
// ":files" when the shell should offer files as well.
constexpr std::string_view kBash =
    R"sh(# bash completion for catamaran: source <(catamaran completion bash)
_catamaran() {
  local current="${COMP_WORDS[COMP_CWORD]}" candidates
  candidates="$("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" ||
    return
  if [[ "$candidates" == :files* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
  fi
  mapfile -t COMPREPLY < <(printf '%s' "${candidates:+$candidates$'\n'}")
}
complete -F _catamaran catamaran
)sh";

constexpr std::string_view kZsh = R"sh(#compdef catamaran
# zsh completion for catamaran: put it into a folder of $fpath as _catamaran
_catamaran() {
  local -a candidates
  candidates=("${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "${candidates[1]}" == ":files" ]]; then
    _files
    return
  fi
  compadd -Q -- "${(@)candidates:#}"
}
if [[ "${funcstack[1]}" == "_catamaran" ]]; then
  _catamaran "$@"
else
  compdef _catamaran catamaran
fi
)sh";

constexpr std::string_view kFish = R"sh(# fish completion for catamaran
function __catamaran_complete
  set -l words (commandline -opc)
  set -l candidates (command $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null)
  if test "$candidates[1]" = ":files"
    __fish_complete_path (commandline -ct)
    return
  end
  printf '%s\n' $candidates
end
complete -c catamaran -f -a '(__catamaran_complete)'
)sh";

std::vector<std::string> LiveTopics(GlobalOptions global) {
  global.connect_timeout = kCompletionConnectMax;
  if (!CheckReachable(global).ok()) return {};
  client::ClientOptions options = MakeClientOptions(global);
  options.request_timeout = kCompletionAnswerMax;
  auto admin = client::Admin::Create(options);
  if (!admin.ok()) return {};
  auto topics = (*admin)->ListTopics();
  std::vector<std::string> names;
  if (!topics.ok()) return names;
  for (const client::TopicDescription& topic : *topics) names.push_back(topic.name);
  return names;
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions&, const Completion& command, Console* console) {
  console->WriteOut(command.shell == "bash" ? kBash : command.shell == "zsh" ? kZsh : kFish);
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Run(const GlobalOptions&, const Complete& command, Console* console) {
  Candidates candidates = FindCandidates(command.words);
  std::string last = command.words.empty() ? "" : command.words.back();
  if (candidates.files) console->WriteOut(":files\n");
  for (const std::string& word : candidates.words) console->WriteOut(word + "\n");
  if (!candidates.topics) return ExitCode::kOk;
  for (const std::string& topic : LiveTopics(candidates.global)) {
    if (topic.substr(0, last.size()) == last) console->WriteOut(topic + "\n");
  }
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Run(const GlobalOptions&, const Reference&, Console* console) {
  console->WriteOut(ReferenceMarkdown());
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Run(const GlobalOptions&, const Version&, Console* console) {
  Report report;
  report.document = Members({{"version", CATAMARAN_VERSION}});
  report.names = {CATAMARAN_VERSION};
  report.table = Cat({"catamaran ", CATAMARAN_VERSION, "\n"});
  console->Show(report);
  return ExitCode::kOk;
}

}  // namespace catamaran::cli
