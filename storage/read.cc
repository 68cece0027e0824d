// PartitionLog's reads: planned on the shard, run on an I/O thread, checked before they are served.
#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "storage/batch_scanner.h"
#include "storage/binding.h"
#include "storage/log_impl.h"
#include "storage/text.h"

namespace catamaran::storage {
namespace {

constexpr size_t kReadBytesMax = kBatchBytesLimit;
constexpr size_t kLookupDecompressedBytesMax = 64u << 20;

absl::Status Damaged(const SegmentFiles& files, uint64_t position, std::string_view what) {
  return MakeError(Reason::kCorruptLog,
                   Cat("The log in ", files.directory, " is damaged at byte ", position,
                       " of segment ", files.base.value(), ": ", what,
                       " Rebuild the replica from its peers, or restore the directory."),
                   {{"directory", files.directory}});
}

// A segment that retention removed after the read was planned.
absl::Status ReadError(const absl::Status& status) {
  if (absl::IsNotFound(status)) {
    return MakeError(Reason::kOffsetOutOfRange,
                     "The offset was deleted meanwhile. Go on from the log start offset.");
  }
  return status;
}

struct Range {
  uint64_t position = 0;  // of the first batch to return
  uint64_t ordinal = 0;
};

// Reads bytes of one segment into one block, from which slices are handed out without a copy.
class SegmentReader {
 public:
  SegmentReader(SegmentFiles& files, uint64_t segment_bytes)
      : files_(files), segment_bytes_(segment_bytes) {}

  // Makes the block hold [position, + length) as far as the segment goes.
  absl::Status Load(uint64_t position, uint64_t length) {
    length = std::min(length, segment_bytes_ - std::min(position, segment_bytes_));
    block_ = std::make_shared_for_overwrite<char[]>(length);
    position_ = position;
    CATAMARAN_ASSIGN_OR_RETURN(
        length_, files_.log.ReadAt(position, block_.get(), static_cast<size_t>(length)));
    return absl::OkStatus();
  }
  // What the block has from `position` on.
  std::string_view From(uint64_t position) const {
    if (position < position_ || position >= position_ + length_) return {};
    const size_t skip = static_cast<size_t>(position - position_);
    return std::string_view(block_.get() + skip, length_ - skip);
  }
  Buffer Slice(uint64_t position, size_t length) const {
    return Buffer::Wrap(From(position).substr(0, length), block_);
  }
  SegmentFiles& files() { return files_; }
  uint64_t segment_bytes() const { return segment_bytes_; }

