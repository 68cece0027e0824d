// The consensus core of one replica. Inputs are calls; what they lead to is collected and taken
// with TakeOutput() (output.h says in which order a driver must serve it). Deterministic: equal
// inputs and an equal generator give equal outputs.
//
// What the core expects of its driver:
//   - `from` in Step is proved by the handshake of the stream, which compares cluster id, node id,
//     directory id and start counter (design: a lower counter than the highest seen is a restored
//     copy or a clone). The core only refuses what contradicts `from`, Config::self or its members.
//   - Time never goes back. Tick at the latest at NextDeadline(); it moves with every input.
//   - Messages may be lost, doubled, delayed, reordered; not altered.
//   - A failed write of `persist` stops the node: the core has no way on without it.
//
// Owner: one executor. Not thread-safe. Nothing is called back.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/random.h"
#include "raft/core/config.h"
#include "raft/core/log.h"
#include "raft/core/membership.h"
#include "raft/core/message.h"
#include "raft/core/output.h"
#include "raft/core/role.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// The first voters of a new group all begin with an empty snapshot at this position, which names
// them (SnapshotMeta{kFoundation, first members}), written once, before the first start. A replica
// that joins has nothing and so can't follow the log from its start: it gets a snapshot, and with
// it the membership, which no entry tells.
inline constexpr LogPosition kFoundation{kNoTerm, LogIndex(1)};

// What the store holds.
struct Recovered {
  HardState hard_state;
  SnapshotMeta snapshot;
  std::vector<Entry> entries;  // consecutive; some may lie before the snapshot's end
  LogIndex applied;  // of the state machine; not above the log. Below the snapshot: it's restored
  // A snapshot that was being received, and how much of it is on disk: it goes on from there.
  std::optional<SnapshotMeta> unfinished_snapshot;
  uint64_t unfinished_bytes = 0;
};

enum class StepResult : uint8_t {
  kTaken,           // perhaps without effect
  kWrongCluster,    // the four refusals: the stream should be closed, and an operator told
  kWrongAddressee,  // for another replica: perhaps this directory was wiped since
  kWrongSender,     // the message contradicts the handshake, or claims to come from this node
  kMalformed,       // breaks a rule that a correct peer keeps
  kNotMember,       // the leader hears only members (R16)
};

struct MemberStatus {
  ReplicaId id;
  bool voter = false;
  LogIndex match;
  LogIndex next;
  std::optional<Duration> silent_for;  // since it was last heard in this leadership
  bool caught_up = false;
  const char* phase = "";
};

class Raft {
 public:
  // Refuses what can't come from a correct store, as CORRUPT_LOG: the node must not start.
  static absl::StatusOr<std::unique_ptr<Raft>> Create(const Config& config, Recovered recovered,
                                                      Random random, MonotonicTime now);

  // ---- inputs ----
  StepResult Step(MonotonicTime now, const ReplicaId& from, Message message);
  void Tick(MonotonicTime now);
  // The batch with this handle is durable.
  void PersistDone(MonotonicTime now, uint64_t handle);
  // Everything up to `index` is applied (or restored).
  void Applied(LogIndex index);
  // A hint that the peer's process has ended: the stream from it was closed by its side.
  void StreamClosed(MonotonicTime now, const ReplicaId& peer);

  // Each gets exactly one ProposalResult with its id, unless the process ends before.
  void Propose(MonotonicTime now, RequestId id, Buffer payload);
  // Committed means that the change is decided: a joint configuration is left without being asked.
  void ProposeMembership(MonotonicTime now, RequestId id, const MembershipChange& change);
  // Gets exactly one ReadResult. A follower asks the leader.
  void ReadIndex(MonotonicTime now, RequestId id);
  // To `target`, or to the voter that is furthest. Rejected when not leader, or the target is no
  // voter other than this. What becomes of it shows in role(): it's given up after one timeout.
  RejectReason TransferLeadership(MonotonicTime now, std::optional<ReplicaId> target);

  // What a snapshot of the state machine at `index` must say of itself; bytes and checksum are the
  // caller's. nullopt unless the last snapshot < index <= applied.
  std::optional<SnapshotMeta> DescribeSnapshot(LogIndex index) const;
  // The snapshot's data is durable. The log before it may go.
  void SnapshotTaken(SnapshotMeta meta);
  // snapshot_write `id` is done; for the last one: synced, of the right size and checksum, or not.
  void SnapshotWritten(MonotonicTime now, uint64_t id, bool good);
  // A chunk for `to` couldn't be read: its snapshot is gone. Begins again with the newest.
  void SnapshotUnreadable(MonotonicTime now, const ReplicaId& to);
  // Besides the last one: which are being sent, so their data must stay.
  std::vector<LogPosition> SnapshotsInUse() const;

