#include "tests/sim/sim_network.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace catamaran::sim {
namespace {

std::string HostOf(const std::string& endpoint) { return endpoint.substr(0, endpoint.find(':')); }

}  // namespace

class SimNetwork::Hub : public MessageHub {
 public:
  Hub(World& world, SimLinkOptions defaults, size_t send_bytes_max)
      : MessageHub(send_bytes_max), world_(world), defaults_(defaults) {}

  void SetLink(const std::string& from, const std::string& to, const SimLinkOptions& options) {
    LinkOf(from, to).options = options;
  }
  void Cut(const std::string& from, const std::string& to) { LinkOf(from, to).cut = true; }
  void Heal(const std::string& from, const std::string& to) { HealLink(LinkOf(from, to)); }
  void HealAll() {
    for (auto& [ends, link] : links_) {
      link.clogged_until = MonotonicTime();
      HealLink(link);
    }
  }
  void Clog(const std::string& from, const std::string& to, Duration duration) {
    Link& link = LinkOf(from, to);
    link.clogged_until = std::max(link.clogged_until, world_.Now() + duration);
  }

  void Break(const std::string& first, const std::string& second, SimBreak how) {
    std::vector<uint64_t> affected;
    for (const auto& [id, connection] : connections_) {
      if (connection.Joins(first, second)) affected.push_back(id);
    }
    for (uint64_t id : affected) BreakConnection(id, first, how);
  }

  void TakeDown(const std::string& host) {
    down_.insert(host);
    std::erase_if(connections_, [&](const auto& entry) {
      return entry.second.from == host || entry.second.to == host;
    });
    for (auto& [ends, link] : links_) {
      if (ends.first == host || ends.second == host) link.held.clear();
    }
  }
  void BringUp(const std::string& host) { down_.erase(host); }

  uint64_t messages_carried() const { return messages_carried_; }

 private:
  struct Held {
    Route route;
    Task delivery;
  };
  struct Link {
    SimLinkOptions options;
    bool cut = false;
    MonotonicTime clogged_until;
    std::vector<Held> held;
  };
  struct Live {
    std::string from;  // hosts
    std::string to;
    std::weak_ptr<End> connecting;
    std::weak_ptr<End> accepting;
    MonotonicTime last_arrival[2];  // outbound, inbound: what follows arrives no earlier

    bool Joins(const std::string& a, const std::string& b) const {
      return (from == a && to == b) || (from == b && to == a);
    }
  };

  void OnConnect(const Route& route, const std::shared_ptr<End>& connecting,
                 const std::shared_ptr<End>& accepting) override {
    std::erase_if(connections_, [](const auto& entry) {
      return entry.second.connecting.expired() && entry.second.accepting.expired();
    });
    Live live;
    live.from = HostOf(route.from);
    live.to = HostOf(route.to);
    live.connecting = connecting;
    live.accepting = accepting;
    connections_.emplace(route.connection, std::move(live));
  }

  void Carry(const Route& route, Task delivery) override {
    auto connection = connections_.find(route.connection);
    if (connection == connections_.end()) return;  // half-open, or its host lost power
    std::string from = HostOf(route.from);
    std::string to = HostOf(route.to);
    if (down_.contains(from) || down_.contains(to)) return;
    ++messages_carried_;
    Link& link = LinkOf(from, to);
    if (link.cut) {
      link.held.push_back({route, std::move(delivery)});
      return;
    }
    Transmit(link, route, connection->second, std::move(delivery));
    if (world_.random().Chance(link.options.reset_probability)) {
      BreakConnection(route.connection, from, SimBreak::kReset);
    }
  }

