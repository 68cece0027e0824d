// From records as messages to encoded batches: the simple way in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/batch/batch.h"
#include "base/ids.h"
#include "broker/api/api_context.h"
#include "catamaran/v1/producer_service.pb.h"
#include "catamaran/v1/records.pb.h"

namespace catamaran::broker {

using Records = google::protobuf::RepeatedPtrField<v1::Record>;

// One partition's part of a request.
struct PartitionRecords {
  PartitionIndex partition{0};
  std::vector<int32_t> indexes;  // into the request's records
};

// Which records go where, by partition: to `explicit_partition` when it is set, else by key, and
// those without a key to `keyless`. kInvalidArgument for none and for too many records.
absl::StatusOr<std::vector<PartitionRecords>> Partition(
    const Records& records, std::optional<PartitionIndex> explicit_partition,
    PartitionIndex keyless, int32_t partition_count);

// The bytes of keys, values and headers.
int64_t RecordBytes(const Records& records);

struct EncodeOptions {
  Codec codec = Codec::kNone;
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
};

// One validated batch for the topic. Errors as ValidateProducedBatch, with `record_index` counting
// within the part.
absl::StatusOr<std::string> Encode(const Records& records, const PartitionRecords& part,
                                   const metadata::TopicConfig& config,
                                   const EncodeOptions& options, const ApiContext& context);

// Collects the results of one message's partitions.
class ProduceGather {
 public:
  using Done = absl::AnyInvocable<void(std::vector<v1::ProduceResponse::PartitionResult>,
                                       std::vector<absl::Status>)>;
  ProduceGather(const std::vector<PartitionRecords>& parts, Done done);
  // Each index once, on any thread; the last one calls `done`.
  void Set(size_t index, const absl::StatusOr<ProduceOutcome>& outcome);

 private:
  std::atomic<size_t> waiting_;
  std::vector<v1::ProduceResponse::PartitionResult> results_;
  std::vector<absl::Status> statuses_;
  Done done_;
};

// Encodes every part and hands it to its replica. `options.base_sequence` of part i is
// `sequences[i]` when there are any.
void EncodeAndDispatch(const ApiContext& context, const CatalogTopic& topic, const Records& records,
                       const std::vector<PartitionRecords>& parts, const AckPolicy& policy,
                       EncodeOptions options, const std::vector<Sequence>& sequences,
                       ProduceGather::Done done);

}  // namespace catamaran::broker
