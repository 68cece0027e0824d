// ProducerService, ConsumerService and BatchService.
#include <utility>

#include "broker/rpc/services.h"
#include "broker/rpc/stream_call.h"
#include "catamaran/v1/batch_service.grpc.pb.h"
#include "catamaran/v1/consumer_service.grpc.pb.h"
#include "catamaran/v1/producer_service.grpc.pb.h"

namespace catamaran::broker {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerBidiReactor;
using grpc::ServerUnaryReactor;

class ProducerServiceImpl final : public v1::ProducerService::CallbackService {
 public:
  explicit ProducerServiceImpl(std::shared_ptr<const RpcShared> shared)
      : shared_(std::move(shared)) {}

  ServerUnaryReactor* InitProducerId(CallbackServerContext* context,
                                     const v1::InitProducerIdRequest* request,
                                     v1::InitProducerIdResponse* response) override {
    return ServeUnary(shared_, Method::kInitProducerId, context, request, response,
                      [this](const CallContext& call, v1::InitProducerIdRequest message,
                             Reply<v1::InitProducerIdResponse> reply) {
                        shared_->handlers.produce->InitProducerId(call, std::move(message),
                                                                  std::move(reply));
                      });
  }
  ServerUnaryReactor* Produce(CallbackServerContext* context, const v1::ProduceRequest* request,
                              v1::ProduceResponse* response) override {
    return ServeUnary(shared_, Method::kProduce, context, request, response,
                      [this](const CallContext& call, v1::ProduceRequest message,
                             Reply<v1::ProduceResponse> reply) {
                        shared_->handlers.produce->Produce(call, std::move(message),
                                                           std::move(reply));
                      });
  }
  ServerBidiReactor<v1::ProduceSessionRequest, v1::ProduceSessionResponse>* ProduceSession(
      CallbackServerContext* context) override {
    return new StreamReactor<v1::ProduceSessionRequest, v1::ProduceSessionResponse>(
        shared_, Method::kProduceSession, context,
        [this](const CallContext& call,
               std::shared_ptr<StreamWriter<v1::ProduceSessionResponse>> writer) {
          return shared_->handlers.produce->ProduceSession(call, std::move(writer));
        });
  }

 private:
  const std::shared_ptr<const RpcShared> shared_;
};

class ConsumerServiceImpl final : public v1::ConsumerService::CallbackService {
 public:
  explicit ConsumerServiceImpl(std::shared_ptr<const RpcShared> shared)
      : shared_(std::move(shared)) {}

  ServerUnaryReactor* Fetch(CallbackServerContext* context, const v1::FetchRequest* request,
                            v1::FetchResponse* response) override {
    return ServeUnary(
        shared_, Method::kFetch, context, request, response,
        [this](const CallContext& call, v1::FetchRequest message, Reply<v1::FetchResponse> reply) {
          shared_->handlers.fetch->Fetch(call, std::move(message), std::move(reply));
        });
  }

 private:
  const std::shared_ptr<const RpcShared> shared_;
};

class BatchServiceImpl final : public v1::BatchService::CallbackService {
 public:
  explicit BatchServiceImpl(std::shared_ptr<const RpcShared> shared) : shared_(std::move(shared)) {}

  ServerUnaryReactor* AppendBatches(CallbackServerContext* context,
                                    const v1::AppendBatchesRequest* request,
                                    v1::AppendBatchesResponse* response) override {
    return ServeUnary(shared_, Method::kAppendBatches, context, request, response,
                      [this](const CallContext& call, v1::AppendBatchesRequest message,
                             Reply<v1::AppendBatchesResponse> reply) {
                        shared_->handlers.batch->AppendBatches(call, std::move(message),
                                                               std::move(reply));
                      });
  }
  ServerUnaryReactor* FetchBatches(CallbackServerContext* context,
                                   const v1::FetchBatchesRequest* request,
                                   v1::FetchBatchesResponse* response) override {
    return ServeUnary(shared_, Method::kFetchBatches, context, request, response,
                      [this](const CallContext& call, v1::FetchBatchesRequest message,
                             Reply<v1::FetchBatchesResponse> reply) {
                        shared_->handlers.batch->FetchBatches(call, std::move(message),
                                                              std::move(reply));
                      });
  }
  ServerUnaryReactor* ListOffsets(CallbackServerContext* context,
                                  const v1::ListOffsetsRequest* request,
                                  v1::ListOffsetsResponse* response) override {
    return ServeUnary(shared_, Method::kListOffsets, context, request, response,
                      [this](const CallContext& call, v1::ListOffsetsRequest message,
                             Reply<v1::ListOffsetsResponse> reply) {
                        shared_->handlers.batch->ListOffsets(call, std::move(message),
                                                             std::move(reply));
                      });
  }
  ServerBidiReactor<v1::AppendStreamRequest, v1::AppendStreamResponse>* AppendStream(
      CallbackServerContext* context) override {
    return new StreamReactor<v1::AppendStreamRequest, v1::AppendStreamResponse>(
        shared_, Method::kAppendStream, context,
        [this](const CallContext& call,
               std::shared_ptr<StreamWriter<v1::AppendStreamResponse>> writer) {
          return shared_->handlers.batch->AppendStream(call, std::move(writer));
        });
  }
  ServerBidiReactor<v1::FetchStreamRequest, v1::FetchStreamResponse>* FetchStream(
      CallbackServerContext* context) override {
    return new StreamReactor<v1::FetchStreamRequest, v1::FetchStreamResponse>(
        shared_, Method::kFetchStream, context,
        [this](const CallContext& call,
               std::shared_ptr<StreamWriter<v1::FetchStreamResponse>> writer) {
          return shared_->handlers.batch->FetchStream(call, std::move(writer));
        });
  }

 private:
  const std::shared_ptr<const RpcShared> shared_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeProducerService(std::shared_ptr<const RpcShared> shared) {
  return std::make_unique<ProducerServiceImpl>(std::move(shared));
}
std::unique_ptr<grpc::Service> MakeConsumerService(std::shared_ptr<const RpcShared> shared) {
  return std::make_unique<ConsumerServiceImpl>(std::move(shared));
}
std::unique_ptr<grpc::Service> MakeBatchService(std::shared_ptr<const RpcShared> shared) {
  return std::make_unique<BatchServiceImpl>(std::move(shared));
}

}  // namespace catamaran::broker
