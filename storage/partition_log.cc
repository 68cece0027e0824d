#include "storage/partition_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "storage/binding.h"
#include "storage/log_impl.h"
#include "storage/recovery.h"
#include "storage/text.h"

namespace catamaran::storage {

absl::Status StorageError(const absl::Status& status, std::string_view doing) {
  if (ReasonOf(status) == Reason::kStorageFull) {
    return MakeError(Reason::kStorageFull,
                     Cat("The disk is full: ", doing,
                         " was refused and changed nothing. Free space and retry."));
  }
  return MakeError(Reason::kStorageFailed,
                   Cat("The disk failed while ", doing, ": ", status.message(),
                       " The partition takes no more appends until it is opened again."));
}

size_t PartitionLog::Impl::SegmentOf(Offset offset) const {
  const auto& segments = state.segments;
  auto it = std::upper_bound(segments.begin(), segments.end(), offset,
                             [](Offset o, const Segment& s) { return o < s.end; });
  return static_cast<size_t>(it - segments.begin());
}

PartitionLog::PartitionLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PartitionLog::~PartitionLog() = default;

absl::StatusOr<std::unique_ptr<PartitionLog>> PartitionLog::Open(FileSystem& fs,
                                                                 LogIdentity identity,
                                                                 LogConfig config,
                                                                 TimestampMs now) {
  CATAMARAN_ASSIGN_OR_RETURN(LogState state, LoadLog(fs, identity, config, now));
  auto impl = std::make_unique<Impl>(fs, std::move(identity), config, std::move(state));
  impl->producers_checked = now;
  return std::unique_ptr<PartitionLog>(new PartitionLog(std::move(impl)));
}

const LogIdentity& PartitionLog::identity() const { return impl_->identity; }
const LogConfig& PartitionLog::config() const { return impl_->config; }
void PartitionLog::SetConfig(const LogConfig& config) { impl_->config = config; }
Offset PartitionLog::log_start() const { return impl_->state.log_start; }
Offset PartitionLog::synced_end() const { return impl_->state.synced_end; }
Offset PartitionLog::end() const { return impl_->state.end; }
LeaderEpoch PartitionLog::last_epoch() const { return impl_->state.epochs.last_epoch(); }
const absl::Status& PartitionLog::health() const { return impl_->health; }
bool PartitionLog::write_in_flight() const { return impl_->write_in_flight; }
bool PartitionLog::maintenance_in_flight() const { return impl_->maintenance_in_flight; }
Offset PartitionLog::recovery_point() const { return impl_->state.recovery_end; }
const std::vector<EpochStart>& PartitionLog::epochs() const {
  return impl_->state.epochs.entries();
}

LogStats PartitionLog::stats() const {
  LogStats stats;
  for (const Segment& segment : impl_->state.segments) {
    stats.size_bytes += static_cast<int64_t>(segment.bytes);
  }
  stats.segments = static_cast<int>(impl_->state.segments.size());
  stats.producers = impl_->state.producers.size();
  stats.recovered_bytes = impl_->state.recovered_bytes;
  stats.truncated_bytes = impl_->state.truncated_bytes;
  return stats;
}

EpochStart PartitionLog::EndOfEpoch(LeaderEpoch epoch) const {
  return impl_->state.epochs.EndOf(epoch, impl_->state.log_start, impl_->state.end);
}

std::string PartitionLog::EncodeProducerState() const {
  ProducerMap timeless = impl_->state.producers;
  for (auto& [id, entry] : timeless) entry.last_seen = TimestampMs(0);
  std::string out;
  EncodeProducers(timeless, &out);
  return out;
}

void PartitionLog::ReportCorruption(const absl::Status& status) { impl_->Latch(status); }

// ---- durability ----

SyncTarget PartitionLog::TakeSync() const {
  const LogState& state = impl_->state;
  SyncTarget target;
  target.end = state.end;
  for (size_t i = impl_->SegmentOf(state.synced_end); i < state.segments.size(); ++i) {
    const auto& files = state.segments[i].files;
    target.files.push_back(std::shared_ptr<File>(files, &files->log));
  }
  return target;
}

void PartitionLog::FinishSync(const SyncTarget& target, const absl::Status& status) {
  if (!status.ok()) {
    impl_->Latch(MakeError(Reason::kStorageFailed,
                           Cat("A sync failed, and what it was to make durable may be "
                               "lost: ",
                               status.message(),
                               " The partition takes no more appends until it is opened "
                               "again.")));
    return;
  }
  LogState& state = impl_->state;
  state.synced_end = std::max(state.synced_end, std::min(target.end, state.end));
}

// ---- invariants ----

void PartitionLog::CheckInvariants() const {
  const LogState& state = impl_->state;
  CATAMARAN_CHECK(state.log_start <= state.end, "log start is past the end");
  CATAMARAN_CHECK(state.synced_end <= state.end, "synced end is past the end");
  CATAMARAN_CHECK(state.recovery_end <= state.synced_end, "recovery point isn't synced");
  if (!state.segments.empty()) {
    CATAMARAN_CHECK(state.segments.front().base <= state.log_start, "first segment is missing");
    CATAMARAN_CHECK(state.segments.back().end == state.end, "end isn't the last segment's");
  }
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const Segment& segment = state.segments[i];
    const bool last = i + 1 == state.segments.size();
    CATAMARAN_CHECK(segment.base <= segment.end, "a segment ends before it begins");
    CATAMARAN_CHECK(last || segment.bytes > 0, "an empty segment isn't the last");
    CATAMARAN_CHECK(last || segment.end == state.segments[i + 1].base, "segments have a gap");
    CATAMARAN_CHECK((segment.bytes == 0) == (segment.batches == 0), "batches without bytes");
    CATAMARAN_CHECK(!last || !segment.finished, "the last segment is finished");
  }
  for (size_t i = 1; i < state.epochs.entries().size(); ++i) {
    const EpochStart& previous = state.epochs.entries()[i - 1];
    const EpochStart& entry = state.epochs.entries()[i];
    CATAMARAN_CHECK(previous.epoch < entry.epoch && previous.start_offset < entry.start_offset,
                    "leader epochs don't rise");
  }
}

}  // namespace catamaran::storage
