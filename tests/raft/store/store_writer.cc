// One replica's store on a real disk, for the power-cut test:
//   raft_store_writer write DIR            writes for ever; a line "index" on stdout per
//   acknowledged write raft_store_writer check DIR INDEX      whether everything up to INDEX is
//   there, and nothing invented
// What stands at an index follows from the index, so that a checker needs nothing else.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/crc32c.h"
#include "base/random.h"
#include "raft/store/rocks_log_store.h"
#include "tests/raft/store/store_values.h"

namespace catamaran::raft {
namespace {

constexpr int64_t kSnapshotEvery = 40;

Term TermOf(int64_t index) { return Term(1 + index / 25); }

std::string PayloadOf(int64_t index) {
  Random random(static_cast<uint64_t>(index));
  std::string bytes(random.OneIn(5) ? random.Below(40'000) : random.Below(300), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

SnapshotMeta MetaAt(int64_t index, std::string* bytes) {
  *bytes = PayloadOf(-index);
  SnapshotMeta meta;
  meta.last = {TermOf(index), LogIndex(index)};
  meta.membership.voters = {{TestReplica(1), {"host:1"}}};
  meta.bytes = bytes->size();
  meta.crc32c = Crc32c(*bytes);
  return meta;
}

int Fail(std::string_view what, const absl::Status& status = absl::OkStatus()) {
  std::printf("FAILED: %s %s\n", std::string(what).c_str(), status.ToString().c_str());
  return 1;
}

absl::StatusOr<std::unique_ptr<LogStore>> Open(const std::string& directory) {
  RocksStoreOptions options;
  options.path = directory + "/raft";
  options.identity = TestIdentity();
  options.create_if_missing = true;
  options.memtable_bytes = size_t{128} << 10;
  return OpenRocksLogStore(options);
}

absl::Status TakeSnapshot(LogStore& store, int64_t index) {
  std::string bytes;
  const SnapshotMeta meta = MetaAt(index, &bytes);
  absl::Status status = store.BeginSnapshot(meta).status();
  if (status.ok() && !bytes.empty()) status = store.AppendSnapshot(meta.last, 0, bytes);
  if (status.ok()) status = store.FinishSnapshot(meta.last).status();
  if (status.ok()) status = store.CompactLog(LogIndex(index - kSnapshotEvery / 2));
  return status;
}

int Write(const std::string& directory) {
  auto store = Open(directory);
  if (!store.ok()) return Fail("open", store.status());
  for (int64_t index = (*store)->opened().log.last().index.value() + 1;; ++index) {
    LogWrite write;
    write.hard_state = HardState{TermOf(index), TestReplica(1)};
    write.entries = {MakeEntry(TermOf(index).value(), index, PayloadOf(index))};
    absl::Status status = (*store)->Write(write);
    if (!status.ok()) return Fail("write", status);
    std::printf("%lld\n", static_cast<long long>(index));
    std::fflush(stdout);
    if (index % kSnapshotEvery != 0) continue;
    status = TakeSnapshot(**store, index);
    if (!status.ok()) return Fail("snapshot", status);
  }
}

int Check(const std::string& directory, int64_t acknowledged) {
  auto store = Open(directory);
  if (!store.ok()) return Fail("open", store.status());
  const OpenedStore& opened = (*store)->opened();
  const int64_t last = opened.log.last().index.value();
  if (last < acknowledged)
    return Fail("acknowledged writes are lost: it ends at " + std::to_string(last));
  if (last > 0 && opened.hard_state != HardState{TermOf(last), TestReplica(1)}) {
    return Fail("the hard state isn't that of the last write");
  }
  LogIndex next = opened.log.first_index();
  while (next <= opened.log.last().index) {
    const auto entries = (*store)->ReadEntries(next, opened.log.last().index + 1, 1 << 20);
    if (!entries.ok()) return Fail("read", entries.status());
    for (const Entry& entry : *entries) {
      const int64_t index = entry.index.value();
      if (entry.term != TermOf(index) || entry.payload.view() != PayloadOf(index)) {
        return Fail("another entry than was written at " + std::to_string(index));
      }
    }
    next += static_cast<int64_t>(entries->size());
  }
  if (opened.snapshot.has_value()) {
    std::string bytes;
    if (*opened.snapshot != MetaAt(opened.snapshot->last.index.value(), &bytes)) {
      return Fail("another snapshot than was written");
    }
  }
  std::printf("ok %lld of %lld\n", static_cast<long long>(last),
              static_cast<long long>(acknowledged));
  return 0;
}

}  // namespace
}  // namespace catamaran::raft

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "write" && argc == 3) return catamaran::raft::Write(argv[2]);
  if (verb == "check" && argc == 4) return catamaran::raft::Check(argv[2], std::atoll(argv[3]));
  std::printf("usage: %s write DIR | check DIR INDEX\n", argv[0]);
  return 2;
}