  // ---- outputs ----
  Output TakeOutput();
  MonotonicTime NextDeadline() const;

  // ---- what there is ----
  RoleName role() const { return static_cast<RoleName>(role_.index()); }
  std::optional<ReplicaId> leader() const;
  Term term() const { return hard_state_.term; }
  const HardState& hard_state() const { return hard_state_; }
  LogIndex commit() const { return commit_; }
  LogIndex applied() const { return applied_; }
  LogIndex durable() const { return durable_; }
  const Log& log() const { return log_; }
  const SnapshotMeta& snapshot() const { return snapshot_; }
  const Membership& membership() const { return memberships_.latest(); }
  LogIndex membership_index() const { return memberships_.latest_index(); }
  const Config& config() const { return config_; }
  bool transferring() const;
  // Of the other members; empty unless leader.
  std::vector<MemberStatus> MemberStatuses() const;
  // Since when this is the leader; nullopt unless it is.
  std::optional<MonotonicTime> leader_since() const;

  // CHECKs what must hold between any two inputs. Walks the members, not the log.
  void CheckInvariants() const;

 private:
  Raft(const Config& config, Random random, MonotonicTime now, Recovered recovered);
  absl::Status RecoverLog(std::vector<Entry> entries, LogIndex applied);

  // ---- raft.cc: inputs, outputs, durability ----
  void Advance(MonotonicTime now);
  StepResult CheckEnvelope(const ReplicaId& from, const Message& message) const;
  bool AdoptTerm(const Message& message);
  void Send(const ReplicaId& to, Term term, MessageBody body);
  void SendTo(const ReplicaId& to, MessageBody body) { Send(to, term(), std::move(body)); }
  bool AttestsState(const MessageBody& body) const;
  void ReleaseWithheld();
  void SetHardState(Term term, std::optional<ReplicaId> vote);
  void AppendToLog(Entry entry);
  void TruncateLog(LogIndex from);
  bool HasUnpersisted() const;
  void CollectPersist(Output* output);
  void CollectApply(Output* output);
  void CommitTo(LogIndex index);
  void GiveUpWaiting();
  void ResolveProposals(LogIndex through);

  // ---- election.cc ----
  void BecomeFollower(Term term, std::optional<ReplicaId> leader);
  void BecomePreCandidate();
  void BecomeCandidate(bool transfer);
  void BecomeLeader();
  void HearLeader(const ReplicaId& leader);
  bool HearsLeader() const;
  bool MayCampaign() const;
  void Campaign();
  MonotonicTime RandomElectionDeadline();
  MonotonicTime RandomRetryDeadline();
  void CountPreVotes();
  void CountVotes();
  void OnOwnVoteDurable();
  bool LogIsAtLeast(LogPosition candidate) const { return candidate >= log_.end(); }
  void TickElection();
  StepResult Handle(const ReplicaId& from, Term term, const PreVoteRequest& request);
  StepResult Handle(const ReplicaId& from, Term term, const PreVoteReply& reply);
  StepResult Handle(const ReplicaId& from, Term term, const VoteRequest& request);
  StepResult Handle(const ReplicaId& from, Term term, const VoteReply& reply);
  StepResult Handle(const ReplicaId& from, Term term, const TimeoutNow& request);
  StepResult Handle(const ReplicaId& from, Term term, const NotMember& notice);

  // ---- replication.cc: the leader ----
  StepResult Handle(const ReplicaId& from, Term term, const AppendReply& reply);
  StepResult Handle(const ReplicaId& from, Term term, const HeartbeatReply& reply);
  Progress* Peer(const ReplicaId& id);
  LogIndex MatchOf(const Leader& leader, const ReplicaId& id) const;
  void OnMatchRaised(const ReplicaId& id);
  void MaybeCommit();
  void SendAppends(Leader* leader);
  void SendAppend(const ReplicaId& to, Progress* progress);
  void BeginRound(Leader* leader);
  void TickLeader();
  bool HeardQuorum(const Leader& leader, Duration within) const;
  void MaybeFinishTransfer(Leader* leader);
  void RejectProposal(RequestId id, RejectReason reason);

