#include "client/rpc/convert.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/rpc/rpc_status.h"

namespace catamaran::client::rpc {
namespace {

constexpr int64_t kRetryDelayMsMax = 60'000;  // a broker can't silence a client for longer
constexpr int kPartitionsPerTopicMax = 1'000'000;

int32_t Milliseconds(Duration duration) {
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<int32_t>(std::clamp<int64_t>(ms, 0, INT32_MAX));
}

Duration RetryDelayOf(const v1::Error& error) {
  return std::chrono::milliseconds(
      std::clamp<int64_t>(error.retry_delay_ms(), 0, kRetryDelayMsMax));
}

absl::StatusOr<core::TopicInfo> FromProto(const v1::Topic& topic) {
  core::TopicInfo info;
  info.name = topic.name();
  std::optional<Uuid> id = Uuid::FromBytes(topic.topic_id());
  if (!id.has_value() || topic.partitions_size() > kPartitionsPerTopicMax) {
    return absl::InternalError(absl::StrCat("the broker's metadata of topic '", topic.name(),
                                            "' has a malformed id or partition list"));
  }
  info.id.uuid = *id;
  info.partitions.resize(static_cast<size_t>(topic.partitions_size()));
  for (int i = 0; i < topic.partitions_size(); ++i) {
    const v1::Partition& partition = topic.partitions(i);
    if (partition.partition() != i) {
      return absl::InternalError("the broker's metadata lists partitions out of order");
    }
    info.partitions[static_cast<size_t>(i)] = {BrokerId(partition.leader()),
                                               LeaderEpoch(partition.leader_epoch())};
  }
  return info;
}

}  // namespace

v1::PartitionRef ToProto(const TopicPartitionId& id, LeaderEpoch epoch) {
  v1::PartitionRef ref;
  ref.set_topic_id(id.topic.uuid.ToBytes());
  ref.set_partition(id.partition.value());
  if (epoch.value() >= 0) ref.set_leader_epoch(epoch.value());
  return ref;
}

v1::Acks ToProto(Acks acks) {
  switch (acks) {
    case Acks::kNone:
      return v1::ACKS_NONE;
    case Acks::kLeader:
      return v1::ACKS_LEADER;
    case Acks::kAll:
      break;
  }
  return v1::ACKS_ALL;
}

v1::Durability ToProto(Durability durability) {
  switch (durability) {
    case Durability::kAsync:
      return v1::DURABILITY_ASYNC;
    case Durability::kSync:
      return v1::DURABILITY_SYNC;
    case Durability::kTopicDefault:
      break;
  }
  return v1::DURABILITY_UNSPECIFIED;
}

v1::IsolationLevel ToProto(IsolationLevel level) {
  return level == IsolationLevel::kReadUncommitted ? v1::ISOLATION_LEVEL_READ_UNCOMMITTED
                                                   : v1::ISOLATION_LEVEL_READ_COMMITTED;
}

v1::GetMetadataRequest ToProto(const core::MetadataRequest& request) {
  v1::GetMetadataRequest proto;
  for (const std::string& topic : request.topics) proto.add_topics(topic);
  return proto;
}

v1::InitProducerIdRequest ToProto(const core::SendInitProducerId& send) {
  v1::InitProducerIdRequest proto;
  if (send.current.has_value()) {
    proto.mutable_current()->set_producer_id(send.current->id.value());
    proto.mutable_current()->set_producer_epoch(send.current->epoch.value());
  }
  return proto;
}

v1::AppendBatchesRequest AppendSettings(const core::SendAppend& send) {
  v1::AppendBatchesRequest proto;
  proto.set_acks(ToProto(send.acks));
  proto.set_durability(ToProto(send.durability));
  proto.set_timeout_ms(Milliseconds(send.ack_timeout));
  return proto;
}

v1::FetchBatchesRequest ToProto(const core::SendFetch& send) {
  v1::FetchBatchesRequest proto;
  proto.set_min_bytes(send.bytes_min);
  proto.set_max_bytes(send.bytes_max);
  proto.set_max_wait_ms(Milliseconds(send.wait_max));
  proto.set_isolation_level(ToProto(send.isolation_level));
  proto.set_rack(send.rack);
  for (const core::FetchEntry& entry : send.entries) {
    auto* partition = proto.add_partitions();
    *partition->mutable_partition() = ToProto(entry.partition, entry.leader_epoch);
    partition->set_offset(entry.offset.value());
    partition->set_max_bytes(entry.bytes_max);
  }
  return proto;
}

v1::ListOffsetsRequest ToProto(const core::SendListOffsets& send) {
  v1::ListOffsetsRequest proto;
  proto.set_isolation_level(ToProto(send.isolation_level));
  for (const core::OffsetLookup& lookup : send.lookups) {
    auto* query = proto.add_queries();
    *query->mutable_partition() = ToProto(lookup.partition, lookup.leader_epoch);
    switch (lookup.at.kind) {
      case StartPosition::Kind::kTimestamp:
        query->set_timestamp_ms(lookup.at.timestamp.value());
        break;
      case StartPosition::Kind::kEarliest:
        query->set_position(v1::OFFSET_POSITION_EARLIEST);
        break;
      case StartPosition::Kind::kLatest:
      case StartPosition::Kind::kOffset:
        query->set_position(v1::OFFSET_POSITION_LATEST);
        break;
    }
  }
  return proto;
}

absl::StatusOr<core::MetadataAnswer> FromProto(const v1::GetMetadataResponse& response) {
  core::MetadataAnswer answer;
  answer.cluster_id = response.cluster_id();
  answer.revision = MetadataRevision(response.revision());
  for (const v1::Broker& broker : response.brokers()) {
    answer.brokers.push_back({BrokerId(broker.broker_id()), broker.address()});
  }
  for (const v1::Topic& topic : response.topics()) {
    absl::StatusOr<core::TopicInfo> info = FromProto(topic);
    if (!info.ok()) return info.status();
    answer.topics.push_back(*std::move(info));
  }
  return answer;
}

absl::StatusOr<core::ProducerIdentity> FromProto(const v1::InitProducerIdResponse& response) {
  const v1::ProducerIdentity& producer = response.producer();
  if (!response.has_producer() || producer.producer_id() < 0 || producer.producer_epoch() < 0 ||
      producer.producer_epoch() > INT16_MAX) {
    return absl::InternalError("the broker handed out a malformed producer id");
  }
  return core::ProducerIdentity{ProducerId(producer.producer_id()),
                                ProducerEpoch(static_cast<int16_t>(producer.producer_epoch()))};
}

core::AppendResult FromProto(const v1::AppendResult& result) {
  core::AppendResult converted;
  if (result.has_error()) {
    converted.status = FromProtoError(result.error());
    converted.retry_delay = RetryDelayOf(result.error());
  } else if (!result.has_receipt()) {
    converted.status = absl::InternalError("the broker's answer has neither receipt nor error");
  } else {
    converted.base_offset = Offset(result.receipt().base_offset());
    converted.log_append_time = TimestampMs(result.receipt().log_append_time_ms());
    converted.duplicate = result.receipt().duplicate();
  }
  return converted;
}

std::vector<core::FetchResult> TakeFromProto(v1::FetchBatchesResponse* response) {
  std::vector<core::FetchResult> results;
  results.reserve(static_cast<size_t>(response->partitions_size()));
  for (v1::PartitionData& data : *response->mutable_partitions()) {
    core::FetchResult& result = results.emplace_back();
    if (data.has_error()) {
      result.status = FromProtoError(data.error());
      result.retry_delay = RetryDelayOf(data.error());
    }
    if (!data.batches().empty()) {
      result.batches = Buffer::FromString(std::move(*data.mutable_batches()));
    }
    result.next_offset = Offset(data.next_offset());
    result.high_watermark = Offset(data.high_watermark());
    result.last_stable_offset = Offset(data.last_stable_offset());
    result.log_start_offset = Offset(data.log_start_offset());
    for (const v1::AbortedTransaction& aborted : data.aborted_transactions()) {
      result.aborted.push_back({ProducerId(aborted.producer_id()), Offset(aborted.first_offset())});
    }
  }
  return results;
}

std::vector<core::OffsetFound> FromProto(const v1::ListOffsetsResponse& response) {
  std::vector<core::OffsetFound> results;
  for (const auto& found : response.results()) {
    core::OffsetFound& result = results.emplace_back();
    if (found.has_error()) {
      result.status = FromProtoError(found.error());
      result.retry_delay = RetryDelayOf(found.error());
      continue;
    }
    result.offset = Offset(found.offset());
    result.timestamp = TimestampMs(found.timestamp_ms());
    result.leader_epoch = LeaderEpoch(found.leader_epoch());
  }
  return results;
}

}  // namespace catamaran::client::rpc
