#include "metadata/metadata_service.h"

#include <atomic>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/mutex.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

constexpr size_t kAppendBytesMax = 4u
                                   << 20;  // of records in one append, as far as whole commands go

absl::Status ShuttingDown() {
  return MakeError(Reason::kShuttingDown,
                   "The broker is stopping and takes no more changes. Ask another broker, or try "
                   "again when it's back.");
}

std::shared_ptr<const MetadataDelta> WholeImageAsDelta(const MetadataImage& image) {
  auto delta = std::make_shared<MetadataDelta>();
  delta->to = image.revision();
  for (const auto& [name, topic] : image.topics()) delta->topics_updated.push_back(topic);
  for (const auto& [id, broker] : image.brokers()) delta->brokers_updated.push_back(broker);
  delta->controller_changed = image.controller() != kNoBroker;
  return delta;
}

}  // namespace

struct MetadataService::Core : std::enable_shared_from_this<MetadataService::Core> {
  struct Pending {
    Command command;
    CommandOptions options;
    Reply reply;
  };
  // A command of the append in flight.
  struct Decided {
    Reply reply;
    absl::StatusOr<Answer> answer;
    bool has_records = false;
    ImageBuilder::Built built;  // when it has
  };
  struct Subscriber {
    Executor* executor;
    std::shared_ptr<DeltaCallback> callback;
  };

  Core(Executor* the_executor, MetadataLog* the_log, Random the_random,
       MetadataServiceOptions the_options)
      : executor(the_executor), log(the_log), options(std::move(the_options)), random(the_random) {}

  absl::Status Start();
  void Submit(Pending pending);
  void Pump();
  Decided Decide(Pending& pending, std::vector<RecordBatch>* batches, size_t* bytes);
  void FinishAppend(absl::Status status);
  void Publish(const ImageBuilder::Built& built);
  void ReplyTo(Reply& reply, absl::StatusOr<Answer> answer);
  void MaybeSnapshot(bool last);
  void MaybeFinishStop();

  // Constant.
  Executor* const executor;
  MetadataLog* const log;
  const MetadataServiceOptions options;
  std::unique_ptr<WatchHub> hub;  // from Start() on

  // Owned by the executor.
  Random random;
  std::deque<Pending> queue;
  ImageRef working;              // decided on, maybe not durable yet
  std::vector<Decided> decided;  // the append in flight; empty: none
  std::vector<Subscriber> subscribers;
  bool writing_snapshot = false;
  bool final_snapshot_done = false;
  absl::AnyInvocable<void()> stop_done;

  std::atomic<size_t> pending_count{0};
  std::atomic<bool> stopping{false};
  mutable Mutex mu;
  ImageRef image ABSL_GUARDED_BY(mu) = std::make_shared<MetadataImage>();  // durable
  absl::Status health ABSL_GUARDED_BY(mu);
};

absl::Status MetadataService::Core::Start() {
  CATAMARAN_ASSIGN_OR_RETURN(LogContents contents, log->Open());
  CATAMARAN_ASSIGN_OR_RETURN(ImageRef loaded,
                             LoadSnapshot(contents.snapshot, contents.snapshot_revision));
  ImageBuilder builder(std::move(loaded));
  for (const RecordBatch& batch : contents.batches) {
    for (const Record& record : batch.records) CATAMARAN_RETURN_IF_ERROR(builder.Replay(record));
  }
  CATAMARAN_ASSIGN_OR_RETURN(ImageBuilder::Built built, builder.Build());
  working = built.image;
  hub = std::make_unique<WatchHub>(options.watch, built.image);
  MutexLock lock(&mu);
  image = std::move(built.image);
  return absl::OkStatus();
}

void MetadataService::Core::ReplyTo(Reply& reply, absl::StatusOr<Answer> answer) {
  pending_count.fetch_sub(1, std::memory_order_relaxed);
  reply(std::move(answer));
}

void MetadataService::Core::Submit(Pending pending) {
  queue.push_back(std::move(pending));
  Pump();
}

