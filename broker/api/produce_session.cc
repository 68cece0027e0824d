#include "broker/api/produce_session.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::broker {
namespace {

// No session gets so far; a resume from there would overflow.
constexpr int64_t kMessageIdMax = std::numeric_limits<int64_t>::max() / 2;

}  // namespace

void ProduceSessionHandler::OnMessage(v1::ProduceSessionRequest message) {
  using Kind = v1::ProduceSessionRequest;
  bool allocate = false;
  {
    MutexLock lock(&mu_);
    if (writer_ == nullptr || finished_) return;
    if (!opened_ && message.kind_case() == Kind::kOpen) {
      opened_ = true;
      absl::Status status = Open(message.open());
      if (!status.ok()) {
        Finish(status);
        return;
      }
      allocate = !message.open().has_resume();
      if (!allocate) {
        AnswerOpen();
        return;
      }
    } else if (!opened_ || message.kind_case() != Kind::kSend) {
      Finish(MakeError(Reason::kInvalidArgument,
                       "The first message of a session must be `open`, and every later one `send`.",
                       {{"field", "kind"}}));
      return;
    }
  }
  if (allocate) {
    ids_->Next([self = shared_from_this()](absl::StatusOr<ProducerId> id) {
      self->OnProducerId(std::move(id));
    });
    return;
  }
  OnSend(std::move(*message.mutable_send()));
}

absl::Status ProduceSessionHandler::Open(const v1::ProduceSessionRequest::Open& open) {
  CATAMARAN_ASSIGN_OR_RETURN(topic_, context_->catalog->FindByName(open.topic()));
  partition_count_ = static_cast<int32_t>(topic_->topic->partitions.size());
  CATAMARAN_RETURN_IF_ERROR(MakeAckPolicy(call_, context_->clock->Now(), open.acks(),
                                          open.durability(), open.timeout_ms())
                                .status());
  if (open.acks() == v1::ACKS_NONE) {
    return MakeError(Reason::kInvalidArgument,
                     "A session answers every message: use ACKS_LEADER or ACKS_ALL, or Produce.",
                     {{"field", "open.acks"}});
  }
  CATAMARAN_ASSIGN_OR_RETURN(encode_.codec, ToCodec(open.compression()));
  acks_ = open.acks();
  durability_ = open.durability();
  timeout_ms_ = open.timeout_ms();
  return open.has_resume() ? Resume(open.resume()) : absl::OkStatus();
}

absl::Status ProduceSessionHandler::Resume(const v1::ProduceSessionResume& resume) {
  if (resume.topic_id() != topic_->topic->id.uuid.ToBytes() ||
      resume.partition_count() != partition_count_) {
    return MakeError(
        Reason::kVersionMismatch,
        absl::StrCat("Topic '", topic_->topic->name, "' has ", partition_count_,
                     " partitions and the id ", topic_->topic->id.uuid.ToString(),
                     " now: the session can't be resumed. Open a new one; whether the "
                     "messages that weren't answered are stored isn't known."),
        {{"topic", topic_->topic->name}, {"partition_count", absl::StrCat(partition_count_)}});
  }
  const v1::ProducerIdentity& producer = resume.producer();
  bool valid = producer.producer_id() >= 0 && producer.producer_epoch() >= 0 &&
               producer.producer_epoch() <= std::numeric_limits<int16_t>::max() &&
               resume.next_message_id() >= 0 && resume.next_message_id() <= kMessageIdMax;
  for (const auto& next : resume.next_sequences()) {
    valid = valid && next.partition() >= 0 && next.partition() < partition_count_ &&
            next.next_sequence() >= 0;
    sent_[next.partition()] = Sequence(next.next_sequence());
  }
  if (!valid) {
    return MakeError(
        Reason::kInvalidArgument,
        "`open.resume` isn't what an answer of a session held: give it back unchanged.",
        {{"field", "open.resume"}});
  }
  encode_.producer_id = ProducerId(producer.producer_id());
  encode_.producer_epoch = ProducerEpoch(static_cast<int16_t>(producer.producer_epoch()));
  next_message_id_ = answered_id_ = resume.next_message_id();
  stored_ = sent_;
  return absl::OkStatus();
}

