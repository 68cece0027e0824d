#include "client/core/partition_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

std::string NameOf(const std::string& topic, PartitionIndex partition) {
  return absl::StrCat(topic, "-", partition.value());
}

ErrorMetadata Where(const std::string& topic, PartitionIndex partition) {
  return {{"topic", topic}, {"partition", absl::StrCat(partition.value())}};
}

// `cause` is how the last attempt ended, OK when it wasn't answered. It may well be a refusal: an
// earlier attempt may have been carried out all the same.
absl::Status UnknownOutcome(const std::string& topic, PartitionIndex partition,
                            const absl::Status& cause) {
  const std::string name = NameOf(topic, partition);
  std::string message;
  if (!cause.ok() && ReasonOf(cause) == Reason::kOutcomeUnknown) {
    message = absl::StrCat(name, ": ", cause.message());  // says all of it already
  } else {
    message =
        absl::StrCat("Nobody knows whether the records for ", name,
                     " were stored: read the partition before sending them again. The last attempt "
                     "ended with: ",
                     cause.ok() ? "no answer in time." : std::string(cause.message()));
  }
  return MakeError(Reason::kOutcomeUnknown, message, Where(topic, partition));
}

// What stood in the way of the delivery, when waiting longer could have mended it: worth more to
// whoever sent the records than that the time is over.
bool ExplainsTheDelay(const absl::Status& cause) {
  if (!GetErrorDetail(cause).has_value()) return false;
  return cause.code() == absl::StatusCode::kUnavailable ||
         cause.code() == absl::StatusCode::kResourceExhausted ||
         cause.code() == absl::StatusCode::kNotFound;
}

// `cause` is the last refusal, OK when no broker was asked.
absl::Status NotDelivered(const std::string& topic, PartitionIndex partition,
                          const absl::Status& cause) {
  const Reason reason = ExplainsTheDelay(cause) ? ReasonOf(cause) : Reason::kDeadlineExceeded;
  return MakeError(
      reason,
      absl::StrCat(
          "Records for ", NameOf(topic, partition), " were not stored within delivery_timeout: ",
          cause.ok() ? "no broker took them. Send them again." : std::string(cause.message())),
      Where(topic, partition));
}

bool ConcernsLeadership(Reason reason) {
  switch (reason) {
    case Reason::kNotLeader:
    case Reason::kLeaderUnknown:
    case Reason::kFencedEpoch:
    case Reason::kUnknownTopic:
    case Reason::kUnknownPartition:
    case Reason::kTopicIdMismatch:
    case Reason::kShuttingDown:
      return true;
    default:
      return false;
  }
}

// Refusals that a fresh look at the metadata may mend; the delivery timeout bounds them.
bool IsWorthRetrying(Reason reason) { return IsRetriable(reason) || ConcernsLeadership(reason); }

// After so long a silence a broker may have forgotten the producer (invariants.md X1).
constexpr Duration kIdleUntilUnproven = std::chrono::minutes(10);

}  // namespace

CompletedBatch FailedBatch(SealedBatch sealed, const absl::Status& status, MonotonicTime now) {
  CompletedBatch done;
  done.topic = std::move(sealed.topic);
  done.partition = sealed.partition;
  done.status = status;
  done.record_count = sealed.record_count;
  done.first_record = sealed.first_record;
  done.accounted_bytes = sealed.accounted_bytes;
  done.latency = now - sealed.opened_at;
  done.callbacks = std::move(sealed.callbacks);
  return done;
}

PartitionQueue::PartitionQueue(const Options& options, std::string topic, PartitionIndex partition)
    : options_(options), topic_(std::move(topic)), partition_(partition) {}

void PartitionQueue::Enqueue(SealedBatch sealed) {
  if (idle_since_.has_value() && sealed.opened_at - *idle_since_ > kIdleUntilUnproven) {
    proven_ = false;
  }
  idle_since_.reset();
  Batch batch;
  batch.id = ++last_id_;
  batch.sealed = std::move(sealed);
  batches_.push_back(std::move(batch));
}

MonotonicTime PartitionQueue::DeadlineOf(const Batch& batch) const {
  return batch.sealed.opened_at + options_.delivery_timeout;
}

size_t PartitionQueue::FirstOpen() const {
  size_t i = 0;
  while (i < batches_.size() && batches_[i].done) ++i;
  return i;
}

size_t PartitionQueue::FirstWaiting() const {
  size_t i = 0;
  while (i < batches_.size() && (batches_[i].done || batches_[i].in_flight)) ++i;
  return i;
}

