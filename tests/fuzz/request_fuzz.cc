// Requests as a client could send them: any bytes that parse as a message go to the real handlers
// of a node in virtual time. Nothing may crash, every call must be answered, and the replicas'
// invariants must hold. First byte: which method; the rest: the message. In the simulation's
// metadata the topic "t" has a known name; the bytes "TTTTTTTTTTTTTTTT" stand for its id.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "tests/broker/sim_broker.h"

namespace catamaran::broker {
namespace {

constexpr char kTopicIdMark[] = "TTTTTTTTTTTTTTTT";

template <class Response>
class NullWriter final : public StreamWriter<Response> {
 public:
  void Send(Response, size_t bytes) override { sent.push_back(bytes); }
  void ReadMore() override {}
  void Finish(absl::Status) override {}
  std::vector<size_t> sent;
};

class Fuzzed {
 public:
  Fuzzed() : broker_(1) {
    CATAMARAN_CHECK(broker_.Start().ok(), "starts");
    CATAMARAN_CHECK(broker_.CreateTopic("t", 3).ok(), "creates");
    id_ = broker_.TopicIdOf("t");
  }

  void Run(uint8_t method, std::string message) {
    for (size_t at; (at = message.find(kTopicIdMark)) != std::string::npos;) {
      message.replace(at, id_.size(), id_);
    }
    ProduceApi& produce = broker_.node().produce_api();
    BatchApi& batch = broker_.node().batch_api();
    switch (method % 9) {
      case 0:
        Call(&ProduceApi::Produce, produce, message);
        break;
      case 1:
        Call(&ProduceApi::InitProducerId, produce, message);
        break;
      case 2:
        Call(&FetchApi::Fetch, broker_.node().fetch_api(), message);
        break;
      case 3:
        Call(&BatchApi::AppendBatches, batch, message);
        break;
      case 4:
        Call(&BatchApi::FetchBatches, batch, message);
        break;
      case 5:
        Call(&BatchApi::ListOffsets, batch, message);
        break;
      case 6:
        Stream<v1::AppendStreamRequest, v1::AppendStreamResponse>(
            message, [&](auto writer) { return batch.AppendStream({}, writer); });
        break;
      case 7:
        Stream<v1::FetchStreamRequest, v1::FetchStreamResponse>(
            message, [&](auto writer) { return batch.FetchStream({}, writer); });
        break;
      case 8:
        Stream<v1::ProduceSessionRequest, v1::ProduceSessionResponse>(
            message, [&](auto writer) { return produce.ProduceSession({}, writer); });
        break;
    }
    broker_.CheckInvariants();
  }

 private:
  template <class Api, class Request, class Response>
  void Call(void (Api::*handler)(const CallContext&, Request, Reply<Response>), Api& api,
            const std::string& bytes) {
    Request request;
    if (!request.ParseFromString(bytes)) return;
    auto answer = broker_.Await<Response>(
        [&](auto reply) { (api.*handler)({}, std::move(request), std::move(reply)); },
        std::chrono::minutes(10));
    CATAMARAN_CHECK(
        !absl::IsDeadlineExceeded(answer.status()) || answer.status().message() != "no answer",
        "every call is answered");
  }

  // The bytes are messages of a stream, each with a length of two bytes before it.
  template <class Request, class Response, class Open>
  void Stream(std::string_view bytes, Open open) {
    auto writer = std::make_shared<NullWriter<Response>>();
    std::shared_ptr<StreamSession<Request>> session = open(writer);
    while (bytes.size() >= 2) {
      size_t length = static_cast<uint8_t>(bytes[0]) * 256u + static_cast<uint8_t>(bytes[1]);
      std::string_view message = bytes.substr(2, length);
      bytes.remove_prefix(2 + message.size());
      Request request;
      if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) break;
      session->OnMessage(std::move(request));
      broker_.world.RunFor(std::chrono::milliseconds(20));
      for (size_t sent : std::exchange(writer->sent, {})) session->OnSent(sent);
    }
    session->OnReadsDone();
    session->OnClosed();
    broker_.world.RunFor(std::chrono::milliseconds(20));
  }

  SimBroker broker_;
  std::string id_;
};

}  // namespace
}  // namespace catamaran::broker

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* fuzzed = new catamaran::broker::Fuzzed();
  if (size == 0) return 0;
  fuzzed->Run(data[0], std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}
