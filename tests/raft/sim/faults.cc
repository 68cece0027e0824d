// What breaks, and what mends it.
#include <algorithm>

#include "tests/raft/sim/group.h"

namespace catamaran::raft::sim {

int Group::Down() const {
  return static_cast<int>(std::count_if(replicas_.begin(), replicas_.end(),
                                        [](const auto& replica) { return !replica->up(); }));
}

void Group::Break() {
  const int total = plan_.crash + plan_.restart + plan_.pause + plan_.cut_one_way +
                    plan_.partition + plan_.isolate_leader + plan_.close_stream + plan_.slow_disk +
                    plan_.full_disk + plan_.wipe + plan_.stranger;
  if (total == 0) return;
  auto pick = static_cast<int>(random_.Below(static_cast<uint64_t>(total)));
  const auto takes = [&](int weight) {
    pick -= weight;
    return pick < 0;
  };
  const int node = random_.OneIn(3) && Leader() != nullptr ? Leader()->node() : RandomNode();
  const int64_t timeout = plan_.config.election_timeout_min.count();
  if (takes(plan_.crash)) {
    if (At(node).up() && Down() < plan_.down_max) {
      Saw("fault crash");
      Crash(node, false);
    }
  } else if (takes(plan_.restart)) {
    if (At(node).up() && Down() < plan_.down_max) {
      Saw("fault quick restart");
      Crash(node, true);
    }
  } else if (takes(plan_.pause)) {
    Saw("fault pause");
    At(node).paused_until = now_ + random_.Between(0, 5 * timeout);
  } else if (takes(plan_.cut_one_way)) {
    Saw("fault one-way cut");
    Cut(node, RandomNode(), true);
    PushAfter(random_.Between(0, 8 * timeout), EventKind::kEndFault, 0, 0);
  } else if (takes(plan_.partition)) {
    Partition();
  } else if (takes(plan_.isolate_leader)) {
    if (Replica* leader = Leader()) {
      Saw("fault leader isolated");
      for (int other = 0; other < static_cast<int>(replicas_.size()); ++other) {
        Cut(leader->node(), other, true);
        Cut(other, leader->node(), true);
      }
      // A switch that dies resets connections; then the others needn't wait for a timeout.
      if (random_.OneIn(2)) BreakStreams(leader->node());
      PushAfter(random_.Between(0, 5 * timeout), EventKind::kEndFault, 0, 0);
    }
  } else if (takes(plan_.close_stream)) {
    Saw("fault stream closed");
    PushAfter(0, EventKind::kStreamClosed, node, static_cast<uint64_t>(RandomNode()));
  } else if (takes(plan_.slow_disk)) {
    Saw("fault slow disk");
    At(node).slow_until = now_ + random_.Between(0, 4 * timeout);
  } else if (takes(plan_.full_disk)) {
    Saw("fault full disk");
    At(node).slow_until = now_ + random_.Between(4 * timeout, 15 * timeout);
  } else if (takes(plan_.wipe)) {
    WipeOne();
  } else {
    SendStranger();
  }
}

void Group::Crash(int node, bool for_restart) {
  Replica& replica = At(node);
  replica.Crash(now_);
  replica.paused_until = 0;
  BreakStreams(node);
  const int64_t timeout = plan_.config.election_timeout_min.count();
  PushAfter(for_restart ? random_.Between(0, timeout / 10) : random_.Between(0, 8 * timeout),
            EventKind::kBoot, node, 0);
}

// What most of a node's peers notice of its end.
void Group::BreakStreams(int node) {
  for (int other = 0; other < static_cast<int>(replicas_.size()); ++other) {
    if (other == node || random_.OneIn(5)) continue;
    PushAfter(random_.Between(100'000, 20'000'000), EventKind::kStreamClosed, other,
              static_cast<uint64_t>(node));
  }
}

void Group::Boot(int node) {
  Replica& replica = At(node);
  if (replica.up() || replica.stopped_for_good) return;
  replica.Boot(now_);
  if (!result_.violation.empty()) return;
  checker_->OnBoot(now_, replica);
  replica.Pump(now_);
  checker_->AfterEvent(now_, replica, false);
}

// True when a membership has a quorum without those whose disks are lost, and without one more.
bool Group::Survives(const Membership& membership, std::optional<ReplicaId> without) const {
  return membership.voters.empty() || HasQuorum(membership, [&](const ReplicaId& voter) {
           const auto node = static_cast<size_t>(voter.node.value());
           return voter != without && replicas_[node]->id() == voter &&
                  !replicas_[node]->stopped_for_good;
         });
}

// The disk is lost; the machine comes back as another replica, which must be added anew.
void Group::WipeOne() {
  const int node = RandomNode();
  Replica& replica = At(node);
  // A disk that is down is in nobody's list of memberships; it isn't wiped.
  if (!replica.up() || Down() > 0) return;
  for (const Membership* membership : checker_->AllMemberships()) {
    if (!Survives(*membership, replica.id())) return;
  }
  Saw("fault disk lost");
  replica.Crash(now_);
  checker_->BeforeWipe(replica);
  replica.Wipe({replica.id().node, DirectoryId{random_.NextUuid()}});
  PushAfter(random_.Between(0, 3'000'000'000), EventKind::kBoot, node, 0);
}

void Group::Cut(int from, int to, bool cut) {
  if (from != to) cut_[static_cast<size_t>(from)][static_cast<size_t>(to)] = cut;
}

void Group::Partition() {
  Saw("fault partition");
  std::vector<bool> side(replicas_.size());
  for (size_t i = 0; i < side.size(); ++i) side[i] = random_.OneIn(2);
  for (size_t a = 0; a < side.size(); ++a) {
    for (size_t b = 0; b < side.size(); ++b) {
      if (side[a] != side[b]) cut_[a][b] = true;
    }
  }
  PushAfter(random_.Between(0, 8 * plan_.config.election_timeout_min.count()), EventKind::kEndFault,
            0, 0);
}

void Group::Heal() {
  for (auto& row : cut_) row.assign(row.size(), false);
}

// A message that contradicts its envelope: of another cluster, or for a replica that isn't there.
void Group::SendStranger() {
  Replica& to = At(RandomNode());
  Replica& from = At(RandomNode());
  if (!to.up() || to.node() == from.node()) return;
  Saw("fault stranger");
  Event event;
  event.at = now_;
  event.kind = EventKind::kMessage;
  event.node = to.node();
  const Term term(to.core().term().value() + 5);
  event.message = std::make_unique<Message>(
      Message{cluster_, from.id(), to.id(), term, VoteRequest{{term, LogIndex(1'000'000)}, true}});
  if (random_.OneIn(2)) {
    event.message->cluster.uuid = random_.NextUuid();
  } else {
    event.message->to.directory.uuid = random_.NextUuid();
  }
  Push(std::move(event));
}

}  // namespace catamaran::raft::sim
