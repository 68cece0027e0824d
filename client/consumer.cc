#include "client/consumer.h"

#include <utility>

#include "base/error.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "client/core/consumer_core.h"
#include "client/core/options.h"
#include "client/rpc/rpc_client.h"

namespace catamaran::client {

PolledRecords::PolledRecords() = default;
PolledRecords::PolledRecords(PolledRecords&&) noexcept = default;
PolledRecords& PolledRecords::operator=(PolledRecords&&) noexcept = default;
PolledRecords::~PolledRecords() = default;

// The core is guarded by mu_ rather than owned by the executor, so that Poll takes records apart on
// the caller's thread: the executor only moves requests and answers in and out.
class Consumer::Impl {
 public:
  Impl(const ClientOptions& client, const ConsumerOptions& options, uint64_t seed)
      : core_(core::MakeConsumerCoreOptions(client, options), Random(seed)),
        executor_owner_(MakeThreadExecutor("consumer", clock_)),
        executor_(executor_owner_.get()),
        rpc_(std::make_unique<rpc::RpcClient>(client, clock_, executor_)) {}
  ~Impl() {
    rpc_->Stop();
    executor_owner_.reset();
  }

  // Runs `change(core)` and lets what follows from it happen.
  template <class Change>
  absl::Status Apply(Change change) {
    MutexLock lock(&mu_);
    absl::Status status = change(core_, clock_.Now());
    PumpSoon();
    return status;
  }
  template <class Read>
  auto Ask(Read read) const {
    MutexLock lock(&mu_);
    return read(core_);
  }
  absl::Status Poll(Duration timeout, size_t records_max, std::vector<ConsumedRecord>* records,
                    core::PolledBatches* batches);
  void Wakeup() {
    MutexLock lock(&mu_);
    wakeup_ = true;
    ready_.SignalAll();
  }

 private:
  void PumpSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (std::exchange(pump_posted_, true)) return;
    executor_->Post([this] { Pump(); });
  }
  // On the executor.
  void Pump();
  void SetTimer(MonotonicTime when);
  template <class Answer>
  auto Deliver(core::CorrelationId correlation,
               void (core::ConsumerCore::*event)(core::CorrelationId, absl::StatusOr<Answer>,
                                                 MonotonicTime)) {
    return [this, correlation, event](absl::StatusOr<Answer> answer) {
      {
        MutexLock lock(&mu_);
        (core_.*event)(correlation, std::move(answer), clock_.Now());
      }
      Pump();
    };
  }

  Clock& clock_ = SystemClock();

  mutable Mutex mu_;
  CondVar ready_;
  core::ConsumerCore core_ ABSL_GUARDED_BY(mu_);
  bool pump_posted_ ABSL_GUARDED_BY(mu_) = false;
  bool wakeup_ ABSL_GUARDED_BY(mu_) = false;

  // Of the executor's thread.
  TimerId timer_ = kNoTimer;
  MonotonicTime timer_at_ = kNever;

  std::unique_ptr<Executor> executor_owner_;
  // Not through the owner: a task that runs while the executor is being destroyed still needs it.
  Executor* const executor_;
  std::unique_ptr<rpc::RpcClient> rpc_;
};

absl::Status Consumer::Impl::Poll(Duration timeout, size_t records_max,
                                  std::vector<ConsumedRecord>* records,
                                  core::PolledBatches* batches) {
  const MonotonicTime start = clock_.Now();
  MutexLock lock(&mu_);
  for (;;) {
    const bool full = !core_.wants_more();
    absl::Status status = core_.Poll(records_max, records, batches);
    // Room again, or an empty batch was all there was: fetching may go on.
    if (full || records->empty()) PumpSoon();
    if (!status.ok() || !records->empty()) return status;
    if (std::exchange(wakeup_, false)) return absl::OkStatus();
    if (core_.ready()) continue;
    if (timeout == kForever) {
      ready_.Wait(&mu_);
      continue;
    }
    const Duration rest = timeout - (clock_.Now() - start);
    if (rest <= Duration(0)) return absl::OkStatus();
    ready_.WaitFor(&mu_, rest);
  }
}

