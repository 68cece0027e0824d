// What one request may ask for. The defaults are those of the API's comments (proto/catamaran/v1).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/batch/batch.h"
#include "base/clock.h"

namespace catamaran::broker {

// Fixed by the API.
inline constexpr int32_t kProduceTimeoutMsDefault = 30'000;
inline constexpr int32_t kProduceTimeoutMsMax = 300'000;
inline constexpr int32_t kFetchWaitMsMax = 60'000;
inline constexpr int32_t kFetchRecordsDefault = 500;
inline constexpr int32_t kFetchRecordsMax = 10'000;
inline constexpr int64_t kFetchBytesDefault = 1 << 20;
inline constexpr int64_t kFetchBatchesBytesDefault = 16 << 20;
inline constexpr int64_t kFetchPartitionBytesDefault = 1 << 20;
inline constexpr int kPartitionsPerRequestMax = 1'000;
inline constexpr int kRecordsPerRequestMax = 100'000;
inline constexpr int64_t kFetchStreamCreditMax = int64_t{256} << 20;
inline constexpr size_t kFetchStreamPartitionsMax = 10'000;
// Requests that may wait for their answers on one append stream or produce session, whatever their
// size.
inline constexpr size_t kStreamRequestsMax = 1'000;
// How much a record or a header costs in a reply beside its own bytes.
inline constexpr int64_t kStoredRecordOverheadBytes = 32;

inline constexpr int64_t kFetchStreamBufferBytesMin = 64 << 10;

// Set by the broker's configuration.
struct ApiLimits {
  size_t request_bytes_max = 16u << 20;  // one message, either way
  // Bytes of batches that may be unanswered on one append stream or produce session.
  int64_t stream_window_bytes = 16 << 20;
  // Bytes read ahead of what the reader has taken, on one fetch stream; with many streams each gets
  // an equal part of `fetch_buffers_bytes` instead, but no less than kFetchStreamBufferBytesMin.
  int64_t fetch_stream_buffer_bytes = 4 << 20;
  int64_t fetch_buffers_bytes = 256 << 20;
  // A compressed batch is refused if it would grow beyond this.
  size_t decompressed_bytes_max = 64u << 20;
};
static_assert(kFetchBatchesBytesDefault <= kFetchStreamCreditMax);

// An uncompressed batch up to this size is checked on the thread that received it; everything else,
// which may take tens of milliseconds, on the pool.
inline constexpr size_t kValidateInlineBytesMax = 1u << 20;

}  // namespace catamaran::broker
