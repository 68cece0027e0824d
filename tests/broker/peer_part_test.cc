// Parts of a connection between peers are exactly protobuf's, however they're cut into slices.
#include "broker/rpc/peer_part.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "catamaran/internal/v1/peer.pb.h"
#include "grpcpp/support/slice.h"

namespace catamaran::broker {
namespace {

using internal::v1::ConnectRequest;
using internal::v1::ConnectResponse;

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The bytes in slices of `size`.
grpc::ByteBuffer Sliced(const std::string& bytes, size_t size) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += size) {
    slices.emplace_back(bytes.substr(at, size));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

TEST(PeerPartTest, PayloadsAreEncodedAsProtobufDoes) {
  for (size_t size : {0, 1, 100, 127, 128, 2047, 2048, 16'384, 3'000'000}) {
    std::string payload(size, 'p');
    if (size > 2) payload[1] = '\0';
    ConnectRequest request;
    request.set_payload(payload);
    ConnectResponse response;
    response.set_payload(payload);
    grpc::ByteBuffer encoded = EncodePeerPart(PayloadPart{Buffer::Copy(payload)});
    EXPECT_TRUE(Bytes(encoded) == request.SerializeAsString()) << size;
    EXPECT_TRUE(Bytes(encoded) == response.SerializeAsString()) << size;
    EXPECT_LE(encoded.Length(), size + kPeerPartOverheadBytesMax);
  }
}

TEST(PeerPartTest, PayloadsAreDecodedFromAnySlices) {
  for (size_t size : {0, 1, 100, 5'000}) {
    const std::string payload(size, 'p');
    const std::string bytes = Bytes(EncodePeerPart(PayloadPart{Buffer::Copy(payload)}));
    for (size_t slice : {1, 2, 3, 1'000, 100'000}) {
      auto part = DecodePeerPart(Sliced(bytes, slice));
      ASSERT_TRUE(part.ok()) << part.status();
      EXPECT_TRUE(std::get<PayloadPart>(*part).payload.view() == payload) << size << " " << slice;
    }
  }
}

TEST(PeerPartTest, OtherPartsSurviveTheWay) {
  auto credit = DecodePeerPart(EncodePeerPart(CreditPart{1'234'567, 89}));
  ASSERT_TRUE(credit.ok());
  EXPECT_EQ(std::get<CreditPart>(*credit).bytes, 1'234'567u);
  EXPECT_EQ(std::get<CreditPart>(*credit).messages, 89u);
  auto request = DecodePeerPart(EncodePeerPart(CreditRequestPart()));
  EXPECT_TRUE(request.ok() && std::holds_alternative<CreditRequestPart>(*request));
  auto end = DecodePeerPart(EncodePeerPart(EndPart()));
  EXPECT_TRUE(end.ok() && std::holds_alternative<EndPart>(*end));
}

TEST(PeerPartTest, RefusesWhatIsNoPart) {
  EXPECT_FALSE(DecodePeerPart(grpc::ByteBuffer()).ok());
  EXPECT_FALSE(DecodePeerPart(Sliced("\x0a\x05"
                                     "abc",
                                     100))
                   .ok())
      << "a payload that is cut short";
  EXPECT_FALSE(DecodePeerPart(Sliced(std::string("\x7a\x00", 2), 100)).ok()) << "an unknown part";
  const std::string endless = "\x0a" + std::string(12, '\xff');
  EXPECT_FALSE(DecodePeerPart(Sliced(endless, 100)).ok()) << "a length of too many bytes";
}

// Garbage is refused, or means what protobuf says.
TEST(PeerPartTest, AgreesWithProtobufOnAnyBytes) {
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random.Below(12), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
    if (!bytes.empty() && random.Below(2) == 0) bytes[0] = '\x0a';
    ConnectRequest request;
    const bool valid =
        request.ParseFromString(bytes) && request.part_case() != ConnectRequest::PART_NOT_SET;
    auto part = DecodePeerPart(Sliced(bytes, 1 + random.Below(12)));
    ASSERT_EQ(part.ok(), valid) << i;
    if (valid && request.part_case() == ConnectRequest::kPayload) {
      EXPECT_EQ(std::get<PayloadPart>(*part).payload.view(), request.payload());
    }
  }
}

}  // namespace
}  // namespace catamaran::broker
