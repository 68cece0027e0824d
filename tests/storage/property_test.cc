// Seeded random operations against a model of the log: appends of every kind, retries, syncs,
// maintenance, truncation, restarts, power cuts, full disks. CATAMARAN_SIM_SECONDS is the time box.
#include <chrono>
#include <cstdlib>

#include "base/clock.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "storage/cache_pool.h"
#include "tests/sim/sim_file_system.h"
#include "tests/storage/log_harness.h"
#include "tests/storage/log_model.h"

namespace catamaran::storage {
namespace {

using sim::SimCrash;
using sim::SimFileSystem;

constexpr int kSeedsMin = 150;
constexpr int kStepsPerSeed = 120;
constexpr int kProducers = 3;

class Story {
 public:
  explicit Story(uint64_t seed)
      : random_(seed), disk_(seed + 1), h_(disk_, RandomConfig(random_)) {}

  void Run() {
    ASSERT_TRUE(h_.Open().ok());
    for (int step = 0; step < kStepsPerSeed; ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      Step();
      if (testing::Test::HasFatalFailure() || testing::Test::HasFailure()) return;
    }
    model_.CheckContent(h_, 1 + random_.Below(4'000));
  }

 private:
  static LogConfig RandomConfig(Random& random) {
    LogConfig config;
    config.segment_bytes = random.Between(300, 5'000);
    config.index_interval_bytes = random.Between(1, 1'000);
    if (random.OneIn(2)) config.retention_bytes = random.Between(0, 10'000);
    config.segment_ms = random.Between(10, 100'000);
    return config;
  }

  void Step() {
    h_.now = h_.now + static_cast<int64_t>(random_.Below(50));
    switch (random_.Below(16)) {
      default:
        return Append();
      case 8:
        return Retry();
      case 9: {
        const Offset end = h_.log().end();
        ASSERT_TRUE(h_.Sync().ok());
        model_.synced_end = end;
        return;
      }
      case 10:
        return Maintain();
      case 11:
        return Restart();
      case 12:
        return Crash();
      case 13:
        return Read();
      case 14:
        return random_.OneIn(3) ? Truncate() : Append();
      case 15:
        return random_.OneIn(3) ? DeleteRecords() : FullDisk();
    }
  }

  std::string RandomBatch(Offset) {
    BatchSpec spec;
    spec.records = static_cast<int>(random_.Between(1, 4));
    spec.value_bytes = random_.OneIn(10) ? random_.Below(9'000) : random_.Below(200);
    spec.fill = random_.OneIn(8) ? '\0' : static_cast<char>('a' + random_.Below(26));
    spec.codec = random_.OneIn(4) ? Codec::kLz4 : Codec::kNone;
    spec.timestamp = h_.now - random_.Between(0, 1'000);
    return MakeBatch(spec);
  }
  // The next batch of a producer, after what the log holds and what this job has already.
  std::string ProducerBatch(ProducerId producer, Sequence sequence) {
    BatchSpec spec;
    spec.records = static_cast<int>(random_.Between(1, 3));
    spec.producer = producer;
    spec.sequence = sequence;
    return MakeBatch(spec);
  }
  Sequence NextSequence(ProducerId producer) const {
    Sequence next(0);
    for (const auto& [base, batch] : model_.batches) {
      if (batch.header.producer_id == producer) {
        next = AddSequence(batch.header.last_sequence(), 1);
      }
    }
    return next;
  }

  void Append() {
    if (random_.OneIn(20)) epoch_ = LeaderEpoch(epoch_.value() + 1);
    std::vector<std::string> bytes;
    Offset next = h_.log().end();
    for (uint64_t i = 0, count = 1 + random_.Below(4); i < count; ++i) {
      const ProducerId producer(static_cast<int64_t>(random_.Below(kProducers)));
      bytes.push_back(random_.OneIn(2) ? ProducerBatch(producer, NextSequence(producer))
                                       : RandomBatch(next));
      model_.Attempt(bytes.back(), next, epoch_);
      next = model_.attempted_end;
    }
    absl::Status status;
    const auto decisions = h_.AppendAll(bytes, &status, epoch_);
    ASSERT_TRUE(status.ok()) << status;
    for (const auto& decision : decisions) ASSERT_TRUE(decision.ok()) << decision.status();
    model_.end = h_.log().end();
    ASSERT_EQ(model_.end, model_.attempted_end);
  }

  // A producer's last batch again, or one out of order.
  void Retry() {
    const ProducerId producer(static_cast<int64_t>(random_.Below(kProducers)));
    const ModelBatch* last = nullptr;
    for (const auto& [base, batch] : model_.batches) {
      if (batch.header.producer_id == producer) last = &batch;
    }
    if (last == nullptr) return;
    const Offset end = h_.log().end();
    BatchSpec spec;
    spec.producer = producer;
    spec.records = last->header.record_count;
    spec.sequence = last->header.base_sequence;
    const auto again = h_.Append(spec, epoch_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(again->duplicate);
    EXPECT_EQ(again->base_offset, last->header.base_offset);
    EXPECT_EQ(again->last_offset, last->header.last_offset());
    spec.sequence = AddSequence(last->header.last_sequence(), 2);
    EXPECT_EQ(ReasonOf(h_.Append(spec, epoch_).status()), Reason::kOutOfOrderSequence);
    EXPECT_EQ(h_.log().end(), end);
  }

  void Maintain() {
    const Offset watermark(random_.Between(h_.log().log_start().value(), h_.log().end().value()));
    ASSERT_TRUE(h_.Maintain(watermark).ok());
    EXPECT_LE(h_.log().log_start(), std::max(watermark, model_.log_start));
    EXPECT_GE(h_.log().log_start(), model_.log_start);
    model_.log_start = model_.log_start_attempted = h_.log().log_start();
    model_.synced_end = std::max(model_.synced_end, h_.log().recovery_point());
  }
  void DeleteRecords() {
    const Offset offset(random_.Between(0, h_.log().end().value()));
    ASSERT_TRUE(h_.DeleteRecords(offset).ok());
    model_.log_start = model_.log_start_attempted = std::max(model_.log_start, offset);
    EXPECT_EQ(h_.log().log_start(), model_.log_start);
  }
  void Truncate() {
    const Offset to(random_.Between(h_.log().log_start().value(), h_.log().end().value()));
    ASSERT_TRUE(h_.Truncate(to).ok());
    EXPECT_LE(h_.log().end(), to);
    // Producers whose batches were deleted are forgotten by a truncation, which replays what is
    // left.
    for (auto it = model_.batches.begin(); it != model_.batches.end();) {
      const bool held = it->second.header.base_offset >= FirstHeld();
      it = held ? std::next(it) : model_.batches.erase(it);
    }
    model_.CheckRecovered(h_, h_.log().end());
  }
  Offset FirstHeld() {
    const auto batches = h_.ReadBatches(h_.log().log_start());
    CATAMARAN_CHECK(batches.ok(), batches.status().ToString());
    // The first segment may hold batches below the log start too.
    Offset first = h_.log().end();
    const auto listing = disk_.List("topic-3");
    for (const FileInfo& file : *listing) {
      if (auto base = ParseSegmentFileName(file.name, kLogSuffix)) first = std::min(first, *base);
    }
    return first;
  }
  void Restart() {
    ASSERT_TRUE(h_.Close().ok());
    model_.synced_end = model_.end;
    ASSERT_TRUE(h_.Open().ok());
    EXPECT_EQ(h_.log().stats().recovered_bytes, 0);
    model_.CheckRecovered(h_, model_.end);
  }
  void Crash() {
    h_.Drop();
    const bool power = random_.OneIn(2);
    disk_.Restart(power ? SimCrash::kPowerLoss : SimCrash::kProcessOnly);
    const absl::Status opened = h_.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    model_.CheckRecovered(h_, power ? model_.synced_end : model_.end);
  }
  void FullDisk() {
    disk_.SetCapacity(disk_.used_bytes());
    const Offset end = h_.log().end();
    const auto appended = h_.Append(BatchSpec{.value_bytes = 20'000}, epoch_);
    EXPECT_EQ(ReasonOf(appended.status()), Reason::kStorageFull);
    EXPECT_EQ(h_.log().end(), end);
    disk_.SetCapacity(sim::kSimDiskCapacityBytesDefault);
  }
  void Read() {
    for (CachePool* pool : {&TailPool(), &IndexPool(), &FileHandlePool()}) {
      const size_t capacity = pool->capacity();
      if (random_.OneIn(2)) pool->SetCapacity(0);
      pool->SetCapacity(capacity);
    }
    const int64_t start = h_.log().log_start().value();
    const int64_t end = h_.log().end().value();
    const Offset from(random_.Between(start, end));
    auto read = h_.Read(from, random_.Below(3'000));
    ASSERT_TRUE(read.ok()) << read.status();
    if (from.value() < end) {
      ASSERT_FALSE(read->batches_runs.empty());
      const BatchHeader header = *ParseBatchHeader(read->batches_runs[0].view());
      EXPECT_LE(header.base_offset, from);
      EXPECT_GT(header.next_offset(), from);
      EXPECT_EQ(header, model_.batches.at(header.base_offset.value()).header);
    }
  }

  Random random_;
  SimFileSystem disk_;
  LogHarness h_;
  LogModel model_;
  LeaderEpoch epoch_{1};
};

TEST(PropertyTest, RandomOperations) {
  const char* const box = std::getenv("CATAMARAN_SIM_SECONDS");
  const auto seconds = std::chrono::seconds(box != nullptr ? std::atoi(box) : 0);
  const MonotonicTime until = SystemClock().Now() + seconds;
  uint64_t seed = 1;
  for (; seed <= kSeedsMin || SystemClock().Now() < until; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Story(seed).Run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace catamaran::storage
