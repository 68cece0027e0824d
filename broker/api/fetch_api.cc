#include "broker/api/fetch_api.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/fetch.h"

namespace catamaran::broker {
namespace {

// Up to so many bytes of uncompressed batches are taken apart where they were read; more, and all
// that needs decompression, on the pool.
constexpr size_t kDecodeInlineBytesMax = 64u << 10;

int64_t SizeOf(const Record& record) {
  int64_t size =
      static_cast<int64_t>(record.key.value_or("").size() + record.value.value_or("").size()) +
      kStoredRecordOverheadBytes;
  for (const RecordHeader& header : record.headers) {
    size += static_cast<int64_t>(header.key.size() + header.value.value_or("").size()) +
            kStoredRecordOverheadBytes;
  }
  return size;
}

void ToProto(const Record& record, LeaderEpoch epoch, v1::StoredRecord* stored) {
  stored->set_offset(record.offset.value());
  stored->set_timestamp_ms(record.timestamp.value());
  if (record.key.has_value()) stored->set_key(std::string(*record.key));
  if (record.value.has_value()) stored->set_value(std::string(*record.value));
  for (const RecordHeader& header : record.headers) {
    v1::RecordHeader* to = stored->add_headers();
    to->set_key(std::string(header.key));
    if (header.value.has_value()) to->set_value(std::string(*header.value));
  }
  stored->set_leader_epoch(epoch.value());
}

bool NeedsPool(const storage::ReadResult& data) {
  if (data.bytes > kDecodeInlineBytesMax) return true;
  for (const Buffer& run : data.batches_runs) {
    std::string_view rest = run.view();
    while (!rest.empty()) {
      absl::StatusOr<BatchHeader> header = ParseBatchHeader(rest);
      if (!header.ok() || header->size_bytes() > rest.size()) return false;
      if (header->codec() != Codec::kNone) return true;
      rest.remove_prefix(header->size_bytes());
    }
  }
  return false;
}

absl::StatusOr<RecordLimits> MakeLimits(const v1::FetchRequest& request, const ApiLimits& limits) {
  auto out_of_range = [](const char* field, int64_t value, int64_t limit) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("`", field, "` is ", value, "; it may be 0 to ", limit, "."),
                     {{"field", field}, {"limit", absl::StrCat(limit)}});
  };
  if (request.max_records() < 0 || request.max_records() > kFetchRecordsMax) {
    return out_of_range("max_records", request.max_records(), kFetchRecordsMax);
  }
  const auto bytes_max = static_cast<int64_t>(limits.request_bytes_max);
  if (request.max_bytes() < 0 || request.max_bytes() > bytes_max) {
    return out_of_range("max_bytes", request.max_bytes(), bytes_max);
  }
  if (request.max_wait_ms() < 0 || request.max_wait_ms() > kFetchWaitMsMax) {
    return out_of_range("max_wait_ms", request.max_wait_ms(), kFetchWaitMsMax);
  }
  RecordLimits result;
  result.from = Offset(request.offset());
  if (request.max_records() > 0) result.records_max = request.max_records();
  if (request.max_bytes() > 0) result.bytes_max = request.max_bytes();
  // The answer must fit into a message, whatever was asked for.
  result.bytes_max = std::min(result.bytes_max, bytes_max * 15 / 16);
  result.decompressed_bytes_max = limits.decompressed_bytes_max;
  return result;
}

}  // namespace

absl::Status DecodeRecords(const std::vector<Buffer>& runs, Offset end, const RecordLimits& limits,
                           v1::FetchResponse* response) {
  int64_t bytes = 0;
  response->set_next_offset(end.value());
  for (const Buffer& run : runs) {
    std::string_view rest = run.view();
    while (!rest.empty()) {
      CATAMARAN_ASSIGN_OR_RETURN(BatchHeader header, ParseBatchHeader(rest));
      std::string_view batch = rest.substr(0, header.size_bytes());
      rest.remove_prefix(batch.size());
      if (header.is_control()) continue;
      CATAMARAN_ASSIGN_OR_RETURN(BatchRecords records,
                                 BatchRecords::Open(batch, limits.decompressed_bytes_max));
      RecordIterator iterator = records.begin_reading();
      Record record;
      while (iterator.Next(&record)) {
        if (record.offset < limits.from) continue;
        int64_t size = SizeOf(record);
        bool full = response->records_size() >= limits.records_max ||
                    (response->records_size() > 0 && bytes + size > limits.bytes_max);
        if (full) {
          response->set_next_offset(record.offset.value());
          return absl::OkStatus();
        }
        bytes += size;
        ToProto(record, header.leader_epoch, response->add_records());
      }
      CATAMARAN_RETURN_IF_ERROR(iterator.status());
    }
  }
  return absl::OkStatus();
}

void FetchApi::Fetch(const CallContext& call, v1::FetchRequest request,
                     Reply<v1::FetchResponse> reply) {
  CatalogTopicRef topic;
  ReadCommand command;
  RecordLimits limits;
  auto prepare = [&]() -> absl::Status {
    CATAMARAN_ASSIGN_OR_RETURN(topic,
                               context_->catalog->FindByName(request.topic(), request.topic_id()));
    CATAMARAN_RETURN_IF_ERROR(
        context_->catalog->CheckLeader(*topic, PartitionIndex(request.partition())));
    CATAMARAN_ASSIGN_OR_RETURN(limits, MakeLimits(request, context_->limits));
    CATAMARAN_ASSIGN_OR_RETURN(command.read_committed, IsReadCommitted(request.isolation_level()));
    return absl::OkStatus();
  };
  if (absl::Status status = prepare(); !status.ok()) {
    reply(status);
    return;
  }
  command.offset = Offset(request.offset());
  command.bytes_max = static_cast<size_t>(limits.bytes_max);
  command.deadline = std::min(
      call.deadline, context_->clock->Now() + std::chrono::milliseconds(request.max_wait_ms()));
  if (request.max_wait_ms() == 0) command.deadline = MonotonicTime{};
  command.token = context_->replicas->NextReadToken();
  const uint64_t token = command.token;
  command.reply = [context = context_, topic, limits, reply = std::move(reply)](
                      absl::Status status, ReadOutcome outcome) mutable {
    CountFetch(*context->counters, status, outcome.data.bytes);
    if (!status.ok()) {
      reply(status);
      return;
    }
    const bool pool = NeedsPool(outcome.data);
    auto answer = [topic, limits, outcome = std::move(outcome),
                   reply = std::move(reply)]() mutable {
      v1::FetchResponse response;
      response.set_topic_id(topic->topic->id.uuid.ToBytes());
      response.set_high_watermark(outcome.view.high_watermark.value());
      response.set_last_stable_offset(outcome.view.last_stable.value());
      response.set_log_start_offset(outcome.view.log_start.value());
      absl::Status decoded =
          DecodeRecords(outcome.data.batches_runs, outcome.data.next_offset, limits, &response);
      if (decoded.ok()) {
        reply(std::move(response));
      } else {
        reply(decoded);
      }
    };
    if (pool) {
      context->RunOnPool(std::move(answer));
    } else {
      answer();
    }
  };
  PartitionIndex partition(request.partition());
  context_->replicas->Read(*topic, partition, std::move(command));
  if (call.cancellation != nullptr) {
    call.cancellation->OnCancel([replicas = context_->replicas, topic, partition, token] {
      replicas->CancelReads(*topic, partition, token);
    });
  }
}

}  // namespace catamaran::broker
