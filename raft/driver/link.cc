#include "raft/driver/link.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace catamaran::raft {

Link::Link(LinkOwner* owner, Transport* transport, Executor* executor, Random random, Lane lane,
           ReplicaId to, std::string fixed_endpoint)
    : owner_(owner),
      transport_(transport),
      executor_(executor),
      lane_(lane),
      to_(to),
      fixed_endpoint_(std::move(fixed_endpoint)),
      random_(random) {}

Link::~Link() { *alive_ = false; }

// ---- sending ----

void Link::Send(MonotonicTime now, Buffer frame) {
  last_used_ = now;
  Want(now);
  if (state_ == State::kIdle) {
    ++stats_.frames_dropped;
    return;
  }
  Push(std::move(frame));
  if (state_ == State::kUp) Flush();
}

void Link::Push(Buffer frame) {
  if (queue_bytes_ + frame.size() > queue_bytes_max()) {
    ++stats_.frames_dropped;
    return;
  }
  queue_bytes_ += frame.size();
  queue_.push_back(std::move(frame));
}

void Link::Flush() {
  while (!queue_.empty()) {
    const absl::Status sent = connection_->Send(queue_.front());
    if (!sent.ok() && ReasonOf(sent) == Reason::kOverloaded) return;  // on_writable comes
    ++(sent.ok() ? stats_.frames_sent : stats_.frames_dropped);
    queue_bytes_ -= queue_.front().size();
    queue_.pop_front();
  }
}

// ---- the connection's life ----

void Link::Want(MonotonicTime now) {
  now_ = now;
  if (state_ != State::kUp && !down_since_) down_since_ = now;
  if (state_ == State::kIdle && now >= retry_at_) Connect(now);
}

void Link::Connect(MonotonicTime now) {
  const std::string endpoint = owner_->NextEndpoint(*this);
  if (endpoint.empty()) {
    retry_at_ = now + kReconnectWaitMin;
    return;
  }
  state_ = State::kGreeting;
  greeting_deadline_ = now + kHandshakeTimeout;
  ++stats_.connects;
  ConnectionEvents events;
  // The connection's events end with it, so `this` is alive in them.
  events.on_message = [this](Buffer bytes) { OnMessage(std::move(bytes)); };
  events.on_writable = [this] {
    if (state_ == State::kUp) Flush();
  };
  events.on_closed = [this](const absl::Status&) { Disconnect(true); };
  ++generation_;
  connection_ = transport_->Connect(endpoint, executor_, std::move(events));
  (void)connection_->Send(EncodeFrame(Hello{owner_->MakeGreeting(lane_, to_)}));
}

void Link::Disconnect(bool failed) {
  if (state_ == State::kIdle) return;
  const bool was_up = state_ == State::kUp;
  state_ = State::kIdle;
  connection_.reset();
  queue_.clear();
  queue_bytes_ = 0;
  down_since_ = now_;
  if (was_up) attempts_ = 0;
  Duration wait = kReconnectWaitMin * (1 << std::min(attempts_, 10));
  wait = std::min(wait, kReconnectWaitMax);
  // At once after it had worked; then later and later, each link at a time of its own.
  retry_at_ =
      was_up || !failed ? now_ : now_ + Duration(random_.Between(wait.count() / 2, wait.count()));
  if (!was_up) ++attempts_;
  if (was_up) owner_->OnDown(*this);
}

void Link::Reset(MonotonicTime now) {
  now_ = now;
  Disconnect(false);
}

void Link::Tick(MonotonicTime now) {
  now_ = now;
  switch (state_) {
    case State::kIdle:
      if (down_since_ && now >= retry_at_) Connect(now);
      break;
    case State::kGreeting:
    case State::kObserving:
      if (now >= greeting_deadline_) Disconnect(true);
      break;
    case State::kUp:
      if (now < ping_at_) break;
      if (pings_unanswered_ >= kPingsUnansweredMax) {
        Disconnect(true);
        break;
      }
      ping_at_ = now + kPingInterval;
      ++pings_unanswered_;
      Push(EncodeFrame(Ping{++pings_}));
      Flush();
      break;
  }
}

// ---- receiving ----

void Link::OnMessage(Buffer bytes) {
  absl::StatusOr<Frame> frame = DecodeFrame(bytes);
  if (!frame.ok()) {
    Refuse(Refusal{RefusalReason::kMalformed, {}, {}, 0, std::string(frame.status().message())});
    return;
  }
  if (const auto* refusal = std::get_if<Refusal>(&*frame)) {
    const Refusal copy = *refusal;
    Disconnect(true);
    owner_->OnRefused(*this, copy);
    return;
  }
  if (state_ == State::kGreeting) {
    OnGreeted(*std::move(frame));
    return;
  }
  pings_unanswered_ = 0;
  if (std::holds_alternative<Pong>(*frame) || state_ != State::kUp) return;
  owner_->OnFrame(*this, *std::move(frame));
}

void Link::OnGreeted(Frame frame) {
  const auto* welcome = std::get_if<Welcome>(&frame);
  if (welcome == nullptr) {
    Refuse(Refusal{RefusalReason::kMalformed, {}, {}, 0, "A welcome was expected."});
    return;
  }
  peer_ = welcome->greeting;
  if (const std::optional<Refusal> refusal = owner_->CheckWelcome(*this, peer_)) {
    Refuse(*refusal);
    return;
  }
  state_ = State::kObserving;
  owner_->ObserveStart(
      peer_, [this, alive = alive_, generation = generation_](std::optional<Refusal> refusal) {
        if (!*alive || generation != generation_ || state_ != State::kObserving) return;
        if (refusal) {
          Refuse(*refusal);
          return;
        }
        state_ = State::kUp;
        attempts_ = 0;
        pings_unanswered_ = 0;
        down_since_.reset();
        ping_at_ = now_ + kPingInterval;
        Flush();
        owner_->OnUp(*this);
      });
}

void Link::Refuse(const Refusal& refusal) {
  (void)connection_->Send(EncodeFrame(refusal));
  connection_->Close();  // what was sent still goes out
  Disconnect(true);
  owner_->OnRefused(*this, refusal);
}

}  // namespace catamaran::raft
