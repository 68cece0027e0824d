// Planted bugs for the broker's seams: wrappers that lie. Nothing of the product knows them; tests
// use them to prove that the checkers see (each is found within a stated number of seeds).
#pragma once

#include <memory>

#include "base/file_system.h"
#include "storage/sync_service.h"
#include "tests/sim/sim_carrier.h"
#include "tests/sim/sim_plan.h"

namespace catamaran::sim {

// `disk` itself for a sabotage that isn't about files. Must outlive what is returned.
class SabotagedFiles {
 public:
  SabotagedFiles(FileSystem* disk, Sabotage sabotage);
  ~SabotagedFiles();
  FileSystem* files() { return wrapper_ != nullptr ? wrapper_.get() : disk_; }

 private:
  FileSystem* const disk_;
  const std::unique_ptr<FileSystem> wrapper_;
};

// Takes the service over when the sabotage is about it.
std::unique_ptr<storage::SyncService> SabotageSync(std::unique_ptr<storage::SyncService> service,
                                                   Sabotage sabotage);

CarrierSabotage SabotageCarrier(Sabotage sabotage, bool idempotent);

}  // namespace catamaran::sim
