// The leader's side of one partition replica: a core that decides. Events come in by method calls,
// effects go out by TakeOutput(); the driver (broker/replica_shard.h) carries them out and reports
// their ends as events. No threads, clock or files here. Owned by one shard.
//
//   Produce ... Produce      queue while a write is in flight; then all of them are staged together
//   Output.write      ->     driver runs it      ->  OnWriteDone    the log end moves
//   Output.sync       ->     sync service        ->  OnSyncDone     the synced end moves
//   high watermark    =      synced end (durability=sync) or log end (async): the minimum over the
//                            in-sync replicas, which today is this one
//   moving it answers producers and parked reads.
//
// A produce is refused (nothing happened) while it only waits to be staged; once staged, a missed
// deadline is OUTCOME_UNKNOWN. Answers may come in any order; whoever needs an order keeps it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/replica/commands.h"
#include "storage/partition_log.h"

namespace catamaran::broker {

// Bounds per partition; past them the answer is OVERLOADED.
inline constexpr size_t kQueuedProduceBytesMax = 64u << 20;
inline constexpr size_t kQueuedProducesMax = 10'000;
inline constexpr size_t kWaitingAcksMax = 100'000;
inline constexpr size_t kParkedReadsMax = 10'000;
inline constexpr size_t kWaitingForOpenMax = 10'000;  // requests of any kind while the log opens
// A sync that runs and one that joins the service's next round.
inline constexpr int kSyncsInFlightMax = 2;
static_assert(kQueuedProduceBytesMax >= kBatchBytesLimit, "the largest batch must fit the queue");

// How long a client is told to wait after OVERLOADED.
inline constexpr int64_t kOverloadedRetryMs = 100;

enum class ReplicaPhase : uint8_t {
  kUnopened,  // nothing is known of the disk; the first request opens the log
  kOpening,   // requests wait
  kServing,
  kFailed,   // the log couldn't be opened; every request gets the reason
  kClosing,  // takes nothing new; ends what is in flight, then closes or deletes
  kClosed,
};
std::string_view ReplicaPhaseName(ReplicaPhase phase);

class ReplicaCore {
 public:
  // Carry out the fields in this order, except that jobs may run at any time after.
  struct Output {
    // Run off the shard, then OnOpened.
    bool open = false;
    // Run on the write lane, then OnWriteDone. At most one in flight.
    std::optional<storage::WriteJob> write;
    // Give to the sync service, then OnSyncDone. At most kSyncsInFlightMax in flight.
    std::optional<storage::SyncTarget> sync;
    // Run on the background lane, then OnMaintenanceDone. At most one in flight.
    std::optional<storage::MaintenanceJob> maintenance;
    // Read from disk: run on the read lane, then OnReadDone.
    struct Read {
      storage::ReadJob job;
      ReadCommand command;
      int64_t reserved = 0;  // of command.budget
    };
    std::vector<Read> reads;
    // Run on the read lane, then OnLookupDone.
    struct Lookup {
      absl::AnyInvocable<absl::StatusOr<std::optional<storage::OffsetAndTimestamp>>()> job;
      OffsetReply reply;
    };
    std::vector<Lookup> lookups;
    // Answers; call each. They're final.
    std::vector<absl::AnyInvocable<void()>> answers;
    int memory_reads = 0;  // answered from the tail cache, for the counters
    // The core is kClosed now and may be dropped.
    bool closed = false;
  };

  ReplicaCore(storage::LogIdentity identity, ReplicaConfig config, LeaderEpoch epoch);
  ReplicaCore(const ReplicaCore&) = delete;
  ReplicaCore& operator=(const ReplicaCore&) = delete;

  // ---- requests ----
  void Produce(ProduceCommand command, const Times& now);
  void Read(ReadCommand command, const Times& now);
  // Answers parked reads of this token with no bytes.
  void CancelReads(uint64_t token);
  void ListOffset(OffsetCommand command);
  void DeleteRecords(DeleteRecordsCommand command);

  // ---- ends of effects ----
  void OnOpened(absl::StatusOr<std::unique_ptr<storage::PartitionLog>> log, const Times& now);
  void OnWriteDone(storage::WriteJob job, const Times& now);
  void OnSyncDone(const storage::SyncTarget& target, const absl::Status& status, const Times& now);
  void OnReadDone(Output::Read read, absl::StatusOr<storage::ReadResult> result);
  void OnLookupDone(Output::Lookup lookup,
                    absl::StatusOr<std::optional<storage::OffsetAndTimestamp>> result);
  void OnMaintenanceDone(storage::MaintenanceJob job);

  // ---- time, settings, life ----
  void Open();  // if not open yet
  // Ends waits whose deadline has passed.
  void Tick(const Times& now);
  // Takes the next maintenance job that is due, if none is in flight.
  void Maintain(const Times& now);
  void SetConfig(const ReplicaConfig& config, const Times& now);
  void SetLeaderEpoch(LeaderEpoch epoch);  // never falls
  // Refuses new requests with `reason`, ends what is in flight, then leaves the log closed cleanly
  // or, with `remove`, deletes its directory. Output.closed says when.
  void Close(bool remove, const absl::Status& reason);

  Output TakeOutput() {
    has_output_ = false;
    return std::exchange(output_, Output());
  }
  bool has_output() const { return has_output_; }

