// The checks of what replicas say, hear and wait for.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/raft/sim/checker.h"

namespace catamaran::raft::sim {
namespace {

bool ProvesLeader(const MessageBody& body) {
  return std::holds_alternative<AppendRequest>(body) || std::holds_alternative<Heartbeat>(body) ||
         std::holds_alternative<SnapshotChunk>(body);
}

bool IsAnswer(const MessageBody& body) {
  return std::holds_alternative<AppendReply>(body) ||
         std::holds_alternative<HeartbeatReply>(body) ||
         std::holds_alternative<SnapshotReply>(body);
}

}  // namespace

bool Checker::HearsLeader(Nanos now, const Replica& replica, const View& view) const {
  if (replica.core().role() == RoleName::kLeader) return true;
  return view.leader.has_value() &&
         replica.Local(now) - view.leader_heard < plan_.config.election_timeout_min;
}

void Checker::BeforeMessage(Nanos now, Replica& replica, const Message&) {
  View& view = ViewOf(replica);
  view.hard_state_before = replica.core().hard_state();
  view.end_before = replica.core().log().end();
  view.heard_leader_before = HearsLeader(now, replica, view);
}

void Checker::AfterMessage(Nanos now, Replica& replica, const Message& message, StepResult result) {
  View& view = ViewOf(replica);
  const Raft& core = replica.core();
  const HardState& before = view.hard_state_before;
  if (result == StepResult::kMalformed) Fail(replica, "a correct message is called malformed");
  const bool refused = result != StepResult::kTaken;
  const bool wrong = message.to != replica.id() || message.cluster != core.config().cluster;
  if (wrong && !refused) Fail(replica, "R16: a message for another is taken");
  if (refused && !(core.hard_state() == before)) Fail(replica, "R16: a refused message matters");
  if (refused) return;
  if (std::holds_alternative<PreVoteRequest>(message.body) && !(core.hard_state() == before)) {
    Fail(replica, "R10: a pre-vote request changes term or vote");
  }
  if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
    if (core.hard_state().vote == message.from && !(core.hard_state() == before) &&
        vote->last < view.end_before) {
      Fail(replica, "R10: votes for a shorter log");
    }
    if (view.heard_leader_before && !vote->transfer && message.term > before.term &&
        core.term() != before.term) {
      Fail(replica, "R11: heeds an election though it hears a leader");
    }
  }
  if (ProvesLeader(message.body) && message.term == core.term() &&
      core.role() == RoleName::kFollower) {
    view.leader = message.from;
    view.leader_heard = replica.Local(now);
  }
  if (core.role() == RoleName::kLeader && IsAnswer(message.body) && message.term == core.term()) {
    view.heard[message.from] = replica.Local(now);
    constexpr size_t kChecksMembers = 20;  // more make each answer too dear
    if (core.membership().learners.size() < kChecksMembers) CheckMatches(replica, &view);
  }
}

void Checker::OnStreamClosed(Replica& replica, const ReplicaId& peer) {
  View& view = ViewOf(replica);
  if (view.leader == peer) view.leader.reset();
}

