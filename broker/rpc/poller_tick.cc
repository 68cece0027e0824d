#include "broker/rpc/poller_tick.h"

#include "base/mutex.h"

namespace catamaran::broker {

struct PollerTick::State : std::enable_shared_from_this<State> {
  Mutex mu;
  bool stopped ABSL_GUARDED_BY(mu) = false;
  // An alarm may be set again from its own callback, as long as nobody cancels it at that time:
  // both happen under the lock.
  grpc::Alarm alarm ABSL_GUARDED_BY(mu);

  void Arm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    gpr_timespec when = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                     gpr_time_from_millis(kPollerTick.count(), GPR_TIMESPAN));
    alarm.Set(when, [self = shared_from_this()](bool) { self->OnTick(); });
  }
  void OnTick() {
    MutexLock lock(&mu);
    if (!stopped) Arm();
  }
};

PollerTick::PollerTick() : state_(std::make_shared<State>()) {
  MutexLock lock(&state_->mu);
  state_->Arm();
}

PollerTick::~PollerTick() {
  MutexLock lock(&state_->mu);
  state_->stopped = true;
  state_->alarm.Cancel();
}

}  // namespace catamaran::broker
