// What the command line asks for: plain values, checked by client/cli/arguments.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/batch/batch.h"
#include "base/clock.h"
#include "client/cli/failure.h"
#include "client/cli/offset_expression.h"
#include "client/cli/record_reader.h"
#include "client/cli/record_template.h"
#include "client/client_options.h"

namespace catamaran::cli {

inline constexpr const char* kDefaultBroker = "localhost:7400";
inline constexpr Duration kConnectTimeoutDefault = std::chrono::seconds(3);
inline constexpr Duration kTimeoutDefault = std::chrono::seconds(30);

struct GlobalOptions {
  std::vector<std::string> brokers = {kDefaultBroker};
  OutputFormat output = OutputFormat::kTable;
  Duration timeout = kTimeoutDefault;  // of one call, or of one record's delivery
  Duration connect_timeout = kConnectTimeoutDefault;
  bool quiet = false;
  bool no_colour = false;
};

struct TopicCreate {
  std::vector<std::string> topics;
  int32_t partitions = 0;
  int32_t replication_factor = 0;
  std::map<std::string, std::string> configs;
  bool if_not_exists = false;
  bool dry_run = false;
};

struct TopicList {
  bool internal = false;
};

struct TopicDescribe {
  std::vector<std::string> topics;
};

struct TopicAlter {
  std::string topic;
  std::map<std::string, std::string> set;
  std::vector<std::string> remove;
  std::optional<int64_t> expected_version;
  bool dry_run = false;
};

struct TopicAddPartitions {
  std::string topic;
  int32_t partitions = 0;  // the new total
  bool dry_run = false;
};

struct TopicDelete {
  std::vector<std::string> topics;
  bool if_exists = false;
  bool yes = false;
  bool dry_run = false;
};

struct TopicDeleteRecords {
  std::string topic;
  std::vector<int32_t> partitions;
  OffsetPoint before;
  bool yes = false;
  bool dry_run = false;
};

// How records are sent: shared by produce and bench produce.
struct SendOptions {
  client::Acks acks = client::Acks::kAll;
  client::Durability durability = client::Durability::kTopicDefault;
  Codec compression = Codec::kNone;
  Duration linger = std::chrono::milliseconds(5);
  int64_t batch_bytes = 256 << 10;
};

struct HeaderOption {
  std::string name;
  std::optional<std::string> value;
};

struct Produce {
  std::string topic;
  RecordReaderOptions reader;
  std::optional<std::string> key;  // of every record
  std::vector<HeaderOption> headers;
  std::optional<int32_t> partition;
  std::optional<std::string> value;       // one record of this value
  std::optional<std::string> value_file;  // one record of this file
  bool tombstone = false;                 // one record with a null value
  bool receipts = false;                  // a line for each record stored
  SendOptions send;
};

struct Consume {
  std::string topic;
  std::vector<int32_t> partitions;  // empty: all
  OffsetRange offsets;
  std::optional<int64_t> num;
  std::optional<RecordTemplate> format;
  client::IsolationLevel isolation = client::IsolationLevel::kReadCommitted;
};

struct ClusterInfo {
  Duration wait{0};  // how long a broker may take to appear
};

struct BenchProduce {
  std::string topic;
  int64_t records = 1'000'000;
  int64_t size = 100;
  int64_t keys = 0;             // 0: records without a key
  std::optional<int64_t> rate;  // records a second; absent: as fast as it goes
  std::optional<int32_t> partition;
  SendOptions send;
};

struct BenchConsume {
  std::string topic;
  std::optional<int64_t> records;  // absent: all there are when it starts
};

struct Completion {
  std::string shell;
};

// For the completion scripts: the words after "catamaran" up to the one under the cursor, which may
// be empty.
struct Complete {
  std::vector<std::string> words;
};

struct Reference {};  // prints docs/cli.md
struct Version {};

using Command = std::variant<TopicCreate, TopicList, TopicDescribe, TopicAlter, TopicAddPartitions,
                             TopicDelete, TopicDeleteRecords, Produce, Consume, ClusterInfo,
                             BenchProduce, BenchConsume, Completion, Complete, Reference, Version>;

struct Invocation {
  GlobalOptions global;
  Command command;
};

}  // namespace catamaran::cli
