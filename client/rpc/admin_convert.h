// Admin's descriptions out of the messages of catamaran.v1.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "catamaran/v1/cluster_service.pb.h"
#include "catamaran/v1/topic_service.pb.h"
#include "client/admin.h"
#include "client/core/messages.h"

namespace catamaran::client::rpc {

// An error without a Reason when the broker's answer is malformed.
absl::StatusOr<TopicDescription> FromProto(const v1::Topic& topic);
ClusterDescription FromProto(const v1::GetClusterInfoResponse& response);

// The leader's address and what to ask there. kUnknownTopic, kUnknownPartition, kLeaderUnknown.
absl::StatusOr<std::pair<std::string, core::OffsetLookup>> PlaceLookup(
    const core::MetadataAnswer& metadata, const TopicPartition& partition, const StartPosition& at);

}  // namespace catamaran::client::rpc
