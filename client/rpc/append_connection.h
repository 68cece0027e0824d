// One AppendStream to one broker: writes requests within the broker's credits, answers them as the
// broker does. When the stream breaks every request that wasn't answered gets the stream's status.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "catamaran/v1/batch_service.grpc.pb.h"
#include "client/core/messages.h"
#include "client/rpc/rpc_client.h"

namespace catamaran::client::rpc {

// Owned by the RpcClient's registry until its last operation has come back. Thread-safe.
class AppendConnection final : public ActiveCall {
 public:
  AppendConnection(RpcClient* client, std::string address);

  // Opens the stream. `self` is this. A stream that isn't granted credits within connect_timeout
  // is given up.
  void Start(const std::shared_ptr<AppendConnection>& self);
  void Append(core::SendAppend send);
  // Ends the stream without answers to what is on its way.
  void Close();
  // True when a new one is needed.
  bool closed() const;

  void Cancel() override;
  void Proceed(bool) override {}  // its operations have tags of their own

 private:
  class Operation final : public Tag {
   public:
    using Handler = void (AppendConnection::*)(bool ok);
    Operation(AppendConnection* connection, Handler handler)
        : connection_(connection), handler_(handler) {}
    void Proceed(bool ok) override { (connection_->*handler_)(ok); }

   private:
    AppendConnection* const connection_;
    const Handler handler_;
  };
  // Requests are encoded by hand (append_encoder.h), answers by protobuf.
  using Stub = grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::AppendStreamResponse>;
  using Stream = grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, v1::AppendStreamResponse>;

  void OnStarted(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void StartRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MaybeWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void BeginFinish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // One operation came back. When it was the last, ends the connection; releases the lock.
  void EndOperation() ABSL_UNLOCK_FUNCTION(mu_);
  void Answer(core::CorrelationId correlation, core::AppendAnswer answer);

  RpcClient* const client_;
  const std::string address_;
  std::shared_ptr<RpcClient::Peer> peer_;
  grpc::ClientContext context_;
  std::unique_ptr<Stream> stream_;
  Operation started_{this, &AppendConnection::OnStarted};
  Operation read_{this, &AppendConnection::OnRead};
  Operation written_{this, &AppendConnection::OnWritten};
  Operation finished_{this, &AppendConnection::OnFinished};

  mutable Mutex mu_;
  bool ready_ ABSL_GUARDED_BY(mu_) = false;    // the stream is open
  bool granted_ ABSL_GUARDED_BY(mu_) = false;  // the broker's first message has come
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  bool silent_ ABSL_GUARDED_BY(mu_) = false;  // Close() was called: nobody wants answers
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  int operations_ ABSL_GUARDED_BY(mu_) = 0;  // on the completion queue
  int64_t credit_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t outstanding_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  std::deque<core::SendAppend> waiting_ ABSL_GUARDED_BY(mu_);
  std::map<core::CorrelationId, int64_t> outstanding_ ABSL_GUARDED_BY(mu_);  // -> bytes
  v1::AppendStreamResponse response_ ABSL_GUARDED_BY(mu_);
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace catamaran::client::rpc
