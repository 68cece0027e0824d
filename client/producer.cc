#include "client/producer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "client/core/options.h"
#include "client/core/producer_core.h"
#include "client/rpc/rpc_client.h"

namespace catamaran::client {
namespace {

absl::Status ClosedError() {
  return MakeError(Reason::kCancelled, "The producer is closed. Create another one to send more.");
}

absl::Status InCallbackError() {
  return MakeError(
      Reason::kInvalidArgument,
      "A delivery callback must not flush or close the producer: it runs on the thread "
      "that would have to do the work. Do it from another thread.");
}

absl::Status StillOnTheirWay() {
  return MakeError(
      Reason::kDeadlineExceeded,
      "Records are still on their way after the timeout. Flush again, or close to give "
      "them up.");
}

}  // namespace

// Threads: user threads enter through Send, Flush and Close and touch what mu_ guards; the core is
// the executor's; rpc_ posts its answers there.
class Producer::Impl {
 public:
  Impl(const ClientOptions& client, ProducerOptions options, uint64_t seed);
  ~Impl();

  absl::Status Send(const ProducerRecord& record, DeliveryCallback callback, bool wait);
  absl::Status Flush(Duration timeout);
  absl::Status Close(Duration timeout);
  ProducerStats stats() const;

 private:
  void PumpSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // On the executor.
  void Pump();
  void Carry(core::ProducerCore::Output output);
  void Deliver(std::vector<core::CompletedBatch>* completed);
  void SetTimer(MonotonicTime when);

  Clock& clock_ = SystemClock();
  const Duration block_max_;

  // Of the executor's thread.
  core::ProducerCore core_;
  BatchCallback on_batch_;
  TimerId timer_ = kNoTimer;
  MonotonicTime timer_at_ = kNever;

  mutable Mutex mu_;
  CondVar space_;    // bytes were given back
  CondVar settled_;  // settled_before_ moved, or a close went through
  core::RecordAccumulator accumulator_ ABSL_GUARDED_BY(mu_);
  bool pump_posted_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool abandon_ ABSL_GUARDED_BY(mu_) = false;
  int space_waiters_ ABSL_GUARDED_BY(mu_) = 0;
  int flushes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t settled_before_ ABSL_GUARDED_BY(mu_) = 0;  // records with lower numbers are done
  absl::Status first_failure_ ABSL_GUARDED_BY(mu_);   // since the last Flush
  ProducerStats stats_ ABSL_GUARDED_BY(mu_);