// R3: what a message attests is on disk; R15, R18: who may ask for votes.
void Checker::OnSend(Replica& replica, const Message& message) {
  const HardState& durable = replica.disk().hard_state;
  const bool future = std::holds_alternative<PreVoteRequest>(message.body) ||
                      std::holds_alternative<PreVoteReply>(message.body);
  if (!future && durable.term < message.term) {
    return Fail(replica,
                absl::StrCat("R3: ", MessageName(message.body), " of term ", message.term.value(),
                             " leaves, on disk is ", durable.term.value()));
  }
  const bool current = durable.term == message.term;
  if (const auto* reply = std::get_if<VoteReply>(&message.body)) {
    if (reply->granted && current && durable.vote != message.to) {
      Fail(replica, "R3: a vote leaves before it's durable");
    }
  } else if (const auto* append = std::get_if<AppendReply>(&message.body)) {
    const Disk& disk = replica.disk();
    if (append->success && current && disk.log.last() < append->match &&
        disk.snapshot.last.index < append->match) {
      Fail(replica, absl::StrCat("R3: attests up to ", append->match.value(), ", on disk is ",
                                 disk.log.last().value()));
    }
    if (append->success && current && replica.core().term() == message.term) {
      const std::optional<Term> here = replica.core().log().TermAt(append->match);
      if (here && append->match <= disk.log.last() && append->match > disk.log.base().index &&
          disk.log.TermAt(append->match) != here) {
        Fail(replica, "R3: attests an entry whose place another holds on disk");
      }
    }
  } else if (const auto* snapshot = std::get_if<SnapshotReply>(&message.body)) {
    if (snapshot->status == SnapshotStatus::kInstalled &&
        replica.disk().snapshot.last.index < snapshot->last.index) {
      Fail(replica, "R3: attests a snapshot that isn't durable");
    }
  } else if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
    if (current && durable.vote != replica.id()) {
      Fail(replica, "R3: asks for votes before its own is durable");
    }
    const auto [it, first] = candidates_.emplace(std::pair(replica.id(), message.term), vote->last);
    if (!first && it->second != vote->last) Fail(replica, "R10: campaigns twice in a term");
  } else if (std::holds_alternative<TimeoutNow>(message.body)) {
    if (!HoldsDurably(message.to, replica.core().log().end()) &&
        replica.core().term() == message.term) {
      const Disk* target = DiskOf(message.to);
      if (target != nullptr && target->hard_state.term <= message.term) {
        Fail(replica, "R18: hands over to one whose log isn't complete");
      }
    }
  }
  if (std::holds_alternative<VoteRequest>(message.body) ||
      std::holds_alternative<PreVoteRequest>(message.body)) {
    // It may have lost its vote by a configuration that isn't committed.
    const View& view = ViewOf(replica);
    const Membership* committed = &view.memberships.front().second;
    for (const auto& [index, membership] : view.memberships) {
      if (index <= view.commit) committed = &membership;
    }
    const bool votes = replica.core().role() == RoleName::kFollower ||
                       IsVoter(view.membership(), replica.id()) ||
                       IsVoter(*committed, replica.id());
    if (!votes) Fail(replica, "R15: one that isn't a voter campaigns");
  }
}

// R20: what a leader believes of its followers.
void Checker::CheckMatches(Replica& replica, View* view) {
  const Raft& core = replica.core();
  for (const MemberStatus& status : core.MemberStatuses()) {
    LogIndex& before = view->match[status.id];
    if (status.match < before) Fail(replica, "R20: match falls within a leadership");
    if (status.match > before) {
      const std::optional<Term> term = core.log().TermAt(status.match);
      const Disk* disk = DiskOf(status.id);
      if (term && disk != nullptr && disk->hard_state.term == core.term() &&
          !HoldsDurably(status.id, {*term, status.match})) {
        Fail(replica, absl::StrCat("R20: believes that node ", status.id.node.value(), " holds ",
                                   status.match.value()));
      }
    }
    before = status.match;
  }
}

// R12, R18: what a leader must not go on with.
void Checker::CheckLeaderTick(Nanos now, Replica& replica, View* view) {
  const MonotonicTime local = replica.Local(now);
  const Duration timeout = plan_.config.election_timeout_min;
  const Duration grain = plan_.config.heartbeat_interval + std::chrono::milliseconds(2);
  if (local - view->leader_since > timeout + grain) {
    const bool heard = HasQuorum(view->membership(), [&](const ReplicaId& id) {
      if (id == replica.id()) return true;
      auto it = view->heard.find(id);
      return it != view->heard.end() && local - it->second <= timeout + grain;
    });
    if (!heard) Fail(replica, "R12: leads without a quorum for longer than an election timeout");
  }
  if (!replica.core().transferring()) {
    view->transfer_since.reset();
  } else if (!view->transfer_since) {
    view->transfer_since = local;
  } else if (local - *view->transfer_since > timeout + grain) {
    Fail(replica, "R18: a transfer goes on for longer than an election timeout");
  }
}

}  // namespace catamaran::raft::sim
