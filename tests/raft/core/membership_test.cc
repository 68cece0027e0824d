#include "raft/core/membership.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

bool Agree(const Membership& membership, const std::set<int>& nodes) {
  return HasQuorum(membership,
                   [&](const ReplicaId& id) { return nodes.contains(id.node.value()); });
}

TEST(RaftMembership, MajoritiesOfEverySize) {
  EXPECT_FALSE(Agree(MembershipOf({}), {1}));
  EXPECT_TRUE(Agree(MembershipOf({1}), {1}));
  EXPECT_FALSE(Agree(MembershipOf({1, 2}), {1}));
  EXPECT_TRUE(Agree(MembershipOf({1, 2, 3}), {1, 3}));
  EXPECT_FALSE(Agree(MembershipOf({1, 2, 3, 4}), {1, 3}));
  EXPECT_TRUE(Agree(MembershipOf({1, 2, 3, 4}), {1, 3, 4}));
  EXPECT_FALSE(Agree(MembershipOf({1, 2, 3}, {4, 5}), {1, 4, 5})) << "learners don't count";
}

TEST(RaftMembership, JointNeedsBothHalves) {
  Membership joint = *ApplyChange(MembershipOf({1, 2, 3}, {4, 5}),
                                  {PromoteLearner{IdOf(4)}, PromoteLearner{IdOf(5)},
                                   DemoteVoter{IdOf(2)}, RemoveMember{IdOf(3)}});
  ASSERT_TRUE(joint.is_joint());
  EXPECT_EQ(ToString(joint), "voters 1,4,5 outgoing 1,2,3 next 2");
  EXPECT_FALSE(Agree(joint, {1, 4, 5}));
  EXPECT_FALSE(Agree(joint, {1, 2, 3}));
  EXPECT_TRUE(Agree(joint, {1, 2, 4}));
  EXPECT_EQ(ToString(LeaveJoint(joint)), "voters 1,4,5 learners 2");
}

TEST(RaftMembership, QuorumIndexIsWhatAMajorityHas) {
  const auto match = [](const ReplicaId& id) { return LogIndex(10 * id.node.value()); };
  EXPECT_EQ(QuorumIndex(MembershipOf({1, 2, 3}), match), LogIndex(20));
  EXPECT_EQ(QuorumIndex(MembershipOf({1, 2, 3, 4}), match), LogIndex(20));
  EXPECT_EQ(QuorumIndex(MembershipOf({1, 2, 3}, {8, 9}), match), LogIndex(20));
  Membership joint = MembershipOf({4, 5, 6});
  joint.outgoing_voters = MembershipOf({1, 2, 3}).voters;
  EXPECT_EQ(QuorumIndex(joint, match), LogIndex(20));
}

TEST(RaftMembership, RefusesWhatMakesNoSense) {
  const Membership from = MembershipOf({1, 2, 3}, {4});
  EXPECT_FALSE(ApplyChange(from, {}).ok());
  EXPECT_FALSE(ApplyChange(from, {AddLearner{MemberOf(4)}}).ok());
  EXPECT_FALSE(ApplyChange(from, {PromoteLearner{IdOf(5)}}).ok());
  EXPECT_FALSE(ApplyChange(from, {PromoteLearner{IdOf(1)}}).ok());
  EXPECT_FALSE(ApplyChange(from, {RemoveMember{IdOf(9)}}).ok());
  EXPECT_FALSE(ApplyChange(MembershipOf({1}), {RemoveMember{IdOf(1)}}).ok());
  // The same node with another directory votes only once the first doesn't.
  Member wiped = MemberOf(3);
  wiped.id.directory.uuid = Uuid::FromRandom(9, 9);
  Membership with = *ApplyChange(from, {AddLearner{wiped}});
  EXPECT_FALSE(ApplyChange(with, {PromoteLearner{wiped.id}}).ok());
  EXPECT_TRUE(ApplyChange(with, {RemoveMember{IdOf(3)}, PromoteLearner{wiped.id}}).ok());
}

TEST(RaftMembership, EndpointsChangeWithoutAJointConfiguration) {
  Member moved = MemberOf(2);
  moved.endpoints = {"elsewhere:1"};
  const Membership to = *ApplyChange(MembershipOf({1, 2, 3}), {SetEndpoints{moved}});
  EXPECT_FALSE(to.is_joint());
  EXPECT_EQ(FindMember(to, IdOf(2))->endpoints, moved.endpoints);
}

TEST(RaftMembership, HistoryFollowsTheLog) {
  MembershipHistory history(LogIndex(1), MembershipOf({1}));
  history.Append(LogIndex(5), MembershipOf({1, 2}));
  history.Append(LogIndex(9), MembershipOf({1, 2, 3}));
  EXPECT_EQ(history.At(LogIndex(8)), MembershipOf({1, 2}));
  history.TruncateFrom(LogIndex(9));
  EXPECT_EQ(history.latest(), MembershipOf({1, 2}));
  history.ForgetBefore(LogIndex(7));
  EXPECT_EQ(history.At(LogIndex(7)), MembershipOf({1, 2}));
  EXPECT_EQ(history.latest_index(), LogIndex(5));
}

}  // namespace
}  // namespace catamaran::raft
