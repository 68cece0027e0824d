#include "metadata/placement.h"

#include "base/check.h"

namespace catamaran::metadata {

std::vector<BrokerId> UsableBrokers(const MetadataImage& image) {
  std::vector<BrokerId> usable;
  for (const auto& [id, broker] : image.brokers()) {
    if (!broker.fenced && !broker.draining) usable.push_back(id);
  }
  return usable;
}

std::vector<BrokerId> PlaceReplicas(const std::vector<BrokerId>& brokers, int32_t factor,
                                    size_t ordinal) {
  size_t n = brokers.size();
  CATAMARAN_CHECK(factor >= 1 && static_cast<size_t>(factor) <= n, "factor within the brokers");
  std::vector<BrokerId> replicas{brokers[ordinal % n]};
  size_t shift = n > 1 ? (ordinal / n) % (n - 1) : 0;
  for (int32_t i = 1; i < factor; ++i) {
    size_t distance = 1 + (shift + static_cast<size_t>(i) - 1) % (n - 1);
    replicas.push_back(brokers[(ordinal + distance) % n]);
  }
  return replicas;
}

}  // namespace catamaran::metadata
