#include "client/core/partition_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "base/varint.h"

namespace catamaran::client::core {
namespace {

// Control record keys: version i16, type i16; 0 is abort (docs/formats.md).
constexpr int16_t kAbortMarker = 0;

absl::Status Corrupt(std::string_view what) {
  return MakeError(Reason::kCorruptBatch, absl::StrCat("A batch that was read ",
                                                       absl::string_view(what.data(), what.size()),
                                                       ". Check the broker's disk."));
}

bool IsAbortMarker(std::string_view bytes, size_t decompressed_bytes_max) {
  absl::StatusOr<BatchRecords> records = BatchRecords::Open(bytes, decompressed_bytes_max);
  if (!records.ok()) return false;
  RecordIterator iterator = records->begin_reading();
  Record record;
  if (!iterator.Next(&record) || !record.key.has_value()) return false;
  ByteReader reader(*record.key);
  reader.ReadBigEndian<int16_t>();
  const auto type = reader.ReadBigEndian<int16_t>();
  return reader.ok() && type == kAbortMarker;
}

}  // namespace

PartitionReader::PartitionReader(const Options& options, const TopicPartition& partition)
    : options_(options),
      partition_(partition),
      topic_(std::make_shared<const std::string>(partition.topic)) {}

void PartitionReader::Reset(Offset position) {
  chunks_.clear();
  batch_.reset();
  iterator_.reset();
  buffered_bytes_ = 0;
  status_ = absl::OkStatus();
  position_ = position;
}

void PartitionReader::Jump(Offset position) {
  if (empty()) {
    position_ = position;
    return;
  }
  Chunk chunk;
  chunk.next_offset = position;
  chunk.jump = true;
  chunks_.push_back(std::move(chunk));
}

void PartitionReader::Add(FetchResult fetched) {
  Chunk chunk;
  chunk.bytes = std::move(fetched.batches);
  chunk.next_offset = fetched.next_offset;
  chunk.aborted = std::move(fetched.aborted);
  std::sort(chunk.aborted.begin(), chunk.aborted.end(),
            [](const AbortedTransaction& a, const AbortedTransaction& b) {
              return a.first_offset < b.first_offset;
            });
  buffered_bytes_ += chunk.bytes.size();
  chunks_.push_back(std::move(chunk));
}

void PartitionReader::Read(size_t records_max, std::vector<ConsumedRecord>* records,
                           PolledBatches* polled) {
  bool topic_kept = false;
  Record record;
  while (records_max > 0) {
    if (batch_ == nullptr && !OpenNextBatch()) return;
    const BatchHeader& header = batch_->records.header();
    bool used = false;
    bool at_end = false;
    while (records_max > 0) {
      if (!iterator_->Next(&record)) {
        at_end = true;
        break;
      }
      if (record.offset < position_) continue;
      used = true;
      --records_max;
      position_ = record.offset + 1;
      ConsumedRecord& out = records->emplace_back();
      out.topic = *topic_;
      out.partition = partition_.partition;
      out.leader_epoch = header.leader_epoch;
      out.offset = record.offset;
      out.timestamp = record.timestamp;
      out.key = record.key;
      out.value = record.value;
      if (!record.headers.empty()) {
        polled->headers.push_back(std::move(record.headers));
        record.headers = {};
        out.headers = polled->headers.back();
      }
    }
    if (used) {
      polled->batches.push_back(batch_);
      if (!std::exchange(topic_kept, true)) polled->topics.push_back(topic_);
    }
    if (!at_end) return;
    if (!iterator_->status().ok()) {
      Fail(iterator_->status(), batch_end_);
      return;
    }
    position_ = std::max(position_, batch_end_);
    iterator_.reset();
    batch_.reset();
    EndChunk();
  }
}

// A chunk stays at the front until its last batch is read: only then do its bytes stop to count.
void PartitionReader::EndChunk() {
  while (!chunks_.empty() && chunks_.front().at == chunks_.front().bytes.size()) {
    const Chunk& chunk = chunks_.front();
    position_ = chunk.jump ? chunk.next_offset : std::max(position_, chunk.next_offset);
    buffered_bytes_ -= chunk.bytes.size();
    chunks_.pop_front();
  }
}

bool PartitionReader::OpenNextBatch() {
  if (!status_.ok()) return false;
  for (EndChunk(); !chunks_.empty(); EndChunk()) {
    Chunk& chunk = chunks_.front();
    std::string_view bytes;
    absl::StatusOr<BatchHeader> header = NextHeader(&chunk, &bytes);
    if (!header.ok()) {
      Fail(header.status(), std::nullopt);
      return false;
    }
    if (header->next_offset() <= position_) continue;
    if (options_.check_crc && !BatchCrcMatches(bytes)) {
      Fail(Corrupt("has a wrong CRC"), header->next_offset());
      return false;
    }
    if (IsDropped(&chunk, *header, bytes)) {
      position_ = header->next_offset();
      continue;
    }
    absl::StatusOr<BatchRecords> records =
        BatchRecords::Open(bytes, options_.decompressed_bytes_max);
    if (!records.ok()) {
      Fail(records.status(), header->next_offset());
      return false;
    }
    batch_end_ = header->next_offset();
    batch_ = std::make_shared<const OpenBatch>(OpenBatch{chunk.bytes.Sub(0), *std::move(records)});
    iterator_ = batch_->records.begin_reading();
    return true;
  }
  return false;
}

absl::StatusOr<BatchHeader> PartitionReader::NextHeader(Chunk* chunk, std::string_view* bytes) {
  const std::string_view rest = chunk->bytes.view().substr(chunk->at);
  CATAMARAN_ASSIGN_OR_RETURN(BatchHeader header, ParseBatchHeader(rest));
  if (header.size_bytes() > rest.size()) return Corrupt("is cut off");
  if (header.base_offset.value() < 0 || header.last_offset_delta < 0 || header.record_count < 0 ||
      header.base_offset.value() > INT64_MAX - header.last_offset_delta - 1) {
    return Corrupt("has offsets that can't be");
  }
  if (header.next_offset() > chunk->next_offset) {
    return Corrupt("ends behind the end of the answer that it came in");
  }
  *bytes = rest.substr(0, header.size_bytes());
  chunk->at += header.size_bytes();
  return header;
}

bool PartitionReader::IsDropped(Chunk* chunk, const BatchHeader& header, std::string_view bytes) {
  while (chunk->aborted_at < chunk->aborted.size() &&
         chunk->aborted[chunk->aborted_at].first_offset <= header.last_offset()) {
    chunk->aborting.insert(chunk->aborted[chunk->aborted_at++].producer_id.value());
  }
  if (header.is_control()) {
    if (chunk->aborting.contains(header.producer_id.value()) &&
        IsAbortMarker(bytes, options_.decompressed_bytes_max)) {
      chunk->aborting.erase(header.producer_id.value());
    }
    return true;
  }
  if (header.record_count == 0) return true;  // emptied by compaction
  return options_.isolation_level == IsolationLevel::kReadCommitted && header.is_transactional() &&
         chunk->aborting.contains(header.producer_id.value());
}

void PartitionReader::Fail(const absl::Status& status, std::optional<Offset> next) {
  const std::string offset = absl::StrCat(position_.value());
  const std::string limit = absl::StrCat(options_.decompressed_bytes_max);
  const bool too_large = ReasonOf(status) == Reason::kRecordTooLarge;
  std::string message =
      absl::StrCat(partition_.topic, "-", partition_.partition.value(), " can't be read at offset ",
                   offset, ": ",
                   too_large ? absl::StrCat("the batch there decompresses to more than ", limit,
                                            " bytes. Raise decompressed_bytes_max to read it.")
                             : std::string(status.message()));
  ErrorMetadata metadata = {{"topic", partition_.topic},
                            {"partition", absl::StrCat(partition_.partition.value())},
                            {"offset", offset}};
  if (too_large) metadata.emplace_back("limit", limit);
  if (next.has_value()) {
    const std::string next_offset = absl::StrCat(next->value());
    absl::StrAppend(&message, " Reading goes on at offset ", next_offset, " after a seek there.");
    metadata.emplace_back("next_offset", next_offset);
  }
  status_ = MakeError(ReasonOf(status), message, std::move(metadata));
  chunks_.clear();
  batch_.reset();
  iterator_.reset();
  buffered_bytes_ = 0;
}

}  // namespace catamaran::client::core
