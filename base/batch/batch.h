// Record batch v2 (Kafka "magic 2"), byte for byte: the format on disk, between brokers and on the
// fast client path. Layout and rules: docs/formats.md. All functions are pure and thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"

namespace catamaran {

inline constexpr size_t kBatchHeaderBytes = 61;
inline constexpr size_t kBatchLengthPrefixBytes = 12;  // base offset and length field
inline constexpr int8_t kBatchMagic = 2;
// The largest batch that any limit may allow (topic max.message.bytes is checked against it).
inline constexpr size_t kBatchBytesLimit = 64u << 20;

enum class Codec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
inline constexpr int kCodecs = 5;
std::string_view CodecName(Codec codec);  // "none", "gzip", ...
std::optional<Codec> CodecFromName(std::string_view name);

enum class TimestampType : uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

// The 61-byte header, decoded.
struct BatchHeader {
  Offset base_offset{0};
  int32_t length = 0;  // of everything after this field; the batch has length + 12 bytes
  LeaderEpoch leader_epoch{0};
  int8_t magic = kBatchMagic;
  uint32_t crc = 0;  // CRC-32C of the bytes from attributes to the end
  int16_t attributes = 0;
  int32_t last_offset_delta = 0;
  TimestampMs base_timestamp = kNoTimestamp;
  TimestampMs max_timestamp = kNoTimestamp;
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
  int32_t record_count = 0;

  Codec codec() const { return static_cast<Codec>(attributes & 7); }  // may be an unknown number
  TimestampType timestamp_type() const {
    return (attributes & 8) != 0 ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return (attributes & 16) != 0; }
  bool is_control() const { return (attributes & 32) != 0; }
  bool has_delete_horizon() const { return (attributes & 64) != 0; }
  bool has_producer() const { return producer_id.value() >= 0; }
  size_t size_bytes() const { return static_cast<size_t>(length) + kBatchLengthPrefixBytes; }
  Offset last_offset() const { return base_offset + last_offset_delta; }
  Offset next_offset() const { return base_offset + (int64_t{last_offset_delta} + 1); }
  Sequence last_sequence() const;  // base_sequence + last_offset_delta with the wrap at 2^31
  bool operator==(const BatchHeader&) const = default;
};

// Sequence arithmetic: 2^31-1 is followed by 0.
Sequence AddSequence(Sequence sequence, int32_t distance);

// Decodes the header at the front of `bytes`. kCorruptBatch when fewer than 61 bytes, a length
// under 49 or over kBatchBytesLimit, or a magic other than 2. Doesn't look at the CRC or the
// records; the batch may be longer than `bytes`.
absl::StatusOr<BatchHeader> ParseBatchHeader(std::string_view bytes);

// Whether the CRC of the whole batch `bytes` (exactly one batch) matches.
bool BatchCrcMatches(std::string_view bytes);

// Stamps what the broker may write without touching the CRC. `batch` points at a whole header.
void PatchBaseOffset(char* batch, Offset base_offset);
void PatchLeaderEpoch(char* batch, LeaderEpoch epoch);
// Log-append time: sets the timestamp type bit and max timestamp and recomputes the CRC: the only
// rewrite of covered bytes that a broker makes.
void PatchLogAppendTime(std::string* batch, TimestampMs now);

struct RecordHeader {
  std::string_view key;
  std::optional<std::string_view> value;
  bool operator==(const RecordHeader&) const = default;
};

// One record; the views point into the batch's (decompressed) bytes.
struct Record {
  Offset offset{0};
  TimestampMs timestamp = kNoTimestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<RecordHeader> headers;
};

// The records section of a batch, decompressed when need be, with the parsed headers.
class RecordIterator;
class BatchRecords {
 public:
  // Decompresses (bounded by `decompressed_bytes_max`: kRecordTooLarge beyond it) and checks
  // nothing of the records yet. `bytes` is exactly one batch and must outlive this object when not
  // compressed.
  static absl::StatusOr<BatchRecords> Open(std::string_view bytes, size_t decompressed_bytes_max);

  const BatchHeader& header() const { return header_; }
  RecordIterator begin_reading() const;
  // All records, checked as they are read.
  absl::StatusOr<std::vector<Record>> ReadAll() const;

 private:
  friend class RecordIterator;
  BatchHeader header_;
  std::string decompressed_;  // empty when the codec is none
  std::string_view plain_;    // the records section, into the batch, when the codec is none
  std::string_view section() const;
};

// Reads records one by one; the batch must outlive it.
class RecordIterator {
 public:
  // True and fills `record` while there are records; false at the end or at an error, see status().
  // Reuses record->headers' capacity.
  bool Next(Record* record);
  // OK, or kCorruptBatch: bad varint, lengths that lie, fewer or more records than the header
  // counts, bytes left over.
  const absl::Status& status() const { return status_; }

 private:
  friend class BatchRecords;
  bool Fail(const char* what);  // sets status_; returns false

