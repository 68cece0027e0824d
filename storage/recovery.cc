#include "storage/recovery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "storage/batch_scanner.h"
#include "storage/tail_damage.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

constexpr size_t kSmallFileBytesMax = 4096;

// Writes again what a scan found, in pieces of up to kScanWindowBytes. A process that died of a
// failed sync may have left bytes that the page cache shows and the disk never got; no later sync
// writes those, since the kernel takes them for clean (invariants.md S4). Bytes that the disk has
// aren't endangered: they are overwritten by the same ones.
class Rewriter {
 public:
  Rewriter(File& file, uint64_t position) : file_(file), position_(position) {}

  absl::Status Add(std::string_view bytes) {
    if (pending_.size() + bytes.size() > kScanWindowBytes) CATAMARAN_RETURN_IF_ERROR(Flush());
    pending_.append(bytes);
    return absl::OkStatus();
  }
  absl::Status Flush() {
    if (pending_.empty()) return absl::OkStatus();
    CATAMARAN_RETURN_IF_ERROR(file_.WriteAt(position_, pending_));
    position_ += pending_.size();
    pending_.clear();
    return absl::OkStatus();
  }

 private:
  File& file_;
  uint64_t position_;
  std::string pending_;
};

class Loader {
 public:
  Loader(FileSystem& fs, const LogIdentity& identity, const LogConfig& config, TimestampMs now)
      : fs_(fs), identity_(identity), config_(config), now_(now) {}

  absl::StatusOr<LogState> Load();

 private:
  absl::Status ListDirectory();
  absl::Status CheckTopicId();
  absl::Status ReadLogStart();
  std::optional<LogCheckpoint> ReadCheckpoint(std::string_view name);
  absl::Status AdoptCheckpoint(LogCheckpoint checkpoint);
  absl::Status RemoveDeletedSegments(const LogCheckpoint& checkpoint);
  absl::Status DropBeforeGap();
  bool IsUntouchedSince(const LogCheckpoint& checkpoint) const;
  absl::Status AddTail();
  absl::Status ScanTail(size_t first);
  absl::StatusOr<bool> ScanSegment(size_t index);
  absl::Status CutAt(size_t index, uint64_t position);
  absl::Status RemoveSegmentFiles(Offset base);
  absl::Status MendBind(Segment& segment, uint64_t from_ordinal,
                        const std::vector<BindEntry>& scanned, std::vector<BindEntry> old);
  absl::StatusOr<std::vector<BindEntry>> ReadBindFrom(SegmentFiles& files, uint64_t ordinal);
  absl::Status Damage(std::string_view what) const;

  uint64_t FileSize(Offset base, std::string_view suffix) const {
    auto it = files_.find(SegmentFileName(base, suffix));
    return it == files_.end() ? 0 : it->second;
  }
  bool Has(std::string_view name) const { return files_.contains(std::string(name)); }
  std::string Path(std::string_view name) const { return Cat(identity_.directory, "/", name); }

  FileSystem& fs_;
  const LogIdentity& identity_;
  const LogConfig& config_;
  const TimestampMs now_;
  std::map<std::string, uint64_t> files_;  // name -> size
  std::vector<Offset> bases_;              // of the log files there, rising
  bool exists_ = false;
  size_t before_gap_ = 0;  // segments that are followed by a gap below the log start
  LogState state_;
};

absl::Status Loader::Damage(std::string_view what) const {
  return MakeError(Reason::kCorruptLog,
                   Cat("The log in ", identity_.directory, " is damaged: ", what,
                       " Nothing was cut. Rebuild the replica from its peers, or restore "
                       "the directory."),
                   {{"directory", identity_.directory}});
}

absl::Status Loader::ListDirectory() {
  auto listing = fs_.List(identity_.directory);
  if (absl::IsNotFound(listing.status())) return absl::OkStatus();
  CATAMARAN_RETURN_IF_ERROR(listing.status());
  exists_ = true;
  for (const FileInfo& info : *listing) {
    if (info.is_directory) continue;
    files_[info.name] = info.size;
    if (auto base = ParseSegmentFileName(info.name, kLogSuffix)) bases_.push_back(*base);
  }
  std::sort(bases_.begin(), bases_.end());
  return absl::OkStatus();
}

