// The metadata log of a single broker: files of frames (metadata/metadata_frames.h). A snapshot
// closes the file being written; the next append begins a new one, and files that the snapshot
// covers are removed.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "metadata/metadata_frames.h"
#include "metadata/metadata_log.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

constexpr std::string_view kSnapshotName = "snapshot";
constexpr std::string_view kLogPrefix = "log-";
constexpr size_t kRevisionDigits = 20;

std::string LogName(MetadataRevision first) {
  char digits[kRevisionDigits + 1];
  std::snprintf(digits, sizeof(digits), "%020lld", static_cast<long long>(first.value()));
  return Cat(kLogPrefix, digits);
}

// nullopt for a name that isn't a log file's.
std::optional<MetadataRevision> RevisionOfName(std::string_view name) {
  if (!name.starts_with(kLogPrefix)) return std::nullopt;
  std::string_view digits = name.substr(kLogPrefix.size());
  std::optional<int64_t> revision = ParseNumber<int64_t>(digits);
  if (digits.size() != kRevisionDigits || !revision || *revision < 1) return std::nullopt;
  return MetadataRevision(*revision);
}

absl::Status Corrupt(const std::string& path, std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   Cat("The metadata file '", path, "' is damaged: ", what,
                       ". Nothing was changed. Restore the directory from a copy."),
                   {{"path", path}});
}

// Records that fit into one entry, from `from` on; at least one.
size_t EntryEnd(const std::vector<Record>& records, size_t from) {
  size_t bytes = 64;  // the entry's own fields and slack for field headers
  size_t end = from;
  while (end < records.size()) {
    bytes += records[end].ByteSizeLong() + 8;
    if (bytes > kMetadataEntryBytesMax && end > from) break;
    ++end;
  }
  return end;
}

std::string EncodeBatches(const std::vector<RecordBatch>& batches, uint64_t append_start) {
  std::string out = append_start == 0 ? EncodeFileHeader(kLogMagic) : std::string();
  for (const RecordBatch& batch : batches) {
    for (size_t at = 0; at < batch.records.size();) {
      size_t end = EntryEnd(batch.records, at);
      internal::v1::MetadataEntry entry;
      entry.set_first_revision(batch.first.value() + static_cast<int64_t>(at));
      for (size_t i = at; i < end; ++i) *entry.add_records() = batch.records[i];
      AppendFrame(entry.SerializeAsString(), append_start, &out);
      at = end;
    }
  }
  return out;
}

std::string EncodeSnapshot(MetadataRevision revision, const std::vector<Record>& records) {
  std::string out = EncodeFileHeader(kSnapshotMagic);
  size_t at = 0;
  do {
    size_t end = EntryEnd(records, at);
    internal::v1::MetadataSnapshotPart part;
    part.set_revision(revision.value());
    for (size_t i = at; i < end; ++i) *part.add_records() = records[i];
    if (end == records.size()) part.set_total_records(static_cast<int64_t>(records.size()));
    AppendFrame(part.SerializeAsString(), 0, &out);
    at = end;
  } while (at < records.size());
  return out;
}

// The file that appends go to.
struct ActiveFile {
  std::string path;
  std::shared_ptr<File> file;
  uint64_t end = 0;
};

struct AppendResult {
  absl::Status status;
  bool latches = false;
  ActiveFile active;
};

// Blocking, on the pool.
AppendResult RunAppend(FileSystem& fs, const std::string& directory, ActiveFile active,
                       const std::vector<RecordBatch>& batches) {
  AppendResult result;
  bool is_new = active.file == nullptr;
  if (is_new) {
    active.path = Cat(directory, "/", LogName(batches.front().first));
    // kCreate: a file that a failed append left behind is written over from its beginning.
    absl::StatusOr<std::shared_ptr<File>> file = fs.Open(active.path, OpenMode::kCreate);
    if (!file.ok()) {  // nothing was written, so nothing is unknown
      result.status = file.status();
      return result;
    }
    active.file = *std::move(file);
    active.end = 0;
  }
  std::string bytes = EncodeBatches(batches, active.end);
  result.status = active.file->WriteAt(active.end, bytes);
  if (!result.status.ok()) {
    // Undone durably: bytes of refused commands must not come back after a crash.
    bool undone = ReasonOf(result.status) == Reason::kStorageFull &&
                  active.file->Truncate(active.end).ok() && active.file->SyncData().ok();
    result.latches = !undone;
    if (!is_new) result.active = std::move(active);
    return result;
  }
  result.status = active.file->SyncData();
  if (result.status.ok() && is_new) result.status = fs.SyncDirectory(directory);
  result.latches = !result.status.ok();
  active.end += bytes.size();
  result.active = std::move(active);
  return result;
}

