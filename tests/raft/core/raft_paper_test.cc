// A test per rule of the Raft paper (figure 2, sections 5 to 8) and of the dissertation's chapters
// 3, 4, 6 and 9 as far as they are implemented. Each name begins with where the rule stands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "raft/core/encoding.h"
#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

using std::chrono::milliseconds;

constexpr Duration kTimeout = milliseconds(1'000);

LogPosition Position(int64_t index, int64_t term) { return {Term(term), LogIndex(index)}; }

// The foundation takes index 1, so a first voter's entries begin at 2.
std::vector<Term> Terms(std::initializer_list<int64_t> terms) {
  std::vector<Term> list;
  for (int64_t term : terms) list.emplace_back(term);
  return list;
}

Entry Command(int64_t index, int64_t term, const std::string& text = "x") {
  return {LogIndex(index), Term(term), EntryKind::kCommand, Buffer::Copy(text)};
}

struct Three : TestGroup {
  Three() { Found(MembershipOf({1, 2, 3})); }
};

// ---- §5.1: terms ----

TEST(RaftPaper, S51_AHigherTermMakesAnyRoleAFollower) {
  for (const char* role : {"follower", "candidate", "leader"}) {
    Three group;
    if (role[0] != 'f') group.TimeOut(1);
    if (role[0] == 'c') {
      group.Deliver();
      group.Deliver();
    }
    if (role[0] == 'l') group.Stabilize();
    ASSERT_STREQ(ToString(group.At(1).role()), role);
    group.Hear(1, 2, 9, AppendRequest{Position(1, 0), LogIndex(1), {}});
    EXPECT_EQ(group.At(1).role(), RoleName::kFollower) << role;
    EXPECT_EQ(group.At(1).term(), Term(9)) << role;
    EXPECT_EQ(group.At(1).leader(), IdOf(2)) << role;
  }
}

TEST(RaftPaper, S51_AStaleTermIsRefused) {
  Three group;
  group.Elect(1);
  const Term term = group.At(2).term();
  group.Hear(2, 3, term.value() - 1, AppendRequest{Position(1, 0), LogIndex(1), {Command(2, 0)}});
  const auto replies = group.Sent<AppendReply>(2, 3);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_FALSE(replies[0].success);
  EXPECT_EQ(group.At(2).leader(), IdOf(1));
}

// ---- §5.2: leader election ----

TEST(RaftPaper, S52_StartsAsFollower) {
  Three group;
  EXPECT_EQ(group.At(1).role(), RoleName::kFollower);
  EXPECT_EQ(group.At(1).term(), kNoTerm);
}

TEST(RaftPaper, S52_ALeaderSendsHeartbeats) {
  Three group;
  group.Elect(1);
  group.Tick(milliseconds(100));
  EXPECT_EQ(group.Sent<Heartbeat>(1).size(), 2u);
}

TEST(RaftPaper, S52_ACandidateRaisesItsTermVotesForItselfAndAsksAll) {
  Three group;
  group.TimeOut(1);
  group.Deliver();
  group.Deliver();
  EXPECT_EQ(group.At(1).role(), RoleName::kCandidate);
  EXPECT_EQ(group.At(1).hard_state(), (HardState{Term(1), IdOf(1)}));
  EXPECT_TRUE(group.Sent<VoteRequest>(1).empty()) << "not before that is durable";
  group.Persist(1);
  EXPECT_EQ(group.Sent<VoteRequest>(1).size(), 2u);
}

TEST(RaftPaper, S52_AMajorityElects) {
  for (int voters = 1; voters <= 7; ++voters) {
    for (int granted = 0; granted < voters; ++granted) {
      TestGroup group;
      std::vector<int> nodes;
      for (int node = 1; node <= voters; ++node) nodes.push_back(node);
      group.Found(MembershipOf(nodes));
      group.TimeOut(1);
      if (voters > 1) {
        group.Deliver(1);
        group.Deliver(0, 1);
      }
      group.Persist(1);
      for (int node = 2; node <= granted + 1; ++node) group.Hear(1, node, 1, VoteReply{true});
      const bool elected = group.At(1).role() == RoleName::kLeader;
      EXPECT_EQ(elected, granted + 1 > voters / 2) << granted << " of " << voters;
    }
  }
}

TEST(RaftPaper, S52_OneVoteATermFirstCome) {
  Three group;
  group.Hear(1, 2, 1, VoteRequest{Position(1, 0)});
  group.Hear(1, 3, 1, VoteRequest{Position(1, 0)});
  group.Hear(1, 2, 1, VoteRequest{Position(1, 0)});
  group.Persist(1);
  EXPECT_TRUE(group.Sent<VoteReply>(1, 2).at(0).granted);
  EXPECT_FALSE(group.Sent<VoteReply>(1, 3).at(0).granted);
  EXPECT_TRUE(group.Sent<VoteReply>(1, 2).at(1).granted) << "asked twice, answered alike";
}

TEST(RaftPaper, S52_AVoteSurvivesARestart) {
  Three group;
  group.Hear(1, 2, 1, VoteRequest{Position(1, 0)});
  group.Persist(1);
  group.Restart(1);
  group.Hear(1, 3, 1, VoteRequest{Position(1, 0)});
  EXPECT_FALSE(group.Sent<VoteReply>(1, 3).at(0).granted);
}

TEST(RaftPaper, S52_ACandidateFollowsALeaderOfItsTerm) {
  Three group;
  group.TimeOut(1);
  group.Deliver();
  group.Deliver();
  ASSERT_EQ(group.At(1).role(), RoleName::kCandidate);
  group.Hear(1, 2, 1, Heartbeat{LogIndex(1), 1});
  EXPECT_EQ(group.At(1).role(), RoleName::kFollower);
  EXPECT_EQ(group.At(1).leader(), IdOf(2));
}

TEST(RaftPaper, S52_TimeoutsAreRandomWithinBounds) {
  std::set<MonotonicTime> deadlines;
  for (int node = 1; node <= 7; ++node) {
    TestGroup group;
    group.Found(MembershipOf({1, 2, 3, 4, 5, 6, 7}));
    const MonotonicTime due = group.At(node).NextDeadline();
    EXPECT_GE(due.since_start, kTimeout);
    EXPECT_LT(due.since_start, 2 * kTimeout);
    deadlines.insert(due);
  }
  EXPECT_GT(deadlines.size(), 5u);
}

// ---- §5.3: log replication ----

TEST(RaftPaper, S53_ALeaderAppendsAndReplicates) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  const auto appends = group.Sent<AppendRequest>(1);
  ASSERT_EQ(appends.size(), 2u);
  EXPECT_EQ(appends[0].previous, Position(2, 1));
  EXPECT_EQ(appends[0].entries.at(0).payload.view(), "a");
}

