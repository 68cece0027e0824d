#include "raft/driver/founding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "raft/core/membership.h"

namespace catamaran::raft {
namespace {

std::vector<BrokerId> NodesOf(const Membership& membership) {
  std::vector<BrokerId> nodes;
  for (const Member& voter : membership.voters) nodes.push_back(voter.id.node);
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

constexpr const char* kResetAll =
    " Give all nodes of the list empty directories and start them again; they hold nothing yet.";

}  // namespace

Founding::Founding(FoundingConfig config, FoundingStart start, Random random)
    : config_(std::move(config)), start_(std::move(start)), random_(random) {
  for (const FounderSeed& seed : config_.founders) founders_.push_back(seed.node);
  std::sort(founders_.begin(), founders_.end());
  CATAMARAN_CHECK(founders_.size() <= kFoundersMax &&
                      std::adjacent_find(founders_.begin(), founders_.end()) == founders_.end(),
                  "the list names at most kFoundersMax nodes, each once");
}

bool Founding::IsFounder() const {
  return !founders_.empty() && founders_.front() == config_.self.id.node;
}

bool Founding::IsListed() const {
  return std::find(founders_.begin(), founders_.end(), config_.self.id.node) != founders_.end();
}

FoundingState Founding::state() const {
  if (started_) return FoundingState::kStarted;
  return start_.membership.voters.empty() ? FoundingState::kFresh : FoundingState::kPledged;
}

// ---- inputs ----

void Founding::OnReport(MonotonicTime now, const ReplicaId& from,
                        std::vector<std::string> endpoints, const Report& report) {
  heard_[from.node] =
      Heard{now, from, std::move(endpoints), report.state, report.cluster, report.founders};
}

void Founding::OnPledge(const ReplicaId& from, const Pledge& pledge) {
  const Membership& to = pledge.membership;
  const bool adopted_another = !start_.cluster.uuid.is_nil() && start_.cluster != pledge.cluster;
  const bool expects_another =
      !config_.expected_cluster.uuid.is_nil() && config_.expected_cluster != pledge.cluster;
  if (state() != FoundingState::kFresh || adopted_another || expects_another) return;
  // Of the founder of the same list, and for this very directory.
  if (IsFounder() || pledge.cluster.uuid.is_nil() || NodesOf(to) != founders_) return;
  if (founders_.empty() || from.node != founders_.front()) return;
  if (!IsVoter(to, config_.self.id) || !IsVoter(to, from)) return;
  pledge_ = pledge;
}

void Founding::OnAdopted(ClusterId cluster) { start_.cluster = cluster; }

void Founding::OnMembershipWritten(Membership membership) {
  start_.membership = std::move(membership);
  pledge_.reset();
}

// ---- decisions ----

const Founding::Heard* Founding::HeardFrom(BrokerId node) const {
  auto it = heard_.find(node);
  return it == heard_.end() ? nullptr : &it->second;
}

// Of the cluster that was adopted, or of any.
const Founding::Heard* Founding::HeardStarted() const {
  const ClusterId wanted = start_.cluster.uuid.is_nil() ? config_.expected_cluster : start_.cluster;
  for (const auto& [node, heard] : heard_) {
    if (heard.state != FoundingState::kStarted) continue;
    if (wanted.uuid.is_nil() || heard.cluster == wanted) return &heard;
  }
  return nullptr;
}

std::vector<FoundingAction> Founding::Next(MonotonicTime now) {
  std::erase_if(heard_, [&](const auto& entry) { return now - entry.second.at > kReportLife; });
  std::vector<FoundingAction> actions;
  if (started_) return actions;
  if (state() == FoundingState::kFresh) {
    if (std::optional<FoundingAction> action = NextOfFresh(now)) {
      actions.push_back(*std::move(action));
    }
  } else {
    NextOfPledged(&actions);
  }
  if (!actions.empty() && std::holds_alternative<StartGroup>(actions.back())) started_ = true;
  return actions;
}

std::optional<FoundingAction> Founding::NextOfFresh(MonotonicTime) {
  // A cluster that is started names other directories than this one, which hasn't pledged.
  if (const Heard* there = HeardStarted()) {
    status_ = absl::StrCat("joining cluster ", there->cluster.uuid.ToString());
    if (start_.cluster.uuid.is_nil()) return AdoptCluster{there->cluster};
    return StartGroup{};
  }
  if (pledge_) {
    if (start_.cluster.uuid.is_nil()) return AdoptCluster{pledge_->cluster};
    return WriteMembership{pledge_->membership};
  }
  if (!IsFounder()) {
    status_ = IsListed() ? absl::StrCat("waiting for node ", founders_.front().value(),
                                        ", which founds the cluster")
                         : "waiting for a seed that is part of a cluster";
    return std::nullopt;
  }
  if (!config_.expected_cluster.uuid.is_nil()) {
    status_ = "waiting for the cluster whose id is configured; a new one gets an id of its own";
    return std::nullopt;
  }
  std::optional<Membership> membership = CollectAll();
  if (!membership) return std::nullopt;
  if (!start_.cluster.uuid.is_nil()) return WriteMembership{*std::move(membership)};
  return AdoptCluster{ClusterId{random_.NextUuid()}};
}

// The founder: everybody of the list, fresh and with the same list.
std::optional<Membership> Founding::CollectAll() {
  Membership membership;
  for (const FounderSeed& seed : config_.founders) {
    if (seed.node == config_.self.id.node) {
      membership.voters.push_back(config_.self);
      continue;
    }
    const Heard* heard = HeardFrom(seed.node);
    if (heard == nullptr) {
      status_ = absl::StrCat("waiting for node ", seed.node.value(),
                             " of the list; all must be up at the first start");
      return std::nullopt;
    }
    if (heard->state != FoundingState::kFresh || !heard->cluster.uuid.is_nil()) {
      status_ = absl::StrCat("node ", seed.node.value(), " has pledged to cluster ",
                             heard->cluster.uuid.ToString(), " already.", kResetAll);
      return std::nullopt;
    }
    if (heard->founders != founders_) {
      status_ = absl::StrCat("node ", seed.node.value(),
                             " was started with another list; give all the same one");
      return std::nullopt;
    }
    membership.voters.push_back(
        {heard->from, heard->endpoints.empty() ? seed.endpoints : heard->endpoints});
  }
  std::sort(membership.voters.begin(), membership.voters.end(),
            [](const Member& a, const Member& b) { return a.id < b.id; });
  return membership;
}

void Founding::NextOfPledged(std::vector<FoundingAction>* actions) {
  if (HeardStarted() != nullptr) {
    actions->push_back(StartGroup());
    return;
  }
  const std::vector<BrokerId> nodes = NodesOf(start_.membership);
  if (nodes.front() != config_.self.id.node) {
    status_ = absl::StrCat("pledged to cluster ", start_.cluster.uuid.ToString(),
                           "; waiting for somebody who is started");
    return;
  }
  bool all = true;
  for (const Member& voter : start_.membership.voters) {
    if (voter.id == config_.self.id) continue;
    const Heard* heard = HeardFrom(voter.id.node);
    const bool known = heard != nullptr && heard->from == voter.id;
    if (known && heard->state == FoundingState::kPledged && heard->cluster == start_.cluster) {
      continue;
    }
    all = false;
    status_ = absl::StrCat("waiting for the pledge of node ", voter.id.node.value());
    if (heard != nullptr && !known) {
      absl::StrAppend(&status_, ", which has lost the directory that was named.", kResetAll);
    }
    if (known && (heard->cluster.uuid.is_nil() || heard->cluster == start_.cluster)) {
      actions->push_back(AskPledge{voter.id, {start_.cluster, start_.membership}});
    }
  }
  if (all) actions->push_back(StartGroup());
}

}  // namespace catamaran::raft
