#include "tests/raft/store/store_script.h"

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/error.h"
#include "tests/raft/store/store_fixture.h"

namespace catamaran::raft {
namespace {

constexpr size_t kChunkBytes = 5'000;

std::string RandomBytes(Random& random, size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

// The bytes of the snapshot at `last` are a function of it, so that an unfinished one can go on.
std::string SnapshotBytes(LogPosition last) {
  Random random(static_cast<uint64_t>(last.index.value() * 31 + last.term.value()));
  return RandomBytes(random, random.Below(30'000));
}

SnapshotMeta MetaOf(LogPosition last) {
  const std::string bytes = SnapshotBytes(last);
  SnapshotMeta meta;
  meta.last = last;
  meta.membership.voters = {{TestReplica(1), {"host:1"}}};
  meta.bytes = bytes.size();
  meta.crc32c = Crc32c(bytes);
  return meta;
}

Term TermAt(const StoreImage& image, LogIndex index) {
  if (index == image.base.index) return image.base.term;
  return image.entries[static_cast<size_t>(index - image.base.index - 1)].first;
}

LogIndex Committed(const StoreImage& image) {
  return image.snapshot.has_value() ? image.snapshot->last.index : image.base.index;
}

StoreStep AppendStep(Random& random, const StoreImage& before, uint64_t large_one_in) {
  StoreStep step{"append", {}, before};
  LogWrite write;
  StoreImage& after = step.after;
  if (random.OneIn(4)) {
    after.hard_state.term = after.hard_state.term + 1 + static_cast<int64_t>(random.Below(2));
    after.hard_state.vote.reset();
    if (random.OneIn(2)) after.hard_state.vote = TestReplica(random.OneIn(2) ? 1 : 2);
    write.hard_state = after.hard_state;
  }
  const LogIndex committed = Committed(before);
  if (random.OneIn(5) && before.last().index > committed) {
    const auto keep =
        static_cast<int64_t>(random.Below(static_cast<uint64_t>(before.last().index - committed)));
    write.truncate_from = committed + 1 + keep;
    after.entries.resize(static_cast<size_t>(*write.truncate_from - after.base.index - 1));
    step.name = "truncate and append";
  }
  const uint64_t count = random.Below(4);
  for (uint64_t i = 0; i < count && after.hard_state.term > kNoTerm; ++i) {
    const size_t size =
        random.OneIn(large_one_in) ? 8'000 + random.Below(6'000) : random.Below(200);
    Entry entry;
    entry.term = after.hard_state.term;
    entry.index = after.last().index + 1;
    entry.kind = EntryKind::kCommand;
    entry.payload = Buffer::FromString(RandomBytes(random, size));
    after.entries.emplace_back(entry.term, std::string(entry.payload.view()));
    write.entries.push_back(std::move(entry));
  }
  step.run = [write = std::move(write)](LogStore& store) { return store.Write(write); };
  return step;
}

StoreStep BeginStep(Random& random, const StoreImage& before) {
  StoreStep step{"begin a snapshot", {}, before};
  const LogIndex committed = Committed(before);
  LogPosition last;
  if (before.last().index > committed && !random.OneIn(4)) {  // of our own log
    const auto ahead =
        static_cast<int64_t>(random.Below(static_cast<uint64_t>(before.last().index - committed)));
    last.index = committed + 1 + ahead;
    last.term = TermAt(before, last.index);
  } else {  // a leader's, ahead of us
    last.index = before.last().index + 1 + static_cast<int64_t>(random.Below(5));
    last.term = before.hard_state.term;
  }
  const SnapshotMeta meta = MetaOf(last);
  if (step.after.unfinished != meta) step.after.unfinished_bytes = 0;
  step.after.unfinished = meta;
  step.run = [meta](LogStore& store) { return store.BeginSnapshot(meta).status(); };
  return step;
}

StoreStep ChunkStep(const StoreImage& before) {
  StoreStep step{"write a chunk", {}, before};
  const LogPosition last = before.unfinished->last;
  const uint64_t position = before.unfinished_bytes;
  const std::string chunk = SnapshotBytes(last).substr(position, kChunkBytes);
  step.after.unfinished_bytes += chunk.size();
  step.run = [=](LogStore& store) { return store.AppendSnapshot(last, position, chunk); };
  return step;
}

StoreStep FinishStep(const StoreImage& before) {
  StoreStep step{"finish a snapshot", {}, before};
  const LogPosition last = before.unfinished->last;
  StoreImage& after = step.after;
  after.snapshot = before.unfinished;
  after.snapshot_bytes = SnapshotBytes(last);
  after.unfinished.reset();
  after.unfinished_bytes = 0;
  const bool inside = last.index >= before.base.index && last.index <= before.last().index &&
                      TermAt(before, last.index) == last.term;
  if (!inside) {
    after.base = last;
    after.entries.clear();
  }
  step.run = [last](LogStore& store) { return store.FinishSnapshot(last).status(); };
  return step;
}

StoreStep CompactStep(Random& random, const StoreImage& before) {
  StoreStep step{"compact", {}, before};
  const int64_t covered = before.snapshot->last.index - before.base.index;
  const LogIndex to =
      before.base.index + static_cast<int64_t>(random.Below(static_cast<uint64_t>(covered) + 1));
  StoreImage& after = step.after;
  after.base = {TermAt(before, to), to};
  after.entries.erase(after.entries.begin(), after.entries.begin() + (to - before.base.index));
  step.run = [to](LogStore& store) { return store.CompactLog(to); };
  return step;
}

StoreStep PeerStep(Random& random, const StoreImage& before) {
  StoreStep step{"observe a peer", {}, before};
  const ReplicaId peer = TestReplica(2 + static_cast<int32_t>(random.Below(4)));
  if (before.peers.contains(peer) && random.OneIn(5)) {
    step.name = "forget a peer";
    step.after.peers.erase(peer);
    step.run = [peer](LogStore& store) { return store.ForgetPeer(peer); };
    return step;
  }
  const uint64_t counter = (before.peers.contains(peer) ? before.peers.at(peer) : 0) + 1;
  step.after.peers[peer] = counter;
  step.run = [=](LogStore& store) { return store.ObservePeer(peer, counter); };
  return step;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const StoreImage& image) {
  out << "term " << image.hard_state.term.value() << ", log (" << image.base.term.value() << ":"
      << image.base.index.value() << ", " << image.last().term.value() << ":"
      << image.last().index.value() << "]";
  if (image.snapshot.has_value()) out << ", snapshot " << image.snapshot->last.index.value();
  if (image.unfinished.has_value()) {
    out << ", unfinished " << image.unfinished->last.index.value() << " at "
        << image.unfinished_bytes;
  }
  return out << ", " << image.peers.size() << " peers";
}

absl::StatusOr<StoreImage> ObserveReadable(LogStore& store, const StoreImage& image) {
  StoreImage seen = image;
  seen.entries.clear();
  seen.snapshot_bytes.clear();
  LogIndex next = image.base.index + 1;
  while (next <= image.last().index) {
    CATAMARAN_ASSIGN_OR_RETURN(const std::vector<Entry> entries,
                               store.ReadEntries(next, image.last().index + 1, 20'000));
    for (const Entry& entry : entries) {
      seen.entries.emplace_back(entry.term, std::string(entry.payload.view()));
    }
    next += static_cast<int64_t>(entries.size());
  }
  while (image.snapshot.has_value()) {
    CATAMARAN_ASSIGN_OR_RETURN(
        const Buffer part,
        store.ReadSnapshot(image.snapshot->last, seen.snapshot_bytes.size(), 4'000));
    if (part.empty()) break;
    seen.snapshot_bytes += part.view();
  }
  return seen;
}

absl::StatusOr<StoreImage> Observe(LogStore& store) {
  const OpenedStore& opened = store.opened();
  StoreImage image;
  image.cluster = opened.identity.cluster;
  image.hard_state = opened.hard_state;
  image.base = opened.log.base();
  image.entries.resize(static_cast<size_t>(opened.log.last().index - opened.log.base().index),
                       {opened.log.last().term, ""});
  image.snapshot = opened.snapshot;
  image.unfinished = opened.unfinished_snapshot;
  image.unfinished_bytes = opened.unfinished_bytes;
  image.peers = opened.peer_start_counters;
  return ObserveReadable(store, image);
}

StoreStep RandomStep(Random& random, const StoreImage& before, uint64_t large_one_in) {
  const uint64_t choice = random.Below(12);
  if (choice == 0) return PeerStep(random, before);
  if (choice == 1 && before.hard_state.term > kNoTerm) return BeginStep(random, before);
  if (choice == 2 && before.snapshot.has_value()) return CompactStep(random, before);
  if (choice <= 5 && before.unfinished.has_value()) {
    const bool newer = before.unfinished->last.index > Committed(before);
    if (!newer) return BeginStep(random, before);
    return before.unfinished_bytes < before.unfinished->bytes ? ChunkStep(before)
                                                              : FinishStep(before);
  }
  return AppendStep(random, before, large_one_in);
}

}  // namespace catamaran::raft
