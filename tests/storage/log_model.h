// What a log must hold, kept outside it: every batch that was ever handed to it, and what it
// acknowledged.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/log_state.h"
#include "storage/producer_state.h"
#include "tests/storage/log_harness.h"

namespace catamaran::storage {

struct ModelBatch {
  std::string payload;
  BatchHeader header;  // as stamped
};

class LogModel {
 public:
  // A batch is about to be appended at `base`.
  void Attempt(const std::string& batch, Offset base, LeaderEpoch epoch) {
    std::string stamped = batch;
    PatchBaseOffset(stamped.data(), base);
    PatchLeaderEpoch(stamped.data(), epoch);
    ModelBatch entry{Payload(stamped), *ParseBatchHeader(stamped)};
    batches.erase(batches.lower_bound(base.value()), batches.end());
    batches[base.value()] = entry;
    attempted_end = entry.header.next_offset();
  }

  // The state that the batches below `at` give.
  std::string ProducersAt(Offset at) const {
    ProducerMap producers;
    for (const auto& [base, batch] : batches) {
      if (batch.header.base_offset < at) {
        ReplayProducerBatch(batch.header, TimestampMs(0), &producers);
      }
    }
    std::string out;
    EncodeProducers(producers, &out);
    return out;
  }
  std::vector<EpochStart> EpochsAt(Offset start, Offset at) const {
    EpochHistory epochs;
    for (const auto& [base, batch] : batches) {
      if (batch.header.base_offset < at) {
        epochs.Assign(batch.header.leader_epoch, batch.header.base_offset);
      }
    }
    epochs.TrimFront(start);
    return epochs.entries();
  }

  // The recovered log is a prefix of what was appended that has all that was promised; then the
  // model goes on from there.
  void CheckRecovered(LogHarness& h, Offset end_min) {
    PartitionLog& log = h.log();
    log.CheckInvariants();
    EXPECT_GE(log.end(), end_min) << "acknowledged batches are lost";
    EXPECT_LE(log.end(), attempted_end);
    EXPECT_GE(log.log_start(), log_start) << "the log start rolled back";
    EXPECT_LE(log.log_start(), log_start_attempted);
    EXPECT_EQ(log.synced_end(), log.end());
    CheckContent(h);
    batches.erase(batches.lower_bound(log.end().value()), batches.end());
    attempted_end = log.end();
    end = synced_end = log.end();
    log_start = log_start_attempted = log.log_start();
  }

  void CheckContent(LogHarness& h, size_t read_bytes = 1 << 20) {
    PartitionLog& log = h.log();
    auto read = h.ReadBatches(log.log_start(), read_bytes);
    ASSERT_TRUE(read.ok()) << read.status();
    Offset next = read->empty() ? log.end() : ParseBatchHeader(read->front())->base_offset;
    EXPECT_LE(next, log.log_start());
    for (const std::string& batch : *read) {
      const BatchHeader header = *ParseBatchHeader(batch);
      ASSERT_EQ(header.base_offset, next) << "a hole";
      auto it = batches.find(header.base_offset.value());
      ASSERT_NE(it, batches.end());
      EXPECT_EQ(header, it->second.header);
      EXPECT_EQ(Payload(batch), it->second.payload);
      next = header.next_offset();
    }
    EXPECT_EQ(next, log.end());
    EXPECT_EQ(log.epochs(), EpochsAt(log.log_start(), log.end()));
    EXPECT_EQ(log.EncodeProducerState(), ProducersAt(log.end()));
  }

  std::map<int64_t, ModelBatch> batches;
  Offset attempted_end{0};
  Offset end{0};         // of writes that were reported as done
  Offset synced_end{0};  // of syncs that were reported as done
  Offset log_start{0};
  Offset log_start_attempted{0};
};

}  // namespace catamaran::storage
