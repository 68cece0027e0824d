// The bytes of a connection: golden bytes, round trips, refusals.
#include "raft/driver/framing.h"

#include "absl/strings/escaping.h"
#include "base/error.h"
#include "base/random.h"
#include "gtest/gtest.h"

namespace catamaran::raft {
namespace {

ReplicaId Id(int32_t node) {
  return {BrokerId(node), DirectoryId{Uuid::FromRandom(1, static_cast<uint64_t>(node))}};
}

Greeting SomeGreeting() {
  Greeting greeting;
  greeting.lane = Lane::kBulk;
  greeting.cluster = ClusterId{Uuid::FromRandom(7, 8)};
  greeting.from = Id(1);
  greeting.to = Id(2);
  greeting.start_counter = 300;
  greeting.run = UINT64_MAX - 5;
  greeting.endpoints = {"a:1", "b:2"};
  return greeting;
}

Report SomeReport() {
  Report report;
  report.state = FoundingState::kStarted;
  report.cluster = ClusterId{Uuid::FromRandom(7, 8)};
  report.founders = {BrokerId(1), BrokerId(2)};
  report.membership.voters = {{Id(1), {"a:1"}}, {Id(2), {}}};
  report.leader = Id(2);
  report.hints = {{Id(3), 4, {"c:3"}}};
  return report;
}

std::vector<Frame> SomeOfEach() {
  return {Hello{SomeGreeting()},
          Welcome{SomeGreeting()},
          Refusal{RefusalReason::kOldStart, ClusterId{Uuid::FromRandom(7, 8)}, Id(1), 9, "why"},
          RaftFrame{Buffer::FromString("message")},
          Ping{5},
          Pong{UINT64_MAX},
          Ask{},
          SomeReport(),
          Pledge{ClusterId{Uuid::FromRandom(7, 8)}, SomeReport().membership},
          Join{ClusterId{Uuid::FromRandom(7, 8)}, {Id(4), {"d:4"}}, 1}};
}

TEST(Framing, EveryFrameComesBackAsItWas) {
  for (const Frame& frame : SomeOfEach()) {
    const Buffer bytes = EncodeFrame(frame);
    absl::StatusOr<Frame> decoded = DecodeFrame(bytes);
    ASSERT_TRUE(decoded.ok()) << frame.index();
    EXPECT_EQ(decoded->index(), frame.index());
    EXPECT_EQ(EncodeFrame(*decoded).view(), bytes.view()) << frame.index();
  }
}

TEST(Framing, GoldenBytes) {
  EXPECT_EQ(absl::BytesToHexString(absl::string_view(EncodeFrame(Ping{5}).view().data(), 2)),
            "050a");
  EXPECT_EQ(EncodeFrame(RaftFrame{Buffer::FromString("xyz")}).view(), "\x04xyz");
  Greeting greeting;
  greeting.lane = Lane::kControl;
  greeting.cluster = ClusterId{*Uuid::FromBytes("cccccccccccccccc")};
  greeting.from = {BrokerId(1), DirectoryId{*Uuid::FromBytes("dddddddddddddddd")}};
  greeting.to = {BrokerId(2), DirectoryId{*Uuid::FromBytes("eeeeeeeeeeeeeeee")}};
  greeting.start_counter = 3;
  greeting.run = 4;
  greeting.endpoints = {"h:1"};
  // type, version, lane, cluster, from, to, start counter, run, one endpoint of three bytes
  EXPECT_EQ(EncodeFrame(Hello{greeting}).view(),
            "\x01\x02\x01"
            "cccccccccccccccc"
            "\x02"
            "dddddddddddddddd"
            "\x04"
            "eeeeeeeeeeeeeeee"
            "\x06\x08\x02\x06h:1");
}

TEST(Framing, OfAnotherVersionOnlyTheVersionIsRead) {
  std::string bytes("\x01\x04garbage of the future", 20);
  absl::StatusOr<Frame> frame = DecodeFrame(Buffer::FromString(bytes));
  ASSERT_TRUE(frame.ok());
  EXPECT_EQ(std::get<Hello>(*frame).greeting.version, 2u);
}

TEST(Framing, WhatIsCutOrLongerIsRefused) {
  for (const Frame& frame : SomeOfEach()) {
    if (std::holds_alternative<RaftFrame>(frame)) continue;  // any bytes are one
    const Buffer bytes = EncodeFrame(frame);
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(DecodeFrame(bytes.Sub(0, length)).ok()) << frame.index() << " " << length;
    }
    EXPECT_FALSE(DecodeFrame(Buffer::FromString(std::string(bytes.view()) + "x")).ok());
  }
  EXPECT_FALSE(DecodeFrame(Buffer::FromString("\x0b")).ok());
  EXPECT_FALSE(DecodeFrame(Buffer::FromString(std::string(1, '\0'))).ok());
}

TEST(Framing, DamagedBytesAreRefusedOrReadAsSomethingElseButNeverCrash) {
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    const std::vector<Frame> frames = SomeOfEach();
    std::string bytes(EncodeFrame(frames[random.Below(frames.size())]).view());
    bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
    absl::StatusOr<Frame> frame = DecodeFrame(Buffer::FromString(bytes));
    if (frame.ok()) continue;
    EXPECT_EQ(ReasonOf(frame.status()), Reason::kInvalidArgument);
  }
}

}  // namespace
}  // namespace catamaran::raft