  // ---- follower.cc ----
  StepResult Handle(const ReplicaId& from, Term term, const AppendRequest& request);
  StepResult Handle(const ReplicaId& from, Term term, const Heartbeat& request);

  // ---- reconfiguration.cc ----
  RejectReason CheckChange(const Leader& leader) const;
  RejectReason CheckNewVoters(const Leader& leader, const Membership& to) const;
  void AppendMembership(Leader* leader, const Membership& membership);
  void AdoptPeers(Leader* leader);
  void OnMembershipCommitted();

  // ---- snapshot.cc ----
  StepResult Handle(const ReplicaId& from, Term term, const SnapshotChunk& chunk);
  StepResult Handle(const ReplicaId& from, Term term, const SnapshotReply& reply);
  void SendChunk(const ReplicaId& to, Progress* progress);
  void ReplyToChunk(SnapshotStatus status);
  void InstallSnapshot(SnapshotMeta meta);

  // ---- read_index.cc ----
  StepResult Handle(const ReplicaId& from, Term term, const ReadIndexRequest& request);
  StepResult Handle(const ReplicaId& from, Term term, const ReadIndexReply& reply);
  void AddRead(Leader* leader, WaitingRead read);
  void BeginReads(Leader* leader);
  void ReleaseReads(Leader* leader);
  void AnswerRead(const WaitingRead& read, bool granted);
  void RefuseReads(Leader* leader);

  struct InFlightPersist {
    uint64_t handle = 0;
    LogIndex last;  // of the log when it's done; falls when the log is truncated meanwhile
  };
  struct WithheldMessage {
    uint64_t handle = 0;  // may go when this batch is durable
    Message message;
  };
  struct PendingProposal {
    RequestId id = 0;
    LogPosition position;
    std::optional<MonotonicTime> give_up;  // set when the leadership ended: then it's unknown
  };
  struct IncomingSnapshot {
    SnapshotMeta meta;
    ReplicaId from;
    uint64_t sequence = 0;
    uint64_t received = 0;  // written bytes
    uint64_t write_id = 0;  // 0: none is being written
    uint64_t write_bytes = 0;
    bool write_is_last = false;
  };
  struct AskedRead {
    RequestId id = 0;
    MonotonicTime give_up;
  };

  // Constant.
  const Config config_;
  const uint64_t nonce_;  // of this run, so that answers to an earlier run's reads fit none

  Random random_;
  MonotonicTime now_;
  Role role_;

  // Persistent.
  HardState hard_state_;
  Log log_;
  SnapshotMeta snapshot_;  // Invariant: log_.base() <= snapshot_.last
  MembershipHistory memberships_;

  // Durability. What was changed and not yet put into a batch:
  bool hard_state_dirty_ = false;
  bool snapshot_dirty_ = false;
  std::optional<LogIndex> truncate_from_;
  std::optional<LogIndex> compact_through_;
  LogIndex unpersisted_from_;  // entries from here on were never in a batch
  std::optional<InFlightPersist> in_flight_;
  uint64_t last_handle_ = 0;        // given out
  uint64_t done_handle_ = 0;        // durable; Invariant: <= last_handle_
  uint64_t hard_state_handle_ = 0;  // the batch that has the present hard state
  uint64_t vote_handle_ = 0;        // a candidate: its own vote counts when this is durable
  LogIndex durable_;                // Invariant: <= log_.last(); entries up to here are durable
  std::vector<WithheldMessage> withheld_;

  // Volatile.
  LogIndex commit_;   // Invariant: never falls, <= log_.last()
  LogIndex handed_;   // given out for application. Invariant: applied_ <= handed_ <= commit_
  LogIndex applied_;  // confirmed
  std::optional<uint64_t> restore_after_;  // the batch after which snapshot_ is to be restored
  std::optional<MonotonicTime> leader_heard_at_;  // cleared when its stream was closed (R11)
  int failed_elections_ = 0;                      // in a row; each waits longer than the one before
  bool was_member_ = false;  // of a committed configuration: who joins isn't one yet
  bool removed_ = false;     // told by a leader; ends with a newer membership
  std::optional<IncomingSnapshot> incoming_;
  uint64_t last_write_id_ = 0;
  std::vector<PendingProposal> proposals_;  // in the order proposed
  std::vector<AskedRead> asked_reads_;      // of the leader
  Output output_;
};

}  // namespace catamaran::raft
