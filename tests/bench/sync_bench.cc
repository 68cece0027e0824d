// The strategies of the sync service under hot partitions: each has one append in flight at a time,
// acknowledged when it is durable.
//   sync_bench [directory = .] [seconds per cell = 3]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "storage/cache_pool.h"
#include "storage/partition_log.h"
#include "storage/sync_service.h"

namespace catamaran::storage {
namespace {

constexpr size_t kValueBytes = 1'000;

struct Hot {
  std::unique_ptr<PartitionLog> log;
  MonotonicTime begun;
  StageResult staged;
};

// One shard with many partitions, as in the broker.
class Cell {
 public:
  Cell(SyncStrategy strategy, int partitions, FileSystem& fs, IoPool& pool, Executor& shard)
      : pool_(pool), shard_(shard), sync_(MakeSyncService(strategy, fs, pool)) {
    for (int i = 0; i < partitions; ++i) {
      hot_.push_back(std::make_unique<Hot>());
      LogConfig config;
      auto log = PartitionLog::Open(
          fs, {"hot-" + std::to_string(i), {TopicId{Uuid::FromRandom(1, 2)}, PartitionIndex(i)}},
          config, TimestampMs(1));
      CATAMARAN_CHECK(log.ok(), log.status().ToString());
      hot_.back()->log = *std::move(log);
    }
    BatchBuilder builder({});
    builder.Add(TimestampMs(1), std::nullopt, std::string(kValueBytes, 'x'));
    batch_ = *builder.Build();
  }

  void Run(double warm_up, double seconds) {
    const MonotonicTime begin = SystemClock().Now();
    count_from_ =
        begin + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(warm_up));
    until_ =
        count_from_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    running_ = static_cast<int>(hot_.size());
    shard_.Post([this] {
      for (auto& hot : hot_) Append(hot.get());
    });
    MutexLock lock(&mu_);
    while (!done_) changed_.Wait(&mu_);
  }

  void Delete() {
    for (auto& hot : hot_) {
      MaintenanceJob job = hot->log->Delete();
      job.Run();
    }
  }

  std::vector<double>& latencies_ms() { return latencies_ms_; }

 private:
  void Append(Hot* hot) {
    if (SystemClock().Now() >= until_) {
      if (--running_ == 0) {
        MutexLock lock(&mu_);
        done_ = true;
        changed_.SignalAll();
      }
      return;
    }
    hot->begun = SystemClock().Now();
    std::vector<StageRequest> requests(1);
    requests[0].bytes = batch_;
    hot->staged = hot->log->Stage(std::move(requests), LeaderEpoch(1), TimestampMs(1));
    pool_.Submit(
        IoLane::kWrite, [hot] { hot->staged.job->Run(); }, &shard_,
        [this, hot] {
          CATAMARAN_CHECK(hot->log->FinishWrite(*std::move(hot->staged.job)).ok(),
                          "a write failed");
          SyncTarget target = hot->log->TakeSync();
          auto files = target.files;
          sync_->Sync(std::move(files), &shard_,
                      [this, hot, target = std::move(target)](const absl::Status& status) {
                        CATAMARAN_CHECK(status.ok(), status.ToString());
                        hot->log->FinishSync(target, status);
                        const MonotonicTime now = SystemClock().Now();
                        if (hot->begun >= count_from_) {
                          latencies_ms_.push_back(
                              std::chrono::duration<double, std::milli>(now - hot->begun).count());
                        }
                        Append(hot);
                      });
        });
  }

