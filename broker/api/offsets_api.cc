#include "broker/api/offsets_api.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/api_error.h"
#include "broker/api/batch_api.h"

namespace catamaran::broker {
namespace {

using OffsetQuery = v1::ListOffsetsRequest::OffsetQuery;
using OffsetResult = v1::ListOffsetsResponse::OffsetResult;

struct Gather {
  Gather(int queries, Reply<v1::ListOffsetsResponse> r) : waiting(queries), reply(std::move(r)) {
    for (int i = 0; i < queries; ++i) {
      OffsetResult* result = response.add_results();
      result->set_offset(-1);
      result->set_timestamp_ms(-1);
      result->set_leader_epoch(-1);
    }
  }
  OffsetResult* result(int index) { return response.mutable_results(index); }
  void Done() {
    if (waiting.fetch_sub(1, std::memory_order_acq_rel) == 1) reply(std::move(response));
  }

  std::atomic<int> waiting;
  v1::ListOffsetsResponse response;
  Reply<v1::ListOffsetsResponse> reply;
};

void Fill(const OffsetQuery& query, bool read_committed, const OffsetAnswer& answer,
          OffsetResult* result) {
  if (query.at_case() == OffsetQuery::kTimestampMs) {
    if (!answer.found.has_value()) return;
    result->set_offset(answer.found->offset.value());
    result->set_timestamp_ms(answer.found->timestamp.value());
    result->set_leader_epoch(answer.found->leader_epoch.value());
    return;
  }
  const PartitionView& view = answer.view;
  bool earliest = query.position() == v1::OFFSET_POSITION_EARLIEST;
  Offset latest = read_committed ? view.last_stable : view.high_watermark;
  result->set_offset((earliest ? view.log_start : latest).value());
  result->set_leader_epoch(view.leader_epoch.value());
}

absl::Status CheckQuery(const OffsetQuery& query) {
  if (query.at_case() == OffsetQuery::kTimestampMs && query.timestamp_ms() < 0) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("`timestamp_ms` is ", query.timestamp_ms(),
                                  ": give milliseconds since 1970, at least 0."),
                     {{"field", "timestamp_ms"}});
  }
  if (query.at_case() == OffsetQuery::kPosition &&
      (query.position() < v1::OFFSET_POSITION_UNSPECIFIED ||
       query.position() > v1::OFFSET_POSITION_LATEST)) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("`position` is ", query.position(),
                                  ", which this broker doesn't know: use earliest or latest."),
                     {{"field", "position"}});
  }
  return absl::OkStatus();
}

}  // namespace

void BatchApi::ListOffsets(const CallContext&, v1::ListOffsetsRequest request,
                           Reply<v1::ListOffsetsResponse> reply) {
  absl::StatusOr<bool> read_committed = IsReadCommitted(request.isolation_level());
  if (!read_committed.ok()) {
    reply(read_committed.status());
    return;
  }
  if (request.queries_size() == 0 || request.queries_size() > kPartitionsPerRequestMax) {
    reply(MakeError(Reason::kInvalidArgument,
                    absl::StrCat("The request has ", request.queries_size(),
                                 " queries; it may have 1 to ", kPartitionsPerRequestMax, "."),
                    {{"field", "queries"}, {"limit", absl::StrCat(kPartitionsPerRequestMax)}}));
    return;
  }
  auto gather = std::make_shared<Gather>(request.queries_size(), std::move(reply));
  for (int i = 0; i < request.queries_size(); ++i) {
    const OffsetQuery& query = request.queries(i);
    absl::StatusOr<ResolvedPartition> target = Resolve(*context_->catalog, query.partition());
    if (absl::Status status = CheckQuery(query); !status.ok()) target = status;
    if (!target.ok()) {
      ToProto(target.status(), gather->result(i)->mutable_error());
      gather->Done();
      continue;
    }
    OffsetCommand command;
    if (query.at_case() == OffsetQuery::kTimestampMs) {
      command.at_or_after = TimestampMs(query.timestamp_ms());
    }
    command.read_committed = *read_committed;
    command.expected_epoch = target->expected_epoch;
    command.reply = [gather, i, query,
                     committed = *read_committed](absl::StatusOr<OffsetAnswer> answer) {
      if (answer.ok()) {
        Fill(query, committed, *answer, gather->result(i));
      } else {
        ToProto(answer.status(), gather->result(i)->mutable_error());
      }
      gather->Done();
    };
    context_->replicas->ListOffset(*target->topic, target->partition, std::move(command));
  }
}

void OffsetsApi::DeleteRecords(const CallContext&, v1::DeleteRecordsRequest request,
                               Reply<v1::DeleteRecordsResponse> reply) {
  absl::StatusOr<CatalogTopicRef> topic = context_->catalog->FindByName(request.topic());
  if (!topic.ok()) {
    reply(topic.status());
    return;
  }
  PartitionIndex partition(request.partition());
  if (absl::Status status = context_->catalog->CheckLeader(**topic, partition); !status.ok()) {
    reply(status);
    return;
  }
  if (request.before_offset() < -1) {
    reply(MakeError(Reason::kInvalidArgument,
                    absl::StrCat("`before_offset` is ", request.before_offset(),
                                 ": give an offset, or -1 for the high watermark."),
                    {{"field", "before_offset"}}));
    return;
  }
  DeleteRecordsCommand command;
  if (request.before_offset() >= 0) command.before = Offset(request.before_offset());
  command.reply = [reply = std::move(reply)](absl::StatusOr<Offset> log_start) mutable {
    if (!log_start.ok()) {
      reply(log_start.status());
      return;
    }
    v1::DeleteRecordsResponse response;
    response.set_log_start_offset(log_start->value());
    reply(std::move(response));
  };
  context_->replicas->DeleteRecords(**topic, partition, std::move(command));
}

}  // namespace catamaran::broker
