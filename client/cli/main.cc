// catamaran: the command line.
#include <cstdlib>
#include <string>
#include <variant>
#include <vector>

#include "client/cli/arguments.h"
#include "client/cli/commands.h"
#include "client/cli/console.h"

namespace catamaran::cli {
namespace {

bool ColourWanted(const GlobalOptions& global) {
  const char* no_colour = std::getenv("NO_COLOR");  // no-color.org: set and not empty
  return !global.no_colour && (no_colour == nullptr || *no_colour == '\0');
}

ExitCode RunInvocation(const Invocation& invocation) {
  Console console(
      {invocation.global.output, invocation.global.quiet, ColourWanted(invocation.global)});
  absl::StatusOr<ExitCode> code =
      std::visit([&](const auto& command) { return Run(invocation.global, command, &console); },
                 invocation.command);
  console.FlushOut();
  if (code.ok() && !console.out_status().ok()) code = console.out_status();
  if (code.ok()) return *code;
  console.ShowFailure(code.status());
  return ExitCodeOf(code.status());
}

ExitCode Main(const std::vector<std::string>& words) {
  SetInterruptMode(InterruptMode::kExit);
  auto parsed = ParseArguments(words, SystemClock().WallNow());
  if (const Invocation* invocation = std::get_if<Invocation>(&parsed)) {
    return RunInvocation(*invocation);
  }
  const EarlyExit& early = std::get<EarlyExit>(parsed);
  Console console({OutputFormat::kTable, /*quiet=*/false, /*colour=*/false});
  console.WriteOut(early.out);
  console.FlushOut();
  console.WriteError(early.error);
  return early.code;
}

}  // namespace
}  // namespace catamaran::cli

int main(int argc, char** argv) {
  // Words only: an empty argv[0] is legal.
  std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  return static_cast<int>(catamaran::cli::Main(words));
}
