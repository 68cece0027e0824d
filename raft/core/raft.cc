#include "raft/core/raft.h"

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "raft/core/encoding.h"
#include "raft/core/planted_bugs.h"

namespace catamaran::raft {
namespace {

absl::Status Corrupt(std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   "the Raft log on disk contradicts itself: " + std::string(what) +
                       "; reset this replica to a new directory and let it join again",
                   {{"what", std::string(what)}});
}

template <class T>
constexpr bool IsOneOf() {
  return false;
}
template <class T, class First, class... Rest>
constexpr bool IsOneOf() {
  return std::is_same_v<T, First> || IsOneOf<T, Rest...>();
}

// Only an elected leader says these.
template <class T>
inline constexpr bool kProvesLeader =
    IsOneOf<T, AppendRequest, Heartbeat, SnapshotChunk, TimeoutNow>();
// These don't tell the sender's own term.
template <class T>
inline constexpr bool kCarriesNoTerm =
    IsOneOf<T, PreVoteRequest, ReadIndexRequest, ReadIndexReply, NotMember>();

}  // namespace

const char* MessageName(const MessageBody& body) {
  static constexpr const char* kNames[] = {
      "PreVote",     "PreVoteReply", "Vote",           "VoteReply",     "Append",
      "AppendReply", "Heartbeat",    "HeartbeatReply", "SnapshotChunk", "SnapshotReply",
      "TimeoutNow",  "ReadIndex",    "ReadIndexReply", "NotMember"};
  static_assert(std::size(kNames) == std::variant_size_v<MessageBody>);
  return kNames[body.index()];
}

// ---- creation ----

Raft::Raft(const Config& config, Random random, MonotonicTime now, Recovered recovered)
    : config_(config),
      nonce_(random.Next()),
      random_(random),
      now_(now),
      role_(Follower()),
      hard_state_(recovered.hard_state),
      log_(recovered.snapshot.last),
      snapshot_(std::move(recovered.snapshot)),
      memberships_(snapshot_.last.index, snapshot_.membership) {
  CATAMARAN_CHECK(config.heartbeat_interval * 2 < config.election_timeout_min,
                  "several heartbeats fit into an election timeout");
  std::get<Follower>(role_).election_deadline = RandomElectionDeadline();
  if (recovered.unfinished_snapshot &&
      recovered.unfinished_bytes < recovered.unfinished_snapshot->bytes) {
    incoming_ = IncomingSnapshot();
    incoming_->meta = *std::move(recovered.unfinished_snapshot);
    incoming_->received = recovered.unfinished_bytes;
  }
}

absl::StatusOr<std::unique_ptr<Raft>> Raft::Create(const Config& config, Recovered recovered,
                                                   Random random, MonotonicTime now) {
  if (!Validate(recovered.snapshot.membership).ok()) return Corrupt("the membership is invalid");
  const LogIndex applied = recovered.applied;
  std::vector<Entry> entries = std::move(recovered.entries);
  recovered.entries.clear();
  auto raft = std::unique_ptr<Raft>(new Raft(config, random, now, std::move(recovered)));
  CATAMARAN_RETURN_IF_ERROR(raft->RecoverLog(std::move(entries), applied));
  const Membership& membership = raft->membership();
  if (membership.voters.size() == 1 && !membership.is_joint() && IsVoter(membership, config.self)) {
    std::get<Follower>(raft->role_).election_deadline = now;  // there's nobody to wait for
  }
  return raft;
}

absl::Status Raft::RecoverLog(std::vector<Entry> entries, LogIndex applied) {
  auto begin = entries.begin();
  if (!entries.empty() && begin->index <= snapshot_.last.index) {
    // Kept for followers that lag: the first of them serves as the base.
    log_.Reset({begin->term, begin->index});
    ++begin;
  }
  for (auto it = begin; it != entries.end(); ++it) {
    if (it->index != log_.last() + 1) return Corrupt("entries are missing");
    if (it->term < log_.end().term) return Corrupt("terms fall along the log");
    log_.Append(*it);
    if (it->kind != EntryKind::kMembership || it->index <= snapshot_.last.index) continue;
    if (CATAMARAN_RAFT_BUG(kRestartForgetsMembership)) continue;
    absl::StatusOr<Membership> membership = DecodeMembership(it->payload.view());
    if (!membership.ok()) return Corrupt("a membership entry can't be read");
    memberships_.Append(it->index, *std::move(membership));
  }
  if (!log_.Matches(snapshot_.last)) return Corrupt("log and snapshot don't fit");
  if (log_.end().term > hard_state_.term) return Corrupt("the log is ahead of the term");
  if (applied > log_.last()) return Corrupt("the state machine is ahead of the log");
  durable_ = log_.last();
  unpersisted_from_ = log_.last() + 1;
  applied_ = applied;
  handed_ = applied;
  commit_ = std::max(applied, snapshot_.last.index);
  if (applied < snapshot_.last.index) restore_after_ = 0;
  was_member_ = FindMember(memberships_.At(commit_), config_.self) != nullptr;
  return absl::OkStatus();
}

