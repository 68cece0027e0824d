// The parts that travel on a connection between peers (proto/catamaran/internal/v1/peer.proto),
// encoded by hand where protobuf would copy the payload twice. Same bytes as protobuf's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "grpcpp/support/byte_buffer.h"

namespace catamaran::broker {

// What a part may be larger than its payload.
inline constexpr size_t kPeerPartOverheadBytesMax = 64;

struct PayloadPart {
  Buffer payload;
};
struct CreditPart {
  uint64_t bytes = 0;
  uint64_t messages = 0;
};
struct CreditRequestPart {};
struct EndPart {};
using PeerPart = std::variant<PayloadPart, CreditPart, CreditRequestPart, EndPart>;

// Shares the payload's memory with gRPC when it's large, copies it when it's small.
grpc::ByteBuffer EncodePeerPart(const PeerPart& part);

// The payload is a copy, so that a small message doesn't keep the network's read buffer alive.
// absl::InvalidArgumentError for anything but a part of a known kind.
absl::StatusOr<PeerPart> DecodePeerPart(const grpc::ByteBuffer& bytes);

}  // namespace catamaran::broker
