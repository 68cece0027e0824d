// The command line: from words to an Invocation.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "client/cli/failure.h"
#include "client/cli/options.h"

namespace catamaran::cli {

// Nothing is left to do but to print and leave: help, or a usage error.
struct EarlyExit {
  ExitCode code = ExitCode::kOk;
  std::string out;    // standard output
  std::string error;  // standard error
};

// `words` are those after the program's name. Global flags fall back to CATAMARAN_* of the
// environment. `now` is what relative times count from.
std::variant<Invocation, EarlyExit> ParseArguments(const std::vector<std::string>& words,
                                                   TimestampMs now);

// What may stand for the last of `words`: subcommands, flags, fixed values of flags.
struct Candidates {
  std::vector<std::string> words;
  bool topics = false;   // names of topics too
  bool files = false;    // leave it to the shell: names of files
  GlobalOptions global;  // with --brokers as far as it can be read from the words
};
Candidates FindCandidates(const std::vector<std::string>& words);

// docs/cli.md: the help of every command.
std::string ReferenceMarkdown();

}  // namespace catamaran::cli