// ---- inputs ----

void Raft::Advance(MonotonicTime now) { now_ = std::max(now_, now); }

StepResult Raft::CheckEnvelope(const ReplicaId& from, const Message& message) const {
  if (message.cluster != config_.cluster) return StepResult::kWrongCluster;
  if (message.to != config_.self) return StepResult::kWrongAddressee;
  if (message.from != from || from.node == config_.self.node) return StepResult::kWrongSender;
  if (message.term < kNoTerm) return StepResult::kMalformed;
  return StepResult::kTaken;
}

StepResult Raft::Step(MonotonicTime now, const ReplicaId& from, Message message) {
  Advance(now);
  const StepResult checked = CheckEnvelope(from, message);
  if (checked != StepResult::kTaken) return checked;
  const bool proves_leader = std::visit(
      [](const auto& body) { return kProvesLeader<std::decay_t<decltype(body)>>; }, message.body);
  if (role() == RoleName::kLeader && !proves_leader && FindMember(membership(), from) == nullptr) {
    // Who was removed may not know it, and must neither disturb nor be left asking for ever.
    if (std::holds_alternative<PreVoteRequest>(message.body) && membership_index() <= commit_) {
      SendTo(from, NotMember{membership_index()});
    }
    return StepResult::kNotMember;
  }
  if (!AdoptTerm(message)) return StepResult::kTaken;
  const Term term = message.term;
  return std::visit([&](const auto& body) { return Handle(from, term, body); }, message.body);
}

// Compares terms (§5.1). False when nothing more is to be done.
bool Raft::AdoptTerm(const Message& message) {
  return std::visit(
      [&](const auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (kCarriesNoTerm<Body>) return true;
        if constexpr (std::is_same_v<Body, PreVoteReply>) {
          if (body.granted) return true;  // in the term asked for
        }
        if (message.term == term()) return true;
        if (message.term < term()) {
          if constexpr (kProvesLeader<Body>) {
            SendTo(message.from, AppendReply{});  // an older leader learns that it is one
          } else if constexpr (std::is_same_v<Body, VoteRequest>) {
            SendTo(message.from, VoteReply{false});
          }
          return false;
        }
        if constexpr (std::is_same_v<Body, VoteRequest>) {
          // Diss. 4.2.3: who hears a leader needs no other, unless that leader wants it.
          if (HearsLeader() && !body.transfer && !CATAMARAN_RAFT_BUG(kIgnoresLease)) return false;
        }
        if constexpr (kProvesLeader<Body>) {
          BecomeFollower(message.term, message.from);
        } else {
          BecomeFollower(message.term, std::nullopt);
        }
        return true;
      },
      message.body);
}

void Raft::Tick(MonotonicTime now) {
  Advance(now);
  if (role() == RoleName::kLeader) {
    TickLeader();
  } else {
    TickElection();
  }
  GiveUpWaiting();
}

// What nobody will answer any more is answered as unknown or refused.
void Raft::GiveUpWaiting() {
  std::erase_if(proposals_, [&](const PendingProposal& proposal) {
    if (!proposal.give_up || *proposal.give_up > now_) return false;
    output_.proposals.push_back(
        {proposal.id, ProposalOutcome::kUnknown, RejectReason::kLeadershipLost, proposal.position});
    return true;
  });
  std::erase_if(asked_reads_, [&](const AskedRead& read) {
    if (read.give_up > now_) return false;
    output_.reads.push_back({read.id, false, kNoIndex});
    return true;
  });
}

void Raft::PersistDone(MonotonicTime now, uint64_t handle) {
  Advance(now);
  CATAMARAN_CHECK(in_flight_ && in_flight_->handle == handle, "the batch in flight is done");
  durable_ = std::max(durable_, in_flight_->last);
  done_handle_ = handle;
  in_flight_.reset();
  ReleaseWithheld();
  if (role() == RoleName::kCandidate && vote_handle_ <= done_handle_) OnOwnVoteDurable();
  if (role() == RoleName::kLeader) MaybeCommit();
}

void Raft::Applied(LogIndex index) {
  CATAMARAN_CHECK(index <= handed_, "only what was handed out can be applied");
  applied_ = std::max(applied_, index);
}

