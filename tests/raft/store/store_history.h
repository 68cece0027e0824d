// A random history on RocksDB on the simulated disk, beside the model of what was acknowledged.
#pragma once

#include <memory>

#include "gtest/gtest.h"
#include "tests/raft/store/store_fixture.h"
#include "tests/raft/store/store_script.h"

namespace catamaran::raft {

// Stops at the first failure, as a node does whose machine goes down. Every operation of the store
// is one atomic write, so what is found is what was acknowledged, or that and the operation in
// flight.
class History {
 public:
  History(RocksSimFixture& fixture, uint64_t seed, uint64_t large_one_in)
      : fixture_(fixture), random_(seed), large_one_in_(large_one_in) {
    acknowledged_.cluster = TestIdentity().cluster;
    attempted_ = acknowledged_;
  }

  // Opens, and checks that what is there is what may be.
  absl::Status Open() {
    store_.reset();
    auto opened = fixture_.Open(TestIdentity(), /*create_if_missing=*/starts_ == 0);
    if (opened.ok()) {
      store_ = *std::move(opened);
      EXPECT_GT(store_->opened().start_counter, starts_) << "a start was counted twice";
      starts_ = store_->opened().start_counter;
    }
    fixture_.Settle();
    return opened.status();
  }
  void Check() {
    const auto seen = Observe(*store_);
    ASSERT_TRUE(seen.ok()) << seen.status();
    EXPECT_TRUE(*seen == acknowledged_ || *seen == attempted_)
        << "found " << *seen << "\nacknowledged " << acknowledged_ << "\nattempted " << attempted_;
    kept_unacknowledged_ = *seen != acknowledged_;
    acknowledged_ = attempted_ = *seen;
  }
  absl::Status Step() {
    const absl::Status ran = StepOnly();
    fixture_.Settle();
    return ran;
  }
  // Leaves the background work that it calls for undone.
  absl::Status StepOnly() {
    const StoreStep step = RandomStep(random_, acknowledged_, large_one_in_);
    attempted_ = step.after;
    const absl::Status ran = step.run(*store_);
    if (ran.ok()) acknowledged_ = attempted_;
    return ran;
  }
  // False when it was cut short.
  bool Run(int steps, int reopen_every) {
    if (!Open().ok()) return false;
    for (int i = 1; i <= steps; ++i) {
      if (!Step().ok()) return false;
      if (i % reopen_every == 0 && !Open().ok()) return false;
    }
    return true;
  }
  void Close() { store_.reset(); }
  LogStore& store() { return *store_; }
  const StoreImage& acknowledged() const { return acknowledged_; }
  bool kept_unacknowledged() const { return kept_unacknowledged_; }
  // The operation in flight was refused: it didn't happen.
  void Refused() { attempted_ = acknowledged_; }

 private:
  RocksSimFixture& fixture_;
  Random random_;
  const uint64_t large_one_in_;
  StoreImage acknowledged_;
  StoreImage attempted_;
  uint64_t starts_ = 0;  // acknowledged
  bool kept_unacknowledged_ = false;
  std::unique_ptr<LogStore> store_;
};

}  // namespace catamaran::raft