// Takes what has gathered, decides it in order and appends it together.
void MetadataService::Core::Pump() {
  while (decided.empty() && !queue.empty()) {
    std::vector<RecordBatch> batches;
    size_t bytes = 0;
    while (!queue.empty() && decided.size() < options.commands_per_append_max &&
           bytes < kAppendBytesMax) {
      Pending pending = std::move(queue.front());
      queue.pop_front();
      decided.push_back(Decide(pending, &batches, &bytes));
    }
    if (!batches.empty()) {
      log->Append(std::move(batches),
                  [self = shared_from_this()](absl::Status status) { self->FinishAppend(status); });
      return;
    }
    std::vector<Decided> done = std::move(decided);
    decided.clear();
    for (Decided& each : done) ReplyTo(each.reply, std::move(each.answer));
  }
  MaybeFinishStop();
}

MetadataService::Core::Decided MetadataService::Core::Decide(Pending& pending,
                                                             std::vector<RecordBatch>* batches,
                                                             size_t* bytes) {
  Decided result{std::move(pending.reply), Answer{}, false, {}};
  {
    MutexLock lock(&mu);
    if (!health.ok()) {
      result.answer = health;
      return result;
    }
  }
  absl::StatusOr<Decision> decision =
      Handle(pending.command, pending.options, *working, options.limits, random);
  if (!decision.ok()) {
    result.answer = decision.status();
    return result;
  }
  if (decision->records.empty()) {
    result.answer = AnswerOf(*decision, *working);
    return result;
  }
  RecordBatch batch{working->revision() + 1, WrapLargeBatch(std::move(decision->records))};
  ImageBuilder builder(working);
  for (const Record& record : batch.records) {
    absl::Status replayed = builder.Replay(record);
    CATAMARAN_CHECK(replayed.ok(), FromAbsl(replayed.message()));
  }
  absl::StatusOr<ImageBuilder::Built> built = builder.Build();
  CATAMARAN_CHECK(built.ok(), "a command's records are whole");
  result.answer = AnswerOf(*decision, *built->image);
  if (pending.options.validate_only) return result;
  for (const Record& record : batch.records) *bytes += record.ByteSizeLong();
  batches->push_back(std::move(batch));
  working = built->image;
  result.has_records = true;
  result.built = *std::move(built);
  return result;
}

void MetadataService::Core::FinishAppend(absl::Status status) {
  std::vector<Decided> done = std::move(decided);
  decided.clear();
  if (!status.ok()) {
    MutexLock lock(&mu);
    working = image;
    if (ReasonOf(status) == Reason::kStorageFailed) health = status;
  }
  // What was decided after the first command with records was decided upon a state that never came
  // to be.
  bool failed = false;
  for (Decided& each : done) {
    if (each.has_records && status.ok()) Publish(each.built);
    failed = failed || (each.has_records && !status.ok());
    ReplyTo(each.reply, failed ? absl::StatusOr<Answer>(status) : std::move(each.answer));
  }
  MaybeSnapshot(/*last=*/false);
  Pump();
}

void MetadataService::Core::Publish(const ImageBuilder::Built& built) {
  {
    MutexLock lock(&mu);
    image = built.image;
  }
  for (const Subscriber& subscriber : subscribers) {
    subscriber.executor->Post(
        [callback = subscriber.callback, built] { (*callback)(built.image, built.delta); });
  }
  hub->Publish(built.image, built.delta);
}

void MetadataService::Core::MaybeSnapshot(bool last) {
  uint64_t threshold = last ? 1 : options.snapshot_after_bytes;
  bool wanted = log->bytes_since_snapshot() >= threshold;
  if (writing_snapshot || !wanted) return;
  writing_snapshot = true;
  // Between appends: the working image is the durable one.
  log->WriteSnapshot(working->revision(), SnapshotRecords(*working),
                     [self = shared_from_this()](absl::Status) {
                       // A failed snapshot costs space and start time only; the log has everything.
                       self->writing_snapshot = false;
                       self->MaybeFinishStop();
                     });
}

