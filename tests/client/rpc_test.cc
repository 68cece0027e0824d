// What the encoder writes by hand is what protobuf reads; errors of the wire become typed errors.
#include <string>

#include "base/error.h"
#include "catamaran/v1/batch_service.pb.h"
#include "client/rpc/append_encoder.h"
#include "client/rpc/rpc_status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace catamaran::client::rpc {
namespace {

std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

TEST(AppendEncoder, IsReadBackByProtobuf) {
  for (size_t size : {1u, 127u, 128u, 16'384u, 3'000'000u}) {
    core::SendAppend send;
    send.correlation = core::CorrelationId(300);
    send.acks = Acks::kLeader;
    send.durability = Durability::kSync;
    send.ack_timeout = std::chrono::seconds(27);
    for (int i = 0; i < 3; ++i) {
      core::AppendEntry entry;
      entry.partition.topic.uuid = Uuid::FromRandom(7, 9);
      entry.partition.partition = PartitionIndex(i * 100);
      if (i > 0) entry.leader_epoch = LeaderEpoch(5);
      entry.batch = Buffer::FromString(std::string(size, static_cast<char>('a' + i)));
      send.entries.push_back(entry);
    }
    v1::AppendStreamRequest request;
    ASSERT_TRUE(request.ParseFromString(Flatten(EncodeAppendStreamRequest(send)))) << size;
    EXPECT_EQ(request.correlation_id(), 300);
    EXPECT_EQ(request.append().acks(), v1::ACKS_LEADER);
    EXPECT_EQ(request.append().durability(), v1::DURABILITY_SYNC);
    EXPECT_EQ(request.append().timeout_ms(), 27'000);
    ASSERT_EQ(request.append().batches_size(), 3);
    for (int i = 0; i < 3; ++i) {
      const auto& batch = request.append().batches(i);
      EXPECT_EQ(batch.batch(), send.entries[static_cast<size_t>(i)].batch.view());
      EXPECT_EQ(batch.partition().partition(), i * 100);
      EXPECT_EQ(batch.partition().topic_id(), Uuid::FromRandom(7, 9).ToBytes());
      EXPECT_EQ(batch.partition().has_leader_epoch(), i > 0);
    }
    EXPECT_EQ(request.ByteSizeLong(), Flatten(EncodeAppendStreamRequest(send)).size());
  }
}

grpc::Status WithInfo(const std::string& reason, const std::string& domain) {
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain(domain);
  (*info.mutable_metadata())["log_start"] = "42";
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(2);
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  details.add_details()->PackFrom(retry);
  return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "too low", details.SerializeAsString());
}

TEST(RpcStatus, TypedErrorsKeepReasonMetadataAndDelay) {
  const grpc::Status wire = WithInfo("OFFSET_OUT_OF_RANGE", "catamaran");
  const absl::Status status = FromGrpcStatus(wire, "a:1");
  EXPECT_EQ(ReasonOf(status), Reason::kOffsetOutOfRange);
  EXPECT_EQ(status.message(), "too low");
  ASSERT_TRUE(GetErrorDetail(status).has_value());
  EXPECT_EQ(GetErrorDetail(status)->metadata, (ErrorMetadata{{"log_start", "42"}}));
  EXPECT_EQ(RetryDelayOf(wire), std::chrono::seconds(2));
}

TEST(RpcStatus, WhatIsNotOursIsUnknown) {
  for (const grpc::Status& wire :
       {grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken"),
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken", "not a message"),
        WithInfo("NOT_LEADER", "somebody else"), WithInfo("A_NEWER_REASON", "catamaran")}) {
    const absl::Status status = FromGrpcStatus(wire, "a:1");
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(GetErrorDetail(status).has_value());
    EXPECT_EQ(OutcomeOf(status), Outcome::kUnknown);
    EXPECT_EQ(status.message().substr(0, 5), "a:1: ");
  }
  v1::Error error;  // an error without a code is an error all the same
  EXPECT_FALSE(FromProtoError(error).ok());
  error.set_reason("NOT_LEADER");
  EXPECT_EQ(ReasonOf(FromProtoError(error)), Reason::kNotLeader);
}

}  // namespace
}  // namespace catamaran::client::rpc
