// Metadata from a disk: the first byte chooses between a file's frames and a snapshot part whose
// records are replayed. Whatever they are, replay ends; what it accepts is an image that rebuilds
// from its own records.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "metadata/metadata_frames.h"
#include "metadata/replay.h"

namespace catamaran::metadata {
namespace {

void Scan(std::string_view bytes) {
  ScannedFile scanned;
  absl::Status status = ScanFile(bytes, kLogMagic, &scanned);
  if (!status.ok()) {
    CATAMARAN_CHECK(ReasonOf(status) == Reason::kUnsupportedVersion, "every refusal is typed");
    return;
  }
  CATAMARAN_CHECK(scanned.good_end <= bytes.size(), "what is good lies in the file");
  for (const Frame& frame : scanned.frames) {
    CATAMARAN_CHECK(frame.position + kFrameHeaderBytes + frame.payload.size() <= scanned.good_end,
                    "frames lie in the good part");
  }
}

void Replay(std::string_view bytes) {
  internal::v1::MetadataSnapshotPart part;
  if (!part.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  ImageBuilder builder(std::make_shared<MetadataImage>());
  for (const Record& record : part.records()) {
    absl::Status status = builder.Replay(record);
    if (status.ok()) continue;
    Reason reason = ReasonOf(status);
    CATAMARAN_CHECK(reason == Reason::kCorruptLog || reason == Reason::kUnsupportedVersion,
                    "every refusal is typed");
    return;
  }
  absl::StatusOr<ImageBuilder::Built> built = builder.Build();
  if (!built.ok()) return;
  absl::StatusOr<ImageRef> rebuilt =
      LoadSnapshot(SnapshotRecords(*built->image), built->image->revision());
  CATAMARAN_CHECK(rebuilt.ok(), "an image rebuilds from its own records");
  CATAMARAN_CHECK(**rebuilt == *built->image, "and is the same");
}

}  // namespace
}  // namespace catamaran::metadata

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // protobuf tells of every invalid string on stderr.
  static const bool kQuiet = (google::protobuf::SetLogHandler(nullptr), true);
  (void)kQuiet;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 2 == 0) {
    catamaran::metadata::Scan(bytes);
  } else {
    catamaran::metadata::Replay(bytes);
  }
  return 0;
}