  std::unique_ptr<Executor> executor_owner_;
  // Not through the owner: a task that runs while the executor is being destroyed still needs it.
  Executor* const executor_;
  std::unique_ptr<rpc::RpcClient> rpc_;
};

Producer::Impl::Impl(const ClientOptions& client, ProducerOptions options, uint64_t seed)
    : block_max_(options.block_max),
      core_(core::MakeProducerCoreOptions(client, options), Random(seed)),
      on_batch_(std::move(options.on_batch)),
      accumulator_(core::MakeAccumulatorOptions(options), Random(seed + 1)),
      executor_owner_(MakeThreadExecutor("producer", clock_)),
      executor_(executor_owner_.get()),
      rpc_(std::make_unique<rpc::RpcClient>(client, clock_, executor_)) {
  rpc_->set_append_done([this](core::CorrelationId correlation, core::AppendAnswer answer) {
    core_.OnAppend(correlation, std::move(answer), clock_.Now());
    Pump();
  });
}

Producer::Impl::~Impl() {
  (void)Close(Duration(0));
  rpc_->Stop();
  executor_owner_.reset();
}

absl::Status Producer::Impl::Send(const ProducerRecord& record, DeliveryCallback callback,
                                  bool wait) {
  const TimestampMs wall = record.timestamp == kNoTimestamp ? clock_.WallNow() : record.timestamp;
  MonotonicTime give_up = kNever;
  MutexLock lock(&mu_);
  for (;;) {
    if (closed_) return ClosedError();
    core::RecordAccumulator::Accepted accepted = accumulator_.Append(
        record, wall, [&] { return clock_.Now(); }, &callback);
    if (accepted.status.ok()) {
      if (accepted.wake) PumpSoon();
      return absl::OkStatus();
    }
    if (!wait || ReasonOf(accepted.status) != Reason::kOverloaded || executor_->IsCurrent()) {
      return accepted.status;
    }
    const MonotonicTime now = clock_.Now();
    if (give_up == kNever) give_up = now + block_max_;
    const Duration rest = give_up - now;
    if (rest <= Duration(0)) return accepted.status;
    ++space_waiters_;
    space_.WaitFor(&mu_, rest);
    --space_waiters_;
  }
}

void Producer::Impl::PumpSoon() {
  if (std::exchange(pump_posted_, true)) return;
  executor_->Post([this] { Pump(); });
}

void Producer::Impl::Pump() {
  const MonotonicTime now = clock_.Now();
  bool abandon = false;
  {
    MutexLock lock(&mu_);
    pump_posted_ = false;
    abandon = abandon_;
    core_.SetFlushing(flushes_ > 0);
    if (abandon) {
      core_.Abandon(accumulator_, ClosedError(), now);
    } else {
      core_.Pull(accumulator_, now);
    }
  }
  core::ProducerCore::Output output = core_.Advance(now);
  if (abandon) {
    output.appends.clear();
    output.init_producer_ids.clear();
  }
  Carry(std::move(output));
}

void Producer::Impl::Carry(core::ProducerCore::Output output) {
  for (const std::string& address : output.resets) rpc_->Reset(address);
  for (const core::SendMetadata& send : output.metadata) {
    rpc_->GetMetadata(send, [this, correlation = send.correlation](auto answer) {
      core_.OnMetadata(correlation, std::move(answer), clock_.Now());
      Pump();
    });
  }
  for (const core::SendInitProducerId& send : output.init_producer_ids) {
    rpc_->InitProducerId(send, [this, correlation = send.correlation](auto answer) {
      core_.OnInitProducerId(correlation, std::move(answer), clock_.Now());
      Pump();
    });
  }
  for (core::SendAppend& send : output.appends) rpc_->Append(std::move(send));
  SetTimer(output.wake_at);
  if (!output.completed.empty()) Deliver(&output.completed);

  MutexLock lock(&mu_);
  stats_.batches_sent = core_.stats().batches_sent;
  stats_.batches_retried = core_.stats().batches_retried;
  stats_.batch_bytes_sent = core_.stats().batch_bytes_sent;
  if (flushes_ > 0) {
    settled_before_ = std::min(accumulator_.oldest_record(), core_.oldest_record());
    settled_.SignalAll();
  }
}

void Producer::Impl::Deliver(std::vector<core::CompletedBatch>* completed) {
  size_t bytes = 0;
  for (core::CompletedBatch& batch : *completed) {
    bytes += batch.accounted_bytes;
    for (core::RecordCallback& record : batch.callbacks) {
      if (!batch.status.ok()) {
        record.callback(batch.status);
        continue;
      }
      Delivery delivery;
      delivery.partition = batch.partition;
      if (batch.base_offset.value() >= 0) delivery.offset = batch.base_offset + record.index;
      delivery.timestamp =
          batch.log_append_time.value() >= 0 ? batch.log_append_time : record.timestamp;
      record.callback(delivery);
    }
    if (on_batch_) {
      BatchDelivery delivery;
      delivery.topic = batch.topic;
      delivery.partition = batch.partition;
      delivery.status = batch.status;
      delivery.base_offset = batch.base_offset;
      delivery.record_count = batch.record_count;
      delivery.batch_bytes = batch.batch_bytes;
      delivery.latency = batch.latency;
      on_batch_(delivery);
    }
  }
  MutexLock lock(&mu_);
  accumulator_.Release(bytes);
  for (const core::CompletedBatch& batch : *completed) {
    const auto records = static_cast<uint64_t>(batch.record_count);
    if (batch.status.ok()) {
      stats_.records_delivered += records;
      continue;
    }
    stats_.records_failed += records;
    if (OutcomeOf(batch.status) == Outcome::kUnknown) stats_.records_unknown += records;
    if (first_failure_.ok()) first_failure_ = batch.status;
  }
  if (space_waiters_ > 0) space_.SignalAll();
}

void Producer::Impl::SetTimer(MonotonicTime when) {
  if (when == timer_at_) return;
  if (timer_at_ != kNever) executor_->Cancel(timer_);
  timer_at_ = when;
  if (when == kNever) return;
  timer_ = executor_->PostAt(when, [this] {
    timer_at_ = kNever;
    Pump();
  });
}

absl::Status Producer::Impl::Flush(Duration timeout) {
  if (executor_->IsCurrent()) return InCallbackError();
  const MonotonicTime start = clock_.Now();
  MutexLock lock(&mu_);
  const uint64_t target = accumulator_.records_accepted();
  ++flushes_;
  PumpSoon();
  while (settled_before_ < target) {
    if (timeout == kForever) {
      settled_.Wait(&mu_);
      continue;
    }
    const Duration rest = timeout - (clock_.Now() - start);
    if (rest <= Duration(0)) break;
    settled_.WaitFor(&mu_, rest);
  }
  --flushes_;
  if (settled_before_ < target) return StillOnTheirWay();
  return std::exchange(first_failure_, absl::OkStatus());
}

absl::Status Producer::Impl::Close(Duration timeout) {
  if (executor_->IsCurrent()) return InCallbackError();
  {
    MutexLock lock(&mu_);
    if (std::exchange(closed_, true)) return absl::OkStatus();
    space_.SignalAll();
  }
  absl::Status flushed = Flush(timeout);
  {
    MutexLock lock(&mu_);
    abandon_ = true;
  }
  absl::Status abandoned = Flush(kForever);
  return flushed.ok() ? abandoned : flushed;
}

ProducerStats Producer::Impl::stats() const {
  MutexLock lock(&mu_);
  ProducerStats stats = stats_;
  stats.records_accepted = accumulator_.records_accepted();
  stats.buffered_bytes = accumulator_.buffered_bytes();
  return stats;
}

// ---- the public face ----

absl::StatusOr<std::unique_ptr<Producer>> Producer::Create(const ClientOptions& client_options,
                                                           ProducerOptions options) {
  CATAMARAN_RETURN_IF_ERROR(ValidateClientOptions(client_options));
  CATAMARAN_RETURN_IF_ERROR(core::ValidateProducerOptions(options));
  return std::unique_ptr<Producer>(new Producer(
      std::make_unique<Impl>(client_options, std::move(options), RandomSeedFromSystem())));
}

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::~Producer() = default;

absl::Status Producer::Send(const ProducerRecord& record) {
  return impl_->Send(record, nullptr, true);
}
absl::Status Producer::Send(const ProducerRecord& record, DeliveryCallback callback) {
  return impl_->Send(record, std::move(callback), true);
}
absl::Status Producer::TrySend(const ProducerRecord& record) {
  return impl_->Send(record, nullptr, false);
}
absl::Status Producer::TrySend(const ProducerRecord& record, DeliveryCallback callback) {
  return impl_->Send(record, std::move(callback), false);
}

std::future<absl::StatusOr<Delivery>> Producer::SendFuture(const ProducerRecord& record) {
  auto promise = std::make_shared<std::promise<absl::StatusOr<Delivery>>>();
  std::future<absl::StatusOr<Delivery>> future = promise->get_future();
  absl::Status accepted = Send(record, [promise](const absl::StatusOr<Delivery>& delivery) {
    promise->set_value(delivery);
  });
  if (!accepted.ok()) promise->set_value(accepted);
  return future;
}

absl::Status Producer::Flush(Duration timeout) { return impl_->Flush(timeout); }
absl::Status Producer::Close(Duration timeout) { return impl_->Close(timeout); }
ProducerStats Producer::stats() const { return impl_->stats(); }

}  // namespace catamaran::client
