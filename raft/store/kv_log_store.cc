#include "raft/store/kv_log_store.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"

namespace catamaran::raft {
namespace {

using Family = StoreFamily;

void DropChunks(uint64_t snapshot, KvBatch* batch) {
  batch->DeleteRange(Family::kSnapshots, ChunkKey(snapshot, 0), ChunkKey(snapshot + 1, 0));
}

void DropEntries(LogIndex first, LogIndex end, KvBatch* batch) {
  batch->DeleteRange(Family::kEntries, EntryKey(first), EntryKey(end));
}

absl::Status Replaced(LogPosition asked) {
  return MakeError(Reason::kVersionMismatch,
                   absl::StrCat("The snapshot of index ", asked.index.value(), " and term ",
                                asked.term.value(), " isn't there any more; begin again."));
}

class KvLogStore final : public LogStore {
 public:
  KvLogStore(std::unique_ptr<Kv> kv, FoundStore found)
      : kv_(std::move(kv)),
        opened_(std::move(found.opened)),
        identity_(opened_.identity),
        hard_state_(opened_.hard_state),
        log_(opened_.log),
        peers_(opened_.peer_start_counters),
        snapshot_(std::move(found.snapshot)),
        unfinished_(std::move(found.unfinished)) {}

  const OpenedStore& opened() const override { return opened_; }
  LogStoreStats stats() const override { return stats_; }

  absl::Status AdoptCluster(ClusterId cluster) override;
  absl::Status ObservePeer(const ReplicaId& peer, uint64_t counter) override;
  absl::Status ForgetPeer(const ReplicaId& peer) override;
  absl::Status Write(const LogWrite& write) override;
  absl::StatusOr<std::vector<Entry>> ReadEntries(LogIndex first, LogIndex end,
                                                 size_t bytes_max) override;
  absl::StatusOr<uint64_t> BeginSnapshot(const SnapshotMeta& meta) override;
  absl::Status AppendSnapshot(LogPosition last, uint64_t position, std::string_view bytes) override;
  absl::StatusOr<LogShape> FinishSnapshot(LogPosition last) override;
  absl::StatusOr<Buffer> ReadSnapshot(LogPosition last, uint64_t position,
                                      size_t bytes_max) override;
  absl::Status CompactLog(LogIndex index) override;

 private:
  absl::Status Commit(const KvBatch& batch);
  // Remembers damage that a read met, so that nothing is written beside it any more.
  absl::Status Latch(absl::Status status);
  void CheckWrite(const LogWrite& write) const;
  absl::Status DropUnfinished();

  const std::unique_ptr<Kv> kv_;
  const OpenedStore opened_;
  // What is durable. Invariant: equal to what InspectStore would find, unless latched_.
  StoreIdentity identity_;
  HardState hard_state_;
  LogShape log_;
  std::map<ReplicaId, uint64_t> peers_;
  std::optional<StoredSnapshot> snapshot_;
  std::optional<UnfinishedSnapshot> unfinished_;

