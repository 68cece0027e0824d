// The compression codecs. Contexts live per thread and are reused: making one costs more than
// compressing a small batch.
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/batch/batch.h"
#include "base/batch/record_parser.h"
#include "base/check.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran {
namespace {

// Above any limit that is asked for: keeps sizes within what every codec's interface can count.
constexpr size_t kCodecBytesLimit = size_t{1} << 30;
// A context that grew beyond this (large windows or blocks) is dropped after use.
constexpr size_t kRetainedContextBytes = 4u << 20;
constexpr size_t kOutputBytesMin = 1024;
// How far an output is sized ahead on a stream's word: at most this many times the input.
constexpr size_t kTrustedRatio = 32;
constexpr size_t kUsualRatio = 4;  // where the stream doesn't say its size

constexpr int kGzipLevelMin = 1, kGzipLevelMax = 9, kGzipMemLevel = 8;
constexpr int kGzipWindowBits = 15 + 16;  // 32 KiB window, gzip wrapper (RFC 1952)
constexpr int kLz4LevelMin = 1, kLz4LevelMax = 12, kLz4LevelDefault = 1;
constexpr int kZstdLevelMin = 1, kZstdLevelMax = 22, kZstdLevelDefault = 3;

// xerial's framing of snappy: magic, version, oldest compatible version, then blocks.
constexpr std::string_view kXerialMagic("\x82SNAPPY\0", 8);
constexpr int32_t kXerialVersion = 1;
constexpr size_t kXerialBlockBytes = 32u << 10;
// A snappy element makes at most 64 bytes out of 3, so a greater claim is a lie.
constexpr size_t kSnappyRatioMax = 22;

// For messages.
std::string Name(Codec codec) { return std::string(CodecName(codec)); }

absl::Status Damaged(Codec codec, const char* what) {
  return MakeError(Reason::kCorruptBatch,
                   absl::StrCat("The ", Name(codec), " stream of the record batch is damaged: ",
                                what, ". Compress the records again, or send them uncompressed."),
                   {{"codec", Name(codec)}});
}

absl::Status TooLarge(Codec codec, size_t limit) {
  return MakeError(Reason::kRecordTooLarge,
                   absl::StrCat("The ", Name(codec), " stream of the record batch holds more than ",
                                limit, " bytes. Send fewer records in a batch."),
                   {{"codec", Name(codec)}, {"limit", absl::StrCat(limit)}});
}

absl::Status UnknownCodec(Codec codec) {
  return MakeError(Reason::kUnsupportedCompression,
                   absl::StrCat("Codec number ", static_cast<int>(codec),
                                " is unknown. Use none, gzip, snappy, lz4 or zstd."),
                   {{"codec", absl::StrCat(static_cast<int>(codec))}});
}

// Where a decompressor writes: grows as bytes come, up to one byte more than the limit, which is
// how an excess shows.
class BoundedOutput {
 public:
  BoundedOutput(std::string* out, size_t limit, size_t expected) : out_(*out), limit_(limit) {
    out_.resize(std::clamp(expected, kOutputBytesMin, std::max(kOutputBytesMin, limit_ + 1)));
  }
  // Room for at least one more byte; false when the limit is exceeded.
  bool MakeRoom() {
    if (used_ > limit_) return false;
    if (used_ == out_.size()) out_.resize(std::min(out_.size() * 2, limit_ + 1));
    return true;
  }
  char* at() { return out_.data() + used_; }
  size_t room() const { return out_.size() - used_; }
  void Advance(size_t bytes) { used_ += bytes; }
  // Cuts the string to what was written; false when that exceeds the limit.
  bool Finish() {
    out_.resize(used_);
    return used_ <= limit_;
  }

