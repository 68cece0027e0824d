// A client's end of the simulated network: what client/rpc does with gRPC, with the same faces, so
// that the real client cores stand above it. Converts with client/rpc's own converters.
//
// A call whose deadline passes is answered DEADLINE_EXCEEDED without a Reason; a connection from
// which nothing came meanwhile is dropped, as keepalive would.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/transport.h"
#include "catamaran/v1/batch_service.pb.h"
#include "catamaran/v1/cluster_service.pb.h"
#include "client/core/messages.h"
#include "tests/sim/sim_wire.h"

namespace catamaran::sim {

// Sees what one client exchanges with brokers: the checkers' ears. All on the client's executor.
class CarrierTap {
 public:
  virtual ~CarrierTap() = default;
  virtual void OnAppendSent(const client::core::SendAppend& send) { (void)send; }
  virtual void OnAppendAnswer(const client::core::SendAppend& send,
                              const v1::AppendStreamResponse& answer) {
    (void)send, (void)answer;
  }
  virtual void OnFetchAnswer(const client::core::SendFetch& send,
                             const v1::FetchBatchesResponse& answer) {
    (void)send, (void)answer;
  }
  virtual void OnMetadata(const v1::GetMetadataResponse& answer) { (void)answer; }
  // An error that the broker gave, by its reason; or that a call had, without one.
  virtual void OnError(Method method, const absl::Status& status) { (void)method, (void)status; }
};

// Planted bugs of a carrier (tests/sim/saboteur.h).
struct CarrierSabotage {
  bool duplicate_appends = false;    // every append of a second connection is sent twice
  bool unknown_as_rejected = false;  // a broken connection counts as "surely not stored"
  bool skip_a_record = false;        // fetches begin one offset too late, now and then
};

class SimCarrier {
 public:
  template <class Answer>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;
  using AppendDone = std::function<void(client::core::CorrelationId, client::core::AppendAnswer)>;

  // All must outlive it; it lives on `executor`.
  SimCarrier(Transport* transport, Clock* clock, Executor* executor, CarrierTap* tap,
             CarrierSabotage sabotage = {});
  ~SimCarrier();

  void GetMetadata(const client::core::SendMetadata& send, Done<client::core::MetadataAnswer> done);
  void InitProducerId(const client::core::SendInitProducerId& send,
                      Done<client::core::ProducerIdentity> done);
  void FetchBatches(client::core::SendFetch send,
                    Done<std::vector<client::core::FetchResult>> done);
  void ListOffsets(const client::core::SendListOffsets& send,
                   Done<std::vector<client::core::OffsetFound>> done);
  // Answered by the callback given to set_append_done; in order while the connection lasts.
  void Append(client::core::SendAppend send);
  void set_append_done(AppendDone done) { append_done_ = std::move(done); }
  // Drops the append connection to `address`; what is on its way there gets no answer.
  void Reset(const std::string& address) { append_links_.erase(address); }

  // Any other call.
  template <class Response, class Request>
  void Call(const std::string& address, Method method, const Request& request, Duration timeout,
            Done<Response> done) {
    CallRaw(address, method, request.SerializeAsString(), timeout,
            [done = std::move(done)](absl::StatusOr<std::string_view> bytes) mutable {
              if (!bytes.ok()) return done(bytes.status());
              done(ParseOrDie<Response>(*bytes));
            });
  }

  size_t calls_in_flight() const;

 private:
  class CallLink;
  class AppendLink;
  using RawDone = absl::AnyInvocable<void(absl::StatusOr<std::string_view>)>;

  void CallRaw(const std::string& address, Method method, std::string request, Duration timeout,
               RawDone done);
  void AnswerAppend(client::core::CorrelationId correlation, client::core::AppendAnswer answer);
  absl::Status Failure(Method method, const absl::Status& status);

  Transport* const transport_;
  Clock* const clock_;
  Executor* const executor_;
  CarrierTap* const tap_;
  const CarrierSabotage sabotage_;
  AppendDone append_done_;
  int64_t last_call_ = 0;
  uint64_t appends_ = 0;
  uint64_t fetches_ = 0;
  std::map<std::string, std::shared_ptr<CallLink>> call_links_;
  std::map<std::string, std::shared_ptr<AppendLink>> append_links_;
};

}  // namespace catamaran::sim
