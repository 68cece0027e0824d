// Rules of configurations (diss. 4): who votes, who agrees, what a change makes of a membership.
#pragma once

#include <deque>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// One step of a change; a change is a few of them that take force together.
struct AddLearner {
  Member member;
};
struct PromoteLearner {
  ReplicaId id;
};
struct DemoteVoter {
  ReplicaId id;
};
struct RemoveMember {
  ReplicaId id;
};
struct SetEndpoints {  // of a member that is there
  Member member;
};
using MembershipStep =
    std::variant<AddLearner, PromoteLearner, DemoteVoter, RemoveMember, SetEndpoints>;
using MembershipChange = std::vector<MembershipStep>;

bool IsVoter(const Membership& membership, const ReplicaId& id);  // of either set
bool IsIncomingVoter(const Membership& membership, const ReplicaId& id);
bool IsLearner(const Membership& membership, const ReplicaId& id);
const Member* FindMember(const Membership& membership, const ReplicaId& id);  // null: none
std::vector<ReplicaId> AllIds(const Membership& membership);                  // sorted, once each

// OK when sorted without repeats, within the limits of config.h, and no one stands in two places
// but a voter of both sets. An empty membership is valid: a replica that hasn't joined.
absl::Status Validate(const Membership& membership);

// What `change` makes of `from`, which isn't joint. The result is joint if the voters differ. Fails
// when a step names what isn't there (or is already), two replicas would share a node id as voters,
// or a limit is exceeded.
absl::StatusOr<Membership> ApplyChange(const Membership& from, const MembershipChange& change);
Membership LeaveJoint(const Membership& joint);

// Whether a majority agrees, of both sets when joint. An empty membership never agrees.
bool HasQuorum(const Membership& membership, absl::FunctionRef<bool(const ReplicaId&)> agrees);
// The highest index that a majority has reached, of both sets when joint.
LogIndex QuorumIndex(const Membership& membership,
                     absl::FunctionRef<LogIndex(const ReplicaId&)> match);

// Every membership of the log, with where it stands. Owner: one Raft.
class MembershipHistory {
 public:
  MembershipHistory(LogIndex index, Membership membership) {
    items_.emplace_back(index, std::move(membership));
  }

  // In force: the last one, committed or not (§6).
  const Membership& latest() const { return items_.back().second; }
  LogIndex latest_index() const { return items_.back().first; }
  // In force at `index`, which isn't before the oldest.
  const Membership& At(LogIndex index) const { return ItemAt(index).second; }
  LogIndex IndexAt(LogIndex index) const { return ItemAt(index).first; }

  void Append(LogIndex index, Membership membership);
  void TruncateFrom(LogIndex index);  // forgets those at or after it
  void ForgetBefore(LogIndex index);  // keeps what is in force at `index`, and all after
  void Reset(LogIndex index, Membership membership);

 private:
  const std::pair<LogIndex, Membership>& ItemAt(LogIndex index) const;
  std::deque<std::pair<LogIndex, Membership>> items_;  // Invariant: not empty, indexes rise
};

}  // namespace catamaran::raft
