// The invariants R1 to R20 (raft/core/README.md), checked from outside: it sees every core and
// every disk, keeps its own copy of each log, and its own map C of what was committed. Each check
// runs after each event, on the replica that the event touched.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/raft/sim/history.h"
#include "tests/raft/sim/replica.h"

namespace catamaran::raft::sim {

class Checker {
 public:
  Checker(const Plan& plan, std::vector<std::unique_ptr<Replica>>* replicas, History* history,
          std::string* violation);

  void OnBoot(Nanos now, Replica& replica);
  void BeforeWipe(Replica& replica);
  void BeforeMessage(Nanos now, Replica& replica, const Message& message);
  void AfterMessage(Nanos now, Replica& replica, const Message& message, StepResult result);
  void OnStreamClosed(Replica& replica, const ReplicaId& peer);
  void OnSend(Replica& replica, const Message& message);
  void OnPersisted(Replica& replica, const HardState& before);
  void OnApply(Replica& replica, const Entry& entry, const State& state);
  void OnRestore(Replica& replica, const State& state);
  // A proposal of a client was handed in; `before` is the log's end before that.
  void AfterPropose(Replica& replica, bool was_transferring, LogPosition before);
  void AfterEvent(Nanos now, Replica& replica, bool tick);

  LogIndex committed() const { return LogIndex(static_cast<int64_t>(committed_.size()) - 1); }
  const Membership& committed_membership() const { return memberships_.back().second; }
  // Every membership that may still come into force somewhere.
  std::vector<const Membership*> AllMemberships() const;
  uint64_t leaders_elected() const { return leaders_.size(); }

 private:
  struct Line {
    Term term;
    uint64_t hash = 0;  // of the log up to here
  };
  // What was seen of a replica last.
  struct View {
    uint32_t boot = 0;
    LogIndex base;
    Line base_line;
    std::deque<Line> lines;
    std::deque<std::pair<LogIndex, Membership>> memberships;  // of its log; the first is at or
                                                              // before the base
    RoleName role = RoleName::kFollower;
    Term term;
    LogIndex commit;
    LogIndex applied;
    LogIndex term_start;  // as a leader: of its own entries
    MonotonicTime leader_since;
    std::map<ReplicaId, MonotonicTime> heard;  // as a leader: answers of its term
    std::map<ReplicaId, LogIndex> match;
    std::deque<std::pair<MonotonicTime, LogIndex>> lasts;  // as a leader: how the log grew
    std::optional<MonotonicTime> transfer_since;
    // As a follower.
    std::optional<ReplicaId> leader;
    MonotonicTime leader_heard;
    // Before the message that is being handled.
    HardState hard_state_before;
    LogPosition end_before;
    bool heard_leader_before = false;

    LogIndex last() const { return base + static_cast<int64_t>(lines.size()); }
    const Line& at(LogIndex index) const {
      return index == base ? base_line : lines[static_cast<size_t>(index - base - 1)];
    }
    const Membership& membership() const { return memberships.back().second; }
  };

  View& ViewOf(const Replica& replica) { return views_[static_cast<size_t>(replica.node())]; }
  void Fail(const Replica& replica, const std::string& what);
  void SyncLog(Nanos now, Replica& replica, View* view);
  void ResetLog(Replica& replica, View* view);
  void SyncEntry(Nanos now, Replica& replica, View* view, const Entry& entry);
  void CheckLeadersMembership(Nanos now, Replica& replica, View* view, const Entry& entry,
                              const Membership& membership);
  void CheckPromotion(Nanos now, Replica& replica, View* view, const Membership& membership);
  void SyncCommit(Replica& replica, View* view, LogIndex last_before);
  void CheckCommitRule(Replica& replica, View* view, LogIndex index, const Membership& membership);
  void CheckElected(Nanos now, Replica& replica, View* view);
  void CheckLeaderTick(Nanos now, Replica& replica, View* view);
  void CheckMatches(Replica& replica, View* view);
  const Disk* DiskOf(const ReplicaId& id) const;
  bool HoldsDurably(const ReplicaId& id, LogPosition position) const;
  bool HearsLeader(Nanos now, const Replica& replica, const View& view) const;

  const Plan& plan_;
  std::vector<std::unique_ptr<Replica>>* const replicas_;
  History* const history_;
  std::string* const violation_;

  std::vector<View> views_;
  std::map<Term, std::pair<int, uint32_t>> leaders_;              // R1: node and boot
  std::vector<std::vector<std::pair<Term, uint64_t>>> known_;     // R4: by index: term, hash
  std::vector<Line> committed_;                                   // C, by index
  std::vector<Term> committed_in_;                                // whose leader committed it
  std::vector<uint64_t> entry_hashes_;                            // of C's entries
  std::deque<std::pair<LogIndex, Membership>> memberships_;       // of C
  std::vector<uint64_t> states_;                                  // R7: by applied index; 0: unseen
  std::map<std::pair<ReplicaId, Term>, LogPosition> candidates_;  // R10
  // What a lost replica acknowledged counts: it never votes, so its quorum can't do without the
  // others.
  std::map<ReplicaId, Disk> lost_disks_;
};

}  // namespace catamaran::raft::sim