 private:
  std::string& out_;
  const size_t limit_;
  size_t used_ = 0;
};

size_t Expected(size_t claimed, size_t input) { return std::min(claimed, input * kTrustedRatio); }

// ---- gzip ----

struct Deflater {
  z_stream stream{};
  int level = 0;  // 0: not made yet
  ~Deflater() {
    if (level != 0) deflateEnd(&stream);
  }
  bool Reset(int wanted) {
    if (level == wanted) return deflateReset(&stream) == Z_OK;
    if (level != 0) deflateEnd(&stream);
    stream = z_stream{};
    level = 0;
    if (deflateInit2(&stream, wanted, Z_DEFLATED, kGzipWindowBits, kGzipMemLevel,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      return false;
    }
    level = wanted;
    return true;
  }
};

struct Inflater {
  z_stream stream{};
  bool made = false;
  ~Inflater() {
    if (made) inflateEnd(&stream);
  }
  bool Reset() {
    if (made) return inflateReset(&stream) == Z_OK;
    made = inflateInit2(&stream, kGzipWindowBits) == Z_OK;
    return made;
  }
};

Bytef* Bytes(const char* at) { return reinterpret_cast<Bytef*>(const_cast<char*>(at)); }

void GzipCompress(std::string_view bytes, int level, std::string* out) {
  thread_local Deflater deflater;
  CATAMARAN_CHECK(deflater.Reset(level), "zlib has no memory for a context");
  z_stream& z = deflater.stream;
  const size_t start = out->size();
  out->resize(start + deflateBound(&z, bytes.size()));
  z.next_in = Bytes(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = Bytes(out->data() + start);
  z.avail_out = static_cast<uInt>(out->size() - start);
  CATAMARAN_CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflateBound bounds the output");
  out->resize(out->size() - z.avail_out);
}

// RFC 1952 allows several members one after another; Java's reader takes them too.
absl::Status GzipDecompress(std::string_view bytes, size_t limit, std::string* out) {
  thread_local Inflater inflater;
  CATAMARAN_CHECK(inflater.Reset(), "zlib has no memory for a context");
  // The last four bytes are the length modulo 2^32, little-endian: a hint, no more.
  size_t claimed = 0;
  if (bytes.size() >= 4) {
    claimed = ByteSwap(LoadBigEndian<uint32_t>(bytes.data() + bytes.size() - 4));
  }
  BoundedOutput output(out, limit, Expected(claimed, bytes.size()) + 1);
  z_stream& z = inflater.stream;
  z.next_in = Bytes(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  for (;;) {
    if (!output.MakeRoom()) return TooLarge(Codec::kGzip, limit);
    const size_t room = output.room();
    z.next_out = Bytes(output.at());
    z.avail_out = static_cast<uInt>(room);
    const int result = inflate(&z, Z_NO_FLUSH);
    output.Advance(room - z.avail_out);
    if (result == Z_STREAM_END) {
      if (z.avail_in == 0) break;
      if (inflateReset(&z) != Z_OK) return Damaged(Codec::kGzip, "it can't be read on");
    } else if (result != Z_OK && !(result == Z_BUF_ERROR && z.avail_out == 0)) {
      return Damaged(Codec::kGzip,
                     result == Z_BUF_ERROR ? "it is cut off" : "it isn't well-formed");
    }
  }
  return output.Finish() ? absl::OkStatus() : TooLarge(Codec::kGzip, limit);
}

// ---- snappy ----

// xerial's framing, which Java and kafka-python write; every known client reads it.
void SnappyCompress(std::string_view bytes, std::string* out) {
  out->append(kXerialMagic);
  AppendBigEndian<int32_t>(out, kXerialVersion);
  AppendBigEndian<int32_t>(out, kXerialVersion);
  for (size_t at = 0; at < bytes.size(); at += kXerialBlockBytes) {
    const std::string_view block = bytes.substr(at, kXerialBlockBytes);
    const size_t start = out->size();
    out->resize(start + sizeof(int32_t) + snappy::MaxCompressedLength(block.size()));
    size_t size = 0;
    snappy::RawCompress(block.data(), block.size(), out->data() + start + sizeof(int32_t), &size);
    StoreBigEndian<int32_t>(out->data() + start, static_cast<int32_t>(size));
    out->resize(start + sizeof(int32_t) + size);
  }
}

// Appends one raw block. The claimed length is checked before anything is allocated for it.
absl::Status SnappyBlock(std::string_view block, size_t limit, std::string* out) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &size)) {
    return Damaged(Codec::kSnappy, "a block has no readable length");
  }
  if (size > limit - out->size()) return TooLarge(Codec::kSnappy, limit);
  if (size / kSnappyRatioMax > block.size()) {
    return Damaged(Codec::kSnappy, "a block claims more bytes than it can hold");
  }
  const size_t start = out->size();
  out->resize(start + size);
  if (!snappy::RawUncompress(block.data(), block.size(), out->data() + start)) {
    return Damaged(Codec::kSnappy, "a block isn't well-formed");
  }
  return absl::OkStatus();
}

absl::Status SnappyDecompress(std::string_view bytes, size_t limit, std::string* out) {
  out->clear();
  // librdkafka writes one raw block without framing.
  if (bytes.substr(0, kXerialMagic.size()) != kXerialMagic) return SnappyBlock(bytes, limit, out);
  ByteReader reader(bytes.substr(kXerialMagic.size()));
  reader.ReadBigEndian<int32_t>();  // version: only the compatible one counts
  const auto compatible = reader.ReadBigEndian<int32_t>();
  if (!reader.ok() || compatible != kXerialVersion) {
    return Damaged(Codec::kSnappy, "its framing has an unknown version");
  }
  while (reader.remaining() > 0) {
    const auto size = reader.ReadBigEndian<int32_t>();
    if (size < 0) return Damaged(Codec::kSnappy, "a block has a negative size");
    const std::string_view block = reader.ReadBytes(static_cast<size_t>(size));
    if (!reader.ok()) return Damaged(Codec::kSnappy, "it is cut off");
    CATAMARAN_RETURN_IF_ERROR(SnappyBlock(block, limit, out));
  }
  return absl::OkStatus();
}

// ---- lz4 ----

// Independent blocks of 64 KiB without checksums, as Java writes them: Java's reader refuses
// dependent blocks, and the batch has a CRC of its own.
void Lz4Compress(std::string_view bytes, int level, std::string* out) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level;
  const size_t start = out->size();
  out->resize(start + LZ4F_compressFrameBound(bytes.size(), &preferences));
  const size_t size = LZ4F_compressFrame(out->data() + start, out->size() - start, bytes.data(),
                                         bytes.size(), &preferences);
  CATAMARAN_CHECK(LZ4F_isError(size) == 0, "LZ4F_compressFrameBound bounds the output");
  out->resize(start + size);
}