void Consumer::Impl::Pump() {
  core::ConsumerCore::Output output;
  {
    MutexLock lock(&mu_);
    pump_posted_ = false;
    output = core_.Advance(clock_.Now());
    if (core_.ready()) ready_.SignalAll();
  }
  using Core = core::ConsumerCore;
  for (const core::SendMetadata& send : output.metadata) {
    rpc_->GetMetadata(send, Deliver(send.correlation, &Core::OnMetadata));
  }
  for (const core::SendListOffsets& send : output.list_offsets) {
    rpc_->ListOffsets(send, Deliver(send.correlation, &Core::OnListOffsets));
  }
  for (const core::SendFetch& send : output.fetches) {
    rpc_->FetchBatches(send, Deliver(send.correlation, &Core::OnFetch));
  }
  SetTimer(output.wake_at);
}

void Consumer::Impl::SetTimer(MonotonicTime when) {
  if (when == timer_at_) return;
  if (timer_at_ != kNever) executor_->Cancel(timer_);
  timer_at_ = when;
  if (when == kNever) return;
  timer_ = executor_->PostAt(when, [this] {
    timer_at_ = kNever;
    Pump();
  });
}

// ---- the public face ----

absl::StatusOr<std::unique_ptr<Consumer>> Consumer::Create(const ClientOptions& client_options,
                                                           const ConsumerOptions& options) {
  CATAMARAN_RETURN_IF_ERROR(ValidateClientOptions(client_options));
  CATAMARAN_RETURN_IF_ERROR(core::ValidateConsumerOptions(options));
  return std::unique_ptr<Consumer>(
      new Consumer(std::make_unique<Impl>(client_options, options, RandomSeedFromSystem())));
}

Consumer::Consumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Consumer::~Consumer() = default;

absl::Status Consumer::Assign(std::vector<Assignment> assignments) {
  return impl_->Apply(
      [&](core::ConsumerCore& core, MonotonicTime now) { return core.Assign(assignments, now); });
}

absl::Status Consumer::AddAssignment(Assignment assignment) {
  return impl_->Apply([&](core::ConsumerCore& core, MonotonicTime now) {
    return core.AddAssignment(assignment, now);
  });
}

absl::Status Consumer::RemoveAssignment(const TopicPartition& partition) {
  return impl_->Apply([&](core::ConsumerCore& core, MonotonicTime) {
    core.RemoveAssignment(partition);
    return absl::OkStatus();
  });
}

absl::Status Consumer::Seek(const TopicPartition& partition, StartPosition position) {
  return impl_->Apply([&](core::ConsumerCore& core, MonotonicTime now) {
    return core.Seek(partition, position, now);
  });
}

absl::Status Consumer::Pause(const TopicPartition& partition) {
  return impl_->Apply(
      [&](core::ConsumerCore& core, MonotonicTime) { return core.SetPaused(partition, true); });
}

absl::Status Consumer::Resume(const TopicPartition& partition) {
  return impl_->Apply(
      [&](core::ConsumerCore& core, MonotonicTime) { return core.SetPaused(partition, false); });
}

absl::StatusOr<PolledRecords> Consumer::Poll(Duration timeout, int32_t max_records) {
  if (max_records < 1 || max_records > kPollRecordsMax) {
    return MakeError(Reason::kInvalidArgument, "Poll takes 1 to 1,000,000 records at once.");
  }
  PolledRecords polled;
  polled.batches_ = std::make_unique<core::PolledBatches>();
  CATAMARAN_RETURN_IF_ERROR(impl_->Poll(timeout, static_cast<size_t>(max_records), &polled.records_,
                                        polled.batches_.get()));
  return polled;
}

void Consumer::Wakeup() { impl_->Wakeup(); }

absl::StatusOr<PartitionProgress> Consumer::Progress(const TopicPartition& partition) const {
  return impl_->Ask([&](const core::ConsumerCore& core) { return core.Progress(partition); });
}

std::vector<PartitionProgress> Consumer::ProgressOfAll() const {
  return impl_->Ask([](const core::ConsumerCore& core) { return core.ProgressOfAll(); });
}

absl::Status Consumer::trouble() const {
  return impl_->Ask([](const core::ConsumerCore& core) { return core.trouble(); });
}

}  // namespace catamaran::client
