// What every client object is made with, and the values that producer, consumer and admin share.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/ids.h"

namespace catamaran::client {

// When a produce is acknowledged.
enum class Acks : uint8_t {
  kNone,    // at once: no offset, no word about success
  kLeader,  // when the leader has it (and has synced it, on a topic whose durability is sync)
  kAll,     // when every in-sync replica has it (likewise)
};

// What "has it" means; the topic decides unless a producer asks for more.
enum class Durability : uint8_t { kTopicDefault, kAsync, kSync };

enum class IsolationLevel : uint8_t { kReadUncommitted, kReadCommitted };

inline constexpr Duration kConnectTimeoutDefault = std::chrono::seconds(3);
inline constexpr Duration kRequestTimeoutDefault = std::chrono::seconds(30);
// Largest gRPC message that a client takes: a batch of kBatchBytesLimit and room for what is
// around.
inline constexpr int kMessageBytesMaxDefault = 80 << 20;

// How to reach a cluster. Values; checked when a client object is created (kInvalidArgument).
struct ClientOptions {
  // "host:port" of one or more brokers, tried in turn until one answers; the others are learnt from
  // the metadata. "[::1]:port" for IPv6. At least one.
  std::vector<std::string> bootstrap;
  // Names this client in the user agent, for the broker's logs. Printable ASCII, at most 64 bytes.
  std::string client_id = "catamaran-cpp";
  // How long a connection may take before another broker is tried. 100 ms to 5 min.
  Duration connect_timeout = kConnectTimeoutDefault;
  // How long to wait for one answer before the request is given up and tried again where that is
  // safe. 100 ms to 5 min.
  Duration request_timeout = kRequestTimeoutDefault;
  // Waits between tries double from the first to the second value, each with up to 50 % taken off
  // at random. 1 ms to 1 min.
  Duration retry_backoff_min = std::chrono::milliseconds(50);
  Duration retry_backoff_max = std::chrono::seconds(1);
  // Metadata older than this is asked for again even when nothing failed. 1 s to 1 h.
  Duration metadata_age_max = std::chrono::minutes(5);
  // How long a topic that no broker knows may still turn up before UNKNOWN_TOPIC is reported.
  // 0 to 5 min.
  Duration unknown_topic_wait = std::chrono::seconds(1);
  // Largest message in bytes, each way. 10 MiB to 256 MiB: below, a topic's largest batch (8 MiB)
  // might not fit into an answer, and its partition could never be read on.
  int message_bytes_max = kMessageBytesMaxDefault;
};

// OK, or kInvalidArgument that names the field.
absl::Status ValidateClientOptions(const ClientOptions& options);

// A partition by the topic's name.
struct TopicPartition {
  std::string topic;
  PartitionIndex partition;

  auto operator<=>(const TopicPartition&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const TopicPartition& tp) {
    return H::combine(std::move(state), tp.topic, tp.partition);
  }
};

}  // namespace catamaran::client
