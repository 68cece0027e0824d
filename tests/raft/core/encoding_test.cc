// Golden bytes, round trips and limits of raft/core/encoding.h.
#include "raft/core/encoding.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "raft/core/config.h"
#include "tests/raft/core/test_group.h"

namespace catamaran::raft {
namespace {

Membership Joint() {
  Membership membership = MembershipOf({1, 2}, {5});
  membership.outgoing_voters = {MemberOf(1), MemberOf(3), MemberOf(4)};
  membership.learners_next = {MemberOf(4)};
  return membership;
}

SnapshotMeta Snapshot() { return {{Term(3), LogIndex(9)}, Joint(), 6, 0xdeadbeef}; }

std::vector<MessageBody> Bodies() {
  Entry command{LogIndex(10), Term(3), EntryKind::kCommand, Buffer::Copy("set a")};
  Entry membership{LogIndex(11), Term(4), EntryKind::kMembership,
                   Buffer::FromString(EncodeMembership(Joint()))};
  Entry no_op{LogIndex(12), Term(4), EntryKind::kNoOp, Buffer()};
  SnapshotChunk chunk{Snapshot(), 2, 4, Buffer::Copy("data"), 77};
  return {PreVoteRequest{{Term(3), LogIndex(9)}},
          PreVoteReply{true},
          VoteRequest{{Term(3), LogIndex(9)}, true},
          VoteReply{false},
          AppendRequest{{Term(3), LogIndex(9)}, LogIndex(8), {command, membership, no_op}},
          AppendReply{false, kNoIndex, LogIndex(9), {Term(2), LogIndex(4)}},
          Heartbeat{LogIndex(8), 0xffffffffffffffff},
          HeartbeatReply{12},
          chunk,
          SnapshotReply{{Term(3), LogIndex(9)}, SnapshotStatus::kInstalled, 6, 77},
          TimeoutNow{},
          ReadIndexRequest{5, 0x8000000000000000},
          ReadIndexReply{5, 6, true, LogIndex(9)},
          NotMember{LogIndex(11)}};
}

Message Envelope(MessageBody body) {
  return {ClusterId{Uuid::FromRandom(1, 2)}, IdOf(1), IdOf(2), Term(4), std::move(body)};
}

TEST(RaftEncoding, GoldenBytes) {
  // version 1, term 5 (zigzag 10), a vote, node 3 (6), directory.
  const std::string state = EncodeHardState({Term(5), IdOf(3)});
  EXPECT_EQ(absl::BytesToHexString(state).substr(0, 8), "010a0106");
  EXPECT_EQ(state.size(), 4u + 16u);
  EXPECT_EQ(absl::BytesToHexString(EncodeHardState({Term(5), std::nullopt})), "010a00");
  // version 1, index 7, term 2, kind 1, 2 bytes.
  const Entry entry{LogIndex(7), Term(2), EntryKind::kCommand, Buffer::Copy("hi")};
  EXPECT_EQ(absl::BytesToHexString(EncodeEntry(entry)), "010e0401046869");
  // An empty membership is four empty lists.
  EXPECT_EQ(absl::BytesToHexString(EncodeMembership(Membership())), "0100000000");
  const std::string one = EncodeMembership(MembershipOf({1}));
  // One voter: node 1, directory, one endpoint of seven bytes.
  EXPECT_EQ(one.substr(0, 3), std::string("\x01\x02\x02", 3));
  EXPECT_EQ(one.substr(19), std::string("\x02\x0enode1:9\0\0\0", 12));
  // The type follows the envelope: 1 + 16 + 2 * 17 + 1 bytes.
  const std::string timeout = EncodeMessage(Envelope(TimeoutNow{}));
  EXPECT_EQ(timeout.size(), 53u);
  EXPECT_EQ(timeout.back(), 11);
}

TEST(RaftEncoding, RoundTrips) {
  for (MessageBody& body : Bodies()) {
    const std::string bytes = EncodeMessage(Envelope(std::move(body)));
    const absl::StatusOr<Message> message = DecodeMessage(Buffer::Copy(bytes));
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_EQ(EncodeMessage(*message), bytes) << MessageName(message->body);
    EXPECT_EQ(message->to, IdOf(2));
  }
  EXPECT_EQ(*DecodeMembership(EncodeMembership(Joint())), Joint());
  EXPECT_EQ(*DecodeSnapshotMeta(EncodeSnapshotMeta(Snapshot())), Snapshot());
  const HardState state{Term(5), IdOf(3)};
  EXPECT_EQ(*DecodeHardState(EncodeHardState(state)), state);
  const auto append = std::get<AppendRequest>(
      DecodeMessage(Buffer::FromString(EncodeMessage(Envelope(Bodies()[4]))))->body);
  ASSERT_EQ(append.entries.size(), 3u);
  EXPECT_EQ(append.entries[2].index, LogIndex(12));
  EXPECT_EQ(append.entries[0].payload.view(), "set a");
}

TEST(RaftEncoding, EveryPrefixAndEveryAdditionIsRefused) {
  for (MessageBody& body : Bodies()) {
    const std::string bytes = EncodeMessage(Envelope(std::move(body)));
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(DecodeMessage(Buffer::Copy(bytes.substr(0, size))).ok()) << size;
    }
    EXPECT_FALSE(DecodeMessage(Buffer::Copy(bytes + "x")).ok());
  }
}

TEST(RaftEncoding, LimitsHold) {
  Membership many = MembershipOf({1, 2, 3, 4, 5, 6, 7});
  EXPECT_TRUE(DecodeMembership(EncodeMembership(many)).ok());
  many.voters.push_back(MemberOf(8));
  EXPECT_FALSE(DecodeMembership(EncodeMembership(many)).ok());
  Membership unsorted = MembershipOf({2, 1});
  EXPECT_FALSE(DecodeMembership(EncodeMembership(unsorted)).ok());
  Membership both = MembershipOf({1, 2}, {2});
  EXPECT_FALSE(DecodeMembership(EncodeMembership(both)).ok());
  Membership long_endpoint = MembershipOf({1});
  long_endpoint.voters[0].endpoints[0].assign(kEndpointBytesMax + 1, 'e');
  EXPECT_FALSE(DecodeMembership(EncodeMembership(long_endpoint)).ok());
  Entry large{LogIndex(1), Term(1), EntryKind::kCommand,
              Buffer::FromString(std::string(kEntryPayloadBytesMax + 1, 'x'))};
  EXPECT_FALSE(DecodeEntry(Buffer::FromString(EncodeEntry(large))).ok());
  Message negative = Envelope(TimeoutNow{});
  negative.term = Term(-1);
  EXPECT_FALSE(DecodeMessage(Buffer::FromString(EncodeMessage(negative))).ok());
  std::string newer = EncodeMessage(Envelope(TimeoutNow{}));
  newer[0] = kEncodingVersion + 1;
  EXPECT_FALSE(DecodeMessage(Buffer::FromString(newer)).ok());
}

// Writes the fuzzers' first inputs; does nothing unless asked.
TEST(RaftEncoding, WritesCorpus) {
  const char* folder = std::getenv("CATAMARAN_WRITE_CORPUS");
  if (folder == nullptr) GTEST_SKIP() << "CATAMARAN_WRITE_CORPUS names no folder";
  const auto write = [&](const std::string& name, const std::string& bytes) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  };
  for (MessageBody& body : Bodies()) {
    const std::string name = MessageName(body);
    write("raft_message_fuzz/" + name, EncodeMessage(Envelope(std::move(body))));
  }
  write("raft_record_fuzz/membership", std::string(1, 0) + EncodeMembership(Joint()));
  write("raft_record_fuzz/hard_state", "\x01" + EncodeHardState({Term(5), IdOf(3)}));
  write("raft_record_fuzz/snapshot", "\x02" + EncodeSnapshotMeta(Snapshot()));
  write("raft_record_fuzz/entry",
        "\x03" + EncodeEntry({LogIndex(7), Term(2), EntryKind::kNoOp, Buffer()}));
}

}  // namespace
}  // namespace catamaran::raft
