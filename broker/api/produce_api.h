// ProducerService without gRPC: records as messages.
#pragma once

#include <memory>

#include "broker/api/api_context.h"
#include "broker/api/call.h"
#include "broker/api/producer_ids.h"
#include "broker/api/stream.h"
#include "catamaran/v1/producer_service.pb.h"

namespace catamaran::broker {

// Thread-safe; keeps no state of its own. `context` and `ids` must outlive it, the calls and the
// sessions.
class ProduceApi {
 public:
  ProduceApi(const ApiContext* context, ProducerIds* ids) : context_(context), ids_(ids) {}

  void InitProducerId(const CallContext& call, v1::InitProducerIdRequest request,
                      Reply<v1::InitProducerIdResponse> reply);
  void Produce(const CallContext& call, v1::ProduceRequest request,
               Reply<v1::ProduceResponse> reply);
  std::shared_ptr<StreamSession<v1::ProduceSessionRequest>> ProduceSession(
      const CallContext& call, std::shared_ptr<StreamWriter<v1::ProduceSessionResponse>> writer);

 private:
  const ApiContext* const context_;
  ProducerIds* const ids_;
};

}  // namespace catamaran::broker
