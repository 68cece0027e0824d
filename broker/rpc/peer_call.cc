#include "broker/rpc/peer_call.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"

namespace catamaran::broker {
namespace {

constexpr char kConnectMethod[] = "/catamaran.internal.v1.PeerService/Connect";
// First window of a stream and size of a frame; the bandwidth probe moves both.
constexpr int kLookaheadBytes = 4 << 20;
constexpr int kFrameBytesMax = 1 << 20;
// TCP connections that have no stream, or haven't finished the handshake, are closed.
constexpr int kIdleConnectionMs = 30'000;
constexpr int kHandshakeMs = 10'000;
// One connection, one stream.
constexpr int kStreamsPerTcpConnectionMax = 1;

int Milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

// What both sides set.
std::vector<std::pair<const char*, int>> SharedArguments(const PeerTransportOptions& options) {
  return {
      {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kLookaheadBytes},
      {GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytesMax},
      {GRPC_ARG_HTTP2_BDP_PROBE, 1},
      {GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval)},
      {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout)},
      {GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1},
      // However long a connection is silent, it is asked.
      {GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0},
      {GRPC_ARG_ENABLE_CHANNELZ, 0},
  };
}

int ReceiveBytesMax(const PeerTransportOptions& options) {
  return static_cast<int>(options.message_bytes_max + kPeerPartOverheadBytesMax);
}

grpc::WriteOptions Hint(bool more_follows) {
  grpc::WriteOptions options;
  if (more_follows) options.set_buffer_hint();
  return options;
}

}  // namespace

PeerLinkLimits LimitsOf(const PeerTransportOptions& options) {
  return {.send_bytes_max = options.send_bytes_max,
          .message_bytes_max = std::min(options.message_bytes_max, options.send_bytes_max),
          .receive_bytes_max = options.receive_bytes_max,
          .close_linger = options.close_linger};
}

std::shared_ptr<grpc::Channel> MakePeerChannel(const PeerTransportOptions& options,
                                               const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  for (const auto& [name, value] : SharedArguments(options)) arguments.SetInt(name, value);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // The time that one attempt to connect has; there is only one.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_timeout));
  arguments.SetMaxReceiveMessageSize(ReceiveBytesMax(options));
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

void ConfigurePeerServer(const PeerTransportOptions& options, grpc::ServerBuilder* builder) {
  for (const auto& [name, value] : SharedArguments(options)) {
    builder->AddChannelArgument(name, value);
  }
  // Clients ping at keepalive_interval; half of it leaves room for jitter.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              Milliseconds(options.keepalive_interval) / 2);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerTcpConnectionMax);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMs);
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a second listener must fail
  builder->SetMaxReceiveMessageSize(ReceiveBytesMax(options));
  builder->SetMaxSendMessageSize(-1);
  // Peers don't use it, and it would be served by gRPC's callback pollers.
  builder->SetOption(std::make_unique<grpc::HealthCheckServiceServerBuilderOption>(nullptr));
  // The public server's reflection is a plugin of the whole process, with threads of its own.
  builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
}

ConnectingCall::ConnectingCall(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue)
    : stub_(std::move(channel)), stream_(stub_.PrepareCall(&context_, kConnectMethod, queue)) {}

void ConnectingCall::Write(const grpc::ByteBuffer& bytes, bool more_follows, PeerOperation* done) {
  stream_->Write(bytes, Hint(more_follows), done);
}

std::string ConnectingCall::WhyBroken() const {
  return status_.ok() ? "the connection broke"
                      : absl::StrCat("no connection, or it broke: ", status_.error_message());
}

void AcceptedCall::Start(PeerOperation*) {
  CATAMARAN_CHECK(false, "only the connecting side starts a call");
}

void AcceptedCall::Write(const grpc::ByteBuffer& bytes, bool more_follows, PeerOperation* done) {
  stream_.Write(bytes, Hint(more_follows), done);
}

void AcceptedCall::Finish(const std::string& refusal, PeerOperation* done) {
  stream_.Finish(
      refusal.empty() ? grpc::Status() : grpc::Status(grpc::StatusCode::UNAVAILABLE, refusal),
      done);
}

}  // namespace catamaran::broker
