// A bidirectional stream: carries messages between gRPC and a session (broker/api/stream.h).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "broker/api/stream.h"
#include "broker/rpc/unary_call.h"

namespace catamaran::broker {

// The session's way to the reactor, which gRPC deletes when the stream is done; the carrier lives
// as long as the session wants. All operations are started by one thread at a time (`Pump`) and
// never under the lock, so that Finish() comes after every other operation has been started.
//
// Invariants: at most one write and one read are outstanding; after Finish() nothing is started.
template <class Request, class Response>
class StreamCarrier final : public StreamWriter<Response>,
                            public Admission::RoomWaiter,
                            public std::enable_shared_from_this<StreamCarrier<Request, Response>> {
 public:
  using Reactor = grpc::ServerBidiReactor<Request, Response>;
  StreamCarrier(Reactor* reactor, std::shared_ptr<Admission> admission, std::string peer)
      : reactor_(reactor), admission_(std::move(admission)), peer_(std::move(peer)) {}

  void Send(Response response, size_t bytes) override {
    {
      MutexLock lock(&mu_);
      if (finish_.has_value()) return;
      queue_.push_back({std::move(response), bytes});
    }
    Pump();
  }
  void ReadMore() override {
    {
      MutexLock lock(&mu_);
      wants_read_ = true;
    }
    Pump();
  }
  StreamCredit Account(int64_t bytes) override { return admission_->Account(peer_, bytes); }
  void OnRoom() override {
    {
      MutexLock lock(&mu_);
      awaits_room_ = false;
    }
    Pump();
  }
  void Finish(absl::Status status) override {
    {
      MutexLock lock(&mu_);
      if (finish_.has_value()) return;
      finish_ = std::move(status);
    }
    Pump();
  }
  // The client is gone: what is queued is dropped.
  void Abort() {
    {
      MutexLock lock(&mu_);
      queue_.clear();
      if (!finish_.has_value()) finish_ = absl::CancelledError();
    }
    Pump();
  }
  // Events of the reactor.
  Request TakeRequest() { return std::move(request_); }
  void OnReadDone() {
    MutexLock lock(&mu_);
    reading_ = false;
  }
  // How many bytes have left.
  size_t OnWriteDone(bool ok) {
    size_t bytes;
    {
      MutexLock lock(&mu_);
      writing_ = false;
      bytes = current_.bytes;
      if (!ok) queue_.clear();
    }
    Pump();
    return bytes;
  }
  absl::Status final_status() {
    MutexLock lock(&mu_);
    return finish_.value_or(absl::OkStatus());
  }

 private:
  struct Message {
    Response response;
    size_t bytes = 0;
  };
  enum class Step { kNone, kRead, kWrite, kWriteMore, kFinish };

  Step NextStep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (finished_) return Step::kNone;
    if (!writing_ && !queue_.empty()) {
      current_ = std::move(queue_.front());
      queue_.pop_front();
      writing_ = true;
      // The first write carries the initial metadata, and gRPC 1.51 sits on both when it's told
      // that more follows.
      const bool more = std::exchange(has_written_, true) && !queue_.empty();
      return more ? Step::kWriteMore : Step::kWrite;
    }
    if (finish_.has_value()) {
      if (writing_) return Step::kNone;
      finished_ = true;
      return Step::kFinish;
    }
    if (wants_read_ && !reading_ && !awaits_room_) {
      awaits_room_ = !admission_->MayRead(peer_, this->weak_from_this());
      if (awaits_room_) return Step::kNone;
      wants_read_ = false;
      reading_ = true;
      return Step::kRead;
    }
    return Step::kNone;
  }

