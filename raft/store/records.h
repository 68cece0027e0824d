// The keys and values that a store persists, one table of them, and their bytes (docs/formats.md,
// "Raft store"). Pure; every decoder takes arbitrary bytes and refuses with kCorruptLog.
//
//   key   = kind:u8 suffix
//   value = version:u8 body crc:u32      ; CRC-32C of key, version and body: a value that stands
//                                        ; under another key doesn't hold
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"
#include "raft/store/log_store.h"
#include "raft/store/store_errors.h"

namespace catamaran::raft {

// X(enumerator, kind, column family, what)
// Persisted, never renumber; each has a round-trip test (tests/raft/store/records_test.cc).
#define CATAMARAN_RAFT_STORE_KEYS(X)                                    \
  X(kIdentity, 1, kMeta, "format version, cluster, node and directory") \
  X(kStartCounter, 2, kMeta, "starts of this store")                    \
  X(kHardState, 3, kMeta, "term and vote")                              \
  X(kLogBase, 4, kMeta, "position before the first entry")              \
  X(kLogEnd, 5, kMeta, "position of the last entry")                    \
  X(kSnapshot, 6, kMeta, "the current snapshot")                        \
  X(kUnfinishedSnapshot, 7, kMeta, "a snapshot that is being written")  \
  X(kPeer, 8, kMeta, "highest start counter seen of a peer")            \
  X(kEntry, 9, kEntries, "a log entry")                                 \
  X(kChunk, 10, kSnapshots, "bytes of a snapshot")

enum class StoreKey : uint8_t {
#define X(enumerator, kind, family, what) enumerator = kind,
  CATAMARAN_RAFT_STORE_KEYS(X)
#undef X
};

// Persisted, never rename: column families by name.
enum class StoreFamily : uint8_t { kMeta, kEntries, kSnapshots };
inline constexpr int kStoreFamilies = 3;
std::string_view FamilyName(StoreFamily family);  // "default", "entries", "snapshots"
StoreFamily FamilyOf(StoreKey key);

// --- Keys ---------------------------------------------------------------------------------------
std::string MetaKey(StoreKey key);  // those of kMeta but kPeer: no suffix
std::string PeerKey(const ReplicaId& peer);
std::string EntryKey(LogIndex index);  // in the order of indexes
// Of the bytes from `position` on of the snapshot with this number; in the order of positions.
std::string ChunkKey(uint64_t snapshot, uint64_t position);
absl::StatusOr<StoreKey> KindOfKey(std::string_view key);
absl::StatusOr<ReplicaId> DecodePeerKey(std::string_view key);
absl::StatusOr<LogIndex> DecodeEntryKey(std::string_view key);
struct ChunkPlace {
  uint64_t snapshot = 0;
  uint64_t position = 0;
};
absl::StatusOr<ChunkPlace> DecodeChunkKey(std::string_view key);

// --- Values -------------------------------------------------------------------------------------
struct StoredIdentity {
  uint32_t format_version = kStoreFormatVersion;
  StoreIdentity identity;
};
// Snapshots are numbered from 1 in the order begun; a number names its chunks.
struct StoredSnapshot {
  uint64_t number = 0;
  SnapshotMeta meta;
  bool operator==(const StoredSnapshot&) const = default;
};
struct UnfinishedSnapshot {
  StoredSnapshot snapshot;
  uint64_t bytes = 0;   // durable so far
  uint32_t crc32c = 0;  // of these
  bool operator==(const UnfinishedSnapshot&) const = default;
};

std::string SealIdentity(const StoredIdentity& identity);
std::string SealStartCounter(uint64_t counter);
std::string SealHardState(const HardState& state);
std::string SealLogPosition(StoreKey key, LogPosition position);  // kLogBase, kLogEnd
std::string SealSnapshot(const StoredSnapshot& snapshot);
std::string SealUnfinishedSnapshot(const UnfinishedSnapshot& snapshot);
std::string SealPeerCounter(const ReplicaId& peer, uint64_t counter);
std::string SealEntry(const Entry& entry);
std::string SealChunk(ChunkPlace place, std::string_view bytes);

// A newer format version is kUnsupportedVersion. The frame and the version at the head of the body
// stay as they are in every later format, so that this can be told.
absl::StatusOr<StoredIdentity> UnsealIdentity(std::string_view value);
absl::StatusOr<uint64_t> UnsealStartCounter(std::string_view value);
absl::StatusOr<HardState> UnsealHardState(std::string_view value);
absl::StatusOr<LogPosition> UnsealLogPosition(StoreKey key, std::string_view value);
absl::StatusOr<StoredSnapshot> UnsealSnapshot(std::string_view value);
absl::StatusOr<UnfinishedSnapshot> UnsealUnfinishedSnapshot(std::string_view value);
absl::StatusOr<uint64_t> UnsealPeerCounter(const ReplicaId& peer, std::string_view value);
absl::StatusOr<Entry> UnsealEntry(LogIndex index, std::string_view value);
// The view is into `value`.
absl::StatusOr<std::string_view> UnsealChunk(ChunkPlace place, std::string_view value);

}  // namespace catamaran::raft
