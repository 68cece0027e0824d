// What a database holds, verified before anything is written to it.
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "raft/store/kv_log_store.h"

namespace catamaran::raft {
namespace {

absl::Status Mismatch(std::string_view what, const std::string& found,
                      const std::string& expected) {
  return MakeError(Reason::kDirectoryMismatch,
                   absl::StrCat("Raft's store belongs to ", std::string(what), " ", found,
                                " and this node is ", expected, ". Point it at its own directory."),
                   {{"found", found}, {"expected", expected}});
}

absl::Status CheckIdentity(const StoreIdentity& found, const StoreIdentity& expected) {
  if (found.replica.node != expected.replica.node) {
    return Mismatch("node", absl::StrCat(found.replica.node.value()),
                    absl::StrCat(expected.replica.node.value()));
  }
  if (found.replica.directory != expected.replica.directory) {
    return Mismatch("directory", found.replica.directory.uuid.ToString(),
                    expected.replica.directory.uuid.ToString());
  }
  const bool known = !found.cluster.uuid.is_nil() && !expected.cluster.uuid.is_nil();
  if (known && found.cluster != expected.cluster) {
    return Mismatch("cluster", found.cluster.uuid.ToString(), expected.cluster.uuid.ToString());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Need(Kv& kv, StoreKey key, std::string_view name) {
  CATAMARAN_ASSIGN_OR_RETURN(std::optional<std::string> value,
                             kv.Get(StoreFamily::kMeta, MetaKey(key)));
  if (!value.has_value()) return CorruptStoreError(absl::StrCat(std::string(name), " is missing"));
  return *std::move(value);
}

std::string Text(LogPosition position) {
  return absl::StrCat("(term ", position.term.value(), ", index ", position.index.value(), ")");
}

absl::StatusOr<bool> IsEmpty(Kv& kv) {
  bool empty = true;
  for (const StoreFamily family :
       {StoreFamily::kMeta, StoreFamily::kEntries, StoreFamily::kSnapshots}) {
    CATAMARAN_RETURN_IF_ERROR(
        kv.Scan(family, "", [&](std::string_view, std::string_view) -> absl::StatusOr<bool> {
          empty = false;
          return false;
        }));
  }
  return empty;
}

absl::Status ReadPeers(Kv& kv, OpenedStore* opened) {
  return kv.Scan(StoreFamily::kMeta, MetaKey(StoreKey::kPeer),
                 [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                   CATAMARAN_ASSIGN_OR_RETURN(const ReplicaId peer, DecodePeerKey(key));
                   CATAMARAN_ASSIGN_OR_RETURN(const uint64_t counter,
                                              UnsealPeerCounter(peer, value));
                   opened->peer_start_counters.emplace(peer, counter);
                   return true;
                 });
}

// No key but those of the table, and each in its family.
absl::Status CheckMetaKeys(Kv& kv) {
  return kv.Scan(StoreFamily::kMeta, "",
                 [&](std::string_view key, std::string_view) -> absl::StatusOr<bool> {
                   CATAMARAN_ASSIGN_OR_RETURN(const StoreKey kind, KindOfKey(key));
                   const bool whole = kind == StoreKey::kPeer || key.size() == 1;
                   if (FamilyOf(kind) == StoreFamily::kMeta && whole) return true;
                   return CorruptStoreError("a key stands in another family than its own");
                 });
}

absl::Status ReadLog(Kv& kv, OpenedStore* opened) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::string base,
                             Need(kv, StoreKey::kLogBase, "the log's base"));
  CATAMARAN_ASSIGN_OR_RETURN(const LogPosition begin, UnsealLogPosition(StoreKey::kLogBase, base));
  CATAMARAN_ASSIGN_OR_RETURN(const std::string end, Need(kv, StoreKey::kLogEnd, "the log's end"));
  CATAMARAN_ASSIGN_OR_RETURN(const LogPosition last, UnsealLogPosition(StoreKey::kLogEnd, end));
  LogShape& log = opened->log;
  log = LogShape(begin);
  CATAMARAN_RETURN_IF_ERROR(
      kv.Scan(StoreFamily::kEntries, "",
              [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
                CATAMARAN_ASSIGN_OR_RETURN(const LogIndex index, DecodeEntryKey(key));
                CATAMARAN_ASSIGN_OR_RETURN(Entry entry, UnsealEntry(index, value));
                const LogPosition position{entry.term, index};
                if (!log.MayFollow(position)) {
                  return CorruptStoreError(absl::StrCat("the entry at ", Text(position),
                                                        " can't follow ", Text(log.last())));
                }
                log.Append(position);
                if (entry.kind == EntryKind::kMembership) {
                  opened->memberships.push_back(std::move(entry));
                }
                return true;
              }));
  if (log.last() != last) {
    return CorruptStoreError(
        absl::StrCat("the log should end at ", Text(last), " and ends at ", Text(log.last())));
  }
  if (opened->hard_state.term < last.term) {
    return CorruptStoreError(absl::StrCat("the log ends at ", Text(last), " but the term is ",
                                          opened->hard_state.term.value()));
  }
  return absl::OkStatus();
}

// Every chunk of one snapshot, in order: how many bytes, and their CRC.
struct ChunkSum {
  uint64_t bytes = 0;
  uint32_t crc32c = 0;
};

absl::Status CheckChunks(Kv& kv, const FoundStore& found) {
  std::map<uint64_t, ChunkSum> sums;  // by the snapshot's number
  if (found.snapshot.has_value()) sums[found.snapshot->number];
  if (found.unfinished.has_value()) sums[found.unfinished->snapshot.number];
  CATAMARAN_RETURN_IF_ERROR(kv.Scan(
      StoreFamily::kSnapshots, "",
      [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
        CATAMARAN_ASSIGN_OR_RETURN(const ChunkPlace place, DecodeChunkKey(key));
        CATAMARAN_ASSIGN_OR_RETURN(const std::string_view bytes, UnsealChunk(place, value));
        const auto sum = sums.find(place.snapshot);
        if (sum == sums.end() || sum->second.bytes != place.position || bytes.empty()) {
          return CorruptStoreError(absl::StrCat("byte ", place.position, " of snapshot ",
                                                place.snapshot, " stands where it doesn't belong"));
        }
        sum->second.bytes += bytes.size();
        sum->second.crc32c = ExtendCrc32c(sum->second.crc32c, bytes);
        return true;
      }));
  const auto matches = [&](uint64_t number, uint64_t bytes, uint32_t crc32c) {
    const ChunkSum& sum = sums[number];
    return sum.bytes == bytes && sum.crc32c == crc32c;
  };
  if (found.snapshot.has_value() &&
      !matches(found.snapshot->number, found.snapshot->meta.bytes, found.snapshot->meta.crc32c)) {
    return CorruptStoreError("the snapshot's bytes aren't those that it was made of");
  }
  if (found.unfinished.has_value() && !matches(found.unfinished->snapshot.number,
                                               found.unfinished->bytes, found.unfinished->crc32c)) {
    return CorruptStoreError("the unfinished snapshot's bytes aren't those that it was given");
  }
  return absl::OkStatus();
}

absl::Status ReadSnapshots(Kv& kv, FoundStore* found) {
  OpenedStore& opened = found->opened;
  CATAMARAN_ASSIGN_OR_RETURN(const auto current,
                             kv.Get(StoreFamily::kMeta, MetaKey(StoreKey::kSnapshot)));
  if (current.has_value()) {
    CATAMARAN_ASSIGN_OR_RETURN(found->snapshot, UnsealSnapshot(*current));
    opened.snapshot = found->snapshot->meta;
  }
  CATAMARAN_ASSIGN_OR_RETURN(const auto unfinished,
                             kv.Get(StoreFamily::kMeta, MetaKey(StoreKey::kUnfinishedSnapshot)));
  if (unfinished.has_value()) {
    CATAMARAN_ASSIGN_OR_RETURN(found->unfinished, UnsealUnfinishedSnapshot(*unfinished));
    opened.unfinished_snapshot = found->unfinished->snapshot.meta;
    opened.unfinished_bytes = found->unfinished->bytes;
    opened.unfinished_crc32c = found->unfinished->crc32c;
  }
  // The snapshot covers what was compacted, and ends inside the log.
  const bool fits = opened.snapshot.has_value()
                        ? opened.log.base().index <= opened.snapshot->last.index &&
                              opened.log.Contains(opened.snapshot->last)
                        : opened.log.base() == LogPosition{};
  if (!fits) {
    return CorruptStoreError(absl::StrCat(
        "the log begins after ", Text(opened.log.base()), " and ends at ", Text(opened.log.last()),
        opened.snapshot.has_value()
            ? absl::StrCat(", which the snapshot of ", Text(opened.snapshot->last), " doesn't fit")
            : std::string(" without a snapshot")));
  }
  return CheckChunks(kv, *found);
}

}  // namespace

absl::StatusOr<FoundStore> InspectStore(Kv& kv, const StoreIdentity& expected) {
  FoundStore found;
  CATAMARAN_ASSIGN_OR_RETURN(found.empty, IsEmpty(kv));
  if (found.empty) return found;
  OpenedStore& opened = found.opened;
  // First, because a later format may have other keys.
  CATAMARAN_ASSIGN_OR_RETURN(const std::string identity,
                             Need(kv, StoreKey::kIdentity, "the identity"));
  CATAMARAN_ASSIGN_OR_RETURN(const StoredIdentity stored, UnsealIdentity(identity));
  opened.identity = stored.identity;
  CATAMARAN_RETURN_IF_ERROR(CheckIdentity(opened.identity, expected));
  CATAMARAN_RETURN_IF_ERROR(CheckMetaKeys(kv));
  CATAMARAN_ASSIGN_OR_RETURN(const std::string counter,
                             Need(kv, StoreKey::kStartCounter, "the start counter"));
  CATAMARAN_ASSIGN_OR_RETURN(opened.start_counter, UnsealStartCounter(counter));
  CATAMARAN_ASSIGN_OR_RETURN(const std::string state,
                             Need(kv, StoreKey::kHardState, "the hard state"));
  CATAMARAN_ASSIGN_OR_RETURN(opened.hard_state, UnsealHardState(state));
  CATAMARAN_RETURN_IF_ERROR(ReadPeers(kv, &opened));
  CATAMARAN_RETURN_IF_ERROR(ReadLog(kv, &opened));
  CATAMARAN_RETURN_IF_ERROR(ReadSnapshots(kv, &found));
  return found;
}

}  // namespace catamaran::raft
