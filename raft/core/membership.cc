#include "raft/core/membership.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "raft/core/config.h"
#include "raft/core/planted_bugs.h"

namespace catamaran::raft {
namespace {

using Members = std::vector<Member>;

Members::const_iterator LowerBound(const Members& members, const ReplicaId& id) {
  return std::lower_bound(members.begin(), members.end(), id,
                          [](const Member& m, const ReplicaId& wanted) { return m.id < wanted; });
}

const Member* Find(const Members& members, const ReplicaId& id) {
  auto it = LowerBound(members, id);
  return it != members.end() && it->id == id ? &*it : nullptr;
}

void Insert(Members* members, Member member) {
  auto it = LowerBound(*members, member.id);
  members->insert(it, std::move(member));
}

bool Erase(Members* members, const ReplicaId& id) {
  auto it = LowerBound(*members, id);
  if (it == members->end() || it->id != id) return false;
  members->erase(it);
  return true;
}

absl::Status Invalid(std::string_view sentence) {
  return MakeError(Reason::kInvalidArgument, sentence);
}

absl::Status ValidateSet(const Members& members, size_t members_max) {
  if (members.size() > members_max) {
    return MakeError(Reason::kLimitExceeded,
                     "the group has too many members of one kind; remove some first",
                     {{"members_max", std::to_string(members_max)}});
  }
  for (size_t i = 0; i < members.size(); ++i) {
    const Member& member = members[i];
    if (i > 0 && !(members[i - 1].id < member.id)) return Invalid("members aren't sorted by id");
    if (member.id.node.value() < 0) return Invalid("a member's node id is negative");
    if (member.endpoints.size() > kEndpointsMax) return Invalid("a member has too many endpoints");
    for (const std::string& endpoint : member.endpoints) {
      if (endpoint.size() > kEndpointBytesMax) return Invalid("a member's endpoint is too long");
    }
  }
  return absl::OkStatus();
}

bool MajorityOf(const Members& voters, absl::FunctionRef<bool(const ReplicaId&)> agrees) {
  size_t count = 0;
  for (const Member& voter : voters) count += agrees(voter.id) ? 1 : 0;
  if (CATAMARAN_RAFT_BUG(kQuorumOffByOne)) return count >= voters.size() / 2 && count > 0;
  return count > voters.size() / 2;
}

LogIndex MajorityIndex(const Members& voters, absl::FunctionRef<LogIndex(const ReplicaId&)> match) {
  std::array<LogIndex, kVotersMax> reached;
  CATAMARAN_CHECK(!voters.empty() && voters.size() <= kVotersMax, "validated on the way in");
  for (size_t i = 0; i < voters.size(); ++i) reached[i] = match(voters[i].id);
  // Descending: the majority's last is the index that it has reached.
  std::sort(reached.begin(), reached.begin() + static_cast<ptrdiff_t>(voters.size()),
            [](LogIndex a, LogIndex b) { return b < a; });
  if (CATAMARAN_RAFT_BUG(kQuorumOffByOne)) return reached[(voters.size() - 1) / 2 / 2];
  return reached[voters.size() / 2];
}

absl::Status ApplyStep(const AddLearner& step, Membership* to) {
  if (FindMember(*to, step.member.id) != nullptr) return Invalid("it is a member already");
  Insert(&to->learners, step.member);
  return absl::OkStatus();
}

absl::Status ApplyStep(const PromoteLearner& step, Membership* to) {
  const Member* found = Find(to->learners, step.id);
  if (found == nullptr) return Invalid("only a learner can be promoted");
  Member member = *found;
  Erase(&to->learners, step.id);
  Insert(&to->voters, std::move(member));
  return absl::OkStatus();
}

absl::Status ApplyStep(const DemoteVoter& step, Membership* to) {
  const Member* found = Find(to->voters, step.id);
  if (found == nullptr) return Invalid("only a voter can be demoted");
  Member member = *found;
  Erase(&to->voters, step.id);
  Insert(&to->learners, std::move(member));
  return absl::OkStatus();
}

absl::Status ApplyStep(const RemoveMember& step, Membership* to) {
  if (Erase(&to->voters, step.id) || Erase(&to->learners, step.id)) return absl::OkStatus();
  return Invalid("only a member can be removed");
}

absl::Status ApplyStep(const SetEndpoints& step, Membership* to) {
  for (Members* members : {&to->voters, &to->learners}) {
    if (Erase(members, step.member.id)) {
      Insert(members, step.member);
      return absl::OkStatus();
    }
  }
  return Invalid("only a member's endpoints can be set");
}

bool SameIds(const Members& a, const Members& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Member& x, const Member& y) { return x.id == y.id; });
}

}  // namespace

bool IsVoter(const Membership& membership, const ReplicaId& id) {
  return Find(membership.voters, id) != nullptr || Find(membership.outgoing_voters, id) != nullptr;
}

bool IsIncomingVoter(const Membership& membership, const ReplicaId& id) {
  return Find(membership.voters, id) != nullptr;
}

bool IsLearner(const Membership& membership, const ReplicaId& id) {
  return Find(membership.learners, id) != nullptr;
}

const Member* FindMember(const Membership& membership, const ReplicaId& id) {
  for (const Members* members :
       {&membership.voters, &membership.outgoing_voters, &membership.learners}) {
    if (const Member* found = Find(*members, id)) return found;
  }
  return nullptr;
}

