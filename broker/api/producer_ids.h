// Hands out producer ids from blocks that the metadata service allots, so that one request in a
// thousand waits for the metadata log and none is ever given twice, over restarts too (M7).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "metadata/metadata_service.h"

namespace catamaran::broker {

// Requests that may wait for a block; more are OVERLOADED.
inline constexpr size_t kProducerIdWaitersMax = 10'000;
// Ids that went on to another epoch in this run; past it a new id is handed out instead.
inline constexpr size_t kProducerEpochsMax = 100'000;

// Thread-safe. `service` must outlive it and its callbacks.
class ProducerIds {
 public:
  using Reply = absl::AnyInvocable<void(absl::StatusOr<ProducerId>)>;

  ProducerIds(metadata::MetadataService* service, BrokerId self)
      : state_(std::make_shared<State>()), service_(service), self_(self) {}

  // Replies at once or on the metadata service's executor.
  // The next epoch of `id`, whose holder says that it has `epoch`: above every epoch handed out
  // before, so that no two callers get the same one. nullopt: take a new id (the id is of an
  // earlier run, whose requests died with it, or its epochs or kProducerEpochsMax are used up).
  // kUnknownProducer when that epoch was never handed out.
  absl::StatusOr<std::optional<int32_t>> NextEpoch(ProducerId id, int32_t epoch);

  void Next(Reply reply);

  // kUnknownProducer when a batch's identity was given to nobody: else whoever gets the id later
  // would be fenced, or taken for somebody else's retry. Of ids of earlier runs only the id is
  // checked, since their epochs aren't remembered.
  absl::Status Check(ProducerId id, ProducerEpoch epoch) const;

 private:
  struct State {
    mutable Mutex mu;
    ProducerId next ABSL_GUARDED_BY(mu){0};
    ProducerId end ABSL_GUARDED_BY(mu){0};
    bool asking ABSL_GUARDED_BY(mu) = false;
    std::vector<Reply> waiting ABSL_GUARDED_BY(mu);
    // The first id that this run of the broker handed out, and the last epoch of each id that went
    // on to another one since then.
    ProducerId first_of_run ABSL_GUARDED_BY(mu){-1};
    std::map<ProducerId, int32_t> epochs ABSL_GUARDED_BY(mu);
  };
  static void Ask(const std::shared_ptr<State>& state, metadata::MetadataService* service,
                  BrokerId self);

  const std::shared_ptr<State> state_;
  metadata::MetadataService* const service_;
  const BrokerId self_;
};

}  // namespace catamaran::broker
