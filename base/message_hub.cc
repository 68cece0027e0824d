#include "base/message_hub.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"

namespace catamaran {

// Everything but PostHere() happens on the side's executor.
class MessageHub::End : public std::enable_shared_from_this<MessageHub::End> {
 public:
  End(MessageHub& hub, Route out) : hub_(hub), out_(std::move(out)) {}

  void Join(const std::shared_ptr<End>& peer) { peer_ = peer; }

  // From here on tasks are posted; before that they're dropped.
  void Attach(Executor* executor) {
    MutexLock lock(&mu_);
    executor_ = executor;
  }
  void SetEvents(ConnectionEvents events) {
    if (!closed_) events_ = std::move(events);
  }

  // Any thread. Dropped once the side is closed, so that its executor may go then.
  void PostHere(Task task) {
    MutexLock lock(&mu_);
    if (executor_ != nullptr) executor_->Post(std::move(task));
  }

  absl::Status Send(Buffer message) {
    if (closed_) {
      return MakeError(Reason::kShuttingDown,
                       absl::StrCat("The connection to ", out_.to, " is closed; make a new one."));
    }
    size_t limit = hub_.send_bytes_max_;
    if (message.size() > limit) {
      return MakeError(Reason::kRequestTooLarge,
                       absl::StrCat("A message of ", message.size(), " bytes exceeds the ", limit,
                                    " that a connection takes; split it."));
    }
    if (in_flight_ + message.size() > limit) {
      refused_ = true;
      return MakeError(Reason::kOverloaded,
                       absl::StrCat("The connection to ", out_.to, " has ", in_flight_,
                                    " bytes in flight; send again when it is writable."));
    }
    in_flight_ += message.size();
    CarryToPeer(
        [message = std::move(message)](End& peer) mutable { peer.Receive(std::move(message)); });
    return absl::OkStatus();
  }

  // The owner closes: no event from here on, and the peer is told.
  void Close() {
    if (closed_) return;
    CarryToPeer([](End& peer) { peer.BreakHere("the other side closed the connection"); });
    Finish();
  }

  // The connection is gone: tells the owner, whose last event this is.
  void BreakHere(const std::string& why) {
    if (closed_) return;
    auto on_closed = std::move(events_.on_closed);
    std::string to = out_.to;
    Finish();
    if (on_closed) on_closed(absl::UnavailableError(absl::StrCat("Connection to ", to, ": ", why)));
  }

  const std::string& peer_name() const { return out_.to; }

 private:
  void Receive(Buffer message) {
    if (closed_) return;
    size_t size = message.size();
    if (events_.on_message) {
      // Kept alive here: the handler may destroy the connection.
      in_event_ = true;
      events_.on_message(std::move(message));
      in_event_ = false;
    }
    if (closed_) {
      events_ = ConnectionEvents();
      return;
    }
    CarryToPeer([size](End& peer) { peer.TakeCredit(size); });
  }

  void TakeCredit(size_t size) {
    if (closed_) return;
    CATAMARAN_CHECK(in_flight_ >= size, "more was taken than sent");
    in_flight_ -= size;
    if (!refused_ || in_flight_ > hub_.send_bytes_max_ / 2) return;
    refused_ = false;
    if (!events_.on_writable) return;
    in_event_ = true;
    events_.on_writable();
    in_event_ = false;
    if (closed_) events_ = ConnectionEvents();
  }

  void Finish() {
    closed_ = true;
    peer_.reset();
    if (!in_event_) events_ = ConnectionEvents();
    MutexLock lock(&mu_);
    executor_ = nullptr;
  }

  template <class Action>
  void CarryToPeer(Action action) {
    hub_.Carry(out_, [peer = peer_, action = std::move(action)]() mutable {
      // `peer` stays here too: a stopped executor destroys the task within Post, under its lock.
      peer->PostHere([peer, action = std::move(action)]() mutable { action(*peer); });
    });
  }

  MessageHub& hub_;
  const Route out_;
  std::shared_ptr<End> peer_;  // until closed: the two hold each other
  ConnectionEvents events_;
  size_t in_flight_ = 0;  // Invariant: in_flight_ <= send_bytes_max_
  bool refused_ = false;  // a Send was, and on_writable hasn't run since
  bool closed_ = false;
  bool in_event_ = false;

