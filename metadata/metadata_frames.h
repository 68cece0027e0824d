// The bytes of metadata files. All integers are big-endian.
//
//   file     := header frame*
//   header   := magic:8 version:4 crc32c(magic version):4
//   frame    := marker:4 length:4 crc32c:4 append_start:8 payload:length
//   crc32c   over length, append_start and payload
//
// `append_start` is the position in the file at which the append that wrote the frame began. One
// append is in flight at a time and synced before the next, so a damaged frame is a torn tail
// exactly when no good frame of a later append follows it: one whose append_start lies behind the
// damage. Later frames of the same append prove nothing, since a disk may keep the end of an
// unsynced write and lose its beginning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace catamaran::metadata {

inline constexpr std::string_view kLogMagic = "catameta";
inline constexpr std::string_view kSnapshotMagic = "catasnap";
inline constexpr uint32_t kMetadataFormatVersion = 1;
inline constexpr size_t kFileHeaderBytes = 16;
inline constexpr size_t kFrameHeaderBytes = 20;
inline constexpr uint32_t kFrameMarker = 0x436d5265;  // "CmRe"

std::string EncodeFileHeader(std::string_view magic);
void AppendFrame(std::string_view payload, uint64_t append_start, std::string* out);

struct Frame {
  uint64_t position = 0;
  uint64_t append_start = 0;
  std::string_view payload;
};

struct ScannedFile {
  enum class End : uint8_t {
    kClean,    // the last frame ends the file
    kTorn,     // an append was cut: nothing from `good_end` on was acknowledged
    kDamaged,  // good data follows what is damaged at `good_end`
  };
  End end = End::kClean;
  std::vector<Frame> frames;  // views into the bytes scanned
  uint64_t good_end = 0;      // 0: not even the header is good
};
// kUnsupportedVersion when the header is good and of another version.
absl::Status ScanFile(std::string_view bytes, std::string_view magic, ScannedFile* scanned);

}  // namespace catamaran::metadata
