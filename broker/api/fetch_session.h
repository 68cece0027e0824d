// FetchStream: partitions are read as they grow, within the credits that the reader gives.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/mutex.h"
#include "broker/api/api_context.h"
#include "broker/api/stream.h"
#include "catamaran/v1/batch_service.pb.h"

namespace catamaran::broker {

// Thread-safe. Each partition has at most one read outstanding, which waits at its replica while
// there is nothing to read. What was read but hasn't left yet is bounded by the buffer's budget,
// and what leaves by the credits: a reader that doesn't read holds that much and nothing more.
class FetchSession final : public StreamSession<v1::FetchStreamRequest>,
                           public std::enable_shared_from_this<FetchSession> {
 public:
  using Writer = StreamWriter<v1::FetchStreamResponse>;
  FetchSession(const ApiContext* context, std::shared_ptr<Writer> writer);
  ~FetchSession() override;

  void OnMessage(v1::FetchStreamRequest message) override;
  void OnReadsDone() override;
  void OnSent(size_t bytes) override;
  void OnClosed() override;

 private:
  using Key = std::pair<std::string, int32_t>;  // topic id's bytes, partition
  struct Partition {
    uint64_t serial = 0;  // of the position; answers for an older one are dropped
    int64_t generation = 0;
    ResolvedPartition target;
    Offset next{0};
    uint64_t token = 0;
    bool reading = false;
    bool at_end = false;  // told so: the next read waits
  };

  absl::Status Apply(const v1::FetchStreamRequest& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetPosition(const v1::FetchStreamPosition& position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Remove(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads what may be read now, beginning after the partition that was served last.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Read(const Key& key, Partition* partition) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnRead(const Key& key, uint64_t serial, absl::Status status, ReadOutcome outcome);
  void SendError(const Key& key, int64_t generation, const absl::Status& status,
                 const ReadOutcome& outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishWith(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CancelAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const ApiContext* const context_;
  const int64_t buffer_bytes_;                // see ApiLimits
  const std::shared_ptr<ReadBudget> budget_;  // of the buffer: given back as messages leave
  Mutex mu_;
  std::shared_ptr<Writer> writer_ ABSL_GUARDED_BY(mu_);  // null once closed
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool read_committed_ ABSL_GUARDED_BY(mu_) = true;
  std::map<Key, Partition> partitions_ ABSL_GUARDED_BY(mu_);
  // Invariant: those that aren't being read and wait for credits or room.
  std::set<Key> ready_ ABSL_GUARDED_BY(mu_);
  Key last_served_ ABSL_GUARDED_BY(mu_);
  uint64_t next_serial_ ABSL_GUARDED_BY(mu_) = 1;
  int64_t credit_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t buffered_ ABSL_GUARDED_BY(mu_) = 0;  // bytes given to the writer that haven't left
};

}  // namespace catamaran::broker
