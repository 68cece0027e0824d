// One side of a connection between peers: the queues between its owner's executor and a gRPC call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "base/transport.h"
#include "broker/rpc/peer_part.h"
#include "broker/rpc/peer_poller.h"
#include "grpcpp/support/byte_buffer.h"

namespace catamaran::broker {

struct PeerLinkLimits {
  size_t send_bytes_max = 0;     // in flight
  size_t message_bytes_max = 0;  // one message; at most send_bytes_max
  size_t receive_bytes_max = 0;  // read and not yet taken by the owner; then reading pauses
  Duration close_linger{0};      // what was sent before Close has so long to go out
};

// The gRPC call under a link, of either side. Its operations don't block and end on a poller.
class PeerCall {
 public:
  virtual ~PeerCall() = default;
  virtual void Start(PeerOperation* done) = 0;  // the connecting side's first operation
  virtual void Read(grpc::ByteBuffer* bytes, PeerOperation* done) = 0;
  virtual void Write(const grpc::ByteBuffer& bytes, bool more_follows, PeerOperation* done) = 0;
  // Once, when no other operation is outstanding: ends the call (accepting side) or waits for its
  // end (connecting side).
  virtual void Finish(const std::string& refusal, PeerOperation* done) = 0;
  virtual void Cancel() = 0;  // any thread; what is outstanding fails soon
  virtual bool accepting() const = 0;
  virtual std::string WhyBroken() const = 0;  // after Finish
};

// The owner's calls come from the executor of its events; everything else from any thread. At most
// one read and one write are outstanding, and each holds a reference to the link; Finish is the
// last operation of all. No lock is held while a part is written, so a slow write of one side
// delays neither the other's events nor Send.
class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  // `on_ended` runs once, on a poller, when the call has ended and nothing of the link is left.
  PeerLink(PeerLinkLimits limits, std::string peer, std::unique_ptr<PeerCall> call,
           std::function<void(const std::shared_ptr<PeerLink>&)> on_ended);

  // From here on events are posted; before Open().
  void Attach(Executor* executor);
  void SetEvents(ConnectionEvents events);

  // As in base/transport.h. The owner closes exactly once or more often; no event afterwards.
  absl::Status Send(Buffer message);
  void Close();

  void Start();                         // the connecting side: makes the connection, then opens
  void Open();                          // the call stands: reads begin, what waits goes out
  void Refuse(std::string refusal);     // instead of Open: the call ends with this answer
  void CancelIfDue(MonotonicTime now);  // the poller's tick: ends what lingers too long
  void LingerAtMost(MonotonicTime deadline);

 private:
  // An outstanding operation holds the link.
  class Operation : public PeerOperation {
   public:
    explicit Operation(void (PeerLink::*handler)(bool)) : handler_(handler) {}
    PeerOperation* Begin(std::shared_ptr<PeerLink> link) {
      link_ = std::move(link);
      return this;
    }
    void Done(bool ok) override {
      const std::shared_ptr<PeerLink> link = std::move(link_);
      ((*link).*handler_)(ok);
    }

   private:
    void (PeerLink::*const handler_)(bool);
    std::shared_ptr<PeerLink> link_;
  };

  void OnStarted(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  // What arrived; an error breaks the connection.
  absl::Status Receive(PeerPart part);
  absl::Status ReceiveCredit(const CreditPart& credit) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  void MaybeWrite();
  void MaybeRead();
  void MaybeFinish();
  // Over, for this reason unless it has one already; the accepting side tells the peer `refusal`.
  void End(std::string why, std::string refusal);
  std::optional<PeerPart> TakeNextPart() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Schedule() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Stuck() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // On the executor.
  void Deliver();
  // Its size; nullopt when there is none, or the owner closed.
  std::optional<size_t> DeliverMessage();
  void DeliverRest();
  template <class Event>
  void RunEvent(const Event& event);

  const PeerLinkLimits limits_;
  const std::string peer_;  // for errors
  const std::function<void(const std::shared_ptr<PeerLink>&)> on_ended_;
  Operation start_{&PeerLink::OnStarted};
  Operation read_{&PeerLink::OnRead};
  Operation write_{&PeerLink::OnWritten};
  Operation finish_{&PeerLink::OnFinished};
  grpc::ByteBuffer read_bytes_;  // the outstanding read's

  // The executor's.
  ConnectionEvents events_;
  bool closed_ = false;  // Close, or on_closed ran
  bool in_event_ = false;

  Mutex mu_;
  // Reset when the call has ended; used outside of the lock only by who started an operation.
  std::unique_ptr<PeerCall> call_ ABSL_GUARDED_BY(mu_);
  Executor* executor_ ABSL_GUARDED_BY(mu_) = nullptr;  // null once the owner closed
  bool open_ ABSL_GUARDED_BY(mu_) = false;             // started, with success or not
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool has_written_ ABSL_GUARDED_BY(mu_) = false;
  bool write_failed_ ABSL_GUARDED_BY(mu_) = false;  // what arrived before is still read
  bool over_ ABSL_GUARDED_BY(mu_) = false;          // no read and no write begins any more
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;     // Invariant: over_, and none is outstanding
  bool delivery_posted_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<std::string> broken_ ABSL_GUARDED_BY(mu_);  // on_closed is due after incoming_
  std::string refusal_ ABSL_GUARDED_BY(mu_);

  // Outgoing. Invariant: what is in flight is at most the limits.
  std::deque<Buffer> outgoing_ ABSL_GUARDED_BY(mu_);
  size_t sent_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // in flight: sent and without credit yet
  size_t sent_messages_ ABSL_GUARDED_BY(mu_) = 0;
  bool refused_ ABSL_GUARDED_BY(mu_) = false;  // a Send was, and on_writable isn't due yet
  bool writable_due_ ABSL_GUARDED_BY(mu_) = false;
  bool request_credit_ ABSL_GUARDED_BY(mu_) = false;  // a CreditRequestPart is to be sent
  bool closing_ ABSL_GUARDED_BY(mu_) = false;         // an EndPart follows the queue
  bool end_sent_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicTime linger_until_ ABSL_GUARDED_BY(mu_) = kNever;  // set by the end of either side

  // Incoming.
  std::deque<Buffer> incoming_ ABSL_GUARDED_BY(mu_);
  size_t incoming_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  CreditPart taken_ ABSL_GUARDED_BY(mu_);  // and not yet told to the peer
  bool credit_requested_ ABSL_GUARDED_BY(mu_) = false;
  bool give_credit_ ABSL_GUARDED_BY(mu_) = false;  // taken_ is to be sent
};

// The owner's handle.
class PeerConnection final : public Connection {
 public:
  explicit PeerConnection(std::shared_ptr<PeerLink> link) : link_(std::move(link)) {}
  ~PeerConnection() override { link_->Close(); }
  absl::Status Send(Buffer message) override { return link_->Send(std::move(message)); }
  void Close() override { link_->Close(); }

 private:
  const std::shared_ptr<PeerLink> link_;
};

}  // namespace catamaran::broker
