#include "broker/rpc/peer_poller.h"

#include <pthread.h>

#include <utility>

#include "grpc/support/time.h"

namespace catamaran::broker {

PeerPoller::PeerPoller(std::string thread_name, std::unique_ptr<grpc::CompletionQueue> queue,
                       absl::AnyInvocable<void()> tick)
    : queue_(std::move(queue)), tick_(std::move(tick)) {
  thread_ = std::thread([this, thread_name = std::move(thread_name)] {
    pthread_setname_np(pthread_self(), thread_name.c_str());
    Run();
  });
}

PeerPoller::~PeerPoller() {
  queue_->Shutdown();
  thread_.join();
}

void PeerPoller::Run() {
  const gpr_timespec period = gpr_time_from_millis(kPeerPollerTick.count(), GPR_TIMESPAN);
  gpr_timespec next_tick = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), period);
  for (;;) {
    void* tag = nullptr;
    bool ok = false;
    const auto status = queue_->AsyncNext(&tag, &ok, next_tick);
    if (status == grpc::CompletionQueue::SHUTDOWN) return;
    if (status == grpc::CompletionQueue::GOT_EVENT) static_cast<PeerOperation*>(tag)->Done(ok);
    const gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(now, next_tick) < 0) continue;
    next_tick = gpr_time_add(now, period);
    if (tick_) tick_();
  }
}

}  // namespace catamaran::broker
