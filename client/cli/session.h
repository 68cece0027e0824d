// The way to the cluster, shared by all commands.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/admin.h"
#include "client/cli/options.h"

namespace catamaran::cli {

client::ClientOptions MakeClientOptions(const GlobalOptions& global);

// OK when one of the brokers takes a connection within the connect timeout. Else a failure
// (UNAVAILABLE, CONNECT_FAILED) that names each address and what went wrong there: the client
// library would go on trying, which is right for a service and wrong for a person.
absl::Status CheckReachable(const GlobalOptions& global);

// CheckReachable, then an Admin.
absl::StatusOr<std::unique_ptr<client::Admin>> OpenAdmin(const GlobalOptions& global);

// `partitions` of the topic, or all when empty. kUnknownPartition for one that it doesn't have.
absl::StatusOr<std::vector<PartitionIndex>> SelectPartitions(
    const client::TopicDescription& topic, const std::vector<int32_t>& partitions);

// Start and end of each of `partitions`, in their order. The first partition's failure fails all.
absl::StatusOr<std::vector<PartitionBounds>> LookUpBounds(
    client::Admin* admin, const std::string& topic, const std::vector<PartitionIndex>& partitions,
    client::IsolationLevel isolation);

// What `point` means in each of `partitions`, whose bounds are known.
absl::StatusOr<std::vector<Offset>> ResolveAll(client::Admin* admin, const std::string& topic,
                                               const std::vector<PartitionIndex>& partitions,
                                               const std::vector<PartitionBounds>& bounds,
                                               const OffsetPoint& point);

}  // namespace catamaran::cli
