// From a Status of ours to gRPC's: the canonical code, the sentence, and google.rpc.Status with
// ErrorInfo and RetryInfo in the binary details.
#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace catamaran::broker {

// google.rpc.ErrorInfo.domain.
inline constexpr char kErrorDomain[] = "catamaran";
// What a status takes of the trailing metadata at most: larger ones make gRPC drop the whole answer
// (limits are 8 KiB on older peers).
inline constexpr size_t kStatusBytesMax = 4'000;

grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace catamaran::broker