struct Lz4ContextDeleter {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};
using Lz4Context = std::unique_ptr<LZ4F_dctx, Lz4ContextDeleter>;

absl::Status Lz4Frame(LZ4F_dctx* context, std::string_view bytes, size_t limit, std::string* out) {
  const char* at = bytes.data();
  size_t left = bytes.size();
  LZ4F_frameInfo_t info{};
  size_t header_bytes = left;
  if (LZ4F_isError(LZ4F_getFrameInfo(context, &info, at, &header_bytes)) != 0) {
    return Damaged(Codec::kLz4, "its frame header isn't well-formed");
  }
  if (info.blockMode != LZ4F_blockIndependent) {
    return Damaged(Codec::kLz4,
                   "its blocks depend on each other, which Kafka's clients can't read; turn block "
                   "linking off");
  }
  at += header_bytes;
  left -= header_bytes;
  const size_t expected = info.contentSize != 0 ? Expected(info.contentSize, bytes.size()) + 1
                                                : bytes.size() * kUsualRatio;
  BoundedOutput output(out, limit, expected);
  for (;;) {
    if (!output.MakeRoom()) return TooLarge(Codec::kLz4, limit);
    size_t produced = output.room();
    size_t consumed = left;
    const size_t hint = LZ4F_decompress(context, output.at(), &produced, at, &consumed, nullptr);
    if (LZ4F_isError(hint) != 0) return Damaged(Codec::kLz4, "it isn't well-formed");
    output.Advance(produced);
    at += consumed;
    left -= consumed;
    if (hint == 0) break;
    if (produced == 0 && consumed == 0) return Damaged(Codec::kLz4, "it is cut off");
  }
  if (left != 0) return Damaged(Codec::kLz4, "bytes follow its end mark");
  return output.Finish() ? absl::OkStatus() : TooLarge(Codec::kLz4, limit);
}

