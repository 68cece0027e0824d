#include "client/cli/console.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

constexpr size_t kOutBufferBytes = 64u << 10;
constexpr size_t kReadBytes = 256u << 10;
constexpr Duration kProgressInterval = std::chrono::milliseconds(100);

// A signal handler may touch these only.
std::atomic<bool> g_interrupted{false};
std::atomic<bool> g_finish_first{false};
std::atomic<int> g_wake_pipe[2] = {-1, -1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void OnSignal(int) {
  if (!g_finish_first.load() || g_interrupted.exchange(true)) {
    _exit(static_cast<int>(ExitCode::kInterrupted));
  }
  int saved_errno = errno;
  // A full pipe wakes its reader just as well.
  [[maybe_unused]] ssize_t written = write(g_wake_pipe[1].load(), "!", 1);
  errno = saved_errno;
}

int PollMs(Duration timeout) {
  int64_t ms = timeout / std::chrono::milliseconds(1);
  return static_cast<int>(std::clamp<int64_t>(ms, 0, 3'600'000));
}

// Writes everything; 0 or the errno that stopped it.
int WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t written = write(fd, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd wait{fd, POLLOUT, 0};
      poll(&wait, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

Console::Console(const ConsoleOptions& options)
    : options_(options), error_is_terminal_(isatty(STDERR_FILENO) == 1) {}

Console::~Console() {
  EndProgress();
  FlushOut();
}

void Console::WriteOut(std::string_view text) {
  out_.append(text);
  if (out_.size() >= kOutBufferBytes) FlushOut();
}

void Console::FlushOut() {
  if (out_.empty()) return;
  int error = out_broken_ ? EPIPE : WriteAll(STDOUT_FILENO, out_);
  out_.clear();
  if (error == 0) return;
  out_broken_ = true;
  if (error == EPIPE) return;
  out_status_ = MakeFailure(absl::StatusCode::kInternal, "OUTPUT_FAILED",
                            Cat({"Standard output can't be written: ", std::strerror(error), "."}),
                            "Free space where the output goes, or send it elsewhere.");
}

void Console::WriteError(std::string_view text) { WriteAll(STDERR_FILENO, text); }

void Console::Show(const Report& report) {
  WriteOut(RenderReport(report, options_.format));
  FlushOut();
  if (IsForPeople(options_.format) && !report.next.empty()) {
    Note(Cat({"Next: ", report.next}));
  }
}

void Console::Note(std::string_view text) {
  if (options_.quiet) return;
  EndProgress();
  WriteError(Cat({text, "\n"}));
}

void Console::ShowFailure(const absl::Status& status) {
  EndProgress();
  FlushOut();
  WriteError(RenderFailure(status, options_.format, options_.colour && error_is_terminal_));
}

void Console::Progress(std::string_view text) {
  if (options_.quiet || !error_is_terminal_) return;
  MonotonicTime now = SystemClock().Now();
  if (now < progress_next_) return;
  progress_next_ = now + kProgressInterval;
  progress_shown_ = true;
  WriteError(Cat({"\r\x1b[K", text}));
}

void Console::EndProgress() {
  if (progress_shown_) WriteError("\r\x1b[K");
  progress_shown_ = false;
}

absl::StatusOr<bool> Console::Confirm(std::string_view question) {
  if (isatty(STDIN_FILENO) != 1 || !error_is_terminal_) {
    return MakeFailure(absl::StatusCode::kInvalidArgument, "CONFIRMATION_NEEDED",
                       Cat({question, " Nobody can be asked, since this is no terminal."}),
                       "Pass --yes to do it without asking.");
  }
  EndProgress();
  WriteError(Cat({question, " [y/N] "}));
  std::string answer;
  char c = 0;
  while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n') answer.push_back(c);
  return answer == "y" || answer == "Y" || answer == "yes";
}

void SetInterruptMode(InterruptMode mode) {
  if (g_wake_pipe[0].load() < 0) {
    int fds[2] = {-1, -1};
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0) {
      g_wake_pipe[0] = fds[0];
      g_wake_pipe[1] = fds[1];
    }
  }
  g_finish_first = mode == InterruptMode::kFinish;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

bool Interrupted() { return g_interrupted.load(); }

bool WaitReadable(int fd, Duration timeout) {
  pollfd waits[2] = {{fd, POLLIN, 0}, {g_wake_pipe[0].load(), POLLIN, 0}};
  int ready = poll(waits, 2, PollMs(timeout));
  return ready > 0 && waits[0].revents != 0;
}

void WaitInterruptible(Duration timeout) {
  timespec wait{timeout / std::chrono::seconds(1),
                (timeout % std::chrono::seconds(1)) / std::chrono::nanoseconds(1)};
  pollfd wake{g_wake_pipe[0].load(), POLLIN, 0};
  ppoll(&wake, 1, &wait, nullptr);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t bytes_max) {
  auto unreadable = [&path](int error) {
    return MakeFailure(
        absl::StatusCode::kInvalidArgument, "FILE_NOT_READABLE",
        Cat({"The file \"", Printable(path), "\" can't be read: ", std::strerror(error), "."}));
  };
  int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return unreadable(errno);
  std::string bytes;
  absl::Status status;
  while (true) {
    size_t size = bytes.size();
    bytes.resize(size + kReadBytes);
    ssize_t count = read(fd, bytes.data() + size, kReadBytes);
    bytes.resize(size + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      status = unreadable(errno);
      break;
    }
    if (bytes.size() > bytes_max) {
      status = MakeError(Reason::kRecordTooLarge,
                         Cat({"\"", Printable(path), "\" has more than ", std::to_string(bytes_max),
                              " bytes, too many for one record."}),
                         {{"bytes_max", std::to_string(bytes_max)}});
      break;
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return bytes;
}

}  // namespace catamaran::cli
