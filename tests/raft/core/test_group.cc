#include "tests/raft/core/test_group.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "raft/core/encoding.h"

namespace catamaran::raft {
namespace {

constexpr uint64_t kSnapshotBytes = 10;

std::string Name(const ReplicaId& id) { return absl::StrCat(id.node.value()); }

std::string Names(const std::vector<Member>& members) {
  return absl::StrJoin(members, ",",
                       [](std::string* out, const Member& m) { absl::StrAppend(out, Name(m.id)); });
}

std::string ToString(const Entry& entry) {
  const std::string place = absl::StrCat(entry.index.value(), "/", entry.term.value());
  switch (entry.kind) {
    case EntryKind::kCommand:
      return absl::StrCat(place, " ", std::string(entry.payload.view()));
    case EntryKind::kMembership:
      return absl::StrCat(place, " {", ToString(*DecodeMembership(entry.payload.view())), "}");
    case EntryKind::kNoOp:
      return absl::StrCat(place, " no-op");
  }
  return "?";
}

std::string ToString(const std::vector<Entry>& entries) {
  return absl::StrJoin(entries, ", ",
                       [](std::string* out, const Entry& e) { absl::StrAppend(out, ToString(e)); });
}

struct BodyText {
  std::string operator()(const PreVoteRequest& m) { return "last " + ToString(m.last); }
  std::string operator()(const PreVoteReply& m) { return m.granted ? "granted" : "refused"; }
  std::string operator()(const VoteRequest& m) {
    return "last " + ToString(m.last) + (m.transfer ? " transfer" : "");
  }
  std::string operator()(const VoteReply& m) { return m.granted ? "granted" : "refused"; }
  std::string operator()(const AppendRequest& m) {
    return absl::StrCat("after ", ToString(m.previous), " commit ", m.commit.value(), " [",
                        ToString(m.entries), "]");
  }
  std::string operator()(const AppendReply& m) {
    if (m.success) return absl::StrCat("match ", m.match.value());
    return absl::StrCat("refused ", m.refused.value(), " hint ", ToString(m.hint));
  }
  std::string operator()(const Heartbeat& m) {
    return absl::StrCat("commit ", m.commit.value(), " round ", m.round);
  }
  std::string operator()(const HeartbeatReply& m) { return absl::StrCat("round ", m.round); }
  std::string operator()(const SnapshotChunk& m) {
    return absl::StrCat("of ", ToString(m.meta.last), " bytes ", m.offset, "+", m.length, " of ",
                        m.meta.bytes);
  }
  std::string operator()(const SnapshotReply& m) {
    const char* status = m.status == SnapshotStatus::kContinue    ? "continue at "
                         : m.status == SnapshotStatus::kInstalled ? "installed "
                                                                  : "damaged ";
    return absl::StrCat("of ", ToString(m.last), " ", status, m.next_offset);
  }
  std::string operator()(const TimeoutNow&) { return ""; }
  std::string operator()(const ReadIndexRequest& m) { return absl::StrCat("id ", m.id); }
  std::string operator()(const ReadIndexReply& m) {
    return absl::StrCat("id ", m.id, m.granted ? " granted " : " refused ", m.index.value());
  }
  std::string operator()(const NotMember& m) {
    return absl::StrCat("membership ", m.membership_index.value());
  }
};

const char* OutcomeName(ProposalOutcome outcome) {
  switch (outcome) {
    case ProposalOutcome::kCommitted:
      return "committed";
    case ProposalOutcome::kRejected:
      return "rejected";
    case ProposalOutcome::kUnknown:
      return "unknown";
  }
  return "?";
}

const char* ReasonName(RejectReason reason) {
  static constexpr const char* kNames[] = {"",
                                           "not leader",
                                           "overloaded",
                                           "transferring",
                                           "too large",
                                           "change in progress",
                                           "no commit in term",
                                           "invalid change",
                                           "not caught up",
                                           "unreachable",
                                           "leadership lost"};
  return kNames[static_cast<size_t>(reason)];
}

}  // namespace

ReplicaId IdOf(int node) {
  return {BrokerId(node), DirectoryId{Uuid::FromRandom(7, static_cast<uint64_t>(node))}};
}

Member MemberOf(int node) { return {IdOf(node), {absl::StrCat("node", node, ":9")}}; }

Membership MembershipOf(const std::vector<int>& voters, const std::vector<int>& learners) {
  Membership membership;
  for (int node : voters) membership.voters.push_back(MemberOf(node));
  for (int node : learners) membership.learners.push_back(MemberOf(node));
  return membership;
}

std::string ToString(LogPosition position) {
  return absl::StrCat(position.index.value(), "/", position.term.value());
}

std::string ToString(const Membership& membership) {
  std::string text = "voters " + Names(membership.voters);
  if (membership.is_joint()) text += " outgoing " + Names(membership.outgoing_voters);
  if (!membership.learners.empty()) text += " learners " + Names(membership.learners);
  if (!membership.learners_next.empty()) text += " next " + Names(membership.learners_next);
  return text;
}

std::string ToString(const Message& message) {
  std::string text =
      absl::StrCat(Name(message.from), "->", Name(message.to), " ", MessageName(message.body),
                   " term ", message.term.value(), " ", std::visit(BodyText(), message.body));
  while (text.back() == ' ') text.pop_back();
  return text;
}

TestGroup::TestGroup(Config config) : config_(std::move(config)) {}

std::unique_ptr<Raft> TestGroup::Make(int node) {
  Node& state = nodes_[node];
  Config config = config_;
  config.self = IdOf(node);
  Recovered recovered;
  recovered.hard_state = state.hard_state;
  recovered.snapshot = state.snapshot;
  recovered.entries = state.log.Slice(state.log.first(), state.log.last(), SIZE_MAX, SIZE_MAX);
  recovered.applied = state.snapshot.last.index;
  auto core = Raft::Create(config, std::move(recovered), Random(static_cast<uint64_t>(node)), now_);
  CATAMARAN_CHECK(core.ok(), "the disk of a test is in order");
  return *std::move(core);
}

void TestGroup::Found(const Membership& membership, const std::vector<int>& others) {
  for (const ReplicaId& id : AllIds(membership)) {
    const bool founds = IsVoter(membership, id);
    Start(id.node.value(), HardState(), founds ? membership : Membership(), {});
  }
  for (int node : others) Start(node, HardState(), Membership(), {});
}

void TestGroup::Start(int node, HardState hard_state, const Membership& membership,
                      const std::vector<Term>& terms) {
  Node& state = nodes_[node];
  state.hard_state = hard_state;
  if (!membership.voters.empty()) {
    state.snapshot.last = kFoundation;
    state.snapshot.membership = membership;
    state.log.Reset(kFoundation);
  }
  for (Term term : terms) {
    state.log.Append({state.log.last() + 1, term, EntryKind::kCommand, Buffer::Copy("x")});
  }
  state.core = Make(node);
  Pump(node);
}

void TestGroup::Crash(int node) {
  Node& state = nodes_.at(node);
  state.core.reset();
  state.writing.reset();
}

void TestGroup::Restart(int node) {
  if (nodes_.at(node).core) Crash(node);
  nodes_.at(node).applied.clear();
  nodes_.at(node).core = Make(node);
  Pump(node);
}

// ---- events ----

void TestGroup::Tick(Duration duration) {
  now_ = now_ + duration;
  for (auto& [node, state] : nodes_) {
    if (!state.core) continue;
    state.core->Tick(now_);
    Pump(node);
  }
}

void TestGroup::TimeOut(int node) {
  now_ = std::max(now_, At(node).NextDeadline());
  At(node).Tick(now_);
  Pump(node);
}

void TestGroup::Propose(int node, const std::string& payload) {
  At(node).Propose(now_, next_request_++, Buffer::Copy(payload));
  Pump(node);
}

void TestGroup::Change(int node, const MembershipChange& change) {
  At(node).ProposeMembership(now_, next_request_++, change);
  Pump(node);
}

void TestGroup::Read(int node, RequestId id) {
  At(node).ReadIndex(now_, id);
  Pump(node);
}

RejectReason TestGroup::Transfer(int node, std::optional<int> to) {
  std::optional<ReplicaId> target;
  if (to) target = IdOf(*to);
  const RejectReason reason = At(node).TransferLeadership(now_, target);
  if (reason != RejectReason::kNone) {
    Say(absl::StrCat(node, " transfer rejected: ", ReasonName(reason)));
  }
  Pump(node);
  return reason;
}

void TestGroup::CloseStream(int node, int peer) {
  At(node).StreamClosed(now_, IdOf(peer));
  Pump(node);
}

void TestGroup::TakeSnapshot(int node) {
  std::optional<SnapshotMeta> meta = At(node).DescribeSnapshot(At(node).applied());
  if (!meta) return;
  meta->bytes = kSnapshotBytes;
  Say(absl::StrCat(node, " snapshot at ", ToString(meta->last)));
  At(node).SnapshotTaken(*std::move(meta));
  Pump(node);
}

bool TestGroup::Persist(int node) {
  Node& state = nodes_.at(node);
  if (!state.core || !state.writing) return false;
  const PersistBatch batch = *std::exchange(state.writing, std::nullopt);
  if (batch.hard_state) state.hard_state = *batch.hard_state;
  if (batch.snapshot) state.snapshot = *batch.snapshot;
  if (batch.truncate_from) {
    state.log.TruncateFrom(std::max(*batch.truncate_from, state.log.first()));
  }
  if (batch.compact_through) {
    if (*batch.compact_through <= state.log.last()) {
      state.log.CompactThrough(*batch.compact_through);
    } else {
      state.log.Reset(state.snapshot.last);
    }
  }
  for (const Entry& entry : batch.entries) state.log.Append(entry);
  state.core->PersistDone(now_, batch.handle);
  Pump(node);
  return true;
}

StepResult TestGroup::Step(int node, Message message) {
  if (nodes_.count(node) == 0 || !nodes_.at(node).core) return StepResult::kTaken;
  const ReplicaId from = message.from;
  const StepResult result = At(node).Step(now_, from, std::move(message));
  if (result != StepResult::kTaken) {
    static constexpr const char* kNames[] = {
        "", "wrong cluster", "wrong addressee", "wrong sender", "malformed", "not a member"};
    Say(absl::StrCat(node, " refuses it: ", kNames[static_cast<size_t>(result)]));
  }
  Pump(node);
  return result;
}

StepResult TestGroup::Hear(int node, int from, int64_t term, MessageBody body) {
  return Step(node, Message{config_.cluster, IdOf(from), IdOf(node), Term(term), std::move(body)});
}

// ---- the network ----

int TestGroup::Deliver(int from, int to) {
  int count = 0;
  std::deque<Message> rest;
  std::deque<Message> now;
  for (Message& message : queue_) {
    const bool wanted = (from == 0 || message.from.node.value() == from) &&
                        (to == 0 || message.to.node.value() == to);
    (wanted ? now : rest).push_back(std::move(message));
  }
  queue_ = std::move(rest);
  for (Message& message : now) {
    ++count;
    Step(message.to.node.value(), std::move(message));
  }
  return count;
}

int TestGroup::Drop(int from, int to) {
  return static_cast<int>(std::erase_if(queue_, [&](const Message& message) {
    return (from == 0 || message.from.node.value() == from) &&
           (to == 0 || message.to.node.value() == to);
  }));
}

void TestGroup::Stabilize() {
  constexpr int kRoundsMax = 1'000;
  for (int round = 0; round < kRoundsMax; ++round) {
    bool moved = Deliver() > 0;
    for (auto& [node, state] : nodes_) moved = Persist(node) || moved;
    if (!moved) return;
  }
  CATAMARAN_CHECK(false, "a group without faults comes to rest");
}

void TestGroup::Elect(int node) {
  // The others stop hearing whoever leads; their own timers come too late.
  now_ = now_ + config_.election_timeout_min;
  TimeOut(node);
  Stabilize();
  CATAMARAN_CHECK(At(node).role() == RoleName::kLeader, "who campaigns alone is elected");
}

// ---- outputs ----

void TestGroup::Pump(int node) {
  Node& state = nodes_.at(node);
  while (state.core) {
    state.core->CheckInvariants();
    Output output = state.core->TakeOutput();
    if (output.empty() && !output.removed) break;
    Serve(node, std::move(output));
    if (auto_persist_) Persist(node);
  }
}

void TestGroup::Serve(int node, Output output) {
  Node& state = nodes_.at(node);
  for (Message& message : output.messages) {
    if (auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
      chunk->data = Buffer::FromString(std::string(chunk->length, 's'));
    }
    Say(ToString(message));
    queue_.push_back(std::move(message));
  }
  if (output.persist) {
    const PersistBatch& batch = *output.persist;
    std::string line = absl::StrCat(node, " writes");
    if (batch.hard_state) {
      absl::StrAppend(&line, " term ", batch.hard_state->term.value(), " vote ",
                      batch.hard_state->vote ? Name(*batch.hard_state->vote) : "none");
    }
    if (batch.snapshot) absl::StrAppend(&line, " snapshot ", ToString(batch.snapshot->last));
    if (batch.truncate_from) absl::StrAppend(&line, " truncate ", batch.truncate_from->value());
    if (batch.compact_through) absl::StrAppend(&line, " compact ", batch.compact_through->value());
    if (!batch.entries.empty()) absl::StrAppend(&line, " [", ToString(batch.entries), "]");
    Say(line);
    state.writing = std::move(output.persist);
  }
  if (output.snapshot_write) {
    const SnapshotWrite& write = *output.snapshot_write;
    Say(absl::StrCat(node, " receives ", ToString(write.meta.last), " bytes ", write.offset, "+",
                     write.data.size(), write.last ? " last" : ""));
    state.core->SnapshotWritten(now_, write.id, true);
  }
  if (output.restore) {
    Say(absl::StrCat(node, " restores ", ToString(output.restore->last)));
    state.core->Applied(output.restore->last.index);
  }
  if (!output.apply.empty()) {
    Say(absl::StrCat(node, " applies ", ToString(output.apply)));
    state.core->Applied(output.apply.back().index);
    state.applied.insert(state.applied.end(), output.apply.begin(), output.apply.end());
  }
  for (const ProposalResult& result : output.proposals) {
    std::string line =
        absl::StrCat(node, " proposal ", result.id, " ", OutcomeName(result.outcome));
    if (result.reason != RejectReason::kNone) {
      absl::StrAppend(&line, ": ", ReasonName(result.reason));
    }
    Say(line);
    state.proposals.push_back(result);
  }
  for (const ReadResult& result : output.reads) {
    Say(absl::StrCat(node, " read ", result.id,
                     result.granted ? absl::StrCat(" at ", result.index.value()) : " refused"));
    state.reads.push_back(result);
  }
  if (output.removed) {
    if (!state.removed) Say(absl::StrCat(node, " is removed"));
    state.removed = true;
  }
}

std::string TestGroup::TakeTranscript() { return std::exchange(transcript_, std::string()); }

std::string TestGroup::Status(int node) {
  const Node& state = nodes_.at(node);
  if (!state.core) return absl::StrCat(node, " down\n");
  const Raft& core = *state.core;
  return absl::StrCat(node, " ", ToString(core.role()), " term ", core.term().value(), " vote ",
                      core.hard_state().vote ? Name(*core.hard_state().vote) : "none", " log ",
                      core.log().first().value(), "..", ToString(core.log().end()), " durable ",
                      core.durable().value(), " commit ", core.commit().value(), " applied ",
                      core.applied().value(), " {", ToString(core.membership()), "}\n");
}

}  // namespace catamaran::raft
