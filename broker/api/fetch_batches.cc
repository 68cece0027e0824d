// FetchBatches: a long poll over partitions that different shards own.
#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/api_error.h"
#include "broker/api/batch_api.h"
#include "broker/api/fetch.h"

namespace catamaran::broker {

void ToProto(const absl::Status& status, const ReadOutcome& outcome, v1::PartitionData* data) {
  if (!status.ok()) ToProto(status, data->mutable_error());
  std::string* batches = data->mutable_batches();
  batches->reserve(batches->size() + outcome.data.bytes);
  for (const Buffer& run : outcome.data.batches_runs) {
    batches->append(run.data(), run.size());
  }
  data->set_next_offset(outcome.data.next_offset.value());
  data->set_high_watermark(outcome.view.high_watermark.value());
  data->set_last_stable_offset(outcome.view.last_stable.value());
  data->set_log_start_offset(outcome.view.log_start.value());
  data->set_leader_epoch(outcome.view.leader_epoch.value());
}

void CountFetch(Counters& counters, const absl::Status& status, size_t bytes) {
  counters.Add(Counter::kFetchRequests);
  if (!status.ok()) counters.Add(Counter::kFetchErrors);
  counters.Add(Counter::kFetchBytes, static_cast<int64_t>(bytes));
}

namespace {

// One FetchBatches call. Every partition has one read outstanding, which waits at its replica; when
// enough bytes have come, or an error, the reads that still wait are cancelled, and the last answer
// makes the reply.
class FetchOperation : public std::enable_shared_from_this<FetchOperation> {
 public:
  FetchOperation(const ApiContext* context, v1::FetchBatchesRequest request,
                 Reply<v1::FetchBatchesResponse> reply)
      : context_(context), request_(std::move(request)), reply_(std::move(reply)) {}

  void Start(const CallContext& call, bool read_committed) {
    const MonotonicTime now = context_->clock->Now();
    read_committed_ = read_committed;
    bytes_max_ = request_.max_bytes() == 0
                     ? kFetchBatchesBytesDefault
                     : std::min<int64_t>(request_.max_bytes(), kFetchBatchesBytesDefault);
    // The answer must fit into a message, with room for everything but the batches.
    bytes_max_ =
        std::min(bytes_max_, static_cast<int64_t>(context_->limits.request_bytes_max * 15 / 16));
    budget_ = std::make_shared<ReadBudget>(bytes_max_);
    deadline_ = now;
    if (request_.min_bytes() > 0) {
      deadline_ = std::min(now + std::chrono::milliseconds(request_.max_wait_ms()), call.deadline);
    }
    const int count = request_.partitions_size();
    parts_.resize(static_cast<size_t>(count));
    outstanding_ = count;
    // An error answers at once, so partitions that can't be read are found before any read waits.
    for (int i = 0; i < count; ++i) {
      Part& part = parts_[static_cast<size_t>(i)];
      absl::StatusOr<ResolvedPartition> target =
          Resolve(*context_->catalog, request_.partitions(i).partition());
      part.next = Offset(request_.partitions(i).offset());
      if (target.ok()) {
        part.target = *std::move(target);
        part.token = context_->replicas->NextReadToken();
      } else {
        part.status = target.status();
        full_ = true;
      }
    }
    if (call.cancellation != nullptr) {
      call.cancellation->OnCancel([weak = weak_from_this()] {
        if (auto self = weak.lock()) self->Complete(/*by=*/-1);
      });
    }
    for (int i = 0; i < count; ++i) {
      if (parts_[static_cast<size_t>(i)].status.ok()) {
        Read(i);
      } else {
        OnRead(i, parts_[static_cast<size_t>(i)].status, {}, /*counted=*/false);
      }
    }
  }

 private:
  struct Part {
    absl::Status status;
    ResolvedPartition target;
    uint64_t token = 0;
    Offset next;
    bool waiting = true;  // a read is outstanding
    int64_t bytes = 0;
    ReadOutcome outcome;  // of the last read, with the runs of all
  };

  int64_t PartitionBytesMax(int i) const {
    int64_t bytes = request_.partitions(i).max_bytes();
    return bytes <= 0 ? kFetchPartitionBytesDefault : bytes;
  }

  void Read(int i) {
    const Part& part = parts_[static_cast<size_t>(i)];
    ReadCommand command;
    command.offset = part.next;
    command.bytes_max =
        static_cast<size_t>(std::min(PartitionBytesMax(i) - part.bytes, bytes_max_));
    command.read_committed = read_committed_;
    command.expected_epoch = part.target.expected_epoch;
    command.deadline = full_.load(std::memory_order_relaxed) ? MonotonicTime{} : deadline_;
    command.token = part.token;
    command.budget = budget_;
    command.reply = [self = shared_from_this(), i](absl::Status status, ReadOutcome outcome) {
      self->OnRead(i, std::move(status), std::move(outcome), /*counted=*/true);
    };
    context_->replicas->Read(*part.target.topic, part.target.partition, std::move(command));
    // The cancel of Complete() may have overtaken this read.
    if (full_.load()) {
      context_->replicas->CancelReads(*part.target.topic, part.target.partition, part.token);
    }
  }

