// Flow control and catch-up of one follower as its leader sees them (diss. 4.2.1, 10.2).
#include <gtest/gtest.h>

#include "raft/core/progress.h"

namespace catamaran::raft {
namespace {

using std::chrono::milliseconds;

MonotonicTime At(int64_t ms) { return {milliseconds(ms)}; }

TEST(RaftProgress, MatchOnlyRises) {
  Progress progress(LogIndex(10), At(0));
  EXPECT_TRUE(progress.RaiseMatch(LogIndex(7)));
  EXPECT_FALSE(progress.RaiseMatch(LogIndex(5)));
  EXPECT_FALSE(progress.RaiseMatch(LogIndex(7)));
  EXPECT_EQ(progress.match(), LogIndex(7));
}

TEST(RaftProgress, OutdatedRefusalsChangeNothing) {
  Progress progress(LogIndex(10), At(0));
  EXPECT_FALSE(progress.LowerNext(LogIndex(4), LogIndex(2))) << "not what was asked";
  EXPECT_TRUE(progress.LowerNext(LogIndex(9), LogIndex(4)));
  EXPECT_EQ(progress.next(), LogIndex(5));
  progress.RaiseMatch(LogIndex(6));
  progress.BecomeReplicating();
  EXPECT_FALSE(progress.LowerNext(LogIndex(6), LogIndex(2))) << "that is known to match";
}

TEST(RaftProgress, WhatIsInFlightIsBounded) {
  Config config;
  config.in_flight_messages_max = 2;
  config.in_flight_bytes_max = 100;
  Progress progress(LogIndex(1), At(0));
  EXPECT_TRUE(progress.MaySend(config));
  progress.Sent(kNoIndex, 0, At(0));
  EXPECT_FALSE(progress.MaySend(config)) << "one probe at a time";
  progress.BecomeReplicating();
  progress.Sent(LogIndex(1), 60, At(0));
  EXPECT_TRUE(progress.MaySend(config));
  progress.Sent(LogIndex(2), 10, At(0));
  EXPECT_FALSE(progress.MaySend(config)) << "two messages";
  progress.RaiseMatch(LogIndex(1));
  EXPECT_TRUE(progress.MaySend(config));
  progress.Sent(LogIndex(3), 95, At(0));
  EXPECT_FALSE(progress.MaySend(config)) << "100 bytes";
}

TEST(RaftProgress, SilenceIsTakenForLoss) {
  Config config;
  Progress progress(LogIndex(1), At(0));
  progress.BecomeReplicating();
  progress.Sent(LogIndex(4), 10, At(0));
  progress.MaybeForget(config, At(400));
  EXPECT_NE(progress.replicating(), nullptr);
  progress.MaybeForget(config, At(500));
  ASSERT_NE(progress.probing(), nullptr);
  EXPECT_EQ(progress.next(), LogIndex(1));
}

TEST(RaftProgress, ALearnerHasCaughtUpAfterAQuickRound) {
  Config config;
  Progress progress(LogIndex(1), At(0));
  progress.heard_at = At(0);
  progress.ObserveCatchUp(config, LogIndex(100), At(0));
  EXPECT_FALSE(progress.IsCaughtUp(config, At(0)));
  progress.RaiseMatch(LogIndex(100));
  progress.heard_at = At(3'000);
  progress.ObserveCatchUp(config, LogIndex(150), At(3'000));
  EXPECT_FALSE(progress.IsCaughtUp(config, At(3'000))) << "that round took three seconds";
  progress.RaiseMatch(LogIndex(150));
  progress.heard_at = At(3'200);
  progress.ObserveCatchUp(config, LogIndex(160), At(3'200));
  EXPECT_TRUE(progress.IsCaughtUp(config, At(3'200)));
  EXPECT_FALSE(progress.IsCaughtUp(config, At(4'300))) << "it wasn't heard since";
  progress.heard_at = At(4'300);
  EXPECT_FALSE(progress.IsCaughtUp(config, At(4'300))) << "the next round is slow";
}

}  // namespace
}  // namespace catamaran::raft