// Reads everything; blocking.
class Reader {
 public:
  Reader(FileSystem& fs, std::string directory) : fs_(fs), directory_(std::move(directory)) {}

  absl::StatusOr<LogContents> Read() {
    CATAMARAN_RETURN_IF_ERROR(fs_.MakeDirectory(directory_));
    CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(ParentDirectory(directory_)));
    CATAMARAN_RETURN_IF_ERROR(ReadSnapshot());
    CATAMARAN_ASSIGN_OR_RETURN(std::vector<FileInfo> files, fs_.List(directory_));
    std::vector<MetadataRevision> logs;
    for (const FileInfo& file : files) {
      if (std::optional<MetadataRevision> first = RevisionOfName(file.name)) logs.push_back(*first);
    }
    std::sort(logs.begin(), logs.end());
    for (size_t i = 0; i < logs.size(); ++i) {
      CATAMARAN_RETURN_IF_ERROR(ReadLog(logs[i], i + 1 == logs.size()));
    }
    return std::move(contents_);
  }
  ActiveFile active() { return std::move(active_); }
  std::vector<std::string> log_files() { return log_files_; }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status ReadSnapshot();
  absl::Status ReadLog(MetadataRevision first, bool is_last);
  absl::Status TakeEntry(const std::string& path, const Frame& frame);
  absl::Status MakeDurable(const std::string& path, File& file, std::string_view good);

  FileSystem& fs_;
  const std::string directory_;
  LogContents contents_;
  MetadataRevision next_{1};  // revision that the next entry begins with
  // A batch between begin and end records, and where in the file it began.
  std::optional<RecordBatch> open_batch_;
  uint64_t open_batch_position_ = 0;
  ActiveFile active_;
  std::vector<std::string> log_files_;
  uint64_t bytes_ = 0;
};

absl::Status Reader::ReadSnapshot() {
  std::string path = Cat(directory_, "/", kSnapshotName);
  absl::StatusOr<std::string> bytes = ReadWholeFile(fs_, path, kMetadataFileBytesMax);
  if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
  CATAMARAN_RETURN_IF_ERROR(bytes.status());
  ScannedFile scanned;
  CATAMARAN_RETURN_IF_ERROR(ScanFile(*bytes, kSnapshotMagic, &scanned));
  // Written atomically: whatever isn't whole is damaged.
  if (scanned.end != ScannedFile::End::kClean || scanned.frames.empty()) {
    return Corrupt(path, Cat("it is not whole at byte ", scanned.good_end));
  }
  for (size_t i = 0; i < scanned.frames.size(); ++i) {
    internal::v1::MetadataSnapshotPart part;
    std::string_view payload = scanned.frames[i].payload;
    if (!part.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return Corrupt(path, Cat("part ", i, " can't be read"));
    }
    bool is_last = i + 1 == scanned.frames.size();
    if (part.revision() < 0 || part.has_total_records() != is_last ||
        (i > 0 && part.revision() != contents_.snapshot_revision.value())) {
      return Corrupt(path, Cat("part ", i, " doesn't belong to it"));
    }
    contents_.snapshot_revision = MetadataRevision(part.revision());
    for (Record& record : *part.mutable_records()) contents_.snapshot.push_back(std::move(record));
    if (is_last && part.total_records() != static_cast<int64_t>(contents_.snapshot.size())) {
      return Corrupt(path, "parts are missing");
    }
  }
  next_ = contents_.snapshot_revision + 1;
  return absl::OkStatus();
}

