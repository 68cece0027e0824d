// A unary call: decode, take a credit, hand over; the reply comes back on any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "broker/api/call.h"
#include "broker/metrics.h"
#include "broker/rpc/admission.h"
#include "broker/rpc/status.h"
#include "grpcpp/grpcpp.h"

namespace catamaran::broker {

// What every reactor needs.
struct RpcShared {
  RpcHandlers handlers;
  RpcOptions options;
  std::shared_ptr<Admission> admission;
};

// The caller's deadline on our clock; kNever when there is none.
inline MonotonicTime DeadlineOf(grpc::ServerContextBase& context, Clock& clock) {
  gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) >= 0) return kNever;
  gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return clock.Now() + std::chrono::seconds(left.tv_sec) + std::chrono::nanoseconds(left.tv_nsec);
}

inline CallContext MakeCallContext(grpc::ServerContextBase& context, Clock& clock) {
  return {.deadline = DeadlineOf(context, clock), .peer = context.peer()};
}

// Owned by gRPC: deletes itself in OnDone.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryReactor(std::shared_ptr<CallCancellation> cancellation)
      : cancellation_(std::move(cancellation)) {}
  void OnCancel() override { cancellation_->Cancel(); }
  void OnDone() override { delete this; }
  // Held until gRPC has handed the answer to the connection.
  void HoldUntilSent(StreamCredit credit) { answer_ = std::move(credit); }

 private:
  StreamCredit answer_;
  const std::shared_ptr<CallCancellation> cancellation_;
};

// Whether an answer of `method` may be large, and may be withheld because nothing has happened.
constexpr bool AnswersWithRecords(Method method) {
  return method == Method::kFetch || method == Method::kFetchBatches;
}

// Calls `handle(call, request, reply)`. gRPC owns the messages and keeps them until Finish(), which
// the reply calls, exactly once. The request is moved out of gRPC's hands: nobody else reads it.
template <class Request, class Response, class Handle>
grpc::ServerUnaryReactor* ServeUnary(const std::shared_ptr<const RpcShared>& shared, Method method,
                                     grpc::CallbackServerContext* context, const Request* request,
                                     Response* response, Handle handle) {
  Clock* clock = shared->handlers.clock;
  const MonotonicTime start = clock->Now();
  CallContext call = MakeCallContext(*context, *clock);
  call.cancellation = std::make_shared<CallCancellation>();
  auto* reactor = new UnaryReactor(call.cancellation);
  absl::StatusOr<Admission::Ticket> ticket =
      shared->admission->AdmitCall(call.peer, static_cast<int64_t>(request->ByteSizeLong()));
  if (!ticket.ok()) {
    shared->handlers.counters->CountCall(method, static_cast<int>(ticket.status().code()),
                                         Duration(0));
    reactor->Finish(ToGrpcStatus(ticket.status()));
    return reactor;
  }
  handle(call, std::move(*const_cast<Request*>(request)),
         Reply<Response>([shared, method, start, reactor, response, peer = call.peer,
                          ticket = *std::move(ticket)](absl::StatusOr<Response> result) mutable {
           if (AnswersWithRecords(method) && result.ok()) {
             absl::StatusOr<StreamCredit> credit =
                 shared->admission->AdmitAnswer(peer, static_cast<int64_t>(result->ByteSizeLong()));
             if (credit.ok()) {
               reactor->HoldUntilSent(*std::move(credit));
             } else {
               result = credit.status();
             }
           }
           shared->handlers.counters->CountCall(method, static_cast<int>(result.status().code()),
                                                shared->handlers.clock->Now() - start);
           // The credit is back before the client can know that the call has ended.
           { Admission::Ticket returned = std::move(ticket); }
           if (result.ok()) {
             *response = *std::move(result);
             reactor->Finish(grpc::Status::OK);
           } else {
             reactor->Finish(ToGrpcStatus(result.status()));
           }
         }));
  return reactor;
}

}  // namespace catamaran::broker
