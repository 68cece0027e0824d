// The driver of the replicas that one shard owns: carries out what their cores decide, on the
// seams.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "broker/metrics.h"
#include "broker/read_window.h"
#include "broker/replica/replica_core.h"
#include "broker/space_budget.h"
#include "broker/topic_catalog.h"
#include "metadata/image.h"
#include "storage/sync_service.h"

namespace catamaran::broker {

// Everything that a node is built from. All must outlive the node and whatever it has submitted.
struct NodeSeams {
  Clock* clock = nullptr;
  FileSystem* fs = nullptr;
  IoPool* pool = nullptr;
  storage::SyncService* sync = nullptr;
  metadata::MetadataService* metadata = nullptr;
  Counters* counters = nullptr;
  // Told of what an operator should know, e.g. a log that failed. Thread-safe; may be empty.
  std::function<void(const std::string&)> warn;
};

// Renames a partition's directory to the first free "stray.<n>", which no partition is ever called.
// Blocking.
absl::Status MoveAside(FileSystem& fs, const std::string& directory);

// How often every log is asked for maintenance, and in how many steps a round goes.
inline constexpr Duration kMaintenanceRound = std::chrono::seconds(2);
inline constexpr int kMaintenanceStepsPerRound = 10;
// Deadlines are checked no more often than this.
inline constexpr Duration kDeadlineResolution = std::chrono::milliseconds(1);

// Owned by shared_ptr: what it has submitted holds it. Methods marked "any thread" post; all others
// run on the executor.
class ReplicaShard : public std::enable_shared_from_this<ReplicaShard> {
 public:
  ReplicaShard(Executor* executor, NodeSeams seams, std::shared_ptr<TopicCatalog> catalog,
               std::function<bool(std::string_view topic, PartitionIndex)> owns,
               std::shared_ptr<SpaceBudget> space, int64_t read_bytes_max);

  // Any thread.
  void Produce(TopicPartitionId partition, ProduceCommand command);
  void Read(TopicPartitionId partition, ReadCommand command);
  void CancelReads(TopicPartitionId partition, uint64_t token);
  void ListOffset(TopicPartitionId partition, OffsetCommand command);
  void DeleteRecords(TopicPartitionId partition, DeleteRecordsCommand command);
  // Subscribes to metadata, opens the logs of the directories that are there and calls `ready` on
  // the executor when all of those are open (or have failed to).
  void Start(std::shared_ptr<const std::vector<std::string>> directories,
             absl::AnyInvocable<void()> ready);
  // Refuses what comes, ends what runs, closes all logs, then calls `done` on the executor: with
  // true when no log was left in doubt, then or earlier in this life (ReplicaCore).
  void Stop(absl::AnyInvocable<void(bool clean)> done);

  // On the executor: for tests, the simulation and metrics.
  void ForEachReplica(const std::function<void(const ReplicaCore&)>& visit) const;
  void CheckInvariants() const;
  Executor* executor() const { return executor_; }

 private:
  struct Replica {
    explicit Replica(storage::LogIdentity identity, ReplicaConfig config, LeaderEpoch epoch)
        : core(std::move(identity), config, epoch) {}
    ReplicaCore core;
    bool armed = false;             // is in armed_
    bool opening_at_start = false;  // counted in opening_at_start_
    // What the gauges count of it.
    int64_t parked_reads = 0;
    bool open = false;
    bool failed = false;  // stays so until a restart, or until its topic is deleted
  };
  using ReplicaRef = std::shared_ptr<Replica>;

  Times Now() const;
  absl::StatusOr<ReplicaRef> FindOrCreate(TopicPartitionId partition);
  ReplicaRef Create(const CatalogTopic& topic, PartitionIndex partition);
  void ApplyDelta(const metadata::ImageRef& image, const metadata::MetadataDelta& delta);
  void ApplyTopic(const CatalogTopic& topic);
  void OpenAtStart(const CatalogTopic& topic);
  void CountOpenedAtStart(const ReplicaRef& replica);
  // By value: it goes out of replicas_, where the caller may have found it.
  void CloseReplica(ReplicaRef replica, bool remove, const absl::Status& reason);
  void CountLevels(Replica& replica);

  // Carries out what the core decided, until it decides nothing more.
  void Drain(const ReplicaRef& replica);
  void StartOpen(const ReplicaRef& replica);
  void StartWrite(const ReplicaRef& replica, storage::WriteJob job);
  void StartSync(const ReplicaRef& replica, storage::SyncTarget target);
  void StartMaintenance(const ReplicaRef& replica, storage::MaintenanceJob job);
  void StartRead(const ReplicaRef& replica, ReplicaCore::Output::Read read);
  void StartWaitingReads();
  void SubmitRead(const ReplicaRef& replica, ReplicaCore::Output::Read read,
                  ReadWindow::Credit credit);
  void StartLookup(const ReplicaRef& replica, ReplicaCore::Output::Lookup lookup);
  void OnClosed(const ReplicaRef& replica);
  void Warn(const std::string& text) const;

  void Arm(const ReplicaRef& replica);
  void ArmTimer(MonotonicTime when);
  void OnDeadlines();
  void ScheduleMaintenance();
  void OnMaintenanceStep();
  void MaybeFinishStopping();

  Executor* const executor_;
  const NodeSeams seams_;
  const std::shared_ptr<TopicCatalog> catalog_;
  const std::function<bool(std::string_view, PartitionIndex)> owns_;
  const std::shared_ptr<SpaceBudget> space_;

  // Ordered, so that the simulation sees one order. Replicas that serve or will.
  std::map<TopicPartitionId, ReplicaRef> replicas_;
  // A directory whose log is being closed or deleted, by whom, and who opens it next.
  // Invariant: no directory's log is open twice.
  struct Closing {
    ReplicaRef owner;
    ReplicaRef next;  // may be null
  };
  std::map<std::string, Closing> closing_;
  struct WaitingRead {
    ReplicaRef replica;
    ReplicaCore::Output::Read read;
  };
  ReadWindow read_window_;
  std::deque<WaitingRead> waiting_reads_;  // for room in the window
  std::vector<ReplicaRef> armed_;          // have a deadline
  MonotonicTime timer_at_ = kNever;
  TimerId timer_ = kNoTimer;
  TopicPartitionId maintenance_after_;  // the last one that a step visited
  size_t opening_at_start_ = 0;
  bool started_ = false;
  std::shared_ptr<const std::vector<std::string>> directories_;  // until the first delta
  absl::AnyInvocable<void()> ready_;
  bool stopping_ = false;
  absl::AnyInvocable<void(bool clean)> stopped_;
  bool in_doubt_ = false;  // some log was closed so
};

}  // namespace catamaran::broker
