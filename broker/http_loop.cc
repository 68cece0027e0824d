#include "broker/http_loop.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "broker/listen.h"

namespace catamaran::broker {
namespace {

constexpr size_t kReadBytes = 4096;
// While the process has no descriptor left, accepting waits this long.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);
constexpr const char* kHeadTooLarge =
    "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: "
    "0\r\n\r\n";

struct Connection {
  enum class Phase { kHead, kAnswer, kLinger };
  Descriptor socket;
  Phase phase = Phase::kHead;
  MonotonicTime deadline{};
  std::string head;
  std::string answer;
  size_t sent = 0;
  bool closed = false;

  void Enter(Phase next, Duration timeout) {
    phase = next;
    deadline = SystemClock().Now() + timeout;
  }
};

int PortOf(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
  // The port is at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

class HttpLoopImpl final : public HttpLoop {
 public:
  HttpLoopImpl(Descriptor listener, Answer answer)
      : listener_(std::move(listener)),
        wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        port_(PortOf(listener_)),
        answer_(std::move(answer)) {
    CATAMARAN_CHECK(wake_.get() >= 0, "no descriptor to wake the HTTP thread by");
    thread_ = std::thread([this] { Run(); });
  }
  ~HttpLoopImpl() override {
    const uint64_t one = 1;
    CATAMARAN_CHECK(write(wake_.get(), &one, sizeof(one)) == sizeof(one), "an eventfd is full");
    thread_.join();
  }
  int port() const override { return port_; }

 private:
  void Run();
  int PollTimeoutMs(MonotonicTime now) const;
  void Accept(MonotonicTime now);
  static void Read(Connection& connection, const Answer& answer);
  static void Write(Connection& connection);

  const Descriptor listener_;
  const Descriptor wake_;
  const int port_;
  // Everything below is the thread's.
  const Answer answer_;
  std::deque<Connection> connections_;  // the oldest first
  MonotonicTime accept_from_{};
  std::thread thread_;
};

int HttpLoopImpl::PollTimeoutMs(MonotonicTime now) const {
  MonotonicTime next = accept_from_ > now ? accept_from_ : kNever;
  for (const Connection& connection : connections_) next = std::min(next, connection.deadline);
  if (next == kNever) return -1;
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - now).count() + 1;
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

void HttpLoopImpl::Run() {
  std::vector<pollfd> polled;
  for (;;) {
    MonotonicTime now = SystemClock().Now();
    polled.clear();
    polled.push_back({wake_.get(), POLLIN, 0});
    // A negative descriptor is passed over.
    polled.push_back({accept_from_ > now ? -1 : listener_.get(), POLLIN, 0});
    for (const Connection& connection : connections_) {
      const bool writes = connection.phase == Connection::Phase::kAnswer;
      polled.push_back({connection.socket.get(), static_cast<short>(writes ? POLLOUT : POLLIN), 0});
    }
    poll(polled.data(), polled.size(), PollTimeoutMs(now));
    if (polled[0].revents != 0) return;
    now = SystemClock().Now();
    for (size_t i = 0; i < connections_.size(); ++i) {
      Connection& connection = connections_[i];
      if (polled[i + 2].revents != 0) {
        if (connection.phase == Connection::Phase::kAnswer) {
          Write(connection);
        } else {
          Read(connection, answer_);
        }
      }
      if (connection.deadline <= now) connection.closed = true;
    }
    std::erase_if(connections_, [](const Connection& connection) { return connection.closed; });
    if (polled[1].revents != 0) Accept(now);
  }
}

void HttpLoopImpl::Accept(MonotonicTime now) {
  for (;;) {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.get() < 0) {
      const bool later = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (later) accept_from_ = now + kAcceptPause;
      return;
    }
    if (connections_.size() >= kHttpConnectionsMax) connections_.pop_front();
    Connection connection;
    connection.socket = std::move(socket);
    connection.Enter(Connection::Phase::kHead, kHttpHeadTimeout);
    connections_.push_back(std::move(connection));
    Read(connections_.back(), answer_);
    if (connections_.back().closed) connections_.pop_back();
  }
}

// What comes after the head, and in answer to the answer, is read and dropped: closing a socket
// with bytes in it would reset the connection, and the answer with it.
void HttpLoopImpl::Read(Connection& connection, const Answer& answer) {
  char bytes[kReadBytes];
  const ssize_t got = recv(connection.socket.get(), bytes, sizeof(bytes), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    connection.closed = true;
    return;
  }
  if (connection.phase == Connection::Phase::kLinger) return;
  const size_t before = connection.head.size();
  connection.head.append(bytes, static_cast<size_t>(got));
  // The end may have come in two parts.
  const size_t end = connection.head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
  if (end != std::string::npos && end <= kHttpHeadBytesMax) {
    connection.head.resize(end + 4);
    connection.answer = answer(connection.head);
  } else if (connection.head.size() > kHttpHeadBytesMax) {
    connection.answer = kHeadTooLarge;
  } else {
    return;
  }
  connection.head = std::string();
  connection.Enter(Connection::Phase::kAnswer, kHttpAnswerTimeout);
  Write(connection);
}

void HttpLoopImpl::Write(Connection& connection) {
  const std::string& answer = connection.answer;
  while (connection.sent < answer.size()) {
    const ssize_t sent = send(connection.socket.get(), answer.data() + connection.sent,
                              answer.size() - connection.sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) {
      connection.closed = true;
      return;
    }
    connection.sent += static_cast<size_t>(sent);
  }
  shutdown(connection.socket.get(), SHUT_WR);
  connection.answer = std::string();
  connection.Enter(Connection::Phase::kLinger, kHttpLingerTimeout);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpLoop>> HttpLoop::Start(const std::string& host, int port,
                                                          Answer answer) {
  CATAMARAN_ASSIGN_OR_RETURN(Descriptor listener, ListenOn(host, port, "listen.http"));
  return absl::StatusOr<std::unique_ptr<HttpLoop>>(
      std::make_unique<HttpLoopImpl>(std::move(listener), std::move(answer)));
}

}  // namespace catamaran::broker