  Mutex mu_;
  Executor* executor_ ABSL_GUARDED_BY(mu_) = nullptr;
};

class MessageHub::EndConnection : public Connection {
 public:
  explicit EndConnection(std::shared_ptr<End> end) : end_(std::move(end)) {}
  ~EndConnection() override { end_->Close(); }
  absl::Status Send(Buffer message) override { return end_->Send(std::move(message)); }
  void Close() override { end_->Close(); }

 private:
  const std::shared_ptr<End> end_;
};

// Shared with the tasks that accept; used on the listener's executor.
struct MessageHub::Acceptance {
  bool open = true;
  Acceptor acceptor;
  // Attached to the executor, but the task that accepts hasn't run. Guarded by the hub's mu_.
  std::vector<std::shared_ptr<End>> pending;
};

class MessageHub::HubListener : public Listener {
 public:
  HubListener(MessageHub& hub, std::string endpoint, std::shared_ptr<Acceptance> acceptance)
      : hub_(hub), endpoint_(std::move(endpoint)), acceptance_(std::move(acceptance)) {}
  ~HubListener() override {
    acceptance_->open = false;
    std::vector<std::shared_ptr<End>> pending;
    {
      MutexLock lock(&hub_.mu_);
      hub_.listening_.erase(endpoint_);
      pending.swap(acceptance_->pending);
    }
    // Their executor may go now, and nobody else would detach them from it.
    for (const std::shared_ptr<End>& end : pending) end->Close();
  }

 private:
  MessageHub& hub_;
  const std::string endpoint_;
  const std::shared_ptr<Acceptance> acceptance_;
};

absl::StatusOr<std::unique_ptr<Listener>> MessageHub::Listen(const std::string& endpoint,
                                                             Executor* executor,
                                                             Acceptor acceptor) {
  MutexLock lock(&mu_);
  if (listening_.contains(endpoint)) {
    return absl::AlreadyExistsError(absl::StrCat("somebody listens at ", endpoint, " already"));
  }
  auto acceptance = std::make_shared<Acceptance>(Acceptance{true, std::move(acceptor)});
  listening_[endpoint] = {executor, acceptance};
  return std::make_unique<HubListener>(*this, endpoint, std::move(acceptance));
}

std::unique_ptr<Connection> MessageHub::Connect(const std::string& from,
                                                const std::string& endpoint, Executor* executor,
                                                ConnectionEvents events) {
  Route out{0, true, from, endpoint};
  {
    MutexLock lock(&mu_);
    out.connection = ++last_connection_;
  }
  Route in{out.connection, false, endpoint, from};
  auto connecting = std::make_shared<End>(*this, out);
  auto accepting = std::make_shared<End>(*this, in);
  connecting->Join(accepting);
  accepting->Join(connecting);
  connecting->Attach(executor);
  connecting->SetEvents(std::move(events));
  OnConnect(out, connecting, accepting);
  // The first thing on the route, so that the acceptor runs before the first message arrives.
  Carry(out, [this, endpoint, connecting, accepting] {
    MutexLock lock(&mu_);
    auto it = listening_.find(endpoint);
    if (it == listening_.end()) {
      Break(connecting, "nobody listens there");
      return;
    }
    accepting->Attach(it->second.executor);
    it->second.acceptance->pending.push_back(accepting);
    accepting->PostHere([this, acceptance = it->second.acceptance, accepting] {
      if (!acceptance->open) return;  // the listener went while this task waited
      {
        MutexLock pending_lock(&mu_);
        std::erase(acceptance->pending, accepting);
      }
      accepting->SetEvents(acceptance->acceptor(std::make_unique<EndConnection>(accepting)));
    });
  });
  return std::make_unique<EndConnection>(std::move(connecting));
}

void MessageHub::Break(const std::shared_ptr<End>& end, std::string why) {
  end->PostHere([end, why = std::move(why)] { end->BreakHere(why); });
}

}  // namespace catamaran
