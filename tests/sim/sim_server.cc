#include "tests/sim/sim_server.h"

#include <deque>
#include <utility>

#include "broker/api/api_error.h"

namespace catamaran::sim {

using broker::CallContext;
using broker::Reply;
using AppendSessionRef = std::shared_ptr<broker::StreamSession<v1::AppendStreamRequest>>;

// One connection. Lives on the server's executor; handlers answer from elsewhere, so every answer
// is posted and finds the connection there or gone.
class SimServer::Client : public std::enable_shared_from_this<SimServer::Client> {
 public:
  Client(SimServer* server, uint64_t id, std::unique_ptr<Connection> connection)
      : server_(server), id_(id), connection_(std::move(connection)) {}
  ~Client() {
    if (session_ != nullptr) session_->OnClosed();
  }

  ConnectionEvents Events() {
    std::weak_ptr<Client> weak = weak_from_this();
    ConnectionEvents events;
    events.on_message = [weak](Buffer message) {
      if (auto self = weak.lock()) self->OnFrame(DecodeFrame(message));
    };
    events.on_writable = [weak] {
      if (auto self = weak.lock()) self->outbox_.Flush(self->connection_.get());
    };
    events.on_closed = [weak](const absl::Status&) {
      if (auto self = weak.lock()) self->server_->Forget(self->id_);
    };
    return events;
  }

  void Send(FrameKind kind, Method method, int64_t id, std::string_view payload) {
    if (connection_ == nullptr) return;
    outbox_.Send(connection_.get(), EncodeFrame({kind, method, id, Duration(0), payload}));
  }
  void SendError(FrameKind kind, Method method, int64_t id, const absl::Status& status) {
    v1::Error error;
    if (!status.ok()) broker::ToProto(status, &error);
    Send(kind, method, id, status.ok() ? std::string() : error.SerializeAsString());
  }
  Executor* executor() const { return server_->executor_; }

  // ---- the append stream ----
  void OnReadMore() {
    ++reads_wanted_;
    PumpStream();
  }
  void OnStreamSent(size_t bytes) {
    if (session_ != nullptr) session_->OnSent(bytes);
  }

 private:
  void OnFrame(const Frame& frame);
  void OnStreamFrame(const Frame& frame);
  void PumpStream() {
    while (reads_wanted_ > 0 && !stream_in_.empty() && session_ != nullptr) {
      --reads_wanted_;
      v1::AppendStreamRequest request = std::move(stream_in_.front());
      stream_in_.pop_front();
      session_->OnMessage(std::move(request));
    }
  }

  template <class Response>
  Reply<Response> Answer(const Frame& frame) {
    return [weak = weak_from_this(), executor = executor(), id = frame.id,
            method = frame.method](absl::StatusOr<Response> response) {
      executor->Post([weak, id, method, response = std::move(response)] {
        auto self = weak.lock();
        if (self == nullptr) return;
        if (response.ok()) {
          self->Send(FrameKind::kReply, method, id, response->SerializeAsString());
        } else {
          self->SendError(FrameKind::kError, method, id, response.status());
        }
      });
    };
  }
  template <class Api, class Request, class Response>
  void Call(const Frame& frame, Api& api,
            void (Api::*method)(const CallContext&, Request, Reply<Response>)) {
    CallContext call;
    call.deadline =
        frame.timeout > Duration(0) ? server_->parts_.clock->Now() + frame.timeout : kNever;
    call.peer = "sim";
    (api.*method)(call, ParseOrDie<Request>(frame.payload), Answer<Response>(frame));
  }

  SimServer* const server_;
  const uint64_t id_;
  std::unique_ptr<Connection> connection_;
  Outbox outbox_;
  AppendSessionRef session_;
  std::deque<v1::AppendStreamRequest> stream_in_;
  int reads_wanted_ = 1;  // the carrier asks for the first message by itself
};

// What the session writes to, from any executor.
class SimServer::AppendWriter final : public broker::StreamWriter<v1::AppendStreamResponse> {
 public:
  explicit AppendWriter(const std::shared_ptr<Client>& client)
      : client_(client), executor_(client->executor()) {}

