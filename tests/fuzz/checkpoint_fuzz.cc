// Arbitrary bytes in every small file: each decoder refuses or gives back what encodes to the same
// bytes, and a log beside a foreign checkpoint opens all the same or says what is wrong.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "storage/checkpoint_file.h"
#include "storage/log_state.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"

namespace catamaran::storage {
namespace {

void RunOne(std::string_view input) {
  for (FileKind kind : {FileKind::kTopicId, FileKind::kLogStart, FileKind::kLogCheckpoint,
                        FileKind::kOffsetIndex, FileKind::kTimeIndex}) {
    const auto body = DecodeFrame(kind, input);
    if (body.ok()) CATAMARAN_CHECK(EncodeFrame(kind, *body) == input, "a frame round trips");
  }
  DecodeTopicId(input).status().IgnoreError();
  DecodeLogStart(input).status().IgnoreError();
  // With a frame that holds, so that the body is looked at.
  const std::string framed = EncodeFrame(FileKind::kLogCheckpoint, input);
  const auto checkpoint = DecodeLogCheckpoint(framed);

  sim::SimFileSystem disk(1);
  LogHarness h(disk);
  CATAMARAN_CHECK(h.Open().ok(), "an empty log opens");
  for (int i = 0; i < 3; ++i) CATAMARAN_CHECK(h.Append(BatchSpec{}).ok(), "a batch is taken");
  h.Drop();
  CATAMARAN_CHECK(WriteFileAtomically(disk, "topic-3/checkpoint", framed).ok(), "it goes in");
  const absl::Status opened = h.Open();
  if (!checkpoint.ok()) {
    CATAMARAN_CHECK(opened.ok() && h.log().end() == Offset(3),
                    "a damaged checkpoint costs nothing");
  } else if (!opened.ok()) {
    CATAMARAN_CHECK(ReasonOf(opened) == Reason::kCorruptLog, "damage is told as damage");
  }
}

}  // namespace
}  // namespace catamaran::storage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  catamaran::storage::RunOne(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
