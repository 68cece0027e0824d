// The services of the API, bound to handlers. Each lives as long as the server.
#pragma once

#include <memory>
#include <vector>

#include "broker/rpc/unary_call.h"
#include "grpcpp/impl/codegen/service_type.h"

namespace catamaran::broker {

std::unique_ptr<grpc::Service> MakeProducerService(std::shared_ptr<const RpcShared> shared);
std::unique_ptr<grpc::Service> MakeConsumerService(std::shared_ptr<const RpcShared> shared);
std::unique_ptr<grpc::Service> MakeBatchService(std::shared_ptr<const RpcShared> shared);
std::unique_ptr<grpc::Service> MakeTopicService(std::shared_ptr<const RpcShared> shared);
std::unique_ptr<grpc::Service> MakeClusterService(std::shared_ptr<const RpcShared> shared);

}  // namespace catamaran::broker
