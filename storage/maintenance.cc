// PartitionLog's slow work: checkpoints, retention, delete-records, truncation, close and deletion.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "storage/batch_scanner.h"
#include "storage/binding.h"
#include "storage/log_impl.h"
#include "storage/recovery.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

std::string PathIn(const LogIdentity& identity, std::string_view name) {
  return Cat(identity.directory, "/", name);
}

absl::Status RemoveIfThere(FileSystem& fs, const std::string& path) {
  const absl::Status status = fs.Remove(path);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::Status RemoveSegment(SegmentFiles& files) {
  files.log.Release();
  files.bind.Release();
  for (std::string_view suffix : {kLogSuffix, kBindSuffix, kIndexSuffix, kTimeIndexSuffix}) {
    CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(files.fs, files.PathOf(suffix)));
  }
  return absl::OkStatus();
}

// The segment's age for retention. Clients set timestamps, so one in the future counts as the time
// of the append: it mustn't keep a segment for ever (invariants.md P15).
TimestampMs RetentionTime(const Segment& segment) {
  if (segment.max_timestamp < TimestampMs(0)) return segment.appended;
  return std::min(segment.max_timestamp, segment.appended);
}

bool IsTooOld(const Segment& segment, const LogConfig& config, TimestampMs now) {
  return config.delete_old_segments && config.retention_ms >= 0 &&
         now - RetentionTime(segment) > config.retention_ms;
}

// How many of the first segments retention takes; never the last one, nor anything at or past
// `high_watermark`.
size_t ExpiredSegments(const LogState& state, const LogConfig& config, TimestampMs now,
                       Offset high_watermark) {
  int64_t total = 0;
  for (const Segment& segment : state.segments) total += static_cast<int64_t>(segment.bytes);
  size_t expired = 0;
  while (expired + 1 < state.segments.size()) {
    const Segment& segment = state.segments[expired];
    // What the checkpoint doesn't know as sealed yet stays: recovery begins there.
    if (segment.end > high_watermark || !segment.finished) break;
    const bool deleted = segment.end <= state.log_start;
    const bool too_much = config.retention_bytes >= 0 &&
                          total - static_cast<int64_t>(segment.bytes) >= config.retention_bytes;
    const bool too_old = IsTooOld(segment, config, now);
    if (!deleted && !too_old && !(config.delete_old_segments && too_much)) break;
    total -= static_cast<int64_t>(segment.bytes);
    ++expired;
  }
  return expired;
}

// Whether nothing of the log is young enough to stay, the segment that takes appends included. That
// one goes by the time of its last append alone: a producer that copies old records, timestamps and
// all, mustn't see them go while it writes.
bool IsAllTooOld(const LogState& state, const LogConfig& config, TimestampMs now,
                 Offset high_watermark, size_t expired) {
  if (expired + 1 != state.segments.size() || state.log_start == state.end) return false;
  const Segment& last = state.segments.back();
  return last.end <= high_watermark && config.delete_old_segments && config.retention_ms >= 0 &&
         now - last.appended > config.retention_ms;
}

}  // namespace

// ---- taking jobs ----

std::unique_ptr<MaintenanceJob::State> PartitionLog::Impl::NewMaintenance(
    MaintenanceJob::State::Kind kind) {
  auto job = std::make_unique<MaintenanceJob::State>();
  job->kind = kind;
  job->fs = &fs;
  job->identity = identity;
  job->config = config;
  job->running = maintenance_running;
  job->directory_ready = state.directory_ready;
  maintenance_in_flight = true;
  return job;
}

// Everything that makes `state.end` a recovery point.
void PartitionLog::Impl::FillCheckpoint(MaintenanceJob::State* job) {
  job->end = state.end;
  job->covered_bytes = unchecked_bytes;
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const Segment& segment = state.segments[i];
    const bool last = i + 1 == state.segments.size();
    if (segment.finished || (last && segment.end <= state.recovery_end)) continue;
    job->to_sync.push_back(segment.files);
    if (!last) job->indexes.emplace_back(segment.files, segment.index);
  }
  job->checkpoint = EncodeLogCheckpoint(state);
}

void PartitionLog::Impl::MoveLogStart(Offset start, MaintenanceJob::State* job) {
  job->log_start = std::max(start, state.log_start);
  job->move_log_start = start > state.log_start;
  if (start <= state.synced_end) return;
  // The log mustn't end before its start after a power cut.
  for (size_t i = SegmentOf(state.synced_end); i < state.segments.size(); ++i) {
    job->to_sync.push_back(state.segments[i].files);
  }
}

