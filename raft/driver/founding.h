// How a node comes into a cluster at its first start: it founds one together with all others of a
// fixed list, or it joins the one that is there. Pure: told what others report, it says what to
// write and to send; the driver does so.
//
// Promise: two clusters are never started from one list, whatever crashes, is cut off, is wiped in
// the middle, or runs twice under one node id. The steps:
//
//   1. The listed node with the lowest id, the founder, collects a report of every other one, which
//      says that it belongs to nothing yet and has the same list.
//   2. It draws a cluster id, adopts it for ever (LogStore::AdoptCluster) and writes the membership
//      (each listed node with its directory id) as the snapshot at index 0.
//   3. It asks each of them to pledge: to adopt the id and write the same membership. A directory
//      adopts one id in its life.
//   4. When every directory of the membership has pledged, the founder starts. Any other pledged
//      node starts when a node reports that it's started in this cluster.
//
// Why it holds:
//   - Started means: every directory that the membership names has durably adopted the cluster's
//   id.
//     The founder has seen all pledges; any other has seen somebody who was started (induction).
//   - One cluster id has one membership: only the founder's directory makes one for it, and writes
//     it before anybody hears of it.
//   - So two started clusters name disjoint sets of directories. Each names a directory of every
//     listed node. Every listed node would then have had two directories, each pledged to another
//     cluster, alive or not: a node that was wiped counts here as well. For a second cluster *all*
//     listed nodes must be wiped, or run twice; as long as one directory of the first is reachable
//     under the list, it reports its cluster, the new founder has no report that says otherwise,
//     and joins.
//   - A crash at any point leaves a directory that has adopted nothing (1), or an id (and perhaps
//     the membership): it goes on from there. Term 0 after a restart means that it must hear again
//     that all have pledged or that somebody is started; any term above 0 that it was started.
//
// The price: when a directory that has pledged, or been named, is wiped before the start, nobody
// can start; all listed nodes must be given empty directories. They hold nothing yet. status() says
// so.
//
// Rejected: the first leader's own directory alone as a cluster that the others join (two machines
// that run as the lowest id are two clusters at once); pledges in memory or replaceable ones (a
// restart or a second founder in the middle gives two halves); a cluster id that is derived from
// the list (two clusters under one id are worse than two ids).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "raft/core/types.h"
#include "raft/driver/framing.h"

namespace catamaran::raft {

// A node of the list; all of them are started with the same one.
struct FounderSeed {
  BrokerId node;
  std::vector<std::string> endpoints;
};

struct FoundingConfig {
  Member self;
  std::vector<FounderSeed> founders;  // empty: join only. 1 to kFoundersMax, distinct nodes
  // Not nil: joins only this one, and founds none. An id that is known beforehand could be adopted
  // for two memberships.
  ClusterId expected_cluster;
};

// What the store said.
struct FoundingStart {
  ClusterId cluster;      // adopted; nil: none
  Membership membership;  // of the snapshot at index 0; empty: none
};

struct AdoptCluster {  // durably
  ClusterId cluster;
};
struct WriteMembership {  // as the snapshot at index 0, durably
  Membership membership;
};
struct AskPledge {  // of this replica, if it's still there
  ReplicaId to;
  Pledge pledge;
};
struct StartGroup {};  // the core may run; with an empty membership it's a learner to be
using FoundingAction = std::variant<AdoptCluster, WriteMembership, AskPledge, StartGroup>;

// A report counts for so long.
inline constexpr Duration kReportLife = std::chrono::seconds(3);

// Owner: a RaftNode until it runs.
class Founding {
 public:
  Founding(FoundingConfig config, FoundingStart start, Random random);

  // ---- inputs ----
  void OnReport(MonotonicTime now, const ReplicaId& from, std::vector<std::string> endpoints,
                const Report& report);
  void OnPledge(const ReplicaId& from, const Pledge& pledge);
  void OnAdopted(ClusterId cluster);
  void OnMembershipWritten(Membership membership);

  // What to do now. A durable action is the only one then, and given again until it's reported as
  // done; the driver asks again afterwards and after every report.
  std::vector<FoundingAction> Next(MonotonicTime now);

  FoundingState state() const;
  ClusterId cluster() const { return start_.cluster; }
  const Membership& membership() const { return start_.membership; }
  const std::vector<BrokerId>& founders() const { return founders_; }
  // What it waits for, a sentence for a person.
  const std::string& status() const { return status_; }

 private:
  struct Heard {
    MonotonicTime at;
    ReplicaId from;
    std::vector<std::string> endpoints;
    FoundingState state = FoundingState::kFresh;
    ClusterId cluster;
    std::vector<BrokerId> founders;
  };

  bool IsFounder() const;
  bool IsListed() const;
  std::optional<FoundingAction> NextOfFresh(MonotonicTime now);
  void NextOfPledged(std::vector<FoundingAction>* actions);
  std::optional<Membership> CollectAll();
  const Heard* HeardFrom(BrokerId node) const;
  const Heard* HeardStarted() const;

  const FoundingConfig config_;
  std::vector<BrokerId> founders_;  // sorted
  FoundingStart start_;
  Random random_;
  std::map<BrokerId, Heard> heard_;
  std::optional<Pledge> pledge_;  // asked of this node, to be written
  bool started_ = false;
  std::string status_;
};

}  // namespace catamaran::raft
