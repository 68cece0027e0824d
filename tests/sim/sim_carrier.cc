#include "tests/sim/sim_carrier.h"

#include <string>
#include <vector>

#include "base/check.h"
#include "client/rpc/append_encoder.h"
#include "client/rpc/convert.h"
#include "client/rpc/rpc_status.h"

namespace catamaran::sim {

using client::core::AppendAnswer;
using client::core::CorrelationId;
using client::core::SendAppend;

namespace {

std::string Flat(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  CATAMARAN_CHECK(buffer.Dump(&slices).ok(), "a message is whole");
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

// ---- calls --------------------------------------------------------------------------------------

// One connection for the calls to one address.
class SimCarrier::CallLink : public std::enable_shared_from_this<SimCarrier::CallLink> {
 public:
  CallLink(SimCarrier* carrier, std::string address)
      : carrier_(carrier), address_(std::move(address)) {}

  void Open() {
    std::weak_ptr<CallLink> weak = weak_from_this();
    ConnectionEvents events;
    events.on_message = [weak](Buffer message) {
      if (auto self = weak.lock()) self->OnFrame(DecodeFrame(message));
    };
    events.on_writable = [weak] {
      if (auto self = weak.lock()) self->outbox_.Flush(self->connection_.get());
    };
    events.on_closed = [weak](const absl::Status& why) {
      if (auto self = weak.lock()) self->OnClosed(why);
    };
    connection_ = carrier_->transport_->Connect(address_, carrier_->executor_, std::move(events));
  }
  // The events are gone with the link; timers find a dead reference.
  void Send(int64_t id, Method method, const std::string& request, Duration timeout, RawDone done) {
    std::weak_ptr<CallLink> weak = weak_from_this();
    TimerId timer = carrier_->executor_->PostAt(carrier_->clock_->Now() + timeout, [weak, id] {
      if (auto self = weak.lock()) self->OnDeadline(id);
    });
    calls_.emplace(id, CallState{method, timer, frames_received_, std::move(done)});
    outbox_.Send(connection_.get(),
                 EncodeFrame({FrameKind::kRequest, method, id, timeout, request}));
  }
  size_t calls() const { return calls_.size(); }
  void CancelTimers() {
    for (auto& [id, call] : calls_) carrier_->executor_->Cancel(call.timer);
  }

 private:
  struct CallState {
    Method method;
    TimerId timer;
    uint64_t received_before;
    RawDone done;
  };

  void OnFrame(const Frame& frame) {
    ++frames_received_;
    auto it = calls_.find(frame.id);
    if (it == calls_.end()) return;  // given up
    CallState call = std::move(it->second);
    calls_.erase(it);
    carrier_->executor_->Cancel(call.timer);
    if (frame.kind == FrameKind::kReply) {
      call.done(frame.payload);
      return;
    }
    absl::Status status = client::rpc::FromProtoError(ParseOrDie<v1::Error>(frame.payload));
    call.done(carrier_->Failure(call.method, status));
  }

  void OnDeadline(int64_t id) {
    auto it = calls_.find(id);
    if (it == calls_.end()) return;
    CallState call = std::move(it->second);
    calls_.erase(it);
    bool silent = call.received_before == frames_received_;
    auto self = shared_from_this();
    call.done(carrier_->Failure(call.method, absl::DeadlineExceededError("no answer in time")));
    if (silent) OnClosed(absl::UnavailableError("nothing came from there"));
  }

  void OnClosed(const absl::Status& why) {
    auto self = shared_from_this();
    auto mine = carrier_->call_links_.find(address_);
    if (mine != carrier_->call_links_.end() && mine->second == self) {
      carrier_->call_links_.erase(mine);
    }
    std::map<int64_t, CallState> calls = std::exchange(calls_, {});
    for (auto& [id, call] : calls) {
      carrier_->executor_->Cancel(call.timer);
      call.done(carrier_->Failure(call.method, why));
    }
  }

  SimCarrier* const carrier_;
  const std::string address_;
  std::unique_ptr<Connection> connection_;
  Outbox outbox_;
  std::map<int64_t, CallState> calls_;
  uint64_t frames_received_ = 0;
};

// ---- appends ------------------------------------------------------------------------------------

// One append stream, within the broker's credits, as client/rpc/append_connection.
class SimCarrier::AppendLink : public std::enable_shared_from_this<SimCarrier::AppendLink> {
 public:
  AppendLink(SimCarrier* carrier, std::string address)
      : carrier_(carrier), address_(std::move(address)) {}

  void Open() {
    std::weak_ptr<AppendLink> weak = weak_from_this();
    ConnectionEvents events;
    events.on_message = [weak](Buffer message) {
      if (auto self = weak.lock()) self->OnFrame(DecodeFrame(message));
    };
    events.on_writable = [weak] {
      if (auto self = weak.lock()) self->outbox_.Flush(self->connection_.get());
    };
    events.on_closed = [weak](const absl::Status& why) {
      if (auto self = weak.lock()) self->End(why);
    };
    connection_ = carrier_->transport_->Connect(address_, carrier_->executor_, std::move(events));
    Write("");
  }

  void Append(SendAppend send) {
    waiting_.push_back(std::move(send));
    MaybeWrite();
  }

 private:
  static int64_t BytesOf(const SendAppend& send) {
    int64_t bytes = 0;
    for (const auto& entry : send.entries) bytes += static_cast<int64_t>(entry.batch.size());
    return bytes;
  }

  void Write(std::string_view payload) {
    outbox_.Send(connection_.get(), EncodeFrame({FrameKind::kMessage, Method::kAppendStream, 0,
                                                 Duration(0), payload}));
  }

  void MaybeWrite() {
    while (granted_ && !waiting_.empty()) {
      const int64_t bytes = BytesOf(waiting_.front());
      if (outstanding_bytes_ > 0 && outstanding_bytes_ + bytes > credit_bytes_) return;
      SendAppend send = std::move(waiting_.front());
      waiting_.pop_front();
      outstanding_bytes_ += bytes;
      const std::string request = Flat(client::rpc::EncodeAppendStreamRequest(send));
      carrier_->tap_->OnAppendSent(send);
      outstanding_.emplace(send.correlation, std::move(send));
      Write(request);
      if (carrier_->sabotage_.duplicate_appends && ++carrier_->appends_ % 8 == 0) {
        Write(request);
      }
    }
  }

  void OnFrame(const Frame& frame) {
    if (frame.kind == FrameKind::kStreamEnd) {
      absl::Status why = absl::UnavailableError("the broker ended the stream");
      if (!frame.payload.empty()) {
        why = client::rpc::FromProtoError(ParseOrDie<v1::Error>(frame.payload));
      }
      End(why);
      return;
    }
    auto response = ParseOrDie<v1::AppendStreamResponse>(frame.payload);
    granted_ = true;
    if (response.credit_bytes() > 0) credit_bytes_ = response.credit_bytes();
    CorrelationId correlation(response.correlation_id());
    auto self = shared_from_this();  // an answer may reset this
    if (auto it = outstanding_.find(correlation); it != outstanding_.end()) {
      SendAppend send = std::move(it->second);
      outstanding_.erase(it);
      outstanding_bytes_ -= BytesOf(send);
      carrier_->tap_->OnAppendAnswer(send, response);
      AppendAnswer answer = client::rpc::FromResults(response.results());
      for (const auto& result : *answer) {
        if (!result.status.ok()) carrier_->tap_->OnError(Method::kAppendStream, result.status);
      }
      MaybeWrite();
      carrier_->AnswerAppend(correlation, std::move(answer));
    } else {
      MaybeWrite();
    }
  }

  void End(const absl::Status& why) {
    auto self = shared_from_this();
    auto mine = carrier_->append_links_.find(address_);
    if (mine != carrier_->append_links_.end() && mine->second == self) {
      carrier_->append_links_.erase(mine);
    }
    absl::Status status = carrier_->Failure(Method::kAppendStream, why);
    if (carrier_->sabotage_.unknown_as_rejected) {
      status = MakeError(Reason::kShuttingDown, "planted: surely not stored");
    }
    auto outstanding = std::exchange(outstanding_, {});
    auto waiting = std::exchange(waiting_, {});
    for (const auto& [correlation, send] : outstanding) {
      carrier_->AnswerAppend(correlation, status);
    }
    for (const SendAppend& send : waiting) carrier_->AnswerAppend(send.correlation, status);
  }

  SimCarrier* const carrier_;
  const std::string address_;
  std::unique_ptr<Connection> connection_;
  Outbox outbox_;
  std::deque<SendAppend> waiting_;
  std::map<CorrelationId, SendAppend> outstanding_;
  int64_t outstanding_bytes_ = 0;
  int64_t credit_bytes_ = 0;
  bool granted_ = false;
};

// ---- the carrier --------------------------------------------------------------------------------

SimCarrier::SimCarrier(Transport* transport, Clock* clock, Executor* executor, CarrierTap* tap,
                       CarrierSabotage sabotage)
    : transport_(transport), clock_(clock), executor_(executor), tap_(tap), sabotage_(sabotage) {}

SimCarrier::~SimCarrier() = default;

absl::Status SimCarrier::Failure(Method method, const absl::Status& status) {
  tap_->OnError(method, status);
  return status;
}

void SimCarrier::CallRaw(const std::string& address, Method method, std::string request,
                         Duration timeout, RawDone done) {
  std::shared_ptr<CallLink>& link = call_links_[address];
  if (link == nullptr) {
    link = std::make_shared<CallLink>(this, address);
    link->Open();
  }
  link->Send(++last_call_, method, request, timeout, std::move(done));
}

void SimCarrier::GetMetadata(const client::core::SendMetadata& send,
                             Done<client::core::MetadataAnswer> done) {
  Call<v1::GetMetadataResponse>(
      send.address, Method::kGetMetadata, client::rpc::ToProto(send.request), send.timeout,
      [this, done = std::move(done)](absl::StatusOr<v1::GetMetadataResponse> response) mutable {
        if (!response.ok()) return done(response.status());
        tap_->OnMetadata(*response);
        done(client::rpc::FromProto(*response));
      });
}

void SimCarrier::InitProducerId(const client::core::SendInitProducerId& send,
                                Done<client::core::ProducerIdentity> done) {
  Call<v1::InitProducerIdResponse>(
      send.address, Method::kInitProducerId, client::rpc::ToProto(send), send.timeout,
      [done = std::move(done)](absl::StatusOr<v1::InitProducerIdResponse> response) mutable {
        if (!response.ok()) return done(response.status());
        done(client::rpc::FromProto(*response));
      });
}

void SimCarrier::FetchBatches(client::core::SendFetch send,
                              Done<std::vector<client::core::FetchResult>> done) {
  v1::FetchBatchesRequest request = client::rpc::ToProto(send);
  bool skip = sabotage_.skip_a_record && ++fetches_ % 16 == 0;
  for (auto& partition : *request.mutable_partitions()) {
    // Only where the log has something: one past the end would be an error that tells.
    if (skip && partition.offset() > 0) partition.set_offset(partition.offset() + 1);
  }
  const std::string address = send.address;
  const Duration timeout = send.timeout;
  Call<v1::FetchBatchesResponse>(address, Method::kFetchBatches, request, timeout,
                                 [this, send = std::move(send), done = std::move(done)](
                                     absl::StatusOr<v1::FetchBatchesResponse> response) mutable {
                                   if (!response.ok()) return done(response.status());
                                   tap_->OnFetchAnswer(send, *response);
                                   auto results = client::rpc::TakeFromProto(&*response);
                                   for (const auto& result : results) {
                                     if (!result.status.ok())
                                       tap_->OnError(Method::kFetchBatches, result.status);
                                   }
                                   done(std::move(results));
                                 });
}

void SimCarrier::ListOffsets(const client::core::SendListOffsets& send,
                             Done<std::vector<client::core::OffsetFound>> done) {
  Call<v1::ListOffsetsResponse>(
      send.address, Method::kListOffsets, client::rpc::ToProto(send), send.timeout,
      [done = std::move(done)](absl::StatusOr<v1::ListOffsetsResponse> response) mutable {
        if (!response.ok()) return done(response.status());
        done(client::rpc::FromProto(*response));
      });
}

void SimCarrier::Append(SendAppend send) {
  std::shared_ptr<AppendLink>& link = append_links_[send.address];
  if (link == nullptr) {
    link = std::make_shared<AppendLink>(this, send.address);
    link->Open();
  }
  std::shared_ptr<AppendLink> keep = link;
  keep->Append(std::move(send));
}

void SimCarrier::AnswerAppend(CorrelationId correlation, AppendAnswer answer) {
  // As the real carrier: an event of its own.
  executor_->Post([this, correlation, answer = std::move(answer)]() mutable {
    append_done_(correlation, std::move(answer));
  });
}

size_t SimCarrier::calls_in_flight() const {
  size_t calls = 0;
  for (const auto& [address, link] : call_links_) calls += link->calls();
  return calls;
}

}  // namespace catamaran::sim
