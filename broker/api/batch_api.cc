#include "broker/api/batch_api.h"

#include <utility>

#include "broker/api/append.h"
#include "broker/api/append_session.h"
#include "broker/api/fetch_session.h"

namespace catamaran::broker {

void BatchApi::AppendBatches(const CallContext& call, v1::AppendBatchesRequest request,
                             Reply<v1::AppendBatchesResponse> reply) {
  Append(
      *context_, call, std::move(request), [] {}, std::move(reply));
}

std::shared_ptr<StreamSession<v1::AppendStreamRequest>> BatchApi::AppendStream(
    const CallContext& call, std::shared_ptr<StreamWriter<v1::AppendStreamResponse>> writer) {
  auto session = std::make_shared<AppendSession>(context_, call, std::move(writer));
  session->Start();
  return session;
}

std::shared_ptr<StreamSession<v1::FetchStreamRequest>> BatchApi::FetchStream(
    const CallContext& call, std::shared_ptr<StreamWriter<v1::FetchStreamResponse>> writer) {
  (void)call;
  return std::make_shared<FetchSession>(context_, std::move(writer));
}

}  // namespace catamaran::broker
