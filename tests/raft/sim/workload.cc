// Clients and the operator.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/raft/sim/group.h"

namespace catamaran::raft::sim {

// Whom a client takes for the leader: any that does so itself, also one that was replaced.
Replica* Group::SomeLeader() {
  std::vector<Replica*> leaders;
  for (const auto& replica : replicas_) {
    const bool answers = replica->up() && now_ >= replica->paused_until;
    if (answers && replica->core().role() == RoleName::kLeader) leaders.push_back(replica.get());
  }
  return leaders.empty() ? nullptr : leaders[random_.Below(leaders.size())];
}

// One operation at a time per client; it waits for the answer as long as it has patience.
void Group::RunClient(uint64_t number) {
  Client& client = clients_[number];
  if (client.op != UINT64_MAX && history_.op(client.op).state == OpState::kOpen) {
    if (now_ < client.deadline) {
      PushAfter(random_.Between(1'000'000, 20'000'000), EventKind::kClient, 0, number);
      return;
    }
    history_.EndUnknown(client.op);
    Saw("client lost patience");
  }
  // When the faults have ended clients take their time, so that even a group whose limits are as
  // small as they get catches up with them.
  constexpr Nanos kThinkWithoutFaults = 2'000'000'000;
  const Nanos think_max = faults_ ? plan_.think_max.count() : kThinkWithoutFaults;
  PushAfter(random_.Between(0, think_max), EventKind::kClient, 0, number);
  client.op = UINT64_MAX;
  Replica* to = random_.Chance(plan_.aims_at_leader) ? SomeLeader() : &At(RandomNode());
  if (to == nullptr || !to->up() || now_ < to->paused_until) return;
  const auto key = static_cast<uint8_t>(random_.Below(kKeys));
  OpKind kind = OpKind::kRead;
  if (!random_.Chance(plan_.reads)) {
    kind = random_.OneIn(2) ? OpKind::kWrite : OpKind::kCompareAndSet;
  }
  const uint64_t expected =
      random_.OneIn(4) ? random_.Below(history_.size() + 1) : history_.last_value(key);
  const Op op = history_.Begin(kind, key, expected);
  client.op = op.command.op;
  client.deadline = now_ + random_.Between(0, 4 * plan_.config.election_timeout_min.count());
  const bool was_transferring = to->core().transferring();
  const LogPosition before = to->core().log().end();
  to->Submit(now_, op, random_.Below(plan_.padding_max + 1));
  checker_->AfterPropose(*to, was_transferring, before);
  checker_->AfterEvent(now_, *to, false);
  if (!result_.violation.empty()) return;
  to->Pump(now_);
  checker_->AfterEvent(now_, *to, false);
}

MembershipChange Group::RandomChange(Replica& leader) {
  const Membership& membership = leader.core().membership();
  MembershipChange change;
  const int steps = random_.OneIn(3) ? 2 : 1;
  for (int i = 0; i < steps; ++i) {
    Replica& any = At(RandomNode());
    const ReplicaId id = any.id();
    if (IsVoter(membership, id)) {
      if (membership.voters.size() <= 1) continue;
      if (random_.OneIn(2)) {
        change.push_back(DemoteVoter{id});
      } else {
        change.push_back(RemoveMember{id});
      }
    } else if (IsLearner(membership, id)) {
      if (random_.OneIn(5)) {
        change.push_back(RemoveMember{id});
      } else {
        change.push_back(PromoteLearner{id});
      }
    } else if (any.up()) {
      // An older directory of this node goes first: its votes are lost.
      for (const ReplicaId& member : AllIds(membership)) {
        if (member.node == id.node) change.push_back(RemoveMember{member});
      }
      change.push_back(AddLearner{{id, {absl::StrCat("node", any.node(), ":1")}}});
    }
  }
  return change;
}

// An operator who knows which disks are lost doesn't rely on them; the core can only know who was
// heard a moment ago.
void Group::Change(Replica& leader, const MembershipChange& change) {
  const Membership& from = leader.core().membership();
  if (change.empty() || from.is_joint()) return;
  const absl::StatusOr<Membership> to = ApplyChange(from, change);
  if (to.ok() && !Survives(*to, std::nullopt)) return;
  leader.Change(now_, change);
}

void Group::RunOperator() {
  Replica* leader = Leader();
  if (leader == nullptr) return;
  if (faults_) {
    const int total = plan_.change + plan_.transfer + (plan_.keeper ? 2 : 0);
    if (total == 0) return;
    auto pick = static_cast<int>(random_.Below(static_cast<uint64_t>(total)));
    if ((pick -= plan_.change) < 0) {
      Change(*leader, RandomChange(*leader));
    } else if ((pick -= plan_.transfer) < 0) {
      std::optional<ReplicaId> target;
      if (random_.OneIn(2)) target = At(RandomNode()).id();
      leader->Transfer(now_, target);
    } else if (std::optional<MembershipChange> advice = leader->Advise(now_)) {
      Saw("keeper advises");
      Change(*leader, *advice);
    }
  }
  checker_->AfterEvent(now_, *leader, false);
  if (!result_.violation.empty()) return;
  leader->Pump(now_);
  checker_->AfterEvent(now_, *leader, false);
}

}  // namespace catamaran::raft::sim
