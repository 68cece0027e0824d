#include "broker/api/api_context.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::broker {
namespace {

absl::Status UnknownEnumValue(const char* field, int value) {
  return MakeError(Reason::kInvalidArgument,
                   absl::StrCat("`", field, "` is ", value,
                                ", which this broker doesn't know: use one of the API's values."),
                   {{"field", field}, {"value", absl::StrCat(value)}});
}

}  // namespace

absl::StatusOr<AckPolicy> MakeAckPolicy(const CallContext& call, MonotonicTime now, int acks,
                                        int durability, int32_t timeout_ms) {
  AckPolicy policy;
  switch (acks) {
    case v1::ACKS_UNSPECIFIED:
    case v1::ACKS_ALL:
      policy.acks = Acks::kAll;
      break;
    case v1::ACKS_LEADER:
      policy.acks = Acks::kLeader;
      break;
    case v1::ACKS_NONE:
      policy.acks = Acks::kNone;
      break;
    default:
      return UnknownEnumValue("acks", acks);
  }
  // DURABILITY_ASYNC asks for no more than the topic gives: it never lowers sync to async.
  if (durability < v1::DURABILITY_UNSPECIFIED || durability > v1::DURABILITY_SYNC) {
    return UnknownEnumValue("durability", durability);
  }
  policy.raise_to_sync = durability == v1::DURABILITY_SYNC;
  if (timeout_ms < 0 || timeout_ms > kProduceTimeoutMsMax) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("`timeout_ms` is ", timeout_ms, "; it may be 0 (for ",
                                  kProduceTimeoutMsDefault, ") to ", kProduceTimeoutMsMax, "."),
                     {{"field", "timeout_ms"}, {"limit", absl::StrCat(kProduceTimeoutMsMax)}});
  }
  auto timeout = std::chrono::milliseconds(timeout_ms == 0 ? kProduceTimeoutMsDefault : timeout_ms);
  policy.deadline = std::min(call.deadline, now + timeout);
  return policy;
}

absl::StatusOr<Codec> ToCodec(int compression) {
  if (compression == v1::COMPRESSION_UNSPECIFIED) return Codec::kNone;
  int codec = compression - 1;  // the numbers are the format's plus one (common.proto)
  if (codec < 0 || codec >= kCodecs) {
    return MakeError(
        Reason::kUnsupportedCompression,
        absl::StrCat("`compression` is ", compression,
                     ", which this broker doesn't know: use none, gzip, snappy, lz4 or "
                     "zstd."),
        {{"field", "compression"}, {"value", absl::StrCat(compression)}});
  }
  return static_cast<Codec>(codec);
}

absl::StatusOr<bool> IsReadCommitted(int isolation_level) {
  switch (isolation_level) {
    case v1::ISOLATION_LEVEL_UNSPECIFIED:
    case v1::ISOLATION_LEVEL_READ_COMMITTED:
      return true;
    case v1::ISOLATION_LEVEL_READ_UNCOMMITTED:
      return false;
    default:
      return UnknownEnumValue("isolation_level", isolation_level);
  }
}

absl::StatusOr<ResolvedPartition> Resolve(TopicCatalog& catalog, const v1::PartitionRef& ref) {
  ResolvedPartition resolved;
  CATAMARAN_ASSIGN_OR_RETURN(resolved.topic, catalog.FindById(ref.topic_id()));
  resolved.partition = PartitionIndex(ref.partition());
  CATAMARAN_RETURN_IF_ERROR(catalog.CheckLeader(*resolved.topic, resolved.partition));
  if (ref.has_leader_epoch() && ref.leader_epoch() >= 0) {
    resolved.expected_epoch = LeaderEpoch(ref.leader_epoch());
  }
  return resolved;
}

void ToProto(const ProduceOutcome& outcome, v1::Receipt* receipt) {
  receipt->set_base_offset(outcome.appended.base_offset.value());
  receipt->set_last_offset(outcome.appended.last_offset.value());
  receipt->set_leader_epoch(outcome.leader_epoch.value());
  receipt->set_replicas_written(outcome.replicas_written);
  receipt->set_replicas_synced(outcome.replicas_synced);
  receipt->set_duplicate(outcome.appended.duplicate);
  receipt->set_log_append_time_ms(outcome.appended.append_time.value());
}

bool IsQuickToValidate(std::string_view batch) {
  if (batch.size() > kValidateInlineBytesMax) return false;
  absl::StatusOr<BatchHeader> header = ParseBatchHeader(batch);
  return !header.ok() || header->codec() == Codec::kNone;
}

absl::Status ValidateBatch(std::string_view batch, const metadata::TopicConfig& config,
                           const ApiContext& context) {
  ValidationOptions options = ToValidationOptions(config, context.clock->WallNow());
  options.decompressed_bytes_max = context.limits.decompressed_bytes_max;
  CATAMARAN_RETURN_IF_ERROR(ValidateProducedBatch(batch, options));
  CATAMARAN_ASSIGN_OR_RETURN(BatchHeader header, ParseBatchHeader(batch));
  if (header.is_transactional()) {
    return MakeError(Reason::kNotSupported,
                     "Transactions aren't served by this version: send the batch without the "
                     "transactional bit.",
                     {{"producer_id", absl::StrCat(header.producer_id.value())}});
  }
  if (!header.has_producer()) return absl::OkStatus();
  return context.producer_ids->Check(header.producer_id, header.producer_epoch);
}

void CountProduce(Counters& counters, const absl::StatusOr<ProduceOutcome>& outcome, size_t bytes,
                  Duration took) {
  counters.Observe(Histogram::kProduce, took);
  if (!outcome.ok()) {
    counters.Add(Counter::kProduceErrors);
    return;
  }
  if (outcome->appended.duplicate) {
    counters.Add(Counter::kProduceDuplicates);
    return;
  }
  counters.Add(Counter::kProduceBatches);
  counters.Add(Counter::kProduceBytes, static_cast<int64_t>(bytes));
  counters.Add(Counter::kProduceRecords,
               outcome->appended.last_offset - outcome->appended.base_offset + 1);
}

}  // namespace catamaran::broker
