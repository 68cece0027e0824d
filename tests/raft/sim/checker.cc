#include "tests/raft/sim/checker.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "raft/core/encoding.h"

namespace catamaran::raft::sim {

Checker::Checker(const Plan& plan, std::vector<std::unique_ptr<Replica>>* replicas,
                 History* history, std::string* violation)
    : plan_(plan),
      replicas_(replicas),
      history_(history),
      violation_(violation),
      views_(replicas->size()) {
  // Up to the foundation there are no entries.
  known_.assign(2, {{kNoTerm, 0}});
  committed_.resize(2);
  entry_hashes_.resize(2);
  committed_in_.assign(2, Term(-1));
  states_.resize(2);
  for (const auto& replica : *replicas) {
    const Membership& first = replica->disk().snapshot.membership;
    if (!first.voters.empty()) {
      memberships_.assign(1, {kFoundation.index, first});
      break;
    }
  }
}

void Checker::Fail(const Replica& replica, const std::string& what) {
  if (violation_->empty()) *violation_ = absl::StrCat("node ", replica.node(), ": ", what);
}

const Disk* Checker::DiskOf(const ReplicaId& id) const {
  const auto node = static_cast<size_t>(id.node.value());
  if (node < replicas_->size() && (*replicas_)[node]->id() == id) {
    return &(*replicas_)[node]->disk();
  }
  auto lost = lost_disks_.find(id);
  return lost == lost_disks_.end() ? nullptr : &lost->second;
}

bool Checker::HoldsDurably(const ReplicaId& id, LogPosition position) const {
  const Disk* disk = DiskOf(id);
  if (disk == nullptr) return false;
  return disk->snapshot.last.index >= position.index || disk->log.Matches(position);
}

std::vector<const Membership*> Checker::AllMemberships() const {
  std::vector<const Membership*> all;
  for (size_t i = 0; i < views_.size(); ++i) {
    for (const auto& [index, membership] : views_[i].memberships) all.push_back(&membership);
  }
  return all;
}

// ---- the life of a process ----

void Checker::OnBoot(Nanos now, Replica& replica) {
  View& view = ViewOf(replica);
  view = View();
  view.boot = replica.boots();
  const Raft& core = replica.core();
  view.commit = core.commit();
  view.applied = core.applied();
  view.term = core.term();
  view.leader_heard = replica.Local(now);
  ResetLog(replica, &view);
  SyncLog(now, replica, &view);
}

void Checker::BeforeWipe(Replica& replica) {
  lost_disks_[replica.id()] = replica.disk();
  ViewOf(replica) = View();
}

// ---- the copy of the log ----

// The log begins anew after a snapshot, whose end is committed.
void Checker::ResetLog(Replica& replica, View* view) {
  const LogPosition base = replica.core().log().base();
  view->lines.clear();
  view->base = base.index;
  if (base.index > committed()) {
    return Fail(replica, "R19: the log begins after what was committed");
  }
  view->base_line = committed_[static_cast<size_t>(base.index.value())];
  if (view->base_line.term != base.term) {
    return Fail(replica, "R19: the log begins on an entry that was never committed");
  }
  view->memberships.clear();
  if (base.index == kNoIndex) {
    view->memberships.emplace_back(kNoIndex, Membership());
    return;
  }
  for (const auto& item : memberships_) {
    if (item.first <= base.index) view->memberships.assign(1, item);
  }
}

void Checker::SyncLog(Nanos now, Replica& replica, View* view) {
  const Log& log = replica.core().log();
  if (log.base().index != view->base) {
    const LogIndex base = log.base().index;
    if (base > view->base && base <= view->last() && view->at(base).term == log.base().term) {
      view->base_line = view->at(base);
      view->lines.erase(view->lines.begin(),
                        view->lines.begin() + static_cast<ptrdiff_t>(base - view->base));
      view->base = base;
      while (view->memberships.size() > 1 && view->memberships[1].first <= base) {
        view->memberships.pop_front();
      }
    } else {
      ResetLog(replica, view);
    }
    if (!violation_->empty()) return;
  }
  if (log.last() == view->last() && log.end().term == view->at(view->last()).term) return;
  LogIndex common = std::min(log.last(), view->last());
  while (common > view->base && log.At(common).term != view->at(common).term) common = common - 1;
  if (common < view->last()) {
    const bool leads = view->role == RoleName::kLeader && view->term == replica.core().term();
    if (leads) return Fail(replica, "R5: a leader truncates its log");
    if (common < std::min(view->commit, committed())) {
      return Fail(replica, "R5: a committed entry is truncated");
    }
    view->lines.resize(static_cast<size_t>(common - view->base));
    while (view->memberships.back().first > common) view->memberships.pop_back();
  }
  for (LogIndex i = common + 1; i <= log.last() && violation_->empty(); i += 1) {
    SyncEntry(now, replica, view, log.At(i));
  }
}

void Checker::SyncEntry(Nanos now, Replica& replica, View* view, const Entry& entry) {
  const uint64_t hash = Mix(view->at(view->last()).hash, HashEntry(entry));
  const auto index = static_cast<size_t>(entry.index.value());
  if (known_.size() <= index) known_.resize(index + 1);
  bool found = false;
  for (const auto& [term, known] : known_[index]) {
    if (term != entry.term) continue;
    found = true;
    if (known != hash) {
      return Fail(replica, absl::StrCat("R4: entry ", index, " of term ", term.value(),
                                        " has another history than elsewhere"));
    }
  }
  if (!found) known_[index].emplace_back(entry.term, hash);
  if (entry.kind == EntryKind::kMembership) {
    absl::StatusOr<Membership> membership = DecodeMembership(entry.payload.view());
    if (!membership.ok()) return Fail(replica, "a membership entry can't be read");
    const bool own = replica.core().role() == RoleName::kLeader && entry.term == view->term &&
                     view->role == RoleName::kLeader;
    if (own) CheckLeadersMembership(now, replica, view, entry, *membership);
    // Who is removed and added again begins anew.
    std::erase_if(view->match,
                  [&](const auto& item) { return FindMember(*membership, item.first) == nullptr; });
    view->memberships.emplace_back(entry.index, *std::move(membership));
  }
  view->lines.push_back({entry.term, hash});
}

// R13, R14: what a leader may append, and when.
void Checker::CheckLeadersMembership(Nanos now, Replica& replica, View* view, const Entry& entry,
                                     const Membership& membership) {
  const Raft& core = replica.core();
  const auto& [index, before] = view->memberships.back();
  if (index > core.commit()) {
    Fail(replica, "R13: a second configuration is appended before the first is committed");
  }
  if (core.commit() < view->term_start) {
    Fail(replica, "R13: a configuration is appended before the leader committed in its term");
  }
  if (before.is_joint() && membership.is_joint()) Fail(replica, "R14: joint follows joint");
  if (before.is_joint() && membership.voters != before.voters) {
    Fail(replica, "R14: a joint configuration is left for other voters");
  }
  if (!before.is_joint() && !membership.is_joint()) {
    std::vector<ReplicaId> a, b;
    for (const Member& m : before.voters) a.push_back(m.id);
    for (const Member& m : membership.voters) b.push_back(m.id);
    if (a != b) Fail(replica, "R14: voters change without a joint configuration");
  }
  if (membership.is_joint()) CheckPromotion(now, replica, view, membership);
  (void)entry;
}

// R15: a new voter had nearly all of the leader's log a moment ago.
void Checker::CheckPromotion(Nanos now, Replica& replica, View* view,
                             const Membership& membership) {
  const MonotonicTime local = replica.Local(now);
  const Duration slack =
      plan_.config.catch_up_round_max * 2 + plan_.config.election_timeout_min * 2;
  for (const Member& voter : membership.voters) {
    if (IsVoter(view->membership(), voter.id)) continue;
    auto heard = view->heard.find(voter.id);
    if (heard == view->heard.end() || local - heard->second > plan_.config.election_timeout_min) {
      return Fail(replica, "R15: a learner that doesn't answer is promoted");
    }
    LogIndex then;
    for (const auto& [at, last] : view->lasts) {
      if (local - at >= slack) then = last;
    }
    auto match = view->match.find(voter.id);
    if (match == view->match.end() || match->second < then) {
      return Fail(replica, "R15: a learner that lags is promoted");
    }
  }
}

// ---- commit ----

void Checker::SyncCommit(Replica& replica, View* view, LogIndex last_before) {
  const Raft& core = replica.core();
  const LogIndex commit = core.commit();
  if (commit < view->commit) return Fail(replica, "R9: the commit index falls");
  if (core.applied() < view->applied) return Fail(replica, "R9: the applied index falls");
  view->applied = core.applied();
  if (commit == view->commit) return;
  view->commit = commit;
  if (commit < view->base) return;
  if (commit > committed()) {
    const bool leads = core.role() == RoleName::kLeader || view->role == RoleName::kLeader;
    if (!leads) return Fail(replica, "R8: a follower commits what no leader committed");
    // The membership in force when it was committed; the leader may have appended another since.
    const Membership* membership = &view->memberships.front().second;
    for (const auto& [index, item] : view->memberships) {
      if (index <= last_before) membership = &item;
    }
    CheckCommitRule(replica, view, commit, *membership);
    for (LogIndex i = committed() + 1; i <= commit; i += 1) {
      committed_.push_back(view->at(i));
      entry_hashes_.push_back(HashEntry(core.log().At(i)));
      states_.push_back(0);
      committed_in_.push_back(view->term);
    }
    for (const auto& item : view->memberships) {
      if (item.first > memberships_.back().first && item.first <= commit) {
        memberships_.push_back(item);
      }
    }
    return;
  }
  if (view->at(commit).hash != committed_[static_cast<size_t>(commit.value())].hash) {
    Fail(replica, absl::StrCat("R7: commits another history up to ", commit.value()));
  }
}

void Checker::CheckCommitRule(Replica& replica, View* view, LogIndex index,
                              const Membership& membership) {
  const LogPosition position{view->at(index).term, index};
  if (position.term != view->term) {
    return Fail(replica, absl::StrCat("R8: commits entry ", index.value(), " of term ",
                                      position.term.value(), " in term ", view->term.value()));
  }
  const bool held =
      HasQuorum(membership, [&](const ReplicaId& id) { return HoldsDurably(id, position); });
  if (!held) {
    Fail(replica, absl::StrCat("R8: commits entry ", index.value(), " without a durable quorum"));
  }
}

// ---- applying ----

void Checker::OnApply(Replica& replica, const Entry& entry, const State& state) {
  if (entry.index > committed()) return Fail(replica, "R7: applies what isn't committed");
  const auto index = static_cast<size_t>(entry.index.value());
  if (HashEntry(entry) != entry_hashes_[index]) {
    return Fail(replica, absl::StrCat("R7: applies another entry at ", index));
  }
  if (states_[index] == 0) states_[index] = state.hash;
  if (states_[index] != state.hash) Fail(replica, "R7: the state differs from another's");
  if (!HoldsDurably(replica.id(), {entry.term, entry.index})) {
    return Fail(replica, "R9: applies what isn't durable");
  }
  if (entry.kind != EntryKind::kCommand) return;
  if (const auto command = DecodeCommand(entry.payload.view())) {
    history_->OnApplied(command->op, entry.index);
  }
}

void Checker::OnRestore(Replica& replica, const State& state) {
  const auto index = static_cast<size_t>(state.applied.value());
  if (state.applied > committed()) return Fail(replica, "R19: restores what isn't committed");
  if (states_[index] != state.hash) Fail(replica, "R19: a snapshot holds another state");
  if (replica.disk().snapshot.last.index < state.applied) {
    Fail(replica, "R19: restores a snapshot that isn't durable");
  }
}

void Checker::AfterPropose(Replica& replica, bool was_transferring, LogPosition before) {
  if (was_transferring && replica.core().log().end() != before) {
    Fail(replica, "R18: takes a proposal while it transfers leadership");
  }
}

// ---- the disk ----

void Checker::OnPersisted(Replica& replica, const HardState& before) {
  const HardState& after = replica.disk().hard_state;
  if (after.term < before.term) Fail(replica, "R2: the persisted term falls");
  if (after.term == before.term && before.vote && after.vote != before.vote) {
    Fail(replica, "R2: the persisted vote changes within a term");
  }
}

// ---- after an event ----

void Checker::AfterEvent(Nanos now, Replica& replica, bool tick) {
  if (!violation_->empty() || !replica.up()) return;
  View& view = ViewOf(replica);
  const Raft& core = replica.core();
  core.CheckInvariants();
  const LogIndex last_before = view.last();
  const bool elected = core.role() == RoleName::kLeader &&
                       (view.role != RoleName::kLeader || view.term != core.term());
  SyncLog(now, replica, &view);
  if (!violation_->empty()) return;
  if (core.term() < view.term) return Fail(replica, "R2: the term falls");
  if (core.term() != view.term) view.leader.reset();
  view.term = core.term();
  if (elected) CheckElected(now, replica, &view);
  SyncCommit(replica, &view, last_before);
  view.role = core.role();
  if (!violation_->empty()) return;
  if (!(core.membership() == view.membership())) {
    return Fail(replica, "R13: another configuration is in force than the log's last");
  }
  if (view.role != RoleName::kLeader) return;
  if (view.lasts.empty() || view.lasts.back().second != view.last()) {
    view.lasts.emplace_back(replica.Local(now), view.last());
    constexpr size_t kRemembered = 4'000;
    if (view.lasts.size() > kRemembered) view.lasts.pop_front();
  }
  if (tick) CheckLeaderTick(now, replica, &view);
}

void Checker::CheckElected(Nanos now, Replica& replica, View* view) {
  const std::pair<int, uint32_t> who{replica.node(), view->boot};
  const auto [it, first] = leaders_.emplace(view->term, who);
  if (!first) {
    return Fail(replica, absl::StrCat("R1: term ", view->term.value(), " had a leader: node ",
                                      it->second.first));
  }
  // §5.4: what leaders of earlier terms committed. Its votes may have come so late that a leader of
  // a later term is at work already.
  LogIndex must = committed();
  while (committed_in_[static_cast<size_t>(must.value())] >= view->term) must = must - 1;
  if (view->last() < must ||
      (view->base <= must &&
       view->at(must).hash != committed_[static_cast<size_t>(must.value())].hash)) {
    return Fail(replica, "R6: elected without all that is committed");
  }
  const HardState& durable = replica.disk().hard_state;
  if (durable.term != view->term || durable.vote != replica.id()) {
    return Fail(replica, "R3: elected without its own vote on disk");
  }
  view->leader_since = replica.Local(now);
  view->term_start = view->last();
  while (view->term_start > view->base + 1 && view->at(view->term_start - 1).term == view->term) {
    view->term_start = view->term_start - 1;
  }
  view->heard.clear();
  view->match.clear();
  view->lasts.clear();
  view->lasts.emplace_back(view->leader_since, view->last());
  view->transfer_since.reset();
}

}  // namespace catamaran::raft::sim
