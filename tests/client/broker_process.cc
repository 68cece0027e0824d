#include "tests/client/broker_process.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "client/admin.h"

extern char** environ;

namespace catamaran::client {
namespace {

constexpr Duration kReadyTimeout = std::chrono::seconds(60);
constexpr int kPollIntervalMs = 5;

// Waits until the process has ended, at most so long.
void WaitForEnd(pid_t pid, int milliseconds) {
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  pollfd ended{descriptor, POLLIN,
               0};  // a negative descriptor is passed over: only the time counts
  ::poll(&ended, 1, milliseconds);
  if (descriptor >= 0) ::close(descriptor);
}

// The line "client=host:port" of the ports file; empty while it isn't there.
std::string ReadAddress(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t equals = line.find('=');
    if (line.rfind("client", 0) == 0 && equals != std::string::npos) return line.substr(equals + 1);
  }
  return {};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildBroker>> ChildBroker::Start(
    const std::string& binary, const std::vector<std::string>& flags) {
  const char* base = ::getenv("TMPDIR");
  std::string pattern = absl::StrCat(base == nullptr ? "/tmp" : base, "/catamaran-client-XXXXXX");
  if (::mkdtemp(pattern.data()) == nullptr) return absl::InternalError("mkdtemp failed");
  std::unique_ptr<ChildBroker> broker(new ChildBroker());
  broker->binary_ = binary;
  broker->flags_ = flags;
  broker->directory_ = pattern;
  if (absl::Status status = broker->Spawn(); !status.ok()) return status;
  return broker;
}

absl::Status ChildBroker::Spawn() {
  const std::string ports = directory_ + "/ports";
  std::filesystem::remove(ports);
  std::vector<std::string> arguments = {
      binary_,
      absl::StrCat("--data.directory=", directory_, "/data"),
      absl::StrCat("--listen.client=", address_.empty() ? "127.0.0.1:0" : address_),
      "--listen.http=127.0.0.1:0",
      "--log.level=warning",
      absl::StrCat("--ports-file=", ports)};
  arguments.insert(arguments.end(), flags_.begin(), flags_.end());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (::posix_spawn(&pid_, binary_.c_str(), nullptr, nullptr, argv.data(), environ) != 0) {
    pid_ = -1;
    return absl::InternalError(absl::StrCat("can't start ", binary_));
  }
  const MonotonicTime deadline = SystemClock().Now() + kReadyTimeout;
  while (SystemClock().Now() < deadline) {
    const std::string address = ReadAddress(ports);
    if (!address.empty()) {
      address_ = address;
      ClientOptions options;
      options.bootstrap = {address_};
      auto admin = Admin::Create(options);
      if (!admin.ok()) return admin.status();
      return (*admin)->DescribeCluster().status();
    }
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::InternalError("the broker ended while starting");
    }
    WaitForEnd(pid_, kPollIntervalMs);  // then look at the file again
  }
  return absl::DeadlineExceededError("the broker didn't write its ports file");
}

void ChildBroker::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

absl::Status ChildBroker::Restart() {
  Kill();
  return Spawn();
}

ChildBroker::~ChildBroker() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace catamaran::client
