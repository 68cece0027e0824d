// What drivers say to each other: the messages of a connection (base/transport.h), one frame each.
// The first in either direction is a Hello, answered by a Welcome or a Refusal; only then anything
// else counts. Grammar of the bytes in framing.cc; golden bytes in tests/raft/driver.
//
// Thread-safe (pure). Decoding allocates no more than a constant factor of the input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "base/ids.h"
#include "raft/core/types.h"

namespace catamaran::raft {

inline constexpr uint32_t kProtocolVersion = 1;

// What a connection is for. Whoever connects speaks, the other side answers; so two nodes have a
// connection each way. Sent, never renumber.
enum class Lane : uint8_t {
  kControl = 1,    // votes, heartbeats, answers: never behind bulk data
  kBulk = 2,       // appends
  kSnapshot = 3,   // chunks
  kDiscovery = 4,  // who are you, who leads, let me join: to an endpoint, whoever is there
};

// Why a connection was refused. Sent, never renumber.
enum class RefusalReason : uint8_t {
  kUnsupportedVersion = 1,
  kWrongCluster = 2,
  kWrongAddressee = 3,  // another replica lives here
  kWrongSender = 4,     // claims to be the node that it talks to
  kOldStart = 5,        // seen in a later start: a restored copy or a clone
  kMalformed = 6,
  kNotReady = 7,  // belongs to no cluster yet, or its disk fails; later
  kTwin = 8,      // another process runs in the same start: a clone
};
const char* RefusalName(RefusalReason reason);

// Who speaks, to whom, in which of its starts, and where it can be reached.
struct Greeting {
  uint32_t version = kProtocolVersion;
  Lane lane = Lane::kControl;
  ClusterId cluster;  // nil: none yet
  ReplicaId from;
  // kNoBroker and nil: whoever is there. A node without a directory: whatever directory it has.
  ReplicaId to;
  uint64_t start_counter = 0;
  uint64_t run = 0;  // drawn at random by the process: tells twins in the same start
  std::vector<std::string> endpoints;  // as the sender advertises itself
};
struct Hello {
  Greeting greeting;
};
struct Welcome {
  Greeting greeting;
};
struct Refusal {
  RefusalReason reason = RefusalReason::kMalformed;
  ClusterId cluster;  // of the refusing side, as `from`
  ReplicaId from;
  uint64_t start_counter_seen = 0;  // kOldStart: the later one
  std::string text;                 // for a person
};

struct RaftFrame {
  Buffer message;  // raft/core/encoding.h
};

// Whoever connected asks whether the other side lives.
struct Ping {
  uint64_t number = 0;
};
struct Pong {
  uint64_t number = 0;
};

// How far a node is on its way into a cluster (founding.h).
enum class FoundingState : uint8_t {
  kFresh = 1,    // in none
  kPledged = 2,  // has adopted the cluster's id for ever, but isn't started
  kStarted = 3,
};

// Where a replica was in which of its starts: of a later start is better.
struct PeerHint {
  ReplicaId id;
  uint64_t start_counter = 0;
  std::vector<std::string> endpoints;
};

// Discovery: what do you know?
struct Ask {};
struct Report {
  FoundingState state = FoundingState::kFresh;
  ClusterId cluster;
  std::vector<BrokerId> founders;  // the node ids of the list that it was started with; sorted
  // kStarted: in force there. Empty: not known yet.
  Membership membership;
  std::optional<ReplicaId> leader;
  std::vector<PeerHint> hints;
};

// The founder of a cluster to those it names: adopt its id.
struct Pledge {
  ClusterId cluster;
  Membership membership;
};

// Take this replica in as a learner. Passed on to the leader; no answer: the joiner sees in its own
// log that it's a member, and asks again until then.
struct Join {
  ClusterId cluster;
  Member member;
  uint8_t hops = 0;  // how often it was passed on
};

// The order is the frame's number on the wire, from 1: append only.
using Frame =
    std::variant<Hello, Welcome, Refusal, RaftFrame, Ping, Pong, Ask, Report, Pledge, Join>;

// Limits of a frame, beside those of raft/core/config.h. Larger is malformed.
inline constexpr size_t kHintsMax = 2'048;
inline constexpr size_t kRefusalTextBytesMax = 1'024;
inline constexpr size_t kFoundersMax = 7;

Buffer EncodeFrame(const Frame& frame);
// INVALID_ARGUMENT, with what doesn't hold. Of a greeting of another protocol version only the
// version is read. A RaftFrame's message shares `bytes`.
absl::StatusOr<Frame> DecodeFrame(const Buffer& bytes);

}  // namespace catamaran::raft