absl::Status Reader::ReadLog(MetadataRevision first, bool is_last) {
  std::string path = Cat(directory_, "/", LogName(first));
  CATAMARAN_ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(fs_, path, kMetadataFileBytesMax));
  ScannedFile scanned;
  CATAMARAN_RETURN_IF_ERROR(ScanFile(bytes, kLogMagic, &scanned));
  log_files_.push_back(path);
  if (scanned.end == ScannedFile::End::kDamaged ||
      (scanned.end == ScannedFile::End::kTorn && !is_last)) {
    return Corrupt(path, Cat("good data follows what can't be read at byte ", scanned.good_end));
  }
  for (const Frame& frame : scanned.frames) CATAMARAN_RETURN_IF_ERROR(TakeEntry(path, frame));
  uint64_t end = scanned.good_end;
  if (open_batch_) {
    if (!is_last) return Corrupt(path, "a batch has no end");
    end = open_batch_position_;
    next_ = open_batch_->first;
    open_batch_.reset();
  }
  bytes_ += end;
  if (!is_last) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, fs_.Open(path, OpenMode::kReadWrite));
  CATAMARAN_RETURN_IF_ERROR(MakeDurable(path, *file, std::string_view(bytes).substr(0, end)));
  contents_.tail_was_cut = end < bytes.size();
  // Emptied: its name tells the revision that it begins with, so it serves as it is when that fits.
  if (end == 0 && first != next_) {
    CATAMARAN_RETURN_IF_ERROR(fs_.Remove(path));
    log_files_.pop_back();
    return absl::OkStatus();
  }
  active_ = ActiveFile{path, std::move(file), end};
  return absl::OkStatus();
}

// What is replayed is acted on, so it must be durable first, and so must the cut of a torn tail. It
// is written again, since the process before may have died of a failed sync, after which the page
// cache shows bytes that the disk never got and that no sync would write.
absl::Status Reader::MakeDurable(const std::string& path, File& file, std::string_view good) {
  if (!good.empty()) CATAMARAN_RETURN_IF_ERROR(file.WriteAt(0, good));
  CATAMARAN_RETURN_IF_ERROR(file.Truncate(good.size()));
  CATAMARAN_RETURN_IF_ERROR(file.SyncData());
  return fs_.SyncDirectory(ParentDirectory(path));
}

absl::Status Reader::TakeEntry(const std::string& path, const Frame& frame) {
  internal::v1::MetadataEntry entry;
  if (!entry.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())) ||
      entry.records_size() == 0) {
    return Corrupt(path, Cat("the entry at byte ", frame.position, " can't be read"));
  }
  MetadataRevision first(entry.first_revision());
  // Covered by the snapshot already (a crash came before old files were removed).
  if (first + (entry.records_size() - 1) <= contents_.snapshot_revision) return absl::OkStatus();
  if (first != next_) {
    return Corrupt(path, Cat("the entry at byte ", frame.position, " begins with revision ",
                             first.value(), ", not ", next_.value()));
  }
  next_ = first + entry.records_size();
  bool begins = entry.records(0).has_begin_batch();
  bool ends = entry.records(entry.records_size() - 1).has_end_batch();
  if (begins && open_batch_) return Corrupt(path, "a batch begins within a batch");
  if (begins) open_batch_position_ = frame.position;
  RecordBatch batch = open_batch_ ? *std::move(open_batch_) : RecordBatch{first, {}};
  bool is_open = begins || open_batch_.has_value();
  open_batch_.reset();
  for (Record& record : *entry.mutable_records()) batch.records.push_back(std::move(record));
  if (is_open && !ends) {
    open_batch_ = std::move(batch);
  } else {
    contents_.batches.push_back(std::move(batch));
  }
  return absl::OkStatus();
}

class LocalMetadataLog final : public MetadataLog {
 public:
  LocalMetadataLog(FileSystem& fs, std::string directory, IoPool& pool, Executor& executor)
      : fs_(fs), directory_(std::move(directory)), pool_(pool), executor_(executor) {}

  absl::StatusOr<LogContents> Open() override {
    Reader reader(fs_, directory_);
    CATAMARAN_ASSIGN_OR_RETURN(LogContents contents, reader.Read());
    active_ = reader.active();
    log_files_ = reader.log_files();
    bytes_since_snapshot_ = reader.bytes();
    return contents;
  }

