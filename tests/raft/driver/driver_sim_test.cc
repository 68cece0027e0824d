// RaftNodes in the simulated world: whole nodes with their driver, over simulated stores and
// connections.
#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/driver/driver_group.h"

namespace catamaran::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DriverSim, ThreeNodesFoundAClusterAndCommit) {
  DriverGroup group(1);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitLeader());
  ASSERT_TRUE(group.AwaitProgress());
  for (int i = 0; i < 100; ++i) group.Propose(*group.Leader());
  ASSERT_TRUE(group.Await([&] { return group.acknowledged >= 101 && group.Converged(); }));
  for (auto& replica : group.replicas) {
    const RaftNodeStatus status = replica->raft->status();
    EXPECT_EQ(status.state, NodeState::kRunning);
    EXPECT_EQ(status.members.size(), 3u);
    EXPECT_EQ(status.cluster, group.at(0).raft->status().cluster);
    EXPECT_EQ(status.start_counter, 1u);
  }
  group.CheckOutcomes();
}

TEST(DriverSim, ASoleVoterLeadsAtOnce) {
  DriverGroup group(2);
  group.AddFounders(1);
  group.StartAll();
  ASSERT_TRUE(group.Await([&] { return group.Leader() != nullptr; }, milliseconds(200)));
  ASSERT_TRUE(group.AwaitProgress());
  group.PowerCut(group.at(0));
  group.Start(group.at(0));
  ASSERT_TRUE(group.Await([&] { return group.Leader() != nullptr; }, milliseconds(200)));
  ASSERT_TRUE(group.AwaitProgress());
  group.CheckOutcomes();
}

TEST(DriverSim, ANodeJoinsBySeedsAsALearner) {
  DriverGroup group(3);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  // It knows one node only, which may not lead.
  SimReplica& joiner = group.AddReplica(9, {}, {"h2:raft"});
  group.Start(joiner);
  ASSERT_TRUE(group.Await([&] {
    return joiner.raft->core() != nullptr && !joiner.raft->core()->membership().voters.empty() &&
           group.Converged();
  }));
  EXPECT_TRUE(IsLearner(joiner.raft->core()->membership(), joiner.id));
  EXPECT_EQ(joiner.raft->status().cluster, group.at(0).raft->status().cluster);
}

TEST(DriverSim, ASnapshotBringsALaggardUp) {
  DriverGroup group(4);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  SimReplica* behind = group.Leader() == &group.at(0) ? &group.at(1) : &group.at(0);
  group.Kill(*behind);
  for (int i = 0; i < 1'000; ++i) {
    if (SimReplica* leader = group.Leader()) group.Propose(*leader);
    group.world.RunFor(milliseconds(1));
  }
  ASSERT_TRUE(group.Await([&] { return group.acknowledged > 900; }));
  EXPECT_GT(group.Leader()->machine->images(), 0);
  group.Start(*behind);
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
  EXPECT_GT(behind->machine->restores(), 0);
  group.CheckOutcomes();
}

TEST(DriverSim, AQuorumWhoseAddressesAllChangedFormsAgainFromOneSeed) {
  DriverGroup group(5);
  group.AddFounders(5);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  for (auto& replica : group.replicas) group.PowerCut(*replica);
  for (auto& replica : group.replicas) group.Move(*replica);
  // Everybody is told where one of them is now; it's told of nobody.
  for (auto& replica : group.replicas) {
    if (replica.get() != &group.at(3)) replica->seeds = {group.at(3).host + ":raft"};
  }
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
  // The leader has written the new places into the membership.
  ASSERT_TRUE(group.Await([&] {
    for (const MemberView& view : group.Leader()->raft->status().members) {
      for (auto& replica : group.replicas) {
        if (replica->id == view.member.id &&
            view.member.endpoints != std::vector<std::string>{replica->host + ":raft"}) {
          return false;
        }
      }
    }
    return true;
  }));
  group.CheckOutcomes();
}

TEST(DriverSim, AWipedDirectoryNeverVotesUnderItsOldName) {
  DriverGroup group(6);
  group.automatic_quorum = true;
  group.keeper.dead_after = seconds(5);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  SimReplica& wiped = group.at(1);
  const ReplicaId old = wiped.id;
  group.Kill(wiped);
  group.Wipe(wiped);
  group.Start(wiped);
  ASSERT_TRUE(group.Await([&] {
    return wiped.raft->core() != nullptr && IsLearner(wiped.raft->core()->membership(), wiped.id);
  }));
  // As a learner it has no vote; when the old directory has been silent for long enough it takes
  // its place.
  ASSERT_TRUE(group.Await([&] {
    const Membership& membership = wiped.raft->core()->membership();
    return !membership.is_joint() && IsVoter(membership, wiped.id) && !IsVoter(membership, old);
  }));
  ASSERT_TRUE(group.AwaitProgress());
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
}

