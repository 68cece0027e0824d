#include "broker/api/fetch_session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "broker/api/api_error.h"
#include "broker/api/batch_api.h"
#include "broker/api/fetch.h"

namespace catamaran::broker {
namespace {

// Messages without data (errors, "caught up") cost this much of the buffer, so that they are
// bounded too.
constexpr size_t kMessageOverheadBytes = 256;

// This stream's part of what all may buffer together; counts the stream.
int64_t OpenBuffer(const ApiContext& context) {
  const int64_t streams = context.fetch_streams->fetch_add(1, std::memory_order_relaxed) + 1;
  return std::clamp(context.limits.fetch_buffers_bytes / streams, kFetchStreamBufferBytesMin,
                    std::max(kFetchStreamBufferBytesMin, context.limits.fetch_stream_buffer_bytes));
}

}  // namespace

FetchSession::FetchSession(const ApiContext* context, std::shared_ptr<Writer> writer)
    : context_(context),
      buffer_bytes_(OpenBuffer(*context)),
      budget_(std::make_shared<ReadBudget>(buffer_bytes_)),
      writer_(std::move(writer)) {}

FetchSession::~FetchSession() { context_->fetch_streams->fetch_sub(1, std::memory_order_relaxed); }

void FetchSession::OnMessage(v1::FetchStreamRequest message) {
  MutexLock lock(&mu_);
  if (writer_ == nullptr || finished_) return;
  if (absl::Status status = Apply(message); !status.ok()) {
    FinishWith(status);
    return;
  }
  Pump();
  writer_->ReadMore();
}

absl::Status FetchSession::Apply(const v1::FetchStreamRequest& message) {
  if (!std::exchange(started_, true)) {
    CATAMARAN_ASSIGN_OR_RETURN(read_committed_, IsReadCommitted(message.isolation_level()));
  }
  if (message.add_credit_bytes() < 0 || message.add_credit_bytes() > kFetchStreamCreditMax ||
      credit_ + message.add_credit_bytes() > kFetchStreamCreditMax) {
    return MakeError(
        Reason::kInvalidArgument,
        absl::StrCat("`add_credit_bytes` of ", message.add_credit_bytes(), " upon ", credit_,
                     " is out of range: at most ", kFetchStreamCreditMax, " may be outstanding."),
        {{"field", "add_credit_bytes"}, {"limit", absl::StrCat(kFetchStreamCreditMax)}});
  }
  credit_ += message.add_credit_bytes();
  for (const v1::PartitionRef& removal : message.removals()) {
    Remove({removal.topic_id(), removal.partition()});
  }
  for (const v1::FetchStreamPosition& position : message.positions()) {
    if (partitions_.size() >= kFetchStreamPartitionsMax) {
      return MakeError(Reason::kLimitExceeded,
                       absl::StrCat("A fetch stream reads at most ", kFetchStreamPartitionsMax,
                                    " partitions: open another one."),
                       {{"limit", absl::StrCat(kFetchStreamPartitionsMax)}});
    }
    SetPosition(position);
  }
  return absl::OkStatus();
}

void FetchSession::SetPosition(const v1::FetchStreamPosition& position) {
  Key key{position.partition().topic_id(), position.partition().partition()};
  Remove(key);
  absl::StatusOr<ResolvedPartition> target = Resolve(*context_->catalog, position.partition());
  if (!target.ok()) {
    ReadOutcome nothing;
    nothing.data.next_offset = Offset(position.offset());
    SendError(key, position.generation(), target.status(), nothing);
    return;
  }
  Partition partition;
  partition.serial = next_serial_++;
  partition.generation = position.generation();
  partition.target = *std::move(target);
  partition.next = Offset(position.offset());
  partition.token = context_->replicas->NextReadToken();
  partitions_[key] = std::move(partition);
  ready_.insert(key);
}

void FetchSession::Remove(const Key& key) {
  auto it = partitions_.find(key);
  if (it == partitions_.end()) return;
  Partition& partition = it->second;
  if (partition.reading) {
    context_->replicas->CancelReads(*partition.target.topic, partition.target.partition,
                                    partition.token);
  }
  ready_.erase(key);
  partitions_.erase(it);
}

void FetchSession::Pump() {
  while (!ready_.empty() && credit_ > 0 && !finished_ && writer_ != nullptr &&
         buffered_ < buffer_bytes_) {
    auto it = ready_.upper_bound(last_served_);
    if (it == ready_.end()) it = ready_.begin();
    Key key = *it;
    ready_.erase(it);
    last_served_ = key;
    Read(key, &partitions_.at(key));
  }
}

void FetchSession::Read(const Key& key, Partition* partition) {
  partition->reading = true;
  ReadCommand command;
  command.offset = partition->next;
  command.bytes_max =
      static_cast<size_t>(std::clamp<int64_t>(credit_, 1, kFetchPartitionBytesDefault));
  command.read_committed = read_committed_;
  command.expected_epoch = partition->target.expected_epoch;
  // The reader is told once that it has caught up; only then does a read wait.
  command.deadline = partition->at_end ? kNever : MonotonicTime{};
  command.token = partition->token;
  command.budget = budget_;
  command.reply = [self = shared_from_this(), key, serial = partition->serial](
                      absl::Status status, ReadOutcome outcome) {
    self->OnRead(key, serial, std::move(status), std::move(outcome));
  };
  context_->replicas->Read(*partition->target.topic, partition->target.partition,
                           std::move(command));
}

void FetchSession::OnRead(const Key& key, uint64_t serial, absl::Status status,
                          ReadOutcome outcome) {
  CountFetch(*context_->counters, status, outcome.data.bytes);
  const int64_t bytes = static_cast<int64_t>(outcome.data.bytes);
  MutexLock lock(&mu_);
  auto it = partitions_.find(key);
  bool current =
      it != partitions_.end() && it->second.serial == serial && !finished_ && writer_ != nullptr;
  if (!current) {  // a seek, a removal or the end came between
    budget_->GiveBack(bytes);
    Pump();
    return;
  }
  Partition& partition = it->second;
  partition.reading = false;
  if (!status.ok()) {
    budget_->GiveBack(bytes);
    int64_t generation = partition.generation;
    partitions_.erase(it);
    SendError(key, generation, status, outcome);
    Pump();
    return;
  }
  const Offset limit = read_committed_ ? outcome.view.last_stable : outcome.view.high_watermark;
  const bool at_end = outcome.data.next_offset >= limit;
  ready_.insert(key);
  if (bytes == 0 && (partition.at_end || !at_end)) {
    // Cancelled, or the buffer was full: whoever holds its budget pumps when it gives it back.
    if (at_end) Pump();
    return;
  }
  if (bytes > 0 && credit_ <= 0) {  // others used the credits up meanwhile
    budget_->GiveBack(bytes);
    partition.at_end = false;
    return;
  }
  v1::FetchStreamResponse response;
  v1::PartitionData* data = response.mutable_data();
  data->set_topic_id(key.first);
  data->set_partition(key.second);
  ToProto(absl::OkStatus(), outcome, data);
  response.set_generation(partition.generation);
  response.set_caught_up(at_end);
  partition.at_end = at_end;
  partition.next = outcome.data.next_offset;
  credit_ -= bytes;
  buffered_ += bytes;
  if (bytes > 0) {
    writer_->Send(std::move(response), static_cast<size_t>(bytes));
  } else {
    buffered_ += kMessageOverheadBytes;
    budget_->GiveBack(-static_cast<int64_t>(kMessageOverheadBytes));
    writer_->Send(std::move(response), kMessageOverheadBytes);
  }
  Pump();
}

void FetchSession::SendError(const Key& key, int64_t generation, const absl::Status& status,
                             const ReadOutcome& outcome) {
  v1::FetchStreamResponse response;
  v1::PartitionData* data = response.mutable_data();
  data->set_topic_id(key.first);
  data->set_partition(key.second);
  ToProto(status, outcome, data);
  response.set_generation(generation);
  buffered_ += kMessageOverheadBytes;
  budget_->GiveBack(-static_cast<int64_t>(kMessageOverheadBytes));
  writer_->Send(std::move(response), kMessageOverheadBytes);
}

void FetchSession::OnSent(size_t bytes) {
  budget_->GiveBack(static_cast<int64_t>(bytes));
  MutexLock lock(&mu_);
  buffered_ -= static_cast<int64_t>(bytes);
  Pump();
}

void FetchSession::FinishWith(const absl::Status& status) {
  finished_ = true;
  CancelAll();
  if (writer_ != nullptr) writer_->Finish(status);
}

void FetchSession::CancelAll() {
  for (const auto& [key, partition] : partitions_) {
    if (!partition.reading) continue;
    context_->replicas->CancelReads(*partition.target.topic, partition.target.partition,
                                    partition.token);
  }
  partitions_.clear();
  ready_.clear();
}

// The reader gives no more credits: what it has been given is used up, and it ends the stream by
// cancelling it. Half-closing alone ends it here.
void FetchSession::OnReadsDone() {
  MutexLock lock(&mu_);
  if (!finished_) FinishWith(absl::OkStatus());
}

void FetchSession::OnClosed() {
  MutexLock lock(&mu_);
  finished_ = true;
  CancelAll();
  writer_ = nullptr;
}

}  // namespace catamaran::broker
