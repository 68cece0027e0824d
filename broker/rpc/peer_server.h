// A port on which peers connect: a gRPC server with a completion queue and thread of its own, and
// the links of all connections of a transport.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "broker/rpc/peer_call.h"
#include "broker/rpc/peer_link.h"
#include "broker/rpc/peer_poller.h"
#include "broker/rpc/peer_transport.h"
#include "grpcpp/grpcpp.h"

namespace catamaran::broker {

// The links whose calls haven't ended. Thread-safe.
class PeerLinks {
 public:
  void Add(std::shared_ptr<PeerLink> link);
  void Remove(const std::shared_ptr<PeerLink>& link);
  void CancelDue(MonotonicTime now);
  // No link lingers beyond `deadline`; waits until the last has ended. A poller must call
  // CancelDue meanwhile. Owners have closed theirs.
  void End(MonotonicTime deadline);

 private:
  Mutex mu_;
  CondVar changed_;
  std::set<std::shared_ptr<PeerLink>> links_ ABSL_GUARDED_BY(mu_);
};

// Lives on after its listener until the connections that it accepted have ended.
class PeerServer {
 public:
  // absl::AlreadyExistsError when the endpoint can't be bound. `links` outlives the server.
  static absl::StatusOr<std::shared_ptr<PeerServer>> Start(const PeerTransportOptions& options,
                                                           const std::string& endpoint,
                                                           Executor* executor, Acceptor acceptor,
                                                           PeerLinks* links);
  // After StopAccepting, when ended() or after CancelAll. Not on the poller's thread.
  ~PeerServer();

  int port() const { return port_; }
  // On the listener's executor. Doesn't block; connections that were accepted live on.
  void StopAccepting();
  bool ended();      // all connections are gone
  void CancelAll();  // blocks until ended

 private:
  class AcceptOperation : public PeerOperation {
   public:
    explicit AcceptOperation(PeerServer* server) : server_(server) {}
    void Done(bool ok) override { server_->OnAccepted(ok); }

   private:
    PeerServer* const server_;
  };
  // gRPC's queue takes only tags of its own kind; this one hands out the operation.
  class ShutdownOperation : public PeerOperation, public grpc::internal::CompletionQueueTag {
   public:
    explicit ShutdownOperation(PeerServer* server) : server_(server) {}
    bool FinalizeResult(void** tag, bool*) override {
      *tag = static_cast<PeerOperation*>(this);
      return true;
    }
    void Done(bool) override { server_->OnEnded(); }

   private:
    PeerServer* const server_;
  };
  // What the tasks that accept share with the listener. `open` and `acceptor` are the executor's.
  struct Acceptance {
    Executor* executor = nullptr;
    Acceptor acceptor;
    bool open = true;
    Mutex mu;
    std::vector<std::shared_ptr<PeerLink>> pending ABSL_GUARDED_BY(mu);
  };

  PeerServer(const PeerTransportOptions& options, PeerLinks* links)
      : options_(options), links_(links) {}
  void AwaitNext();
  void OnAccepted(bool ok);
  void Admit(const std::shared_ptr<PeerLink>& link);
  void OnEnded();

  const PeerTransportOptions options_;
  PeerLinks* const links_;
  PeerService service_;
  std::unique_ptr<grpc::Server> server_;
  grpc::ServerCompletionQueue* queue_ = nullptr;  // the poller's
  std::unique_ptr<PeerPoller> poller_;
  int port_ = 0;

  // The poller thread's, once it runs.
  AcceptOperation accept_{this};
  std::unique_ptr<AcceptedCall> next_call_;
  int32_t accepted_ = 0;  // links that haven't ended

  ShutdownOperation shutdown_{this};
  Mutex mu_;
  CondVar changed_;
  std::shared_ptr<Acceptance> acceptance_ ABSL_GUARDED_BY(mu_);  // null: accepts no more
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace catamaran::broker