std::optional<MaintenanceJob> PartitionLog::TakeMaintenance(TimestampMs now,
                                                            Offset high_watermark) {
  Impl& impl = *impl_;
  LogState& state = impl.state;
  if (impl.maintenance_in_flight || impl.closed || !impl.health.ok()) return std::nullopt;
  if (now - impl.producers_checked >= kProducerExpiryCheckMs) {
    impl.producers_checked = now;
    ExpireProducers(now, impl.config.producer_expiry_ms, &state.producers);
  }
  if (state.segments.empty()) return std::nullopt;
  const Segment& last = state.segments.back();
  if (!impl.write_in_flight && last.bytes > 0 && now - last.created >= impl.config.segment_ms) {
    impl.roll_pending = true;
  }
  MaintenanceJob job;
  const size_t count = state.segments.size();
  const bool sealed = count > 1 && !state.segments[count - 2].finished;
  const bool checkpoint_due = sealed || impl.unchecked_bytes >= kRecoveryBytesMax;
  const size_t expired = ExpiredSegments(state, impl.config, now, high_watermark);
  // A full disk refuses checkpoints; retention then goes first, to make room for them.
  if (checkpoint_due && (expired == 0 || !impl.checkpoint_refused)) {
    job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kCheckpoint);
    impl.FillCheckpoint(job.state_.get());
    return job;
  }
  const bool all = IsAllTooOld(state, impl.config, now, high_watermark, expired);
  if (expired == 0 && !all) return std::nullopt;
  const Offset start = all ? state.end : state.segments[expired - 1].end;
  job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kMoveLogStart);
  impl.MoveLogStart(start, job.state_.get());
  // The file that takes appends goes when the next one has begun another.
  if (all) impl.roll_pending = true;
  for (size_t i = 0; i < expired; ++i) job.state_->to_remove.push_back(state.segments[i].files);
  return job;
}

absl::StatusOr<MaintenanceJob> PartitionLog::DeleteRecordsBefore(Offset offset,
                                                                 Offset high_watermark) {
  Impl& impl = *impl_;
  CATAMARAN_RETURN_IF_ERROR(impl.health);
  if (offset > std::min(high_watermark, impl.state.end) || offset.value() < 0) {
    return MakeError(Reason::kOffsetOutOfRange,
                     Cat("Records can be deleted up to the high watermark, ",
                         high_watermark.value(), ", and not up to ", offset.value(), "."),
                     {{"log_start", Cat(impl.state.log_start.value())},
                      {"high_watermark", Cat(high_watermark.value())}});
  }
  if (impl.maintenance_in_flight) {
    return MakeError(Reason::kOverloaded,
                     "The partition is busy with maintenance. Retry in a moment.");
  }
  MaintenanceJob job;
  job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kMoveLogStart);
  impl.MoveLogStart(offset, job.state_.get());
  return job;
}

absl::StatusOr<MaintenanceJob> PartitionLog::TruncateTo(Offset end) {
  Impl& impl = *impl_;
  CATAMARAN_CHECK(!impl.write_in_flight, "truncated while a write is in flight");
  CATAMARAN_RETURN_IF_ERROR(impl.health);
  if (end < impl.state.log_start) {
    return MakeError(Reason::kOffsetOutOfRange,
                     Cat("The log begins at ", impl.state.log_start.value(),
                         " and can't be truncated to ", end.value(), "."));
  }
  if (impl.maintenance_in_flight) {
    return MakeError(Reason::kOverloaded,
                     "The partition is busy with maintenance. Retry in a moment.");
  }
  MaintenanceJob job;
  job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kTruncate);
  job.state_->end = std::min(end, impl.state.end);
  job.state_->log_start = impl.state.log_start;
  // No appends until the truncated log is loaded again.
  impl.write_in_flight = true;
  for (const Segment& segment : impl.state.segments) {
    job.state_->to_sync.push_back(segment.files);
  }
  return job;
}

MaintenanceJob PartitionLog::Close() {
  Impl& impl = *impl_;
  CATAMARAN_CHECK(!impl.write_in_flight, "closed while a write is in flight");
  impl.closed = true;
  MaintenanceJob job;
  job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kClose);
  // A log in doubt is left to recovery; one that nothing was written to is closed already.
  if (impl.health.ok() && impl.state.directory_ready && !impl.state.clean_on_disk) {
    impl.FillCheckpoint(job.state_.get());
  }
  return job;
}

MaintenanceJob PartitionLog::Delete() {
  Impl& impl = *impl_;
  impl.closed = true;
  impl.tail.Clear();
  MaintenanceJob job;
  job.state_ = impl.NewMaintenance(MaintenanceJob::State::Kind::kDelete);
  for (const Segment& segment : impl.state.segments) {
    job.state_->to_remove.push_back(segment.files);
  }
  return job;
}

