// What the simulated clients and broker say to each other over base/transport.h: frames around the
// messages of catamaran.v1, in place of gRPC. A connection carries calls, each with an id, and at
// most one append stream.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/buffer.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/transport.h"
#include "base/varint.h"

namespace catamaran::sim {

enum class Method : uint8_t {
  kGetMetadata,
  kInitProducerId,
  kFetchBatches,
  kListOffsets,
  kAppendStream,
  kCreateTopic,
  kDeleteTopic,
  kUpdateTopicConfig,
  kCreatePartitions,
  kGetTopic,
  kDeleteRecords,
  kProduce,
  kFetch,
};
inline constexpr int kMethods = 13;

enum class FrameKind : uint8_t {
  kRequest,    // id, timeout, the request
  kReply,      // id, the response
  kError,      // id, a v1::Error
  kMessage,    // of the append stream, either way
  kStreamEnd,  // a v1::Error, or nothing when it ended well
};

struct Frame {
  FrameKind kind = FrameKind::kRequest;
  Method method = Method::kGetMetadata;
  int64_t id = 0;
  Duration timeout{0};
  std::string_view payload;
};

inline constexpr size_t kFrameHeaderBytes = 2 + 8 + 8;

inline Buffer EncodeFrame(const Frame& frame) {
  std::string bytes;
  bytes.reserve(kFrameHeaderBytes + frame.payload.size());
  bytes.push_back(static_cast<char>(frame.kind));
  bytes.push_back(static_cast<char>(frame.method));
  AppendBigEndian<int64_t>(&bytes, frame.id);
  AppendBigEndian<int64_t>(&bytes, frame.timeout.count());
  bytes.append(frame.payload);
  return Buffer::FromString(std::move(bytes));
}

// The payload points into `buffer`.
inline Frame DecodeFrame(const Buffer& buffer) {
  CATAMARAN_CHECK(buffer.size() >= kFrameHeaderBytes, "the network cut a message");
  const char* at = buffer.data();
  Frame frame;
  frame.kind = static_cast<FrameKind>(at[0]);
  frame.method = static_cast<Method>(at[1]);
  frame.id = LoadBigEndian<int64_t>(at + 2);
  frame.timeout = Duration(LoadBigEndian<int64_t>(at + 10));
  frame.payload = buffer.view().substr(kFrameHeaderBytes);
  return frame;
}

template <class Message>
Message ParseOrDie(std::string_view bytes) {
  Message message;
  CATAMARAN_CHECK(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())),
                  "the network changed a message");
  return message;
}

// Frames on their way out: keeps those that the connection has no room for.
class Outbox {
 public:
  void Send(Connection* connection, Buffer frame) {
    waiting_.push_back(std::move(frame));
    Flush(connection);
  }
  void Flush(Connection* connection) {
    while (!waiting_.empty()) {
      absl::Status status = connection->Send(waiting_.front());
      if (ReasonOf(status) == Reason::kOverloaded) return;
      waiting_.pop_front();  // sent, or the connection is gone
    }
  }

 private:
  std::deque<Buffer> waiting_;
};

}  // namespace catamaran::sim
