#include "client/rpc/append_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "client/rpc/append_encoder.h"
#include "client/rpc/convert.h"
#include "client/rpc/rpc_status.h"

namespace catamaran::client::rpc {
namespace {

constexpr char kMethod[] = "/catamaran.v1.BatchService/AppendStream";

int64_t BytesOf(const core::SendAppend& send) {
  int64_t bytes = 0;
  for (const core::AppendEntry& entry : send.entries) {
    bytes += static_cast<int64_t>(entry.batch.size());
  }
  return bytes;
}

}  // namespace

AppendConnection::AppendConnection(RpcClient* client, std::string address)
    : client_(client), address_(std::move(address)), peer_(client->PeerAt(address_)) {}

void AppendConnection::Start(const std::shared_ptr<AppendConnection>& self) {
  stream_ = Stub(peer_->channel).PrepareCall(&context_, kMethod, &client_->queue_);
  MutexLock lock(&mu_);
  if (!client_->Register(self)) {
    closed_ = true;
    return;
  }
  operations_ = 1;
  stream_->StartCall(static_cast<Tag*>(&started_));
  client_->executor_->PostAt(client_->clock_.Now() + client_->options_.connect_timeout,
                             [weak = std::weak_ptr<AppendConnection>(self)] {
                               std::shared_ptr<AppendConnection> connection = weak.lock();
                               if (connection == nullptr) return;
                               MutexLock connection_lock(&connection->mu_);
                               if (!connection->granted_) connection->context_.TryCancel();
                             });
}

bool AppendConnection::closed() const {
  MutexLock lock(&mu_);
  return closed_ || finishing_;
}

void AppendConnection::Append(core::SendAppend send) {
  MutexLock lock(&mu_);
  if (closed_ || finishing_) {
    Answer(send.correlation, absl::UnavailableError(absl::StrCat(address_, ": disconnected")));
    return;
  }
  waiting_.push_back(std::move(send));
  MaybeWrite();
}

void AppendConnection::Close() {
  MutexLock lock(&mu_);
  silent_ = true;
  context_.TryCancel();
}

void AppendConnection::Cancel() { context_.TryCancel(); }

void AppendConnection::Answer(core::CorrelationId correlation, core::AppendAnswer answer) {
  client_->executor_->Post([client = client_, correlation, answer = std::move(answer)]() mutable {
    client->append_done_(correlation, std::move(answer));
  });
}

// ---- operations ----

void AppendConnection::OnStarted(bool ok) {
  mu_.Lock();
  if (ok) {
    ready_ = true;
    StartRead();
  } else {
    BeginFinish();
  }
  EndOperation();
}

void AppendConnection::StartRead() {
  ++operations_;
  stream_->Read(&response_, static_cast<Tag*>(&read_));
}

void AppendConnection::OnRead(bool ok) {
  mu_.Lock();
  if (!ok) {
    BeginFinish();
    EndOperation();
    return;
  }
  // The first message grants credits; a later answer without any leaves them as they are.
  if (response_.credit_bytes() > 0) credit_bytes_ = response_.credit_bytes();
  granted_ = true;
  const core::CorrelationId correlation(response_.correlation_id());
  if (auto it = outstanding_.find(correlation); it != outstanding_.end()) {
    outstanding_bytes_ -= it->second;
    outstanding_.erase(it);
    if (!silent_) Answer(correlation, FromResults(response_.results()));
  }
  response_.Clear();
  StartRead();
  MaybeWrite();
  EndOperation();
}

void AppendConnection::MaybeWrite() {
  if (!ready_ || !granted_ || writing_ || finishing_ || waiting_.empty()) return;
  const int64_t bytes = BytesOf(waiting_.front());
  // A request larger than all credits goes alone, as the broker allows.
  if (outstanding_bytes_ > 0 && outstanding_bytes_ + bytes > credit_bytes_) return;
  core::SendAppend send = std::move(waiting_.front());
  waiting_.pop_front();
  outstanding_[send.correlation] = bytes;
  outstanding_bytes_ += bytes;
  writing_ = true;
  ++operations_;
  stream_->Write(EncodeAppendStreamRequest(send), static_cast<Tag*>(&written_));
}

void AppendConnection::OnWritten(bool ok) {
  mu_.Lock();
  writing_ = false;
  if (ok) MaybeWrite();  // else the read ends, too
  EndOperation();
}

void AppendConnection::BeginFinish() {
  if (std::exchange(finishing_, true)) return;
  ++operations_;
  stream_->Finish(&status_, static_cast<Tag*>(&finished_));
}

void AppendConnection::OnFinished(bool) {
  mu_.Lock();
  EndOperation();
}

void AppendConnection::EndOperation() {
  if (--operations_ > 0) {
    mu_.Unlock();
    return;
  }
  CATAMARAN_CHECK(finishing_, "a stream without operations has ended");
  closed_ = true;
  absl::Status status = FromGrpcStatus(status_, address_);
  if (status.ok()) status = absl::UnavailableError(absl::StrCat(address_, " closed the stream"));
  if (!silent_) {
    for (const auto& [correlation, bytes] : outstanding_) Answer(correlation, status);
    // Those never left this process, but nothing is gained by telling them apart: a producer's
    // retry is safe in any case.
    for (const core::SendAppend& send : waiting_) Answer(send.correlation, status);
  }
  outstanding_.clear();
  waiting_.clear();
  mu_.Unlock();
  client_->Unregister(this);  // may destroy this
}

}  // namespace catamaran::client::rpc