// ---- finishing jobs ----

absl::Status PartitionLog::FinishMaintenance(MaintenanceJob job) {
  Impl& impl = *impl_;
  LogState& state = impl.state;
  MaintenanceJob::State& done = *job.state_;
  impl.maintenance_in_flight = false;
  if (done.kind == MaintenanceJob::State::Kind::kTruncate) impl.write_in_flight = false;
  if (done.kind == MaintenanceJob::State::Kind::kCheckpoint) {
    impl.checkpoint_refused = !done.status.ok();
  }
  if (!done.status.ok()) {
    if (ReasonOf(done.status) != Reason::kStorageFull) impl.Latch(done.status);
    return done.status;
  }
  switch (done.kind) {
    case MaintenanceJob::State::Kind::kCheckpoint:
    case MaintenanceJob::State::Kind::kClose:
      if (done.checkpoint.empty()) break;
      state.synced_end = std::max(state.synced_end, done.end);
      state.recovery_end = std::max(state.recovery_end, done.end);
      impl.unchecked_bytes -= done.covered_bytes;
      for (Segment& segment : state.segments) {
        for (const auto& [files, index] : done.indexes) {
          if (files != segment.files) continue;
          segment.finished = true;
          segment.index.Clear();
        }
      }
      break;
    case MaintenanceJob::State::Kind::kMoveLogStart: {
      state.log_start = std::max(state.log_start, done.log_start);
      state.epochs.TrimFront(state.log_start);
      auto& segments = state.segments;
      segments.erase(segments.begin(),
                     segments.begin() + static_cast<ptrdiff_t>(done.to_remove.size()));
      break;
    }
    case MaintenanceJob::State::Kind::kTruncate:
      state = *std::move(done.reloaded);
      impl.tail.Clear();
      impl.roll_pending = false;
      impl.unchecked_bytes = 0;
      break;
    case MaintenanceJob::State::Kind::kDelete:
      break;
  }
  return absl::OkStatus();
}

// ---- the jobs ----

MaintenanceJob::MaintenanceJob() = default;
MaintenanceJob::MaintenanceJob(MaintenanceJob&&) noexcept = default;
MaintenanceJob& MaintenanceJob::operator=(MaintenanceJob&&) noexcept = default;
MaintenanceJob::~MaintenanceJob() = default;
const absl::Status& MaintenanceJob::status() const { return state_->status; }

size_t MaintenanceJob::segments_to_remove() const {
  return state_->kind == State::Kind::kMoveLogStart ? state_->to_remove.size() : 0;
}

void MaintenanceJob::Run() {
  State& state = *state_;
  MutexLock lock(state.running.get());
  const auto run = [&state] {
    switch (state.kind) {
      case State::Kind::kCheckpoint:
        return state.RunCheckpoint(kCheckpointFile);
      case State::Kind::kMoveLogStart:
        return state.RunMoveLogStart();
      case State::Kind::kTruncate:
        return state.RunTruncate();
      case State::Kind::kClose:
        return state.RunCheckpoint(kCleanCheckpointFile);
      case State::Kind::kDelete:
        return state.RunDelete();
    }
    return absl::OkStatus();
  };
  const absl::Status status = run();
  if (!status.ok()) {
    // Damage that a truncation found is told as it is.
    state.status = ReasonOf(status) == Reason::kCorruptLog
                       ? status
                       : StorageError(status, "maintaining the log");
  }
}

absl::Status MaintenanceJob::State::RunCheckpoint(std::string_view name) {
  if (checkpoint.empty()) return absl::OkStatus();
  for (const auto& files : to_sync) {
    CATAMARAN_RETURN_IF_ERROR(files->log.SyncData());
    CATAMARAN_RETURN_IF_ERROR(files->bind.SyncData());
  }
  for (const auto& [files, index] : indexes) {
    const absl::Status written = WriteSegmentIndex(*files, index);
    // Rebuilt at need.
    if (!written.ok() && ReasonOf(written) != Reason::kStorageFull) return written;
  }
  return WriteFileAtomically(*fs, PathIn(identity, name), checkpoint);
}

