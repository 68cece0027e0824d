// What replicas say to each other: a struct per message. Every message carries who speaks, to whom
// and in which term; encoding.h gives the bytes.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// Would I get your vote? Message::term is the term that the sender would campaign in; neither
// side's state changes (diss. 9.6).
struct PreVoteRequest {
  LogPosition last;
};
// `granted`: Message::term is the term asked for; else it's the voter's own.
struct PreVoteReply {
  bool granted = false;
};

// §5.2, §5.4.1.
struct VoteRequest {
  LogPosition last;
  bool transfer = false;  // the leader itself asked for this election (diss. 3.10)
};
struct VoteReply {
  bool granted = false;
};

// §5.3. Entries follow `previous` without gaps.
struct AppendRequest {
  LogPosition previous;
  LogIndex commit;
  std::vector<Entry> entries;
};
struct AppendReply {
  bool success = false;
  // success: the sender's log is durable, and equal to the leader's, up to here. It's what the
  // request proved, not the sender's log end.
  LogIndex match;
  // Otherwise: AppendRequest::previous.index of what is refused, and where the logs may agree: the
  // sender's last entry at or before it whose term isn't above AppendRequest::previous.term.
  LogIndex refused;
  LogPosition hint;
};

// Keeps followers quiet, tells them the commit index, carries read rounds. Apart from appends, so
// that it never waits behind bulk data.
struct Heartbeat {
  LogIndex commit;     // at most what the addressee is known to hold
  uint64_t round = 0;  // 0: no reply is wanted
};
struct HeartbeatReply {
  uint64_t round = 0;
};

// §7. The part [offset, offset + data.size()) of a snapshot. Without data and before the end it's
// an offer, which the reply answers with what the receiver holds already.
struct SnapshotChunk {
  SnapshotMeta meta;
  uint64_t offset = 0;
  // Sent by the leader's core with `length` only: its driver fills `data` from the snapshot,
  // exactly this many bytes, before the message goes out.
  uint64_t length = 0;
  Buffer data;
  uint64_t sequence = 0;  // of this transfer's messages; the reply echoes it

  bool last() const { return offset + length == meta.bytes; }
};
enum class SnapshotStatus : uint8_t {
  kContinue = 1,   // next_offset is what to send next
  kInstalled = 2,  // durable
  kDamaged = 3,    // it was complete but wrong: begin again
};
struct SnapshotReply {
  LogPosition last;
  SnapshotStatus status = SnapshotStatus::kContinue;
  uint64_t next_offset = 0;
  uint64_t sequence = 0;
};

// Campaign now (diss. 3.10).
struct TimeoutNow {};

// A follower asks the leader for a read index (diss. 6.4); `nonce` names the asking process's run.
struct ReadIndexRequest {
  uint64_t id = 0;
  uint64_t nonce = 0;
};
struct ReadIndexReply {
  uint64_t id = 0;
  uint64_t nonce = 0;
  bool granted = false;
  LogIndex index;
};

// A leader to a replica that asks for votes though a committed configuration, which stands at
// `membership_index`, doesn't name it: fall silent.
struct NotMember {
  LogIndex membership_index;
};

// The order is the type's number on the wire, from 1: append only.
using MessageBody =
    std::variant<PreVoteRequest, PreVoteReply, VoteRequest, VoteReply, AppendRequest, AppendReply,
                 Heartbeat, HeartbeatReply, SnapshotChunk, SnapshotReply, TimeoutNow,
                 ReadIndexRequest, ReadIndexReply, NotMember>;

struct Message {
  ClusterId cluster;
  ReplicaId from;
  ReplicaId to;
  Term term;
  MessageBody body;
};

// "Append", "VoteReply" ...: for traces and metrics.
const char* MessageName(const MessageBody& body);

}  // namespace catamaran::raft
