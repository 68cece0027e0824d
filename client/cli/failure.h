// Exit codes and how a failure is told.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/error.h"

namespace catamaran::cli {

// A promise to scripts (docs/cli.md): never renumbered.
enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,      // anything without a code of its own
  kUsage = 2,        // the command line, a name, a setting or a record of the input is wrong
  kNotFound = 3,     // topic, partition
  kConflict = 4,     // exists already, changed meanwhile, offset outside the log
  kDenied = 5,       // not authenticated or not allowed
  kUnavailable = 6,  // no broker, no leader, overloaded, disk full
  kDeadline = 7,     // not answered in time; the outcome may be unknown
  kPartial = 8,      // some of several things failed
  kUnhealthy = 10,   // a health check says no
  kInterrupted = 130,
};

enum class OutputFormat { kTable, kWide, kJson, kYaml, kName };

ExitCode ExitCodeOf(const absl::Status& status);

// A failure that this program finds out by itself, where no Reason of base/error.h fits. `reason`
// is UPPER_SNAKE like those; `hint` says what to do.
absl::Status MakeFailure(absl::StatusCode code, std::string_view reason, std::string_view message,
                         std::string_view hint = "");

// The parts of a failure, as JSON mode prints them.
struct Failure {
  std::string code;    // "NOT_FOUND": the canonical name
  std::string reason;  // "UNKNOWN_TOPIC", or the code when there is none
  std::string message;
  std::string hint;  // may be empty
  ErrorMetadata metadata;
};
Failure DescribeFailure(const absl::Status& status);

// What goes to standard error, with its line break: `{"error":{"code","reason","message","hint",
// "metadata"}}` in JSON and YAML, else "error: message" and "hint: ...". `colour`: a terminal.
std::string RenderFailure(const absl::Status& status, OutputFormat format, bool colour);

}  // namespace catamaran::cli
