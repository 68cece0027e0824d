// The values that the store's tests write.
#pragma once

#include <string>
#include <utility>

#include "raft/core/types.h"
#include "raft/store/log_store.h"

namespace catamaran::raft {

inline ReplicaId TestReplica(int32_t node) {
  return {BrokerId(node), DirectoryId{Uuid::FromRandom(0xd1, static_cast<uint64_t>(node))}};
}
inline ClusterId TestCluster(uint64_t number) { return ClusterId{Uuid::FromRandom(0xc1, number)}; }
inline StoreIdentity TestIdentity() { return {TestCluster(1), TestReplica(1)}; }

inline Entry MakeEntry(int64_t term, int64_t index, std::string payload,
                       EntryKind kind = EntryKind::kCommand) {
  return {LogIndex(index), Term(term), kind, Buffer::FromString(std::move(payload))};
}

}  // namespace catamaran::raft
