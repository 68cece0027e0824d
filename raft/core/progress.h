// What a leader knows of one follower, and how much it may send (diss. 10.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/clock.h"
#include "raft/core/config.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// One message at a time, to find out where the logs agree.
struct Probing {
  bool sent = false;
  MonotonicTime sent_at;
};

// Appends are sent ahead of the answers.
struct Replicating {
  struct InFlight {
    LogIndex last;
    size_t bytes = 0;
    MonotonicTime sent_at;
  };
  std::deque<InFlight> in_flight;  // Invariant: last rises
  size_t bytes = 0;                // of all
};

// The log doesn't reach back far enough: chunks of a snapshot, one at a time.
struct SendingSnapshot {
  SnapshotMeta meta;
  uint64_t offset = 0;    // the follower has what stands before
  uint64_t sequence = 0;  // of the message in flight; answers to others are void
  bool offered = false;   // the follower told where to begin
  bool in_flight = false;
  MonotonicTime sent_at;
};

// How well a learner keeps up, in rounds: a round replicates what the log held when it began
// (diss. 4.2.1).
struct CatchUp {
  LogIndex target;  // the round ends when match reaches it; zero: no round has begun
  MonotonicTime began;
  bool last_round_was_quick = false;
};

// Owner: the leader's role. Plain data with the rules that touch nothing else.
class Progress {
 public:
  explicit Progress(LogIndex next, MonotonicTime now) : next_(next) { catch_up_.began = now; }

  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  Probing* probing() { return phase_ == Phase::kProbing ? &probing_ : nullptr; }
  Replicating* replicating() { return phase_ == Phase::kReplicating ? &replicating_ : nullptr; }
  SendingSnapshot* snapshot() { return phase_ == Phase::kSnapshot ? &snapshot_ : nullptr; }
  const SendingSnapshot* snapshot() const {
    return phase_ == Phase::kSnapshot ? &snapshot_ : nullptr;
  }
  const char* phase_name() const;

  void BecomeProbing();
  void BecomeReplicating();
  void BecomeSendingSnapshot(SnapshotMeta meta);

  // The follower holds everything up to `match`, durably. False when that's nothing new.
  bool RaiseMatch(LogIndex match);
  // The follower refused an append after `refused`; `agree` is where the logs may agree. False when
  // the answer is outdated.
  bool LowerNext(LogIndex refused, LogIndex agree);
  bool MaySend(const Config& config) const;
  void Sent(LogIndex last, size_t bytes, MonotonicTime now);
  // What is in flight for too long is taken for lost.
  void MaybeForget(const Config& config, MonotonicTime now);

  // When the member was last heard in this leadership; nullopt: never.
  std::optional<MonotonicTime> heard_at;
  uint64_t acked_round = 0;  // the highest heartbeat round that it answered
  LogIndex commit_sent;      // the highest commit index that it was told

  void ObserveCatchUp(const Config& config, LogIndex last, MonotonicTime now);
  bool IsCaughtUp(const Config& config, MonotonicTime now) const;

 private:
  // A closed set of phases whose state stays here, so that the buffers are reused.
  enum class Phase : uint8_t { kProbing, kReplicating, kSnapshot };

  LogIndex match_;  // Invariant: only rises; match_ < next_
  LogIndex next_;   // the first entry that wasn't sent
  Phase phase_ = Phase::kProbing;
  Probing probing_;
  Replicating replicating_;
  SendingSnapshot snapshot_;
  CatchUp catch_up_;
};

}  // namespace catamaran::raft