TEST(DriverSim, ACopyOfADirectoryIsRefused) {
  DriverGroup group(7);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  SimReplica& original = group.at(2);
  group.Kill(original);
  SimReplica& copy = group.Clone(original);
  group.Start(original);  // start 2
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
  group.Kill(original);
  group.Start(original);  // start 3
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
  group.Kill(original);
  group.Start(copy);  // a backup that is put back: start 2
  ASSERT_TRUE(group.Await([&] { return !copy.failure.ok(); }));
  EXPECT_EQ(ReasonOf(copy.failure), Reason::kDirectoryMismatch);
  EXPECT_EQ(copy.raft->status().state, NodeState::kFailed);
  group.Start(original);
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
}

// Two processes in the same start: the directory was copied while its node was down.
TEST(DriverSim, OfTwinsOneOnlyStays) {
  for (uint64_t seed = 70; seed < 80; ++seed) {
    DriverGroup group(seed);
    group.AddFounders(3);
    group.StartAll();
    ASSERT_TRUE(group.AwaitProgress());
    SimReplica& original = group.at(2);
    group.Kill(original);
    SimReplica& twin = group.Clone(original);
    group.Start(original);
    group.Start(twin);
    ASSERT_TRUE(group.Await([&] { return !original.failure.ok() || !twin.failure.ok(); }));
    SimReplica& stopped = original.failure.ok() ? twin : original;
    EXPECT_EQ(ReasonOf(stopped.failure), Reason::kDirectoryMismatch);
    ASSERT_TRUE(group.AwaitProgress());
  }
}

TEST(DriverSim, ANodeOfAnotherClusterIsRefused) {
  DriverGroup group(8);
  group.AddFounders(3);
  group.AddFounders(1);  // node 1 of another cluster
  group.at(3).node = BrokerId(7);
  group.at(3).id.node = BrokerId(7);
  group.at(3).founders = {{BrokerId(7), {"h4:raft"}}};
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  ASSERT_TRUE(group.Await([&] {
    return group.at(3).raft->core() != nullptr && group.at(3).raft->core()->commit() > kNoIndex;
  }));
  ClusterId ours = group.at(0).raft->status().cluster;
  EXPECT_NE(group.at(3).raft->status().cluster, ours);
  // A member of one cluster comes back where a member of the other one was.
  group.Kill(group.at(3));
  group.Kill(group.at(1));
  group.at(3).host.swap(group.at(1).host);
  group.Start(group.at(3));
  ASSERT_TRUE(group.Await([&] {
    for (int i : {0, 2}) {
      const std::string refusal = group.at(i).raft->status().last_refusal;
      if (refusal.find("wrong") != std::string::npos) return true;
    }
    return false;
  }));
  group.Start(group.at(1));
  ASSERT_TRUE(group.AwaitProgress());
}

TEST(DriverSim, AFullDiskRefusesAndResumes) {
  DriverGroup group(9);
  group.AddFounders(1);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  group.at(0).disk->SetFull(true);
  group.Propose(group.at(0));  // finds out
  ASSERT_TRUE(group.Await([&] { return group.at(0).raft->status().storage_full; }));
  const int rejected = group.rejected;
  group.Propose(group.at(0));
  ASSERT_TRUE(group.Await([&] { return group.rejected == rejected + 1; }));
  group.at(0).disk->SetFull(false);
  ASSERT_TRUE(group.AwaitProgress());
  group.CheckOutcomes();
}

TEST(DriverSim, AFailedSyncStopsTheNode) {
  DriverGroup group(10);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  SimReplica& failing = *group.Leader();
  failing.disk->FailNext();
  group.Propose(failing);
  ASSERT_TRUE(group.Await([&] { return !failing.failure.ok(); }));
  EXPECT_EQ(ReasonOf(failing.failure), Reason::kStorageFailed);
  EXPECT_EQ(failing.raft->status().state, NodeState::kFailed);
  ASSERT_TRUE(group.AwaitProgress());  // the others go on
  group.Kill(failing);
  group.Start(failing);
  ASSERT_TRUE(group.Await([&] { return group.Converged(); }));
  group.CheckOutcomes();
}

TEST(DriverSim, LeadershipIsHandedOver) {
  DriverGroup group(11);
  group.AddFounders(3);
  group.StartAll();
  ASSERT_TRUE(group.AwaitProgress());
  SimReplica* before = group.Leader();
  before->executor->Post([&] { EXPECT_TRUE(before->raft->TransferLeadership(std::nullopt).ok()); });
  ASSERT_TRUE(group.Await([&] { return group.Leader() != nullptr && group.Leader() != before; },
                          milliseconds(500)));
  ASSERT_TRUE(group.AwaitProgress());
}

}  // namespace
}  // namespace catamaran::raft