void Raft::StreamClosed(MonotonicTime now, const ReplicaId& peer) {
  Advance(now);
  if (auto* follower = std::get_if<Follower>(&role_)) {
    if (follower->leader != peer) return;
    // It ends the waiting and proves nothing: a pre-vote comes first as ever.
    leader_heard_at_.reset();
    const Duration wait{random_.Between(0, config_.closed_stream_wait_max.count())};
    follower->election_deadline = std::min(follower->election_deadline, now_ + wait);
    return;
  }
  Progress* progress = Peer(peer);
  if (progress == nullptr) return;
  if (SendingSnapshot* snapshot = progress->snapshot()) {
    snapshot->in_flight = false;
    snapshot->offered = false;  // asks again what the follower has
  } else {
    progress->BecomeProbing();
  }
}

// ---- messages that wait for the disk ----

// Whether a message promises something about the log or the vote. What promises only the sender's
// term waits for the hard state alone, and what follows a leader's own disk (§10.2.1 of the
// dissertation: it writes while it replicates) for nothing.
bool Raft::AttestsState(const MessageBody& body) const {
  if (const auto* reply = std::get_if<VoteReply>(&body)) {
    return reply->granted && !CATAMARAN_RAFT_BUG(kVoteBeforeSync);
  }
  if (const auto* reply = std::get_if<AppendReply>(&body)) {
    return reply->success && !CATAMARAN_RAFT_BUG(kAckBeforeSync);
  }
  if (const auto* reply = std::get_if<SnapshotReply>(&body)) {
    return reply->status == SnapshotStatus::kInstalled;
  }
  return std::holds_alternative<VoteRequest>(body);
}

void Raft::Send(const ReplicaId& to, Term term, MessageBody body) {
  uint64_t wait_for = 0;
  if (AttestsState(body)) {
    wait_for = HasUnpersisted() ? last_handle_ + 1 : in_flight_ ? in_flight_->handle : 0;
  } else if (!CATAMARAN_RAFT_BUG(kVoteBeforeSync) || !std::holds_alternative<VoteReply>(body)) {
    wait_for = hard_state_dirty_ ? last_handle_ + 1 : hard_state_handle_;
  }
  Message message{config_.cluster, config_.self, to, term, std::move(body)};
  if (wait_for <= done_handle_) {
    output_.messages.push_back(std::move(message));
  } else {
    withheld_.push_back({wait_for, std::move(message)});
  }
}

void Raft::ReleaseWithheld() {
  std::erase_if(withheld_, [&](WithheldMessage& withheld) {
    if (withheld.handle > done_handle_) return false;
    // An acknowledgement for a leader of the past is of no use to anyone.
    const bool outdated = withheld.message.term < term() &&
                          std::holds_alternative<AppendReply>(withheld.message.body);
    if (!outdated) output_.messages.push_back(std::move(withheld.message));
    return true;
  });
}

void Raft::SetHardState(Term term, std::optional<ReplicaId> vote) {
  CATAMARAN_CHECK(term >= hard_state_.term, "the term never falls");
  CATAMARAN_CHECK(term > hard_state_.term || !hard_state_.vote || hard_state_.vote == vote ||
                      CATAMARAN_RAFT_BUG(kVoteTwice),
                  "one vote a term");
  if (!CATAMARAN_RAFT_BUG(kTermNotPersisted) || vote) hard_state_dirty_ = true;
  hard_state_ = {term, vote};
}

// ---- the log ----

void Raft::AppendToLog(Entry entry) {
  if (entry.kind == EntryKind::kMembership && !CATAMARAN_RAFT_BUG(kConfigOnCommit)) {
    absl::StatusOr<Membership> membership = DecodeMembership(entry.payload.view());
    CATAMARAN_CHECK(membership.ok(), "entries are verified before they're appended");
    memberships_.Append(entry.index, *std::move(membership));
    removed_ = false;
  }
  log_.Append(std::move(entry));
}

void Raft::TruncateLog(LogIndex from) {
  CATAMARAN_CHECK(from > commit_ || CATAMARAN_RAFT_BUG(kTruncatesOnOldAppend),
                  "what is committed stays");
  CATAMARAN_CHECK(role() != RoleName::kLeader, "a leader never truncates its log");
  log_.TruncateFrom(from);
  memberships_.TruncateFrom(from);
  durable_ = std::min(durable_, from - 1);
  if (in_flight_) in_flight_->last = std::min(in_flight_->last, from - 1);
  if (from < unpersisted_from_) {
    truncate_from_ = std::min(truncate_from_.value_or(from), from);
    unpersisted_from_ = from;
  }
}

