// The network side of one client object: channels, calls and append streams on a completion queue
// and thread of its own. (gRPC's callback interface shares two pollers per process that sleep up to
// 100 ms after a silence; an idle producer's next record must not wait for them.)
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/executor.h"
#include "base/mutex.h"
#include "catamaran/v1/batch_service.grpc.pb.h"
#include "catamaran/v1/cluster_service.grpc.pb.h"
#include "catamaran/v1/producer_service.grpc.pb.h"
#include "client/client_options.h"
#include "client/core/messages.h"

namespace catamaran::client::rpc {

class AppendConnection;

// An operation on the completion queue. Proceed runs on the queue's thread and must not block.
class Tag {
 public:
  virtual ~Tag() = default;
  virtual void Proceed(bool ok) = 0;
};

// A call that can be cut short.
class ActiveCall : public Tag {
 public:
  virtual void Cancel() = 0;
};

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           const std::string& address);

// Calls are made from the executor's thread, and answers are posted there. Stop it before the
// executor is destroyed, and destroy it afterwards.
class RpcClient {
 public:
  RpcClient(const ClientOptions& options, Clock& clock, Executor* executor);
  ~RpcClient();
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;

  // Cancels what is under way, waits for its end and joins the thread; calls made afterwards are
  // dropped. Not from the executor's thread. Idempotent.
  void Stop();

  template <class Answer>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;

  void GetMetadata(const core::SendMetadata& send, Done<core::MetadataAnswer> done);
  void InitProducerId(const core::SendInitProducerId& send, Done<core::ProducerIdentity> done);
  void FetchBatches(const core::SendFetch& send, Done<std::vector<core::FetchResult>> done);
  void ListOffsets(const core::SendListOffsets& send, Done<std::vector<core::OffsetFound>> done);

  // Where the answers of Append go; set before the first Append. Runs on the executor.
  using AppendDone = std::function<void(core::CorrelationId, core::AppendAnswer)>;
  void set_append_done(AppendDone done) { append_done_ = std::move(done); }
  // On the stream to that broker, opened when need be. Every Append is answered, unless Reset was
  // called.
  void Append(core::SendAppend send);
  // Ends the stream to that address; a later Append opens another.
  void Reset(const std::string& address);

 private:
  friend class AppendConnection;
  template <class Response, class Answer>
  class UnaryCall;
  struct Peer {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<v1::BatchService::Stub> batch;
    std::unique_ptr<v1::ClusterService::Stub> cluster;
    std::unique_ptr<v1::ProducerService::Stub> producer;
  };

  std::shared_ptr<Peer> PeerAt(const std::string& address);
  // False when shutting down: the call must not be started.
  bool Register(std::shared_ptr<ActiveCall> call);
  void Unregister(ActiveCall* call);
  template <class Response, class Answer, class Start, class Convert>
  void StartUnary(const std::string& address, Duration timeout, Start start, Convert convert,
                  Done<Answer> done);
  void Run();

  const ClientOptions options_;
  Clock& clock_;
  Executor* const executor_;
  AppendDone append_done_;
  grpc::CompletionQueue queue_;

  Mutex mu_;
  CondVar no_calls_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::shared_ptr<Peer>> peers_ ABSL_GUARDED_BY(mu_);
  // Keeps calls alive until their last operation has come back.
  std::map<ActiveCall*, std::shared_ptr<ActiveCall>> calls_ ABSL_GUARDED_BY(mu_);

  // Of the executor's thread.
  std::map<std::string, std::shared_ptr<AppendConnection>> connections_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace catamaran::client::rpc
