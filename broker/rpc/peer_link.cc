#include "broker/rpc/peer_link.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::broker {
namespace {

// Bytes bound what waits; this bounds what empty messages could pile up. Both ways.
constexpr size_t kMessagesMax = 64 * 1024;
// Credit goes back in steps of this part of the limits: few enough parts, and a sender at its limit
// never runs dry.
constexpr size_t kCreditSteps = 8;
// One task of the executor delivers so much, so that one connection's backlog doesn't hold up the
// others of the same executor.
constexpr size_t kDeliverMessagesMax = 64;
constexpr size_t kDeliverBytesMax = 1 << 20;

constexpr char kPeerClosed[] = "the other side closed the connection";
constexpr char kBroke[] = "the connection broke";

}  // namespace

PeerLink::PeerLink(PeerLinkLimits limits, std::string peer, std::unique_ptr<PeerCall> call,
                   std::function<void(const std::shared_ptr<PeerLink>&)> on_ended)
    : limits_(limits),
      peer_(std::move(peer)),
      on_ended_(std::move(on_ended)),
      call_(std::move(call)) {}

void PeerLink::Attach(Executor* executor) {
  MutexLock lock(&mu_);
  executor_ = executor;
}

void PeerLink::SetEvents(ConnectionEvents events) {
  if (!closed_) events_ = std::move(events);
}

// ---- the owner's calls ----

absl::Status PeerLink::Send(Buffer message) {
  if (closed_) {
    return MakeError(Reason::kShuttingDown,
                     absl::StrCat("The connection to ", peer_, " is closed; make a new one."));
  }
  const size_t size = message.size();
  if (size > limits_.message_bytes_max) {
    return MakeError(
        Reason::kRequestTooLarge,
        absl::StrCat("A message of ", size, " bytes exceeds the ", limits_.message_bytes_max,
                     " that a connection takes; split it."));
  }
  absl::Status status;
  {
    MutexLock lock(&mu_);
    if (sent_bytes_ + size > limits_.send_bytes_max || sent_messages_ >= kMessagesMax) {
      refused_ = true;
      request_credit_ = true;
      status = MakeError(Reason::kOverloaded,
                         absl::StrCat("The connection to ", peer_, " has ", sent_bytes_,
                                      " bytes in flight; send again when it is writable."));
    } else {
      sent_bytes_ += size;
      ++sent_messages_;
      // When the connection is over on_closed is on its way, and nothing goes out any more.
      if (!over_ && !write_failed_) outgoing_.push_back(std::move(message));
    }
  }
  MaybeWrite();
  return status;
}

void PeerLink::Close() {
  if (closed_) return;
  closed_ = true;
  if (!in_event_) events_ = ConnectionEvents();
  std::deque<Buffer> dropped;
  {
    MutexLock lock(&mu_);
    executor_ = nullptr;
    dropped.swap(incoming_);
    incoming_bytes_ = 0;
    closing_ = true;
    linger_until_ = SystemClock().Now() + limits_.close_linger;
    // Nobody knows of this connection yet, and nothing was sent: it needn't be made.
    if (!open_ && outgoing_.empty() && call_ != nullptr) call_->Cancel();
  }
  MaybeWrite();
  MaybeRead();
}

// ---- the call ----

void PeerLink::Start() {
  PeerCall* call = nullptr;
  {
    MutexLock lock(&mu_);
    call = call_.get();
  }
  call->Start(start_.Begin(shared_from_this()));
}

void PeerLink::OnStarted(bool ok) {
  if (!ok) {
    MutexLock lock(&mu_);
    over_ = true;
  }
  Open();
}

void PeerLink::Open() {
  {
    MutexLock lock(&mu_);
    open_ = true;
  }
  MaybeRead();
  MaybeWrite();
  MaybeFinish();
}

void PeerLink::Refuse(std::string refusal) {
  {
    MutexLock lock(&mu_);
    refusal_ = std::move(refusal);
    over_ = true;
  }
  Open();
}

void PeerLink::CancelIfDue(MonotonicTime now) {
  MutexLock lock(&mu_);
  if (now < linger_until_ || call_ == nullptr) return;
  linger_until_ = kNever;
  call_->Cancel();
}

