#include "raft/store/records.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"
#include "raft/core/encoding.h"

namespace catamaran::raft {
namespace {

constexpr uint8_t kValueVersion = 1;
constexpr size_t kUuidBytes = 16;
constexpr size_t kCrcBytes = 4;

std::string_view WhatOf(StoreKey key) {
  switch (key) {
#define X(enumerator, kind, family, what) \
  case StoreKey::enumerator:              \
    return what;
    CATAMARAN_RAFT_STORE_KEYS(X)
#undef X
  }
  return "an unknown key";
}

absl::Status BadValue(std::string_view key, std::string_view why) {
  const auto kind = static_cast<StoreKey>(key.empty() ? 0 : key[0]);
  return CorruptStoreError(absl::StrCat("the value of ", std::string(WhatOf(kind)), " (key ",
                                        absl::BytesToHexString(std::string(key)), ") ",
                                        std::string(why)));
}

// --- The frame around every value ---------------------------------------------------------------
std::string Begin() { return std::string(1, static_cast<char>(kValueVersion)); }

std::string Seal(std::string_view key, std::string value) {
  AppendBigEndian<uint32_t>(&value, ExtendCrc32c(Crc32c(key), value));
  return value;
}

absl::StatusOr<std::string_view> Unseal(std::string_view key, std::string_view value) {
  if (value.size() < 1 + kCrcBytes) return BadValue(key, "is too short");
  const std::string_view covered = value.substr(0, value.size() - kCrcBytes);
  const auto crc = LoadBigEndian<uint32_t>(value.data() + covered.size());
  if (crc != ExtendCrc32c(Crc32c(key), covered)) return BadValue(key, "fails its checksum");
  if (static_cast<uint8_t>(covered[0]) != kValueVersion) {
    return BadValue(key, "has a version that this format doesn't have");
  }
  return covered.substr(1);
}

absl::Status Finished(std::string_view key, const ByteReader& reader) {
  if (reader.ok() && reader.remaining() == 0) return absl::OkStatus();
  return BadValue(key, "is malformed");
}

// --- Parts --------------------------------------------------------------------------------------
void AppendUuid(const Uuid& uuid, std::string* out) { *out += uuid.ToBytes(); }

Uuid ReadUuid(ByteReader* reader) {
  return Uuid::FromBytes(reader->ReadBytes(kUuidBytes)).value_or(Uuid());
}

void AppendReplica(const ReplicaId& replica, std::string* out) {
  AppendBigEndian<int32_t>(out, replica.node.value());
  AppendUuid(replica.directory.uuid, out);
}

ReplicaId ReadReplica(ByteReader* reader) {
  const BrokerId node(reader->ReadBigEndian<int32_t>());
  return {node, DirectoryId{ReadUuid(reader)}};
}

void AppendPosition(LogPosition position, std::string* out) {
  AppendBigEndian<int64_t>(out, position.term.value());
  AppendBigEndian<int64_t>(out, position.index.value());
}

LogPosition ReadPosition(ByteReader* reader) {
  const Term term(reader->ReadBigEndian<int64_t>());
  const LogIndex index(reader->ReadBigEndian<int64_t>());
  if (term < kNoTerm || index < kNoIndex) reader->Fail();
  return {term, index};
}

void AppendStoredSnapshot(const StoredSnapshot& snapshot, std::string* out) {
  AppendBigEndian<uint64_t>(out, snapshot.number);
  AppendPosition(snapshot.meta.last, out);
  AppendBigEndian<uint64_t>(out, snapshot.meta.bytes);
  AppendBigEndian<uint32_t>(out, snapshot.meta.crc32c);
  const std::string membership = EncodeMembership(snapshot.meta.membership);
  AppendBigEndian<uint32_t>(out, static_cast<uint32_t>(membership.size()));
  *out += membership;
}

StoredSnapshot ReadStoredSnapshot(ByteReader* reader) {
  StoredSnapshot snapshot;
  snapshot.number = reader->ReadBigEndian<uint64_t>();
  snapshot.meta.last = ReadPosition(reader);
  snapshot.meta.bytes = reader->ReadBigEndian<uint64_t>();
  snapshot.meta.crc32c = reader->ReadBigEndian<uint32_t>();
  const auto membership_bytes = reader->ReadBigEndian<uint32_t>();
  absl::StatusOr<Membership> membership = DecodeMembership(reader->ReadBytes(membership_bytes));
  if (membership.ok()) {
    snapshot.meta.membership = *std::move(membership);
  } else {
    reader->Fail();
  }
  return snapshot;
}

bool IsEntryKind(uint8_t kind) {
  switch (static_cast<EntryKind>(kind)) {
    case EntryKind::kCommand:
    case EntryKind::kMembership:
    case EntryKind::kNoOp:
      return true;
  }
  return false;
}

}  // namespace

std::string_view FamilyName(StoreFamily family) {
  switch (family) {
    case StoreFamily::kMeta:
      return "default";
    case StoreFamily::kEntries:
      return "entries";
    case StoreFamily::kSnapshots:
      return "snapshots";
  }
  return "";
}

StoreFamily FamilyOf(StoreKey key) {
  switch (key) {
#define X(enumerator, kind, family, what) \
  case StoreKey::enumerator:              \
    return StoreFamily::family;
    CATAMARAN_RAFT_STORE_KEYS(X)
#undef X
  }
  return StoreFamily::kMeta;
}

std::string MetaKey(StoreKey key) { return std::string(1, static_cast<char>(key)); }

std::string PeerKey(const ReplicaId& peer) {
  std::string key = MetaKey(StoreKey::kPeer);
  AppendReplica(peer, &key);
  return key;
}

std::string EntryKey(LogIndex index) {
  std::string key = MetaKey(StoreKey::kEntry);
  AppendBigEndian<int64_t>(&key, index.value());
  return key;
}

std::string ChunkKey(uint64_t snapshot, uint64_t position) {
  std::string key = MetaKey(StoreKey::kChunk);
  AppendBigEndian<uint64_t>(&key, snapshot);
  AppendBigEndian<uint64_t>(&key, position);
  return key;
}

absl::StatusOr<StoreKey> KindOfKey(std::string_view key) {
  const auto kind = static_cast<uint8_t>(key.empty() ? 0 : key[0]);
  switch (static_cast<StoreKey>(kind)) {
#define X(enumerator, number, family, what) case StoreKey::enumerator:
    CATAMARAN_RAFT_STORE_KEYS(X)
#undef X
    return static_cast<StoreKey>(kind);
  }
  return CorruptStoreError(absl::StrCat("there is a key of the unknown kind ", kind));
}

absl::StatusOr<ReplicaId> DecodePeerKey(std::string_view key) {
  ByteReader reader(key);
  const bool right_kind = reader.ReadBigEndian<uint8_t>() == static_cast<uint8_t>(StoreKey::kPeer);
  const ReplicaId peer = ReadReplica(&reader);
  if (!right_kind || !reader.ok() || reader.remaining() != 0) {
    return CorruptStoreError("a peer's key is malformed");
  }
  return peer;
}

absl::StatusOr<LogIndex> DecodeEntryKey(std::string_view key) {
  ByteReader reader(key);
  const bool right_kind = reader.ReadBigEndian<uint8_t>() == static_cast<uint8_t>(StoreKey::kEntry);
  const LogIndex index(reader.ReadBigEndian<int64_t>());
  if (!right_kind || !reader.ok() || reader.remaining() != 0 || index <= kNoIndex) {
    return CorruptStoreError("an entry's key is malformed");
  }
  return index;
}

absl::StatusOr<ChunkPlace> DecodeChunkKey(std::string_view key) {
  ByteReader reader(key);
  const bool right_kind = reader.ReadBigEndian<uint8_t>() == static_cast<uint8_t>(StoreKey::kChunk);
  ChunkPlace place;
  place.snapshot = reader.ReadBigEndian<uint64_t>();
  place.position = reader.ReadBigEndian<uint64_t>();
  if (!right_kind || !reader.ok() || reader.remaining() != 0) {
    return CorruptStoreError("a snapshot chunk's key is malformed");
  }
  return place;
}

std::string SealIdentity(const StoredIdentity& identity) {
  std::string value = Begin();
  AppendBigEndian<uint32_t>(&value, identity.format_version);
  AppendUuid(identity.identity.cluster.uuid, &value);
  AppendReplica(identity.identity.replica, &value);
  return Seal(MetaKey(StoreKey::kIdentity), std::move(value));
}

absl::StatusOr<StoredIdentity> UnsealIdentity(std::string_view value) {
  const std::string key = MetaKey(StoreKey::kIdentity);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  StoredIdentity stored;
  stored.format_version = reader.ReadBigEndian<uint32_t>();
  if (reader.ok() && stored.format_version > kStoreFormatVersion) {
    return MakeError(Reason::kUnsupportedVersion,
                     absl::StrCat("Raft's store has format version ", stored.format_version,
                                  " and this release reads up to ", kStoreFormatVersion,
                                  ". Start the release that wrote it, or a later one."),
                     {{"found_version", absl::StrCat(stored.format_version)},
                      {"supported_version", absl::StrCat(kStoreFormatVersion)}});
  }
  stored.identity.cluster = ClusterId{ReadUuid(&reader)};
  stored.identity.replica = ReadReplica(&reader);
  if (stored.format_version == 0) reader.Fail();
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return stored;
}

std::string SealStartCounter(uint64_t counter) {
  std::string value = Begin();
  AppendBigEndian<uint64_t>(&value, counter);
  return Seal(MetaKey(StoreKey::kStartCounter), std::move(value));
}

absl::StatusOr<uint64_t> UnsealStartCounter(std::string_view value) {
  const std::string key = MetaKey(StoreKey::kStartCounter);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  const auto counter = reader.ReadBigEndian<uint64_t>();
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return counter;
}

std::string SealHardState(const HardState& state) {
  std::string value = Begin();
  AppendBigEndian<int64_t>(&value, state.term.value());
  value.push_back(state.vote.has_value() ? 1 : 0);
  if (state.vote.has_value()) AppendReplica(*state.vote, &value);
  return Seal(MetaKey(StoreKey::kHardState), std::move(value));
}

absl::StatusOr<HardState> UnsealHardState(std::string_view value) {
  const std::string key = MetaKey(StoreKey::kHardState);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  HardState state;
  state.term = Term(reader.ReadBigEndian<int64_t>());
  const auto voted = reader.ReadBigEndian<uint8_t>();
  if (voted == 1) state.vote = ReadReplica(&reader);
  if (voted > 1 || state.term < kNoTerm) reader.Fail();
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return state;
}

std::string SealLogPosition(StoreKey key, LogPosition position) {
  CATAMARAN_CHECK(key == StoreKey::kLogBase || key == StoreKey::kLogEnd, "it holds a position");
  std::string value = Begin();
  AppendPosition(position, &value);
  return Seal(MetaKey(key), std::move(value));
}

absl::StatusOr<LogPosition> UnsealLogPosition(StoreKey kind, std::string_view value) {
  const std::string key = MetaKey(kind);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  const LogPosition position = ReadPosition(&reader);
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return position;
}

std::string SealSnapshot(const StoredSnapshot& snapshot) {
  std::string value = Begin();
  AppendStoredSnapshot(snapshot, &value);
  return Seal(MetaKey(StoreKey::kSnapshot), std::move(value));
}

absl::StatusOr<StoredSnapshot> UnsealSnapshot(std::string_view value) {
  const std::string key = MetaKey(StoreKey::kSnapshot);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  StoredSnapshot snapshot = ReadStoredSnapshot(&reader);
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return snapshot;
}

std::string SealUnfinishedSnapshot(const UnfinishedSnapshot& snapshot) {
  std::string value = Begin();
  AppendBigEndian<uint64_t>(&value, snapshot.bytes);
  AppendBigEndian<uint32_t>(&value, snapshot.crc32c);
  AppendStoredSnapshot(snapshot.snapshot, &value);
  return Seal(MetaKey(StoreKey::kUnfinishedSnapshot), std::move(value));
}

absl::StatusOr<UnfinishedSnapshot> UnsealUnfinishedSnapshot(std::string_view value) {
  const std::string key = MetaKey(StoreKey::kUnfinishedSnapshot);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  UnfinishedSnapshot snapshot;
  snapshot.bytes = reader.ReadBigEndian<uint64_t>();
  snapshot.crc32c = reader.ReadBigEndian<uint32_t>();
  snapshot.snapshot = ReadStoredSnapshot(&reader);
  if (snapshot.bytes > snapshot.snapshot.meta.bytes) reader.Fail();
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return snapshot;
}

std::string SealPeerCounter(const ReplicaId& peer, uint64_t counter) {
  std::string value = Begin();
  AppendBigEndian<uint64_t>(&value, counter);
  return Seal(PeerKey(peer), std::move(value));
}

absl::StatusOr<uint64_t> UnsealPeerCounter(const ReplicaId& peer, std::string_view value) {
  const std::string key = PeerKey(peer);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  const auto counter = reader.ReadBigEndian<uint64_t>();
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return counter;
}

std::string SealEntry(const Entry& entry) {
  std::string value = Begin();
  value.reserve(entry.payload.size() + 16);
  AppendBigEndian<int64_t>(&value, entry.term.value());
  value.push_back(static_cast<char>(entry.kind));
  value += entry.payload.view();
  return Seal(EntryKey(entry.index), std::move(value));
}

absl::StatusOr<Entry> UnsealEntry(LogIndex index, std::string_view value) {
  const std::string key = EntryKey(index);
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, Unseal(key, value));
  ByteReader reader(body);
  Entry entry;
  entry.index = index;
  entry.term = Term(reader.ReadBigEndian<int64_t>());
  const auto kind = reader.ReadBigEndian<uint8_t>();
  if (!IsEntryKind(kind) || entry.term <= kNoTerm) reader.Fail();
  if (reader.remaining() > kEntryPayloadBytesMax) reader.Fail();
  entry.kind = static_cast<EntryKind>(kind);
  entry.payload = Buffer::Copy(reader.ReadBytes(reader.remaining()));
  CATAMARAN_RETURN_IF_ERROR(Finished(key, reader));
  return entry;
}

std::string SealChunk(ChunkPlace place, std::string_view bytes) {
  std::string value = Begin();
  value.reserve(bytes.size() + 8);
  value += bytes;
  return Seal(ChunkKey(place.snapshot, place.position), std::move(value));
}

absl::StatusOr<std::string_view> UnsealChunk(ChunkPlace place, std::string_view value) {
  return Unseal(ChunkKey(place.snapshot, place.position), value);
}

}  // namespace catamaran::raft
