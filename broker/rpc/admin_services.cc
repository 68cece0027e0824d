// TopicService and ClusterService.
#include <utility>

#include "broker/rpc/services.h"
#include "catamaran/v1/cluster_service.grpc.pb.h"
#include "catamaran/v1/topic_service.grpc.pb.h"

namespace catamaran::broker {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

class TopicServiceImpl final : public v1::TopicService::CallbackService {
 public:
  explicit TopicServiceImpl(std::shared_ptr<const RpcShared> shared) : shared_(std::move(shared)) {}

  ServerUnaryReactor* CreateTopic(CallbackServerContext* context,
                                  const v1::CreateTopicRequest* request,
                                  v1::CreateTopicResponse* response) override {
    return Serve(context, request, response, &TopicApi::CreateTopic);
  }
  ServerUnaryReactor* GetTopic(CallbackServerContext* context, const v1::GetTopicRequest* request,
                               v1::GetTopicResponse* response) override {
    return Serve(context, request, response, &TopicApi::GetTopic);
  }
  ServerUnaryReactor* ListTopics(CallbackServerContext* context,
                                 const v1::ListTopicsRequest* request,
                                 v1::ListTopicsResponse* response) override {
    return Serve(context, request, response, &TopicApi::ListTopics);
  }
  ServerUnaryReactor* UpdateTopicConfig(CallbackServerContext* context,
                                        const v1::UpdateTopicConfigRequest* request,
                                        v1::UpdateTopicConfigResponse* response) override {
    return Serve(context, request, response, &TopicApi::UpdateTopicConfig);
  }
  ServerUnaryReactor* CreatePartitions(CallbackServerContext* context,
                                       const v1::CreatePartitionsRequest* request,
                                       v1::CreatePartitionsResponse* response) override {
    return Serve(context, request, response, &TopicApi::CreatePartitions);
  }
  ServerUnaryReactor* DeleteTopic(CallbackServerContext* context,
                                  const v1::DeleteTopicRequest* request,
                                  v1::DeleteTopicResponse* response) override {
    return Serve(context, request, response, &TopicApi::DeleteTopic);
  }
  // The data plane's one method of this service.
  ServerUnaryReactor* DeleteRecords(CallbackServerContext* context,
                                    const v1::DeleteRecordsRequest* request,
                                    v1::DeleteRecordsResponse* response) override {
    return ServeUnary(shared_, Method::kTopicService, context, request, response,
                      [this](const CallContext& call, v1::DeleteRecordsRequest message,
                             Reply<v1::DeleteRecordsResponse> reply) {
                        shared_->handlers.offsets->DeleteRecords(call, std::move(message),
                                                                 std::move(reply));
                      });
  }

 private:
  template <class Request, class Response>
  ServerUnaryReactor* Serve(CallbackServerContext* context, const Request* request,
                            Response* response,
                            void (TopicApi::*handler)(const CallContext&, Request,
                                                      Reply<Response>)) {
    return ServeUnary(
        shared_, Method::kTopicService, context, request, response,
        [this, handler](const CallContext& call, Request message, Reply<Response> reply) {
          (shared_->handlers.topics->*handler)(call, std::move(message), std::move(reply));
        });
  }

  const std::shared_ptr<const RpcShared> shared_;
};

// One WatchMetadata. Asks for the next event when the one before is on its way. Owned by gRPC:
// deletes itself in OnDone. Finish() is called once: by an event that ends the watch (a cancelled
// watch gives one) or by a failed write; never both, since one of the two is outstanding at a time.
class WatchReactor final : public grpc::ServerWriteReactor<v1::WatchMetadataResponse> {
 public:
  WatchReactor(std::shared_ptr<const RpcShared> shared, CallbackServerContext* context,
               const v1::WatchMetadataRequest& request)
      : shared_(std::move(shared)), start_(shared_->handlers.clock->Now()) {
    CallContext call = MakeCallContext(*context, *shared_->handlers.clock);
    absl::StatusOr<Admission::Ticket> ticket = shared_->admission->AdmitStream(call.peer);
    if (!ticket.ok()) {
      End(ticket.status());
      return;
    }
    ticket_ = *std::move(ticket);
    auto watch = shared_->handlers.cluster->WatchMetadata(call, request);
    if (!watch.ok()) {
      End(watch.status());
      return;
    }
    watch_ = *std::move(watch);
    Next();
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      Next();
    } else {
      End(absl::CancelledError());
    }
  }
  void OnCancel() override {
    if (watch_ != nullptr) watch_->Cancel();
  }
  void OnDone() override {
    shared_->handlers.counters->CountCall(Method::kClusterService, code_,
                                          shared_->handlers.clock->Now() - start_);
    delete this;
  }

 private:
  void Next() {
    watch_->Next([this](absl::StatusOr<v1::WatchMetadataResponse> event) {
      if (!event.ok()) {
        End(event.status());
        return;
      }
      response_ = *std::move(event);
      StartWrite(&response_);
    });
  }
  void End(const absl::Status& status) {
    code_ = static_cast<int>(status.code());
    Finish(ToGrpcStatus(status));
  }

  const std::shared_ptr<const RpcShared> shared_;
  const MonotonicTime start_;
  Admission::Ticket ticket_;
  std::unique_ptr<MetadataWatch> watch_;
  v1::WatchMetadataResponse response_;  // owned by the outstanding write
  int code_ = 0;
};

class ClusterServiceImpl final : public v1::ClusterService::CallbackService {
 public:
  explicit ClusterServiceImpl(std::shared_ptr<const RpcShared> shared)
      : shared_(std::move(shared)) {}

  ServerUnaryReactor* GetClusterInfo(CallbackServerContext* context,
                                     const v1::GetClusterInfoRequest* request,
                                     v1::GetClusterInfoResponse* response) override {
    return Serve(context, request, response, &ClusterApi::GetClusterInfo);
  }
  ServerUnaryReactor* GetMetadata(CallbackServerContext* context,
                                  const v1::GetMetadataRequest* request,
                                  v1::GetMetadataResponse* response) override {
    return Serve(context, request, response, &ClusterApi::GetMetadata);
  }
  grpc::ServerWriteReactor<v1::WatchMetadataResponse>* WatchMetadata(
      CallbackServerContext* context, const v1::WatchMetadataRequest* request) override {
    return new WatchReactor(shared_, context, *request);
  }

 private:
  template <class Request, class Response>
  ServerUnaryReactor* Serve(CallbackServerContext* context, const Request* request,
                            Response* response,
                            void (ClusterApi::*handler)(const CallContext&, Request,
                                                        Reply<Response>)) {
    return ServeUnary(
        shared_, Method::kClusterService, context, request, response,
        [this, handler](const CallContext& call, Request message, Reply<Response> reply) {
          (shared_->handlers.cluster->*handler)(call, std::move(message), std::move(reply));
        });
  }

  const std::shared_ptr<const RpcShared> shared_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeTopicService(std::shared_ptr<const RpcShared> shared) {
  return std::make_unique<TopicServiceImpl>(std::move(shared));
}
std::unique_ptr<grpc::Service> MakeClusterService(std::shared_ptr<const RpcShared> shared) {
  return std::make_unique<ClusterServiceImpl>(std::move(shared));
}

}  // namespace catamaran::broker
