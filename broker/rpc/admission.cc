#include "broker/rpc/admission.h"

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::broker {

absl::Status Admission::Overloaded(const char* what, int64_t limit) {
  counters_->Add(Counter::kRpcRefusedOverload);
  return MakeError(Reason::kOverloaded,
                   absl::StrCat("The broker is at its limit of ", limit, " ", what,
                                ". Wait a little, then try again."),
                   {{"limit", absl::StrCat(limit)}, {"of", what}});
}

absl::StatusOr<Admission::Ticket> Admission::AdmitCall(const std::string& peer, int64_t bytes) {
  if (bytes > static_cast<int64_t>(options_.message_bytes_max)) {
    return MakeError(
        Reason::kRequestTooLarge,
        absl::StrCat("The request has ", bytes, " bytes; at most ", options_.message_bytes_max,
                     " are taken. Send less at a time, or raise the broker's limit."),
        {{"bytes", absl::StrCat(bytes)}, {"limit", absl::StrCat(options_.message_bytes_max)}});
  }
  return Admit(peer, bytes, /*stream=*/false);
}

absl::StatusOr<Admission::Ticket> Admission::AdmitStream(const std::string& peer) {
  return Admit(peer, 0, /*stream=*/true);
}

absl::StatusOr<Admission::Ticket> Admission::Admit(const std::string& peer, int64_t bytes,
                                                   bool stream) {
  {
    MutexLock lock(&mu_);
    // A stream has no bytes when it opens: it's just not read from until there is room.
    if (!stream) {
      CATAMARAN_RETURN_IF_ERROR(
          CheckBytes(peer, bytes, "bytes of requests and answers in work",
                     "bytes of one connection's requests and answers in work"));
    }
    if (calls_ >= options_.calls_max) return Overloaded("calls", options_.calls_max);
    if (stream && streams_ >= options_.streams_max) {
      return Overloaded("streams", options_.streams_max);
    }
    if (!connections_.contains(peer) &&
        static_cast<int64_t>(connections_.size()) >= options_.connections_max) {
      return Overloaded("connections", options_.connections_max);
    }
    Connection& connection = connections_[peer];
    ++connection.calls;
    connection.bytes += bytes;
    bytes_ += bytes;
    streams_ += stream ? 1 : 0;
    ++calls_;
  }
  counters_->Change(Gauge::kInflight, 1);
  if (bytes != 0) counters_->Change(Gauge::kInflightBytes, bytes);
  if (stream) {
    counters_->Change(Gauge::kOpenStreams, 1);
    counters_->Add(Counter::kConnections);
  }
  Ticket ticket;
  ticket.admission_ = shared_from_this();
  ticket.peer_ = peer;
  ticket.bytes_ = bytes;
  ticket.stream_ = stream;
  return ticket;
}

void Admission::Release(const Ticket& ticket) {
  Waiters waiters;
  {
    MutexLock lock(&mu_);
    --connections_.at(ticket.peer_).calls;
    waiters = FreeBytes(ticket.peer_, ticket.bytes_);
    streams_ -= ticket.stream_ ? 1 : 0;
    --calls_;
  }
  counters_->Change(Gauge::kInflight, -1);
  if (ticket.bytes_ != 0) counters_->Change(Gauge::kInflightBytes, -ticket.bytes_);
  if (ticket.stream_) counters_->Change(Gauge::kOpenStreams, -1);
  Tell(waiters);
}

// One request always fits, or a limit below the message size would refuse it for ever.
absl::Status Admission::CheckBytes(const std::string& peer, int64_t bytes, const char* all,
                                   const char* of_connection) {
  if (bytes_ > 0 && bytes_ + bytes > options_.inflight_bytes_max) {
    return Overloaded(all, options_.inflight_bytes_max);
  }
  auto it = connections_.find(peer);
  const int64_t held = it == connections_.end() ? 0 : it->second.bytes;
  if (held > 0 && held + bytes > options_.connection_inflight_bytes_max) {
    return Overloaded(of_connection, options_.connection_inflight_bytes_max);
  }
  return absl::OkStatus();
}

StreamCredit Admission::Account(const std::string& peer, int64_t bytes) {
  MutexLock lock(&mu_);
  return TakeCredit(peer, bytes);
}

absl::StatusOr<StreamCredit> Admission::AdmitAnswer(const std::string& peer, int64_t bytes) {
  MutexLock lock(&mu_);
  CATAMARAN_RETURN_IF_ERROR(CheckBytes(peer, bytes, "bytes of answers that nobody takes",
                                       "bytes of answers that this connection doesn't take"));
  return TakeCredit(peer, bytes);
}

StreamCredit Admission::TakeCredit(const std::string& peer, int64_t bytes) {
  Connection& connection = connections_[peer];
  ++connection.credits;
  connection.bytes += bytes;
  bytes_ += bytes;
  counters_->Change(Gauge::kInflightBytes, bytes);
  return StreamCredit(this, [self = shared_from_this(), peer, bytes](const void*) {
    self->ReleaseCredit(peer, bytes);
  });
}

void Admission::ReleaseCredit(const std::string& peer, int64_t bytes) {
  Waiters waiters;
  {
    MutexLock lock(&mu_);
    --connections_.at(peer).credits;
    waiters = FreeBytes(peer, bytes);
  }
  counters_->Change(Gauge::kInflightBytes, -bytes);
  Tell(waiters);
}

bool Admission::HasRoom(const std::string& peer) const {
  if (bytes_ >= options_.inflight_bytes_max) return false;
  auto it = connections_.find(peer);
  return it == connections_.end() || it->second.bytes < options_.connection_inflight_bytes_max;
}

bool Admission::MayRead(const std::string& peer, const std::weak_ptr<RoomWaiter>& waiter) {
  MutexLock lock(&mu_);
  if (HasRoom(peer)) return true;
  waiters_.push_back(waiter);
  return false;
}

Admission::Waiters Admission::FreeBytes(const std::string& peer, int64_t bytes) {
  auto it = connections_.find(peer);
  const bool connection_was_full = it->second.bytes >= options_.connection_inflight_bytes_max;
  const bool was_full = bytes_ >= options_.inflight_bytes_max || connection_was_full;
  it->second.bytes -= bytes;
  bytes_ -= bytes;
  if (it->second.calls == 0 && it->second.credits == 0) connections_.erase(it);
  // Everybody is told, and those that still find no room wait again.
  if (was_full && HasRoom(peer)) return std::exchange(waiters_, {});
  return {};
}

void Admission::Tell(const Waiters& waiters) {
  for (const auto& weak : waiters) {
    if (auto waiter = weak.lock()) waiter->OnRoom();
  }
}

}  // namespace catamaran::broker
