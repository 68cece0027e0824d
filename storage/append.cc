// PartitionLog's append: staging on the shard, the write job, and its finish.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "storage/binding.h"
#include "storage/log_impl.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

absl::Status FencedEpoch(LeaderEpoch epoch, LeaderEpoch last) {
  return MakeError(
      Reason::kFencedEpoch,
      Cat("The append is of leader epoch ", epoch.value(), " and the log has batches of epoch ",
          last.value(), ". Refresh the metadata and send to the present leader."),
      {{"epoch", Cat(epoch.value())}, {"current_epoch", Cat(last.value())}});
}

absl::Status NotABatch() {
  return MakeError(Reason::kCorruptBatch, "The bytes to append aren't exactly one batch.");
}

// The segment that the next batch goes to, as it will be once the job's earlier batches are
// written.
struct Target {
  std::shared_ptr<SegmentFiles> files;
  uint64_t bytes = 0;
  uint64_t batches = 0;
  TimestampMs created{0};
  bool takes_more = false;
};

bool MustRoll(const Target& target, size_t batch_bytes, const LogConfig& config, TimestampMs now) {
  if (!target.takes_more) return true;
  if (target.batches == 0) return false;
  return target.bytes + batch_bytes > static_cast<uint64_t>(config.segment_bytes) ||
         now - target.created >= config.segment_ms;
}

}  // namespace

StageResult PartitionLog::Stage(std::vector<StageRequest> requests, LeaderEpoch epoch,
                                TimestampMs now) {
  Impl& impl = *impl_;
  CATAMARAN_CHECK(!impl.write_in_flight, "staged while a write is in flight");
  CATAMARAN_CHECK(!impl.closed, "staged on a closed log");
  StageResult result;
  result.decisions.reserve(requests.size());
  absl::Status refusal = impl.health;
  if (refusal.ok() && epoch < last_epoch()) refusal = FencedEpoch(epoch, last_epoch());
  if (!refusal.ok()) {
    result.decisions.assign(requests.size(), refusal);
    return result;
  }
  auto job = std::make_unique<WriteJob::State>();
  job->fs = &impl.fs;
  job->directory = impl.identity.directory;
  job->partition = impl.identity.partition;
  job->create_directory = !impl.state.directory_ready;
  job->unmark_clean = impl.state.clean_on_disk;
  job->now = now;

  Target target;
  if (!impl.state.segments.empty()) {
    const Segment& last = impl.state.segments.back();
    target = {last.files, last.bytes, last.batches, last.created, !impl.roll_pending};
  }
  Offset next = impl.state.end;
  bool begin_extent = true;
  for (StageRequest& request : requests) {
    const auto parsed = ParseBatchHeader(request.bytes);
    if (!parsed.ok() || parsed->size_bytes() != request.bytes.size()) {
      result.decisions.push_back(NotABatch());
      continue;
    }
    if (parsed->has_producer()) {
      auto known = job->producers.Check(impl.state.producers, *parsed);
      if (!known.ok()) {
        result.decisions.push_back(known.status());
        continue;
      }
      if (known->has_value()) {
        result.decisions.push_back(**known);
        continue;
      }
    }
    PatchBaseOffset(request.bytes.data(), next);
    PatchLeaderEpoch(request.bytes.data(), epoch);
    const bool log_append = impl.config.timestamp_type == TimestampType::kLogAppendTime;
    if (log_append) PatchLogAppendTime(&request.bytes, now);
    const BatchHeader header = *ParseBatchHeader(request.bytes);

    if (MustRoll(target, request.bytes.size(), impl.config, now)) {
      target = {std::make_shared<SegmentFiles>(impl.fs, impl.identity.directory, next), 0, 0, now,
                true};
      begin_extent = true;
    }
    if (begin_extent) {
      WriteJob::State::Extent extent;
      extent.files = target.files;
      extent.create = target.batches == 0;
      extent.position = target.bytes;
      extent.bind_position = target.batches * kBindEntryBytes;
      job->extents.push_back(std::move(extent));
      begin_extent = false;
    }
    if (parsed->has_producer()) job->producers.Add(impl.state.producers, header, now);
    WriteJob::State::Extent& extent = job->extents.back();
    Buffer bytes = Buffer::FromString(std::move(request.bytes));
    extent.parts.push_back(bytes.view());
    extent.bytes += bytes.size();
    AppendBindEntry(MakeBindEntry(impl.identity.partition, header, impl.state.synced_end),
                    &extent.bind);
    target.bytes += bytes.size();
    ++target.batches;
    next = header.next_offset();
    result.decisions.push_back(
        Appended{header.base_offset, header.last_offset(), log_append ? now : kNoTimestamp, false});
    job->batches.push_back({header, std::move(bytes), job->extents.size() - 1});
  }
  if (job->batches.empty()) return result;
  impl.write_in_flight = true;
  result.job.emplace();
  result.job->state_ = std::move(job);
  return result;
}

