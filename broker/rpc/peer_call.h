// The two kinds of gRPC calls under a PeerLink, and how channels and servers for them are set up.
#pragma once

#include <memory>
#include <string>

#include "broker/rpc/peer_link.h"
#include "broker/rpc/peer_transport.h"
#include "catamaran/internal/v1/peer.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace catamaran::broker {

using PeerService =
    internal::v1::PeerService::WithRawMethod_Connect<internal::v1::PeerService::Service>;

PeerLinkLimits LimitsOf(const PeerTransportOptions& options);

// A channel with a TCP connection of its own.
std::shared_ptr<grpc::Channel> MakePeerChannel(const PeerTransportOptions& options,
                                               const std::string& endpoint);
void ConfigurePeerServer(const PeerTransportOptions& options, grpc::ServerBuilder* builder);

class ConnectingCall final : public PeerCall {
 public:
  ConnectingCall(std::shared_ptr<grpc::Channel> channel, grpc::CompletionQueue* queue);

  void Start(PeerOperation* done) override { stream_->StartCall(done); }
  void Read(grpc::ByteBuffer* bytes, PeerOperation* done) override { stream_->Read(bytes, done); }
  void Write(const grpc::ByteBuffer& bytes, bool more_follows, PeerOperation* done) override;
  void Finish(const std::string&, PeerOperation* done) override { stream_->Finish(&status_, done); }
  void Cancel() override { context_.TryCancel(); }
  bool accepting() const override { return false; }
  std::string WhyBroken() const override;

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::Status status_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class AcceptedCall final : public PeerCall {
 public:
  // `done` when a peer has connected; fails when the server shuts down.
  void Await(PeerService* service, grpc::ServerCompletionQueue* queue, PeerOperation* done) {
    service->RequestConnect(&context_, &stream_, queue, queue, done);
  }
  std::string peer() const { return context_.peer(); }

  void Start(PeerOperation* done) override;
  void Read(grpc::ByteBuffer* bytes, PeerOperation* done) override { stream_.Read(bytes, done); }
  void Write(const grpc::ByteBuffer& bytes, bool more_follows, PeerOperation* done) override;
  void Finish(const std::string& refusal, PeerOperation* done) override;
  void Cancel() override { context_.TryCancel(); }
  bool accepting() const override { return true; }
  std::string WhyBroken() const override { return "the connection broke"; }

 private:
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_{&context_};
};

}  // namespace catamaran::broker
