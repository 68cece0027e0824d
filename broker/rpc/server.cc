#include "broker/rpc/server.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/rpc/admission.h"
#include "broker/rpc/poller_tick.h"
#include "broker/rpc/services.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"

namespace catamaran::broker {
namespace {

// gRPC takes messages so much larger than the limit, so that a request that is a little too large
// gets a typed answer.
constexpr size_t kMessageSlackBytes = 1u << 20;
// First window of a stream and size of a frame (performance.md 2.4); the bandwidth probe moves
// both.
constexpr int kLookaheadBytes = 4 << 20;
constexpr int kFrameBytesMax = 4 << 20;
// A client may ping this often, also when it has no call.
constexpr int kPingIntervalMsMin = 10'000;
// A backstop above our own accounting, loose enough that gRPC doesn't shrink its windows.
constexpr int64_t kQuotaPerInflight = 4;

class RpcServerImpl final : public RpcServer {
 public:
  ~RpcServerImpl() override { Shutdown(Duration(0)); }

  absl::Status Listen(const RpcOptions& options, const RpcHandlers& handlers) {
    grpc::EnableDefaultHealthCheckService(true);
    if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    auto shared = std::make_shared<RpcShared>();
    shared->handlers = handlers;
    shared->options = options;
    shared->admission = admission_ = std::make_shared<Admission>(options, handlers.counters);
    services_.push_back(MakeProducerService(shared));
    services_.push_back(MakeConsumerService(shared));
    services_.push_back(MakeBatchService(shared));
    services_.push_back(MakeTopicService(shared));
    services_.push_back(MakeClusterService(shared));

    grpc::ServerBuilder builder;
    builder.AddListeningPort(options.listen_address, grpc::InsecureServerCredentials(), &port_);
    for (const auto& service : services_) builder.RegisterService(service.get());
    Configure(options, &builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      return MakeError(Reason::kAddressInUse,
                       absl::StrCat("Can't listen on ", options.listen_address,
                                    ": the address is in use or isn't this machine's. Stop the "
                                    "other process or choose another address."),
                       {{"address", options.listen_address}});
    }
    SetServing(false);
    return absl::OkStatus();
  }

  int port() const override { return port_; }
  int64_t calls_in_flight() const override { return admission_->calls(); }

  void SetServing(bool serving) override {
    // For "" and all registered services.
    server_->GetHealthCheckService()->SetServingStatus(serving);
  }

  void Shutdown(Duration grace) override {
    if (server_ == nullptr) return;
    if (auto* health = server_->GetHealthCheckService()) health->Shutdown();
    gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                         gpr_time_from_nanos(grace.count(), GPR_TIMESPAN));
    server_->Shutdown(deadline);
    server_->Wait();
    server_ = nullptr;
  }

 private:
  static void Configure(const RpcOptions& options, grpc::ServerBuilder* builder) {
    const int message_max = static_cast<int>(options.message_bytes_max + kMessageSlackBytes);
    builder->SetMaxReceiveMessageSize(message_max);
    builder->SetMaxSendMessageSize(-1);  // answers are bounded by their handlers
    builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                                options.streams_per_connection_max);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytesMax);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 1);
    builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                                kPingIntervalMsMin);
    builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second broker must fail
    builder->AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
    grpc::ResourceQuota quota("catamarand");
    quota.Resize(static_cast<size_t>(options.inflight_bytes_max * kQuotaPerInflight));
    builder->SetResourceQuota(quota);
    // The reflection service is synchronous: one poller is enough.
    builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
    builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
  }

  PollerTick tick_;
  std::shared_ptr<Admission> admission_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;  // after the services: it ends first
  int port_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcOptions& options,
                                                            const RpcHandlers& handlers) {
  auto server = std::make_unique<RpcServerImpl>();
  CATAMARAN_RETURN_IF_ERROR(server->Listen(options, handlers));
  return server;
}

}  // namespace catamaran::broker
