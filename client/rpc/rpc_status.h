// Errors of the wire turned into absl::Status with a Reason (base/error.h). What carries no
// ErrorInfo of ours (gRPC's own UNAVAILABLE when a connection breaks, a proxy's answer) stays
// without a Reason: its outcome is unknown for every mutation.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "base/clock.h"
#include "catamaran/v1/common.pb.h"

namespace catamaran::client::rpc {

// Of a call to `address`, which is put in front of messages that gRPC made. A deadline of the
// call's own is told from one of the broker's: it carries no Reason.
absl::Status FromGrpcStatus(const grpc::Status& status, const std::string& address);
absl::Status FromProtoError(const v1::Error& error);

// How long the broker asks to wait; 0 when it doesn't say.
Duration RetryDelayOf(const grpc::Status& status);

}  // namespace catamaran::client::rpc
