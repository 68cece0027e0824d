// What was fetched of one partition and not yet polled: takes batches apart into records. Every
// batch is checked (length, order, CRC, count) before a record of it is handed out; decompression
// is bounded; control batches, aborted transactions and what lies before the position are skipped.
// Owned by ConsumerCore.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "base/batch/batch.h"
#include "base/buffer.h"
#include "client/consumer.h"
#include "client/core/messages.h"

namespace catamaran::client::core {

// A batch opened for reading; keeps its bytes alive.
struct OpenBatch {
  Buffer owner;
  BatchRecords records;
};

// What a poll's records point into.
struct PolledBatches {
  std::vector<std::shared_ptr<const OpenBatch>> batches;
  std::vector<std::shared_ptr<const std::string>> topics;
  std::deque<std::vector<RecordHeader>> headers;
};

class PartitionReader {
 public:
  struct Options {
    size_t decompressed_bytes_max = 0;
    bool check_crc = true;
    IsolationLevel isolation_level = IsolationLevel::kReadCommitted;
  };
  PartitionReader(const Options& options, const TopicPartition& partition);

  // Drops everything; the next record is the first at or after `position`.
  void Reset(Offset position);
  // As Reset, but after what is buffered was read.
  void Jump(Offset position);
  // Fetched from where the last one ended, or from the last Reset or Jump.
  void Add(FetchResult fetched);

  // Appends up to `records_max` records. Stops at an error: see status().
  void Read(size_t records_max, std::vector<ConsumedRecord>* records, PolledBatches* polled);

  // Of the next record to be read.
  Offset position() const { return position_; }
  bool empty() const { return chunks_.empty() && batch_ == nullptr; }
  size_t buffered_bytes() const { return buffered_bytes_; }
  // OK, or why what is buffered can't be read on: kCorruptBatch, kRecordTooLarge,
  // kUnsupportedCompression. Metadata: "topic", "partition", "offset" and, when known,
  // "next_offset", where reading can go on. Until Reset.
  const absl::Status& status() const { return status_; }

 private:
  struct Chunk {
    Buffer bytes;
    size_t at = 0;  // of the next batch
    Offset next_offset{0};
    bool jump = false;
    std::vector<AbortedTransaction> aborted;  // by first offset
    size_t aborted_at = 0;                    // of the next one to begin
    absl::flat_hash_set<int64_t> aborting;    // producers whose batches are being dropped
  };

  // Opens the next batch that has records for the reader; false when there is none, or an error.
  bool OpenNextBatch();
  // The header at the front of the chunk, advancing past the batch; checks what a header can say.
  absl::StatusOr<BatchHeader> NextHeader(Chunk* chunk, std::string_view* bytes);
  bool IsDropped(Chunk* chunk, const BatchHeader& header, std::string_view bytes);
  void EndChunk();
  // `next` is the offset behind the batch that can't be read; absent when its header tells nothing.
  void Fail(const absl::Status& status, std::optional<Offset> next);

  const Options options_;
  const TopicPartition partition_;
  const std::shared_ptr<const std::string> topic_;

  Offset position_{0};
  Offset batch_end_{0};  // position after the open batch
  std::deque<Chunk> chunks_;
  std::shared_ptr<const OpenBatch> batch_;
  std::optional<RecordIterator> iterator_;  // of batch_
  size_t buffered_bytes_ = 0;               // Invariant: the sum of chunks_' bytes
  absl::Status status_;
};

}  // namespace catamaran::client::core