  // On any thread, once for each outstanding read; a part belongs to its outstanding read.
  void OnRead(int i, absl::Status status, ReadOutcome outcome, bool counted) {
    Part& part = parts_[static_cast<size_t>(i)];
    const int64_t bytes = static_cast<int64_t>(outcome.data.bytes);
    if (counted) CountFetch(*context_->counters, status, outcome.data.bytes);
    part.status = std::move(status);
    if (part.status.ok()) part.next = outcome.data.next_offset;
    std::vector<Buffer> runs = std::move(part.outcome.data.batches_runs);
    for (Buffer& run : outcome.data.batches_runs) runs.push_back(std::move(run));
    part.outcome = std::move(outcome);
    part.bytes += bytes;
    part.outcome.data.batches_runs = std::move(runs);
    part.outcome.data.bytes = static_cast<size_t>(part.bytes);
    part.outcome.data.next_offset = part.next;
    const int64_t total = bytes_.fetch_add(bytes) + bytes;
    if (!part.status.ok() || total >= request_.min_bytes() || total >= bytes_max_) Complete(i);
    // Not enough yet, and this partition may give more: it goes on waiting.
    if (bytes > 0 && part.status.ok() && !full_.load() && part.bytes < PartitionBytesMax(i)) {
      Read(i);
      return;
    }
    if (outstanding_.fetch_sub(1, std::memory_order_acq_rel) == 1) Answer();
  }

  void Complete(int by) {
    if (full_.exchange(true)) return;
    for (int i = 0; i < static_cast<int>(parts_.size()); ++i) {
      const Part& part = parts_[static_cast<size_t>(i)];
      if (i == by || part.token == 0) continue;
      context_->replicas->CancelReads(*part.target.topic, part.target.partition, part.token);
    }
  }

  void Answer() {
    v1::FetchBatchesResponse response;
    int64_t sent = 0;
    for (int i = 0; i < static_cast<int>(parts_.size()); ++i) {
      Part& part = parts_[static_cast<size_t>(i)];
      v1::PartitionData* data = response.add_partitions();
      data->set_topic_id(request_.partitions(i).partition().topic_id());
      data->set_partition(request_.partitions(i).partition().partition());
      // Several first batches larger than the limit don't fit together: the later ones are read
      // next time.
      if (sent > 0 && sent + part.bytes > bytes_max_) {
        part.outcome.data = {};
        part.outcome.data.next_offset = Offset(request_.partitions(i).offset());
        part.bytes = 0;
      }
      sent += part.bytes;
      ToProto(part.status, part.outcome, data);
      part.outcome.data.batches_runs.clear();
    }
    reply_(std::move(response));
  }

  const ApiContext* const context_;
  const v1::FetchBatchesRequest request_;
  Reply<v1::FetchBatchesResponse> reply_;
  bool read_committed_ = true;
  int64_t bytes_max_ = 0;
  MonotonicTime deadline_;
  std::shared_ptr<ReadBudget> budget_;
  std::vector<Part> parts_;
  std::atomic<int> outstanding_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<bool> full_{false};  // enough, or an error: nothing waits any more
};

absl::Status CheckShape(const v1::FetchBatchesRequest& request) {
  auto out_of_range = [](const char* field, int64_t value, int64_t limit) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("`", field, "` is ", value, "; it may be 0 to ", limit, "."),
                     {{"field", field}, {"limit", absl::StrCat(limit)}});
  };
  if (request.partitions_size() == 0 || request.partitions_size() > kPartitionsPerRequestMax) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("The request names ", request.partitions_size(),
                                  " partitions; it may name 1 to ", kPartitionsPerRequestMax, "."),
                     {{"field", "partitions"}, {"limit", absl::StrCat(kPartitionsPerRequestMax)}});
  }
  if (request.max_wait_ms() < 0 || request.max_wait_ms() > kFetchWaitMsMax) {
    return out_of_range("max_wait_ms", request.max_wait_ms(), kFetchWaitMsMax);
  }
  if (request.min_bytes() < 0) return out_of_range("min_bytes", request.min_bytes(), INT32_MAX);
  if (request.max_bytes() < 0) return out_of_range("max_bytes", request.max_bytes(), INT64_MAX);
  for (const auto& partition : request.partitions()) {
    if (partition.max_bytes() < 0) {
      return out_of_range("partitions.max_bytes", partition.max_bytes(), INT64_MAX);
    }
  }
  return absl::OkStatus();
}

}  // namespace

void BatchApi::FetchBatches(const CallContext& call, v1::FetchBatchesRequest request,
                            Reply<v1::FetchBatchesResponse> reply) {
  if (absl::Status status = CheckShape(request); !status.ok()) {
    reply(status);
    return;
  }
  absl::StatusOr<bool> read_committed = IsReadCommitted(request.isolation_level());
  if (!read_committed.ok()) {
    reply(read_committed.status());
    return;
  }
  std::make_shared<FetchOperation>(context_, std::move(request), std::move(reply))
      ->Start(call, *read_committed);
}

}  // namespace catamaran::broker
