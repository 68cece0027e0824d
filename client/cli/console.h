// The terminal and the process: standard streams, signals, questions, progress. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "client/cli/failure.h"
#include "client/cli/report.h"

namespace catamaran::cli {

struct ConsoleOptions {
  OutputFormat format = OutputFormat::kTable;
  bool quiet = false;  // no notes, no progress
  bool colour = true;  // still only on a terminal
};

class Console {
 public:
  explicit Console(const ConsoleOptions& options);
  // Writes out what is buffered and takes the progress line away.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  OutputFormat format() const { return options_.format; }

  // Standard output, buffered; WriteOut() beyond the buffer writes through.
  void WriteOut(std::string_view text);
  void FlushOut();
  // The reader of standard output went away (EPIPE), or it can't be written.
  bool out_broken() const { return out_broken_; }
  // OK, or why standard output can't be written (a full disk); a reader that went away is OK.
  absl::Status out_status() const { return out_status_; }

  // The report and, for people, its next command.
  void Show(const Report& report);
  // Something for a person on standard error. Nothing when quiet.
  void Note(std::string_view text);
  void ShowFailure(const absl::Status& status);
  void WriteError(std::string_view text);  // as it is

  // Replaces the progress line, at most ten times a second, when standard error is a terminal.
  void Progress(std::string_view text);
  void EndProgress();

  // Asks on the terminal. FailedPrecondition that names --yes when there is none; false when the
  // answer isn't yes.
  absl::StatusOr<bool> Confirm(std::string_view question);

 private:
  const ConsoleOptions options_;
  const bool error_is_terminal_;
  std::string out_;
  bool out_broken_ = false;
  absl::Status out_status_;
  bool progress_shown_ = false;
  MonotonicTime progress_next_;
};

// What SIGINT and SIGTERM do. SIGPIPE is always ignored.
enum class InterruptMode : uint8_t {
  kExit,    // leave at once with 130
  kFinish,  // the first sets Interrupted(), the second leaves at once
};
void SetInterruptMode(InterruptMode mode);
bool Interrupted();

// Waits until `fd` can be read, a signal came, or `timeout` passed. True when it can be read (the
// end of the input counts as that).
bool WaitReadable(int fd, Duration timeout);
// Waits for `timeout`, or until a signal came.
void WaitInterruptible(Duration timeout);

// The whole file, or standard input for "-". FILE_NOT_READABLE (InvalidArgument: the command line
// names it), kRecordTooLarge above `bytes_max`.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t bytes_max);

}  // namespace catamaran::cli
