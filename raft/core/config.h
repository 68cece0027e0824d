// What a replica is, and every limit of the core.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/ids.h"
#include "raft/core/types.h"

namespace catamaran::raft {

// Limits of a membership (encoding.h refuses more).
inline constexpr size_t kVotersMax = 7;
inline constexpr size_t kLearnersMax = 1'024;
inline constexpr size_t kEndpointsMax = 8;
inline constexpr size_t kEndpointBytesMax = 256;

// Limits of a message.
inline constexpr size_t kAppendEntriesMax = 4'096;
inline constexpr size_t kAppendBytesMax = size_t{4} << 20;
inline constexpr size_t kChunkDataBytesMax = size_t{1} << 20;
static_assert(kAppendBytesMax >= kEntryPayloadBytesMax, "the largest entry fits into an append");

struct Config {
  ClusterId cluster;
  ReplicaId self;

  // A follower that hears nothing waits between once and twice this (§5.2); a leader without a
  // quorum steps down after it once. Must exceed the heartbeat interval several times.
  Duration election_timeout_min = std::chrono::milliseconds(1'000);
  Duration heartbeat_interval = std::chrono::milliseconds(100);
  // How long at most to wait when the leader's stream was closed; spreads the candidates.
  Duration closed_stream_wait_max = std::chrono::milliseconds(50);
  // In flight for longer than this without an answer: probe again.
  Duration retransmit_after = std::chrono::milliseconds(500);

  // Per follower. An append always takes at least one entry.
  size_t append_entries_max = 1'024;
  size_t append_bytes_max = size_t{1} << 20;
  size_t in_flight_messages_max = 64;
  size_t in_flight_bytes_max = size_t{8} << 20;
  size_t snapshot_chunk_bytes_max = kChunkDataBytesMax;

  // Proposals that were not committed yet; more are rejected as overloaded.
  size_t uncommitted_entries_max = 16'384;
  size_t uncommitted_bytes_max = size_t{64} << 20;
  size_t reads_waiting_max = 4'096;
  // Handed to the state machine and not yet reported as applied.
  int64_t unapplied_entries_max = 4'096;

  // A snapshot is asked for when the log that stands after the last one exceeds either; so many
  // entries before it are kept for followers that lag a little.
  int64_t snapshot_after_entries = 100'000;
  size_t snapshot_after_bytes = size_t{64} << 20;
  int64_t entries_kept = 1'000;

  // A learner has caught up when the last round of replication to it took no longer (diss. 4.2.1).
  Duration catch_up_round_max = std::chrono::milliseconds(1'000);
};

}  // namespace catamaran::raft
