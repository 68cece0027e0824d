#include "raft/core/quorum_keeper.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

using std::chrono::seconds;

constexpr MonotonicTime kNow{seconds(1'000)};

struct Situation {
  Membership membership;
  std::set<int> dead;
  std::set<int> caught_up;
  Duration led_for = seconds(500);
  bool busy = false;
};

std::string Advice(QuorumKeeper& keeper, const Situation& situation, MonotonicTime now = kNow) {
  std::vector<MemberStatus> members;
  for (const ReplicaId& id : AllIds(situation.membership)) {
    const int node = id.node.value();
    if (node == 1) continue;  // the leader
    MemberStatus status;
    status.id = id;
    status.voter = IsVoter(situation.membership, id);
    status.silent_for = situation.dead.contains(node) ? Duration(seconds(60)) : Duration(0);
    status.caught_up = situation.caught_up.contains(node);
    members.push_back(status);
  }
  const auto change = keeper.Advise(now, IdOf(1), situation.membership, situation.busy,
                                    now - situation.led_for, members);
  if (!change) return "nothing";
  std::string text;
  for (const MembershipStep& step : *change) {
    if (const auto* promote = std::get_if<PromoteLearner>(&step)) {
      absl::StrAppend(&text, "+", promote->id.node.value());
    } else if (const auto* demote = std::get_if<DemoteVoter>(&step)) {
      absl::StrAppend(&text, "-", demote->id.node.value());
    }
  }
  EXPECT_TRUE(ApplyChange(situation.membership, *change).ok());
  return text;
}

std::string Advice(int target, const Situation& situation) {
  QuorumKeeperConfig config;
  config.target = target;
  QuorumKeeper keeper(config);
  return Advice(keeper, situation);
}

TEST(QuorumKeeper, LeavesAHealthyQuorumAlone) {
  EXPECT_EQ(Advice(3, {MembershipOf({1, 2, 3}, {4}), {}, {4}}), "nothing");
}

TEST(QuorumKeeper, ReplacesADeadVoterByALearnerThatHasCaughtUp) {
  EXPECT_EQ(Advice(3, {MembershipOf({1, 2, 3}, {4, 5}), {3}, {5}}), "+5-3");
  EXPECT_EQ(Advice(3, {MembershipOf({1, 2, 3}, {4}), {3}, {}}), "nothing");
  EXPECT_EQ(Advice(5, {MembershipOf({1, 2, 3, 4, 5}, {6, 7}), {2, 3}, {6, 7}}), "+6-2+7-3");
}

TEST(QuorumKeeper, ANewLeaderKnowsNobodyToBeDead) {
  Situation situation{MembershipOf({1, 2, 3}, {4}), {}, {4}};
  situation.led_for = seconds(10);
  EXPECT_EQ(Advice(3, situation), "nothing");
}

TEST(QuorumKeeper, GrowsToItsTargetInOddSteps) {
  EXPECT_EQ(Advice(3, {MembershipOf({1}, {2, 3}), {}, {2}}), "nothing");
  EXPECT_EQ(Advice(3, {MembershipOf({1}, {2, 3}), {}, {2, 3}}), "+2+3");
  EXPECT_EQ(Advice(5, {MembershipOf({1, 2}, {3}), {}, {3}}), "+3");
  EXPECT_EQ(Advice(1, {MembershipOf({1}, {2, 3}), {}, {2, 3}}), "nothing");
}

TEST(QuorumKeeper, ShrinksToItsTargetTheDeadFirst) {
  EXPECT_EQ(Advice(3, {MembershipOf({1, 2, 3, 4}, {}), {2}, {}}), "-2");
  EXPECT_EQ(Advice(3, {MembershipOf({1, 2, 3, 4}, {}), {}, {}}), "-4");
}

TEST(QuorumKeeper, ANodesNewDirectoryGivesNoSecondVoter) {
  Membership membership = MembershipOf({1, 2, 3});
  Member wiped = MemberOf(3);
  wiped.id.directory.uuid = Uuid::FromRandom(1, 1);
  membership.learners = {wiped};
  EXPECT_EQ(Advice(5, {membership, {}, {3}}), "nothing");
}

TEST(QuorumKeeper, WaitsForWhatIsUnderWayAndPauses) {
  Situation situation{MembershipOf({1, 2, 3}, {4}), {3}, {4}};
  QuorumKeeper keeper{QuorumKeeperConfig()};
  situation.busy = true;
  EXPECT_EQ(Advice(keeper, situation), "nothing");
  situation.busy = false;
  EXPECT_EQ(Advice(keeper, situation), "+4-3");
  EXPECT_EQ(Advice(keeper, situation, kNow + seconds(4)), "nothing");
  EXPECT_EQ(Advice(keeper, situation, kNow + seconds(5)), "+4-3");
}

}  // namespace
}  // namespace catamaran::raft