 private:
  SegmentFiles& files_;
  const uint64_t segment_bytes_;
  std::shared_ptr<char[]> block_;
  uint64_t position_ = 0;
  size_t length_ = 0;
};

// Finds the batch that holds `from`, beginning at `begin`; leaves it whole in the reader's block,
// with up to `length` bytes from it on.
absl::StatusOr<Range> Locate(SegmentReader& reader, const IndexEntry& begin, Offset from,
                             size_t length, int64_t interval) {
  uint64_t position = begin.position;
  uint64_t ordinal = begin.ordinal;
  const uint64_t gap = begin.offset < from ? static_cast<uint64_t>(interval) : 0;
  CATAMARAN_RETURN_IF_ERROR(reader.Load(position, length + gap));
  while (position < reader.segment_bytes()) {
    std::string_view bytes = reader.From(position);
    if (bytes.size() < kBatchHeaderBytes) {
      CATAMARAN_RETURN_IF_ERROR(reader.Load(position, length));
      bytes = reader.From(position);
    }
    const auto header = ParseBatchHeader(bytes);
    if (!header.ok() || position + header->size_bytes() > reader.segment_bytes() ||
        header->last_offset_delta < 0 || header->base_offset > from) {
      return Damaged(reader.files(), position, "no batch begins where one should.");
    }
    if (header->next_offset() > from) {
      if (bytes.size() < header->size_bytes()) {
        CATAMARAN_RETURN_IF_ERROR(
            reader.Load(position, std::max<uint64_t>(length, header->size_bytes())));
      }
      return Range{position, ordinal};
    }
    position += header->size_bytes();
    ++ordinal;
  }
  return Damaged(reader.files(), position, "the batch that the index promises isn't there.");
}

// Checks that the batches are bound to their place.
absl::Status CheckBinding(SegmentReader& reader, const TopicPartitionId& partition,
                          const Range& range, const std::vector<BatchHeader>& headers) {
  std::string entries(headers.size() * kBindEntryBytes, '\0');
  CATAMARAN_ASSIGN_OR_RETURN(
      const size_t got,
      reader.files().bind.ReadAt(range.ordinal * kBindEntryBytes, entries.data(), entries.size()));
  for (size_t i = 0; i < headers.size(); ++i) {
    if ((i + 1) * kBindEntryBytes > got ||
        !BindEntryMatches(ReadBindEntry(entries.data() + i * kBindEntryBytes), partition,
                          headers[i])) {
      return Damaged(reader.files(), range.position,
                     Cat("the batch at offset ", headers[i].base_offset.value(),
                         " isn't bound to this place."));
    }
  }
  return absl::OkStatus();
}

// Checks whole batches from `range` on and takes them while they fit.
absl::StatusOr<ReadResult> Collect(SegmentReader& reader, const TopicPartitionId& partition,
                                   const Range& range, Offset from, Offset limit,
                                   size_t max_bytes) {
  ReadResult result;
  result.next_offset = from;
  std::vector<BatchHeader> headers;
  uint64_t position = range.position;
  while (true) {
    const std::string_view bytes = reader.From(position);
    if (bytes.size() < kBatchHeaderBytes) break;
    const auto header = ParseBatchHeader(bytes);
    if (!header.ok() || header->last_offset_delta < 0 ||
        (!headers.empty() && header->base_offset < headers.back().next_offset())) {
      return Damaged(reader.files(), position, "no batch begins where one should.");
    }
    const size_t size = header->size_bytes();
    if (size > bytes.size()) break;
    // The first batch is checked before its offsets are believed: a damaged one that claims to end
    // past the limit must not look like an empty answer.
    if (!headers.empty() && (result.bytes + size > max_bytes || header->next_offset() > limit)) {
      break;
    }
    if (!BatchCrcMatches(bytes.substr(0, size))) {
      return Damaged(
          reader.files(), position,
          Cat("the batch at offset ", header->base_offset.value(), " doesn't match its checksum."));
    }
    if (header->next_offset() > limit) break;
    headers.push_back(*header);
    result.bytes += size;
    result.next_offset = header->next_offset();
    position += size;
  }
  if (headers.empty()) return result;
  CATAMARAN_RETURN_IF_ERROR(CheckBinding(reader, partition, range, headers));
  result.batches_runs.push_back(reader.Slice(range.position, result.bytes));
  return result;
}

// A segment to search for a timestamp.
struct LookupPart {
  std::shared_ptr<SegmentFiles> files;
  bool use_segment_index = false;
  IndexEntry begin;
  uint64_t bytes = 0;
};

struct Lookup {
  std::vector<LookupPart> parts;
  TimestampMs timestamp;
  Offset log_start;
  Offset limit;
  int64_t interval = 0;

