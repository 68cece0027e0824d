// What peers say, the way into a cluster, and what a leader does for its quorum.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "raft/core/encoding.h"
#include "raft/driver/raft_node_impl.h"

namespace catamaran::raft {

// ---- messages and connections ----

bool RaftNode::Impl::OnRaftMessage(const ReplicaId& from, Buffer bytes) {
  if (state_ != NodeState::kRunning) return true;  // it's lost, as any message may be
  absl::StatusOr<Message> message = DecodeMessage(std::move(bytes));
  if (!message.ok()) return false;
  const StepResult result = core_->Step(Now(), from, *std::move(message));
  SchedulePump();
  return result == StepResult::kTaken || result == StepResult::kNotMember;
}

void RaftNode::Impl::OnStreamClosed(const ReplicaId& peer) {
  if (state_ != NodeState::kRunning) return;
  core_->StreamClosed(Now(), peer);
  SchedulePump();
}

void RaftNode::Impl::OnBulkUp(const ReplicaId& peer) {
  // What was sent on the connection before may be lost: probe at once. To a follower a closed
  // stream means something else, its leader's end.
  if (state_ != NodeState::kRunning || core_->role() != RoleName::kLeader) return;
  core_->StreamClosed(Now(), peer);
  SchedulePump();
}

void RaftNode::Impl::OnFenced(const Refusal& refusal) {
  Fail(MakeError(Reason::kDirectoryMismatch, refusal.text));
}

// ---- the tick ----

void RaftNode::Impl::Tick() {
  if (state_ != NodeState::kFounding && state_ != NodeState::kRunning) return;
  const MonotonicTime now = Now();
  network_->Tick();
  if (state_ == NodeState::kFounding) StepFounding();
  if (state_ == NodeState::kRunning) {
    TellMembers();
    MaybeJoin(now);
    SampleLag(now);
    CareForQuorum(now);
  }
  options_.executor->PostAt(now + kNetworkTick, [this, alive = alive_] {
    if (*alive) Tick();
  });
}

void RaftNode::Impl::TellMembers() {
  if (core_->membership() == told_members_) return;
  told_members_ = core_->membership();
  network_->SetMembers(told_members_);
}

// ---- founding and joining ----

Report RaftNode::Impl::MakeReport() {
  Report report;
  report.cluster = cluster_;
  report.hints = network_->hints();
  for (const FounderSeed& founder : options_.founders) report.founders.push_back(founder.node);
  std::sort(report.founders.begin(), report.founders.end());
  if (core_ != nullptr) {
    report.state = FoundingState::kStarted;
    report.membership = core_->membership();
    report.leader = core_->leader();
  } else if (founding_) {
    report.state = founding_->state();
  }
  return report;
}

void RaftNode::Impl::OnReport(const Greeting& from, const Report& report) {
  if (!founding_ || state_ != NodeState::kFounding) return;
  founding_->OnReport(Now(), from.from, from.endpoints, report);
  StepFounding();
}

Report RaftNode::Impl::OnPledge(const Greeting& from, const Pledge& pledge) {
  if (founding_ && state_ == NodeState::kFounding && from.lane == Lane::kDiscovery) {
    founding_->OnPledge(from.from, pledge);
    StepFounding();
  }
  return MakeReport();
}

void RaftNode::Impl::StepFounding() {
  if (!founding_ || founding_busy_) return;
  network_->SetSeeking(true);
  for (FoundingAction& action : founding_->Next(Now())) {
    if (auto* adopt = std::get_if<AdoptCluster>(&action)) {
      Adopt(adopt->cluster);
    } else if (auto* write = std::get_if<WriteMembership>(&action)) {
      WriteFounded(std::move(write->membership));
    } else if (auto* ask = std::get_if<AskPledge>(&action)) {
      network_->SendToSeed(ask->to, ask->pledge);
    } else {
      network_->SetSeeking(false);
      StartCore();  // ends the founding
      return;
    }
  }
}

void RaftNode::Impl::Adopt(ClusterId cluster) {
  founding_busy_ = true;
  store_.Submit(
      StoreWork::kWrite, [cluster](LogStore& store) { return store.AdoptCluster(cluster); },
      [this, cluster](absl::Status status) {
        founding_busy_ = false;
        if (state_ != NodeState::kFounding) return;
        if (!status.ok()) return Fail(std::move(status));
        cluster_ = cluster;
        network_->SetCluster(cluster);
        founding_->OnAdopted(cluster);
        StepFounding();
      });
}

void RaftNode::Impl::WriteFounded(Membership membership) {
  founding_busy_ = true;
  SnapshotMeta meta;
  meta.membership = std::move(membership);
  store_.Submit(
      StoreWork::kWrite,
      [meta, slot = snapshots_.slot()](LogStore& store) -> absl::Status {
        CATAMARAN_RETURN_IF_ERROR(store.BeginSnapshot(meta).status());
        CATAMARAN_RETURN_IF_ERROR(store.FinishSnapshot(meta.last).status());
        slot->meta.reset();
        return absl::OkStatus();
      },
      [this, meta](absl::Status status) {
        founding_busy_ = false;
        if (state_ != NodeState::kFounding) return;
        if (!status.ok()) return Fail(std::move(status));
        recovered_.snapshot = meta;
        recovered_.unfinished_snapshot.reset();
        founding_->OnMembershipWritten(meta.membership);
        StepFounding();
      });
}

// A replica without a membership asks to be taken in until its log says that it is.
void RaftNode::Impl::MaybeJoin(MonotonicTime now) {
  const bool joining = core_->membership().voters.empty();
  network_->SetSeeking(joining);
  if (!joining || now < join_at_) return;
  join_at_ = now + kJoinInterval;
  Join join;
  join.cluster = cluster_;
  join.member = {options_.self, options_.advertised_endpoints};
  network_->SendToSeeds(join);
}

void RaftNode::Impl::OnJoin(Join join) {
  if (state_ != NodeState::kRunning || join.cluster != cluster_) return;
  if (join.member.id.directory.uuid.is_nil() || join.member.id.node == options_.self.node) return;
  if (core_->role() == RoleName::kLeader) {
    if (FindMember(core_->membership(), join.member.id) != nullptr) return;
    // Refused while another change runs; the joiner asks again.
    core_->ProposeMembership(Now(), ++last_request_, {AddLearner{std::move(join.member)}});
    SchedulePump();
    return;
  }
  const std::optional<ReplicaId> leader = core_->leader();
  if (!leader || join.hops >= kJoinHopsMax) return;
  ++join.hops;
  network_->Send(*leader, Lane::kControl, join);
}

// ---- a leader's care ----

void RaftNode::Impl::CareForQuorum(MonotonicTime now) {
  if (core_->role() != RoleName::kLeader || now < care_at_) return;
  care_at_ = now + kCareInterval;
  if (store_.full() && !core_->transferring() && core_->membership().voters.size() > 1) {
    // Whoever has space serves better.
    (void)core_->TransferLeadership(now, std::nullopt);
    SchedulePump();
    return;
  }
  const bool busy = core_->transferring() || core_->membership().is_joint() ||
                    core_->membership_index() > core_->commit();
  if (busy) return;
  std::optional<MembershipChange> change;
  if (options_.automatic_quorum) change = ReplaceWiped();
  if (!change && options_.automatic_quorum) change = keeper_.Advise(now, *core_);
  if (!change) change = MendEndpoints();
  if (!change) return;
  core_->ProposeMembership(now, ++last_request_, *change);
  SchedulePump();
}

// A node whose directory was wiped is back under a new one: when that has caught up it takes the
// place of the old one, which is silent and never comes back.
std::optional<MembershipChange> RaftNode::Impl::ReplaceWiped() const {
  const std::vector<MemberStatus> statuses = core_->MemberStatuses();
  for (const MemberStatus& learner : statuses) {
    if (learner.voter || !learner.caught_up) continue;
    for (const MemberStatus& voter : statuses) {
      if (!voter.voter || voter.id.node != learner.id.node) continue;
      const Duration led_for = Now() - core_->leader_since().value_or(Now());
      if (voter.silent_for.value_or(led_for) < options_.keeper.dead_after) continue;
      return MembershipChange{RemoveMember{voter.id}, PromoteLearner{learner.id}};
    }
  }
  return std::nullopt;
}

// What members say of themselves goes into the membership, so that it's known after a restart of
// all.
std::optional<MembershipChange> RaftNode::Impl::MendEndpoints() const {
  MembershipChange change;
  for (const ReplicaId& id : AllIds(core_->membership())) {
    std::vector<std::string> known = network_->EndpointsOf(id);
    if (id == options_.self) known = options_.advertised_endpoints;
    const Member* member = FindMember(core_->membership(), id);
    if (known.empty() || known == member->endpoints) continue;
    change.push_back(SetEndpoints{{id, std::move(known)}});
  }
  if (change.empty()) return std::nullopt;
  return change;
}

void RaftNode::Impl::SampleLag(MonotonicTime now) {
  if (core_->role() != RoleName::kLeader) {
    lag_samples_.clear();
    return;
  }
  const LogIndex last = core_->log().last();
  if (!lag_samples_.empty() && lag_samples_.back().second >= last) return;
  lag_samples_.emplace_back(now, last);
  if (lag_samples_.size() > kLagSamplesMax) lag_samples_.pop_front();
}

// Since when the log holds more than `match`.
Duration RaftNode::Impl::LagTime(MonotonicTime now, LogIndex match) const {
  if (match >= core_->log().last()) return Duration(0);
  auto at =
      std::upper_bound(lag_samples_.begin(), lag_samples_.end(), match,
                       [](LogIndex index, const auto& sample) { return index < sample.second; });
  return at == lag_samples_.end() ? Duration(0) : now - at->first;
}

}  // namespace catamaran::raft