TEST(RaftPaper, S53_CommittedWhenAMajorityHasIt) {
  for (int copies = 0; copies <= 4; ++copies) {
    TestGroup group;
    group.Found(MembershipOf({1, 2, 3, 4, 5}));
    group.Elect(1);
    group.Propose(1, "a");
    group.Persist(1);
    for (int node = 2; node <= copies + 1; ++node) {
      group.Hear(1, node, 1, AppendReply{true, LogIndex(3)});
    }
    EXPECT_EQ(group.At(1).commit() == LogIndex(3), copies >= 2) << copies;
  }
}

TEST(RaftPaper, S53_ALeaderCountsItselfOnlyWhenDurable) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  group.Hear(1, 2, 1, AppendReply{true, LogIndex(3)});
  EXPECT_EQ(group.At(1).commit(), LogIndex(2));
  group.Persist(1);
  EXPECT_EQ(group.At(1).commit(), LogIndex(3));
}

TEST(RaftPaper, S53_FollowersLearnTheCommitIndexAndApplyInOrder) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  group.Propose(1, "b");
  group.Stabilize();
  for (int node = 1; node <= 3; ++node) {
    std::vector<std::string> applied;
    for (const Entry& entry : group.NodeAt(node).applied) {
      if (entry.kind == EntryKind::kCommand) applied.emplace_back(entry.payload.view());
    }
    EXPECT_EQ(applied, (std::vector<std::string>{"a", "b"})) << node;
  }
}