absl::Status Loader::CheckTopicId() {
  if (!Has(kTopicIdFile)) {
    if (!bases_.empty()) return Damage("it has segments but no topic-id file.");
    return absl::OkStatus();
  }
  CATAMARAN_ASSIGN_OR_RETURN(const std::string file,
                             ReadWholeFile(fs_, Path(kTopicIdFile), kSmallFileBytesMax));
  const auto found = DecodeTopicId(file);
  if (!found.ok()) return Damage("its topic-id file is unreadable.");
  if (*found != identity_.partition) {
    return MakeError(Reason::kTopicIdMismatch,
                     Cat("The directory ", identity_.directory, " belongs to topic id ",
                         found->topic.uuid.ToString(), ", partition ", found->partition.value(),
                         ". It is left of a deleted topic: remove it, or fix the topic's id."),
                     {{"directory", identity_.directory},
                      {"found_topic_id", found->topic.uuid.ToString()},
                      {"expected_topic_id", identity_.partition.topic.uuid.ToString()}});
  }
  state_.directory_ready = true;
  return absl::OkStatus();
}

absl::Status Loader::ReadLogStart() {
  if (!Has(kLogStartFile)) {
    if (!bases_.empty()) state_.log_start = bases_.front();
    return absl::OkStatus();
  }
  CATAMARAN_ASSIGN_OR_RETURN(const std::string file,
                             ReadWholeFile(fs_, Path(kLogStartFile), kSmallFileBytesMax));
  const auto log_start = DecodeLogStart(file);
  if (!log_start.ok()) return Damage("its log-start file is unreadable.");
  state_.log_start = *log_start;
  // A process that died before it had synced the name may have left it: what is shown to readers,
  // and what is removed because of it, mustn't rest on a name that a power cut takes back.
  return fs_.SyncDirectory(identity_.directory);
}

std::optional<LogCheckpoint> Loader::ReadCheckpoint(std::string_view name) {
  if (!Has(name)) return std::nullopt;
  auto file = ReadWholeFile(fs_, Path(name), uint64_t{1} << 30);
  if (!file.ok()) return std::nullopt;
  auto checkpoint = DecodeLogCheckpoint(*file);
  // A damaged checkpoint costs a longer scan, nothing else.
  if (!checkpoint.ok()) return std::nullopt;
  return *std::move(checkpoint);
}

bool Loader::IsUntouchedSince(const LogCheckpoint& checkpoint) const {
  if (bases_.empty()) return checkpoint.segments.empty();
  if (checkpoint.segments.empty()) return false;
  const CheckpointSegment& last = checkpoint.segments.back();
  return bases_.back() == last.base && FileSize(last.base, kLogSuffix) == last.bytes;
}

// Segments that were being deleted when the crash came, or that it brought back, have done their
// part in the checkpoint's producers and epochs: those of the checkpoint that end at or below the
// log start, and any that it doesn't know before its last one.
absl::Status Loader::RemoveDeletedSegments(const LogCheckpoint& checkpoint) {
  if (checkpoint.segments.empty()) return absl::OkStatus();
  std::vector<Offset> kept;
  for (Offset base : bases_) {
    bool deleted = base < checkpoint.segments.back().base;
    for (const CheckpointSegment& row : checkpoint.segments) {
      if (row.base == base && row.end > state_.log_start) deleted = false;
    }
    if (deleted) {
      CATAMARAN_RETURN_IF_ERROR(RemoveSegmentFiles(base));
    } else {
      kept.push_back(base);
    }
  }
  if (kept.size() == bases_.size()) return absl::OkStatus();
  bases_ = std::move(kept);
  return fs_.SyncDirectory(identity_.directory);
}

