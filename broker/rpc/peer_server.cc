#include "broker/rpc/peer_server.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"

namespace catamaran::broker {

void PeerLinks::Add(std::shared_ptr<PeerLink> link) {
  MutexLock lock(&mu_);
  links_.insert(std::move(link));
}

void PeerLinks::Remove(const std::shared_ptr<PeerLink>& link) {
  MutexLock lock(&mu_);
  links_.erase(link);
  changed_.SignalAll();
}

void PeerLinks::CancelDue(MonotonicTime now) {
  MutexLock lock(&mu_);
  for (const auto& link : links_) link->CancelIfDue(now);
}

void PeerLinks::End(MonotonicTime deadline) {
  MutexLock lock(&mu_);
  for (const auto& link : links_) link->LingerAtMost(deadline);
  while (!links_.empty()) changed_.Wait(&mu_);
}

absl::StatusOr<std::shared_ptr<PeerServer>> PeerServer::Start(const PeerTransportOptions& options,
                                                              const std::string& endpoint,
                                                              Executor* executor, Acceptor acceptor,
                                                              PeerLinks* links) {
  std::shared_ptr<PeerServer> server(new PeerServer(options, links));
  auto acceptance = std::make_shared<Acceptance>();
  acceptance->executor = executor;
  acceptance->acceptor = std::move(acceptor);
  {
    MutexLock lock(&server->mu_);
    server->acceptance_ = std::move(acceptance);
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort(endpoint, grpc::InsecureServerCredentials(), &server->port_);
  builder.RegisterService(&server->service_);
  ConfigurePeerServer(options, &builder);
  std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  server->queue_ = queue.get();
  server->server_ = builder.BuildAndStart();
  if (server->server_ != nullptr && server->port_ != 0) {
    server->AwaitNext();
    server->poller_ = std::make_unique<PeerPoller>("peer-listen", std::move(queue), nullptr);
    return server;
  }
  return absl::AlreadyExistsError(
      absl::StrCat("Can't listen for peers on ", endpoint,
                   ": somebody listens there already, or the address isn't this machine's. Stop "
                   "the other process or choose another address."));
}

PeerServer::~PeerServer() {
  if (poller_ == nullptr) return;  // it never listened
  server_->Shutdown();             // has happened, but gRPC wants to hear it this way too
  poller_.reset();
}

void PeerServer::StopAccepting() {
  std::shared_ptr<Acceptance> acceptance;
  {
    MutexLock lock(&mu_);
    acceptance = std::move(acceptance_);
  }
  acceptance->open = false;
  grpc_server_shutdown_and_notify(server_->c_server(), queue_->cq(), &shutdown_);
  std::vector<std::shared_ptr<PeerLink>> pending;
  {
    MutexLock lock(&acceptance->mu);
    pending.swap(acceptance->pending);
  }
  // Their executor may go now, and nobody else would detach them from it.
  for (const auto& link : pending) link->Close();
}

bool PeerServer::ended() {
  MutexLock lock(&mu_);
  return ended_;
}

void PeerServer::CancelAll() {
  grpc_server_cancel_all_calls(server_->c_server());
  MutexLock lock(&mu_);
  while (!ended_) changed_.Wait(&mu_);
}

void PeerServer::OnEnded() {
  MutexLock lock(&mu_);
  ended_ = true;
  changed_.SignalAll();
}

void PeerServer::AwaitNext() {
  next_call_ = std::make_unique<AcceptedCall>();
  next_call_->Await(&service_, queue_, &accept_);
}

void PeerServer::OnAccepted(bool ok) {
  std::unique_ptr<AcceptedCall> call = std::move(next_call_);
  if (!ok) return;  // shutting down
  AwaitNext();
  std::string peer = call->peer();
  auto link = std::make_shared<PeerLink>(LimitsOf(options_), std::move(peer), std::move(call),
                                         [this](const std::shared_ptr<PeerLink>& ended) {
                                           --accepted_;
                                           links_->Remove(ended);
                                         });
  links_->Add(link);
  if (++accepted_ > options_.connections_max) {
    link->Refuse(absl::StrCat("this listener has its ", options_.connections_max,
                              " connections already; close some or raise the limit"));
    return;
  }
  Admit(link);
}

void PeerServer::Admit(const std::shared_ptr<PeerLink>& link) {
  {
    MutexLock lock(&mu_);
    if (acceptance_ != nullptr) {
      link->Attach(acceptance_->executor);
      {
        MutexLock pending_lock(&acceptance_->mu);
        acceptance_->pending.push_back(link);
      }
      // The first task of this link, so that the acceptor runs before the first event.
      acceptance_->executor->Post([acceptance = acceptance_, link] {
        if (!acceptance->open) return;  // the listener went while this task waited
        {
          MutexLock pending_lock(&acceptance->mu);
          std::erase(acceptance->pending, link);
        }
        link->SetEvents(acceptance->acceptor(std::make_unique<PeerConnection>(link)));
      });
    } else {
      link->Close();
    }
  }
  link->Open();
}

}  // namespace catamaran::broker