void PeerLink::LingerAtMost(MonotonicTime deadline) {
  MutexLock lock(&mu_);
  linger_until_ = std::min(linger_until_, deadline);
}

void PeerLink::MaybeRead() {
  PeerCall* call = nullptr;
  {
    MutexLock lock(&mu_);
    if (!open_ || reading_ || over_ || Stuck()) return;
    reading_ = true;
    call = call_.get();
  }
  call->Read(&read_bytes_, read_.Begin(shared_from_this()));
}

bool PeerLink::Stuck() const {
  return executor_ != nullptr &&
         (incoming_bytes_ >= limits_.receive_bytes_max || incoming_.size() >= kMessagesMax);
}

void PeerLink::OnRead(bool ok) {
  // The next read begins only after this part took effect: it may be the last.
  if (ok) {
    absl::StatusOr<PeerPart> part = DecodePeerPart(read_bytes_);
    read_bytes_.Clear();
    if (part.ok() && std::holds_alternative<EndPart>(*part)) {
      End(kPeerClosed, "");
    } else {
      absl::Status status = part.ok() ? Receive(*std::move(part)) : part.status();
      if (!status.ok()) End(std::string(status.message()), std::string(status.message()));
    }
  }
  {
    MutexLock lock(&mu_);
    reading_ = false;
    if (!ok) {
      over_ = true;
      // The connecting side knows more once the call has ended.
      if (call_->accepting() && !broken_.has_value()) broken_ = kBroke;
      if (writing_) call_->Cancel();
      Schedule();
    }
  }
  MaybeRead();
  MaybeFinish();
}

absl::Status PeerLink::Receive(PeerPart part) {
  MutexLock lock(&mu_);
  if (const auto* credit = std::get_if<CreditPart>(&part)) return ReceiveCredit(*credit);
  if (closing_) return absl::OkStatus();  // nobody takes it any more
  if (std::holds_alternative<CreditRequestPart>(part)) {
    credit_requested_ = true;
  } else {
    incoming_.push_back(std::move(std::get<PayloadPart>(part).payload));
    incoming_bytes_ += incoming_.back().size();
  }
  Schedule();
  return absl::OkStatus();
}

absl::Status PeerLink::ReceiveCredit(const CreditPart& credit) {
  if (credit.bytes > sent_bytes_ || credit.messages > sent_messages_) {
    return absl::InvalidArgumentError("the peer gave credit for more than it was sent");
  }
  sent_bytes_ -= credit.bytes;
  sent_messages_ -= credit.messages;
  if (refused_ && sent_bytes_ <= limits_.send_bytes_max / 2 && sent_messages_ <= kMessagesMax / 2) {
    refused_ = false;
    writable_due_ = true;
    Schedule();
  }
  return absl::OkStatus();
}

void PeerLink::MaybeWrite() {
  PeerCall* call = nullptr;
  std::optional<PeerPart> part;
  bool more_follows = false;
  {
    MutexLock lock(&mu_);
    if (!open_ || writing_ || over_ || write_failed_) return;
    part = TakeNextPart();
    if (!part.has_value()) return;
    // Never the first: it carries gRPC's initial metadata, which a hinted write doesn't send and
    // yet waits for.
    more_follows = std::exchange(has_written_, true) && !outgoing_.empty();
    writing_ = true;
    call = call_.get();
  }
  call->Write(EncodePeerPart(*part), more_follows, write_.Begin(shared_from_this()));
}

std::optional<PeerPart> PeerLink::TakeNextPart() {
  if (end_sent_) return std::nullopt;
  // Ahead of messages: the other side may be waiting for it.
  if (std::exchange(give_credit_, false)) return std::exchange(taken_, CreditPart());
  if (!outgoing_.empty()) {
    PayloadPart part{std::move(outgoing_.front())};
    outgoing_.pop_front();
    return part;
  }
  if (std::exchange(request_credit_, false)) return CreditRequestPart();
  if (!closing_) return std::nullopt;
  end_sent_ = true;
  return EndPart();
}

void PeerLink::OnWritten(bool ok) {
  {
    MutexLock lock(&mu_);
    writing_ = false;
    // The outstanding read fails as well, and ends it all.
    if (!ok) write_failed_ = true;
  }
  MaybeWrite();
  MaybeFinish();
}