TEST(RaftPaper, S53_AnAppendThatDoesNotFitIsRefused) {
  struct {
    LogPosition previous;
    bool fits;
  } cases[] = {{Position(1, 0), true},  {Position(2, 1), true},  {Position(3, 2), true},
               {Position(3, 1), false}, {Position(4, 2), false}, {Position(2, 2), false}};
  for (const auto& c : cases) {
    TestGroup group;
    group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 2}));
    group.Hear(1, 2, 3, AppendRequest{c.previous, LogIndex(1), {}});
    group.Persist(1);
    const auto reply = group.Sent<AppendReply>(1).at(0);
    EXPECT_EQ(reply.success, c.fits) << ToString(c.previous);
    if (c.fits) {
      EXPECT_EQ(reply.match, c.previous.index);
    }
  }
}

TEST(RaftPaper, S53_ConflictingEntriesAreReplacedOthersStay) {
  TestGroup group;
  group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 1, 2}));
  // What is there and agrees stays, also what follows it: the append may be an old one.
  group.Hear(1, 2, 3, AppendRequest{Position(1, 0), LogIndex(1), {Command(2, 1)}});
  EXPECT_EQ(group.At(1).log().end(), Position(4, 2));
  group.Hear(1, 2, 3, AppendRequest{Position(2, 1), LogIndex(1), {Command(3, 3)}});
  EXPECT_EQ(group.At(1).log().end(), Position(3, 3));
}

TEST(RaftPaper, S53_AFollowersAnswerIsDurable) {
  Three group;
  group.Hear(2, 1, 1, AppendRequest{Position(1, 0), LogIndex(1), {Command(2, 1)}});
  group.Hear(2, 1, 1, AppendRequest{Position(1, 0), LogIndex(1), {Command(2, 1)}});
  group.Hear(2, 1, 1, AppendRequest{Position(2, 1), LogIndex(1), {}});
  EXPECT_TRUE(group.Sent<AppendReply>(2).empty()) << "also doubles and empty ones wait";
  group.Persist(2);
  EXPECT_EQ(group.Sent<AppendReply>(2).size(), 3u);
}

// Figure 7: all of these come to equal the leader's log.
TEST(RaftPaper, S53_Figure7) {
  const std::vector<Term> leader = Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6});
  const std::vector<std::vector<Term>> followers = {Terms({1, 1, 1, 4, 4, 5, 5, 6, 6}),
                                                    Terms({1, 1, 1, 4}),
                                                    Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}),
                                                    Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}),
                                                    Terms({1, 1, 1, 4, 4, 4, 4}),
                                                    Terms({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3})};
  for (size_t i = 0; i < followers.size(); ++i) {
    TestGroup group;
    const Membership membership = MembershipOf({1, 2, 3});
    group.Start(1, {Term(7), std::nullopt}, membership, leader);
    group.Start(2, {Term(7), std::nullopt}, membership, followers[i]);
    group.Start(3, {Term(7), std::nullopt}, membership, {});
    group.Elect(1);
    const Log& expected = group.At(1).log();
    const Log& log = group.At(2).log();
    ASSERT_EQ(log.last(), expected.last()) << i;
    for (LogIndex index(1); index <= log.last(); index += 1) {
      EXPECT_EQ(log.TermAt(index), expected.TermAt(index)) << i << ": " << index.value();
    }
  }
}

TEST(RaftPaper, S53_OneRoundATermIsEnoughToFindTheConflict) {
  TestGroup group;
  const Membership membership = MembershipOf({1, 2, 3});
  group.Start(1, {Term(5), std::nullopt}, membership, Terms({1, 4, 4, 4, 4, 4, 4, 4, 4}));
  group.Start(2, {Term(5), std::nullopt}, membership, Terms({1, 2, 2, 2, 2, 2, 2, 2, 2}));
  group.Start(3, {Term(5), std::nullopt}, membership, {});
  group.TimeOut(1);
  group.TakeTranscript();
  group.Stabilize();
  const std::string transcript = group.TakeTranscript();
  size_t refused = 0;
  for (size_t at = 0;
       (at = transcript.find("2->1 AppendReply term 6 refused", at)) != std::string::npos; ++at) {
    ++refused;
  }
  EXPECT_LE(refused, 2u) << transcript;
}

// ---- §5.4: safety ----