  void Send(v1::AppendStreamResponse response, size_t bytes) override {
    executor_->Post([weak = client_, response = std::move(response), bytes] {
      auto client = weak.lock();
      if (client == nullptr) return;
      client->Send(FrameKind::kMessage, Method::kAppendStream, response.correlation_id(),
                   response.SerializeAsString());
      client->OnStreamSent(bytes);
    });
  }
  void ReadMore() override {
    executor_->Post([weak = client_] {
      if (auto client = weak.lock()) client->OnReadMore();
    });
  }
  void Finish(absl::Status status) override {
    executor_->Post([weak = client_, status] {
      if (auto client = weak.lock()) {
        client->SendError(FrameKind::kStreamEnd, Method::kAppendStream, 0, status);
      }
    });
  }

 private:
  const std::weak_ptr<Client> client_;
  Executor* const executor_;
};

void SimServer::Client::OnStreamFrame(const Frame& frame) {
  if (session_ == nullptr) {
    CallContext call;
    call.peer = "sim";
    session_ = server_->parts_.node->batch_api().AppendStream(
        call, std::make_shared<AppendWriter>(shared_from_this()));
  }
  if (frame.payload.empty()) return;  // only opens the stream
  stream_in_.push_back(ParseOrDie<v1::AppendStreamRequest>(frame.payload));
  PumpStream();
}

void SimServer::Client::OnFrame(const Frame& frame) {
  if (frame.kind == FrameKind::kMessage) {
    OnStreamFrame(frame);
    return;
  }
  CATAMARAN_CHECK(frame.kind == FrameKind::kRequest, "clients send nothing else");
  broker::BrokerNode& node = *server_->parts_.node;
  broker::TopicApi& topics = *server_->parts_.topics;
  switch (frame.method) {
    case Method::kGetMetadata:
      return Call(frame, *server_->parts_.cluster, &broker::ClusterApi::GetMetadata);
    case Method::kInitProducerId:
      return Call(frame, node.produce_api(), &broker::ProduceApi::InitProducerId);
    case Method::kFetchBatches:
      return Call(frame, node.batch_api(), &broker::BatchApi::FetchBatches);
    case Method::kListOffsets:
      return Call(frame, node.batch_api(), &broker::BatchApi::ListOffsets);
    case Method::kCreateTopic:
      return Call(frame, topics, &broker::TopicApi::CreateTopic);
    case Method::kDeleteTopic:
      return Call(frame, topics, &broker::TopicApi::DeleteTopic);
    case Method::kUpdateTopicConfig:
      return Call(frame, topics, &broker::TopicApi::UpdateTopicConfig);
    case Method::kCreatePartitions:
      return Call(frame, topics, &broker::TopicApi::CreatePartitions);
    case Method::kGetTopic:
      return Call(frame, topics, &broker::TopicApi::GetTopic);
    case Method::kDeleteRecords:
      return Call(frame, node.offsets_api(), &broker::OffsetsApi::DeleteRecords);
    case Method::kProduce:
      return Call(frame, node.produce_api(), &broker::ProduceApi::Produce);
    case Method::kFetch:
      return Call(frame, node.fetch_api(), &broker::FetchApi::Fetch);
    case Method::kAppendStream:
      break;
  }
  CATAMARAN_CHECK(false, "the append stream takes messages, no calls");
}

SimServer::~SimServer() {
  listener_.reset();
  clients_.clear();
}

absl::Status SimServer::Listen(Transport& transport, const std::string& endpoint) {
  auto accept = [this](std::unique_ptr<Connection> connection) {
    uint64_t id = ++last_client_;
    auto client = std::make_shared<Client>(this, id, std::move(connection));
    clients_.emplace(id, client);
    return client->Events();
  };
  CATAMARAN_ASSIGN_OR_RETURN(listener_, transport.Listen(endpoint, executor_, std::move(accept)));
  return absl::OkStatus();
}

}  // namespace catamaran::sim
