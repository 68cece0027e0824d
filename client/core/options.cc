#include "client/core/options.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::client {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr size_t kClientIdBytesMax = 64;

absl::Status Refuse(std::string_view field, std::string_view range) {
  return MakeError(
      Reason::kInvalidArgument,
      absl::StrCat("Option ", std::string(field), " must be ", std::string(range), "."),
      {{"field", std::string(field)}});
}

template <class T>
bool Within(const T& value, const T& low, const T& high) {
  return low <= value && value <= high;
}

bool IsAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) return false;
  if (address.find(':') != colon && address[colon - 1] != ']') return false;  // bare IPv6
  if (address.size() - colon - 1 > 5) return false;
  int port = 0;
  for (char c : address.substr(colon + 1)) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return Within(port, 1, 65535) &&
         std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c < 127; });
}

}  // namespace

absl::Status ValidateClientOptions(const ClientOptions& options) {
  if (options.bootstrap.empty()) return Refuse("bootstrap", "at least one host:port");
  for (const std::string& address : options.bootstrap) {
    if (!IsAddress(address)) {
      return MakeError(Reason::kInvalidArgument,
                       absl::StrCat("'", address.substr(0, 256),
                                    "' is not an address: write host:port or [ipv6]:port."),
                       {{"field", "bootstrap"}});
    }
  }
  const std::string& id = options.client_id;
  if (id.size() > kClientIdBytesMax ||
      !std::all_of(id.begin(), id.end(), [](char c) { return c >= ' ' && c < 127; })) {
    return Refuse("client_id", "at most 64 printable ASCII characters");
  }
  if (!Within<Duration>(options.connect_timeout, milliseconds(100), minutes(5))) {
    return Refuse("connect_timeout", "100 ms to 5 min");
  }
  if (!Within<Duration>(options.request_timeout, milliseconds(100), minutes(5))) {
    return Refuse("request_timeout", "100 ms to 5 min");
  }
  if (!Within<Duration>(options.retry_backoff_min, milliseconds(1), minutes(1)) ||
      !Within<Duration>(options.retry_backoff_max, options.retry_backoff_min, minutes(1))) {
    return Refuse("retry_backoff_min and retry_backoff_max", "1 ms to 1 min, and in order");
  }
  if (!Within<Duration>(options.metadata_age_max, seconds(1), hours(1))) {
    return Refuse("metadata_age_max", "1 s to 1 h");
  }
  if (!Within<Duration>(options.unknown_topic_wait, Duration(0), minutes(5))) {
    return Refuse("unknown_topic_wait", "0 to 5 min");
  }
  if (!Within(options.message_bytes_max, 10 << 20, 256 << 20)) {
    return Refuse("message_bytes_max", "10 MiB to 256 MiB");
  }
  return absl::OkStatus();
}