TEST(RaftPaper, S541_VotesGoToLogsAtLeastAsLong) {
  struct {
    std::vector<Term> log;
    LogPosition candidate;
    bool granted;
  } cases[] = {{Terms({1}), Position(2, 1), true},     {Terms({1}), Position(3, 1), true},
               {Terms({1, 1}), Position(2, 1), false}, {Terms({1, 1}), Position(2, 2), true},
               {Terms({2}), Position(4, 1), false},    {Terms({2}), Position(2, 2), true}};
  for (const auto& c : cases) {
    TestGroup group;
    group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), c.log);
    group.Hear(1, 2, 3, VoteRequest{c.candidate});
    group.Persist(1);
    EXPECT_EQ(group.Sent<VoteReply>(1).at(0).granted, c.granted) << ToString(c.candidate);
  }
}

TEST(RaftPaper, S542_OnlyEntriesOfTheOwnTermAreCommittedByCounting) {
  TestGroup group;
  group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 2}));
  group.Start(2, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 2}));
  group.Start(3, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 2}));
  group.TimeOut(1);
  group.Deliver();
  group.Deliver();
  group.Persist(1);
  group.Hear(1, 2, 3, VoteReply{true});
  ASSERT_EQ(group.At(1).role(), RoleName::kLeader);
  group.Persist(1);
  group.Hear(1, 2, 3, AppendReply{true, LogIndex(3)});
  EXPECT_EQ(group.At(1).commit(), LogIndex(1)) << "two have entry 3, but of term 2";
  group.Hear(1, 2, 3, AppendReply{true, LogIndex(4)});
  EXPECT_EQ(group.At(1).commit(), LogIndex(4)) << "with its own, all before it";
}

// ---- §6, dissertation 4: membership ----

TEST(RaftPaper, S6_AConfigurationIsInForceFromTheAppend) {
  Three group;
  group.Elect(1);
  group.Change(1, {RemoveMember{IdOf(3)}});
  EXPECT_TRUE(group.At(1).membership().is_joint());
  EXPECT_GT(group.At(1).membership_index(), group.At(1).commit());
  group.Deliver(1, 2);
  EXPECT_TRUE(group.At(2).membership().is_joint()) << "at a follower, too";
  // Replaced by another leader's entry, the one before is in force again.
  const LogIndex joint = group.At(2).membership_index();
  group.Hear(2, 3, 9, AppendRequest{{Term(1), joint - 1}, kNoIndex, {Command(joint.value(), 9)}});
  EXPECT_EQ(group.At(2).membership(), MembershipOf({1, 2, 3}));
}

TEST(RaftPaper, S6_JointConsensusEndsByItself) {
  TestGroup group;
  group.Found(MembershipOf({1, 2, 3}), {4});
  group.Elect(1);
  group.Change(1, {AddLearner{MemberOf(4)}});
  group.Stabilize();
  group.Tick(milliseconds(100));
  group.Stabilize();
  group.Change(1, {PromoteLearner{IdOf(4)}, RemoveMember{IdOf(3)}});
  group.Stabilize();
  EXPECT_EQ(ToString(group.At(4).membership()), "voters 1,2,4");
  EXPECT_EQ(group.NodeAt(1).proposals.back().outcome, ProposalOutcome::kCommitted);
}

TEST(RaftPaper, D41_NoChangeBeforeAnEntryOfTheTermIsCommitted) {
  Three group;
  group.TimeOut(1);
  group.Deliver();
  group.Deliver();
  group.Persist(1);
  group.Hear(1, 2, 1, VoteReply{true});
  group.Change(1, {RemoveMember{IdOf(3)}});
  EXPECT_EQ(group.NodeAt(1).proposals.at(0).reason, RejectReason::kNoCommitInTerm);
}

TEST(RaftPaper, D41_OneChangeAtATime) {
  Three group;
  group.Elect(1);
  group.Change(1, {AddLearner{MemberOf(4)}});
  group.Change(1, {AddLearner{MemberOf(5)}});
  EXPECT_EQ(group.NodeAt(1).proposals.at(0).reason, RejectReason::kChangeInProgress);
}