  void Pump() {
    auto keep = this->shared_from_this();  // Finish may end the reactor, and with it the last owner
    mu_.Lock();
    if (pumping_) {
      mu_.Unlock();
      return;
    }
    pumping_ = true;
    for (Step step = NextStep(); step != Step::kNone; step = NextStep()) {
      mu_.Unlock();
      switch (step) {
        case Step::kRead:
          reactor_->StartRead(&request_);
          break;
        case Step::kWrite:
          reactor_->StartWrite(&current_.response);
          break;
        // More follows at once: let gRPC gather it into one system call.
        case Step::kWriteMore:
          reactor_->StartWrite(&current_.response, grpc::WriteOptions().set_buffer_hint());
          break;
        case Step::kFinish:
          reactor_->Finish(ToGrpcStatus(final_status()));
          break;
        case Step::kNone:
          break;
      }
      mu_.Lock();
    }
    pumping_ = false;
    mu_.Unlock();
  }

  Reactor* const reactor_;  // valid until Finish() was called
  const std::shared_ptr<Admission> admission_;
  const std::string peer_;
  Request request_;  // owned by the outstanding read, else by the reactor's event
  Mutex mu_;
  Message current_;  // owned by the outstanding write
  std::deque<Message> queue_ ABSL_GUARDED_BY(mu_);
  bool wants_read_ ABSL_GUARDED_BY(mu_) = false;
  bool awaits_room_ ABSL_GUARDED_BY(mu_) = false;  // OnRoom() comes
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool has_written_ ABSL_GUARDED_BY(mu_) = false;
  bool pumping_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::Status> finish_ ABSL_GUARDED_BY(mu_);
};

// Owned by gRPC: deletes itself in OnDone.
template <class Request, class Response>
class StreamReactor final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  using Session = StreamSession<Request>;
  using Open = absl::AnyInvocable<std::shared_ptr<Session>(
      const CallContext&, std::shared_ptr<StreamWriter<Response>>)>;

  StreamReactor(std::shared_ptr<const RpcShared> shared, Method method,
                grpc::CallbackServerContext* context, Open open)
      : shared_(std::move(shared)),
        method_(method),
        start_(shared_->handlers.clock->Now()),
        carrier_(std::make_shared<StreamCarrier<Request, Response>>(this, shared_->admission,
                                                                    context->peer())) {
    CallContext call = MakeCallContext(*context, *shared_->handlers.clock);
    absl::StatusOr<Admission::Ticket> ticket = shared_->admission->AdmitStream(call.peer);
    if (!ticket.ok()) {
      carrier_->Finish(ticket.status());
      return;
    }
    ticket_ = *std::move(ticket);
    session_ = open(call, carrier_);
    carrier_->ReadMore();
  }

  void OnReadDone(bool ok) override {
    carrier_->OnReadDone();
    if (session_ == nullptr) return;
    if (!ok) {
      session_->OnReadsDone();
      return;
    }
    Request request = carrier_->TakeRequest();
    if (request.ByteSizeLong() > shared_->options.message_bytes_max) {
      carrier_->Finish(
          shared_->admission->AdmitCall("", static_cast<int64_t>(request.ByteSizeLong())).status());
      return;
    }
    session_->OnMessage(std::move(request));
  }
  void OnWriteDone(bool ok) override {
    auto session = session_;  // Pump() may finish the stream
    size_t bytes = carrier_->OnWriteDone(ok);
    if (session != nullptr) session->OnSent(bytes);
  }
  void OnCancel() override { carrier_->Abort(); }
  void OnDone() override {
    if (session_ != nullptr) session_->OnClosed();
    shared_->handlers.counters->CountCall(method_,
                                          static_cast<int>(carrier_->final_status().code()),
                                          shared_->handlers.clock->Now() - start_);
    delete this;
  }

 private:
  const std::shared_ptr<const RpcShared> shared_;
  const Method method_;
  const MonotonicTime start_;
  const std::shared_ptr<StreamCarrier<Request, Response>> carrier_;
  Admission::Ticket ticket_;
  std::shared_ptr<Session> session_;  // null when the stream wasn't admitted
};

}  // namespace catamaran::broker