bool PartitionQueue::has_waiting() const { return FirstWaiting() < batches_.size(); }

// ---- sending ----

bool PartitionQueue::CanSend(MonotonicTime now, const ProducerIdentity& identity) const {
  if (next_topic_id_.has_value() || now < retry_at_) return false;
  const int limit = options_.idempotent && !proven_ ? 1 : options_.in_flight_max;
  if (in_flight_ >= limit) return false;
  if (options_.idempotent && !identity_.is_set() && !identity.is_set()) return false;
  const size_t next = FirstWaiting();
  return next < batches_.size() && (!restart_at_.has_value() || batches_[next].id < *restart_at_);
}

std::optional<PartitionQueue::Sending> PartitionQueue::Send(const ProducerIdentity& identity) {
  if (options_.idempotent && !identity_.is_set()) {
    identity_ = identity;
    next_sequence_ = Sequence(0);
  }
  Batch& batch = batches_[FirstWaiting()];
  if (absl::Status status = Encode(&batch); !status.ok()) {
    Fail(&batch, status);
    return std::nullopt;
  }
  const bool retry = batch.tried;
  batch.tried = true;
  batch.in_flight = true;
  ++in_flight_;
  return Sending{batch.id, batch.encoded, retry};
}

absl::Status PartitionQueue::Encode(Batch* batch) {
  const bool needs_sequence = options_.idempotent && batch->sequence == kNoSequence;
  if (batch->sealed.builder.has_value()) {
    BatchBuilder builder = *std::exchange(batch->sealed.builder, std::nullopt);
    if (needs_sequence) builder.SetProducer(identity_.id, identity_.epoch, next_sequence_);
    absl::StatusOr<std::string> bytes = builder.Build();
    if (!bytes.ok()) return bytes.status();
    batch->encoded = Buffer::FromString(*std::move(bytes));
  } else if (needs_sequence) {
    std::string bytes(batch->encoded.view());
    RewriteProducer(&bytes, identity_.id, identity_.epoch, next_sequence_);
    batch->encoded = Buffer::FromString(std::move(bytes));
  }
  if (needs_sequence) {
    batch->sequence = next_sequence_;
    next_sequence_ = AddSequence(next_sequence_, batch->sealed.record_count);
  }
  return absl::OkStatus();
}

// ---- answers ----

PartitionQueue::Verdict PartitionQueue::OnResult(uint64_t batch_id, const AppendResult& result,
                                                 bool redirected, MonotonicTime now,
                                                 Random& random) {
  CATAMARAN_CHECK(in_flight_ > 0, topic_);
  --in_flight_;
  Verdict verdict;
  auto it = std::find_if(batches_.begin(), batches_.end(),
                         [&](const Batch& batch) { return batch.id == batch_id; });
  if (it == batches_.end() || it->done) return verdict;  // given up before
  Batch& batch = *it;
  batch.in_flight = false;
  if (result.status.ok()) {
    Succeed(&batch, result);
    return verdict;
  }
  batch.status = result.status;
  if (redirected) return verdict;  // waits for nothing
  const Reason reason = ReasonOf(result.status);
  const bool unknown = OutcomeOf(result.status) == Outcome::kUnknown;
  if (unknown) batch.unresolved = true;
  verdict.refresh_metadata = unknown || ConcernsLeadership(reason);

  if (options_.idempotent && !unknown) {
    if (reason == Reason::kProducerFenced) {
      verdict.fenced = true;
      RestartAt(batch.id);
      return verdict;
    }
    if (reason == Reason::kOutOfOrderSequence || reason == Reason::kUnknownProducer) {
      // Behind a batch that isn't stored yet this only says "too early". In front it says that the
      // broker no longer knows what it acknowledged.
      if (&batch == &batches_[FirstOpen()]) RestartAt(batch.id);
      return verdict;
    }
  }
  if (unknown ? options_.idempotent : IsWorthRetrying(reason)) {
    BackOff(result.retry_delay, now, random);
  } else {
    Fail(&batch, result.status);
  }
  return verdict;
}

void PartitionQueue::Succeed(Batch* batch, const AppendResult& result) {
  batch->done = true;
  batch->status = absl::OkStatus();
  batch->base_offset = result.base_offset;
  batch->log_append_time = result.log_append_time;
  proven_ = true;
  failures_ = 0;
}

