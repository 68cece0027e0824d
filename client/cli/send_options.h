// How produce and bench produce set up their producer.
#pragma once

#include <algorithm>

#include "client/cli/options.h"
#include "client/producer.h"

namespace catamaran::cli {

// Room for a largest record and as much behind it.
inline constexpr size_t kBufferBytes = 2 * kRecordTextBytesMax;

// `timeout` is how long a record may take.
inline client::ProducerOptions MakeProducerOptions(const SendOptions& send, Duration timeout) {
  client::ProducerOptions options;
  options.delivery_timeout = timeout;
  options.block_max = timeout;
  options.acks = send.acks;
  options.durability = send.durability;
  options.compression = send.compression;
  options.linger = send.linger;
  options.batch_bytes = static_cast<size_t>(send.batch_bytes);
  options.request_bytes_max = std::max(options.request_bytes_max, options.batch_bytes);
  options.buffer_bytes_max = std::max(kBufferBytes, 8 * options.batch_bytes);
  return options;
}

}  // namespace catamaran::cli
