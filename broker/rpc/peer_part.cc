#include "broker/rpc/peer_part.h"

#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catamaran/internal/v1/peer.pb.h"
#include "grpcpp/support/slice.h"

namespace catamaran::broker {
namespace {

using internal::v1::ConnectRequest;

// Field `payload`, length-delimited: (1 << 3) | 2.
constexpr char kPayloadTag = 0x0a;
constexpr size_t kVarintBytesMax = 10;
constexpr int kVarintBits = 7;
constexpr uint8_t kVarintMore = 0x80;
// From here on a slice of its own costs less than the copy.
constexpr size_t kSharedPayloadBytesMin = 2048;

std::string PayloadHeader(size_t size) {
  std::string header(1, kPayloadTag);
  uint64_t rest = size;
  for (; rest >= kVarintMore; rest >>= kVarintBits) {
    header.push_back(static_cast<char>((rest & (kVarintMore - 1)) | kVarintMore));
  }
  header.push_back(static_cast<char>(rest));
  return header;
}

grpc::ByteBuffer EncodePayload(const Buffer& payload) {
  std::string header = PayloadHeader(payload.size());
  if (payload.size() < kSharedPayloadBytesMin) {
    header.append(payload.view());
    grpc::Slice slice(header);
    return grpc::ByteBuffer(&slice, 1);
  }
  // gRPC only reads the bytes; its signature doesn't say so.
  auto* owner = new Buffer(payload);
  const grpc::Slice slices[] = {grpc::Slice(header),
                                grpc::Slice(
                                    const_cast<char*>(payload.data()), payload.size(),
                                    [](void* held) { delete static_cast<Buffer*>(held); }, owner)};
  return grpc::ByteBuffer(slices, std::size(slices));
}

std::string_view ViewOf(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// Where the payload begins, if the message is nothing but a payload whose header lies in the first
// slice; that's how EncodePayload and gRPC lay it out.
std::optional<size_t> PayloadStart(std::string_view first, size_t total) {
  if (first.size() < 2 || first[0] != kPayloadTag) return std::nullopt;
  uint64_t size = 0;
  for (size_t i = 1; i < first.size() && i < kVarintBytesMax; ++i) {
    const auto byte = static_cast<uint8_t>(first[i]);
    size |= static_cast<uint64_t>(byte & (kVarintMore - 1)) << (kVarintBits * (i - 1));
    if ((byte & kVarintMore) != 0) continue;
    const size_t start = i + 1;
    return size == total - start ? std::optional(start) : std::nullopt;
  }
  return std::nullopt;
}

absl::StatusOr<PeerPart> DecodeByProtobuf(const std::string& bytes) {
  ConnectRequest request;
  if (!request.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("the peer sent bytes that are no part of a connection");
  }
  switch (request.part_case()) {
    case ConnectRequest::kPayload:
      return PayloadPart{Buffer::FromString(std::move(*request.mutable_payload()))};
    case ConnectRequest::kCredit:
      return CreditPart{request.credit().bytes(), request.credit().messages()};
    case ConnectRequest::kCreditRequest:
      return CreditRequestPart{};
    case ConnectRequest::kEnd:
      return EndPart{};
    case ConnectRequest::PART_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the peer sent a part of a kind that this version lacks");
}

}  // namespace

grpc::ByteBuffer EncodePeerPart(const PeerPart& part) {
  if (const auto* message = std::get_if<PayloadPart>(&part)) return EncodePayload(message->payload);
  ConnectRequest request;
  if (const auto* credit = std::get_if<CreditPart>(&part)) {
    request.mutable_credit()->set_bytes(credit->bytes);
    request.mutable_credit()->set_messages(credit->messages);
  } else if (std::holds_alternative<CreditRequestPart>(part)) {
    request.mutable_credit_request();
  } else {
    request.mutable_end();
  }
  grpc::Slice slice(request.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

absl::StatusOr<PeerPart> DecodePeerPart(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  if (!bytes.Dump(&slices).ok()) {
    return absl::InvalidArgumentError("the peer sent an unreadable message");
  }
  const size_t total = bytes.Length();
  std::optional<size_t> start;
  if (!slices.empty()) start = PayloadStart(ViewOf(slices[0]), total);
  size_t skip = start.value_or(0);
  std::string joined;
  joined.reserve(total - skip);
  for (const grpc::Slice& slice : slices) {
    joined.append(ViewOf(slice).substr(skip));
    skip = 0;
  }
  if (start.has_value()) return PayloadPart{Buffer::FromString(std::move(joined))};
  return DecodeByProtobuf(joined);
}

}  // namespace catamaran::broker
