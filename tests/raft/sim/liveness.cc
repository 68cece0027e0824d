// The second phase: no more faults, and a bound within which the group must be whole.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/raft/sim/group.h"

namespace catamaran::raft::sim {

void Group::EndFaults() {
  faults_ = false;
  Heal();
  Nanos last_effect = now_;
  for (const auto& replica : replicas_) {
    last_effect = std::max({last_effect, replica->paused_until, replica->slow_until});
    if (!replica->up()) Boot(replica->node());
  }
  // What was stopped or full goes on when its time has come, and elections that this led to end.
  RunUntil(last_effect + 3 * plan_.config.election_timeout_min.count());
}

// Empty when there's one leader, it has committed something since the faults ended, and every
// member that still has its disk has applied all of it.
std::string Group::WhyNotWhole() {
  Replica* leader = Leader();
  if (leader == nullptr) return "there's no leader";
  const Raft& core = leader->core();
  if (core.transferring()) return "leadership is being handed over";
  if (core.membership().is_joint()) return "the configuration is still joint";
  if (core.membership_index() > core.commit()) return "a configuration isn't committed";
  for (const ReplicaId& id : AllIds(core.membership())) {
    Replica& member = At(id.node.value());
    if (member.id() != id || !member.up()) continue;
    if (member.state().applied < checker_->committed()) {
      return absl::StrCat("node ", member.node(), " has applied ", member.state().applied.value(),
                          " of ", checker_->committed().value());
    }
    if (member.core().term() != core.term()) {
      return absl::StrCat("node ", member.node(), " is in another term");
    }
  }
  return "";
}

bool Group::IsWhole() { return WhyNotWhole().empty(); }

void Group::CheckLiveness() {
  if (!result_.violation.empty()) return;
  const Nanos begin = now_;
  // With the smallest limits a follower that lags gets one entry a round trip.
  const Nanos round_trip = 2 * plan_.delay_max.count() + 3 * plan_.write_max.count();
  const Nanos end = begin + plan_.liveness.count() + checker_->committed().value() * round_trip;
  const uint64_t committed_before = history_.committed;
  const Nanos step = plan_.config.heartbeat_interval.count();
  bool whole = false;
  while (result_.violation.empty() && now_ < end && !whole) {
    RunUntil(now_ + step);
    whole = history_.committed > committed_before && IsWhole();
  }
  if (!result_.violation.empty()) return;
  if (!whole) {
    result_.violation = absl::StrCat(
        "liveness: not whole ", plan_.liveness.count() / 1'000'000'000, " s after the last fault: ",
        history_.committed > committed_before ? WhyNotWhole() : "nothing is committed");
    return;
  }
  result_.coverage["liveness took under 2 timeouts"] +=
      now_ - begin < 2 * plan_.config.election_timeout_min.count() ? 1 : 0;
  // It stays so: nobody who was removed, or lags, disturbs a leader that works.
  const Replica* leader = Leader();
  const Term term = leader->core().term();
  const uint64_t transfers = result_.coverage["vote asked for by transfer"];
  const Nanos calm_end = now_ + 6 * plan_.config.election_timeout_min.count();
  while (result_.violation.empty() && now_ < calm_end) RunUntil(std::min(now_ + step, calm_end));
  if (!result_.violation.empty()) return;
  // A TimeoutNow that was held back is a cause.
  if (transfers != result_.coverage["vote asked for by transfer"]) return;
  leader = Leader();
  if (leader == nullptr || leader->core().term() != term) {
    result_.violation = "liveness: the leader of a whole group changes without a cause";
  }
}

}  // namespace catamaran::raft::sim
