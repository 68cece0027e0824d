// A replica that runs: the core with its disk, its peers, its state machine and its way into a
// cluster. A library user's door to Raft.
//
//   RaftNode node(options, &machine);
//   node.Start();
//   node.Propose(bytes, [](absl::StatusOr<LogPosition> committed) { ... });
//
// Everything here is called on the options' executor, and all callbacks run there, never within the
// call that they belong to. Destroy it on the executor but not within one of its callbacks, or when
// the executor runs nothing any more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/transport.h"
#include "raft/core/config.h"
#include "raft/core/membership.h"
#include "raft/core/quorum_keeper.h"
#include "raft/core/raft.h"
#include "raft/driver/founding.h"
#include "raft/driver/state_machine.h"
#include "raft/store/log_store.h"

namespace catamaran::raft {

struct RaftNodeOptions {
  ReplicaId self;
  std::string listen_endpoint;
  // How others reach it; told to them in each handshake. Empty: as listen_endpoint.
  std::vector<std::string> advertised_endpoints;
  // The first start: the fixed list of a new cluster's voters, the same on each of them. Ignored
  // once this node is part of a cluster. See founding.h.
  std::vector<FounderSeed> founders;
  // Where somebody may be who knows the cluster, beside the founders.
  std::vector<std::string> seeds;
  ClusterId expected_cluster;  // nil: any

  Config core;  // cluster and self are filled in
  QuorumKeeperConfig keeper;
  // Whether a leader replaces dead voters and grows the quorum to its target by itself.
  bool automatic_quorum = true;

  uint64_t random_seed = 0;
  // Runs on the pool. The store's identity must be `self`.
  std::function<absl::StatusOr<std::unique_ptr<LogStore>>()> open_store;
  // Called once when the node stopped itself.
  std::function<void(const absl::Status&)> on_failed;

  // All outlive the node.
  Executor* executor = nullptr;
  IoPool* pool = nullptr;
  Clock* clock = nullptr;
  Transport* transport = nullptr;
};

enum class NodeState : uint8_t {
  kOpening,   // the store
  kFounding,  // in no cluster yet
  kRunning,
  kFailed,  // stopped itself: the disk failed, or another process has taken this directory over
  kStopped,
};
const char* ToString(NodeState state);

struct MemberView {
  Member member;
  bool voter = false;
  // Of a leader only:
  LogIndex match;
  int64_t lag_entries = 0;
  Duration lag_time{0};                // how old the leader's entry after `match` is, about
  std::optional<Duration> silent_for;  // nullopt: never heard
  bool caught_up = false;
  std::string phase;
  bool connected = false;  // as this node sees it
};

struct RaftNodeStatus {
  NodeState state = NodeState::kOpening;
  absl::Status failure;
  ReplicaId self;
  ClusterId cluster;
  uint64_t start_counter = 0;
  std::string founding;  // what it waits for
  bool removed = false;  // the group has removed it
  bool storage_full = false;
  Term term;
  RoleName role = RoleName::kFollower;
  std::optional<ReplicaId> leader;
  LogIndex commit, applied, last, durable, snapshot;
  bool joint = false;
  std::vector<MemberView> members;  // this one, too
  std::string last_refusal;         // by or of a peer; empty: none since the last good handshake
  uint64_t frames_dropped = 0;
};

class RaftNode {
 public:
  // OK: committed, and applied here. Else OutcomeOf tells whether it's rejected or unknown. Names
  // the leader in its metadata where it's another one: leader_id, leader_endpoint.
  using ProposeDone = absl::AnyInvocable<void(absl::StatusOr<LogPosition>)>;
  // OK: what is applied here reflects everything that was committed before the call.
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<LogIndex>)>;

  // `machine` outlives the node, and is called on its executor.
  RaftNode(RaftNodeOptions options, StateMachine* machine);
  ~RaftNode();

  void Start();
  // Answers what is pending as unknown, closes connections and store, then calls `stopped`.
  void Stop(absl::AnyInvocable<void()> stopped);

  void Propose(Buffer payload, ProposeDone done);
  void ChangeMembership(MembershipChange change, ProposeDone done);
  void ReadIndex(ReadDone done);
  // To the voter that is furthest, if none is named. OK: begun; status() shows what comes of it.
  absl::Status TransferLeadership(std::optional<ReplicaId> target);

  RaftNodeStatus status() const;
  // The core as it is; null before it runs. For tests and metrics; nothing in it may be changed.
  const Raft* core() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace catamaran::raft