void Raft::CommitTo(LogIndex index) {
  index = std::min(index, log_.last());
  if (index <= commit_) return;
  const LogIndex before = commit_;
  commit_ = index;
  if (CATAMARAN_RAFT_BUG(kConfigOnCommit)) {
    for (LogIndex i = before + 1; i <= commit_; i += 1) {
      if (log_.At(i).kind != EntryKind::kMembership) continue;
      memberships_.Append(i, *DecodeMembership(log_.At(i).payload.view()));
    }
  }
  if (auto* leader = std::get_if<Leader>(&role_)) {
    for (LogIndex i = std::max(before + 1, leader->term_start); i <= commit_; i += 1) {
      leader->uncommitted_bytes -= std::min(leader->uncommitted_bytes, CostOf(log_.At(i)));
    }
  }
  if (membership_index() <= commit_) OnMembershipCommitted();
}

// ---- outputs ----

bool Raft::HasUnpersisted() const {
  return hard_state_dirty_ || snapshot_dirty_ || truncate_from_ || compact_through_ ||
         unpersisted_from_ <= log_.last();
}

void Raft::CollectPersist(Output* output) {
  if (in_flight_ || !HasUnpersisted()) return;
  PersistBatch batch;
  batch.handle = ++last_handle_;
  if (hard_state_dirty_) {
    batch.hard_state = hard_state_;
    hard_state_handle_ = batch.handle;
    hard_state_dirty_ = false;
  }
  if (snapshot_dirty_) batch.snapshot = snapshot_;
  snapshot_dirty_ = false;
  batch.truncate_from = std::exchange(truncate_from_, std::nullopt);
  batch.compact_through = std::exchange(compact_through_, std::nullopt);
  batch.entries = log_.Slice(unpersisted_from_, log_.last(), SIZE_MAX, SIZE_MAX);
  unpersisted_from_ = log_.last() + 1;
  in_flight_ = InFlightPersist{batch.handle, log_.last()};
  output->persist = std::move(batch);
}

void Raft::CollectApply(Output* output) {
  if (restore_after_) {
    if (*restore_after_ > done_handle_ && !CATAMARAN_RAFT_BUG(kRestoreBeforeSync)) return;
    restore_after_.reset();
    output->restore = snapshot_;
    ResolveProposals(snapshot_.last.index);
    handed_ = std::max(handed_, snapshot_.last.index);
  }
  LogIndex through = std::min({commit_, durable_, applied_ + config_.unapplied_entries_max});
  if (CATAMARAN_RAFT_BUG(kApplyUncommitted)) through = std::min(durable_, log_.last());
  if (through <= handed_) return;
  output->apply = log_.Slice(handed_ + 1, through, SIZE_MAX, SIZE_MAX);
  ResolveProposals(through);
  handed_ = through;
}

// Entries up to `through` are committed: whether a proposal is among them shows in the term that
// stands in its place.
void Raft::ResolveProposals(LogIndex through) {
  std::erase_if(proposals_, [&](const PendingProposal& proposal) {
    if (proposal.position.index > through) return false;
    const std::optional<Term> there = log_.TermAt(proposal.position.index);
    ProposalResult result{proposal.id, ProposalOutcome::kUnknown, RejectReason::kLeadershipLost,
                          proposal.position};
    if (there == proposal.position.term) {
      result.outcome = ProposalOutcome::kCommitted;
      result.reason = RejectReason::kNone;
    } else if (there) {
      result.outcome = ProposalOutcome::kRejected;
    }
    output_.proposals.push_back(result);
    return true;
  });
}

Output Raft::TakeOutput() {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    BeginReads(leader);
    SendAppends(leader);
  }
  CollectPersist(&output_);
  CollectApply(&output_);
  const bool many = applied_ - snapshot_.last.index >= config_.snapshot_after_entries;
  const bool large = log_.bytes() >= config_.snapshot_after_bytes;
  output_.snapshot_wanted = (many || large) && applied_ > snapshot_.last.index;
  return std::exchange(output_, Output());
}

MonotonicTime Raft::NextDeadline() const {
  MonotonicTime next = kNever;
  if (const auto* leader = std::get_if<Leader>(&role_)) {
    next = std::min(leader->heartbeat_due, leader->quorum_check_due);
    if (leader->transfer) next = std::min(next, leader->transfer->deadline);
  } else if (const auto* candidate = std::get_if<Candidate>(&role_)) {
    next = candidate->election_deadline;
  } else if (const auto* pre_candidate = std::get_if<PreCandidate>(&role_)) {
    next = pre_candidate->election_deadline;
  } else {
    next = std::get<Follower>(role_).election_deadline;
  }
  for (const PendingProposal& proposal : proposals_) {
    if (proposal.give_up) next = std::min(next, *proposal.give_up);
  }
  for (const AskedRead& read : asked_reads_) next = std::min(next, read.give_up);
  return next;
}

std::optional<ReplicaId> Raft::leader() const {
  if (role() == RoleName::kLeader) return config_.self;
  const auto* follower = std::get_if<Follower>(&role_);
  return follower != nullptr ? follower->leader : std::nullopt;
}

}  // namespace catamaran::raft