TEST(RaftPaper, D421_LearnersNeverCampaignAndNeverCount) {
  TestGroup group;
  group.Found(MembershipOf({1, 2, 3}, {4, 5}));
  group.Elect(1);
  group.TimeOut(4);
  EXPECT_EQ(group.At(4).role(), RoleName::kFollower);
  group.Propose(1, "a");
  group.Persist(1);
  const LogIndex last = group.At(1).log().last();
  const int64_t term = group.At(1).term().value();
  group.Hear(1, 4, term, AppendReply{true, last});
  group.Hear(1, 5, term, AppendReply{true, last});
  EXPECT_LT(group.At(1).commit(), last);
}

TEST(RaftPaper, D422_ARemovedLeaderStepsDownWhenThatIsCommitted) {
  Three group;
  group.Elect(1);
  group.Change(1, {RemoveMember{IdOf(1)}});
  EXPECT_EQ(group.At(1).role(), RoleName::kLeader);
  group.Stabilize();
  EXPECT_EQ(group.At(1).role(), RoleName::kFollower);
  EXPECT_TRUE(group.NodeAt(1).removed);
}

TEST(RaftPaper, D422_WhoIsDroppedByAnUncommittedConfigurationStillCampaigns) {
  TestGroup group;
  Membership after = MembershipOf({2, 3});
  group.Start(1, {Term(1), std::nullopt}, MembershipOf({1, 2, 3}), {});
  group.Hear(1, 2, 1,
             AppendRequest{Position(1, 0),
                           LogIndex(1),
                           {{LogIndex(2), Term(1), EntryKind::kMembership,
                             Buffer::FromString(EncodeMembership(after))}}});
  group.Persist(1);
  group.TimeOut(1);
  EXPECT_EQ(group.At(1).role(), RoleName::kPreCandidate);
}

TEST(RaftPaper, D423_WhoHearsALeaderHeedsNoElection) {
  Three group;
  group.Elect(1);
  group.Tick(milliseconds(100));
  group.Stabilize();
  const Term term = group.At(2).term();
  group.Hear(2, 3, term.value() + 1, VoteRequest{Position(9, 9)});
  EXPECT_EQ(group.At(2).term(), term);
  group.Hear(2, 3, term.value() + 1, VoteRequest{Position(9, 9), true});
  EXPECT_EQ(group.At(2).term(), Term(term.value() + 1)) << "unless it's a transfer";
}

// ---- §7: snapshots ----

SnapshotChunk Whole(LogPosition last, const Membership& membership) {
  return SnapshotChunk{{last, membership, 2, 0}, 0, 2, Buffer::Copy("ss"), 1};
}

TEST(RaftPaper, S7_ASnapshotReplacesALogThatDoesNotMatch) {
  TestGroup group;
  group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 1, 2, 2}));
  group.Hear(1, 2, 3, Whole(Position(4, 3), MembershipOf({1, 2, 4})));
  EXPECT_EQ(group.At(1).log().end(), Position(4, 3));
  EXPECT_EQ(group.At(1).membership(), MembershipOf({1, 2, 4}));
  EXPECT_TRUE(group.Sent<SnapshotReply>(1).empty()) << "not before it's durable";
  group.Persist(1);  // the term, which came first
  group.Persist(1);
  EXPECT_EQ(group.Sent<SnapshotReply>(1).at(0).status, SnapshotStatus::kInstalled);
  EXPECT_EQ(group.At(1).applied(), LogIndex(4));
}

TEST(RaftPaper, S7_ASnapshotKeepsWhatFollowsAMatchingEntry) {
  TestGroup group;
  group.Start(1, {Term(2), std::nullopt}, MembershipOf({1, 2, 3}), Terms({1, 1, 2, 2}));
  group.Hear(1, 2, 3, Whole(Position(4, 2), MembershipOf({1, 2, 3})));
  EXPECT_EQ(group.At(1).log().end(), Position(5, 2));
  EXPECT_EQ(group.At(1).log().base(), Position(4, 2));
}

TEST(RaftPaper, S7_AnOldSnapshotChangesNothing) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  group.Stabilize();
  const LogPosition end = group.At(2).log().end();
  group.Hear(2, 1, 1, Whole(Position(2, 1), MembershipOf({1, 2, 3})));
  EXPECT_EQ(group.At(2).log().end(), end);
  EXPECT_EQ(group.Sent<AppendReply>(2).back().match, group.At(2).commit());
}

// ---- §8, dissertation 6.4: clients ----

