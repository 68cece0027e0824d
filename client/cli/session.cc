#include "client/cli/session.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

// One connection that is being made.
struct Attempt {
  std::string broker;
  int fd = -1;
};

class Prober {
 public:
  ~Prober() {
    for (const Attempt& attempt : attempts_) {
      if (attempt.fd >= 0) close(attempt.fd);
    }
  }

  // Begins to connect to every address of `broker`. True when one connected at once.
  bool Begin(const std::string& broker);
  // True when one of the attempts connects within `timeout`.
  bool Wait(Duration timeout);
  // Why each broker can't be reached.
  std::string Troubles(const std::vector<std::string>& brokers, Duration timeout) const;

 private:
  bool BeginAddress(const std::string& broker, const addrinfo& address);
  // Takes a finished attempt's result. True when it is connected.
  bool Finish(Attempt* attempt);
  void Blame(const std::string& broker, std::string why) { troubles_[broker] = std::move(why); }

  std::vector<Attempt> attempts_;
  std::map<std::string, std::string> troubles_;  // by broker; the last one counts
};

bool Prober::Begin(const std::string& broker) {
  size_t colon = broker.rfind(':');
  std::string host = broker.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* addresses = nullptr;
  int error = getaddrinfo(host.c_str(), broker.c_str() + colon + 1, &hints, &addresses);
  if (error != 0) {
    Blame(broker, gai_strerror(error));
    return false;
  }
  bool connected = false;
  for (const addrinfo* at = addresses; at != nullptr && !connected; at = at->ai_next) {
    connected = BeginAddress(broker, *at);
  }
  freeaddrinfo(addresses);
  return connected;
}

bool Prober::BeginAddress(const std::string& broker, const addrinfo& address) {
  int fd = socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    Blame(broker, std::strerror(errno));
    return false;
  }
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) {
    close(fd);
    return true;
  }
  if (errno != EINPROGRESS) {
    Blame(broker, std::strerror(errno));
    close(fd);
    return false;
  }
  attempts_.push_back({broker, fd});
  return false;
}

bool Prober::Finish(Attempt* attempt) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  close(attempt->fd);
  attempt->fd = -1;
  if (error != 0) Blame(attempt->broker, std::strerror(error));
  return error == 0;
}

bool Prober::Wait(Duration timeout) {
  MonotonicTime deadline = SystemClock().Now() + timeout;
  while (!attempts_.empty()) {
    Duration left = deadline - SystemClock().Now();
    if (left <= Duration(0)) return false;
    std::vector<pollfd> waits;
    for (const Attempt& attempt : attempts_) waits.push_back({attempt.fd, POLLOUT, 0});
    poll(waits.data(), waits.size(), static_cast<int>(left / std::chrono::milliseconds(1)) + 1);
    for (size_t i = 0; i < waits.size(); ++i) {
      if (waits[i].revents != 0 && Finish(&attempts_[i])) return true;
    }
    attempts_.erase(std::remove_if(attempts_.begin(), attempts_.end(),
                                   [](const Attempt& attempt) { return attempt.fd < 0; }),
                    attempts_.end());
  }
  return false;
}

std::string Prober::Troubles(const std::vector<std::string>& brokers, Duration timeout) const {
  std::vector<std::string> parts;
  for (const std::string& broker : brokers) {
    auto trouble = troubles_.find(broker);
    bool waiting = std::any_of(attempts_.begin(), attempts_.end(),
                               [&](const Attempt& attempt) { return attempt.broker == broker; });
    std::string why = waiting ? Cat({"no answer within ", FormatDuration(timeout)})
                      : trouble != troubles_.end() ? trouble->second
                                                   : "not tried";
    parts.push_back(Cat({broker, " (", why, ")"}));
  }
  return Join(parts, ", ");
}

}  // namespace

client::ClientOptions MakeClientOptions(const GlobalOptions& global) {
  client::ClientOptions options;
  options.bootstrap = global.brokers;
  options.client_id = "catamaran-cli";
  options.connect_timeout = global.connect_timeout;
  options.request_timeout = global.timeout;
  return options;
}