absl::Status Lz4Decompress(std::string_view bytes, size_t limit, std::string* out) {
  thread_local Lz4Context context;
  if (context == nullptr) {
    LZ4F_dctx* made = nullptr;
    const bool failed = LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) != 0;
    CATAMARAN_CHECK(!failed, "lz4 has no memory for a context");
    context.reset(made);
  }
  LZ4F_resetDecompressionContext(context.get());
  absl::Status status = Lz4Frame(context.get(), bytes, limit, out);
  // Descriptor byte 2 of the frame names the block size, which is what the context's buffers cost.
  constexpr size_t kBlockSizeAt = 5;
  constexpr int kBlockSize256KiB = 5;
  if (bytes.size() > kBlockSizeAt && ((bytes[kBlockSizeAt] >> 4) & 7) > kBlockSize256KiB) {
    context.reset();
  }
  return status;
}

// ---- zstd ----

struct ZstdContextDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

void ZstdCompress(std::string_view bytes, int level, std::string* out) {
  thread_local std::unique_ptr<ZSTD_CCtx, ZstdContextDeleter> context;
  if (context == nullptr) context.reset(ZSTD_createCCtx());
  CATAMARAN_CHECK(context != nullptr, "zstd has no memory for a context");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  const size_t start = out->size();
  out->resize(start + ZSTD_compressBound(bytes.size()));
  const size_t size = ZSTD_compress2(context.get(), out->data() + start, out->size() - start,
                                     bytes.data(), bytes.size());
  CATAMARAN_CHECK(ZSTD_isError(size) == 0, "ZSTD_compressBound bounds the output");
  out->resize(start + size);
  if (ZSTD_sizeof_CCtx(context.get()) > kRetainedContextBytes) context.reset();
}

absl::Status ZstdFrames(ZSTD_DCtx* context, std::string_view bytes, size_t limit,
                        std::string* out) {
  const unsigned long long claimed = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (claimed == ZSTD_CONTENTSIZE_ERROR) {
    return Damaged(Codec::kZstd, "its frame header isn't well-formed");
  }
  const bool known = claimed != ZSTD_CONTENTSIZE_UNKNOWN;
  if (known && claimed > limit) return TooLarge(Codec::kZstd, limit);
  BoundedOutput output(out, limit,
                       known ? Expected(claimed, bytes.size()) + 1 : bytes.size() * kUsualRatio);
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    if (!output.MakeRoom()) return TooLarge(Codec::kZstd, limit);
    ZSTD_outBuffer to{output.at(), output.room(), 0};
    const size_t before = in.pos;
    const size_t hint = ZSTD_decompressStream(context, &to, &in);
    if (ZSTD_isError(hint) != 0) return Damaged(Codec::kZstd, ZSTD_getErrorName(hint));
    output.Advance(to.pos);
    if (hint == 0 && in.pos == in.size) break;
    if (to.pos == 0 && in.pos == before) return Damaged(Codec::kZstd, "it is cut off");
  }
  return output.Finish() ? absl::OkStatus() : TooLarge(Codec::kZstd, limit);
}

absl::Status ZstdDecompress(std::string_view bytes, size_t limit, std::string* out) {
  thread_local std::unique_ptr<ZSTD_DCtx, ZstdContextDeleter> context;
  if (context == nullptr) context.reset(ZSTD_createDCtx());
  CATAMARAN_CHECK(context != nullptr, "zstd has no memory for a context");
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  absl::Status status = ZstdFrames(context.get(), bytes, limit, out);
  if (ZSTD_sizeof_DCtx(context.get()) > kRetainedContextBytes) context.reset();
  return status;
}

// The level to use: `fallback` when none was asked for.
absl::StatusOr<int> LevelIn(Codec codec, std::optional<int> level, int low, int high,
                            int fallback) {
  const int wanted = level.value_or(fallback);
  if (wanted >= low && wanted <= high) return wanted;
  return MakeError(Reason::kInvalidArgument,
                   absl::StrCat("Codec ", Name(codec), " has no level ", wanted, ". Use ", low,
                                " to ", high, ", or none for the default."),
                   {{"codec", Name(codec)}, {"level", absl::StrCat(wanted)}});
}

