#include "metadata/metadata_frames.h"

#include <optional>

#include "base/crc32c.h"
#include "base/error.h"
#include "base/varint.h"
#include "metadata/metadata_log.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

constexpr size_t kLengthAt = 4;
constexpr size_t kCrcAt = 8;
constexpr size_t kAppendStartAt = 12;
constexpr size_t kVersionAt = 8;
constexpr size_t kHeaderCrcAt = 12;

uint32_t FrameCrc(const char* header, std::string_view payload) {
  uint32_t crc = Crc32c(std::string_view(header + kLengthAt, 4));
  crc = ExtendCrc32c(crc, std::string_view(header + kAppendStartAt, 8));
  return ExtendCrc32c(crc, payload);
}

std::optional<Frame> ReadFrame(std::string_view bytes, uint64_t position) {
  if (bytes.size() - position < kFrameHeaderBytes) return std::nullopt;
  const char* header = bytes.data() + position;
  if (LoadBigEndian<uint32_t>(header) != kFrameMarker) return std::nullopt;
  uint32_t length = LoadBigEndian<uint32_t>(header + kLengthAt);
  if (length > kMetadataEntryBytesMax || length > bytes.size() - position - kFrameHeaderBytes) {
    return std::nullopt;
  }
  std::string_view payload = bytes.substr(position + kFrameHeaderBytes, length);
  if (FrameCrc(header, payload) != LoadBigEndian<uint32_t>(header + kCrcAt)) return std::nullopt;
  Frame frame{position, LoadBigEndian<uint64_t>(header + kAppendStartAt), payload};
  if (frame.append_start > position) return std::nullopt;
  return frame;
}

// Whether a good frame of an append that began behind `damage` follows.
bool LaterAppendFollows(std::string_view bytes, uint64_t damage) {
  char marker[4];
  StoreBigEndian<uint32_t>(marker, kFrameMarker);
  std::string_view wanted(marker, sizeof(marker));
  for (size_t at = bytes.find(wanted, damage); at != std::string_view::npos;
       at = bytes.find(wanted, at + 1)) {
    std::optional<Frame> frame = ReadFrame(bytes, at);
    if (frame && frame->append_start > damage) return true;
  }
  return false;
}

bool IsGoodHeader(std::string_view bytes, std::string_view magic) {
  return bytes.size() >= kFileHeaderBytes && bytes.substr(0, kVersionAt) == magic &&
         Crc32c(bytes.substr(0, kHeaderCrcAt)) ==
             LoadBigEndian<uint32_t>(bytes.data() + kHeaderCrcAt);
}

}  // namespace

std::string EncodeFileHeader(std::string_view magic) {
  std::string header(magic);
  AppendBigEndian<uint32_t>(&header, kMetadataFormatVersion);
  AppendBigEndian<uint32_t>(&header, Crc32c(header));
  return header;
}

void AppendFrame(std::string_view payload, uint64_t append_start, std::string* out) {
  char header[kFrameHeaderBytes];
  StoreBigEndian<uint32_t>(header, kFrameMarker);
  StoreBigEndian<uint32_t>(header + kLengthAt, static_cast<uint32_t>(payload.size()));
  StoreBigEndian<uint64_t>(header + kAppendStartAt, append_start);
  StoreBigEndian<uint32_t>(header + kCrcAt, FrameCrc(header, payload));
  out->append(header, sizeof(header));
  out->append(payload);
}

absl::Status ScanFile(std::string_view bytes, std::string_view magic, ScannedFile* scanned) {
  *scanned = ScannedFile{};
  if (IsGoodHeader(bytes, magic)) {
    uint32_t version = LoadBigEndian<uint32_t>(bytes.data() + kVersionAt);
    if (version != kMetadataFormatVersion) {
      return MakeError(
          Reason::kUnsupportedVersion,
          Cat("A metadata file has format version ", version, "; this program reads version ",
              kMetadataFormatVersion, ". Run the version that wrote it, or a newer one."),
          {{"version", Cat(version)}});
    }
    scanned->good_end = kFileHeaderBytes;
    while (scanned->good_end < bytes.size()) {
      std::optional<Frame> frame = ReadFrame(bytes, scanned->good_end);
      if (!frame) break;
      scanned->frames.push_back(*frame);
      scanned->good_end += kFrameHeaderBytes + frame->payload.size();
    }
    if (scanned->good_end == bytes.size()) return absl::OkStatus();
  }
  scanned->end = LaterAppendFollows(bytes, scanned->good_end) ? ScannedFile::End::kDamaged
                                                              : ScannedFile::End::kTorn;
  return absl::OkStatus();
}

}  // namespace catamaran::metadata