absl::Status CheckReachable(const GlobalOptions& global) {
  Prober prober;
  for (const std::string& broker : global.brokers) {
    if (prober.Begin(broker)) return absl::OkStatus();
  }
  if (prober.Wait(global.connect_timeout)) return absl::OkStatus();
  return MakeFailure(absl::StatusCode::kUnavailable, "CONNECT_FAILED",
                     Cat({"No broker can be reached: ",
                          prober.Troubles(global.brokers, global.connect_timeout), "."}),
                     "Is the broker running? --brokers or CATAMARAN_BROKERS says where to look.");
}

absl::StatusOr<std::unique_ptr<client::Admin>> OpenAdmin(const GlobalOptions& global) {
  CATAMARAN_RETURN_IF_ERROR(CheckReachable(global));
  return client::Admin::Create(MakeClientOptions(global));
}

absl::StatusOr<std::vector<PartitionIndex>> SelectPartitions(
    const client::TopicDescription& topic, const std::vector<int32_t>& partitions) {
  std::vector<PartitionIndex> selected;
  for (const client::PartitionDescription& partition : topic.partitions) {
    if (partitions.empty()) selected.push_back(partition.partition);
  }
  for (int32_t number : partitions) {
    if (number < 0 || static_cast<size_t>(number) >= topic.partitions.size()) {
      return MakeError(
          Reason::kUnknownPartition,
          Cat({"Topic ", topic.name, " has no partition ", std::to_string(number), ": it has ",
               std::to_string(topic.partitions.size()), ", numbered from 0."}),
          {{"topic", topic.name}, {"partition", std::to_string(number)}});
    }
    PartitionIndex partition(number);
    bool seen = std::find(selected.begin(), selected.end(), partition) != selected.end();
    if (!seen) selected.push_back(partition);
  }
  return selected;
}

absl::StatusOr<std::vector<PartitionBounds>> LookUpBounds(
    client::Admin* admin, const std::string& topic, const std::vector<PartitionIndex>& partitions,
    client::IsolationLevel isolation) {
  std::vector<client::OffsetQuery> queries;
  for (PartitionIndex partition : partitions) {
    queries.push_back({{topic, partition}, client::StartPosition::Earliest()});
    queries.push_back({{topic, partition}, client::StartPosition::Latest()});
  }
  auto answers = admin->ListOffsets(queries, isolation);
  if (!answers.ok()) return answers.status();
  std::vector<PartitionBounds> bounds;
  for (size_t i = 0; i < partitions.size(); ++i) {
    CATAMARAN_RETURN_IF_ERROR((*answers)[2 * i].status);
    CATAMARAN_RETURN_IF_ERROR((*answers)[2 * i + 1].status);
    bounds.push_back({(*answers)[2 * i].offset, (*answers)[2 * i + 1].offset});
  }
  return bounds;
}

absl::StatusOr<std::vector<Offset>> ResolveAll(client::Admin* admin, const std::string& topic,
                                               const std::vector<PartitionIndex>& partitions,
                                               const std::vector<PartitionBounds>& bounds,
                                               const OffsetPoint& point) {
  std::vector<std::optional<Offset>> by_time(partitions.size());
  if (point.kind == OffsetPoint::Kind::kTime) {
    std::vector<client::OffsetQuery> queries;
    for (PartitionIndex partition : partitions) {
      queries.push_back(
          {{topic, partition}, client::StartPosition::AtTime(TimestampMs(point.value))});
    }
    auto answers = admin->ListOffsets(queries);
    if (!answers.ok()) return answers.status();
    for (size_t i = 0; i < partitions.size(); ++i) {
      CATAMARAN_RETURN_IF_ERROR((*answers)[i].status);
      if ((*answers)[i].offset >= Offset(0)) by_time[i] = (*answers)[i].offset;
    }
  }
  std::vector<Offset> offsets;
  for (size_t i = 0; i < partitions.size(); ++i) {
    offsets.push_back(ResolvePoint(point, bounds[i], by_time[i]));
  }
  return offsets;
}

}  // namespace catamaran::cli
