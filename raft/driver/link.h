// One outgoing connection: made when there's something to send, kept alive by pings, made again
// after a growing wait. Speaks; the other side only answers pings and questions.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/transport.h"
#include "raft/driver/framing.h"

namespace catamaran::raft {

// What waits in a link while it's being made or its connection is full; more is dropped, newest
// first, which the core takes as lost messages.
inline constexpr size_t kControlQueueBytesMax = size_t{256} << 10;
inline constexpr size_t kBulkQueueBytesMax = size_t{8} << 20;

inline constexpr Duration kHandshakeTimeout = std::chrono::seconds(2);
inline constexpr Duration kReconnectWaitMin = std::chrono::milliseconds(50);
inline constexpr Duration kReconnectWaitMax = std::chrono::seconds(2);
inline constexpr Duration kPingInterval = std::chrono::seconds(1);
// So many pings without an answer: nobody is there any more, though nobody said so.
inline constexpr int kPingsUnansweredMax = 4;

class Link;

// What a link asks of its owner. Called on the executor, never within a call of the link but Tick
// and Send. The owner must not destroy the link within.
class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual Greeting MakeGreeting(Lane lane, const ReplicaId& to) = 0;
  // Where to try next; empty: nowhere yet.
  virtual std::string NextEndpoint(Link& link) = 0;
  // What the other side must be refused for.
  virtual std::optional<Refusal> CheckWelcome(Link& link, const Greeting& greeting) = 0;
  // Makes the start that the other side is in durable, or refuses it.
  virtual void ObserveStart(const Greeting& greeting,
                            absl::AnyInvocable<void(std::optional<Refusal>)> done) = 0;
  virtual void OnUp(Link& link) = 0;
  virtual void OnDown(Link& link) = 0;  // after OnUp
  virtual void OnRefused(Link& link, const Refusal& refusal) = 0;
  virtual void OnFrame(Link& link, Frame frame) = 0;
};

struct LinkStats {
  uint64_t connects = 0;
  uint64_t frames_sent = 0;
  uint64_t frames_dropped = 0;
};

// Owner: a PeerNetwork, on its executor.
class Link {
 public:
  Link(LinkOwner* owner, Transport* transport, Executor* executor, Random random, Lane lane,
       ReplicaId to, std::string fixed_endpoint);
  ~Link();

  Lane lane() const { return lane_; }
  const ReplicaId& to() const { return to_; }
  const std::string& fixed_endpoint() const { return fixed_endpoint_; }  // of discovery
  bool up() const { return state_ == State::kUp; }
  // Who is there, while it's up.
  const Greeting& peer() const { return peer_; }
  const LinkStats& stats() const { return stats_; }
  // Since when it isn't up though it's wanted; nullopt: it is.
  std::optional<MonotonicTime> down_since() const { return down_since_; }
  MonotonicTime last_used() const { return last_used_; }
  int attempts() const { return attempts_; }

  // Dropped when there's no room, or while it waits to connect again.
  void Send(MonotonicTime now, Buffer frame);
  // Connects when it may.
  void Want(MonotonicTime now);
  void Tick(MonotonicTime now);
  // There is reason to believe that the peer is back: connect without waiting.
  void Hurry() { retry_at_ = MonotonicTime(); }
  // Breaks the connection, e.g. because it leads to an earlier start.
  void Reset(MonotonicTime now);

 private:
  enum class State : uint8_t { kIdle, kGreeting, kObserving, kUp };

  void Connect(MonotonicTime now);
  void OnMessage(Buffer bytes);
  void OnGreeted(Frame frame);
  void Refuse(const Refusal& refusal);
  void Disconnect(bool failed);
  void Flush();
  void Push(Buffer frame);
  size_t queue_bytes_max() const {
    return lane_ == Lane::kControl || lane_ == Lane::kDiscovery ? kControlQueueBytesMax
                                                                : kBulkQueueBytesMax;
  }

  LinkOwner* const owner_;
  Transport* const transport_;
  Executor* const executor_;
  const Lane lane_;
  const ReplicaId to_;
  const std::string fixed_endpoint_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  Random random_;
  State state_ = State::kIdle;
  std::unique_ptr<Connection> connection_;  // Invariant: null exactly in kIdle
  uint64_t generation_ = 0;                 // of the connection
  Greeting peer_;
  std::deque<Buffer> queue_;
  size_t queue_bytes_ = 0;  // Invariant: <= queue_bytes_max()
  MonotonicTime now_;       // of the last call that knew it
  MonotonicTime greeting_deadline_;
  MonotonicTime retry_at_;
  MonotonicTime ping_at_;
  MonotonicTime last_used_;
  std::optional<MonotonicTime> down_since_;
  int attempts_ = 0;  // failed in a row
  int pings_unanswered_ = 0;
  uint64_t pings_ = 0;
  LinkStats stats_;
};

}  // namespace catamaran::raft
