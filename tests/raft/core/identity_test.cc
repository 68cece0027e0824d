// Who may speak to whom (R16), and what a store may hand to a core.
#include <gtest/gtest.h>

#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

LogPosition Position(int64_t index, int64_t term) { return {Term(term), LogIndex(index)}; }

Entry Command(int64_t index, int64_t term) {
  return {LogIndex(index), Term(term), EntryKind::kCommand, Buffer::Copy("x")};
}

struct Three : TestGroup {
  Three() { Found(MembershipOf({1, 2, 3})); }
};

TEST(RaftIdentity, WhatContradictsTheEnvelopeIsRefused) {
  Three group;
  const auto message = [&](auto change) {
    Message m{ClusterId(), IdOf(2), IdOf(1), Term(9), VoteRequest{Position(9, 9), true}};
    change(&m);
    return m;
  };
  EXPECT_EQ(group.Step(1, message([](Message* m) { m->cluster.uuid = Uuid::FromRandom(1, 1); })),
            StepResult::kWrongCluster);
  EXPECT_EQ(group.Step(1, message([](Message* m) { m->to.directory = {}; })),
            StepResult::kWrongAddressee);
  EXPECT_EQ(group.Step(1, message([](Message* m) { m->from.node = BrokerId(1); })),
            StepResult::kWrongSender)
      << "a clone of this node";
  EXPECT_EQ(group.At(1).Step(group.now(), IdOf(3), message([](Message*) {})),
            StepResult::kWrongSender)
      << "the handshake said another";
  EXPECT_EQ(group.At(1).term(), kNoTerm);
}

TEST(RaftIdentity, ALeaderHearsOnlyMembers) {
  Three group;
  group.Elect(1);
  EXPECT_EQ(group.Hear(1, 9, 50, AppendReply{}), StepResult::kNotMember);
  EXPECT_EQ(group.At(1).role(), RoleName::kLeader);
}

TEST(RaftIdentity, WhoJoinsGetsASnapshotWithTheMembership) {
  TestGroup group;
  group.Found(MembershipOf({1}), {2});
  group.Elect(1);
  group.Change(1, {AddLearner{MemberOf(2)}});
  group.Stabilize();
  EXPECT_EQ(group.At(2).snapshot().membership, MembershipOf({1}));
  EXPECT_EQ(ToString(group.At(2).membership()), "voters 1 learners 2");
}

TEST(RaftRecovery, WhatContradictsItselfIsRefused) {
  Config config;
  config.self = IdOf(1);
  const auto refused = [&](auto change) {
    Recovered recovered;
    recovered.hard_state.term = Term(3);
    recovered.snapshot = {Position(4, 2), MembershipOf({1}), 0, 0};
    recovered.entries = {Command(5, 2), Command(6, 3)};
    recovered.applied = LogIndex(5);
    change(&recovered);
    return !Raft::Create(config, std::move(recovered), Random(1), MonotonicTime()).ok();
  };
  EXPECT_FALSE(refused([](Recovered*) {}));
  EXPECT_TRUE(refused([](Recovered* r) { r->entries.erase(r->entries.begin()); })) << "a gap";
  EXPECT_TRUE(refused([](Recovered* r) { r->entries[1].term = Term(1); }));
  EXPECT_TRUE(refused([](Recovered* r) { r->hard_state.term = Term(2); }));
  EXPECT_TRUE(refused([](Recovered* r) { r->applied = LogIndex(7); }));
  EXPECT_TRUE(refused([](Recovered* r) {
    r->entries = {Command(3, 1), Command(4, 1), Command(5, 2)};
  })) << "the snapshot's end has another term in the log";
}

}  // namespace
}  // namespace catamaran::raft
