// All connections of one node: links to peers by lane, connections that others made, who is where,
// and the handshake that proves who speaks.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/transport.h"
#include "raft/driver/link.h"
#include "raft/driver/store_queue.h"

namespace catamaran::raft {

inline constexpr size_t kInboundMax = 8'192;
inline constexpr Duration kInboundSilentMax = std::chrono::seconds(10);
inline constexpr Duration kAskInterval = std::chrono::milliseconds(300);
// A link to a member that is down for so long makes the node ask the seeds where it is now.
inline constexpr Duration kDiscoverAfter = std::chrono::seconds(1);
// A link that nothing was sent on for so long is closed.
inline constexpr Duration kLinkIdleMax = std::chrono::seconds(60);
static_assert(kInboundSilentMax > kPingInterval * 4, "a live link is heard several times");

struct PeerNetworkConfig {
  ReplicaId self;
  ClusterId cluster;  // nil: none yet
  uint64_t start_counter = 0;
  uint64_t run = 0;  // Greeting::run
  std::string listen_endpoint;
  std::vector<std::string> advertised;  // how others reach this node
  std::vector<std::string> seeds;       // where somebody may be who knows
};

// What the network tells the node. On the executor; the node must not destroy the network within.
class PeerEvents {
 public:
  virtual ~PeerEvents() = default;
  // False: the connection isn't worth keeping.
  virtual bool OnRaftMessage(const ReplicaId& from, Buffer message) = 0;
  virtual void OnStreamClosed(const ReplicaId& peer) = 0;
  // A link for appends is up again: what was sent before may be lost.
  virtual void OnBulkUp(const ReplicaId& peer) = 0;
  virtual Report MakeReport() = 0;
  virtual void OnReport(const Greeting& from, const Report& report) = 0;
  virtual Report OnPledge(const Greeting& from, const Pledge& pledge) = 0;
  virtual void OnJoin(Join join) = 0;
  // A peer has seen a later start of this directory: this process must end.
  virtual void OnFenced(const Refusal& refusal) = 0;
};

// Owner: a RaftNode, on its executor.
class PeerNetwork : public LinkOwner {
 public:
  PeerNetwork(PeerEvents* events, Transport* transport, Executor* executor, Clock* clock,
              StoreQueue* store, Random random, PeerNetworkConfig config);
  ~PeerNetwork() override;

  absl::Status Listen();
  // Known from the store.
  void SetStarts(std::map<ReplicaId, uint64_t> starts) { starts_ = std::move(starts); }
  void SetCluster(ClusterId cluster) { config_.cluster = cluster; }
  // Whether messages of the group are taken: the core runs.
  void SetReady(bool ready) { ready_ = ready; }
  void SetMembers(const Membership& membership);
  // Ask the seeds all the time, not only when members are missing.
  void SetSeeking(bool seeking) { seeking_ = seeking; }

  void Send(const ReplicaId& to, Lane lane, const Frame& frame);
  // To everybody who was found by discovery, or to the one replica among them.
  void SendToSeeds(const Frame& frame);
  void SendToSeed(const ReplicaId& to, const Frame& frame);
  void Tick();
  // The endpoints that a replica named itself in a handshake or by hearsay; empty: none.
  std::vector<std::string> EndpointsOf(const ReplicaId& id) const;
  std::vector<PeerHint> hints() const;
  bool Connected(const ReplicaId& id) const;
  const std::string& last_refusal() const { return last_refusal_; }
  LinkStats stats() const;
  // Closes everything.
  void Close();

 private:
  struct Inbound {
    std::unique_ptr<Connection> connection;
    Greeting peer;
    bool observing = false;
    bool up = false;
    MonotonicTime last_heard;
  };

  // ---- LinkOwner ----
  Greeting MakeGreeting(Lane lane, const ReplicaId& to) override;
  std::string NextEndpoint(Link& link) override;
  std::optional<Refusal> CheckWelcome(Link& link, const Greeting& greeting) override;
  void ObserveStart(const Greeting& greeting,
                    absl::AnyInvocable<void(std::optional<Refusal>)> done) override;
  void OnUp(Link& link) override;
  void OnDown(Link& link) override;
  void OnRefused(Link& link, const Refusal& refusal) override;
  void OnFrame(Link& link, Frame frame) override;

  // ---- inbound ----
  ConnectionEvents Accept(std::unique_ptr<Connection> connection);
  void OnInboundMessage(uint64_t id, Buffer bytes);
  void OnHello(uint64_t id, const Greeting& hello);
  std::optional<Refusal> CheckHello(const Greeting& hello) const;
  void OnInboundUp(uint64_t id);
  void ServeInbound(uint64_t id, Frame frame);
  void OnInboundClosed(uint64_t id);
  void RefuseInbound(uint64_t id, Refusal refusal);
  void DropOlder(uint64_t keep, const Greeting& peer);

  // Whether this process must end because of it.
  bool Fences(const Refusal& refusal) const;
  Refusal MakeRefusal(RefusalReason reason, std::string text) const;
  void LearnHint(PeerHint hint);
  void TickSeeds(MonotonicTime now);
  std::unique_ptr<Link> MakeLink(Lane lane, const ReplicaId& to, std::string endpoint);

  PeerEvents* const events_;
  Transport* const transport_;
  Executor* const executor_;
  Clock* const clock_;
  StoreQueue* const store_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  PeerNetworkConfig config_;
  Random random_;
  bool ready_ = false;
  bool seeking_ = false;
  std::unique_ptr<Listener> listener_;
  std::map<std::pair<ReplicaId, Lane>, std::unique_ptr<Link>> links_;
  std::map<std::string, std::unique_ptr<Link>> seeds_;  // by endpoint
  std::set<std::string> own_endpoints_;                 // those that led to this node
  std::map<uint64_t, Inbound> inbound_;
  uint64_t last_inbound_ = 0;
  std::map<ReplicaId, uint64_t> starts_;  // the highest that was seen
  std::map<ReplicaId, uint64_t> runs_;    // the process that was seen in that start
  std::map<ReplicaId, PeerHint> hints_;   // Invariant: at most kHintsMax
  std::map<ReplicaId, std::vector<std::string>> members_;
  MonotonicTime ask_at_;
  std::string last_refusal_;
  LinkStats closed_stats_;  // of links that are gone
};

}  // namespace catamaran::raft
