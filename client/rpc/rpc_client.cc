#include "client/rpc/rpc_client.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "client/rpc/append_connection.h"
#include "client/rpc/convert.h"
#include "client/rpc/rpc_status.h"

namespace catamaran::client::rpc {
namespace {

// conventions.md 2.4: a broker that comes back is found within a second.
constexpr int kReconnectBackoffInitialMs = 50;
constexpr int kReconnectBackoffMaxMs = 1000;
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// Larger HTTP/2 windows and frames than the defaults help the first messages of a connection.
constexpr int kLookaheadBytes = 4 << 20;
constexpr int kFrameBytes = 1 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.message_bytes_max);
  arguments.SetMaxSendMessageSize(options.message_bytes_max);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectBackoffInitialMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectBackoffMaxMs);
  // This one is how long an attempt may take.
  arguments.SetInt(
      GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
      static_cast<int>(
          std::chrono::duration_cast<std::chrono::milliseconds>(options.connect_timeout).count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytes);
  // Each client has its own connection; retries are the cores' business.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetUserAgentPrefix(options.client_id);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

template <class Response, class Answer>
class RpcClient::UnaryCall final : public ActiveCall {
 public:
  using Convert = absl::AnyInvocable<absl::StatusOr<Answer>(Response*)>;
  UnaryCall(RpcClient* client, std::string address, Convert convert, Done<Answer> done)
      : client_(client),
        address_(std::move(address)),
        convert_(std::move(convert)),
        done_(std::move(done)) {}

  void Proceed(bool) override {
    absl::StatusOr<Answer> answer = status.ok()
                                        ? convert_(&response)
                                        : absl::StatusOr<Answer>(FromGrpcStatus(status, address_));
    client_->executor_->Post([done = std::move(done_), answer = std::move(answer)]() mutable {
      done(std::move(answer));
    });
    client_->Unregister(this);  // destroys this
  }
  void Cancel() override { context.TryCancel(); }

  grpc::ClientContext context;
  std::shared_ptr<Peer> peer;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  Response response;
  grpc::Status status;

 private:
  RpcClient* const client_;
  const std::string address_;
  Convert convert_;
  Done<Answer> done_;
};

RpcClient::RpcClient(const ClientOptions& options, Clock& clock, Executor* executor)
    : options_(options), clock_(clock), executor_(executor) {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "client-net");
    Run();
  });
}

RpcClient::~RpcClient() { Stop(); }

void RpcClient::Stop() {
  std::map<ActiveCall*, std::shared_ptr<ActiveCall>> calls;
  {
    MutexLock lock(&mu_);
    if (std::exchange(stopping_, true)) return;
    calls = calls_;
  }
  for (auto& [call, owner] : calls) call->Cancel();
  calls.clear();
  {
    // A cancelled call still has operations to start (a stream's Finish), which a queue that is
    // shut down doesn't take.
    MutexLock lock(&mu_);
    while (!calls_.empty()) no_calls_.Wait(&mu_);
  }
  queue_.Shutdown();
  thread_.join();
}

void RpcClient::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) static_cast<Tag*>(tag)->Proceed(ok);
}

std::shared_ptr<RpcClient::Peer> RpcClient::PeerAt(const std::string& address) {
  MutexLock lock(&mu_);
  std::shared_ptr<Peer>& peer = peers_[address];
  if (peer == nullptr) {
    peer = std::make_shared<Peer>();
    peer->channel = MakeChannel(options_, address);
    peer->batch = v1::BatchService::NewStub(peer->channel);
    peer->cluster = v1::ClusterService::NewStub(peer->channel);
    peer->producer = v1::ProducerService::NewStub(peer->channel);
  }
  return peer;
}

bool RpcClient::Register(std::shared_ptr<ActiveCall> call) {
  MutexLock lock(&mu_);
  if (stopping_) return false;
  ActiveCall* key = call.get();
  calls_.emplace(key, std::move(call));
  return true;
}

void RpcClient::Unregister(ActiveCall* call) {
  std::shared_ptr<ActiveCall> last;  // destroyed without the lock
  MutexLock lock(&mu_);
  auto it = calls_.find(call);
  CATAMARAN_CHECK(it != calls_.end(), "a call ends once");
  last = std::move(it->second);
  calls_.erase(it);
  if (stopping_ && calls_.empty()) no_calls_.SignalAll();
}

template <class Response, class Answer, class Start, class Convert>
void RpcClient::StartUnary(const std::string& address, Duration timeout, Start start,
                           Convert convert, Done<Answer> done) {
  auto call = std::make_shared<UnaryCall<Response, Answer>>(this, address, std::move(convert),
                                                            std::move(done));
  call->peer = PeerAt(address);
  call->context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                          gpr_time_from_nanos(timeout.count(), GPR_TIMESPAN)));
  call->reader = start(call->peer.get(), &call->context);
  if (!Register(call)) return;
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, static_cast<Tag*>(call.get()));
}

void RpcClient::GetMetadata(const core::SendMetadata& send, Done<core::MetadataAnswer> done) {
  StartUnary<v1::GetMetadataResponse, core::MetadataAnswer>(
      send.address, send.timeout,
      [&](Peer* peer, grpc::ClientContext* context) {
        return peer->cluster->PrepareAsyncGetMetadata(context, ToProto(send.request), &queue_);
      },
      [](v1::GetMetadataResponse* response) { return FromProto(*response); }, std::move(done));
}

void RpcClient::InitProducerId(const core::SendInitProducerId& send,
                               Done<core::ProducerIdentity> done) {
  StartUnary<v1::InitProducerIdResponse, core::ProducerIdentity>(
      send.address, send.timeout,
      [&](Peer* peer, grpc::ClientContext* context) {
        return peer->producer->PrepareAsyncInitProducerId(context, ToProto(send), &queue_);
      },
      [](v1::InitProducerIdResponse* response) { return FromProto(*response); }, std::move(done));
}

void RpcClient::FetchBatches(const core::SendFetch& send,
                             Done<std::vector<core::FetchResult>> done) {
  StartUnary<v1::FetchBatchesResponse, std::vector<core::FetchResult>>(
      send.address, send.timeout,
      [&](Peer* peer, grpc::ClientContext* context) {
        return peer->batch->PrepareAsyncFetchBatches(context, ToProto(send), &queue_);
      },
      [](v1::FetchBatchesResponse* response) {
        return absl::StatusOr<std::vector<core::FetchResult>>(TakeFromProto(response));
      },
      std::move(done));
}

void RpcClient::ListOffsets(const core::SendListOffsets& send,
                            Done<std::vector<core::OffsetFound>> done) {
  StartUnary<v1::ListOffsetsResponse, std::vector<core::OffsetFound>>(
      send.address, send.timeout,
      [&](Peer* peer, grpc::ClientContext* context) {
        return peer->batch->PrepareAsyncListOffsets(context, ToProto(send), &queue_);
      },
      [](v1::ListOffsetsResponse* response) {
        return absl::StatusOr<std::vector<core::OffsetFound>>(FromProto(*response));
      },
      std::move(done));
}

void RpcClient::Append(core::SendAppend send) {
  std::shared_ptr<AppendConnection>& connection = connections_[send.address];
  if (connection == nullptr || connection->closed()) {
    connection = std::make_shared<AppendConnection>(this, send.address);
    connection->Start(connection);
  }
  connection->Append(std::move(send));
}

void RpcClient::Reset(const std::string& address) {
  auto it = connections_.find(address);
  if (it == connections_.end()) return;
  it->second->Close();
  connections_.erase(it);
}

}  // namespace catamaran::client::rpc
