// Arbitrary bytes as what a store or an entry holds. The first byte chooses the format.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "raft/core/encoding.h"
#include "raft/core/membership.h"

namespace catamaran::raft {
namespace {

void RunOne(std::string_view input) {
  if (input.empty()) return;
  const auto format = static_cast<uint8_t>(input[0]);
  input.remove_prefix(1);
  if (format % 4 == 0) {
    if (const auto value = DecodeMembership(input); value.ok()) {
      CATAMARAN_CHECK(Validate(*value).ok(), "what is read is valid");
      CATAMARAN_CHECK(*DecodeMembership(EncodeMembership(*value)) == *value, "round trip");
    }
  } else if (format % 4 == 1) {
    if (const auto value = DecodeHardState(input); value.ok()) {
      CATAMARAN_CHECK(*DecodeHardState(EncodeHardState(*value)) == *value, "round trip");
    }
  } else if (format % 4 == 2) {
    if (const auto value = DecodeSnapshotMeta(input); value.ok()) {
      CATAMARAN_CHECK(*DecodeSnapshotMeta(EncodeSnapshotMeta(*value)) == *value, "round trip");
    }
  } else if (const auto value = DecodeEntry(Buffer::Copy(input)); value.ok()) {
    const auto again = DecodeEntry(Buffer::FromString(EncodeEntry(*value)));
    CATAMARAN_CHECK(again.ok() && again->index == value->index && again->term == value->term &&
                        again->kind == value->kind &&
                        again->payload.view() == value->payload.view(),
                    "round trip");
  }
}

}  // namespace
}  // namespace catamaran::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::raft::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