absl::Status PartitionLog::FinishWrite(WriteJob job) {
  Impl& impl = *impl_;
  CATAMARAN_CHECK(impl.write_in_flight && job.state_ != nullptr, "finished a write that isn't");
  impl.write_in_flight = false;
  WriteJob::State& done = *job.state_;
  if (!done.status.ok()) {
    if (ReasonOf(done.status) != Reason::kStorageFull) impl.Latch(done.status);
    if (done.unmarked) impl.state.clean_on_disk = false;
    return done.status;
  }
  LogState& state = impl.state;
  state.directory_ready = true;
  state.clean_on_disk = false;
  for (const WriteJob::State::Batch& batch : done.batches) {
    const WriteJob::State::Extent& extent = done.extents[batch.extent];
    if (state.segments.empty() || state.segments.back().files != extent.files) {
      Segment segment;
      segment.base = batch.header.base_offset;
      segment.files = extent.files;
      state.segments.push_back(std::move(segment));
      impl.roll_pending = false;
    }
    Segment& segment = state.segments.back();
    ApplyBatch(batch.header, done.now, impl.config.index_interval_bytes, &segment, &state.epochs,
               nullptr);
    state.end = segment.end;
    impl.unchecked_bytes += batch.bytes.size();
  }
  done.producers.MergeInto(&state.producers);
  impl.AddToTail(done.batches);
  return absl::OkStatus();
}

// ---- the job ----

WriteJob::WriteJob() = default;
WriteJob::WriteJob(WriteJob&&) noexcept = default;
WriteJob& WriteJob::operator=(WriteJob&&) noexcept = default;
WriteJob::~WriteJob() = default;
const absl::Status& WriteJob::status() const { return state_->status; }

void WriteJob::Run() {
  State& state = *state_;
  const absl::Status written = state.Write();
  if (written.ok()) return;
  // A write that failed otherwise than for want of space leaves the log's files in doubt: the log
  // latches, and recovery decides.
  const bool full = ReasonOf(written) == Reason::kStorageFull;
  const absl::Status undone = full ? state.Undo() : absl::OkStatus();
  state.status =
      StorageError(undone.ok() ? written : undone, undone.ok() ? "appending" : "undoing an append");
  if (!undone.ok() && ReasonOf(undone) == Reason::kStorageFull) {
    state.status = MakeError(Reason::kStorageFailed,
                             "An append that met a full disk couldn't be undone. Free space and "
                             "restart the broker.");
  }
}

absl::Status WriteJob::State::PrepareDirectory() {
  if (create_directory) {
    CATAMARAN_RETURN_IF_ERROR(fs->MakeDirectory(directory));
    CATAMARAN_RETURN_IF_ERROR(
        WriteFileAtomically(*fs, Cat(directory, "/", kTopicIdFile), EncodeTopicId(partition)));
    CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(ParentDirectory(directory)));
  }
  if (unmark_clean) {
    const absl::Status renamed =
        fs->Rename(Cat(directory, "/", kCleanCheckpointFile), Cat(directory, "/", kCheckpointFile));
    // Renamed by an attempt that failed later.
    if (!renamed.ok() && !absl::IsNotFound(renamed)) return renamed;
    unmarked = true;
    CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(directory));
  }
  return absl::OkStatus();
}

absl::Status WriteJob::State::WriteExtent(Extent& extent) {
  if (extent.create) {
    CATAMARAN_RETURN_IF_ERROR(extent.files->log.Create());
    CATAMARAN_RETURN_IF_ERROR(extent.files->bind.Create());
    // The names, before anything in the files may count as durable.
    CATAMARAN_RETURN_IF_ERROR(fs->SyncDirectory(directory));
  }
  CATAMARAN_RETURN_IF_ERROR(extent.files->log.WriteAt(extent.position, extent.parts));
  return extent.files->bind.WriteAt(extent.bind_position, extent.bind);
}

absl::Status WriteJob::State::Write() {
  CATAMARAN_RETURN_IF_ERROR(PrepareDirectory());
  for (Extent& extent : extents) {
    ++extents_begun;
    CATAMARAN_RETURN_IF_ERROR(WriteExtent(extent));
  }
  return absl::OkStatus();
}

// The refused batches must not come back after a crash either, so the truncation is synced.
absl::Status WriteJob::State::Undo() {
  bool removed = false;
  for (size_t i = extents_begun; i-- > 0;) {
    SegmentFiles& files = *extents[i].files;
    if (extents[i].create) {
      files.log.Release();
      files.bind.Release();
      for (PooledFile* file : {&files.log, &files.bind}) {
        const absl::Status gone = fs->Remove(file->path());
        if (!gone.ok() && !absl::IsNotFound(gone)) return gone;
      }
      removed = true;
    } else {
      CATAMARAN_RETURN_IF_ERROR(files.log.Truncate(extents[i].position));
      CATAMARAN_RETURN_IF_ERROR(files.log.SyncData());
      CATAMARAN_RETURN_IF_ERROR(files.bind.Truncate(extents[i].bind_position));
    }
  }
  return removed ? fs->SyncDirectory(directory) : absl::OkStatus();
}

}  // namespace catamaran::storage