absl::Status Loader::AdoptCheckpoint(LogCheckpoint checkpoint) {
  CATAMARAN_RETURN_IF_ERROR(RemoveDeletedSegments(checkpoint));
  for (size_t i = 0; i < checkpoint.segments.size(); ++i) {
    const CheckpointSegment& row = checkpoint.segments[i];
    const bool last = i + 1 == checkpoint.segments.size();
    const bool there = std::binary_search(bases_.begin(), bases_.end(), row.base);
    if (!last && row.end <= state_.log_start) {
      continue;  // deleted since
    }
    if (!there) return Damage(Cat("segment ", row.base.value(), " is missing."));
    if (FileSize(row.base, kLogSuffix) < row.bytes) {
      return Damage(Cat("segment ", row.base.value(), " is shorter than it was."));
    }
    if (FileSize(row.base, kBindSuffix) < row.batches * kBindEntryBytes) {
      return Damage(Cat("the bind file of segment ", row.base.value(), " is cut short."));
    }
    Segment segment;
    segment.base = row.base;
    segment.end = row.end;
    segment.bytes = row.bytes;
    segment.batches = row.batches;
    segment.max_timestamp = row.max_timestamp;
    segment.created = row.created;
    segment.appended = row.appended;
    segment.finished = !last;
    segment.files = std::make_shared<SegmentFiles>(fs_, identity_.directory, row.base);
    state_.segments.push_back(std::move(segment));
  }
  if (!state_.segments.empty()) state_.segments.back().index = std::move(checkpoint.last_index);
  state_.epochs = std::move(checkpoint.epochs);
  state_.producers = std::move(checkpoint.producers);
  state_.end = checkpoint.end;
  state_.recovery_end = checkpoint.end;
  return absl::OkStatus();
}

