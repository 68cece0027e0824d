#include "tests/raft/sim/group.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"

namespace catamaran::raft::sim {

Group::Group(const Plan& plan, bool verbose)
    : plan_(plan), verbose_(verbose), random_(plan.seed), history_(&result_.violation) {
  Make();
}

void Group::Make() {
  cluster_.uuid = random_.NextUuid();
  const int nodes = plan_.voters + plan_.learners + plan_.spare_nodes;
  Membership first;
  for (int node = 0; node < nodes; ++node) {
    const ReplicaId id{BrokerId(node), DirectoryId{random_.NextUuid()}};
    replicas_.push_back(std::make_unique<Replica>(this, plan_, cluster_, id, random_.Next()));
    const auto ppm = static_cast<int64_t>(plan_.drift * 1'000'000);
    replicas_.back()->drift_ppm = random_.Between(-ppm, ppm);
    Member member{id, {absl::StrCat("node", node, ":1")}};
    if (node < plan_.voters) {
      first.voters.push_back(std::move(member));
    } else if (node < plan_.voters + plan_.learners) {
      first.learners.push_back(std::move(member));
    }
  }
  for (int node = 0; node < plan_.voters; ++node) At(node).Found(first);
  checker_ = std::make_unique<Checker>(plan_, &replicas_, &history_, &result_.violation);
  cut_.assign(replicas_.size(), std::vector<bool>(replicas_.size()));
  link_at_.assign(replicas_.size(), std::vector<Nanos>(replicas_.size()));
  clients_.resize(static_cast<size_t>(plan_.clients));
  for (int node = 0; node < nodes; ++node) {
    PushAfter(random_.Between(0, 50'000'000), EventKind::kBoot, node, 0);
  }
  for (uint64_t i = 0; i < clients_.size(); ++i) PushAfter(1'000'000, EventKind::kClient, 0, i);
  PushAfter(plan_.fault_every.count(), EventKind::kFault, 0, 0);
  PushAfter(plan_.operator_every.count(), EventKind::kOperator, 0, 0);
}

// ---- events ----

void Group::Push(Event event) {
  event.tie = (random_.Next() & ~uint64_t{0xffffff}) | (ties_++ & 0xffffff);
  queue_.push(std::move(event));
}

void Group::PushAfter(Nanos delay, EventKind kind, int node, uint64_t argument) {
  Event event;
  event.at = now_ + delay;
  event.kind = kind;
  event.node = node;
  event.argument = argument;
  Push(std::move(event));
}

Group::Event Group::Pop() {
  // The queue's order doesn't depend on what is moved out of its top.
  Event event = std::move(const_cast<Event&>(queue_.top()));
  queue_.pop();
  return event;
}

void Group::Schedule(Replica& replica, Nanos delay, EventKind kind, uint64_t argument) {
  Event event;
  event.at = now_ + delay;
  event.kind = kind;
  event.node = replica.node();
  event.boot = replica.boots();
  event.argument = argument;
  Push(std::move(event));
}

void Group::Violation(const std::string& what) {
  if (result_.violation.empty()) result_.violation = what;
}

void Group::Trace(const Event& event) {
  uint64_t what = static_cast<uint64_t>(event.kind) * 64 + static_cast<uint64_t>(event.node);
  if (event.message) {
    what = Mix(what, event.message->body.index() * 131 +
                         static_cast<uint64_t>(event.message->from.node.value()));
    what = Mix(what, static_cast<uint64_t>(event.message->term.value()));
  }
  result_.trace_hash = Mix(result_.trace_hash, Mix(static_cast<uint64_t>(event.at), what));
  if (!verbose_) return;
  static constexpr const char* kNames[] = {
      "message", "tick",          "persist done", "snapshot written", "snapshot taken",
      "apply",   "stream closed", "boot",         "resume",           "client",
      "fault",   "operator",      "end of fault"};
  const Replica& replica = At(event.node);
  std::printf("%12.6f node %d %s", static_cast<double>(event.at) / 1e9, event.node,
              kNames[static_cast<size_t>(event.kind)]);
  if (event.message) {
    std::printf(" %s from %d term %" PRId64, MessageName(event.message->body),
                event.message->from.node.value(), event.message->term.value());
  }
  if (replica.up()) {
    std::printf(" | %s term %" PRId64 " last %" PRId64 " commit %" PRId64,
                ToString(replica.core().role()), replica.core().term().value(),
                replica.core().log().last().value(), replica.core().commit().value());
  }
  std::printf("\n");
}

void Group::RunUntil(Nanos end) {
  while (result_.violation.empty() && !queue_.empty() && queue_.top().at <= end) {
    Event event = Pop();
    now_ = event.at;
    ++result_.events;
    Trace(event);
    Handle(std::move(event));
  }
  now_ = std::max(now_, std::min(end, queue_.empty() ? end : queue_.top().at));
}

void Group::Handle(Event event) {
  switch (event.kind) {
    case EventKind::kClient:
      RunClient(event.argument);
      return;
    case EventKind::kFault:
      if (!faults_) return;
      Break();
      PushAfter(random_.Between(0, 2 * plan_.fault_every.count()), EventKind::kFault, 0, 0);
      return;
    case EventKind::kOperator:
      RunOperator();
      PushAfter(random_.Between(0, 2 * plan_.operator_every.count()), EventKind::kOperator, 0, 0);
      return;
    case EventKind::kEndFault:
      if (faults_) Heal();
      return;
    case EventKind::kBoot:
      Boot(event.node);
      return;
    default:
      HandleAtReplica(std::move(event));
  }
}

void Group::HandleAtReplica(Event event) {
  Replica& replica = At(event.node);
  if (!replica.up() || (event.boot != 0 && event.boot != replica.boots())) return;
  if (now_ < replica.paused_until) {
    // What comes to a stopped process waits for it.
    event.at = replica.paused_until + random_.Between(0, 1'000'000);
    Push(std::move(event));
    return;
  }
  const bool tick = event.kind == EventKind::kTick;
  switch (event.kind) {
    case EventKind::kMessage: {
      ++result_.messages;
      const Message message = *event.message;
      checker_->BeforeMessage(now_, replica, message);
      const StepResult step = replica.OnMessage(now_, std::move(*event.message));
      checker_->AfterMessage(now_, replica, message, step);
      if (step == StepResult::kWrongAddressee) Saw("message for a wiped replica refused");
      if (step == StepResult::kWrongCluster) Saw("message of another cluster refused");
      if (step == StepResult::kNotMember) Saw("message of a removed replica refused");
      break;
    }
    case EventKind::kTick:
      replica.OnTick(now_);
      break;
    case EventKind::kPersistDone:
      if (now_ < replica.slow_until && random_.OneIn(2)) {
        event.at = replica.slow_until;
        Push(std::move(event));
        return;
      }
      replica.OnPersistDone(now_, event.argument);
      break;
    case EventKind::kSnapshotWritten:
      replica.OnSnapshotWritten(now_, event.argument);
      break;
    case EventKind::kSnapshotTaken:
      replica.OnSnapshotTaken(now_);
      break;
    case EventKind::kApply:
      replica.OnApplyDue(now_);
      break;
    case EventKind::kStreamClosed: {
      const ReplicaId peer = At(static_cast<int>(event.argument)).id();
      checker_->OnStreamClosed(replica, peer);
      replica.OnStreamClosed(now_, peer);
      break;
    }
    default:
      break;
  }
  // Twice, since what an output does may be seen only after the checks of what led to it.
  checker_->AfterEvent(now_, replica, tick);
  if (!result_.violation.empty()) return;
  replica.Pump(now_);
  checker_->AfterEvent(now_, replica, false);
}

// ---- the network ----

void Group::SawFrom(const Message& message) {
  if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
    Saw(vote->transfer ? "vote asked for by transfer" : "vote asked for");
  } else if (const auto* append = std::get_if<AppendReply>(&message.body)) {
    if (!append->success) Saw("append refused");
  } else if (std::holds_alternative<SnapshotChunk>(message.body)) {
    Saw("snapshot chunk sent");
  } else if (std::holds_alternative<NotMember>(message.body)) {
    Saw("removed replica told so");
  } else if (std::holds_alternative<ReadIndexRequest>(message.body)) {
    Saw("read index asked for by a follower");
  }
}

