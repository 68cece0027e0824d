// Offsets: ListOffsets (BatchService, see batch_api.h) and DeleteRecords (TopicService).
#pragma once

#include "broker/api/api_context.h"
#include "broker/api/call.h"
#include "catamaran/v1/topic_service.pb.h"

namespace catamaran::broker {

// Thread-safe; keeps no state of its own. `context` must outlive it and the calls.
class OffsetsApi {
 public:
  explicit OffsetsApi(const ApiContext* context) : context_(context) {}

  void DeleteRecords(const CallContext& call, v1::DeleteRecordsRequest request,
                     Reply<v1::DeleteRecordsResponse> reply);

 private:
  const ApiContext* const context_;
};

}  // namespace catamaran::broker