// Segments that the checkpoint doesn't know.
absl::Status Loader::AddTail() {
  for (Offset base : bases_) {
    if (!state_.segments.empty() && base <= state_.segments.back().base) continue;
    if (state_.segments.empty()) {
      if (base > state_.log_start) return Damage("its first segments are missing.");
      state_.end = base;
      state_.recovery_end = base;
    }
    Segment segment;
    segment.base = base;
    segment.end = base;
    segment.created = now_;
    segment.appended = now_;
    segment.files = std::make_shared<SegmentFiles>(fs_, identity_.directory, base);
    state_.segments.push_back(std::move(segment));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<BindEntry>> Loader::ReadBindFrom(SegmentFiles& files, uint64_t ordinal) {
  std::vector<BindEntry> entries;
  const uint64_t size = FileSize(files.base, kBindSuffix);
  const uint64_t from = ordinal * kBindEntryBytes;
  if (size < from + kBindEntryBytes) return entries;
  std::string bytes(static_cast<size_t>(size - from), '\0');
  CATAMARAN_ASSIGN_OR_RETURN(const size_t got, files.bind.ReadAt(from, bytes.data(), bytes.size()));
  for (size_t at = 0; at + kBindEntryBytes <= got; at += kBindEntryBytes) {
    entries.push_back(ReadBindEntry(bytes.data() + at));
  }
  return entries;
}

// Makes the bind file say what the scan found, and writes it even where it says so already, for the
// Rewriter's reason. What an entry says of the sync is kept when the entry is right, else it claims
// nothing beyond the recovery point. Not synced: no more than an append's.
absl::Status Loader::MendBind(Segment& segment, uint64_t from_ordinal,
                              const std::vector<BindEntry>& scanned, std::vector<BindEntry> old) {
  std::string bytes;
  for (size_t i = 0; i < scanned.size(); ++i) {
    BindEntry entry = scanned[i];
    if (i < old.size() && old[i].base_offset == entry.base_offset &&
        old[i].leader_epoch == entry.leader_epoch && old[i].binding == entry.binding) {
      entry.synced_end = old[i].synced_end;
    }
    AppendBindEntry(entry, &bytes);
  }
  if (!Has(SegmentFileName(segment.base, kBindSuffix))) {
    if (bytes.empty()) return absl::OkStatus();
    CATAMARAN_RETURN_IF_ERROR(segment.files->bind.Create());
    CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(identity_.directory));
  }
  CATAMARAN_RETURN_IF_ERROR(segment.files->bind.WriteAt(from_ordinal * kBindEntryBytes, bytes));
  return segment.files->bind.Truncate(segment.batches * kBindEntryBytes);
}

absl::Status Loader::RemoveSegmentFiles(Offset base) {
  for (std::string_view suffix : {kLogSuffix, kBindSuffix, kIndexSuffix, kTimeIndexSuffix}) {
    const std::string name = SegmentFileName(base, suffix);
    if (!Has(name)) continue;
    absl::Status removed = fs_.Remove(Path(name));
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
    files_.erase(name);
  }
  return absl::OkStatus();
}

// True: the segment was cut here, nothing follows.
absl::StatusOr<bool> Loader::ScanSegment(size_t index) {
  Segment& segment = state_.segments[index];
  const uint64_t size = FileSize(segment.base, kLogSuffix);
  const uint64_t from_ordinal = segment.batches;
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<BindEntry> old,
                             ReadBindFrom(*segment.files, from_ordinal));
  std::vector<BindEntry> scanned;
  BatchScanner scanner(segment.files->log, segment.bytes, size, BatchScanner::Check::kCrc);
  Rewriter rewriter(segment.files->log, segment.bytes);
  while (true) {
    CATAMARAN_ASSIGN_OR_RETURN(const auto step, scanner.Next());
    if (step != BatchScanner::Step::kBatch) break;
    const BatchHeader& header = scanner.header();
    if (header.base_offset != state_.end || header.leader_epoch < state_.epochs.last_epoch()) {
      break;
    }
    scanned.push_back(MakeBindEntry(identity_.partition, header, state_.recovery_end));
    ApplyBatch(header, now_, config_.index_interval_bytes, &segment, &state_.epochs,
               &state_.producers);
    state_.end = segment.end;
    state_.recovered_bytes += static_cast<int64_t>(header.size_bytes());
    CATAMARAN_RETURN_IF_ERROR(rewriter.Add(scanner.bytes()));
  }
  CATAMARAN_RETURN_IF_ERROR(rewriter.Flush());
  const bool last = index + 1 == state_.segments.size();
  CATAMARAN_ASSIGN_OR_RETURN(const bool zeroes,
                             IsZeroToEnd(segment.files->log, segment.bytes, size));
  bool cut = false;
  const bool deleted_gap = zeroes && !last && state_.segments[index + 1].base > state_.end &&
                           state_.segments[index + 1].base <= state_.log_start;
  if (deleted_gap) {
    // Of deleted segments a crash brought back this one and not the next.
    state_.end = state_.segments[index + 1].base;
    before_gap_ = index + 1;
  } else if (zeroes && (last || state_.segments[index + 1].base == state_.end)) {
    // A file that was extended before its bytes came.
    if (size > segment.bytes) {
      CATAMARAN_RETURN_IF_ERROR(segment.files->log.Truncate(segment.bytes));
    }
  } else {
    std::vector<TailSegment> tail;
    tail.push_back({segment.files.get(), size, old});
    for (size_t i = index + 1; i < state_.segments.size(); ++i) {
      SegmentFiles& files = *state_.segments[i].files;
      CATAMARAN_ASSIGN_OR_RETURN(std::vector<BindEntry> bind, ReadBindFrom(files, 0));
      tail.push_back({&files, FileSize(files.base, kLogSuffix), std::move(bind)});
    }
    CATAMARAN_ASSIGN_OR_RETURN(const bool damaged,
                               IsTailDamaged(identity_.partition, tail, segment.bytes, state_.end));
    if (damaged) {
      return Damage(Cat("the batch at offset ", state_.end.value(), ", byte ", segment.bytes,
                        " of segment ", segment.base.value(),
                        ", is bad and valid ones follow it."));
    }
    CATAMARAN_RETURN_IF_ERROR(CutAt(index, segment.bytes));
    cut = true;
  }
  CATAMARAN_RETURN_IF_ERROR(MendBind(segment, from_ordinal, scanned, std::move(old)));
  return cut;
}

