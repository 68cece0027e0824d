// What all calls together may hold: bytes of requests, calls, streams and connections.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "broker/api/stream.h"
#include "broker/metrics.h"
#include "broker/rpc/server.h"

namespace catamaran::broker {

// Thread-safe. Shared by every call that it admitted.
class Admission : public std::enable_shared_from_this<Admission> {
 public:
  Admission(const RpcOptions& options, Counters* counters)
      : options_(options), counters_(counters) {}

  // What a call holds until it is destroyed.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept { *this = std::move(other); }
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(admission_, other.admission_);
      std::swap(peer_, other.peer_);
      std::swap(bytes_, other.bytes_);
      std::swap(stream_, other.stream_);
      return *this;
    }
    ~Ticket() {
      if (admission_ != nullptr) admission_->Release(*this);
    }

   private:
    friend class Admission;
    std::shared_ptr<Admission> admission_;
    std::string peer_;
    int64_t bytes_ = 0;
    bool stream_ = false;
  };

  // kRequestTooLarge, or kOverloaded when a limit is reached.
  absl::StatusOr<Ticket> AdmitCall(const std::string& peer, int64_t bytes);
  absl::StatusOr<Ticket> AdmitStream(const std::string& peer);

  // A stream's message of `bytes` is in work until the credit goes. Never refuses: the bytes are
  // here already.
  StreamCredit Account(const std::string& peer, int64_t bytes);
  // The same for an answer that is about to be sent, or kOverloaded when the connection, or all
  // together, hold too much that isn't sent: a client that asks and never reads. One answer always
  // fits.
  absl::StatusOr<StreamCredit> AdmitAnswer(const std::string& peer, int64_t bytes);

  // Told when there may be room again, outside of every lock of ours.
  class RoomWaiter {
   public:
    virtual ~RoomWaiter() = default;
    virtual void OnRoom() = 0;
  };
  // Whether a stream of `peer` may be read from: the bytes in work are below their limits. If not,
  // `waiter` is told once, when they may be.
  bool MayRead(const std::string& peer, const std::weak_ptr<RoomWaiter>& waiter);

  int64_t calls() const { return calls_.load(std::memory_order_relaxed); }

 private:
  struct Connection {
    int64_t calls = 0;  // streams too
    int64_t bytes = 0;
    int64_t credits = 0;
  };
  absl::StatusOr<Ticket> Admit(const std::string& peer, int64_t bytes, bool stream);
  absl::Status CheckBytes(const std::string& peer, int64_t bytes, const char* all,
                          const char* of_connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  StreamCredit TakeCredit(const std::string& peer, int64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Release(const Ticket& ticket);
  void ReleaseCredit(const std::string& peer, int64_t bytes);
  using Waiters = std::vector<std::weak_ptr<RoomWaiter>>;
  bool HasRoom(const std::string& peer) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes away `bytes` and the connection's row when it was the last; whom to tell afterwards.
  Waiters FreeBytes(const std::string& peer, int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void Tell(const Waiters& waiters);
  absl::Status Overloaded(const char* what, int64_t limit);

  const RpcOptions options_;
  Counters* const counters_;
  std::atomic<int64_t> calls_{0};  // streams too
  Mutex mu_;
  std::map<std::string, Connection> connections_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t streams_ ABSL_GUARDED_BY(mu_) = 0;
  Waiters waiters_ ABSL_GUARDED_BY(mu_);
};

}  // namespace catamaran::broker
