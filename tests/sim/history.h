// What clients observed, and whether it may be so. Every record's value is unique, so each check is
// linear. Knows nothing of the broker's insides: it hears what producers sent and were told, what
// fetches brought (on the wire and from Poll), and which promises a fault has ended.
//
// What may be demanded (invariants.md P1, P13, X1-X3, H1-H8):
//   - a value that was refused ("rejected") never shows up; an unknown one may or may not;
//   - one value per offset and one offset per value, for ever; leader epochs never fall;
//   - what was acknowledged durably (topic `sync`, or raised by the producer) or seen on a sync
//     topic stays, over every crash; on async topics it stays over kills of the process, and after
//     a loss of unsynced data its offsets may be given out again, under a higher leader epoch;
//   - records below the log start may be gone, and only deletion or retention moves the log start.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "client/producer.h"
#include "tests/sim/sim_carrier.h"
#include "tests/sim/sim_plan.h"

namespace catamaran::sim {

// Names a value: producer and its count.
struct ValueId {
  int32_t producer = -1;
  int64_t number = -1;
  auto operator<=>(const ValueId&) const = default;
};
std::string EncodeValue(ValueId id, size_t size);
std::optional<ValueId> DecodeValue(std::string_view value);
std::string ToString(ValueId id);

class History {
 public:
  // `plan` must outlive it.
  explicit History(const Plan& plan) : plan_(plan) {}

  // ---- producers ----
  void OnSend(ValueId id, const std::string& topic, bool ordered);
  void OnNotAccepted(ValueId id) { sent_.erase(id); }
  void OnDelivered(ValueId id, const std::string& topic,
                   const absl::StatusOr<client::Delivery>& delivery, bool has_key,
                   PartitionIndex expected);
  // ---- the wire ----
  void OnMetadata(const v1::GetMetadataResponse& answer);
  void OnAppendAnswer(const client::core::SendAppend& send, const v1::AppendStreamResponse& answer);
  void OnFetchAnswer(const v1::FetchBatchesResponse& answer);
  // ---- consumers ----
  struct Reader {
    int64_t next = 0;  // the next offset to be polled
  };
  void OnPolled(Reader* reader, const std::string& who, const client::ConsumedRecord& record);

  // ---- administration ----
  void OnDeleteRequested(TopicId id) { delete_requested_.insert(id); }
  void OnDeleteRecordsRequested(const std::string& topic, int32_t partition, int64_t before);
  void OnDeletedRecords(const std::string& topic, int32_t partition, int64_t log_start);
  // Created (or grown to so many partitions) and acknowledged.
  void OnTopicAcknowledged(const std::string& topic, TopicId id, int32_t partitions);
  void OnTopicDeleted(TopicId id) { deleted_.insert(id); }

  // Unsynced data may be gone from now on: after a power loss or a failed sync. Call when nothing
  // of the time before is under way any more.
  void OnUnsyncedDataLost();

  // ---- the disk ----
  // A log was opened: it must hold everything that may not be lost.
  void CheckRecovered(TopicPartitionId partition, Offset log_start, Offset end);

  // ---- the end ----
  // The whole of a partition, read after everything has settled.
  struct FinalRecord {
    int64_t offset;
    int32_t epoch;
    std::optional<ValueId> value;
  };
  // The records of whole batches; none when the bytes are damaged.
  static std::vector<FinalRecord> RecordsOf(std::string_view batches);
  // One past the last offset that a client has seen a record at.
  int64_t SeenEnd(TopicPartitionId partition) const;
  void CheckFinal(TopicPartitionId partition, int64_t log_start, int64_t high_watermark,
                  const std::vector<FinalRecord>& records);
  // Topics as the metadata has them at the end: name -> id.
  void CheckFinalTopics(const std::map<std::string, TopicId>& topics);
  void CheckAllAnswered();

  // First violation, or empty.
  const std::string& violation() const { return violation_; }
  void Violate(const std::string& what);
  // One past the highest offset seen under this name; 0 when nothing was.
  int64_t HighestOffset(const std::string& topic, int32_t partition) const;
  uint64_t sent() const { return sent_.size(); }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t unknown() const { return unknown_; }
  uint64_t rejected() const { return rejected_; }
  uint64_t records_fetched() const { return records_fetched_; }
  uint64_t records_polled() const { return records_polled_; }
  uint64_t offsets_given_again() const { return offsets_given_again_; }

 private:
  enum class State : uint8_t { kPending, kAcknowledged, kUnknown, kRejected };
  struct Sent {
    State state = State::kPending;
    bool ordered = false;
    std::string topic;
    // The last receipt seen on the wire.
    std::optional<std::pair<PartitionIndex, int64_t>> receipt;
  };
  struct Entry {
    ValueId value;
    int32_t epoch = -1;
    bool acknowledged = false;
    bool may_be_lost = false;  // unsynced when such data was lost, and not seen since
  };
  struct Log {
    std::map<int64_t, Entry> entries;  // by offset
    std::map<ValueId, int64_t> offsets;
    int64_t durable_end = 0;     // below it everything is promised for ever
    int64_t log_start_seen = 0;  // the highest that an answer named
    bool lost_data = false;
  };

  const TopicPlan* PlanOf(const std::string& topic) const;
  const TopicPlan* PlanOf(TopicId id) const;
  std::string NameOf(TopicPartitionId partition) const;
  void Place(TopicPartitionId partition, int64_t offset, ValueId value, int32_t epoch,
             bool acknowledged, bool durable);
  void ForgetLost(Log* log, int64_t from, int32_t epoch, TopicPartitionId partition);
  void CheckLogStart(TopicPartitionId partition, int64_t log_start);
  void CheckOrder(TopicPartitionId partition, const std::vector<FinalRecord>& records);

  const Plan& plan_;
  std::map<ValueId, Sent> sent_;
  std::map<TopicPartitionId, Log> logs_;
  std::map<TopicId, std::string> names_;
  std::map<TopicId, int32_t> acknowledged_topics_;  // partitions
  std::map<std::string, int32_t> partitions_max_;
  std::set<TopicId> deleted_;
  std::set<TopicId> delete_requested_;
  // By topic name and partition, over all incarnations: asked for, and acknowledged.
  std::map<std::pair<std::string, int32_t>, int64_t> delete_records_max_;
  std::map<std::pair<std::string, int32_t>, int64_t> deleted_records_;
  std::string violation_;
  uint64_t acknowledged_ = 0;
  uint64_t unknown_ = 0;
  uint64_t rejected_ = 0;
  uint64_t records_fetched_ = 0;
  uint64_t records_polled_ = 0;
  uint64_t offsets_given_again_ = 0;
};

}  // namespace catamaran::sim