absl::Status CheckNoLevel(Codec codec, std::optional<int> level) {
  if (!level.has_value()) return absl::OkStatus();
  return MakeError(Reason::kInvalidArgument,
                   absl::StrCat("Codec ", Name(codec), " has no levels. Leave the level out."),
                   {{"codec", Name(codec)}, {"level", absl::StrCat(*level)}});
}

constexpr std::string_view kCodecNames[kCodecs] = {"none", "gzip", "snappy", "lz4", "zstd"};

}  // namespace

std::string_view CodecName(Codec codec) {
  const auto number = static_cast<size_t>(codec);
  return number < kCodecs ? kCodecNames[number] : "unknown";
}

std::optional<Codec> CodecFromName(std::string_view name) {
  for (int i = 0; i < kCodecs; ++i) {
    if (kCodecNames[i] == name) return static_cast<Codec>(i);
  }
  return std::nullopt;
}

absl::Status CompressTo(Codec codec, std::string_view bytes, std::optional<int> level,
                        std::string* out) {
  if (bytes.size() > kCodecBytesLimit) return TooLarge(codec, kCodecBytesLimit);
  switch (codec) {
    case Codec::kNone:
      CATAMARAN_RETURN_IF_ERROR(CheckNoLevel(codec, level));
      out->append(bytes);
      return absl::OkStatus();
    case Codec::kGzip: {
      constexpr int kGzipLevelDefault = 6;  // zlib's
      CATAMARAN_ASSIGN_OR_RETURN(
          const int n, LevelIn(codec, level, kGzipLevelMin, kGzipLevelMax, kGzipLevelDefault));
      GzipCompress(bytes, n, out);
      return absl::OkStatus();
    }
    case Codec::kSnappy:
      CATAMARAN_RETURN_IF_ERROR(CheckNoLevel(codec, level));
      SnappyCompress(bytes, out);
      return absl::OkStatus();
    case Codec::kLz4: {
      CATAMARAN_ASSIGN_OR_RETURN(
          const int n, LevelIn(codec, level, kLz4LevelMin, kLz4LevelMax, kLz4LevelDefault));
      Lz4Compress(bytes, n, out);
      return absl::OkStatus();
    }
    case Codec::kZstd: {
      CATAMARAN_ASSIGN_OR_RETURN(
          const int n, LevelIn(codec, level, kZstdLevelMin, kZstdLevelMax, kZstdLevelDefault));
      ZstdCompress(bytes, n, out);
      return absl::OkStatus();
    }
  }
  return UnknownCodec(codec);
}

absl::Status DecompressTo(Codec codec, std::string_view bytes, size_t limit, std::string* out) {
  limit = std::min(limit, kCodecBytesLimit);
  if (bytes.size() > kCodecBytesLimit) return TooLarge(codec, kCodecBytesLimit);
  switch (codec) {
    case Codec::kNone:
      if (bytes.size() > limit) return TooLarge(codec, limit);
      out->assign(bytes);
      return absl::OkStatus();
    case Codec::kGzip:
      return GzipDecompress(bytes, limit, out);
    case Codec::kSnappy:
      return SnappyDecompress(bytes, limit, out);
    case Codec::kLz4:
      return Lz4Decompress(bytes, limit, out);
    case Codec::kZstd:
      return ZstdDecompress(bytes, limit, out);
  }
  return UnknownCodec(codec);
}

absl::StatusOr<std::string> Compress(Codec codec, std::string_view bytes,
                                     std::optional<int> level) {
  std::string out;
  CATAMARAN_RETURN_IF_ERROR(CompressTo(codec, bytes, level, &out));
  return out;
}

absl::StatusOr<std::string> Decompress(Codec codec, std::string_view bytes, size_t limit) {
  std::string out;
  CATAMARAN_RETURN_IF_ERROR(DecompressTo(codec, bytes, limit, &out));
  return out;
}

}  // namespace catamaran