  const BatchRecords* batch_ = nullptr;
  const char* at_ = nullptr;
  int32_t index_ = 0;
  int32_t last_delta_ = -1;  // offset delta of the record before; deltas rise
  absl::Status status_;
};

// ---- validation (validate.cc) ----

// What a broker checks of a batch that a client sent; kafka-protocol.md section 1.
struct ValidationOptions {
  size_t batch_bytes_max = 1u << 20;          // topic max.message.bytes
  size_t decompressed_bytes_max = 64u << 20;  // bound on decompression
  bool key_required = false;                  // compacted topic
  TimestampType timestamp_type = TimestampType::kCreateTime;
  TimestampMs now{0};
  int64_t timestamp_before_max_ms = INT64_MAX;  // message.timestamp.before.max.ms
  int64_t timestamp_after_max_ms = 3'600'000;   // message.timestamp.after.max.ms
};

// OK when `bytes` is exactly one batch that may be appended as it is. Checks length, magic, CRC,
// codec, attributes (no control bit, unused bits zero, no log-append bit, no delete horizon), base
// offset 0, counts, offset deltas equal to their index, timestamps and the max timestamp (unless
// the topic uses log-append time, which overwrites it), keys on compacted topics, header keys
// (UTF-8), producer fields (id >= 0 needs epoch >= 0 and sequence >= 0; without an id the others
// don't matter; transactional needs an id), and reads every record without copying it. Errors:
// kCorruptBatch, kInvalidRecord, kRecordTooLarge, kUnsupportedCompression, kInvalidTimestamp, each
// with metadata (record_index, limit ...).
absl::Status ValidateProducedBatch(std::string_view bytes, const ValidationOptions& options);

// ---- building (batch_builder.cc) ----

struct BatchBuilderOptions {
  Codec codec = Codec::kNone;
  std::optional<int> compression_level;  // codec's default when absent
  ProducerId producer_id = kNoProducerId;
  ProducerEpoch producer_epoch = kNoProducerEpoch;
  Sequence base_sequence = kNoSequence;
  bool transactional = false;
  Offset base_offset{0};
  // How many uncompressed bytes to make room for when the first record comes. Later batches of the
  // same builder expect what the one before them had.
  size_t expected_bytes = 0;
};

// Collects records and encodes one batch. One owner.
class BatchBuilder {
 public:
  explicit BatchBuilder(const BatchBuilderOptions& options);

  // A record that would take the batch over kBatchBytesLimit is dropped and remembered: Build()
  // then fails with kRecordTooLarge. Ask SizeAfter() before to avoid that.
  void Add(TimestampMs timestamp, std::optional<std::string_view> key,
           std::optional<std::string_view> value, const std::vector<RecordHeader>& headers = {});

  int32_t record_count() const { return record_count_; }
  // Bytes of the batch if built now without compression; an upper bound is SizeAfter(...).
  size_t uncompressed_bytes() const { return records_.size(); }
  // An upper bound of uncompressed_bytes() after adding such a record.
  size_t SizeAfter(std::optional<std::string_view> key, std::optional<std::string_view> value,
                   const std::vector<RecordHeader>& headers = {}) const;
  // The producer fields may be set as late as just before Build().
  void SetProducer(ProducerId id, ProducerEpoch epoch, Sequence base_sequence);

  // The finished batch; at least one record must have been added. The builder is then empty, even
  // after an error: kRecordTooLarge, or kInvalidArgument for a level that the codec doesn't have.
  absl::StatusOr<std::string> Build();

 private:
  BatchBuilderOptions options_;
  std::string records_;  // begins with 61 bytes of room for the header: see batch_builder.cc
  int32_t record_count_ = 0;
  TimestampMs base_timestamp_ = kNoTimestamp;
  TimestampMs max_timestamp_ = kNoTimestamp;
  bool too_large_ = false;  // a record didn't fit
};

// Rewrites the producer fields of an encoded batch and recomputes its CRC (a client that must bump
// its epoch re-sends batches with new sequences).
void RewriteProducer(std::string* batch, ProducerId id, ProducerEpoch epoch,
                     Sequence base_sequence);

// ---- codecs (codec.cc) ----

// Levels: gzip 1 to 9, lz4 1 to 12, zstd 1 to 22; snappy and none have none. kInvalidArgument for
// another level, kUnsupportedCompression for an unknown codec. Same input, same output.
absl::StatusOr<std::string> Compress(Codec codec, std::string_view bytes, std::optional<int> level);
// kRecordTooLarge when the result would exceed `limit`, kCorruptBatch when the stream is damaged or
// bytes follow it, kUnsupportedCompression for an unknown codec. Accepts snappy raw and
// xerial-framed. Memory grows with what is really decompressed, not with what the stream claims.
absl::StatusOr<std::string> Decompress(Codec codec, std::string_view bytes, size_t limit);

// The same with a caller's string: CompressTo appends to *out; DecompressTo overwrites *out and
// reuses its capacity. After an error *out holds anything.
absl::Status CompressTo(Codec codec, std::string_view bytes, std::optional<int> level,
                        std::string* out);
absl::Status DecompressTo(Codec codec, std::string_view bytes, size_t limit, std::string* out);

// ---- partitioner (murmur2.cc) ----

// Kafka's murmur2 with seed 0x9747b28c. Vectors: "21" -> -973932308, "foobar" -> -790332482.
int32_t Murmur2(std::string_view bytes);
// Kafka's default partitioner for a key: (murmur2 & 0x7fffffff) % partitions.
PartitionIndex PartitionForKey(std::string_view key, int32_t partition_count);

}  // namespace catamaran