void PeerLink::End(std::string why, std::string refusal) {
  MutexLock lock(&mu_);
  if (!broken_.has_value()) broken_ = std::move(why);
  refusal_ = std::move(refusal);
  over_ = true;
  // The accepting side ends the call by its answer, once nothing is outstanding; who sent the end
  // still reads, so a write that is under way succeeds.
  const bool answers = call_->accepting() && (refusal_.empty() || !writing_);
  if (!answers) call_->Cancel();
  linger_until_ = std::min(linger_until_, SystemClock().Now() + limits_.close_linger);
  Schedule();
}

void PeerLink::MaybeFinish() {
  PeerCall* call = nullptr;
  std::string refusal;
  {
    MutexLock lock(&mu_);
    if (!open_ || !over_ || reading_ || writing_ || finishing_) return;
    finishing_ = true;
    call = call_.get();
    refusal = refusal_;
  }
  call->Finish(refusal, finish_.Begin(shared_from_this()));
}

void PeerLink::OnFinished(bool) {
  std::unique_ptr<PeerCall> call;
  std::deque<Buffer> dropped;
  {
    MutexLock lock(&mu_);
    if (!broken_.has_value()) broken_ = call_->WhyBroken();
    call = std::move(call_);
    dropped.swap(outgoing_);
    Schedule();
  }
  call.reset();
  on_ended_(shared_from_this());
}

// ---- events ----

void PeerLink::Schedule() {
  if (executor_ == nullptr || delivery_posted_) return;
  delivery_posted_ = true;
  // A stopped executor destroys the task within Post, under the lock: the caller holds a reference.
  executor_->Post([link = shared_from_this()] { link->Deliver(); });
}

template <class Event>
void PeerLink::RunEvent(const Event& event) {
  in_event_ = true;
  event();
  in_event_ = false;
  if (closed_) events_ = ConnectionEvents();
}

void PeerLink::Deliver() {
  {
    MutexLock lock(&mu_);
    delivery_posted_ = false;
  }
  size_t bytes = 0;
  for (size_t i = 0; i < kDeliverMessagesMax && bytes < kDeliverBytesMax; ++i) {
    std::optional<size_t> size = DeliverMessage();
    if (!size.has_value()) break;
    bytes += *size;
  }
  if (!closed_) DeliverRest();
  MaybeWrite();
  MaybeRead();
}

std::optional<size_t> PeerLink::DeliverMessage() {
  if (closed_) return std::nullopt;
  Buffer message;
  {
    MutexLock lock(&mu_);
    if (incoming_.empty()) return std::nullopt;
    message = std::move(incoming_.front());
    incoming_.pop_front();
    incoming_bytes_ -= message.size();
  }
  const size_t size = message.size();
  RunEvent([&] {
    if (events_.on_message) events_.on_message(std::move(message));
  });
  MutexLock lock(&mu_);
  taken_.bytes += size;
  ++taken_.messages;
  return size;
}

void PeerLink::DeliverRest() {
  bool writable = false;
  {
    MutexLock lock(&mu_);
    if (taken_.messages > 0 &&
        (credit_requested_ || taken_.bytes >= limits_.send_bytes_max / kCreditSteps ||
         taken_.messages >= kMessagesMax / kCreditSteps)) {
      give_credit_ = true;
    }
    if (incoming_.empty()) credit_requested_ = false;
    writable = std::exchange(writable_due_, false);
  }
  if (writable) {
    RunEvent([&] {
      if (events_.on_writable) events_.on_writable();
    });
  }
  if (closed_) return;
  std::optional<std::string> broken;
  {
    MutexLock lock(&mu_);
    if (!incoming_.empty()) {
      Schedule();
      return;
    }
    if (!broken_.has_value()) return;
    broken = broken_;
    executor_ = nullptr;
  }
  closed_ = true;
  auto on_closed = std::move(events_.on_closed);
  events_ = ConnectionEvents();
  if (on_closed) {
    on_closed(absl::UnavailableError(absl::StrCat("Connection to ", peer_, ": ", *broken)));
  }
}

}  // namespace catamaran::broker
