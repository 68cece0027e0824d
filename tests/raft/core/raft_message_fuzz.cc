// Arbitrary bytes as a message: refused, or read into what writes the same message again.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "raft/core/encoding.h"
#include "raft/core/membership.h"

namespace catamaran::raft {
namespace {

void RunOne(std::string_view input) {
  const absl::StatusOr<Message> message = DecodeMessage(Buffer::Copy(input));
  if (!message.ok()) return;
  const std::string bytes = EncodeMessage(*message);
  CATAMARAN_CHECK(bytes.size() <= input.size(), "varints are written in their shortest form");
  const absl::StatusOr<Message> again = DecodeMessage(Buffer::Copy(bytes));
  CATAMARAN_CHECK(again.ok() && EncodeMessage(*again) == bytes, "a message survives a round trip");
  CATAMARAN_CHECK(again->term == message->term && again->from == message->from &&
                      again->body.index() == message->body.index(),
                  "it's the same message");
}

}  // namespace
}  // namespace catamaran::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::raft::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
