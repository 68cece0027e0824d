// Decides when the leader should change who votes, so that a quorum heals itself: a voter that
// stays dead gives its place to a learner that has caught up, and the quorum grows to its target
// and stays odd. Pure: the leader's driver asks once in a while and proposes what it's told
// (Raft::ProposeMembership); a rejected proposal is simply asked again.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "raft/core/membership.h"
#include "raft/core/raft.h"
#include "raft/core/types.h"

namespace catamaran::raft {

struct QuorumKeeperConfig {
  // How many voters there shall be: 1, 3, 5 or 7.
  int target = 3;
  // A voter that the leader hasn't heard for so long is dead. Long against a restart: replacing a
  // voter copies nothing, since its successor has caught up already, but makes it a learner.
  Duration dead_after = std::chrono::seconds(30);
  // Between two changes, so that the effect of one shows before the next.
  Duration pause = std::chrono::seconds(5);
};

// Owner: the driver of one core. Keeps nothing but when it last advised.
class QuorumKeeper {
 public:
  explicit QuorumKeeper(const QuorumKeeperConfig& config);

  // What to propose now; nullopt: nothing. `members` are all others (Raft::MemberStatuses), `since`
  // when this replica became leader: it knows nobody to be dead before it has led for dead_after.
  // `busy`: a change is under way, or a transfer.
  std::optional<MembershipChange> Advise(MonotonicTime now, const ReplicaId& self,
                                         const Membership& membership, bool busy,
                                         MonotonicTime since,
                                         const std::vector<MemberStatus>& members);
  // The same from a core; nullopt unless it leads.
  std::optional<MembershipChange> Advise(MonotonicTime now, const Raft& raft);

 private:
  const QuorumKeeperConfig config_;
  std::optional<MonotonicTime> advised_at_;
};

}  // namespace catamaran::raft
