// Listening sockets, with errors that name the address and the setting.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace catamaran::broker {

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// A non-blocking TCP socket that listens on `host` (a name or an address) and `port` (0: a free
// one). kAddressInUse, or kInvalidConfig when the host isn't this machine's; both name `setting`,
// the configuration's key. Blocking, briefly.
absl::StatusOr<Descriptor> ListenOn(const std::string& host, int port, std::string_view setting);

// The same errors, and nothing left open: for whoever listens by other means.
absl::Status CheckListenable(const std::string& host, int port, std::string_view setting);

}  // namespace catamaran::broker
