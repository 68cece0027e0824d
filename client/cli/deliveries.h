// What became of the records of a produce run, told by the producer's thread and read by the
// command's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "client/producer.h"

namespace catamaran::cli {

struct Receipt {
  int64_t record = 0;  // its number in the input, from 1
  client::Delivery delivery;
};

// The offsets that a run's records got in one partition.
struct PartitionTally {
  int64_t records = 0;
  Offset first{-1};
  Offset last{-1};
};

struct DeliveryCounts {
  int64_t stored = 0;
  int64_t rejected = 0;  // surely not stored
  int64_t unknown = 0;   // perhaps stored
  int64_t all() const { return stored + rejected + unknown; }
};

// Thread-safe.
class Deliveries {
 public:
  explicit Deliveries(bool keep_receipts) : keep_receipts_(keep_receipts) {}

  void Add(int64_t record, const absl::StatusOr<client::Delivery>& delivery);

  DeliveryCounts counts() const;
  // OK while nothing failed.
  absl::Status first_failure() const;
  std::map<int32_t, PartitionTally> tallies() const;
  // The receipts since the last call, in the order of their arrival.
  std::vector<Receipt> TakeReceipts();

 private:
  const bool keep_receipts_;
  mutable Mutex mutex_;
  DeliveryCounts counts_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_failure_ ABSL_GUARDED_BY(mutex_);
  std::map<int32_t, PartitionTally> tallies_ ABSL_GUARDED_BY(mutex_);  // by partition
  std::vector<Receipt> receipts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace catamaran::cli
