#include "storage/segment.h"

#include <cstdio>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/error.h"
#include "storage/batch_scanner.h"
#include "storage/checkpoint_file.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

constexpr size_t kOffsetDigits = 20;

absl::StatusOr<SparseIndex> ReadIndexFiles(const SegmentFiles& files, uint64_t segment_bytes) {
  CATAMARAN_ASSIGN_OR_RETURN(
      const std::string offsets,
      ReadWholeFile(files.fs, files.PathOf(kIndexSuffix), kFramedFileBytesMax));
  CATAMARAN_ASSIGN_OR_RETURN(
      const std::string times,
      ReadWholeFile(files.fs, files.PathOf(kTimeIndexSuffix), kFramedFileBytesMax));
  CATAMARAN_ASSIGN_OR_RETURN(auto offsets_body, DecodeFrame(FileKind::kOffsetIndex, offsets));
  CATAMARAN_ASSIGN_OR_RETURN(auto times_body, DecodeFrame(FileKind::kTimeIndex, times));
  return SparseIndex::Decode(offsets_body, times_body, files.base, segment_bytes);
}

// Reads the whole segment; only headers matter.
absl::StatusOr<SparseIndex> RebuildIndex(SegmentFiles& files, uint64_t segment_bytes,
                                         int64_t interval) {
  SparseIndex index;
  BatchScanner scanner(files.log, 0, segment_bytes, BatchScanner::Check::kHeader);
  TimestampMs max_timestamp = kNoTimestamp;
  for (uint64_t ordinal = 0;; ++ordinal) {
    CATAMARAN_ASSIGN_OR_RETURN(const auto step, scanner.Next());
    if (step != BatchScanner::Step::kBatch) break;
    const BatchHeader& header = scanner.header();
    index.MaybeAdd({header.base_offset, scanner.position(), ordinal, max_timestamp}, interval);
    max_timestamp = std::max(max_timestamp, header.max_timestamp);
  }
  return index;
}

}  // namespace

std::string SegmentFileName(Offset base, std::string_view suffix) {
  char digits[kOffsetDigits + 1];
  std::snprintf(digits, sizeof(digits), "%020lld", static_cast<long long>(base.value()));
  return Cat(digits, suffix);
}

std::optional<Offset> ParseSegmentFileName(std::string_view name, std::string_view suffix) {
  if (name.size() != kOffsetDigits + suffix.size() || !name.ends_with(suffix)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(0, kOffsetDigits);
  int64_t value = 0;
  if (digits.find_first_not_of("0123456789") != std::string_view::npos ||
      !absl::SimpleAtoi(ToAbsl(digits), &value)) {
    return std::nullopt;
  }
  return Offset(value);
}

PooledFile::PooledFile(FileSystem& fs, std::string path)
    : fs_(fs), path_(std::move(path)), slot_(FileHandlePool()) {}

absl::StatusOr<std::shared_ptr<File>> PooledFile::Acquire(OpenMode mode) {
  if (auto file = slot_.Get<File>()) return file;
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, fs_.Open(path_, mode));
  slot_.Put(file, 1);
  return file;
}

absl::Status PooledFile::Create() {
  slot_.Clear();
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kCreate));
  CATAMARAN_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  return size == 0 ? absl::OkStatus() : file->Truncate(0);
}

absl::Status PooledFile::WriteAt(uint64_t position, std::span<const std::string_view> parts) {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->WriteAt(position, parts);
}

absl::StatusOr<size_t> PooledFile::ReadAt(uint64_t position, char* into, size_t length) {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->ReadAt(position, into, length);
}

absl::Status PooledFile::SyncData() {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->SyncData();
}

absl::Status PooledFile::Truncate(uint64_t size) {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->Truncate(size);
}

absl::Status PooledFile::Allocate(uint64_t size) {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->Allocate(size);
}

absl::StatusOr<uint64_t> PooledFile::Size() {
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Acquire(OpenMode::kReadWrite));
  return file->Size();
}

void PooledFile::StartWriteback(uint64_t position, uint64_t length) {
  if (auto file = Acquire(OpenMode::kReadWrite); file.ok()) {
    (*file)->StartWriteback(position, length);
  }
}

SegmentFiles::SegmentFiles(FileSystem& file_system, const std::string& dir, Offset base_offset)
    : fs(file_system),
      directory(dir),
      base(base_offset),
      log(file_system, Cat(dir, "/", SegmentFileName(base_offset, kLogSuffix))),
      bind(file_system, Cat(dir, "/", SegmentFileName(base_offset, kBindSuffix))),
      index(IndexPool()) {}

std::string SegmentFiles::PathOf(std::string_view suffix) const {
  return Cat(directory, "/", SegmentFileName(base, suffix));
}

absl::StatusOr<std::shared_ptr<const SparseIndex>> LoadSegmentIndex(SegmentFiles& files,
                                                                    uint64_t segment_bytes,
                                                                    int64_t interval) {
  if (auto cached = files.index.Get<const SparseIndex>()) return cached;
  absl::StatusOr<SparseIndex> index = ReadIndexFiles(files, segment_bytes);
  if (!index.ok()) {
    index = RebuildIndex(files, segment_bytes, interval);
    CATAMARAN_RETURN_IF_ERROR(index.status());
    // Only saves the next rebuild: a full disk is no reason to refuse the read.
    WriteSegmentIndex(files, *index).IgnoreError();
  }
  auto shared = std::make_shared<SparseIndex>(*std::move(index));
  files.index.Put(shared, shared->memory_bytes() + sizeof(SparseIndex));
  return shared;
}

absl::Status WriteSegmentIndex(const SegmentFiles& files, const SparseIndex& index) {
  CATAMARAN_RETURN_IF_ERROR(
      WriteFileAtomically(files.fs, files.PathOf(kIndexSuffix),
                          EncodeFrame(FileKind::kOffsetIndex, index.EncodeOffsets())));
  return WriteFileAtomically(files.fs, files.PathOf(kTimeIndexSuffix),
                             EncodeFrame(FileKind::kTimeIndex, index.EncodeTimes()));
}

}  // namespace catamaran::storage