void ProduceSessionHandler::OnProducerId(absl::StatusOr<ProducerId> id) {
  MutexLock lock(&mu_);
  if (writer_ == nullptr || finished_) return;
  if (!id.ok()) {
    Finish(id.status());
    return;
  }
  encode_.producer_id = *id;
  encode_.producer_epoch = ProducerEpoch(0);
  AnswerOpen();
}

void ProduceSessionHandler::AnswerOpen() {
  v1::ProduceSessionResponse response;
  response.set_message_id(-1);
  response.set_window_bytes(context_->limits.stream_window_bytes);
  FillResume(response.mutable_resume());
  writer_->Send(std::move(response), 0);
  if (reads_done_) {
    Finish(absl::OkStatus());
    return;
  }
  wants_read_ = true;
  MaybeRead();
}

void ProduceSessionHandler::FillResume(v1::ProduceSessionResume* resume) const {
  resume->mutable_producer()->set_producer_id(encode_.producer_id.value());
  resume->mutable_producer()->set_producer_epoch(encode_.producer_epoch.value());
  resume->set_topic_id(topic_->topic->id.uuid.ToBytes());
  resume->set_partition_count(partition_count_);
  resume->set_next_message_id(answered_id_);
  for (const auto& [partition, sequence] : stored_) {
    auto* next = resume->add_next_sequences();
    next->set_partition(partition);
    next->set_next_sequence(sequence.value());
  }
}

absl::StatusOr<std::vector<PartitionRecords>> ProduceSessionHandler::Accept(
    const v1::ProduceSessionRequest::Send& send) {
  if (send.message_id() != next_message_id_) {
    return MakeError(Reason::kInvalidArgument,
                     absl::StrCat("Message ", next_message_id_, " is expected next, not ",
                                  send.message_id(), ": number them without gaps."),
                     {{"field", "send.message_id"}, {"expected", absl::StrCat(next_message_id_)}});
  }
  // The partition count may have grown: the session goes on with the one that it began with.
  std::optional<PartitionIndex> partition;
  if (send.has_partition()) {
    partition = PartitionIndex(send.partition());
    CATAMARAN_RETURN_IF_ERROR(context_->catalog->CheckLeader(*topic_, *partition));
  }
  PartitionIndex keyless(static_cast<int32_t>(send.message_id() % partition_count_));
  return Partition(send.records(), partition, keyless, partition_count_);
}

void ProduceSessionHandler::OnSend(v1::ProduceSessionRequest::Send send) {
  auto owned = std::make_unique<Slot>();
  Slot* slot = owned.get();
  std::vector<Sequence> sequences;
  CatalogTopicRef topic;
  EncodeOptions options;
  AckPolicy policy;
  std::vector<StreamCredit> freed;  // before the lock, so that it goes after it
  {
    MutexLock lock(&mu_);
    absl::StatusOr<std::vector<PartitionRecords>> parts = Accept(send);
    if (!parts.ok()) {
      // What came before keeps its answers.
      slot->answered = true;
      slot->statuses = {parts.status()};
      slots_.push_back(std::move(owned));
      Flush(&freed);
      return;
    }
    slot->message_id = next_message_id_++;
    slot->bytes = RecordBytes(send.records());
    slot->parts = *std::move(parts);
    for (const PartitionRecords& part : slot->parts) {
      Sequence& next = sent_.try_emplace(part.partition.value(), Sequence(0)).first->second;
      sequences.push_back(next);
      next = AddSequence(next, static_cast<int32_t>(part.indexes.size()));
    }
    unanswered_bytes_ += slot->bytes;
    if (writer_ != nullptr) slot->credit = writer_->Account(slot->bytes);
    topic = topic_;
    options = encode_;
    // Checked when the session was opened.
    policy = MakeAckPolicy({}, context_->clock->Now(), acks_, durability_, timeout_ms_).value();
    slots_.push_back(std::move(owned));
  }
  auto work = [self = shared_from_this(), slot, topic, options, policy, send = std::move(send),
               sequences = std::move(sequences), parts = slot->parts]() {
    EncodeAndDispatch(*self->context_, *topic, send.records(), parts, policy, options, sequences,
                      [self, slot](std::vector<v1::ProduceResponse::PartitionResult> results,
                                   std::vector<absl::Status> statuses) {
                        self->OnAnswer(slot, std::move(results), std::move(statuses));
                      });
    self->OnDispatched();
  };
  if (options.codec == Codec::kNone) {
    work();
  } else {
    context_->RunOnPool(std::move(work));
  }
}

