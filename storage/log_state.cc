#include "storage/log_state.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/varint.h"
#include "storage/checkpoint_file.h"

namespace catamaran::storage {
namespace {

constexpr size_t kSegmentRowBytes = 56;

absl::Status Malformed() { return MakeError(Reason::kCorruptLog, "The checkpoint is malformed."); }

void AppendBytes(std::string_view bytes, std::string* out) {
  AppendBigEndian<uint32_t>(out, static_cast<uint32_t>(bytes.size()));
  out->append(bytes);
}

// Rows are contiguous, rise, and end at `end`.
bool RowsHold(const LogCheckpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.segments.size(); ++i) {
    const CheckpointSegment& row = checkpoint.segments[i];
    if (row.base.value() < 0 || row.end < row.base || (row.bytes == 0) != (row.batches == 0) ||
        (row.bytes == 0) != (row.end == row.base)) {
      return false;
    }
    const Offset next =
        i + 1 < checkpoint.segments.size() ? checkpoint.segments[i + 1].base : checkpoint.end;
    if (row.end != next) return false;
  }
  return checkpoint.end.value() >= 0;
}

}  // namespace

std::string EncodeLogCheckpoint(const LogState& state) {
  std::string body;
  AppendBigEndian<int64_t>(&body, state.end.value());
  AppendBigEndian<uint32_t>(&body, static_cast<uint32_t>(state.segments.size()));
  for (const Segment& segment : state.segments) {
    AppendBigEndian<int64_t>(&body, segment.base.value());
    AppendBigEndian<int64_t>(&body, segment.end.value());
    AppendBigEndian<uint64_t>(&body, segment.bytes);
    AppendBigEndian<uint64_t>(&body, segment.batches);
    AppendBigEndian<int64_t>(&body, segment.max_timestamp.value());
    AppendBigEndian<int64_t>(&body, segment.created.value());
    AppendBigEndian<int64_t>(&body, segment.appended.value());
  }
  const SparseIndex no_index;
  const SparseIndex& index = state.segments.empty() ? no_index : state.segments.back().index;
  AppendBytes(index.EncodeOffsets(), &body);
  AppendBytes(index.EncodeTimes(), &body);
  state.epochs.EncodeTo(&body);
  EncodeProducers(state.producers, &body);
  return EncodeFrame(FileKind::kLogCheckpoint, body);
}

absl::StatusOr<LogCheckpoint> DecodeLogCheckpoint(std::string_view file) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body,
                             DecodeFrame(FileKind::kLogCheckpoint, file));
  ByteReader reader(body);
  LogCheckpoint checkpoint;
  checkpoint.end = Offset(reader.ReadBigEndian<int64_t>());
  const auto count = reader.ReadBigEndian<uint32_t>();
  if (!reader.ok() || count > reader.remaining() / kSegmentRowBytes) return Malformed();
  for (uint32_t i = 0; i < count; ++i) {
    CheckpointSegment row;
    row.base = Offset(reader.ReadBigEndian<int64_t>());
    row.end = Offset(reader.ReadBigEndian<int64_t>());
    row.bytes = reader.ReadBigEndian<uint64_t>();
    row.batches = reader.ReadBigEndian<uint64_t>();
    row.max_timestamp = TimestampMs(reader.ReadBigEndian<int64_t>());
    row.created = TimestampMs(reader.ReadBigEndian<int64_t>());
    row.appended = TimestampMs(reader.ReadBigEndian<int64_t>());
    checkpoint.segments.push_back(row);
  }
  const std::string_view offsets = reader.ReadBytes(reader.ReadBigEndian<uint32_t>());
  const std::string_view times = reader.ReadBytes(reader.ReadBigEndian<uint32_t>());
  if (!reader.ok() || !RowsHold(checkpoint)) return Malformed();
  if (!checkpoint.segments.empty()) {
    const CheckpointSegment& last = checkpoint.segments.back();
    CATAMARAN_ASSIGN_OR_RETURN(checkpoint.last_index,
                               SparseIndex::Decode(offsets, times, last.base, last.bytes));
  }
  CATAMARAN_ASSIGN_OR_RETURN(checkpoint.epochs, EpochHistory::DecodeFrom(&reader));
  CATAMARAN_ASSIGN_OR_RETURN(checkpoint.producers, DecodeProducers(&reader));
  if (!reader.ok() || reader.remaining() != 0) return Malformed();
  return checkpoint;
}

std::string EncodeTopicId(const TopicPartitionId& partition) {
  std::string body = partition.topic.uuid.ToBytes();
  AppendBigEndian<int32_t>(&body, partition.partition.value());
  return EncodeFrame(FileKind::kTopicId, body);
}

absl::StatusOr<TopicPartitionId> DecodeTopicId(std::string_view file) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, DecodeFrame(FileKind::kTopicId, file));
  if (body.size() != 20) return MakeError(Reason::kCorruptLog, "The topic id is malformed.");
  return TopicPartitionId{TopicId{*Uuid::FromBytes(body.substr(0, 16))},
                          PartitionIndex(LoadBigEndian<int32_t>(body.data() + 16))};
}

std::string EncodeLogStart(Offset log_start) {
  std::string body;
  AppendBigEndian<int64_t>(&body, log_start.value());
  return EncodeFrame(FileKind::kLogStart, body);
}

absl::StatusOr<Offset> DecodeLogStart(std::string_view file) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::string_view body, DecodeFrame(FileKind::kLogStart, file));
  if (body.size() != 8 || LoadBigEndian<int64_t>(body.data()) < 0) {
    return MakeError(Reason::kCorruptLog, "The log start offset is malformed.");
  }
  return Offset(LoadBigEndian<int64_t>(body.data()));
}

void ApplyBatch(const BatchHeader& header, TimestampMs now, int64_t index_interval,
                Segment* segment, EpochHistory* epochs, ProducerMap* producers) {
  if (segment->batches == 0) segment->created = now;
  segment->index.MaybeAdd(
      {header.base_offset, segment->bytes, segment->batches, segment->max_timestamp},
      index_interval);
  segment->end = header.next_offset();
  segment->bytes += header.size_bytes();
  ++segment->batches;
  segment->max_timestamp = std::max(segment->max_timestamp, header.max_timestamp);
  segment->appended = now;
  epochs->Assign(header.leader_epoch, header.base_offset);
  if (producers != nullptr) ReplayProducerBatch(header, now, producers);
}

}  // namespace catamaran::storage
