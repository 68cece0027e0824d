// The handshake on both sides, and connections that others made.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "raft/driver/peer_network.h"

namespace catamaran::raft {
namespace {

std::string Describe(const ReplicaId& id) {
  return absl::StrCat("node ", id.node.value(), " with directory ", id.directory.uuid.ToString());
}

}  // namespace

Greeting PeerNetwork::MakeGreeting(Lane lane, const ReplicaId& to) {
  Greeting greeting;
  greeting.lane = lane;
  greeting.cluster = config_.cluster;
  greeting.from = config_.self;
  greeting.to = to;
  greeting.start_counter = config_.start_counter;
  greeting.run = config_.run;
  greeting.endpoints = config_.advertised;
  return greeting;
}

bool PeerNetwork::Fences(const Refusal& refusal) const {
  if (refusal.from.node == config_.self.node) return false;  // what this side told the other one
  if (refusal.reason == RefusalReason::kTwin) return true;
  return refusal.reason == RefusalReason::kOldStart &&
         refusal.start_counter_seen > config_.start_counter;
}

Refusal PeerNetwork::MakeRefusal(RefusalReason reason, std::string text) const {
  return Refusal{reason, config_.cluster, config_.self, 0, std::move(text)};
}

// ---- what is checked ----

std::optional<Refusal> PeerNetwork::CheckWelcome(Link& link, const Greeting& greeting) {
  if (greeting.version != kProtocolVersion) {
    return MakeRefusal(RefusalReason::kUnsupportedVersion,
                       absl::StrCat("This node speaks version ", kProtocolVersion, ", not ",
                                    greeting.version, "."));
  }
  if (greeting.from.node == config_.self.node) {
    return MakeRefusal(RefusalReason::kWrongSender,
                       absl::StrCat("Both sides are node ", config_.self.node.value(), "."));
  }
  const bool discovery = link.lane() == Lane::kDiscovery;
  const bool open = discovery && (greeting.cluster.uuid.is_nil() || config_.cluster.uuid.is_nil());
  if (greeting.cluster != config_.cluster && !open) {
    return MakeRefusal(RefusalReason::kWrongCluster,
                       absl::StrCat("This node is in cluster ", config_.cluster.uuid.ToString(),
                                    ", not in ", greeting.cluster.uuid.ToString(), "."));
  }
  if ((!discovery && greeting.from != link.to()) || greeting.to != config_.self) {
    return MakeRefusal(
        RefusalReason::kWrongAddressee,
        absl::StrCat(Describe(link.to()), " was expected, not ", Describe(greeting.from), "."));
  }
  return std::nullopt;
}

std::optional<Refusal> PeerNetwork::CheckHello(const Greeting& hello) const {
  if (hello.version != kProtocolVersion) {
    return MakeRefusal(RefusalReason::kUnsupportedVersion,
                       absl::StrCat("This node speaks version ", kProtocolVersion, ", not ",
                                    hello.version, "; upgrade the older one."));
  }
  if (hello.from.node == config_.self.node) {
    return MakeRefusal(
        RefusalReason::kWrongSender,
        absl::StrCat("Both sides are node ", config_.self.node.value(),
                     "; give each node an id of its own, and none the directory of another."));
  }
  const bool discovery = hello.lane == Lane::kDiscovery;
  const bool open = discovery && (hello.cluster.uuid.is_nil() || config_.cluster.uuid.is_nil());
  if (hello.cluster != config_.cluster && !open) {
    return MakeRefusal(RefusalReason::kWrongCluster,
                       absl::StrCat("This node is in cluster ", config_.cluster.uuid.ToString(),
                                    ", not in ", hello.cluster.uuid.ToString(),
                                    "; check the seeds of the one that connected."));
  }
  const bool other_node = hello.to.node != kNoBroker && hello.to.node != config_.self.node;
  const bool other_directory =
      !hello.to.directory.uuid.is_nil() && hello.to.directory != config_.self.directory;
  if (other_node || other_directory) {
    return MakeRefusal(
        RefusalReason::kWrongAddressee,
        absl::StrCat("Here is ", Describe(config_.self), ", not ", Describe(hello.to), "."));
  }
  if (!discovery && (!ready_ || config_.cluster.uuid.is_nil())) {
    return MakeRefusal(RefusalReason::kNotReady, "This node isn't part of a cluster yet.");
  }
  return std::nullopt;
}

void PeerNetwork::ObserveStart(const Greeting& greeting,
                               absl::AnyInvocable<void(std::optional<Refusal>)> done) {
  uint64_t& seen = starts_[greeting.from];
  if (greeting.start_counter < seen) {
    Refusal refusal = MakeRefusal(
        RefusalReason::kOldStart,
        absl::StrCat(Describe(greeting.from), " is in start ", greeting.start_counter,
                     " and has been seen in start ", seen,
                     ": it runs on a restored copy or a clone. Give it an empty directory."));
    refusal.start_counter_seen = seen;
    done(std::move(refusal));
    return;
  }
  const auto run = runs_.find(greeting.from);
  if (greeting.start_counter == seen && run != runs_.end() && run->second != greeting.run) {
    Refusal refusal = MakeRefusal(
        RefusalReason::kTwin,
        absl::StrCat("Another process runs on a copy of the directory of ", Describe(greeting.from),
                     ". Give one of them an empty directory."));
    refusal.start_counter_seen = seen;
    done(std::move(refusal));
    return;
  }
  if (greeting.lane == Lane::kDiscovery) {
    // Nothing is promised on it, and whoever asks for the way need not be remembered for ever.
    if (seen == 0) starts_.erase(greeting.from);
    done(std::nullopt);
    return;
  }
  if (greeting.start_counter > seen) {
    seen = greeting.start_counter;
    // Whoever is still connected from an earlier start is a process of the past.
    for (auto& [key, link] : links_) {
      if (key.first != greeting.from) continue;
      if (link->up() && link->peer().start_counter < seen) link->Reset(clock_->Now());
      link->Hurry();
    }
  }
  runs_[greeting.from] = greeting.run;
  // Also when it was seen before: that may not be durable yet. Then it's no write.
  store_->Submit(
      StoreWork::kWrite,
      [from = greeting.from, counter = greeting.start_counter](LogStore& store) {
        const absl::Status observed = store.ObservePeer(from, counter);
        // A full disk remembers it for this run only; it's written when the peer connects again.
        // Else one full disk would keep every peer that restarts away.
        const bool full = !observed.ok() && ReasonOf(observed) == Reason::kStorageFull;
        return full ? absl::OkStatus() : observed;
      },
      [this, alive = alive_, done = std::move(done)](const absl::Status& status) mutable {
        if (!*alive) return;
        if (status.ok()) {
          done(std::nullopt);
          return;
        }
        const bool old = ReasonOf(status) == Reason::kDirectoryMismatch;
        done(MakeRefusal(old ? RefusalReason::kOldStart : RefusalReason::kNotReady,
                         std::string(status.message())));
      });
}

// ---- connections that others made ----

ConnectionEvents PeerNetwork::Accept(std::unique_ptr<Connection> connection) {
  if (inbound_.size() >= kInboundMax) return ConnectionEvents();  // destroying it refuses
  const uint64_t id = ++last_inbound_;
  Inbound& inbound = inbound_[id];
  inbound.connection = std::move(connection);
  inbound.last_heard = clock_->Now();
  ConnectionEvents events;
  events.on_message = [this, id](Buffer bytes) { OnInboundMessage(id, std::move(bytes)); };
  events.on_closed = [this, id](const absl::Status&) { OnInboundClosed(id); };
  return events;
}

void PeerNetwork::OnInboundMessage(uint64_t id, Buffer bytes) {
  auto it = inbound_.find(id);
  if (it == inbound_.end()) return;
  it->second.last_heard = clock_->Now();
  absl::StatusOr<Frame> frame = DecodeFrame(bytes);
  if (!frame.ok()) {
    RefuseInbound(id,
                  MakeRefusal(RefusalReason::kMalformed, std::string(frame.status().message())));
    return;
  }
  if (const auto* refusal = std::get_if<Refusal>(&*frame)) {
    last_refusal_ = absl::StrCat(RefusalName(refusal->reason), ": ", refusal->text);
    const Refusal copy = *refusal;
    inbound_.erase(id);
    if (Fences(copy)) events_->OnFenced(copy);
    return;
  }
  if (it->second.up) {
    ServeInbound(id, *std::move(frame));
    return;
  }
  const auto* hello = std::get_if<Hello>(&*frame);
  if (hello == nullptr || it->second.observing) {
    RefuseInbound(id, MakeRefusal(RefusalReason::kMalformed, "A hello comes first, and once."));
    return;
  }
  OnHello(id, hello->greeting);
}

void PeerNetwork::OnHello(uint64_t id, const Greeting& hello) {
  if (std::optional<Refusal> refusal = CheckHello(hello)) {
    RefuseInbound(id, *std::move(refusal));
    return;
  }
  Inbound& inbound = inbound_[id];
  inbound.peer = hello;
  inbound.observing = true;
  ObserveStart(hello, [this, id](std::optional<Refusal> refusal) {
    if (!inbound_.contains(id)) return;
    if (refusal) {
      RefuseInbound(id, *std::move(refusal));
    } else {
      OnInboundUp(id);
    }
  });
}

void PeerNetwork::OnInboundUp(uint64_t id) {
  Inbound& inbound = inbound_[id];
  inbound.up = true;
  const Greeting& peer = inbound.peer;
  LearnHint({peer.from, peer.start_counter, peer.endpoints});
  (void)inbound.connection->Send(EncodeFrame(Welcome{MakeGreeting(peer.lane, peer.from)}));
  if (peer.lane == Lane::kDiscovery) return;
  DropOlder(id, peer);
  for (auto& [key, link] : links_) {
    if (key.first == peer.from) link->Hurry();
  }
}

// The same peer again on the same lane, or in a later start: what it had before is over.
void PeerNetwork::DropOlder(uint64_t keep, const Greeting& peer) {
  std::erase_if(inbound_, [&](const auto& entry) {
    const Greeting& other = entry.second.peer;
    if (entry.first == keep || !entry.second.up || other.from != peer.from) return false;
    return other.lane == peer.lane || other.start_counter < peer.start_counter;
  });
}

void PeerNetwork::ServeInbound(uint64_t id, Frame frame) {
  Inbound& inbound = inbound_[id];
  const Greeting peer = inbound.peer;
  if (const auto* raft = std::get_if<RaftFrame>(&frame)) {
    if (peer.lane == Lane::kDiscovery || !events_->OnRaftMessage(peer.from, raft->message)) {
      RefuseInbound(id, MakeRefusal(RefusalReason::kMalformed,
                                    "A message broke the rules of this connection."));
    }
  } else if (const auto* ping = std::get_if<Ping>(&frame)) {
    (void)inbound.connection->Send(EncodeFrame(Pong{ping->number}));
  } else if (std::holds_alternative<Ask>(frame)) {
    (void)inbound.connection->Send(EncodeFrame(events_->MakeReport()));
  } else if (const auto* pledge = std::get_if<Pledge>(&frame)) {
    (void)inbound.connection->Send(EncodeFrame(events_->OnPledge(peer, *pledge)));
  } else if (auto* join = std::get_if<Join>(&frame)) {
    events_->OnJoin(std::move(*join));
  }
}

void PeerNetwork::OnInboundClosed(uint64_t id) {
  auto it = inbound_.find(id);
  if (it == inbound_.end()) return;
  const Greeting peer = it->second.peer;
  const bool was_up = it->second.up;
  inbound_.erase(it);
  if (was_up && peer.lane == Lane::kControl) events_->OnStreamClosed(peer.from);
}

void PeerNetwork::RefuseInbound(uint64_t id, Refusal refusal) {
  auto it = inbound_.find(id);
  if (it == inbound_.end()) return;
  if (refusal.reason != RefusalReason::kNotReady && refusal.reason != RefusalReason::kWrongSender) {
    last_refusal_ = absl::StrCat(RefusalName(refusal.reason), ": ", refusal.text);
  }
  (void)it->second.connection->Send(EncodeFrame(refusal));
  it->second.connection->Close();  // what was sent still goes out
  inbound_.erase(it);
}

}  // namespace catamaran::raft
