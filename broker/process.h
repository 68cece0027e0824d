// A broker as a process: everything wired together over the real seams. main.cc reads the
// configuration and the signals.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "broker/config.h"

namespace catamaran::broker {

class BrokerProcess {
 public:
  // Blocking: opens the data directory, listens, registers, opens the logs. When it returns the
  // broker serves. Errors say what to do. `interrupted` is asked a few times a second while it
  // waits: when it says true the start is given up (kCancelled), as a crash would.
  static absl::StatusOr<std::unique_ptr<BrokerProcess>> Start(
      const BrokerConfig& config, const std::function<bool()>& interrupted);
  virtual ~BrokerProcess() = default;

  virtual HostPort client_address() const = 0;  // listened on
  virtual HostPort http_address() const = 0;

  // Stops taking requests, answers what runs, closes every log and marks the stop as clean. False
  // when that took longer than `timeout`: the caller then ends the process as it is, without the
  // destructor.
  virtual bool Stop(Duration timeout) = 0;
};

}  // namespace catamaran::broker
