#include "client/cli/deliveries.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace catamaran::cli {

void Deliveries::Add(int64_t record, const absl::StatusOr<client::Delivery>& delivery) {
  MutexLock lock(&mutex_);
  if (!delivery.ok()) {
    bool unknown = OutcomeOf(delivery.status()) == Outcome::kUnknown;
    ++(unknown ? counts_.unknown : counts_.rejected);
    if (first_failure_.ok()) first_failure_ = delivery.status();
    return;
  }
  ++counts_.stored;
  PartitionTally& tally = tallies_[delivery->partition.value()];
  ++tally.records;
  if (delivery->offset >= Offset(0)) {
    if (tally.first < Offset(0)) tally.first = delivery->offset;
    tally.last = std::max(tally.last, delivery->offset);
  }
  if (keep_receipts_) receipts_.push_back({record, *delivery});
}

DeliveryCounts Deliveries::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

absl::Status Deliveries::first_failure() const {
  MutexLock lock(&mutex_);
  return first_failure_;
}

std::map<int32_t, PartitionTally> Deliveries::tallies() const {
  MutexLock lock(&mutex_);
  return tallies_;
}

std::vector<Receipt> Deliveries::TakeReceipts() {
  MutexLock lock(&mutex_);
  return std::exchange(receipts_, {});
}

}  // namespace catamaran::cli
