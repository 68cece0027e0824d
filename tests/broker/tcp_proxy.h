// A TCP relay that can stop relaying, as a network that drops everything does: both ends' kernels
// stay up and nobody is told.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/thread_executor.h"

namespace catamaran::broker {

inline sockaddr_in SocketAddress(const std::string& endpoint) {
  const size_t colon = endpoint.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(endpoint.c_str() + colon + 1)));
  CATAMARAN_CHECK(inet_pton(AF_INET, endpoint.substr(0, colon).c_str(), &address.sin_addr) == 1,
                  "an endpoint of a test is an address and a port");
  return address;
}

// A socket that listens and that nobody accepts from: connections are made and never answered.
inline int ListenAndIgnore(const std::string& endpoint) {
  const sockaddr_in address = SocketAddress(endpoint);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CATAMARAN_CHECK(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
                      listen(fd, 16) == 0,
                  "the endpoint is free");
  return fd;
}

class TcpProxy {
 public:
  TcpProxy(const std::string& from, const std::string& to)
      : to_(SocketAddress(to)), listening_(ListenAndIgnore(from)) {
    executor_->Post([this] { Relay(); });
  }
  ~TcpProxy() {
    stopped_ = true;
    executor_.reset();
    for (int fd : fds_) close(fd);
    close(listening_);
  }

  void Block() { blocked_ = true; }

 private:
  static constexpr int kPollMs = 5;
  static constexpr size_t kChunkBytes = 64 * 1024;

  void Relay() {
    while (!stopped_) {
      std::vector<pollfd> polled{{listening_, POLLIN, 0}};
      // Entries 2n and 2n + 1 of fds_ belong together; -1 once closed.
      for (int fd : fds_) polled.push_back({fd, POLLIN, 0});
      poll(polled.data(), polled.size(), kPollMs);
      if (blocked_) continue;
      if ((polled[0].revents & POLLIN) != 0) Accept();
      for (size_t i = 1; i < polled.size(); ++i) {
        if (fds_[i - 1] >= 0 && polled[i].revents != 0) Move(i - 1);
      }
    }
  }
  void Accept() {
    const int in = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    const int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(out, reinterpret_cast<const sockaddr*>(&to_), sizeof(to_)) != 0) {
      close(in);
      close(out);
      return;
    }
    fds_.push_back(in);
    fds_.push_back(out);
  }
  void Move(size_t index) {
    const size_t other = index ^ 1;
    const ssize_t size = recv(fds_[index], chunk_.data(), chunk_.size(), 0);
    ssize_t sent = 0;
    while (size > 0 && sent < size && !stopped_) {
      const ssize_t now =
          send(fds_[other], chunk_.data() + sent, static_cast<size_t>(size - sent), MSG_NOSIGNAL);
      if (now < 0) break;
      sent += now;
    }
    if (size > 0 && sent == size) return;
    for (size_t i : {index, other}) {
      close(fds_[i]);
      fds_[i] = -1;
    }
  }

  const sockaddr_in to_;
  const int listening_;
  std::vector<int> fds_;
  std::array<char, kChunkBytes> chunk_;
  std::atomic<bool> blocked_{false};
  std::atomic<bool> stopped_{false};
  std::unique_ptr<Executor> executor_ = MakeThreadExecutor("proxy", SystemClock());
};

}  // namespace catamaran::broker
