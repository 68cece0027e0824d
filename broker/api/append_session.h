// AppendStream: pipelined appends, answered in order.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "broker/api/api_context.h"
#include "broker/api/stream.h"
#include "catamaran/v1/batch_service.pb.h"

namespace catamaran::broker {

// Thread-safe. Invariants: answers leave in the order of the requests; the next request is read
// only while fewer than the window's bytes (and kStreamRequestsMax requests) are unanswered, and
// after the one before was handed to its replicas, so that a partition gets batches in the order
// sent.
class AppendSession final : public StreamSession<v1::AppendStreamRequest>,
                            public std::enable_shared_from_this<AppendSession> {
 public:
  using Writer = StreamWriter<v1::AppendStreamResponse>;
  AppendSession(const ApiContext* context, CallContext call, std::shared_ptr<Writer> writer);

  // Sends the first grant of credits. Once, before any message.
  void Start();
  void OnMessage(v1::AppendStreamRequest message) override;
  void OnReadsDone() override;
  void OnSent(size_t bytes) override;
  void OnClosed() override;

 private:
  // A request in its place in the order; `response` is set when it has its answer.
  struct Slot {
    int64_t correlation_id = 0;
    int64_t bytes = 0;
    bool answered = false;
    v1::AppendStreamResponse response;
    absl::Status status;  // not OK: ends the stream after the answers before
    StreamCredit credit;  // of the request's bytes
  };

  void OnDispatched();
  void OnAnswer(Slot* slot, absl::StatusOr<v1::AppendBatchesResponse> response);
  // The credits of what is answered go to `freed`, to be let go outside of the lock.
  void Flush(std::vector<StreamCredit>* freed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MaybeRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ApiContext* const context_;
  const CallContext call_;
  Mutex mu_;
  std::shared_ptr<Writer> writer_ ABSL_GUARDED_BY(mu_);  // null once closed
  std::deque<std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mu_);
  int64_t unanswered_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool wants_read_ ABSL_GUARDED_BY(mu_) = false;  // dispatched, but not asked for the next yet
  bool reads_done_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace catamaran::broker
