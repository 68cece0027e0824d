#include "raft/driver/peer_network.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "raft/core/config.h"
#include "raft/core/membership.h"

namespace catamaran::raft {

PeerNetwork::PeerNetwork(PeerEvents* events, Transport* transport, Executor* executor, Clock* clock,
                         StoreQueue* store, Random random, PeerNetworkConfig config)
    : events_(events),
      transport_(transport),
      executor_(executor),
      clock_(clock),
      store_(store),
      config_(std::move(config)),
      random_(random) {}

PeerNetwork::~PeerNetwork() { *alive_ = false; }

absl::Status PeerNetwork::Listen() {
  CATAMARAN_ASSIGN_OR_RETURN(listener_,
                             transport_->Listen(config_.listen_endpoint, executor_,
                                                [this](std::unique_ptr<Connection> connection) {
                                                  return Accept(std::move(connection));
                                                }));
  return absl::OkStatus();
}

void PeerNetwork::Close() {
  listener_.reset();
  links_.clear();
  seeds_.clear();
  inbound_.clear();
}

// ---- who is where ----

void PeerNetwork::SetMembers(const Membership& membership) {
  members_.clear();
  for (const ReplicaId& id : AllIds(membership)) {
    if (id != config_.self) members_[id] = FindMember(membership, id)->endpoints;
  }
}

void PeerNetwork::LearnHint(PeerHint hint) {
  if (hint.id == config_.self || hint.endpoints.empty()) return;
  auto known = hints_.find(hint.id);
  if (known != hints_.end()) {
    // A replica changes its endpoints by a restart only.
    if (hint.start_counter > known->second.start_counter) known->second = std::move(hint);
    return;
  }
  if (hints_.size() >= kHintsMax && !members_.contains(hint.id)) return;
  if (hints_.size() >= kHintsMax) {
    // A member's place counts more than that of somebody who once asked.
    for (auto it = hints_.begin(); it != hints_.end(); ++it) {
      if (members_.contains(it->first)) continue;
      hints_.erase(it);
      break;
    }
    if (hints_.size() >= kHintsMax) return;
  }
  hints_.emplace(hint.id, std::move(hint));
}

std::vector<std::string> PeerNetwork::EndpointsOf(const ReplicaId& id) const {
  auto hint = hints_.find(id);
  return hint == hints_.end() ? std::vector<std::string>() : hint->second.endpoints;
}

std::vector<PeerHint> PeerNetwork::hints() const {
  std::vector<PeerHint> all;
  for (const auto& [id, hint] : hints_) all.push_back(hint);
  return all;
}

bool PeerNetwork::Connected(const ReplicaId& id) const {
  auto link = links_.find({id, Lane::kControl});
  return link != links_.end() && link->second->up();
}

std::string PeerNetwork::NextEndpoint(Link& link) {
  if (!link.fixed_endpoint().empty()) return link.fixed_endpoint();
  std::vector<std::string> all = EndpointsOf(link.to());
  if (auto member = members_.find(link.to()); member != members_.end()) {
    for (const std::string& endpoint : member->second) {
      if (std::find(all.begin(), all.end(), endpoint) == all.end()) all.push_back(endpoint);
    }
  }
  if (all.empty()) return "";
  return all[static_cast<size_t>(link.attempts()) % all.size()];
}

// ---- links ----

std::unique_ptr<Link> PeerNetwork::MakeLink(Lane lane, const ReplicaId& to, std::string endpoint) {
  return std::make_unique<Link>(this, transport_, executor_, random_.Fork(), lane, to,
                                std::move(endpoint));
}

void PeerNetwork::Send(const ReplicaId& to, Lane lane, const Frame& frame) {
  std::unique_ptr<Link>& link = links_[{to, lane}];
  if (link == nullptr) link = MakeLink(lane, to, "");
  link->Send(clock_->Now(), EncodeFrame(frame));
}

void PeerNetwork::SendToSeeds(const Frame& frame) {
  for (const auto& [endpoint, link] : seeds_) {
    if (link->up()) link->Send(clock_->Now(), EncodeFrame(frame));
  }
}

void PeerNetwork::SendToSeed(const ReplicaId& to, const Frame& frame) {
  for (const auto& [endpoint, link] : seeds_) {
    if (!link->up() || link->peer().from != to) continue;
    link->Send(clock_->Now(), EncodeFrame(frame));
    return;
  }
}

void PeerNetwork::Tick() {
  const MonotonicTime now = clock_->Now();
  for (auto it = links_.begin(); it != links_.end();) {
    Link& link = *it->second;
    if (now - link.last_used() > kLinkIdleMax) {
      closed_stats_.frames_dropped += link.stats().frames_dropped;
      closed_stats_.frames_sent += link.stats().frames_sent;
      closed_stats_.connects += link.stats().connects;
      it = links_.erase(it);
      continue;
    }
    link.Tick(now);
    ++it;
  }
  TickSeeds(now);
  std::vector<uint64_t> silent;
  for (const auto& [id, inbound] : inbound_) {
    if (now - inbound.last_heard > kInboundSilentMax) silent.push_back(id);
  }
  for (uint64_t id : silent) inbound_.erase(id);
}

void PeerNetwork::TickSeeds(MonotonicTime now) {
  bool wanted = seeking_;
  for (const auto& [key, link] : links_) {
    if (link->down_since() && now - *link->down_since() > kDiscoverAfter &&
        members_.contains(key.first)) {
      wanted = true;
    }
  }
  if (!wanted) {
    seeds_.clear();
    return;
  }
  for (const std::string& endpoint : config_.seeds) {
    if (own_endpoints_.contains(endpoint)) continue;
    std::unique_ptr<Link>& link = seeds_[endpoint];
    if (link == nullptr) link = MakeLink(Lane::kDiscovery, ReplicaId(), endpoint);
    link->Want(now);
  }
  for (const auto& [endpoint, link] : seeds_) link->Tick(now);
  std::erase_if(seeds_, [&](const auto& seed) { return own_endpoints_.contains(seed.first); });
  if (now < ask_at_) return;
  ask_at_ = now + kAskInterval;
  SendToSeeds(Ask{});
}

LinkStats PeerNetwork::stats() const {
  LinkStats sum = closed_stats_;
  for (const auto& [key, link] : links_) {
    sum.connects += link->stats().connects;
    sum.frames_sent += link->stats().frames_sent;
    sum.frames_dropped += link->stats().frames_dropped;
  }
  return sum;
}

void PeerNetwork::OnUp(Link& link) {
  last_refusal_.clear();
  LearnHint({link.peer().from, link.peer().start_counter, link.peer().endpoints});
  if (link.lane() == Lane::kBulk) events_->OnBulkUp(link.to());
  if (link.lane() == Lane::kDiscovery) link.Send(clock_->Now(), EncodeFrame(Ask{}));
}

void PeerNetwork::OnDown(Link& link) {
  if (link.lane() != Lane::kDiscovery) events_->OnStreamClosed(link.to());
}

void PeerNetwork::OnFrame(Link& link, Frame frame) {
  const auto* report = std::get_if<Report>(&frame);
  if (report == nullptr || link.lane() != Lane::kDiscovery) return;
  for (const PeerHint& hint : report->hints) {
    auto known = hints_.find(hint.id);
    const bool newer = known == hints_.end() || hint.start_counter > known->second.start_counter;
    LearnHint(hint);
    if (!newer) continue;
    for (auto& [key, other] : links_) {
      if (key.first == hint.id) other->Hurry();
    }
  }
  events_->OnReport(link.peer(), *report);
}

void PeerNetwork::OnRefused(Link& link, const Refusal& refusal) {
  if (refusal.reason == RefusalReason::kWrongSender && !link.fixed_endpoint().empty()) {
    own_endpoints_.insert(link.fixed_endpoint());  // a seed that is this node itself
    return;
  }
  last_refusal_ = absl::StrCat(RefusalName(refusal.reason), ": ", refusal.text);
  if (Fences(refusal)) events_->OnFenced(refusal);
}

}  // namespace catamaran::raft