  // A lower bound of the time at which Tick must run; kNever when nothing waits.
  MonotonicTime next_deadline() const { return next_deadline_; }
  ReplicaPhase phase() const { return phase_; }
  const storage::LogIdentity& identity() const { return identity_; }
  const ReplicaConfig& config() const { return config_; }
  PartitionView view() const;
  const storage::PartitionLog* log() const { return log_.get(); }  // null unless open
  size_t queued_bytes() const { return queued_bytes_; }
  size_t parked_reads() const { return parked_.size(); }
  bool removed() const { return remove_; }  // closed, or closing, to delete the directory
  // In kClosed: whether all that was ever shown to anybody is on disk, so that the next start may
  // keep the leader epoch (invariants.md P11). A log that failed, or that couldn't be opened or
  // closed, may come back shorter.
  bool closed_in_doubt() const { return in_doubt_ && !remove_; }

  void CheckInvariants() const;

 private:
  // A produce that was staged: waits for its write, then for its sync and the high watermark.
  struct Waiter {
    Acks acks;
    bool raise_to_sync;
    MonotonicTime deadline;
    storage::Appended appended;
    LeaderEpoch epoch;
    ProduceReply reply;  // null once answered
  };
  // Ordered by appended.last_offset, so that what a moving bound releases is a prefix. A deque
  // would hold 576 bytes while it's empty, in each of ten thousand partitions.
  class WaitingRoom {
   public:
    void Insert(Waiter waiter);
    bool empty() const { return head_ == items_.size(); }
    size_t size() const { return items_.size() - head_; }
    Waiter& front() { return items_[head_]; }
    Waiter TakeFront();
    Waiter* begin() { return items_.data() + head_; }
    Waiter* end() { return items_.data() + items_.size(); }
    const Waiter* begin() const { return items_.data() + head_; }
    const Waiter* end() const { return items_.data() + items_.size(); }

   private:
    std::vector<Waiter> items_;
    size_t head_ = 0;  // those before it have left
  };

  absl::Status CheckEpoch(std::optional<LeaderEpoch> expected) const;
  absl::Status Overloaded(std::string_view what, size_t limit) const;
  // True when the request was taken care of: refused, or kept until the log is open.
  template <class Command>
  bool DeferOrRefuse(Command* command);
  void Keep(ProduceCommand command);
  void Keep(ReadCommand command);
  void Keep(OffsetCommand command);
  void Keep(DeleteRecordsCommand command);
  void Refuse(ProduceCommand* command, const absl::Status& status);
  void Refuse(ReadCommand* command, const absl::Status& status);
  void Refuse(OffsetCommand* command, const absl::Status& status);
  void Refuse(DeleteRecordsCommand* command, const absl::Status& status);

  absl::Status AdmitProduce(const ProduceCommand& command, const Times& now) const;
  void MaybeStage(const Times& now);
  void Settle(Waiter waiter);  // written: answer or put into a waiting room
  void ReleaseSynced();
  void AnswerProduce(Waiter* waiter);
  void FailProduce(Waiter* waiter, const absl::Status& status);
  void FailWaiting(const absl::Status& status);
  void Expire(Waiter* waiter, const Times& now);
  void ExpireQueue(std::vector<ProduceCommand>* queue, const Times& now);
  int32_t ReplicasSynced(Offset last) const;

  void MaybeSync();
  bool WantsSync() const;
  void AdvanceHighWatermark(const Times& now);
  void ServeRead(ReadCommand command, const Times& now);
  void AnswerRead(ReadCommand* command, const absl::Status& status, storage::ReadResult data);
  void WakeReads(const Times& now);
  void ServeOffset(OffsetCommand command);
  void MaybeDeleteRecords();
  void TakeMaintenanceJob(storage::MaintenanceJob job);
  void StartServing(const Times& now);
  void FailOpening(const absl::Status& status);
  void RefuseWaiting(const absl::Status& status);
  void MaybeFinishClosing();
  void Note(MonotonicTime deadline);
  Offset ReadLimit(bool read_committed) const;
  void Become(ReplicaPhase phase);
  void Answer(absl::AnyInvocable<void()> call);

  const storage::LogIdentity identity_;
  ReplicaConfig config_;
  LeaderEpoch epoch_;  // Invariant: only rises
  ReplicaPhase phase_ = ReplicaPhase::kUnopened;
  absl::Status refusal_;  // Invariant: not OK in kFailed, kClosing, kClosed
  bool remove_ = false;
  bool in_doubt_ = false;  // from the opening on, until a clean close

  std::unique_ptr<storage::PartitionLog> log_;  // Invariant: set in kServing and kClosing
  Offset high_watermark_{0};                    // Invariant: only rises; <= log end; >= log start

  std::vector<ProduceCommand> queue_;  // Invariant: only non-empty while a write is in flight
  size_t queued_bytes_ = 0;            // Invariant: sum of queue_'s batches
  std::vector<Waiter> writing_;        // Invariant: only non-empty while a write is in flight
  WaitingRoom awaiting_sync_;
  WaitingRoom awaiting_high_watermark_;
  bool write_in_flight_ = false;
  int syncs_in_flight_ = 0;   // Invariant: <= kSyncsInFlightMax
  Offset sync_requested_{0};  // end of the newest target given out
  bool maintenance_in_flight_ = false;
  bool closing_job_in_flight_ = false;
  std::vector<ReadCommand> parked_;
  // Delete-records requests: waiting for their turn, and the one that runs.
  std::vector<DeleteRecordsCommand> deletions_;
  std::optional<DeleteRecordsCommand> deleting_;

  // Requests that came before the log was open. Invariant: empty in kServing.
  struct Waiting {
    std::vector<ProduceCommand> produces;
    std::vector<ReadCommand> reads;
    std::vector<OffsetCommand> offsets;
    std::vector<DeleteRecordsCommand> deletions;
    size_t size() const {
      return produces.size() + reads.size() + offsets.size() + deletions.size();
    }
  };
  std::unique_ptr<Waiting> waiting_;

  MonotonicTime next_deadline_ = kNever;
  Output output_;
  bool has_output_ = false;
};

}  // namespace catamaran::broker