  absl::Status latched_;  // the first failure after which nothing is known of the disk
  bool full_ = false;     // the last write was refused for want of space
  LogStoreStats stats_;
};

absl::Status KvLogStore::Latch(absl::Status status) {
  if (latched_.ok() && !status.ok() && ReasonOf(status) != Reason::kStorageFull) {
    latched_ = status;
  }
  return status;
}

absl::Status KvLogStore::Commit(const KvBatch& batch) {
  CATAMARAN_RETURN_IF_ERROR(latched_);
  const absl::Status status = Latch(kv_->Write(batch));
  if (status.ok()) {
    ++stats_.writes;
    stats_.resumes += full_ ? 1 : 0;
    full_ = false;
  } else if (ReasonOf(status) == Reason::kStorageFull) {
    ++stats_.refused_full;
    full_ = true;
  }
  return status;
}

absl::Status KvLogStore::AdoptCluster(ClusterId cluster) {
  CATAMARAN_CHECK(!cluster.uuid.is_nil(), "a cluster has an id");
  if (identity_.cluster == cluster) return latched_;
  if (!identity_.cluster.uuid.is_nil()) {
    return MakeError(
        Reason::kDirectoryMismatch,
        absl::StrCat("This node belongs to cluster ", identity_.cluster.uuid.ToString(),
                     " and can't join cluster ", cluster.uuid.ToString(),
                     ". Start it on an empty directory to join another cluster."),
        {{"found", identity_.cluster.uuid.ToString()}, {"expected", cluster.uuid.ToString()}});
  }
  StoreIdentity next = identity_;
  next.cluster = cluster;
  KvBatch batch;
  batch.Put(Family::kMeta, MetaKey(StoreKey::kIdentity), SealIdentity({kStoreFormatVersion, next}));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  identity_ = next;
  return absl::OkStatus();
}

absl::Status KvLogStore::ObservePeer(const ReplicaId& peer, uint64_t counter) {
  const auto seen = peers_.find(peer);
  if (seen != peers_.end() && counter < seen->second) {
    return MakeError(
        Reason::kDirectoryMismatch,
        absl::StrCat("Node ", peer.node.value(),
                     " runs on a restored copy or a clone of directory ",
                     peer.directory.uuid.ToString(), ": it is in start ", counter,
                     " and has been seen in start ", seen->second,
                     ". Start it on an empty directory, so that it joins as a new replica."),
        {{"node_id", absl::StrCat(peer.node.value())},
         {"directory_id", peer.directory.uuid.ToString()},
         {"start_counter", absl::StrCat(counter)},
         {"seen_start_counter", absl::StrCat(seen->second)}});
  }
  if (seen != peers_.end() && counter == seen->second) return latched_;
  if (seen == peers_.end() && peers_.size() >= kPeersMax) {
    return MakeError(Reason::kLimitExceeded,
                     absl::StrCat("More than ", kPeersMax,
                                  " replicas have been seen. Remove dead "
                                  "members from the quorum."),
                     {{"limit", absl::StrCat(kPeersMax)}});
  }
  KvBatch batch;
  batch.Put(Family::kMeta, PeerKey(peer), SealPeerCounter(peer, counter));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  peers_[peer] = counter;
  return absl::OkStatus();
}

absl::Status KvLogStore::ForgetPeer(const ReplicaId& peer) {
  if (!peers_.contains(peer)) return latched_;
  KvBatch batch;
  batch.Delete(Family::kMeta, PeerKey(peer));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  peers_.erase(peer);
  return absl::OkStatus();
}

void KvLogStore::CheckWrite(const LogWrite& write) const {
  if (write.hard_state.has_value()) {
    const HardState& next = *write.hard_state;
    CATAMARAN_CHECK(next.term >= hard_state_.term, "the term doesn't fall");
    CATAMARAN_CHECK(next.term > hard_state_.term || !hard_state_.vote.has_value() ||
                        next.vote == hard_state_.vote,
                    "within a term a vote isn't changed");
  }
  LogPosition last = log_.last();
  if (write.truncate_from.has_value()) {
    CATAMARAN_CHECK(*write.truncate_from > log_.base().index, "what was compacted stays");
    CATAMARAN_CHECK(!snapshot_.has_value() || *write.truncate_from > snapshot_->meta.last.index,
                    "what a snapshot covers is committed");
    if (*write.truncate_from <= last.index) {
      last = {*log_.TermAt(*write.truncate_from - 1), *write.truncate_from - 1};
    }
  }
  for (const Entry& entry : write.entries) {
    CATAMARAN_CHECK(entry.index == last.index + 1, "entries are contiguous");
    CATAMARAN_CHECK(entry.term >= last.term && entry.term > kNoTerm, "terms don't fall");
    CATAMARAN_CHECK(entry.payload.size() <= kEntryPayloadBytesMax, "an entry has a limit");
    last = {entry.term, entry.index};
  }
  const HardState& state = write.hard_state.has_value() ? *write.hard_state : hard_state_;
  CATAMARAN_CHECK(last.term <= state.term, "an entry's term is at most the current one");
}

absl::Status KvLogStore::Write(const LogWrite& write) {
  CheckWrite(write);
  KvBatch batch;
  if (write.hard_state.has_value()) {
    batch.Put(Family::kMeta, MetaKey(StoreKey::kHardState), SealHardState(*write.hard_state));
  }
  LogPosition last = log_.last();
  if (write.truncate_from.has_value() && *write.truncate_from <= last.index) {
    DropEntries(*write.truncate_from, last.index + 1, &batch);
    last = {*log_.TermAt(*write.truncate_from - 1), *write.truncate_from - 1};
  }
  size_t payload_bytes = 0;
  for (const Entry& entry : write.entries) {
    batch.Put(Family::kEntries, EntryKey(entry.index), SealEntry(entry));
    payload_bytes += entry.payload.size();
    last = {entry.term, entry.index};
  }
  if (last != log_.last()) {
    batch.Put(Family::kMeta, MetaKey(StoreKey::kLogEnd), SealLogPosition(StoreKey::kLogEnd, last));
  }
  CATAMARAN_CHECK(batch.bytes() <= kLogWriteBytesMax, "a write has a limit");
  if (batch.empty()) return latched_;
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  if (write.hard_state.has_value()) hard_state_ = *write.hard_state;
  if (write.truncate_from.has_value()) log_.TruncateFrom(*write.truncate_from);
  for (const Entry& entry : write.entries) log_.Append({entry.term, entry.index});
  stats_.entries += write.entries.size();
  stats_.entry_bytes += payload_bytes;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Entry>> KvLogStore::ReadEntries(LogIndex first, LogIndex end,
                                                           size_t bytes_max) {
  CATAMARAN_CHECK(first <= end, "a range has an order");
  std::vector<Entry> entries;
  if (first == end) return entries;
  if (first <= log_.base().index || end > log_.last().index + 1) {
    return MakeError(
        Reason::kOffsetOutOfRange,
        absl::StrCat("The log holds the entries from ", log_.first_index().value(), " to ",
                     log_.last().index.value(), "; ", first.value(), " to ", (end - 1).value(),
                     " aren't all there. Send a snapshot instead of what was compacted."),
        {{"first_index", absl::StrCat(log_.first_index().value())},
         {"last_index", absl::StrCat(log_.last().index.value())}});
  }
  size_t bytes = 0;
  LogIndex next = first;
  const absl::Status status = kv_->Scan(
      Family::kEntries, EntryKey(first),
      [&](std::string_view key, std::string_view value) -> absl::StatusOr<bool> {
        CATAMARAN_ASSIGN_OR_RETURN(const LogIndex index, DecodeEntryKey(key));
        CATAMARAN_ASSIGN_OR_RETURN(Entry entry, UnsealEntry(index, value));
        if (index != next || entry.term != log_.TermAt(index)) {
          return CorruptStoreError(absl::StrCat("the entry at index ", next.value(), " is gone"));
        }
        bytes += entry.payload.size();
        if (!entries.empty() && bytes > bytes_max) return false;
        entries.push_back(std::move(entry));
        next += 1;
        return next < end;
      });
  CATAMARAN_RETURN_IF_ERROR(Latch(status));
  if (entries.empty()) {
    return Latch(CorruptStoreError(absl::StrCat("the entry at index ", first.value(), " is gone")));
  }
  return entries;
}

absl::StatusOr<uint64_t> KvLogStore::BeginSnapshot(const SnapshotMeta& meta) {
  CATAMARAN_RETURN_IF_ERROR(latched_);
  if (snapshot_.has_value() && meta.last.index <= snapshot_->meta.last.index) {
    return MakeError(Reason::kVersionMismatch,
                     absl::StrCat("The snapshot of index ", meta.last.index.value(),
                                  " is no newer than the current one, of index ",
                                  snapshot_->meta.last.index.value(), "; it isn't needed."));
  }
  if (unfinished_.has_value() && unfinished_->snapshot.meta == meta) return unfinished_->bytes;
  uint64_t number = snapshot_.has_value() ? snapshot_->number + 1 : 1;
  KvBatch batch;
  if (unfinished_.has_value()) {
    DropChunks(unfinished_->snapshot.number, &batch);
    number = std::max(number, unfinished_->snapshot.number + 1);
  }
  const UnfinishedSnapshot next{{number, meta}, 0, 0};
  batch.Put(Family::kMeta, MetaKey(StoreKey::kUnfinishedSnapshot), SealUnfinishedSnapshot(next));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  unfinished_ = next;
  return 0;
}

absl::Status KvLogStore::AppendSnapshot(LogPosition last, uint64_t position,
                                        std::string_view bytes) {
  CATAMARAN_CHECK(!bytes.empty() && bytes.size() <= kSnapshotChunkBytesMax, "a chunk has a limit");
  CATAMARAN_RETURN_IF_ERROR(latched_);
  if (!unfinished_.has_value() || unfinished_->snapshot.meta.last != last) return Replaced(last);
  if (position != unfinished_->bytes ||
      bytes.size() > unfinished_->snapshot.meta.bytes - unfinished_->bytes) {
    return MakeError(Reason::kOffsetOutOfRange,
                     absl::StrCat("The snapshot has ", unfinished_->bytes, " of ",
                                  unfinished_->snapshot.meta.bytes, " bytes; ", bytes.size(),
                                  " bytes at ", position, " don't follow. Go on from there."),
                     {{"position", absl::StrCat(unfinished_->bytes)}});
  }
  UnfinishedSnapshot next = *unfinished_;
  next.bytes += bytes.size();
  next.crc32c = ExtendCrc32c(next.crc32c, bytes);
  const ChunkPlace place{next.snapshot.number, position};
  KvBatch batch;
  batch.Put(Family::kSnapshots, ChunkKey(place.snapshot, place.position), SealChunk(place, bytes));
  batch.Put(Family::kMeta, MetaKey(StoreKey::kUnfinishedSnapshot), SealUnfinishedSnapshot(next));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  unfinished_ = std::move(next);
  return absl::OkStatus();
}

absl::Status KvLogStore::DropUnfinished() {
  KvBatch batch;
  DropChunks(unfinished_->snapshot.number, &batch);
  batch.Delete(Family::kMeta, MetaKey(StoreKey::kUnfinishedSnapshot));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  unfinished_.reset();
  return absl::OkStatus();
}

absl::StatusOr<LogShape> KvLogStore::FinishSnapshot(LogPosition last) {
  CATAMARAN_RETURN_IF_ERROR(latched_);
  if (!unfinished_.has_value() || unfinished_->snapshot.meta.last != last) return Replaced(last);
  const SnapshotMeta& meta = unfinished_->snapshot.meta;
  if (unfinished_->bytes != meta.bytes || unfinished_->crc32c != meta.crc32c) {
    const std::string found = absl::StrCat(unfinished_->bytes, " bytes of ", meta.bytes);
    CATAMARAN_RETURN_IF_ERROR(DropUnfinished());
    return MakeError(
        Reason::kCorruptBatch,
        absl::StrCat("The snapshot of index ", last.index.value(), " arrived as ", found,
                     " or with another checksum, and was dropped. Send it "
                     "again from its beginning."));
  }
  KvBatch batch;
  batch.Put(Family::kMeta, MetaKey(StoreKey::kSnapshot), SealSnapshot(unfinished_->snapshot));
  batch.Delete(Family::kMeta, MetaKey(StoreKey::kUnfinishedSnapshot));
  if (snapshot_.has_value()) DropChunks(snapshot_->number, &batch);
  LogShape next = log_;
  if (!log_.Contains(last)) {
    next = LogShape(last);
    DropEntries(log_.first_index(), log_.last().index + 1, &batch);
    batch.Put(Family::kMeta, MetaKey(StoreKey::kLogBase),
              SealLogPosition(StoreKey::kLogBase, last));
    batch.Put(Family::kMeta, MetaKey(StoreKey::kLogEnd), SealLogPosition(StoreKey::kLogEnd, last));
  }
  CATAMARAN_CHECK(last.term <= hard_state_.term, "a snapshot's term is at most the current one");
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  snapshot_ = std::move(unfinished_->snapshot);
  unfinished_.reset();
  log_ = next;
  return next;
}

absl::StatusOr<Buffer> KvLogStore::ReadSnapshot(LogPosition last, uint64_t position,
                                                size_t bytes_max) {
  if (!snapshot_.has_value() || snapshot_->meta.last != last) return Replaced(last);
  if (position >= snapshot_->meta.bytes || bytes_max == 0) return Buffer();
  CATAMARAN_ASSIGN_OR_RETURN(
      const auto chunk, kv_->FindLast(Family::kSnapshots, ChunkKey(snapshot_->number, position)));
  const absl::Status gone = CorruptStoreError(absl::StrCat(
      "byte ", position, " of the snapshot of index ", last.index.value(), " is gone"));
  if (!chunk.has_value()) return Latch(gone);
  const absl::StatusOr<ChunkPlace> place = DecodeChunkKey(chunk->first);
  if (!place.ok()) return Latch(place.status());
  const absl::StatusOr<std::string_view> bytes = UnsealChunk(*place, chunk->second);
  if (!bytes.ok()) return Latch(bytes.status());
  if (place->snapshot != snapshot_->number || position - place->position >= bytes->size()) {
    return Latch(gone);
  }
  return Buffer::Copy(bytes->substr(position - place->position, bytes_max));
}

absl::Status KvLogStore::CompactLog(LogIndex index) {
  CATAMARAN_RETURN_IF_ERROR(latched_);
  if (index <= log_.base().index) return absl::OkStatus();
  CATAMARAN_CHECK(snapshot_.has_value() && index <= snapshot_->meta.last.index,
                  "only what the snapshot covers is compacted");
  LogShape next = log_;
  next.CompactTo(index);
  KvBatch batch;
  DropEntries(log_.first_index(), index + 1, &batch);
  batch.Put(Family::kMeta, MetaKey(StoreKey::kLogBase),
            SealLogPosition(StoreKey::kLogBase, next.base()));
  CATAMARAN_RETURN_IF_ERROR(Commit(batch));
  log_ = std::move(next);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> StartStore(std::unique_ptr<Kv> kv, FoundStore found,
                                                     const StoreIdentity& identity) {
  OpenedStore& opened = found.opened;
  KvBatch batch;
  if (found.empty) {
    opened.created = true;
    opened.identity = identity;
    batch.Put(Family::kMeta, MetaKey(StoreKey::kIdentity),
              SealIdentity({kStoreFormatVersion, identity}));
    batch.Put(Family::kMeta, MetaKey(StoreKey::kHardState), SealHardState(HardState()));
    for (const StoreKey key : {StoreKey::kLogBase, StoreKey::kLogEnd}) {
      batch.Put(Family::kMeta, MetaKey(key), SealLogPosition(key, LogPosition()));
    }
  }
  ++opened.start_counter;
  batch.Put(Family::kMeta, MetaKey(StoreKey::kStartCounter),
            SealStartCounter(opened.start_counter));
  CATAMARAN_RETURN_IF_ERROR(kv->Write(batch));
  return std::make_unique<KvLogStore>(std::move(kv), std::move(found));
}

}  // namespace catamaran::raft
