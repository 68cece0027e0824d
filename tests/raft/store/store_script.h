// Random but valid calls on a store, and the image of it that each must leave: the model for the
// property, crash and fault tests.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/store/log_store.h"

namespace catamaran::raft {

// All that a store shows.
struct StoreImage {
  ClusterId cluster;
  HardState hard_state;
  LogPosition base;
  std::vector<std::pair<Term, std::string>> entries;  // from base.index + 1 on
  std::optional<SnapshotMeta> snapshot;
  std::string snapshot_bytes;
  std::optional<SnapshotMeta> unfinished;
  uint64_t unfinished_bytes = 0;
  std::map<ReplicaId, uint64_t> peers;

  LogPosition last() const {
    if (entries.empty()) return base;
    return {entries.back().first, base.index + static_cast<int64_t>(entries.size())};
  }
  bool operator==(const StoreImage&) const = default;
};
std::ostream& operator<<(std::ostream& out, const StoreImage& image);

// Reads everything through the interface of a store that was just opened.
absl::StatusOr<StoreImage> Observe(LogStore& store);
// Without what only opening tells (hard state, peers, the unfinished snapshot), which is taken from
// `image`: that reads go on after a failure.
absl::StatusOr<StoreImage> ObserveReadable(LogStore& store, const StoreImage& image);

struct StoreStep {
  std::string name;
  std::function<absl::Status(LogStore&)> run;
  StoreImage after;
};

// One write at most. `large_one_in`: how often an entry has some 10 KiB, so that memtables fill.
StoreStep RandomStep(Random& random, const StoreImage& before, uint64_t large_one_in = 4);

}  // namespace catamaran::raft