namespace core {

absl::Status ValidateProducerOptions(const ProducerOptions& options) {
  if (!Within<size_t>(options.batch_bytes, 1 << 10, 16 << 20)) {
    return Refuse("batch_bytes", "1 KiB to 16 MiB");
  }
  if (!Within<Duration>(options.linger, Duration(0), minutes(1))) {
    return Refuse("linger", "0 to 1 min");
  }
  if (!Within(options.in_flight_per_partition_max, 1, kInFlightPerPartitionMax)) {
    return Refuse("in_flight_per_partition_max", "1 to 5");
  }
  if (!Within<size_t>(options.request_bytes_max, 1 << 10, 64 << 20)) {
    return Refuse("request_bytes_max", "1 KiB to 64 MiB");
  }
  if (!Within<size_t>(options.buffer_bytes_max, 1 << 20, size_t{4} << 30)) {
    return Refuse("buffer_bytes_max", "1 MiB to 4 GiB");
  }
  if (!Within<Duration>(options.block_max, Duration(0), hours(24))) {
    return Refuse("block_max", "0 to 24 h");
  }
  if (!Within<Duration>(options.delivery_timeout, milliseconds(100), hours(24))) {
    return Refuse("delivery_timeout", "100 ms to 24 h");
  }
  std::string scratch;
  absl::Status level = CompressTo(options.compression, "x", options.compression_level, &scratch);
  if (!level.ok()) return level;
  return absl::OkStatus();
}

absl::Status ValidateConsumerOptions(const ConsumerOptions& options) {
  if (!Within<Duration>(options.fetch_wait_max, milliseconds(1), seconds(60))) {
    return Refuse("fetch_wait_max", "1 ms to 60 s");
  }
  if (!Within<int32_t>(options.fetch_bytes_min, 0, 64 << 20)) {
    return Refuse("fetch_bytes_min", "0 to 64 MiB");
  }
  if (!Within<int64_t>(options.fetch_bytes_per_partition_max, 1 << 10, 64 << 20)) {
    return Refuse("fetch_bytes_per_partition_max", "1 KiB to 64 MiB");
  }
  if (!Within<int64_t>(options.fetch_bytes_max, 1 << 10, 64 << 20)) {
    return Refuse("fetch_bytes_max", "1 KiB to 64 MiB");
  }
  if (!Within<size_t>(options.prefetch_bytes_max, 64 << 10, 1 << 30)) {
    return Refuse("prefetch_bytes_max", "64 KiB to 1 GiB");
  }
  if (!Within<size_t>(options.decompressed_bytes_max, 1 << 10, 1 << 30)) {
    return Refuse("decompressed_bytes_max", "1 KiB to 1 GiB");
  }
  return absl::OkStatus();
}

MetadataOptions MakeMetadataOptions(const ClientOptions& options) {
  MetadataOptions metadata;
  metadata.bootstrap = options.bootstrap;
  metadata.request_timeout = std::min(options.connect_timeout, options.request_timeout);
  metadata.age_max = options.metadata_age_max;
  metadata.unknown_topic_wait = options.unknown_topic_wait;
  metadata.backoff = {options.retry_backoff_min, options.retry_backoff_max};
  return metadata;
}

ProducerCoreOptions MakeProducerCoreOptions(const ClientOptions& client,
                                            const ProducerOptions& options) {
  ProducerCoreOptions core;
  core.producer.acks = options.acks;
  core.producer.durability = options.durability;
  core.producer.idempotent = options.idempotent;
  core.producer.linger = options.linger;
  core.producer.in_flight_per_partition_max = options.in_flight_per_partition_max;
  core.producer.request_bytes_max = options.request_bytes_max;
  core.producer.delivery_timeout = options.delivery_timeout;
  core.metadata = MakeMetadataOptions(client);
  core.request_timeout = client.request_timeout;
  core.backoff = {client.retry_backoff_min, client.retry_backoff_max};
  return core;
}

ConsumerCoreOptions MakeConsumerCoreOptions(const ClientOptions& client,
                                            const ConsumerOptions& options) {
  ConsumerCoreOptions core;
  core.consumer = options;
  // An answer must fit into a message, with room for everything but the batches.
  core.consumer.fetch_bytes_max =
      std::min<int64_t>(options.fetch_bytes_max, int64_t{client.message_bytes_max} * 15 / 16);
  core.metadata = MakeMetadataOptions(client);
  core.request_timeout = client.request_timeout;
  core.backoff = {client.retry_backoff_min, client.retry_backoff_max};
  return core;
}

RecordAccumulator::Options MakeAccumulatorOptions(const ProducerOptions& options) {
  RecordAccumulator::Options accumulator;
  accumulator.batch_bytes = options.batch_bytes;
  accumulator.buffer_bytes_max = options.buffer_bytes_max;
  accumulator.builder.codec = options.compression;
  accumulator.builder.compression_level = options.compression_level;
  return accumulator;
}

}  // namespace core
}  // namespace catamaran::client
