// The disk in memory, with everything that a disk may do wrong, from a seed: the simulated twin of
// base/file_system.h. It passes the same contract test as the real one (tests/base).
//
// The object is the disk and outlives crashes of its machine. Typical use:
//
//   SimFileSystem disk(seed);
//   disk.SetCrashAfter(17);              // the 17th mutating operation is cut in its middle
//   RunWorkload(disk);                   // sees kStorageFailed from then on
//   if (disk.crashed()) disk.Restart();  // what survived, chosen by the seed
//   CheckRecovery(disk);
//
// Failures carry the reasons that the real one gives. After a crash every handle that was open is
// dead for ever (kStorageFailed); locks are released.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"
#include "tests/sim/sim_file_data.h"

namespace catamaran::sim {

enum class SimDiskOperation : uint8_t {
  kRead,  // the only one that isn't mutating
  kWrite,
  kSync,
  kTruncate,
  kAllocate,
  kCreate,
  kRename,
  kRemove,
  kMakeDirectory,
  kRemoveDirectory,
  kSyncDirectory,
  kSyncAll,
};

// Probability of each failure per operation, 0 to 1.
struct SimDiskFaults {
  double read_error = 0;
  double write_error = 0;     // any prefix of the bytes may have been written
  double sync_error = 0;      // files and SyncAll: drops dirty bytes, the next sync "succeeds"
  double metadata_error = 0;  // create, truncate, allocate, rename, remove, directories
};

enum class SimCrash : uint8_t {
  kPowerLoss,    // unsynced bytes and names are lost, kept or torn
  kProcessOnly,  // kill -9: the page cache survives; handles and locks are gone
};

inline constexpr uint64_t kSimDiskCapacityBytesDefault = uint64_t{1} << 40;

struct SimDisk;

// Thread-safe, so that it may stand behind real threads too; deterministic only on one.
class SimFileSystem final : public FileSystem {
 public:
  explicit SimFileSystem(uint64_t seed, uint64_t capacity_bytes = kSimDiskCapacityBytesDefault);
  ~SimFileSystem() override;

  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status MakeDirectory(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<FileInfo>> List(const std::string& directory) override;
  absl::StatusOr<FileInfo> Stat(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& directory) override;
  absl::Status SyncAll() override;
  absl::StatusOr<FreeSpace> GetFreeSpace() override;
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override;

  // --- Faults ---------------------------------------------------------------------------------
  void SetFaults(const SimDiskFaults& faults);
  // The next `count` operations of this kind on a path that starts with `path_prefix` fail.
  void FailNext(SimDiskOperation operation, int count = 1, std::string path_prefix = "");
  // Files that grow past it get kStorageFull. May be set below what is used.
  void SetCapacity(uint64_t bytes);
  uint64_t used_bytes() const;  // whole sectors of files that are named or open

  // --- Silent damage (file must exist; false when the position is past its end) -----------------
  bool FlipBit(const std::string& path, uint64_t position, int bit);
  // A bit at random; its byte's position, or nullopt for an empty or missing file.
  std::optional<uint64_t> FlipRandomBit(const std::string& path);
  // Writes bytes that nobody wrote: a misdirected write.
  bool Damage(const std::string& path, uint64_t position, std::string_view bytes);

  // --- Crashes ---------------------------------------------------------------------------------
  // The `operations`-th mutating operation from now (1 is the next one) is cut in its middle and
  // the machine is down from then on. 0 takes the order back.
  void SetCrashAfter(uint64_t operations);
  // Mutating operations begun since construction. Run a workload once to learn how many crash
  // points it has.
  uint64_t operation_count() const;
  // The machine goes down between two operations.
  void Crash();
  bool crashed() const;
  // Up again (implies Crash()): applies what survived. The same seed and history give the same
  // image. Faults, capacity and FailNext stay as they are.
  void Restart(SimCrash kind = SimCrash::kPowerLoss);

  // A hash over names, sizes and bytes as readers see them and as the platter holds them, for twin
  // runs.
  uint64_t StateHash() const;

 private:
  class SimFile;
  class SimLock;
  std::shared_ptr<SimDisk> disk_;  // shared with open files and locks, which may outlive this
};

}  // namespace catamaran::sim
