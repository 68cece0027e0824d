#include "broker/api/encode.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/api_error.h"

namespace catamaran::broker {
namespace {

std::optional<std::string_view> View(bool has, const std::string& bytes) {
  return has ? std::optional<std::string_view>(bytes) : std::nullopt;
}

}  // namespace

absl::StatusOr<std::vector<PartitionRecords>> Partition(
    const Records& records, std::optional<PartitionIndex> explicit_partition,
    PartitionIndex keyless, int32_t partition_count) {
  if (records.empty() || records.size() > kRecordsPerRequestMax) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("The request has ", records.size(), " records; it may have 1 to ",
                                  kRecordsPerRequestMax, "."),
                     {{"field", "records"}, {"limit", absl::StrCat(kRecordsPerRequestMax)}});
  }
  std::map<PartitionIndex, PartitionRecords> parts;
  for (int i = 0; i < records.size(); ++i) {
    PartitionIndex partition = keyless;
    if (explicit_partition.has_value()) {
      partition = *explicit_partition;
    } else if (records[i].has_key()) {
      partition = PartitionForKey(records[i].key(), partition_count);
    }
    parts[partition].indexes.push_back(i);
  }
  std::vector<PartitionRecords> result;
  for (auto& [partition, part] : parts) {
    part.partition = partition;
    result.push_back(std::move(part));
  }
  return result;
}

int64_t RecordBytes(const Records& records) {
  size_t bytes = 0;
  for (const v1::Record& record : records) {
    bytes += record.key().size() + record.value().size();
    for (const v1::RecordHeader& header : record.headers()) {
      bytes += header.key().size() + header.value().size();
    }
  }
  return static_cast<int64_t>(bytes);
}

absl::StatusOr<std::string> Encode(const Records& records, const PartitionRecords& part,
                                   const metadata::TopicConfig& config,
                                   const EncodeOptions& options, const ApiContext& context) {
  BatchBuilderOptions builder_options;
  builder_options.codec = options.codec;
  builder_options.producer_id = options.producer_id;
  builder_options.producer_epoch = options.producer_epoch;
  builder_options.base_sequence = options.base_sequence;
  BatchBuilder builder(builder_options);
  const TimestampMs now = context.clock->WallNow();
  std::vector<RecordHeader> headers;
  for (size_t i = 0; i < part.indexes.size(); ++i) {
    const v1::Record& record = records[part.indexes[i]];
    if (record.has_timestamp_ms() && record.timestamp_ms() < 0) {
      return MakeError(
          Reason::kInvalidTimestamp,
          absl::StrCat("Record ", part.indexes[i], " has the timestamp ", record.timestamp_ms(),
                       ": give milliseconds since 1970, or leave it out."),
          {{"record_index", absl::StrCat(part.indexes[i])}});
    }
    headers.clear();
    for (const v1::RecordHeader& header : record.headers()) {
      headers.push_back({header.key(), View(header.has_value(), header.value())});
    }
    builder.Add(record.has_timestamp_ms() ? TimestampMs(record.timestamp_ms()) : now,
                View(record.has_key(), record.key()), View(record.has_value(), record.value()),
                headers);
  }
  CATAMARAN_ASSIGN_OR_RETURN(std::string batch, builder.Build());
  CATAMARAN_RETURN_IF_ERROR(ValidateBatch(batch, config, context));
  return batch;
}

ProduceGather::ProduceGather(const std::vector<PartitionRecords>& parts, Done done)
    : waiting_(parts.size()),
      results_(parts.size()),
      statuses_(parts.size()),
      done_(std::move(done)) {
  for (size_t i = 0; i < parts.size(); ++i) {
    results_[i].set_partition(parts[i].partition.value());
    results_[i].mutable_record_indexes()->Add(parts[i].indexes.begin(), parts[i].indexes.end());
  }
}

void ProduceGather::Set(size_t index, const absl::StatusOr<ProduceOutcome>& outcome) {
  if (outcome.ok()) {
    ToProto(*outcome, results_[index].mutable_receipt());
  } else {
    ToProto(outcome.status(), results_[index].mutable_error());
    statuses_[index] = outcome.status();
  }
  if (waiting_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    done_(std::move(results_), std::move(statuses_));
  }
}

void EncodeAndDispatch(const ApiContext& context, const CatalogTopic& topic, const Records& records,
                       const std::vector<PartitionRecords>& parts, const AckPolicy& policy,
                       EncodeOptions options, const std::vector<Sequence>& sequences,
                       ProduceGather::Done done) {
  const MonotonicTime start = context.clock->Now();
  auto gather = std::make_shared<ProduceGather>(parts, std::move(done));
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!sequences.empty()) options.base_sequence = sequences[i];
    absl::Status status = context.catalog->CheckLeader(topic, parts[i].partition);
    absl::StatusOr<std::string> batch = std::string();
    if (status.ok()) {
      batch = Encode(records, parts[i], topic.config, options, context);
      status = batch.status();
    }
    if (!status.ok()) {
      CountProduce(*context.counters, status, 0, Duration(0));
      gather->Set(i, status);
      continue;
    }
    ProduceCommand command;
    command.batch = *std::move(batch);
    command.acks = policy.acks;
    command.raise_to_sync = policy.raise_to_sync;
    command.deadline = policy.deadline;
    command.reply = [gather, i, start, bytes = command.batch.size(), clock = context.clock,
                     counters = context.counters](absl::StatusOr<ProduceOutcome> outcome) {
      CountProduce(*counters, outcome, bytes, clock->Now() - start);
      gather->Set(i, outcome);
    };
    context.replicas->Produce(topic, parts[i].partition, std::move(command));
  }
}

}  // namespace catamaran::broker