  void Append(std::vector<RecordBatch> batches, Done done) override {
    CATAMARAN_CHECK(!appending_ && !batches.empty(), "one append at a time, of something");
    if (!latched_.ok()) {
      executor_.Post([done = std::move(done), status = latched_]() mutable { done(status); });
      return;
    }
    appending_ = true;
    auto result = std::make_shared<AppendResult>();
    auto shared = std::make_shared<std::vector<RecordBatch>>(std::move(batches));
    pool_.Submit(
        IoLane::kWrite,
        [this, result, shared, active = active_] {
          *result = RunAppend(fs_, directory_, active, *shared);
        },
        &executor_,
        [this, result, done = std::move(done)]() mutable { FinishAppend(*result, done); });
  }

  void WriteSnapshot(MetadataRevision revision, std::vector<Record> records, Done done) override {
    CATAMARAN_CHECK(!writing_snapshot_ && !appending_, "a snapshot between appends, one at a time");
    writing_snapshot_ = true;
    std::vector<std::string> covered = log_files_;
    active_ = ActiveFile{};  // whatever is appended from now on goes to a new file
    bytes_since_snapshot_ = 0;
    auto status = std::make_shared<absl::Status>();
    auto shared = std::make_shared<std::vector<Record>>(std::move(records));
    pool_.Submit(
        IoLane::kBackground,
        [this, status, shared, revision, covered] {
          *status = RunSnapshot(revision, *shared, covered);
        },
        &executor_,
        [this, status, covered, done = std::move(done)]() mutable {
          writing_snapshot_ = false;
          if (status->ok()) {
            std::erase_if(log_files_, [&](const std::string& path) {
              return std::find(covered.begin(), covered.end(), path) != covered.end();
            });
          }
          done(*status);
        });
  }

  uint64_t bytes_since_snapshot() const override { return bytes_since_snapshot_; }

 private:
  void FinishAppend(AppendResult& result, Done& done) {
    appending_ = false;
    if (result.latches) {
      latched_ = MakeError(
          Reason::kStorageFailed,
          Cat("The metadata log failed and takes no changes until the broker is restarted: ",
              result.status.message()));
      result.status = latched_;
    }
    uint64_t end_before = active_.end;
    bool is_new = active_.file == nullptr;
    active_ = std::move(result.active);
    if (result.status.ok()) bytes_since_snapshot_ += active_.end - end_before;
    if (is_new && active_.file != nullptr) log_files_.push_back(active_.path);
    done(result.status);
  }

  absl::Status RunSnapshot(MetadataRevision revision, const std::vector<Record>& records,
                           const std::vector<std::string>& covered) {
    CATAMARAN_RETURN_IF_ERROR(WriteFileAtomically(fs_, Cat(directory_, "/", kSnapshotName),
                                                  EncodeSnapshot(revision, records)));
    // The snapshot is durable; what it covers may stay behind when it can't be removed.
    for (const std::string& path : covered) {
      if (absl::Status status = fs_.Remove(path); !status.ok()) return absl::OkStatus();
    }
    (void)fs_.SyncDirectory(directory_);
    return absl::OkStatus();
  }

  FileSystem& fs_;
  const std::string directory_;
  IoPool& pool_;
  Executor& executor_;

  // Owned by the executor.
  ActiveFile active_;                   // no file: the next append begins one
  std::vector<std::string> log_files_;  // in order; the active one is the last
  bool appending_ = false;
  bool writing_snapshot_ = false;
  uint64_t bytes_since_snapshot_ = 0;
  absl::Status latched_;
};

}  // namespace

std::vector<Record> WrapLargeBatch(std::vector<Record> records) {
  if (EntryEnd(records, 0) == records.size()) return records;
  std::vector<Record> wrapped;
  wrapped.reserve(records.size() + 2);
  wrapped.emplace_back().mutable_begin_batch();
  for (Record& record : records) wrapped.push_back(std::move(record));
  wrapped.emplace_back().mutable_end_batch();
  return wrapped;
}

std::unique_ptr<MetadataLog> MakeLocalMetadataLog(FileSystem& fs, std::string directory,
                                                  IoPool& pool, Executor& executor) {
  return std::make_unique<LocalMetadataLog>(fs, std::move(directory), pool, executor);
}

}  // namespace catamaran::metadata
