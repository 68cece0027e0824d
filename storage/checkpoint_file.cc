#include "storage/checkpoint_file.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran::storage {

std::string EncodeFrame(FileKind kind, std::string_view body) {
  CATAMARAN_CHECK(body.size() <= kFramedFileBytesMax, "a framed file outgrew its limit");
  std::string out;
  out.reserve(kFrameHeaderBytes + body.size() + kFrameTrailerBytes);
  AppendBigEndian<uint32_t>(&out, kFrameMagic);
  AppendBigEndian<uint16_t>(&out, static_cast<uint16_t>(kind));
  AppendBigEndian<uint16_t>(&out, kFrameVersion);
  AppendBigEndian<uint32_t>(&out, static_cast<uint32_t>(body.size()));
  out.append(body);
  AppendBigEndian<uint32_t>(&out, Crc32c(out));
  return out;
}

absl::StatusOr<std::string_view> DecodeFrame(FileKind kind, std::string_view file) {
  if (file.size() < kFrameHeaderBytes + kFrameTrailerBytes) {
    return MakeError(Reason::kCorruptLog, "The file is shorter than its frame.");
  }
  const std::string_view covered = file.substr(0, file.size() - kFrameTrailerBytes);
  if (LoadBigEndian<uint32_t>(file.data() + covered.size()) != Crc32c(covered)) {
    return MakeError(Reason::kCorruptLog, "The file's checksum doesn't match its content.");
  }
  const auto magic = LoadBigEndian<uint32_t>(file.data());
  const auto found_kind = LoadBigEndian<uint16_t>(file.data() + 4);
  const auto version = LoadBigEndian<uint16_t>(file.data() + 6);
  const auto length = LoadBigEndian<uint32_t>(file.data() + 8);
  if (magic != kFrameMagic || found_kind != static_cast<uint16_t>(kind) ||
      length != covered.size() - kFrameHeaderBytes) {
    return MakeError(Reason::kCorruptLog, "The file is of another kind or length.");
  }
  if (version != kFrameVersion) {
    return MakeError(Reason::kUnsupportedVersion,
                     "The file was written by a newer release. Use that release or a later one.",
                     {{"version", std::to_string(version)}});
  }
  return covered.substr(kFrameHeaderBytes);
}

}  // namespace catamaran::storage
