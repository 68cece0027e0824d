// How produce and bench produce set up their producer.
#pragma once

#include <algorithm>

#include "client/cli/options.h"
#include "client/producer.h"

namespace catamaran::cli {

inline client::ProducerOptions MakeProducerOptions(const SendOptions& send) {
  client::ProducerOptions options;
  options.acks = send.acks;
  options.durability = send.durability;
  options.compression = send.compression;
  options.linger = send.linger;
  options.batch_bytes = static_cast<size_t>(send.batch_bytes);
  options.request_bytes_max = std::max(options.request_bytes_max, options.batch_bytes);
  options.buffer_bytes_max = std::max(options.buffer_bytes_max, 8 * options.batch_bytes);
  return options;
}

}  // namespace catamaran::cli
