// Brokers as the client cores see them, in virtual time: partition logs with producer state,
// leaders that move, and a network that delays, loses, breaks connections and delivers old requests
// late. Everything comes from one seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <vector>

#include "base/batch/batch.h"
#include "base/error.h"
#include "base/random.h"
#include "client/core/messages.h"

namespace catamaran::client::core {

// Runs functions at their time, in order.
class VirtualLoop {
 public:
  MonotonicTime now() const { return now_; }
  void At(MonotonicTime when, std::function<void()> run) {
    events_.push({std::max(when, now_), next_++, std::move(run)});
  }
  void After(Duration delay, std::function<void()> run) { At(now_ + delay, std::move(run)); }
  // False when nothing is left to run before `limit`.
  bool Step(MonotonicTime limit);

 private:
  struct Event {
    MonotonicTime when;
    uint64_t order;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };
  MonotonicTime now_{std::chrono::hours(1)};
  uint64_t next_ = 0;
  std::priority_queue<Event> events_;
};

struct Faults {
  double lose_request = 0;  // the connection breaks before the broker sees it
  double lose_answer = 0;   // ... after the broker carried it out
  double black_hole = 0;    // as one of the two, but the client isn't told
  double deliver_late = 0;  // a request whose connection broke arrives much later all the same
  double refuse = 0;        // with `refusal`
  double unknown = 0;       // appended, but answered OUTCOME_UNKNOWN
  double move_leader = 0;
  double fail_metadata = 0;
  double reject = 0;  // INVALID_RECORD: for good
  double forget = 0;  // the broker loses its producer state (as after a retention of it)
  Reason refusal = Reason::kOverloaded;
};

struct StoredBatch {
  Offset base_offset{0};
  std::string bytes;
};

struct FakePartition {
  BrokerId leader{0};
  LeaderEpoch epoch{0};
  BrokerId told_leader{0};  // what metadata says
  LeaderEpoch told_epoch{0};
  std::vector<StoredBatch> log;
  Offset log_start{0};
  Offset end{0};
  struct Producer {
    ProducerEpoch epoch;
    std::vector<std::pair<BatchHeader, Offset>> last;  // at most 5
  };
  std::map<ProducerId, Producer> producers;
};

class FakeCluster {
 public:
  FakeCluster(VirtualLoop* loop, uint64_t seed, int brokers);

  void CreateTopic(const std::string& name, int partitions);
  void DeleteTopic(const std::string& name);
  FakePartition& Partition(const std::string& topic, int partition) {
    return topics_.at(name_to_id_.at(topic)).partitions[static_cast<size_t>(partition)];
  }
  // All values stored, in order.
  std::vector<std::string> Values(const std::string& topic, int partition);
  std::string Address(int broker) const { return "b" + std::to_string(broker) + ":1"; }
  void set_faults(const Faults& faults) { faults_ = faults; }
  void SetDown(int broker, bool down) { down_[broker] = down; }
  // Another broker leads from now on; metadata tells it, unless `in_metadata` is false (a broker
  // that lags), and refusals do.
  void MoveLeader(FakePartition* partition, bool in_metadata = true);

  void Send(const SendMetadata& send, std::function<void(absl::StatusOr<MetadataAnswer>)> done);
  void Send(const SendInitProducerId& send,
            std::function<void(absl::StatusOr<ProducerIdentity>)> done);
  void Send(const SendAppend& send, std::function<void(AppendAnswer)> done);
  void Send(const SendFetch& send, std::function<void(FetchAnswer)> done);
  void Send(const SendListOffsets& send, std::function<void(ListOffsetsAnswer)> done);
  void Reset(const std::string& address);

  int misdirected() const { return misdirected_; }  // requests to a broker that doesn't lead
  int duplicates() const { return duplicates_; }
  int out_of_order() const { return out_of_order_; }
  int fetches() const { return fetches_; }

 private:
  struct Topic {
    std::string name;
    std::vector<FakePartition> partitions;
  };
  // An append stream as the client sees it.
  struct Connection {
    uint64_t generation = 0;
    MonotonicTime last_arrival;
    MonotonicTime last_answer;
    std::map<CorrelationId, std::function<void(AppendAnswer)>> open;
  };

  Duration Delay() { return std::chrono::microseconds(random_.Between(100, 5000)); }
  bool IsDown(const std::string& address) const;
  FakePartition* Find(const TopicPartitionId& id);
  absl::Status CheckLeader(const std::string& address, FakePartition* partition, LeaderEpoch epoch);
  std::vector<AppendResult> Append(const std::string& address,
                                   const std::vector<AppendEntry>& entries);
  AppendResult AppendOne(FakePartition* partition, const Buffer& batch);
  FetchResult Read(const std::string& address, const SendFetch& send, const FetchEntry& entry);
  void Break(const std::string& address);

  VirtualLoop* const loop_;
  Random random_;
  const int brokers_;
  Faults faults_;
  int64_t revision_ = 1;
  int64_t next_producer_ = 1000;
  int misdirected_ = 0;
  int duplicates_ = 0;
  int out_of_order_ = 0;
  int fetches_ = 0;
  std::map<std::string, TopicId> name_to_id_;
  std::map<TopicId, Topic> topics_;
  std::map<std::string, Connection> connections_;
  std::map<int, bool> down_;
};

}  // namespace catamaran::client::core