  void Transmit(Link& link, const Route& route, Live& connection, Task delivery) {
    Random& random = world_.random();
    Duration delay =
        Duration(random.Between(link.options.delay_min.count(), link.options.delay_max.count()));
    if (random.Chance(link.options.spike_probability)) delay = delay + link.options.spike;
    MonotonicTime& last = connection.last_arrival[route.outbound ? 0 : 1];
    // Strictly later than the one before: the world shuffles what is due at the same time.
    MonotonicTime arrival =
        std::max({world_.Now() + delay, link.clogged_until + delay, last + Duration(1)});
    last = arrival;
    world_.Schedule(arrival, absl::StrCat(route.from, ">", route.to),
                    [this, id = route.connection, delivery = std::move(delivery)]() mutable {
                      if (connections_.contains(id)) std::move(delivery)();
                    });
  }

  void HealLink(Link& link) {
    link.cut = false;
    for (Held& held : std::exchange(link.held, {})) {
      auto connection = connections_.find(held.route.connection);
      if (connection == connections_.end()) continue;
      Transmit(link, held.route, connection->second, std::move(held.delivery));
    }
  }

  void BreakConnection(uint64_t id, const std::string& first, SimBreak how) {
    auto it = connections_.find(id);
    if (it == connections_.end()) return;
    Live connection = std::move(it->second);
    connections_.erase(it);  // what is under way is lost
    TellBroken(connection.connecting, how == SimBreak::kReset || connection.from == first);
    TellBroken(connection.accepting, how == SimBreak::kReset || connection.to == first);
  }

  void TellBroken(const std::weak_ptr<End>& weak, bool tell) {
    std::shared_ptr<End> end = weak.lock();
    if (end == nullptr || !tell) return;
    Duration delay(world_.random().Between(0, defaults_.delay_max.count()));
    world_.Schedule(world_.Now() + delay, "reset",
                    [end] { MessageHub::Break(end, "the connection was reset"); });
  }

  Link& LinkOf(const std::string& from, const std::string& to) {
    auto [it, inserted] = links_.try_emplace({from, to});
    if (inserted) it->second.options = defaults_;
    return it->second;
  }

  World& world_;
  const SimLinkOptions defaults_;
  std::map<std::pair<std::string, std::string>, Link> links_;  // by host
  std::map<uint64_t, Live> connections_;
  std::set<std::string> down_;
  uint64_t messages_carried_ = 0;
};

class SimNetwork::HostTransport : public Transport {
 public:
  HostTransport(Hub& hub, std::string host) : hub_(hub), host_(std::move(host)) {}

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& endpoint, Executor* executor,
                                                   Acceptor acceptor) override {
    return hub_.Listen(endpoint, executor, std::move(acceptor));
  }
  std::unique_ptr<Connection> Connect(const std::string& endpoint, Executor* executor,
                                      ConnectionEvents events) override {
    return hub_.Connect(host_, endpoint, executor, std::move(events));
  }

 private:
  Hub& hub_;
  const std::string host_;
};

SimNetwork::SimNetwork(World& world, SimLinkOptions defaults, size_t send_bytes_max)
    : hub_(std::make_unique<Hub>(world, defaults, send_bytes_max)) {}
SimNetwork::~SimNetwork() = default;

std::unique_ptr<Transport> SimNetwork::MakeTransport(const std::string& host) {
  return std::make_unique<HostTransport>(*hub_, host);
}

void SimNetwork::SetLink(const std::string& from, const std::string& to,
                         const SimLinkOptions& options) {
  hub_->SetLink(from, to, options);
}
void SimNetwork::Cut(const std::string& from, const std::string& to) { hub_->Cut(from, to); }
void SimNetwork::Heal(const std::string& from, const std::string& to) { hub_->Heal(from, to); }
void SimNetwork::HealAll() { hub_->HealAll(); }
void SimNetwork::Clog(const std::string& from, const std::string& to, Duration duration) {
  hub_->Clog(from, to, duration);
}
void SimNetwork::Break(const std::string& first, const std::string& second, SimBreak how) {
  hub_->Break(first, second, how);
}
void SimNetwork::TakeDown(const std::string& host) { hub_->TakeDown(host); }
void SimNetwork::BringUp(const std::string& host) { hub_->BringUp(host); }
uint64_t SimNetwork::messages_carried() const { return hub_->messages_carried(); }

}  // namespace catamaran::sim
