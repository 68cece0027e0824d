#include "broker/api/append.h"

#include <atomic>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/api_error.h"

namespace catamaran::broker {
namespace {

// Collects the answers of one request's batches.
struct Gather {
  Gather(int batches, Reply<v1::AppendBatchesResponse> r) : waiting(batches), reply(std::move(r)) {
    for (int i = 0; i < batches; ++i) response.add_results();
  }
  // Each index once, on any thread: the results are distinct objects, made before.
  void Set(int index, const absl::StatusOr<ProduceOutcome>& outcome) {
    v1::AppendResult* result = response.mutable_results(index);
    if (outcome.ok()) {
      ToProto(*outcome, result->mutable_receipt());
      result->set_log_start_offset(outcome->log_start.value());
    } else {
      ToProto(outcome.status(), result->mutable_error());
    }
    if (waiting.fetch_sub(1, std::memory_order_acq_rel) == 1) reply(std::move(response));
  }

  std::atomic<int> waiting;
  v1::AppendBatchesResponse response;
  Reply<v1::AppendBatchesResponse> reply;
};

struct Checked {
  absl::Status status;
  ResolvedPartition target;
};

absl::Status CheckShape(const v1::AppendBatchesRequest& request) {
  if (request.batches_size() == 0) {
    return MakeError(Reason::kInvalidArgument, "The request has no batches: add at least one.",
                     {{"field", "batches"}});
  }
  if (request.batches_size() > kPartitionsPerRequestMax) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("The request has ", request.batches_size(), " batches; at most ",
                                  kPartitionsPerRequestMax, " may go together."),
                     {{"field", "batches"}, {"limit", absl::StrCat(kPartitionsPerRequestMax)}});
  }
  if (request.batches_size() == 1) return absl::OkStatus();
  std::set<std::pair<std::string_view, int32_t>> seen;
  for (const auto& entry : request.batches()) {
    if (!seen.emplace(entry.partition().topic_id(), entry.partition().partition()).second) {
      return MakeError(
          Reason::kInvalidArgument,
          absl::StrCat("Partition ", entry.partition().partition(),
                       " appears twice in the request: send one batch a partition."),
          {{"field", "batches"}, {"partition", absl::StrCat(entry.partition().partition())}});
    }
  }
  return absl::OkStatus();
}

void CheckAndDispatch(const ApiContext& context, const AckPolicy& policy,
                      v1::AppendBatchesRequest& request, Reply<v1::AppendBatchesResponse> reply) {
  const MonotonicTime start = context.clock->Now();
  auto gather = std::make_shared<Gather>(request.batches_size(), std::move(reply));
  for (int i = 0; i < request.batches_size(); ++i) {
    auto* entry = request.mutable_batches(i);
    absl::StatusOr<ResolvedPartition> target = Resolve(*context.catalog, entry->partition());
    absl::Status status = target.status();
    if (status.ok()) status = ValidateBatch(entry->batch(), target->topic->config, context);
    if (!status.ok()) {
      CountProduce(*context.counters, status, 0, Duration(0));
      gather->Set(i, status);
      continue;
    }
    ProduceCommand command;
    command.batch = std::move(*entry->mutable_batch());
    command.acks = policy.acks;
    command.raise_to_sync = policy.raise_to_sync;
    command.deadline = policy.deadline;
    command.expected_epoch = target->expected_epoch;
    command.reply = [gather, i, start, bytes = command.batch.size(), clock = context.clock,
                     counters = context.counters](absl::StatusOr<ProduceOutcome> outcome) {
      CountProduce(*counters, outcome, bytes, clock->Now() - start);
      gather->Set(i, outcome);
    };
    context.replicas->Produce(*target->topic, target->partition, std::move(command));
  }
}

}  // namespace

int64_t BatchBytes(const v1::AppendBatchesRequest& request) {
  size_t bytes = 0;
  for (const auto& entry : request.batches()) bytes += entry.batch().size();
  return static_cast<int64_t>(bytes);
}

void Append(const ApiContext& context, const CallContext& call, v1::AppendBatchesRequest request,
            Task dispatched, Reply<v1::AppendBatchesResponse> reply) {
  absl::Status shape = CheckShape(request);
  absl::StatusOr<AckPolicy> policy = MakeAckPolicy(call, context.clock->Now(), request.acks(),
                                                   request.durability(), request.timeout_ms());
  if (!shape.ok() || !policy.ok()) {
    reply(shape.ok() ? policy.status() : shape);
    dispatched();
    return;
  }
  bool quick = true;
  for (const auto& entry : request.batches()) quick = quick && IsQuickToValidate(entry.batch());
  if (quick) {
    CheckAndDispatch(context, *policy, request, std::move(reply));
    dispatched();
    return;
  }
  context.RunOnPool([&context, policy = *policy, request = std::move(request),
                     dispatched = std::move(dispatched), reply = std::move(reply)]() mutable {
    CheckAndDispatch(context, policy, request, std::move(reply));
    dispatched();
  });
}

}  // namespace catamaran::broker
