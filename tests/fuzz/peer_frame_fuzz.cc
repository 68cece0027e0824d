// A frame of a peer's connection, and the Raft message in it. Whatever can be read is written back
// as it was, once it was written by us.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "raft/core/encoding.h"
#include "raft/driver/framing.h"

namespace catamaran::raft {
namespace {

void RunOne(std::string_view bytes) {
  const absl::StatusOr<Frame> frame = DecodeFrame(Buffer::Copy(bytes));
  if (!frame.ok()) return;
  // Numbers can be written in longer ways, so the bytes may differ the first time.
  const Buffer again = EncodeFrame(*frame);
  const absl::StatusOr<Frame> read = DecodeFrame(again);
  const auto* hello = std::get_if<Hello>(&*frame);
  const auto* welcome = std::get_if<Welcome>(&*frame);
  const bool known_version = (hello == nullptr || hello->greeting.version == kProtocolVersion) &&
                             (welcome == nullptr || welcome->greeting.version == kProtocolVersion);
  CATAMARAN_CHECK(read.ok(), "what we write can be read");
  CATAMARAN_CHECK(!known_version || EncodeFrame(*read).view() == again.view(),
                  "and is the same again");
  const auto* raft = std::get_if<RaftFrame>(&*frame);
  if (raft == nullptr) return;
  const absl::StatusOr<Message> message = DecodeMessage(raft->message);
  if (!message.ok()) return;
  const std::string message_bytes = EncodeMessage(*message);
  const absl::StatusOr<Message> message_again = DecodeMessage(Buffer::Copy(message_bytes));
  CATAMARAN_CHECK(message_again.ok() && EncodeMessage(*message_again) == message_bytes,
                  "a message that was read comes back");
}

}  // namespace
}  // namespace catamaran::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::raft::RunOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
