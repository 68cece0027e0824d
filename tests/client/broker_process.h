// A real broker as a child process on a directory and free ports of its own, for tests and benches.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace catamaran::client {

// Kills the broker and removes the directory when destroyed. One owner.
class ChildBroker {
 public:
  // `binary` is catamarand. Returns when the broker serves.
  static absl::StatusOr<std::unique_ptr<ChildBroker>> Start(
      const std::string& binary, const std::vector<std::string>& flags = {});
  ~ChildBroker();

  const std::string& address() const { return address_; }
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }
  // SIGKILL, as a crash.
  void Kill();
  // Starts again on the same directory and port.
  absl::Status Restart();

 private:
  ChildBroker() = default;
  absl::Status Spawn();

  std::string binary_;
  std::vector<std::string> flags_;
  std::string directory_;
  std::string address_;
  pid_t pid_ = -1;
};

}  // namespace catamaran::client