// Stop() ends when the queue is empty and a last snapshot was tried, so that the next start reads
// little.
void MetadataService::Core::MaybeFinishStop() {
  if (!stop_done || !decided.empty() || !queue.empty() || writing_snapshot) return;
  if (!final_snapshot_done) {
    final_snapshot_done = true;
    bool healthy = false;
    {
      MutexLock lock(&mu);
      healthy = health.ok();
    }
    if (healthy) MaybeSnapshot(/*last=*/true);
    if (writing_snapshot) return;
  }
  hub->Close(ShuttingDown());
  std::exchange(stop_done, nullptr)();
}

MetadataService::MetadataService(Executor* executor, MetadataLog* log, Random random,
                                 MetadataServiceOptions options)
    : core_(std::make_shared<Core>(executor, log, random, std::move(options))) {}
MetadataService::~MetadataService() = default;

absl::Status MetadataService::Start() {
  CATAMARAN_RETURN_IF_ERROR(core_->Start());
  if (core_->options.controller != kNoBroker) {
    Submit(ClaimControllerCommand{core_->options.controller}, {}, [](absl::StatusOr<Answer>) {});
  }
  return absl::OkStatus();
}

ImageRef MetadataService::image() const {
  MutexLock lock(&core_->mu);
  return core_->image;
}

void MetadataService::Submit(Command command, CommandOptions options, Reply reply) {
  size_t before = core_->pending_count.fetch_add(1, std::memory_order_relaxed);
  absl::Status refusal;
  if (core_->stopping.load(std::memory_order_acquire)) {
    refusal = ShuttingDown();
  } else if (before >= core_->options.pending_commands_max) {
    refusal = MakeError(Reason::kOverloaded,
                        Cat(before,
                            " metadata changes are waiting already. Try again "
                            "in a moment."),
                        {{"max", Cat(core_->options.pending_commands_max)}});
  }
  if (!refusal.ok()) {
    core_->executor->Post([core = core_, reply = std::move(reply), refusal]() mutable {
      core->ReplyTo(reply, refusal);
    });
    return;
  }
  core_->executor->Post(
      [core = core_, pending = Core::Pending{std::move(command), std::move(options),
                                             std::move(reply)}]() mutable {
        core->Submit(std::move(pending));
      });
}

void MetadataService::AllocateProducerIds(
    BrokerId broker, absl::AnyInvocable<void(absl::StatusOr<ProducerIdBlock>)> reply) {
  Submit(AllocateProducerIdsCommand{broker}, {},
         [reply = std::move(reply)](absl::StatusOr<Answer> answer) mutable {
           if (!answer.ok()) return reply(answer.status());
           reply(std::get<ProducerIdBlock>(*answer));
         });
}

void MetadataService::Subscribe(Executor* executor, DeltaCallback callback) {
  auto shared = std::make_shared<DeltaCallback>(std::move(callback));
  core_->executor->Post([core = core_, executor, shared] {
    // Executor-owned state isn't published before it's durable, so this image has no change twice.
    ImageRef now;
    {
      MutexLock lock(&core->mu);
      now = core->image;
    }
    executor->Post([shared, now] { (*shared)(now, WholeImageAsDelta(*now)); });
    core->subscribers.push_back({executor, shared});
  });
}

WatchHub& MetadataService::watch_hub() {
  CATAMARAN_CHECK(core_->hub != nullptr, "Start() comes first");
  return *core_->hub;
}

void MetadataService::Stop(absl::AnyInvocable<void()> done) {
  core_->stopping.store(true, std::memory_order_release);
  core_->executor->Post([core = core_, done = std::move(done)]() mutable {
    core->stop_done = std::move(done);
    core->MaybeFinishStop();
  });
}

absl::Status MetadataService::health() const {
  MutexLock lock(&core_->mu);
  return core_->health;
}

size_t MetadataService::pending_commands() const {
  return core_->pending_count.load(std::memory_order_relaxed);
}

}  // namespace catamaran::metadata
