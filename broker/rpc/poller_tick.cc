#include "broker/rpc/poller_tick.h"

#include "base/mutex.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace catamaran::broker {
namespace {

// A call that fails at once: what counts is its completion, which a poller must take.
struct Nudge {
  grpc::ClientContext context;
  grpc::Slice nothing;
  grpc::ByteBuffer request{&nothing, 1};
  grpc::ByteBuffer response;
};

}  // namespace

struct PollerTick::State : std::enable_shared_from_this<State> {
  // A channel without credentials connects to nothing and refuses every call.
  grpc::GenericStub stub{grpc::CreateChannel("nobody", nullptr)};
  Mutex mu;
  bool stopped ABSL_GUARDED_BY(mu) = false;
  // An alarm may be set again from its own callback, as long as nobody cancels it at that time:
  // both happen under the lock.
  grpc::Alarm alarm ABSL_GUARDED_BY(mu);

  void Arm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    gpr_timespec when = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                     gpr_time_from_millis(kPollerTick.count(), GPR_TIMESPAN));
    // Weak, since the alarm keeps its callback for good, and the state owns the alarm.
    alarm.Set(when, [weak = weak_from_this()](bool) {
      if (auto self = weak.lock()) self->OnTick();
    });
  }
  // On a timer's thread: the alarm's own callback doesn't pass through the pollers.
  void OnTick() {
    MutexLock lock(&mu);
    if (stopped) return;
    auto nudge = std::make_shared<Nudge>();
    stub.UnaryCall(&nudge->context, "/catamaran/Nudge", grpc::StubOptions(), &nudge->request,
                   &nudge->response, [nudge](const grpc::Status&) {});
    Arm();
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
