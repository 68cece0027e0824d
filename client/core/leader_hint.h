// Who leads instead, as a NOT_LEADER refusal tells it (docs/errors.md): the request can be sent
// there at once, without waiting for metadata.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/ids.h"

namespace catamaran::client::core {

struct LeaderHint {
  BrokerId leader = kNoBroker;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  std::string address;  // "host:port"; may be empty
};

// nullopt for any other error, and when the refusal's metadata names no leader or no epoch.
std::optional<LeaderHint> LeaderHintOf(const absl::Status& refusal);

}  // namespace catamaran::client::core
