// Between the cores' plain structs and the messages of catamaran.v1. Answers are checked here,
// where their bytes enter: ids of 16 bytes, counts, ranges.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "catamaran/v1/batch_service.pb.h"
#include "catamaran/v1/cluster_service.pb.h"
#include "catamaran/v1/producer_service.pb.h"
#include "client/core/messages.h"

namespace catamaran::client::rpc {

v1::Acks ToProto(Acks acks);
v1::Durability ToProto(Durability durability);
v1::IsolationLevel ToProto(IsolationLevel level);

v1::GetMetadataRequest ToProto(const core::MetadataRequest& request);
v1::InitProducerIdRequest ToProto(const core::SendInitProducerId& send);
// All but the batches, which append_encoder.h adds without copying them.
v1::AppendBatchesRequest AppendSettings(const core::SendAppend& send);
v1::PartitionRef ToProto(const TopicPartitionId& id, LeaderEpoch epoch);
v1::FetchBatchesRequest ToProto(const core::SendFetch& send);
v1::ListOffsetsRequest ToProto(const core::SendListOffsets& send);

// Errors have no Reason: the broker said something that it must not say.
absl::StatusOr<core::MetadataAnswer> FromProto(const v1::GetMetadataResponse& response);
absl::StatusOr<core::ProducerIdentity> FromProto(const v1::InitProducerIdResponse& response);
// Takes the batches out of the response instead of copying them.
std::vector<core::FetchResult> TakeFromProto(v1::FetchBatchesResponse* response);
std::vector<core::OffsetFound> FromProto(const v1::ListOffsetsResponse& response);

template <class Results>
std::vector<core::AppendResult> FromResults(const Results& results);
core::AppendResult FromProto(const v1::AppendResult& result);

template <class Results>
std::vector<core::AppendResult> FromResults(const Results& results) {
  std::vector<core::AppendResult> converted;
  converted.reserve(static_cast<size_t>(results.size()));
  for (const v1::AppendResult& result : results) converted.push_back(FromProto(result));
  return converted;
}

}  // namespace catamaran::client::rpc
