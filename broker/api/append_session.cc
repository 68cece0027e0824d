#include "broker/api/append_session.h"

#include <utility>

#include "broker/api/append.h"

namespace catamaran::broker {

AppendSession::AppendSession(const ApiContext* context, CallContext call,
                             std::shared_ptr<Writer> writer)
    : context_(context), call_(std::move(call)), writer_(std::move(writer)) {}

void AppendSession::Start() {
  v1::AppendStreamResponse grant;
  grant.set_correlation_id(-1);
  grant.set_credit_bytes(context_->limits.stream_window_bytes);
  MutexLock lock(&mu_);
  if (writer_ != nullptr) writer_->Send(std::move(grant), 0);
}

void AppendSession::OnMessage(v1::AppendStreamRequest message) {
  auto owned = std::make_unique<Slot>();
  Slot* slot = owned.get();  // stays where it is until it is answered and flushed
  slot->correlation_id = message.correlation_id();
  slot->bytes = BatchBytes(message.append());
  {
    MutexLock lock(&mu_);
    if (writer_ == nullptr || finished_) return;
    unanswered_bytes_ += slot->bytes;
    slot->credit = writer_->Account(slot->bytes);
    slots_.push_back(std::move(owned));
  }
  auto self = shared_from_this();
  Append(
      *context_, call_, std::move(*message.mutable_append()), [self]() { self->OnDispatched(); },
      [self, slot](absl::StatusOr<v1::AppendBatchesResponse> response) {
        self->OnAnswer(slot, std::move(response));
      });
}

void AppendSession::OnDispatched() {
  MutexLock lock(&mu_);
  wants_read_ = true;
  MaybeRead();
}

void AppendSession::OnAnswer(Slot* slot, absl::StatusOr<v1::AppendBatchesResponse> response) {
  std::vector<StreamCredit> freed;  // before the lock, so that it goes after it
  MutexLock lock(&mu_);
  slot->answered = true;
  if (response.ok()) {
    slot->response.set_correlation_id(slot->correlation_id);
    slot->response.mutable_results()->Swap(response->mutable_results());
  } else {
    slot->status = response.status();
  }
  Flush(&freed);
  MaybeRead();
}

void AppendSession::Flush(std::vector<StreamCredit>* freed) {
  while (!slots_.empty() && slots_.front()->answered) {
    std::unique_ptr<Slot> slot = std::move(slots_.front());
    slots_.pop_front();
    unanswered_bytes_ -= slot->bytes;
    freed->push_back(std::move(slot->credit));
    if (writer_ == nullptr || finished_) continue;
    if (!slot->status.ok()) {
      finished_ = true;
      writer_->Finish(slot->status);
      continue;
    }
    slot->response.set_credit_bytes(context_->limits.stream_window_bytes);
    writer_->Send(std::move(slot->response), 0);
  }
  if (reads_done_ && slots_.empty() && !finished_ && writer_ != nullptr) {
    finished_ = true;
    writer_->Finish(absl::OkStatus());
  }
}

void AppendSession::MaybeRead() {
  if (!wants_read_ || reads_done_ || finished_ || writer_ == nullptr) return;
  if (unanswered_bytes_ >= context_->limits.stream_window_bytes) return;
  if (slots_.size() >= kStreamRequestsMax) return;
  wants_read_ = false;
  writer_->ReadMore();
}

void AppendSession::OnReadsDone() {
  std::vector<StreamCredit> freed;
  MutexLock lock(&mu_);
  reads_done_ = true;
  Flush(&freed);
}

void AppendSession::OnSent(size_t) {}

void AppendSession::OnClosed() {
  MutexLock lock(&mu_);
  writer_ = nullptr;
}

}  // namespace catamaran::broker
