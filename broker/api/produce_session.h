// ProduceSession: ordered, pipelined, idempotent produce for clients with nothing but stubs.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "broker/api/api_context.h"
#include "broker/api/encode.h"
#include "broker/api/producer_ids.h"
#include "broker/api/stream.h"
#include "catamaran/v1/producer_service.pb.h"

namespace catamaran::broker {

// Thread-safe. Invariants: answers leave in the order of the messages; a message is read only after
// the one before was handed to its replicas; `resume` in an answer is the state after exactly the
// messages answered so far. A message whose outcome is unknown is never answered: the stream ends
// with the error, and the client sends it again when it resumes, where its sequences tell a
// duplicate. A message of which something was refused for certain is answered and ends the session;
// what was refused takes no sequences.
class ProduceSessionHandler final : public StreamSession<v1::ProduceSessionRequest>,
                                    public std::enable_shared_from_this<ProduceSessionHandler> {
 public:
  using Writer = StreamWriter<v1::ProduceSessionResponse>;
  ProduceSessionHandler(const ApiContext* context, ProducerIds* ids, CallContext call,
                        std::shared_ptr<Writer> writer)
      : context_(context), ids_(ids), call_(std::move(call)), writer_(std::move(writer)) {}

  void OnMessage(v1::ProduceSessionRequest message) override;
  void OnReadsDone() override;
  void OnSent(size_t) override {}
  void OnClosed() override;

 private:
  struct Slot {
    int64_t message_id = 0;
    int64_t bytes = 0;
    bool answered = false;
    std::vector<PartitionRecords> parts;
    std::vector<v1::ProduceResponse::PartitionResult> results;
    std::vector<absl::Status> statuses;
    StreamCredit credit;  // of the message's bytes
  };

  absl::Status Open(const v1::ProduceSessionRequest::Open& open) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Resume(const v1::ProduceSessionResume& resume) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnProducerId(absl::StatusOr<ProducerId> id);
  void AnswerOpen() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnSend(v1::ProduceSessionRequest::Send send);
  absl::StatusOr<std::vector<PartitionRecords>> Accept(const v1::ProduceSessionRequest::Send& send)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnDispatched();
  void OnAnswer(Slot* slot, std::vector<v1::ProduceResponse::PartitionResult> results,
                std::vector<absl::Status> statuses);
  // The credits of what is answered go to `freed`, to be let go outside of the lock.
  void Flush(std::vector<StreamCredit>* freed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AnswerSlot(Slot* slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void MaybeRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Finish(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FillResume(v1::ProduceSessionResume* resume) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ApiContext* const context_;
  ProducerIds* const ids_;
  const CallContext call_;
  Mutex mu_;
  std::shared_ptr<Writer> writer_ ABSL_GUARDED_BY(mu_);  // null once closed
  bool opened_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool reads_done_ ABSL_GUARDED_BY(mu_) = false;
  bool wants_read_ ABSL_GUARDED_BY(mu_) = false;

  // Set by Open.
  CatalogTopicRef topic_ ABSL_GUARDED_BY(mu_);
  int acks_ ABSL_GUARDED_BY(mu_) = 0;
  int durability_ ABSL_GUARDED_BY(mu_) = 0;
  int32_t timeout_ms_ ABSL_GUARDED_BY(mu_) = 0;
  EncodeOptions encode_ ABSL_GUARDED_BY(mu_);
  int32_t partition_count_ ABSL_GUARDED_BY(mu_) = 0;

  int64_t next_message_id_ ABSL_GUARDED_BY(mu_) = 0;         // to be read
  std::map<int32_t, Sequence> sent_ ABSL_GUARDED_BY(mu_);    // next sequences, as handed out
  int64_t answered_id_ ABSL_GUARDED_BY(mu_) = 0;             // next one to be answered
  std::map<int32_t, Sequence> stored_ ABSL_GUARDED_BY(mu_);  // next sequences, as answered
  std::deque<std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mu_);
  int64_t unanswered_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace catamaran::broker
