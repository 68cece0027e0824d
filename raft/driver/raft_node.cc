#include "raft/driver/raft_node.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "raft/driver/raft_node_impl.h"

namespace catamaran::raft {

const char* ToString(NodeState state) {
  switch (state) {
    case NodeState::kOpening:
      return "opening";
    case NodeState::kFounding:
      return "founding";
    case NodeState::kRunning:
      return "running";
    case NodeState::kFailed:
      return "failed";
    case NodeState::kStopped:
      return "stopped";
  }
  return "?";
}

RaftNode::RaftNode(RaftNodeOptions options, StateMachine* machine)
    : impl_(std::make_unique<Impl>(std::move(options), machine)) {}
RaftNode::~RaftNode() = default;
void RaftNode::Start() { impl_->Start(); }
void RaftNode::Stop(absl::AnyInvocable<void()> stopped) { impl_->Stop(std::move(stopped)); }
void RaftNode::Propose(Buffer payload, ProposeDone done) {
  impl_->Propose(std::move(payload), std::move(done));
}
void RaftNode::ChangeMembership(MembershipChange change, ProposeDone done) {
  impl_->ChangeMembership(std::move(change), std::move(done));
}
void RaftNode::ReadIndex(ReadDone done) { impl_->ReadIndex(std::move(done)); }
absl::Status RaftNode::TransferLeadership(std::optional<ReplicaId> target) {
  return impl_->TransferLeadership(target);
}
RaftNodeStatus RaftNode::status() const { return impl_->status(); }
const Raft* RaftNode::core() const { return impl_->core(); }

// ---- life ----

namespace {

RaftNodeOptions WithDefaults(RaftNodeOptions options) {
  if (options.advertised_endpoints.empty())
    options.advertised_endpoints = {options.listen_endpoint};
  return options;
}

}  // namespace

RaftNode::Impl::Impl(RaftNodeOptions options, StateMachine* machine)
    : options_(WithDefaults(std::move(options))),
      machine_(machine),
      random_(options_.random_seed),
      store_(options_.pool, options_.executor, options_.clock,
             [this](absl::Status why) { Fail(std::move(why)); }),
      snapshots_(&store_),
      keeper_(options_.keeper) {}

RaftNode::Impl::~Impl() {
  *alive_ = false;
  if (timer_ != kNoTimer) options_.executor->Cancel(timer_);
}

void RaftNode::Impl::Start() {
  auto opened = std::make_shared<Opened>();
  options_.pool->Submit(
      IoLane::kSync, [options = options_, opened] { Open(options, opened.get()); },
      options_.executor,
      [this, opened, alive = alive_] {
        if (*alive && state_ == NodeState::kOpening) OnOpened(std::move(*opened));
      });
}

// On the pool.
void RaftNode::Impl::Open(const RaftNodeOptions& options, Opened* opened) {
  absl::StatusOr<std::unique_ptr<LogStore>> store = options.open_store();
  if (!store.ok()) {
    opened->status = store.status();
    return;
  }
  opened->store = *std::move(store);
  const LogShape& log = opened->store->opened().log;
  LogIndex next = log.first_index();
  while (next <= log.last().index) {
    absl::StatusOr<std::vector<Entry>> entries =
        opened->store->ReadEntries(next, log.last().index + 1, kRecoverReadBytes);
    if (!entries.ok()) {
      opened->status = entries.status();
      return;
    }
    for (Entry& entry : *entries) opened->entries.push_back(std::move(entry));
    next = opened->entries.back().index + 1;
  }
}

void RaftNode::Impl::OnOpened(Opened opened) {
  if (!opened.status.ok()) return Fail(opened.status);
  const OpenedStore& found = opened.store->opened();
  CATAMARAN_CHECK(found.identity.replica == options_.self, "the store is this replica's");
  start_counter_ = found.start_counter;
  cluster_ = found.identity.cluster;
  recovered_.hard_state = found.hard_state;
  if (found.snapshot) recovered_.snapshot = *found.snapshot;
  recovered_.entries = std::move(opened.entries);
  recovered_.unfinished_snapshot = found.unfinished_snapshot;
  recovered_.unfinished_bytes = found.unfinished_bytes;
  store_.Start(opened.store);
  snapshots_.Start(found);

  PeerNetworkConfig config;
  config.self = options_.self;
  config.cluster = cluster_;
  config.start_counter = start_counter_;
  config.run = random_.Next();
  config.listen_endpoint = options_.listen_endpoint;
  config.advertised = options_.advertised_endpoints;
  config.seeds = options_.seeds;
  for (const FounderSeed& founder : options_.founders) {
    if (founder.node == options_.self.node) continue;
    config.seeds.insert(config.seeds.end(), founder.endpoints.begin(), founder.endpoints.end());
  }
  const Member self{options_.self, config.advertised};
  network_ =
      std::make_unique<PeerNetwork>(this, options_.transport, options_.executor, options_.clock,
                                    &store_, random_.Fork(), std::move(config));
  network_->SetStarts(found.peer_start_counters);
  if (absl::Status listening = network_->Listen(); !listening.ok()) {
    return Fail(
        MakeError(Reason::kAddressInUse, absl::StrCat("Can't listen at ", options_.listen_endpoint,
                                                      ": ", std::string(listening.message()))));
  }
  const bool started = found.hard_state.term > kNoTerm || !found.log.empty() ||
                       recovered_.snapshot.last.index > kNoIndex;
  founding_.emplace(FoundingConfig{self, options_.founders, options_.expected_cluster},
                    FoundingStart{cluster_, recovered_.snapshot.membership}, random_.Fork());
  state_ = NodeState::kFounding;
  if (started) {
    if (cluster_.uuid.is_nil()) {
      return Fail(MakeError(Reason::kCorruptLog,
                            "The store has a log and belongs to no cluster. "
                            "Give this node an empty directory."));
    }
    StartCore();
  } else {
    StepFounding();
  }
  if (state_ != NodeState::kFailed) Tick();
}

void RaftNode::Impl::StartCore() {
  Config config = options_.core;
  config.cluster = cluster_;
  config.self = options_.self;
  applier_ = std::make_unique<Applier>(
      machine_, &snapshots_, [this](LogIndex index) { OnApplied(index); },
      [this](absl::Status why) { Fail(std::move(why)); });
  recovered_.applied = applier_->applied();
  absl::StatusOr<std::unique_ptr<Raft>> core =
      Raft::Create(config, std::exchange(recovered_, Recovered()), random_.Fork(), Now());
  if (!core.ok()) return Fail(core.status());
  core_ = *std::move(core);
  founding_.reset();
  state_ = NodeState::kRunning;
  network_->SetReady(true);
  TellMembers();
  SchedulePump();
}

// The node goes no further: nothing is sent, written or applied from here on.
void RaftNode::Impl::Fail(absl::Status why) {
  if (state_ == NodeState::kFailed || state_ == NodeState::kStopped) return;
  state_ = NodeState::kFailed;
  failure_ = std::move(why);
  AnswerAll(MakeError(Reason::kOutcomeUnknown,
                      absl::StrCat("This node stopped itself (", std::string(failure_.message()),
                                   "); whether it was committed is unknown. Read before a "
                                   "repetition.")));
  // Later, since one of their events may be what led here.
  options_.executor->Post([this, alive = alive_] {
    if (!*alive) return;
    if (network_ != nullptr) network_->Close();
    store_.Close([] {});
    if (options_.on_failed) options_.on_failed(failure_);
  });
}

void RaftNode::Impl::Stop(absl::AnyInvocable<void()> stopped) {
  const bool was_failed = state_ == NodeState::kFailed;
  state_ = NodeState::kStopped;
  AnswerAll(MakeError(Reason::kOutcomeUnknown,
                      "This node stops; whether it was committed is unknown. Read before a "
                      "repetition."));
  options_.executor->Post(
      [this, was_failed, alive = alive_, stopped = std::move(stopped)]() mutable {
        if (!*alive) return;
        if (network_ != nullptr) network_->Close();
        if (was_failed) return stopped();
        store_.Close(std::move(stopped));
      });
}

void RaftNode::Impl::AnswerAll(const absl::Status& why) {
  const absl::Status no_read =
      MakeError(Reason::kShuttingDown, "This node stops; read at another one.");
  for (auto& [id, done] : std::exchange(proposals_, {})) {
    options_.executor->Post([done = std::move(done), why]() mutable { done(why); });
  }
  for (auto& [index, committed] : std::exchange(committed_, {})) {
    options_.executor->Post([done = std::move(committed.done), why]() mutable { done(why); });
  }
  for (auto& [id, done] : std::exchange(reads_, {})) {
    options_.executor->Post([done = std::move(done), no_read]() mutable { done(no_read); });
  }
  for (auto& [index, done] : std::exchange(granted_, {})) {
    options_.executor->Post([done = std::move(done), no_read]() mutable { done(no_read); });
  }
}

// ---- requests ----

absl::Status RaftNode::Impl::CheckRunning() const {
  switch (state_) {
    case NodeState::kRunning:
      return absl::OkStatus();
    case NodeState::kOpening:
    case NodeState::kFounding:
      return MakeError(Reason::kLeaderUnknown,
                       "This node isn't part of a cluster yet; try again later.");
    case NodeState::kFailed:
    case NodeState::kStopped:
      break;
  }
  return MakeError(Reason::kShuttingDown, "This node has stopped; ask another one.");
}

absl::Status RaftNode::Impl::NotLeaderError() const {
  const std::optional<ReplicaId> leader = core_->leader();
  if (!leader || *leader == options_.self) {
    return MakeError(Reason::kLeaderUnknown,
                     "No leader is known at the moment; try again shortly.");
  }
  std::vector<std::string> endpoints = network_->EndpointsOf(*leader);
  const Member* member = FindMember(core_->membership(), *leader);
  if (endpoints.empty() && member != nullptr) endpoints = member->endpoints;
  const std::string endpoint = endpoints.empty() ? "" : endpoints.front();
  return MakeError(
      Reason::kNotLeader, absl::StrCat("Node ", leader->node.value(), " leads; ask it."),
      {{"leader_id", absl::StrCat(leader->node.value())}, {"leader_endpoint", endpoint}});
}

absl::Status RaftNode::Impl::StatusOf(const ProposalResult& result) const {
  if (result.outcome == ProposalOutcome::kUnknown) {
    return MakeError(Reason::kOutcomeUnknown,
                     "Leadership was lost before it was committed, and it may be committed yet. "
                     "Read before a repetition.");
  }
  switch (result.reason) {
    case RejectReason::kNone:
    case RejectReason::kNotLeader:
    case RejectReason::kLeadershipLost:
      return NotLeaderError();
    case RejectReason::kOverloaded:
      return MakeError(Reason::kOverloaded,
                       "Too much waits to be committed; send again when some of it is.");
    case RejectReason::kTransferring:
      return MakeError(Reason::kLeaderUnknown,
                       "Leadership is being handed over; try again shortly.");
    case RejectReason::kTooLarge:
      return MakeError(
          Reason::kRequestTooLarge,
          absl::StrCat("An entry has at most ", kEntryPayloadBytesMax, " bytes; split it."));
    case RejectReason::kChangeInProgress:
      return MakeError(
          Reason::kVersionMismatch,
          "Another change of the membership is under way; look at it, then ask again.");
    case RejectReason::kNoCommitInTerm:
      return MakeError(Reason::kLeaderUnknown,
                       "The leader has only just been elected; try again shortly.");
    case RejectReason::kInvalidChange:
      return MakeError(Reason::kInvalidArgument,
                       "The change names what isn't there, leaves no voter or exceeds a limit; "
                       "look at the membership.");
    case RejectReason::kNotCaughtUp:
      return MakeError(Reason::kNotEnoughReplicas,
                       "The learner to be promoted lags; try again when it has caught up.");
    case RejectReason::kUnreachable:
      return MakeError(Reason::kNotEnoughReplicas,
                       "No majority of the new voters answers; the change would stop the group.");
  }
  return absl::InternalError("a RejectReason outside the table");
}

void RaftNode::Impl::Propose(Buffer payload, ProposeDone done) {
  absl::Status status = CheckRunning();
  if (status.ok() && core_->role() != RoleName::kLeader) status = NotLeaderError();
  if (status.ok() && store_.full()) {
    status = MakeError(Reason::kStorageFull,
                       "The leader's disk is full; free some space, it goes on by itself then.");
  }
  if (!status.ok()) {
    options_.executor->Post([done = std::move(done), status]() mutable { done(status); });
    return;
  }
  const RequestId id = ++last_request_;
  proposals_.emplace(id, std::move(done));
  core_->Propose(Now(), id, std::move(payload));
  SchedulePump();
}

void RaftNode::Impl::ChangeMembership(MembershipChange change, ProposeDone done) {
  if (absl::Status status = CheckRunning(); !status.ok()) {
    options_.executor->Post([done = std::move(done), status]() mutable { done(status); });
    return;
  }
  const RequestId id = ++last_request_;
  proposals_.emplace(id, std::move(done));
  core_->ProposeMembership(Now(), id, change);
  SchedulePump();
}

void RaftNode::Impl::ReadIndex(ReadDone done) {
  if (absl::Status status = CheckRunning(); !status.ok()) {
    options_.executor->Post([done = std::move(done), status]() mutable { done(status); });
    return;
  }
  const RequestId id = ++last_request_;
  reads_.emplace(id, std::move(done));
  core_->ReadIndex(Now(), id);
  SchedulePump();
}

absl::Status RaftNode::Impl::TransferLeadership(std::optional<ReplicaId> target) {
  CATAMARAN_RETURN_IF_ERROR(CheckRunning());
  const RejectReason reason = core_->TransferLeadership(Now(), target);
  SchedulePump();
  if (reason == RejectReason::kNone) return absl::OkStatus();
  return StatusOf({0, ProposalOutcome::kRejected, reason, {}});
}

RaftNodeStatus RaftNode::Impl::status() const {
  RaftNodeStatus status;
  status.state = state_;
  status.failure = failure_;
  status.self = options_.self;
  status.cluster = cluster_;
  status.start_counter = start_counter_;
  if (founding_) status.founding = founding_->status();
  status.removed = removed_;
  status.storage_full = store_.full();
  if (network_ != nullptr) {
    status.last_refusal = network_->last_refusal();
    status.frames_dropped = network_->stats().frames_dropped;
  }
  if (core_ == nullptr) return status;
  status.term = core_->term();
  status.role = core_->role();
  status.leader = core_->leader();
  status.commit = core_->commit();
  status.applied = core_->applied();
  status.last = core_->log().last();
  status.durable = core_->durable();
  status.snapshot = core_->snapshot().last.index;
  const Membership& membership = core_->membership();
  status.joint = membership.is_joint();
  const MonotonicTime now = Now();
  const std::vector<MemberStatus> statuses = core_->MemberStatuses();
  for (const ReplicaId& id : AllIds(membership)) {
    MemberView view;
    view.member = *FindMember(membership, id);
    view.voter = IsVoter(membership, id);
    view.connected = id == options_.self || network_->Connected(id);
    if (id == options_.self) {
      view.match = core_->durable();
      view.phase = "self";
      view.caught_up = true;
    }
    auto at = std::find_if(statuses.begin(), statuses.end(),
                           [&](const MemberStatus& member) { return member.id == id; });
    if (at != statuses.end()) {
      view.match = at->match;
      view.lag_entries = core_->log().last() - at->match;
      view.lag_time = LagTime(now, at->match);
      view.silent_for = at->silent_for;
      view.caught_up = at->caught_up;
      view.phase = at->phase;
    }
    status.members.push_back(std::move(view));
  }
  return status;
}

}  // namespace catamaran::raft
