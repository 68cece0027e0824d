// Appending encoded batches: the part that the unary call and the stream share.
#pragma once

#include "broker/api/api_context.h"
#include "broker/api/call.h"
#include "catamaran/v1/batch_service.pb.h"

namespace catamaran::broker {

// Checks the request and each batch, and hands the batches to their replicas. `dispatched` is
// called once that is done (on this thread, or on the pool's where checking takes long): what is
// appended after it comes after these batches. `reply` follows once, when every batch has its
// answer; one that is refused has its error there, so that the others go on. Acks none answers at
// once.
void Append(const ApiContext& context, const CallContext& call, v1::AppendBatchesRequest request,
            Task dispatched, Reply<v1::AppendBatchesResponse> reply);

// Bytes of batches in the request: what credits are counted in.
int64_t BatchBytes(const v1::AppendBatchesRequest& request);

}  // namespace catamaran::broker