  absl::StatusOr<std::optional<OffsetAndTimestamp>> Run() const;
  absl::StatusOr<std::optional<OffsetAndTimestamp>> SearchSegment(const LookupPart& part) const;
  absl::StatusOr<std::optional<OffsetAndTimestamp>> SearchBatch(std::string_view bytes) const;
};

absl::StatusOr<std::optional<OffsetAndTimestamp>> Lookup::SearchBatch(
    std::string_view bytes) const {
  CATAMARAN_ASSIGN_OR_RETURN(const BatchRecords records,
                             BatchRecords::Open(bytes, kLookupDecompressedBytesMax));
  const BatchHeader& header = records.header();
  RecordIterator iterator = records.begin_reading();
  Record record;
  while (iterator.Next(&record)) {
    const TimestampMs when = header.timestamp_type() == TimestampType::kLogAppendTime
                                 ? header.max_timestamp
                                 : record.timestamp;
    if (when >= timestamp && record.offset >= log_start && record.offset < limit) {
      return OffsetAndTimestamp{record.offset, when, header.leader_epoch};
    }
  }
  CATAMARAN_RETURN_IF_ERROR(iterator.status());
  return std::nullopt;
}

absl::StatusOr<std::optional<OffsetAndTimestamp>> Lookup::SearchSegment(
    const LookupPart& part) const {
  IndexEntry begin = part.begin;
  if (part.use_segment_index) {
    CATAMARAN_ASSIGN_OR_RETURN(const auto index,
                               LoadSegmentIndex(*part.files, part.bytes, interval));
    begin = index->FloorTimestamp(timestamp, part.begin);
  }
  BatchScanner scanner(part.files->log, begin.position, part.bytes, BatchScanner::Check::kCrc);
  while (true) {
    CATAMARAN_ASSIGN_OR_RETURN(const auto step, scanner.Next());
    if (step == BatchScanner::Step::kBad) {
      return Damaged(*part.files, scanner.position(), "no intact batch begins here.");
    }
    if (step == BatchScanner::Step::kEnd) return std::nullopt;
    const BatchHeader& header = scanner.header();
    if (header.base_offset >= limit) return std::nullopt;
    if (header.max_timestamp < timestamp || header.next_offset() <= log_start) continue;
    CATAMARAN_ASSIGN_OR_RETURN(const auto found, SearchBatch(scanner.bytes()));
    if (found.has_value()) return found;
  }
}

absl::StatusOr<std::optional<OffsetAndTimestamp>> Lookup::Run() const {
  for (const LookupPart& part : parts) {
    auto found = SearchSegment(part);
    if (!found.ok()) return ReadError(found.status());
    if (found->has_value()) return found;
  }
  return std::nullopt;
}

}  // namespace

// ---- tail cache ----

bool PartitionLog::Impl::ReadFromTail(Offset from, size_t max_bytes, Offset limit,
                                      ReadResult* result) {
  const auto cache = tail.Get<TailCache>();
  if (cache == nullptr || cache->entries.empty() || from < cache->entries.front().base) {
    return false;
  }
  auto it = std::upper_bound(cache->entries.begin(), cache->entries.end(), from,
                             [](Offset o, const TailCache::Entry& e) { return o < e.next; });
  if (it == cache->entries.end() || it->base > from) return false;
  result->next_offset = from;
  for (; it != cache->entries.end() && it->next <= limit; ++it) {
    if (result->bytes > 0 && result->bytes + it->bytes.size() > max_bytes) break;
    result->batches_runs.push_back(it->bytes);
    result->bytes += it->bytes.size();
    result->next_offset = it->next;
  }
  return true;
}

void PartitionLog::Impl::AddToTail(std::vector<WriteJob::State::Batch>& batches) {
  auto cache = tail.Get<TailCache>();
  if (cache == nullptr) cache = std::make_shared<TailCache>();
  if (!cache->entries.empty() && cache->entries.back().next != batches.front().header.base_offset) {
    cache->entries.clear();
    cache->bytes = 0;
  }
  for (WriteJob::State::Batch& batch : batches) {
    cache->bytes += batch.bytes.size();
    cache->entries.push_back(
        {batch.header.base_offset, batch.header.next_offset(), std::move(batch.bytes)});
    while (cache->bytes > kTailCacheBytesPerLogMax) {
      cache->bytes -= cache->entries.front().bytes.size();
      cache->entries.pop_front();
    }
  }
  const size_t cost = cache->bytes + cache->entries.size() * sizeof(TailCache::Entry);
  tail.Put(std::move(cache), cost);
}

// ---- plan ----

absl::StatusOr<ReadJob> PartitionLog::PlanRead(Offset from, size_t max_bytes, Offset limit) {
  Impl& impl = *impl_;
  limit = std::min(limit, impl.state.end);
  if (from < impl.state.log_start || from > limit) {
    return MakeError(
        Reason::kOffsetOutOfRange,
        Cat("Offset ", from.value(), " is outside the readable range [",
            impl.state.log_start.value(), ", ", limit.value(),
            "]. Begin at the earliest or the latest offset."),
        {{"log_start", Cat(impl.state.log_start.value())}, {"log_end", Cat(limit.value())}});
  }
  ReadJob job;
  job.state_ = std::make_unique<ReadJob::State>();
  ReadJob::State& state = *job.state_;
  state.result.next_offset = from;
  if (from == limit || impl.ReadFromTail(from, max_bytes, limit, &state.result)) {
    state.in_memory = true;
    return job;
  }
  const Segment& segment = impl.state.segments[impl.SegmentOf(from)];
  state.partition = impl.identity.partition;
  state.files = segment.files;
  state.use_segment_index = segment.finished;
  state.begin =
      segment.finished ? segment.Begin() : segment.index.FloorOffset(from, segment.Begin());
  state.segment_bytes = segment.bytes;
  state.index_interval = impl.config.index_interval_bytes;
  state.from = from;
  state.limit = limit;
  state.max_bytes = std::min(max_bytes, kReadBytesMax);
  return job;
}

absl::AnyInvocable<absl::StatusOr<std::optional<OffsetAndTimestamp>>()>
PartitionLog::PlanTimestampLookup(TimestampMs timestamp, Offset limit) {
  const Impl& impl = *impl_;
  Lookup lookup;
  lookup.timestamp = timestamp;
  lookup.log_start = impl.state.log_start;
  lookup.limit = std::min(limit, impl.state.end);
  lookup.interval = impl.config.index_interval_bytes;
  for (const Segment& segment : impl.state.segments) {
    if (segment.max_timestamp < timestamp || segment.end <= lookup.log_start) continue;
    if (segment.base >= lookup.limit) break;
    lookup.parts.push_back({segment.files, segment.finished,
                            segment.finished
                                ? segment.Begin()
                                : segment.index.FloorTimestamp(timestamp, segment.Begin()),
                            segment.bytes});
  }
  return [lookup = std::move(lookup)] { return lookup.Run(); };
}

// ---- the job ----

ReadJob::ReadJob() = default;
ReadJob::ReadJob(ReadJob&&) noexcept = default;
ReadJob& ReadJob::operator=(ReadJob&&) noexcept = default;
ReadJob::~ReadJob() = default;
bool ReadJob::in_memory() const { return state_->in_memory; }

absl::StatusOr<ReadResult> ReadJob::Run() {
  State& state = *state_;
  if (state.in_memory) return std::move(state.result);
  const auto read = [&state]() -> absl::StatusOr<ReadResult> {
    IndexEntry begin = state.begin;
    if (state.use_segment_index) {
      CATAMARAN_ASSIGN_OR_RETURN(
          const auto index,
          LoadSegmentIndex(*state.files, state.segment_bytes, state.index_interval));
      begin = index->FloorOffset(state.from, state.begin);
    }
    SegmentReader reader(*state.files, state.segment_bytes);
    CATAMARAN_ASSIGN_OR_RETURN(
        const Range range,
        Locate(reader, begin, state.from, std::max(state.max_bytes, kBatchHeaderBytes),
               state.index_interval));
    return Collect(reader, state.partition, range, state.from, state.limit, state.max_bytes);
  };
  absl::StatusOr<ReadResult> result = read();
  if (!result.ok()) return ReadError(result.status());
  return result;
}

}  // namespace catamaran::storage