void ProduceSessionHandler::OnDispatched() {
  MutexLock lock(&mu_);
  wants_read_ = true;
  MaybeRead();
}

void ProduceSessionHandler::OnAnswer(Slot* slot,
                                     std::vector<v1::ProduceResponse::PartitionResult> results,
                                     std::vector<absl::Status> statuses) {
  std::vector<StreamCredit> freed;
  MutexLock lock(&mu_);
  slot->answered = true;
  slot->results = std::move(results);
  slot->statuses = std::move(statuses);
  Flush(&freed);
  MaybeRead();
}

void ProduceSessionHandler::Flush(std::vector<StreamCredit>* freed) {
  while (!slots_.empty() && slots_.front()->answered) {
    std::unique_ptr<Slot> slot = std::move(slots_.front());
    slots_.pop_front();
    unanswered_bytes_ -= slot->bytes;
    freed->push_back(std::move(slot->credit));
    if (writer_ != nullptr && !finished_) AnswerSlot(slot.get());
  }
  if (reads_done_ && slots_.empty()) Finish(absl::OkStatus());
}

void ProduceSessionHandler::AnswerSlot(Slot* slot) {
  bool refused = false;
  for (const absl::Status& status : slot->statuses) {
    if (status.ok()) continue;
    if (slot->parts.empty() || OutcomeOf(status) == Outcome::kUnknown) {
      Finish(status);
      return;
    }
    refused = true;
  }
  answered_id_ = slot->message_id + 1;
  for (size_t i = 0; i < slot->parts.size(); ++i) {
    if (!slot->statuses[i].ok()) continue;
    const PartitionRecords& part = slot->parts[i];
    Sequence& next = stored_.try_emplace(part.partition.value(), Sequence(0)).first->second;
    next = AddSequence(next, static_cast<int32_t>(part.indexes.size()));
  }
  v1::ProduceSessionResponse response;
  response.set_message_id(slot->message_id);
  for (auto& result : slot->results) *response.add_results() = std::move(result);
  FillResume(response.mutable_resume());
  writer_->Send(std::move(response), 0);
  if (refused) Finish(absl::OkStatus());
}

void ProduceSessionHandler::MaybeRead() {
  if (!wants_read_ || reads_done_ || finished_ || writer_ == nullptr) return;
  if (unanswered_bytes_ >= context_->limits.stream_window_bytes) return;
  if (slots_.size() >= kStreamRequestsMax) return;
  wants_read_ = false;
  writer_->ReadMore();
}

void ProduceSessionHandler::Finish(const absl::Status& status) {
  if (finished_ || writer_ == nullptr) return;
  finished_ = true;
  writer_->Finish(status);
}

void ProduceSessionHandler::OnReadsDone() {
  std::vector<StreamCredit> freed;
  MutexLock lock(&mu_);
  reads_done_ = true;
  // An `open` that still waits for its id is answered first.
  if (!opened_ || encode_.producer_id != kNoProducerId) Flush(&freed);
}

void ProduceSessionHandler::OnClosed() {
  MutexLock lock(&mu_);
  writer_ = nullptr;
}

}  // namespace catamaran::broker
