// The frame around every small file that storage writes: what it is, which version, how long, and a
// CRC-32C over all of it. docs/formats.md has the layout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace catamaran::storage {

// Persisted, never renumber.
enum class FileKind : uint16_t {
  kTopicId = 1,
  kLogStart = 2,
  kLogCheckpoint = 3,
  kOffsetIndex = 4,
  kTimeIndex = 5,
};

inline constexpr uint32_t kFrameMagic = 0x43544C47;  // "CTLG"
inline constexpr uint16_t kFrameVersion = 1;
inline constexpr size_t kFrameHeaderBytes = 12;  // magic u32, kind u16, version u16, length u32
inline constexpr size_t kFrameTrailerBytes = 4;  // CRC-32C of all before it
inline constexpr size_t kFramedFileBytesMax = 256u << 20;

std::string EncodeFrame(FileKind kind, std::string_view body);
// The body, a view into `file`. kCorruptLog for anything but a whole, intact file of this kind;
// kUnsupportedVersion for a newer version.
absl::StatusOr<std::string_view> DecodeFrame(FileKind kind, std::string_view file);

}  // namespace catamaran::storage