std::vector<ReplicaId> AllIds(const Membership& membership) {
  std::vector<ReplicaId> ids;
  for (const Members* members :
       {&membership.voters, &membership.outgoing_voters, &membership.learners}) {
    for (const Member& member : *members) ids.push_back(member.id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

absl::Status Validate(const Membership& membership) {
  CATAMARAN_RETURN_IF_ERROR(ValidateSet(membership.voters, kVotersMax));
  CATAMARAN_RETURN_IF_ERROR(ValidateSet(membership.outgoing_voters, kVotersMax));
  CATAMARAN_RETURN_IF_ERROR(ValidateSet(membership.learners, kLearnersMax));
  CATAMARAN_RETURN_IF_ERROR(ValidateSet(membership.learners_next, kVotersMax));
  if (membership.voters.empty() && (membership.is_joint() || !membership.learners.empty())) {
    return Invalid("a group needs a voter; name at least one");
  }
  for (const Member& learner : membership.learners) {
    if (IsVoter(membership, learner.id)) return Invalid("a learner is a voter, too");
  }
  for (const Member& next : membership.learners_next) {
    if (Find(membership.outgoing_voters, next.id) == nullptr ||
        Find(membership.voters, next.id) != nullptr) {
      return Invalid("only a voter that leaves becomes a learner next");
    }
  }
  for (size_t i = 1; i < membership.voters.size(); ++i) {
    if (membership.voters[i - 1].id.node == membership.voters[i].id.node) {
      return Invalid("two voters share a node id; remove the older directory first");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Membership> ApplyChange(const Membership& from, const MembershipChange& change) {
  CATAMARAN_CHECK(!from.is_joint(), "a joint configuration is left before the next change");
  if (change.empty()) return Invalid("the change is empty; name at least one step");
  Membership to = from;
  for (const MembershipStep& step : change) {
    absl::Status applied = std::visit([&](const auto& s) { return ApplyStep(s, &to); }, step);
    CATAMARAN_RETURN_IF_ERROR(applied);
  }
  if (to.voters.empty()) return Invalid("a group needs a voter; promote another one first");
  if (!SameIds(from.voters, to.voters)) {
    to.outgoing_voters = from.voters;
    // Whoever votes in the old set becomes a learner only when that set is left.
    for (const Member& voter : from.voters) {
      if (const Member* learner = Find(to.learners, voter.id)) {
        Insert(&to.learners_next, *learner);
        Erase(&to.learners, voter.id);
      }
    }
  }
  CATAMARAN_RETURN_IF_ERROR(Validate(to));
  return to;
}

Membership LeaveJoint(const Membership& joint) {
  CATAMARAN_CHECK(joint.is_joint(), "only a joint configuration is left");
  Membership to;
  to.voters = joint.voters;
  to.learners = joint.learners;
  for (const Member& member : joint.learners_next) Insert(&to.learners, member);
  return to;
}

bool HasQuorum(const Membership& membership, absl::FunctionRef<bool(const ReplicaId&)> agrees) {
  if (membership.voters.empty()) return false;
  return MajorityOf(membership.voters, agrees) &&
         (!membership.is_joint() || CATAMARAN_RAFT_BUG(kJointOneHalf) ||
          MajorityOf(membership.outgoing_voters, agrees));
}

LogIndex QuorumIndex(const Membership& membership,
                     absl::FunctionRef<LogIndex(const ReplicaId&)> match) {
  if (CATAMARAN_RAFT_BUG(kLearnerCounted)) {
    std::multiset<LogIndex> reached;
    for (const ReplicaId& id : AllIds(membership)) reached.insert(match(id));
    return *std::next(reached.rbegin(), static_cast<ptrdiff_t>(membership.voters.size() / 2));
  }
  const LogIndex incoming = MajorityIndex(membership.voters, match);
  if (!membership.is_joint() || CATAMARAN_RAFT_BUG(kJointOneHalf)) return incoming;
  return std::min(incoming, MajorityIndex(membership.outgoing_voters, match));
}

void MembershipHistory::Append(LogIndex index, Membership membership) {
  CATAMARAN_CHECK(index > latest_index(), "memberships come in the log's order");
  items_.emplace_back(index, std::move(membership));
}

void MembershipHistory::TruncateFrom(LogIndex index) {
  while (items_.size() > 1 && items_.back().first >= index) items_.pop_back();
  CATAMARAN_CHECK(items_.back().first < index, "a committed membership is never truncated");
}

void MembershipHistory::ForgetBefore(LogIndex index) {
  while (items_.size() > 1 && items_[1].first <= index) items_.pop_front();
}

void MembershipHistory::Reset(LogIndex index, Membership membership) {
  items_.clear();
  items_.emplace_back(index, std::move(membership));
}

const std::pair<LogIndex, Membership>& MembershipHistory::ItemAt(LogIndex index) const {
  auto it = std::upper_bound(items_.begin(), items_.end(), index,
                             [](LogIndex i, const auto& item) { return i < item.first; });
  CATAMARAN_CHECK(it != items_.begin(), "the history reaches back to the last snapshot");
  return *std::prev(it);
}

}  // namespace catamaran::raft
