// ConsumerService without gRPC: records as messages.
#pragma once

#include "broker/api/api_context.h"
#include "broker/api/call.h"
#include "catamaran/v1/consumer_service.pb.h"

namespace catamaran::broker {

// Thread-safe; keeps no state of its own. `context` must outlive it and the calls.
class FetchApi {
 public:
  explicit FetchApi(const ApiContext* context) : context_(context) {}

  void Fetch(const CallContext& call, v1::FetchRequest request, Reply<v1::FetchResponse> reply);

 private:
  const ApiContext* const context_;
};

// What a simple fetch may return.
struct RecordLimits {
  Offset from{0};  // records below it are left out
  int32_t records_max = kFetchRecordsDefault;
  int64_t bytes_max = kFetchBytesDefault;
  size_t decompressed_bytes_max = 64u << 20;
};

// Takes the records of whole batches apart, one after another in `runs`, until a limit is reached;
// at least one. Control batches are skipped. Sets records and next_offset (`end` when all were
// taken).
absl::Status DecodeRecords(const std::vector<Buffer>& runs, Offset end, const RecordLimits& limits,
                           v1::FetchResponse* response);

}  // namespace catamaran::broker