void PartitionQueue::Fail(Batch* batch, const absl::Status& status) {
  const bool may_be_stored = MayBeStored(*batch);
  batch->done = true;
  batch->in_flight = false;  // in_flight_ still counts it, until its answer or the connection's end
  batch->status = may_be_stored && ReasonOf(status) != Reason::kOutcomeUnknown
                      ? UnknownOutcome(topic_, partition_, status)
                      : status;
  if (!options_.idempotent || batch->sequence == kNoSequence) return;
  const bool last = AddSequence(batch->sequence, batch->sealed.record_count) == next_sequence_;
  if (last && !may_be_stored) {
    // Never used: the next batch takes it.
    next_sequence_ = std::exchange(batch->sequence, kNoSequence);
  } else {
    RestartAt(batch->id);
  }
}

void PartitionQueue::RestartAt(uint64_t batch_id) {
  restart_at_ = std::min(restart_at_.value_or(batch_id), batch_id);
}

void PartitionQueue::BackOff(Duration asked, MonotonicTime now, Random& random) {
  ++failures_;
  retry_at_ =
      std::max(retry_at_, now + std::max(asked, BackoffAfter(options_.backoff, failures_, random)));
}

// ---- time and trouble ----

void PartitionQueue::Expire(MonotonicTime now) {
  for (Batch& batch : batches_) {
    if (batch.done) continue;
    if (DeadlineOf(batch) > now) break;  // those behind were accepted later
    Fail(&batch, MayBeStored(batch) ? UnknownOutcome(topic_, partition_, batch.status)
                                    : NotDelivered(topic_, partition_, batch.status));
  }
}

void PartitionQueue::FailAll(const absl::Status& status) {
  for (Batch& batch : batches_) {
    if (!batch.done) Fail(&batch, status);
  }
}

void PartitionQueue::SetTopicId(TopicId id) {
  if (id == topic_id_ && !next_topic_id_.has_value()) return;
  if (topic_id_ == TopicId()) {
    topic_id_ = id;
    return;
  }
  next_topic_id_ = id;
  RestartAt(0);
}

bool PartitionQueue::WantsRestart() const {
  if (!restart_at_.has_value() || in_flight_ > 0) return false;
  const size_t first = FirstOpen();
  return first == batches_.size() || batches_[first].id >= *restart_at_;
}

void PartitionQueue::Restart(const ProducerIdentity& identity) {
  CATAMARAN_CHECK(WantsRestart(), topic_);
  for (Batch& batch : batches_) {
    batch.sequence = kNoSequence;  // the old identity's counts for nothing any more
    if (batch.done || !batch.unresolved) continue;
    batch.done = true;
    batch.status = UnknownOutcome(topic_, partition_, batch.status);
  }
  if (next_topic_id_.has_value()) {
    topic_id_ = *std::exchange(next_topic_id_, std::nullopt);
  }
  if (options_.idempotent) identity_ = identity;
  next_sequence_ = Sequence(0);
  proven_ = false;
  restart_at_.reset();
}

void PartitionQueue::TakeDone(MonotonicTime now, std::vector<CompletedBatch>* done) {
  while (!batches_.empty() && batches_.front().done) {
    Batch& batch = batches_.front();
    CompletedBatch completed = FailedBatch(std::move(batch.sealed), batch.status, now);
    completed.topic = topic_;
    completed.partition = partition_;
    completed.base_offset = batch.base_offset;
    completed.log_append_time = batch.log_append_time;
    completed.batch_bytes = batch.encoded.size();
    done->push_back(std::move(completed));
    batches_.pop_front();
    if (batches_.empty()) idle_since_ = now;
  }
}

MonotonicTime PartitionQueue::next_wake(MonotonicTime now) const {
  const size_t first = FirstOpen();
  if (first == batches_.size()) return kNever;
  MonotonicTime wake = DeadlineOf(batches_[first]);
  if (retry_at_ > now && has_waiting()) {
    wake = std::min(wake, retry_at_);
  }
  return wake;
}

void PartitionQueue::CheckInvariants() const {
  int in_flight = 0;
  uint64_t last_id = 0;
  Sequence expected = kNoSequence;
  for (const Batch& batch : batches_) {
    CATAMARAN_CHECK(batch.id > last_id, topic_);
    last_id = batch.id;
    in_flight += batch.in_flight ? 1 : 0;
    CATAMARAN_CHECK(!batch.in_flight || batch.tried, topic_);
    if (!options_.idempotent || batch.sequence == kNoSequence || restart_at_.has_value()) continue;
    CATAMARAN_CHECK(expected == kNoSequence || batch.sequence == expected, topic_);
    expected = AddSequence(batch.sequence, batch.sealed.record_count);
  }
  CATAMARAN_CHECK(in_flight <= in_flight_, topic_);
}

}  // namespace catamaran::client::core