void Group::Deliver(Replica& from, Message message) {
  SawFrom(message);
  const auto source = static_cast<size_t>(from.node());
  const auto target = static_cast<size_t>(message.to.node.value());
  if (cut_[source][target]) return;
  if (faults_ && plan_.drop > 0 && random_.Chance(plan_.drop)) return;
  int copies = 1;
  if (faults_ && plan_.duplicate > 0 && random_.Chance(plan_.duplicate)) copies = 2;
  for (int i = 0; i < copies; ++i) {
    Event event;
    event.at = now_ + random_.Between(plan_.delay_min.count(), plan_.delay_max.count());
    if (faults_ && plan_.straggle > 0 && random_.Chance(plan_.straggle)) {
      Saw("old message held back");
      event.at += random_.Between(0, plan_.straggle_max.count());
    } else if (!plan_.reorder) {
      event.at = std::max(event.at, link_at_[source][target] + 1);
      link_at_[source][target] = event.at;
    }
    event.kind = EventKind::kMessage;
    event.node = message.to.node.value();
    event.message = std::make_unique<Message>(message);
    Push(std::move(event));
  }
}

Nanos Group::WriteDelay(Replica& replica) {
  Nanos delay = random_.Between(plan_.write_min.count(), plan_.write_max.count());
  if (faults_ && plan_.slow_write > 0 && random_.Chance(plan_.slow_write)) {
    Saw("slow write");
    delay += random_.Between(0, 3 * plan_.config.election_timeout_min.count());
  }
  if (now_ < replica.slow_until) delay += random_.Between(0, replica.slow_until - now_);
  return delay;
}

bool Group::DamagesSnapshot() {
  if (!faults_ || plan_.damage == 0 || !random_.OneIn(40)) return false;
  Saw("snapshot damaged");
  return true;
}

Replica* Group::Leader() {
  Replica* leader = nullptr;
  for (const auto& replica : replicas_) {
    if (!replica->up() || now_ < replica->paused_until) continue;
    if (replica->core().role() != RoleName::kLeader) continue;
    if (leader == nullptr || leader->core().term() < replica->core().term()) leader = replica.get();
  }
  return leader;
}

RunResult Group::Run() {
  RunUntil(plan_.safety.count());
  if (result_.violation.empty()) {
    EndFaults();
    CheckLiveness();
  }
  result_.virtual_time = now_;
  result_.elections = checker_->leaders_elected();
  result_.committed = history_.committed;
  result_.rejected = history_.rejected;
  result_.unknown = history_.unknown;
  result_.reads = history_.reads;
  result_.log_length = checker_->committed().value();
  return std::move(result_);
}

}  // namespace catamaran::raft::sim
