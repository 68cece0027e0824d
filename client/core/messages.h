// What the client cores send and receive: plain structs that know nothing of protobuf or gRPC. The
// shell (client/rpc) turns them into the messages of catamaran.v1, the simulation into calls of the
// broker's handlers. An answer carries a status; one without a Reason (a broken connection, a
// deadline of the carrier) leaves a mutation's outcome unknown (base/error.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/ids.h"
#include "client/client_options.h"
#include "client/consumer.h"

namespace catamaran::client::core {

// Names a request to the core that sent it; never reused by it. An answer to one that the core has
// given up is ignored, so carriers may be late, and answer twice.
struct CorrelationIdTag : IdTag<false> {};
using CorrelationId = StrongId<CorrelationIdTag, int64_t>;
inline constexpr CorrelationId kNoCorrelation{-1};

// ---- metadata ----

struct BrokerInfo {
  BrokerId id = kNoBroker;
  std::string address;  // "host:port"
};

struct PartitionInfo {
  BrokerId leader = kNoBroker;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
};

struct TopicInfo {
  std::string name;
  TopicId id;
  std::vector<PartitionInfo> partitions;  // by index
};

struct MetadataRequest {
  std::vector<std::string> topics;
};

struct MetadataAnswer {
  std::string cluster_id;
  std::vector<BrokerInfo> brokers;
  std::vector<TopicInfo> topics;  // those asked for that exist
  MetadataRevision revision{0};
};

struct SendMetadata {
  CorrelationId correlation;
  std::string address;
  MetadataRequest request;
  Duration timeout{0};  // the core gives the request up after it; a carrier's deadline
};

// ---- producing ----

struct ProducerIdentity {
  ProducerId id = kNoProducerId;
  ProducerEpoch epoch = kNoProducerEpoch;
  bool is_set() const { return id.value() >= 0; }
  bool operator==(const ProducerIdentity&) const = default;
};

struct SendInitProducerId {
  CorrelationId correlation;
  std::string address;
  std::optional<ProducerIdentity> current;  // absent: a new id
  Duration timeout{0};
};

struct AppendEntry {
  TopicPartitionId partition;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  Buffer batch;  // exactly one
};

// Requests to one broker arrive in the order given, as far as the connection lasts.
struct SendAppend {
  CorrelationId correlation;
  BrokerId broker = kNoBroker;
  std::string address;
  Acks acks = Acks::kAll;
  Durability durability = Durability::kTopicDefault;
  Duration ack_timeout{0};  // how long the broker may wait for the acknowledgement
  std::vector<AppendEntry> entries;
};

struct AppendResult {
  absl::Status status;
  // When OK:
  Offset base_offset{-1};
  TimestampMs log_append_time = kNoTimestamp;
  bool duplicate = false;
  // When not: how long the broker asks to wait.
  Duration retry_delay{0};
};
// One per entry, in their order; or an error of the whole request.
using AppendAnswer = absl::StatusOr<std::vector<AppendResult>>;

// ---- consuming ----

struct FetchEntry {
  TopicPartitionId partition;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  Offset offset{0};
  int64_t bytes_max = 0;
};

struct SendFetch {
  CorrelationId correlation;
  BrokerId broker = kNoBroker;
  std::string address;
  IsolationLevel isolation_level = IsolationLevel::kReadCommitted;
  Duration wait_max{0};
  int32_t bytes_min = 1;
  int64_t bytes_max = 0;
  std::string rack;
  std::vector<FetchEntry> entries;
  Duration timeout{0};
};

struct AbortedTransaction {
  ProducerId producer_id = kNoProducerId;
  Offset first_offset{0};
};

struct FetchResult {
  absl::Status status;
  Duration retry_delay{0};
  Buffer batches;  // whole batches
  Offset next_offset{-1};
  Offset high_watermark{-1};
  Offset last_stable_offset{-1};
  Offset log_start_offset{-1};
  std::vector<AbortedTransaction> aborted;
};
// One per entry, in their order.
using FetchAnswer = absl::StatusOr<std::vector<FetchResult>>;

struct OffsetLookup {
  TopicPartitionId partition;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  StartPosition at;  // never kOffset
};

struct SendListOffsets {
  CorrelationId correlation;
  BrokerId broker = kNoBroker;
  std::string address;
  IsolationLevel isolation_level = IsolationLevel::kReadCommitted;
  std::vector<OffsetLookup> lookups;
  Duration timeout{0};
};

struct OffsetFound {
  absl::Status status;
  Duration retry_delay{0};
  Offset offset{-1};  // -1: no record at or after the time
  TimestampMs timestamp = kNoTimestamp;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
};
using ListOffsetsAnswer = absl::StatusOr<std::vector<OffsetFound>>;

}  // namespace catamaran::client::core
