// An AppendStreamRequest as a ByteBuffer whose batches are the core's own buffers: at a megabyte a
// request the two copies that protobuf and its serializer would make cost more than all the rest.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "client/core/messages.h"

namespace catamaran::client::rpc {

// The bytes parse as exactly what ToProto(send) would have been. Keeps references to the batches
// until gRPC has sent them.
grpc::ByteBuffer EncodeAppendStreamRequest(const core::SendAppend& send);

}  // namespace catamaran::client::rpc
