// Endpoints and executors for tests of the transport between peers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "broker/rpc/peer_transport.h"
#include "tests/base/runtime_fixture.h"

namespace catamaran::broker {

// An address of loopback that is this process's alone, so that tests which run at the same time
// can't take each other's ports.
inline std::string OwnLoopbackHost() {
  const pid_t pid = getpid();
  return absl::StrCat("127.", 1 + ((pid >> 16) & 0x7f), ".", (pid >> 8) & 0xff, ".",
                      1 + (pid & 0x7f));
}

// A port of that host on which nobody listens.
inline std::string FreeEndpoint() {
  const std::string host = OwnLoopbackHost();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  CATAMARAN_CHECK(inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1, "an address");
  socklen_t size = sizeof(address);
  CATAMARAN_CHECK(bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
                  "a free port of loopback");
  close(fd);
  return absl::StrCat(host, ":", ntohs(address.sin_port));
}

class PeerRuntime : public ThreadRuntime {
 public:
  std::unique_ptr<Transport> MakeTransport(size_t send_bytes_max) override {
    PeerTransportOptions options;
    options.send_bytes_max = send_bytes_max;
    return MakePeerTransport(options);
  }
  std::string Endpoint(const std::string& name) override {
    auto [it, added] = endpoints_.try_emplace(name);
    if (added) it->second = FreeEndpoint();
    return it->second;
  }

 private:
  std::map<std::string, std::string> endpoints_;
};

}  // namespace catamaran::broker