TEST(RaftPaper, S8_ANewLeaderBeginsWithANoOp) {
  Three group;
  group.Elect(1);
  EXPECT_EQ(group.At(1).log().At(LogIndex(2)).kind, EntryKind::kNoOp);
}

TEST(RaftPaper, D64_NoReadBeforeTheTermCommits) {
  Three group;
  group.TimeOut(1);
  group.Deliver();
  group.Deliver();
  group.Persist(1);
  group.Hear(1, 2, 1, VoteReply{true});
  group.Read(1, 7);
  group.Hear(1, 2, 1, HeartbeatReply{1});
  group.Hear(1, 3, 1, HeartbeatReply{1});
  EXPECT_TRUE(group.NodeAt(1).reads.empty());
  group.Drop();
  group.Tick(milliseconds(600));
  group.Stabilize();
  ASSERT_EQ(group.NodeAt(1).reads.size(), 1u);
  EXPECT_EQ(group.NodeAt(1).reads[0].index, LogIndex(2));
}

TEST(RaftPaper, D64_AReadNeedsARoundThatBeganAfterIt) {
  Three group;
  group.Elect(1);
  group.Tick(milliseconds(100));
  const uint64_t round = group.Sent<Heartbeat>(1).at(0).round;
  group.Read(1, 7);
  group.Hear(1, 2, 1, HeartbeatReply{round});
  EXPECT_TRUE(group.NodeAt(1).reads.empty()) << "that answer is older than the read";
  group.Hear(1, 2, 1, HeartbeatReply{round + 1});
  EXPECT_EQ(group.NodeAt(1).reads.size(), 1u);
}

// ---- dissertation 3.10, 6.2, 9.6 ----

TEST(RaftPaper, D310_ATransferTakesNoProposalsAndEnds) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  EXPECT_EQ(group.Transfer(1, 2), RejectReason::kNone);
  EXPECT_TRUE(group.Sent<TimeoutNow>(1).empty()) << "its log isn't complete";
  group.Propose(1, "b");
  EXPECT_EQ(group.NodeAt(1).proposals.at(0).reason, RejectReason::kTransferring);
  for (int i = 0; i < 10; ++i) {
    group.Drop(0, 2);
    group.Tick(milliseconds(100));
    group.Deliver(1, 3);
    group.Persist(3);
    group.Deliver(3, 1);
  }
  EXPECT_FALSE(group.At(1).transferring());
  group.Propose(1, "c");
  EXPECT_EQ(group.NodeAt(1).proposals.size(), 1u);
}

TEST(RaftPaper, D310_LeadershipMoves) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  group.Transfer(1, 3);
  group.Stabilize();
  EXPECT_EQ(group.At(3).role(), RoleName::kLeader);
  EXPECT_EQ(group.At(1).leader(), IdOf(3));
}

TEST(RaftPaper, D62_ALeaderWithoutAQuorumStepsDown) {
  Three group;
  group.Elect(1);
  group.Propose(1, "a");
  group.Read(1, 7);
  for (int i = 0; i <= 11; ++i) {
    group.Drop();
    group.Tick(milliseconds(100));
  }
  EXPECT_NE(group.At(1).role(), RoleName::kLeader);
  ASSERT_EQ(group.NodeAt(1).reads.size(), 1u);
  EXPECT_FALSE(group.NodeAt(1).reads[0].granted);
  group.Drop();
  group.Tick(kTimeout);
  ASSERT_EQ(group.NodeAt(1).proposals.size(), 1u);
  EXPECT_EQ(group.NodeAt(1).proposals[0].outcome, ProposalOutcome::kUnknown);
}

TEST(RaftPaper, D96_APreVoteChangesNothing) {
  Three group;
  const HardState before = group.At(2).hard_state();
  group.Hear(2, 1, 5, PreVoteRequest{Position(1, 0)});
  EXPECT_EQ(group.At(2).hard_state(), before);
  EXPECT_TRUE(group.Sent<PreVoteReply>(2).at(0).granted);
  group.TimeOut(1);
  EXPECT_EQ(group.At(1).role(), RoleName::kPreCandidate);
  EXPECT_EQ(group.At(1).term(), kNoTerm);
}

}  // namespace
}  // namespace catamaran::raft
