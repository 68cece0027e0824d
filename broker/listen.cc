#include "broker/listen.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/error.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

constexpr int kBacklog = 128;

absl::Status Refused(const std::string& host, int port, std::string_view setting, int error) {
  const std::string address = Cat(host, ":", port);
  ErrorMetadata metadata = {{"address", address}, {"setting", std::string(setting)}};
  if (error == EADDRINUSE) {
    return MakeError(Reason::kAddressInUse,
                     Cat("Another process listens on ", address, ", the address of ", setting,
                         ". Stop that process, or set ", setting, " to another address."),
                     std::move(metadata));
  }
  if (error == EACCES) {
    return MakeError(Reason::kInvalidConfig,
                     Cat("This user may not listen on ", address, ", the address of ", setting,
                         ". Set ", setting, " to a port of 1024 or above."),
                     std::move(metadata));
  }
  return MakeError(Reason::kInvalidConfig,
                   Cat("'", host, "', the host of ", setting, ", isn't an address of this ",
                       "machine. Set ", setting, " to one that is, or to 0.0.0.0 for all."),
                   std::move(metadata));
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Descriptor> ListenOn(const std::string& host, int port, std::string_view setting) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  int error = 0;
  if (getaddrinfo(host.c_str(), Cat(port).c_str(), &hints, &found) == 0) {
    std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
    for (const addrinfo* it = addresses.get(); it != nullptr; it = it->ai_next) {
      Descriptor socket(::socket(it->ai_family, it->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      // Connections of an earlier run that still linger mustn't keep the address.
      const int yes = 1;
      setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      if (socket.get() >= 0 && bind(socket.get(), it->ai_addr, it->ai_addrlen) == 0 &&
          listen(socket.get(), kBacklog) == 0) {
        return socket;
      }
      if (error != EADDRINUSE) error = errno;
    }
  }
  return Refused(host, port, setting, error);
}

absl::Status CheckListenable(const std::string& host, int port, std::string_view setting) {
  return ListenOn(host, port, setting).status();
}

}  // namespace catamaran::broker