// Later segments first, so that a crash in between leaves no gap that looks like another one.
absl::Status Loader::CutAt(size_t index, uint64_t position) {
  bool removed = false;
  for (size_t i = state_.segments.size(); i-- > index + 1;) {
    state_.truncated_bytes += static_cast<int64_t>(FileSize(state_.segments[i].base, kLogSuffix));
    CATAMARAN_RETURN_IF_ERROR(RemoveSegmentFiles(state_.segments[i].base));
    state_.segments.pop_back();
    removed = true;
  }
  if (removed) CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(identity_.directory));
  Segment& segment = state_.segments[index];
  state_.truncated_bytes +=
      static_cast<int64_t>(FileSize(segment.base, kLogSuffix)) - static_cast<int64_t>(position);
  return segment.files->log.Truncate(position);
}

absl::Status Loader::ScanTail(size_t first) {
  for (size_t i = first; i < state_.segments.size(); ++i) {
    CATAMARAN_ASSIGN_OR_RETURN(const bool cut, ScanSegment(i));
    // Also makes the cut durable: what was cut must not come back under later appends.
    CATAMARAN_RETURN_IF_ERROR(state_.segments[i].files->log.SyncData());
    if (cut) break;
  }
  CATAMARAN_RETURN_IF_ERROR(DropBeforeGap());
  // A segment that a crash left empty is made anew when it is needed.
  if (!state_.segments.empty() && state_.segments.back().batches == 0) {
    CATAMARAN_RETURN_IF_ERROR(RemoveSegmentFiles(state_.segments.back().base));
    state_.segments.pop_back();
    CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(identity_.directory));
  }
  return absl::OkStatus();
}

absl::Status Loader::DropBeforeGap() {
  if (before_gap_ == 0) return absl::OkStatus();
  const auto gap = state_.segments.begin() + static_cast<ptrdiff_t>(before_gap_);
  for (auto it = state_.segments.begin(); it != gap; ++it) {
    CATAMARAN_RETURN_IF_ERROR(RemoveSegmentFiles(it->base));
  }
  state_.segments.erase(state_.segments.begin(), gap);
  return fs_.SyncDirectory(identity_.directory);
}

absl::StatusOr<LogState> Loader::Load() {
  CATAMARAN_RETURN_IF_ERROR(ListDirectory());
  if (!exists_) return std::move(state_);
  CATAMARAN_RETURN_IF_ERROR(CheckTopicId());
  if (!state_.directory_ready) return std::move(state_);
  CATAMARAN_RETURN_IF_ERROR(ReadLogStart());
  state_.clean_on_disk = Has(kCleanCheckpointFile);
  std::optional<LogCheckpoint> checkpoint = ReadCheckpoint(kCleanCheckpointFile);
  const bool clean = checkpoint.has_value() && IsUntouchedSince(*checkpoint);
  if (!checkpoint.has_value()) checkpoint = ReadCheckpoint(kCheckpointFile);
  state_.end = state_.log_start;
  if (checkpoint.has_value()) CATAMARAN_RETURN_IF_ERROR(AdoptCheckpoint(*std::move(checkpoint)));
  if (!clean) {
    const size_t known = state_.segments.size();
    CATAMARAN_RETURN_IF_ERROR(AddTail());
    // The names that an unfinished append made.
    CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(ParentDirectory(identity_.directory)));
    CATAMARAN_RETURN_IF_ERROR(fs_.SyncDirectory(identity_.directory));
    CATAMARAN_RETURN_IF_ERROR(ScanTail(known == 0 ? 0 : known - 1));
  }
  if (state_.end < state_.log_start) return Damage("it ends before its log start offset.");
  state_.epochs.TrimFront(state_.log_start);
  state_.synced_end = state_.end;
  return std::move(state_);
}

}  // namespace

absl::StatusOr<LogState> LoadLog(FileSystem& fs, const LogIdentity& identity,
                                 const LogConfig& config, TimestampMs now) {
  return Loader(fs, identity, config, now).Load();
}

}  // namespace catamaran::storage