absl::Status MaintenanceJob::State::RunMoveLogStart() {
  if (!directory_ready) return absl::OkStatus();
  for (const auto& files : to_sync) CATAMARAN_RETURN_IF_ERROR(files->log.SyncData());
  if (move_log_start) {
    const std::string path = PathIn(identity, kLogStartFile);
    const std::string content = EncodeLogStart(log_start);
    absl::Status written = WriteFileAtomically(*fs, path, content);
    if (ReasonOf(written) == Reason::kStorageFull && !to_remove.empty()) {
      // Deletion must go on when the disk is full: indexes of what goes away make room for the
      // offset.
      for (const auto& files : to_remove) {
        CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(*fs, files->PathOf(kIndexSuffix)));
        CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(*fs, files->PathOf(kTimeIndexSuffix)));
      }
      written = WriteFileAtomically(*fs, path, content);
    }
    CATAMARAN_RETURN_IF_ERROR(written);
  }
  for (const auto& files : to_remove) CATAMARAN_RETURN_IF_ERROR(RemoveSegment(*files));
  return absl::OkStatus();
}

absl::Status MaintenanceJob::State::RunTruncate() {
  if (!directory_ready) {
    reloaded = LogState();
    return absl::OkStatus();
  }
  // Checkpoints may promise more than what is left.
  CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(*fs, PathIn(identity, kCleanCheckpointFile)));
  CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(*fs, PathIn(identity, kCheckpointFile)));
  CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(identity.directory));
  for (size_t i = to_sync.size(); i-- > 0;) {
    SegmentFiles& files = *to_sync[i];
    if (files.base >= end) {
      CATAMARAN_RETURN_IF_ERROR(RemoveSegment(files));
      continue;
    }
    CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(identity.directory));
    CATAMARAN_ASSIGN_OR_RETURN(const uint64_t size, files.log.Size());
    BatchScanner scanner(files.log, 0, size, BatchScanner::Check::kHeader);
    uint64_t batches = 0;
    Offset kept_end = files.base;
    while (true) {
      CATAMARAN_ASSIGN_OR_RETURN(const auto step, scanner.Next());
      if (step != BatchScanner::Step::kBatch || scanner.header().next_offset() > end) break;
      kept_end = scanner.header().next_offset();
      ++batches;
    }
    if (kept_end <= log_start) {
      // Nothing readable is left: the log begins anew at its start offset.
      CATAMARAN_RETURN_IF_ERROR(RemoveSegment(files));
      continue;
    }
    CATAMARAN_RETURN_IF_ERROR(files.log.Truncate(scanner.position()));
    CATAMARAN_RETURN_IF_ERROR(files.log.SyncData());
    CATAMARAN_RETURN_IF_ERROR(files.bind.Truncate(batches * kBindEntryBytes));
    CATAMARAN_RETURN_IF_ERROR(files.bind.SyncData());
    break;
  }
  CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(identity.directory));
  CATAMARAN_ASSIGN_OR_RETURN(reloaded, LoadLog(*fs, identity, config, now));
  return absl::OkStatus();
}

// The identity goes last: what is left after a crash is still known for what it is.
absl::Status MaintenanceJob::State::RunDelete() {
  for (const auto& files : to_remove) {
    files->log.Release();
    files->bind.Release();
  }
  return RemoveLogDirectory(*fs, identity.directory);
}

absl::Status RemoveLogDirectory(FileSystem& fs, const std::string& directory) {
  auto listing = fs.List(directory);
  if (absl::IsNotFound(listing.status())) return absl::OkStatus();
  CATAMARAN_RETURN_IF_ERROR(listing.status());
  bool has_topic_id = false;
  // From the last segment to the first, so that what is left after a crash has no gap.
  for (auto it = listing->rbegin(); it != listing->rend(); ++it) {
    if (it->name == kTopicIdFile) {
      has_topic_id = true;
      continue;
    }
    CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(fs, Cat(directory, "/", it->name)));
  }
  CATAMARAN_RETURN_IF_ERROR(fs.SyncDirectory(directory));
  if (has_topic_id) {
    CATAMARAN_RETURN_IF_ERROR(RemoveIfThere(fs, Cat(directory, "/", kTopicIdFile)));
  }
  CATAMARAN_RETURN_IF_ERROR(fs.RemoveDirectory(directory));
  return fs.SyncDirectory(ParentDirectory(directory));
}

absl::StatusOr<std::optional<TopicPartitionId>> ReadLogDirectoryIdentity(
    FileSystem& fs, const std::string& directory) {
  auto file = ReadWholeFile(fs, Cat(directory, "/", kTopicIdFile), 4096);
  if (absl::IsNotFound(file.status())) return std::nullopt;
  CATAMARAN_RETURN_IF_ERROR(file.status());
  CATAMARAN_ASSIGN_OR_RETURN(const TopicPartitionId partition, DecodeTopicId(*file));
  return partition;
}

}  // namespace catamaran::storage
