// Hands out producer ids from blocks that the metadata service allots, so that one request in a
// thousand waits for the metadata log and none is ever given twice, over restarts too (M7).
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "metadata/metadata_service.h"

namespace catamaran::broker {

// Requests that may wait for a block; more are OVERLOADED.
inline constexpr size_t kProducerIdWaitersMax = 10'000;

// Thread-safe. `service` must outlive it and its callbacks.
class ProducerIds {
 public:
  using Reply = absl::AnyInvocable<void(absl::StatusOr<ProducerId>)>;

  ProducerIds(metadata::MetadataService* service, BrokerId self)
      : state_(std::make_shared<State>()), service_(service), self_(self) {}

  // Replies at once or on the metadata service's executor.
  void Next(Reply reply);

 private:
  struct State {
    Mutex mu;
    ProducerId next ABSL_GUARDED_BY(mu){0};
    ProducerId end ABSL_GUARDED_BY(mu){0};
    bool asking ABSL_GUARDED_BY(mu) = false;
    std::vector<Reply> waiting ABSL_GUARDED_BY(mu);
  };
  static void Ask(const std::shared_ptr<State>& state, metadata::MetadataService* service,
                  BrokerId self);

  const std::shared_ptr<State> state_;
  metadata::MetadataService* const service_;
  const BrokerId self_;
};

}  // namespace catamaran::broker
