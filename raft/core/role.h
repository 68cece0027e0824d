// What a replica is at a time. Roles are values; Raft changes them in Become...() only, which
// CHECKs this table:
//
//   from \ to       Follower       PreCandidate   Candidate        Leader
//   Follower        any time       timed out      told to (3.10)   no
//   PreCandidate    any time       timed out      pre-vote won     no
//   Candidate       any time       timed out      no               election won
//   Leader          any time       no             no               no
//
// A sole voter becomes Candidate from Follower at once: there's nobody to ask.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "raft/core/output.h"
#include "raft/core/progress.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// Also learners, and replicas that belong to no group yet.
struct Follower {
  std::optional<ReplicaId> leader;  // of the current term, once it was heard
  MonotonicTime election_deadline;
};

struct PreCandidate {
  std::map<ReplicaId, bool> votes;  // granted or not
  MonotonicTime election_deadline;
};

struct Candidate {
  std::map<ReplicaId, bool> votes;  // the own one, too, once it's durable
  bool transfer = false;
  MonotonicTime election_deadline;
};

// A linearizable read that waits for proof that this is still the leader (diss. 6.4).
struct WaitingRead {
  RequestId id = 0;
  std::optional<ReplicaId> asked_by;  // a follower; nullopt: this node's driver
  uint64_t nonce = 0;                 // of the follower
  LogIndex index;
  uint64_t round = 0;  // the heartbeat round that must be answered; 0: not begun
};

struct Transfer {
  ReplicaId target;
  MonotonicTime deadline;  // then it's given up, and proposals are taken again
  bool told = false;       // TimeoutNow was sent
};

struct Leader {
  std::map<ReplicaId, Progress> peers;  // all other members
  LogIndex term_start;                  // of its no-op: an own entry is committed from there on
  MonotonicTime since;
  MonotonicTime heartbeat_due;     // moves with each round that reads begin
  MonotonicTime quorum_check_due;  // doesn't
  uint64_t round = 0;              // the last heartbeat round that was begun
  std::vector<WaitingRead> reads;
  std::optional<Transfer> transfer;
  size_t uncommitted_bytes = 0;  // of entries appended in this term
};

using Role = std::variant<Follower, PreCandidate, Candidate, Leader>;
enum class RoleName : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
const char* ToString(RoleName name);

}  // namespace catamaran::raft
