// The inside of RaftNode. raft_node.cc has its life and what users ask, raft_node_output.cc serves
// the core, raft_node_peers.cc founding, joining and the care for the quorum.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/driver/applier.h"
#include "raft/driver/peer_network.h"
#include "raft/driver/raft_node.h"
#include "raft/driver/snapshot_io.h"
#include "raft/driver/store_queue.h"

namespace catamaran::raft {

inline constexpr Duration kNetworkTick = std::chrono::milliseconds(50);
inline constexpr Duration kJoinInterval = std::chrono::seconds(1);
inline constexpr Duration kCareInterval = std::chrono::milliseconds(500);
// While a snapshot is being received none is taken, unless nothing came for so long.
inline constexpr Duration kReceiveIdleMax = std::chrono::seconds(10);
inline constexpr int kJoinHopsMax = 2;
inline constexpr size_t kLagSamplesMax = 1'200;
inline constexpr size_t kRecoverReadBytes = size_t{4} << 20;

class RaftNode::Impl : public PeerEvents {
 public:
  Impl(RaftNodeOptions options, StateMachine* machine);
  ~Impl() override;

  void Start();
  void Stop(absl::AnyInvocable<void()> stopped);
  void Propose(Buffer payload, ProposeDone done);
  void ChangeMembership(MembershipChange change, ProposeDone done);
  void ReadIndex(ReadDone done);
  absl::Status TransferLeadership(std::optional<ReplicaId> target);
  RaftNodeStatus status() const;
  const Raft* core() const { return core_.get(); }

 private:
  struct Opened {
    absl::Status status;
    std::shared_ptr<LogStore> store;
    std::vector<Entry> entries;
  };
  struct Committed {
    LogPosition position;
    ProposeDone done;
  };

  // ---- raft_node.cc ----
  static void Open(const RaftNodeOptions& options, Opened* opened);
  void OnOpened(Opened opened);
  void StartCore();
  void Fail(absl::Status why);
  void AnswerAll(const absl::Status& why);
  absl::Status CheckRunning() const;
  absl::Status NotLeaderError() const;
  absl::Status StatusOf(const ProposalResult& result) const;
  MonotonicTime Now() const { return options_.clock->Now(); }

  // ---- raft_node_output.cc ----
  void SchedulePump();
  void Pump();
  void ArmTimer();
  void Serve(Output output);
  void SendMessage(Message message);
  void SendChunk(Message message);
  void Persist(PersistBatch batch);
  void WriteSnapshot(SnapshotWrite write);
  void MaybeTakeSnapshot();
  void OnImage(LogIndex index, absl::StatusOr<SnapshotParts> parts);
  void OnSnapshotSlotFree();
  void OnProposalResult(const ProposalResult& result);
  void OnReadResult(const ReadResult& result);
  void OnApplied(LogIndex index);

  // ---- raft_node_peers.cc: PeerEvents ----
  bool OnRaftMessage(const ReplicaId& from, Buffer message) override;
  void OnStreamClosed(const ReplicaId& peer) override;
  void OnBulkUp(const ReplicaId& peer) override;
  Report MakeReport() override;
  void OnReport(const Greeting& from, const Report& report) override;
  Report OnPledge(const Greeting& from, const Pledge& pledge) override;
  void OnJoin(Join join) override;
  void OnFenced(const Refusal& refusal) override;

  void Tick();
  void StepFounding();
  void Adopt(ClusterId cluster);
  void WriteFounded(Membership membership);
  void TellMembers();
  void MaybeJoin(MonotonicTime now);
  void CareForQuorum(MonotonicTime now);
  std::optional<MembershipChange> ReplaceWiped() const;
  std::optional<MembershipChange> MendEndpoints() const;
  void SampleLag(MonotonicTime now);
  Duration LagTime(MonotonicTime now, LogIndex match) const;

  const RaftNodeOptions options_;
  StateMachine* const machine_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what is posted asks it

  Random random_;
  NodeState state_ = NodeState::kOpening;
  absl::Status failure_;
  StoreQueue store_;
  SnapshotIo snapshots_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<PeerNetwork> network_;
  std::optional<Founding> founding_;  // until it's started
  bool founding_busy_ = false;        // a durable step is under way
  Recovered recovered_;               // until the core takes it
  ClusterId cluster_;
  uint64_t start_counter_ = 0;
  std::unique_ptr<Raft> core_;  // null until it's started
  QuorumKeeper keeper_;
  bool removed_ = false;

  bool pump_posted_ = false;
  TimerId timer_ = kNoTimer;
  MonotonicTime timer_at_ = kNever;  // of timer_

  // Snapshots: the store has one place for what is being written.
  bool taking_ = false;                      // the state machine's image is being stored
  std::optional<LogPosition> to_finish_;     // complete; a batch of the core will name it
  std::optional<SnapshotWrite> held_write_;  // waits for the place
  std::optional<MonotonicTime> received_at_;

  RequestId last_request_ = 0;
  std::map<RequestId, ProposeDone> proposals_;
  std::multimap<LogIndex, Committed> committed_;  // to be applied
  std::map<RequestId, ReadDone> reads_;
  std::multimap<LogIndex, ReadDone> granted_;  // to be applied

  MonotonicTime join_at_;
  MonotonicTime care_at_;
  Membership told_members_;
  std::deque<std::pair<MonotonicTime, LogIndex>> lag_samples_;  // times and log ends, both rise
};

}  // namespace catamaran::raft
