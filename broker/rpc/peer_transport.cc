#include "broker/rpc/peer_transport.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutex.h"
#include "broker/rpc/peer_call.h"
#include "broker/rpc/peer_link.h"
#include "broker/rpc/peer_poller.h"
#include "broker/rpc/peer_server.h"
#include "grpc/grpc.h"

namespace catamaran::broker {
namespace {

class PeerTransportImpl final : public PeerTransport {
 public:
  explicit PeerTransportImpl(const PeerTransportOptions& options)
      : options_(options),
        poller_("peer-connect", std::make_unique<grpc::CompletionQueue>(),
                [this] { links_.CancelDue(SystemClock().Now()); }) {}

  ~PeerTransportImpl() override {
    std::vector<std::shared_ptr<PeerServer>> servers;
    {
      MutexLock lock(&mu_);
      CATAMARAN_CHECK(listening_.empty(), "a listener outlives its transport");
      servers.swap(stopped_);
    }
    links_.End(SystemClock().Now() + options_.shutdown_grace);
    for (const auto& server : servers) server->CancelAll();
  }

  absl::StatusOr<std::unique_ptr<PeerListener>> ListenForPeers(const std::string& endpoint,
                                                               Executor* executor,
                                                               Acceptor acceptor) override {
    std::vector<std::shared_ptr<PeerServer>> ended;  // their threads are joined without the lock
    MutexLock lock(&mu_);
    std::erase_if(stopped_, [&](const std::shared_ptr<PeerServer>& server) {
      if (!server->ended()) return false;
      ended.push_back(server);
      return true;
    });
    if (listening_.contains(endpoint)) {
      return absl::AlreadyExistsError(absl::StrCat("somebody listens at ", endpoint, " already"));
    }
    auto server = PeerServer::Start(options_, endpoint, executor, std::move(acceptor), &links_);
    if (!server.ok()) return server.status();
    std::string name = endpoint;
    if (const size_t colon = name.rfind(':'); colon != std::string::npos) {
      name = absl::StrCat(name.substr(0, colon), ":", (*server)->port());
    }
    listening_[name] = *server;
    return std::make_unique<ListenerImpl>(this, std::move(name), *std::move(server));
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& endpoint, Executor* executor,
                                                   Acceptor acceptor) override {
    return ListenForPeers(endpoint, executor, std::move(acceptor));
  }

  std::unique_ptr<Connection> Connect(const std::string& endpoint, Executor* executor,
                                      ConnectionEvents events) override {
    auto call =
        std::make_unique<ConnectingCall>(MakePeerChannel(options_, endpoint), poller_.queue());
    auto link = std::make_shared<PeerLink>(
        LimitsOf(options_), endpoint, std::move(call),
        [this](const std::shared_ptr<PeerLink>& ended) { links_.Remove(ended); });
    link->Attach(executor);
    link->SetEvents(std::move(events));
    links_.Add(link);
    link->Start();
    return std::make_unique<PeerConnection>(std::move(link));
  }

 private:
  class ListenerImpl final : public PeerListener {
   public:
    ListenerImpl(PeerTransportImpl* transport, std::string name, std::shared_ptr<PeerServer> server)
        : transport_(transport), name_(std::move(name)), server_(std::move(server)) {}
    ~ListenerImpl() override {
      server_->StopAccepting();
      MutexLock lock(&transport_->mu_);
      transport_->listening_.erase(name_);
      transport_->stopped_.push_back(std::move(server_));
    }
    int port() const override { return server_->port(); }

   private:
    PeerTransportImpl* const transport_;
    const std::string name_;
    std::shared_ptr<PeerServer> server_;
  };

  const PeerTransportOptions options_;
  PeerLinks links_;
  Mutex mu_;
  std::map<std::string, std::shared_ptr<PeerServer>> listening_ ABSL_GUARDED_BY(mu_);
  // Their connections may live on; joined at the next Listen or at the end.
  std::vector<std::shared_ptr<PeerServer>> stopped_ ABSL_GUARDED_BY(mu_);
  PeerPoller poller_;  // last: its thread uses the above
};

}  // namespace

std::unique_ptr<PeerTransport> MakePeerTransport(const PeerTransportOptions& options) {
  // Keeps the library up for the rest of the process: its last shutdown waits up to 10 seconds for
  // a thread of its own that polls for a blocked write.
  [[maybe_unused]] static const bool initialized = (grpc_init(), true);
  return std::make_unique<PeerTransportImpl>(options);
}

}  // namespace catamaran::broker
