// Which brokers hold a new partition.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "metadata/image.h"

namespace catamaran::metadata {

// Where there are enough brokers; fewer otherwise.
inline constexpr int32_t kDefaultReplicationFactorMax = 3;

// Brokers that new replicas may be put on, by id: neither fenced nor draining.
std::vector<BrokerId> UsableBrokers(const MetadataImage& image);

// `factor` of `brokers` for the partition of this ordinal, preferred leader first: leaders go
// round, and the followers' distance to the leader changes with each round, so that a broker's
// partitions are spread over all others. 1 <= factor <= brokers.size().
std::vector<BrokerId> PlaceReplicas(const std::vector<BrokerId>& brokers, int32_t factor,
                                    size_t ordinal);

}  // namespace catamaran::metadata
