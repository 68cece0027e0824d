// What Raft's parts talk about: terms, indexes, members, entries and what must be on disk. Plain
// values; the core (raft.h), the store (raft/store) and the transport share them.
//
// Rules are cited as §n (the Raft paper, extended version) and "diss. n" (Ongaro's dissertation).
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/ids.h"

namespace catamaran::raft {

// A period with at most one leader (§5.1); 0 before the first election.
struct TermTag : IdTag<true> {};
using Term = StrongId<TermTag, int64_t>;
inline constexpr Term kNoTerm{0};

// An entry's place in the log; the first entry has 1, 0 stands before it.
struct LogIndexTag : IdTag<true> {};
using LogIndex = StrongId<LogIndexTag, int64_t>;
inline constexpr LogIndex kNoIndex{0};

// Who votes: a node with the directory that its votes are stored in. A node whose directory was
// wiped comes back as another replica, which can't contradict what the first one promised.
struct ReplicaId {
  BrokerId node = kNoBroker;
  DirectoryId directory;
  auto operator<=>(const ReplicaId&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const ReplicaId& id) {
    return H::combine(std::move(state), id.node, id.directory);
  }
};

// A member, with where it was last reachable. Endpoints ("host:port") are hints and may all be
// stale: who answers there is proved by the ReplicaId in the handshake.
struct Member {
  ReplicaId id;
  std::vector<std::string> endpoints;
  bool operator==(const Member&) const = default;
};

// Who takes part (diss. 4). Sorted by id without repeats; a learner is no voter of either set.
// In force from the moment it's in the log, committed or not (§6).
struct Membership {
  std::vector<Member> voters;
  // Not empty in a joint configuration only: the voters it leaves. Both sets must then agree.
  std::vector<Member> outgoing_voters;
  // Receive the log, count in no quorum, never campaign (diss. 4.2.1).
  std::vector<Member> learners;
  // In a joint configuration only: those of outgoing_voters that become learners when it's left.
  std::vector<Member> learners_next;

  bool is_joint() const { return !outgoing_voters.empty(); }
  bool operator==(const Membership&) const = default;
};

// Persisted, never renumber.
enum class EntryKind : uint8_t {
  kCommand = 1,     // the state machine's, opaque here
  kMembership = 2,  // payload: an encoded Membership (encoding.h)
  kNoOp = 3,        // a new leader's first (§8)
};

struct Entry {
  LogIndex index;
  Term term;
  EntryKind kind = EntryKind::kCommand;
  Buffer payload;
};
inline constexpr size_t kEntryPayloadBytesMax = size_t{2} << 20;

// The end of a log, by which logs are compared (§5.4.1): first by term, then by index.
struct LogPosition {
  Term term;
  LogIndex index;
  auto operator<=>(const LogPosition&) const = default;
};

// On disk before any message that attests it (figure 2). The term never falls; within a term the
// vote goes from none to one replica and stays.
struct HardState {
  Term term;
  std::optional<ReplicaId> vote;
  bool operator==(const HardState&) const = default;
};

// A snapshot takes the place of all entries up to and including `last`.
struct SnapshotMeta {
  LogPosition last;
  Membership membership;  // in force at `last`
  uint64_t bytes = 0;     // of the state machine's data
  uint32_t crc32c = 0;    // of the same
  bool operator==(const SnapshotMeta&) const = default;
};

}  // namespace catamaran::raft
