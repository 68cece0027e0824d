// The simulated twin of the store on RocksDB: the same LogStore over a map in memory, with faults
// from a seed. It passes the same contract test, and is what simulations of groups use.
//
// The object is the disk of one replica and outlives crashes of its machine. Typical use:
//
//   SimStoreDisk disk(seed);
//   auto store = disk.Open(identity, true);
//   disk.SetCrashAfter(17);   // the 17th write from now is cut: it happened whole or not at all
//   ...                       // kStorageFailed from then on
//   disk.Restart();           // handles of before are dead
//   store = disk.Open(identity, false);
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/random.h"
#include "raft/store/kv.h"
#include "raft/store/kv_log_store.h"

namespace catamaran::raft {

// One thread.
class SimStoreDisk {
 public:
  explicit SimStoreDisk(uint64_t seed);

  // As OpenRocksLogStore. kDirectoryInUse while another store of this disk is alive.
  absl::StatusOr<std::unique_ptr<LogStore>> Open(const StoreIdentity& identity,
                                                 bool create_if_missing);

  // --- Faults -----------------------------------------------------------------------------------
  void SetFull(bool full) { full_ = full; }
  // The next `count` writes fail as a failed sync does: latched, and whether they happened shows
  // after the next Open.
  void FailNext(int count = 1) { failing_ = count; }
  void SetWriteErrorChance(double chance) { write_error_ = chance; }
  // The `writes`-th write from now (1 is the next one) is cut and the machine is down. 0: never.
  void SetCrashAfter(uint64_t writes) { crash_after_ = writes; }
  void Crash() { crashed_ = true; }
  bool crashed() const { return crashed_; }
  void Restart();  // implies Crash()
  // Flips a bit of a value at random; false when there's none.
  bool FlipRandomBit();

  uint64_t write_count() const { return write_count_; }
  // What a restart would find now, for checkers that hold the durable image to a rule.
  absl::StatusOr<FoundStore> Inspect(const StoreIdentity& identity);
  uint64_t StateHash() const;

 private:
  friend class SimKv;
  using Family = std::map<std::string, std::string, std::less<>>;

  absl::Status Write(const KvBatch& batch);
  void Apply(const KvBatch& batch);
  void SettleUnknown();

  Random random_;
  std::array<Family, kStoreFamilies> families_;
  // A failed write that did reach the disk: readers don't see it before the next Open.
  std::optional<KvBatch> unknown_;
  uint64_t write_count_ = 0;
  uint64_t crash_after_ = 0;
  uint64_t generation_ = 0;  // rises at each restart
  int open_ = 0;             // stores alive in this generation
  int failing_ = 0;
  double write_error_ = 0;
  bool full_ = false;
  bool crashed_ = false;
};

}  // namespace catamaran::raft