  IoPool& pool_;
  Executor& shard_;
  std::unique_ptr<SyncService> sync_;
  std::vector<std::unique_ptr<Hot>> hot_;
  std::string batch_;
  MonotonicTime count_from_;
  MonotonicTime until_;
  int running_ = 0;
  std::vector<double> latencies_ms_;
  Mutex mu_;
  CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
};

const char* NameOf(SyncStrategy strategy) {
  switch (strategy) {
    case SyncStrategy::kFdatasync:
      return "fdatasync";
    case SyncStrategy::kSyncfs:
      return "syncfs";
    case SyncStrategy::kAdaptive:
      return "adaptive";
  }
  return "?";
}

// Does preallocation make an append's fdatasync cheaper? Interleaved runs on files of their own.
void BenchPreallocation(FileSystem& fs) {
  constexpr int kRounds = 6;
  constexpr int kAppends = 300;
  constexpr uint64_t kRoom = 16u << 20;
  std::printf(
      "| append and fdatasync of | preallocated | p50 us | p99 us |\n|---|---|---:|---:|\n");
  for (size_t bytes : {size_t{1'000}, size_t{64'000}}) {
    std::vector<double> micros[2];
    for (int round = 0; round < 2 * kRounds; ++round) {
      const bool allocate = round % 2 == 1;
      auto file = fs.Open("preallocation", OpenMode::kCreateNew);
      CATAMARAN_CHECK(file.ok(), file.status().ToString());
      if (allocate) {
        CATAMARAN_CHECK((*file)->Allocate(kRoom).ok(), "can't allocate");
        CATAMARAN_CHECK((*file)->SyncData().ok(), "a sync failed");
      }
      const std::string data(bytes, 'x');
      for (int i = 0; i < kAppends; ++i) {
        const MonotonicTime begin = SystemClock().Now();
        CATAMARAN_CHECK((*file)->WriteAt(static_cast<uint64_t>(i) * bytes, data).ok(),
                        "a write failed");
        CATAMARAN_CHECK((*file)->SyncData().ok(), "a sync failed");
        micros[allocate].push_back(
            std::chrono::duration<double, std::micro>(SystemClock().Now() - begin).count());
      }
      CATAMARAN_CHECK(fs.Remove("preallocation").ok(), "can't remove");
    }
    for (bool allocate : {false, true}) {
      auto& values = micros[allocate];
      std::sort(values.begin(), values.end());
      std::printf("| %zu bytes | %s | %.0f | %.0f |\n", bytes, allocate ? "yes" : "no",
                  values[values.size() / 2], values[values.size() * 99 / 100]);
    }
  }
}

int Main(const std::string& parent, double seconds) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string directory = parent + "/sync-bench-data";
  std::filesystem::create_directories(directory);
  auto fs = OpenPosixFileSystem(directory);
  CATAMARAN_CHECK(fs.ok(), fs.status().ToString());
  BenchPreallocation(**fs);
  auto pool = MakeIoThreadPool({});
  auto shard = MakeThreadExecutor("shard", SystemClock());
  std::printf(
      "| hot partitions | strategy | acks/s | p50 ms | p99 ms |\n|---:|---|---:|---:|---:|\n");
  for (int partitions : {1, 10, 100, 1'000}) {
    for (SyncStrategy strategy :
         {SyncStrategy::kFdatasync, SyncStrategy::kSyncfs, SyncStrategy::kAdaptive}) {
      Cell cell(strategy, partitions, **fs, *pool, *shard);
      cell.Run(1 + seconds / 3, seconds);
      auto& latencies = cell.latencies_ms();
      std::sort(latencies.begin(), latencies.end());
      const size_t count = latencies.size();
      std::printf("| %d | %s | %.0f | %.2f | %.2f |\n", partitions, NameOf(strategy),
                  static_cast<double>(count) / seconds, count > 0 ? latencies[count / 2] : 0.0,
                  count > 0 ? latencies[count * 99 / 100] : 0.0);
      std::fflush(stdout);
      cell.Delete();
    }
  }
  shard.reset();
  pool.reset();
  fs->reset();
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace catamaran::storage

int main(int argc, char** argv) {
  return catamaran::storage::Main(argc > 1 ? argv[1] : ".", argc > 2 ? std::atof(argv[2]) : 3);
}
