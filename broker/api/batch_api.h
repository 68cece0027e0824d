// BatchService without gRPC: encoded batches straight to and from partition leaders.
#pragma once

#include <memory>

#include "broker/api/api_context.h"
#include "broker/api/call.h"
#include "broker/api/stream.h"
#include "catamaran/v1/batch_service.pb.h"

namespace catamaran::broker {

// Thread-safe; keeps no state of its own. `context` must outlive it, the calls and the sessions.
class BatchApi {
 public:
  explicit BatchApi(const ApiContext* context) : context_(context) {}

  void AppendBatches(const CallContext& call, v1::AppendBatchesRequest request,
                     Reply<v1::AppendBatchesResponse> reply);
  void FetchBatches(const CallContext& call, v1::FetchBatchesRequest request,
                    Reply<v1::FetchBatchesResponse> reply);
  void ListOffsets(const CallContext& call, v1::ListOffsetsRequest request,
                   Reply<v1::ListOffsetsResponse> reply);

  std::shared_ptr<StreamSession<v1::AppendStreamRequest>> AppendStream(
      const CallContext& call, std::shared_ptr<StreamWriter<v1::AppendStreamResponse>> writer);
  std::shared_ptr<StreamSession<v1::FetchStreamRequest>> FetchStream(
      const CallContext& call, std::shared_ptr<StreamWriter<v1::FetchStreamResponse>> writer);

 private:
  const ApiContext* const context_;
};

}  // namespace catamaran::broker
