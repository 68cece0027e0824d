// The partition log beside the bare system calls that move the same bytes, in interleaved runs.
//   storage_bench [directory = .]   needs 1 GiB of room; removes what it made
#include <fcntl.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/batch/batch.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "storage/cache_pool.h"
#include "storage/partition_log.h"

namespace catamaran::storage {
namespace {

constexpr int kBatches = 48;
constexpr int kRecordsPerBatch = 1'000;
constexpr size_t kRecordBytes = 1'024;
constexpr int kRounds = 15;
constexpr int kEmptyLogs = 10'000;

// Seconds. The process has one thread here, so CPU time is what the work itself costs, whoever else
// uses the machine.
struct Cost {
  double wall = 0;
  double cpu = 0;
};

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

Cost CostOf(const std::function<void()>& work) {
  const MonotonicTime begin = SystemClock().Now();
  const double cpu = CpuSeconds();
  work();
  const double used = CpuSeconds() - cpu;
  return {std::chrono::duration<double>(SystemClock().Now() - begin).count(), used};
}

Cost Median(std::vector<Cost> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  Cost median;
  std::nth_element(values.begin(), middle, values.end(),
                   [](const Cost& a, const Cost& b) { return a.wall < b.wall; });
  median.wall = middle->wall;
  std::nth_element(values.begin(), middle, values.end(),
                   [](const Cost& a, const Cost& b) { return a.cpu < b.cpu; });
  median.cpu = middle->cpu;
  return median;
}

std::string MakeBatch(Codec codec) {
  BatchBuilder builder({.codec = codec});
  uint64_t state = 1;
  for (int i = 0; i < kRecordsPerBatch; ++i) {
    std::string value;
    while (value.size() < kRecordBytes) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      value += "field" + std::to_string(state >> 40) + "=";
    }
    value.resize(kRecordBytes);
    builder.Add(TimestampMs(1'700'000'000'000 + i), std::nullopt, value);
  }
  return *builder.Build();
}

ValidationOptions Options() {
  ValidationOptions options;
  options.batch_bytes_max = kBatchBytesLimit;
  options.now = TimestampMs(1'700'000'010'000);
  return options;
}

std::unique_ptr<PartitionLog> OpenLog(FileSystem& fs, const std::string& name) {
  LogConfig config;
  auto log = PartitionLog::Open(fs, {name, {TopicId{Uuid::FromRandom(1, 2)}, PartitionIndex(0)}},
                                config, TimestampMs(1));
  CATAMARAN_CHECK(log.ok(), log.status().ToString());
  return *std::move(log);
}

// Validates and appends, each batch a job of its own.
Cost AppendRun(FileSystem& fs, const std::string& batch, bool validate) {
  std::vector<std::string> batches(kBatches, batch);
  auto log = OpenLog(fs, "log");
  {
    // The first append makes the directory, with its syncs.
    std::vector<StageRequest> requests(1);
    requests[0].bytes = batch;
    auto staged = log->Stage(std::move(requests), LeaderEpoch(1), TimestampMs(1));
    staged.job->Run();
    CATAMARAN_CHECK(log->FinishWrite(*std::move(staged.job)).ok(), "a write failed");
  }
  const Cost seconds = CostOf([&] {
    for (std::string& bytes : batches) {
      if (validate) CATAMARAN_CHECK(ValidateProducedBatch(bytes, Options()).ok(), "a bad batch");
      std::vector<StageRequest> requests(1);
      requests[0].bytes = std::move(bytes);
      auto staged = log->Stage(std::move(requests), LeaderEpoch(1), TimestampMs(1));
      staged.job->Run();
      CATAMARAN_CHECK(log->FinishWrite(*std::move(staged.job)).ok(), "a write failed");
    }
  });
  MaintenanceJob deleted = log->Delete();
  deleted.Run();
  CATAMARAN_CHECK(deleted.status().ok(), deleted.status().ToString());
  return seconds;
}

Cost BareWriteRun(const std::string& directory, const std::string& batch) {
  // As the append has them: each batch in memory of its own, freed when it is written.
  std::vector<std::string> batches(kBatches, batch);
  const std::string path = directory + "/bare";
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600);
  CATAMARAN_CHECK(fd >= 0, "can't create a file");
  const Cost seconds = CostOf([&] {
    for (std::string& bytes : batches) {
      CATAMARAN_CHECK(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
                      "a bare write failed");
      std::string().swap(bytes);
    }
  });
  close(fd);
  unlink(path.c_str());
  return seconds;
}

void Header() {
  std::printf("%-40s %22s %-24s %22s %8s %8s\n", "", "MB/s wall, CPU", "beside", "MB/s wall, CPU",
              "wall", "CPU");
}

void Row(const char* name, const Cost& ours, const Cost& bare, const char* of, double megabytes) {
  std::printf("%-40s %11.0f %10.0f %-24s %11.0f %10.0f %6.0f %% %6.0f %%\n", name,
              megabytes / ours.wall, megabytes / ours.cpu, of, megabytes / bare.wall,
              megabytes / bare.cpu, 100 * bare.wall / ours.wall, 100 * bare.cpu / ours.cpu);
}

void BenchAppend(FileSystem& fs, const std::string& directory) {
  for (const Codec codec : {Codec::kNone, Codec::kLz4, Codec::kZstd}) {
    const std::string batch = MakeBatch(codec);
    std::vector<Cost> ours, unvalidated, bare, decoding;
    for (int round = 0; round < kRounds; ++round) {
      ours.push_back(AppendRun(fs, batch, true));
      bare.push_back(BareWriteRun(directory, batch));
      unvalidated.push_back(AppendRun(fs, batch, false));
      if (codec == Codec::kNone) continue;
      decoding.push_back(CostOf([&] {
        for (int i = 0; i < kBatches; ++i) {
          auto plain = Decompress(codec, std::string_view(batch).substr(kBatchHeaderBytes),
                                  kBatchBytesLimit);
          CATAMARAN_CHECK(plain.ok(), "a bad stream");
        }
      }));
    }
    const double stored = static_cast<double>(batch.size()) * kBatches / 1e6;
    const double plain = static_cast<double>(kRecordBytes) * kRecordsPerBatch * kBatches / 1e6;
    const std::string name = "append, " + std::string(CodecName(codec));
    if (codec == Codec::kNone) {
      Row((name + ", validated").c_str(), Median(ours), Median(bare), "bare write()", stored);
      Row((name + ", not validated").c_str(), Median(unvalidated), Median(bare), "bare write()",
          stored);
    } else {
      Row((name + ", validated").c_str(), Median(ours), Median(decoding), "decoding, plain bytes",
          plain);
    }
  }
}

void BenchRead(FileSystem& fs, const std::string& directory) {
  const std::string batch = MakeBatch(Codec::kNone);
  auto log = OpenLog(fs, "log");
  std::string whole;
  for (int i = 0; i < kBatches; ++i) {
    std::vector<StageRequest> requests(1);
    requests[0].bytes = batch;
    auto staged = log->Stage(std::move(requests), LeaderEpoch(1), TimestampMs(1));
    staged.job->Run();
    CATAMARAN_CHECK(log->FinishWrite(*std::move(staged.job)).ok(), "a write failed");
  }
  TailPool().SetCapacity(0);
  const std::string path = directory + "/log/00000000000000000000.log";
  const int fd = open(path.c_str(), O_RDONLY);
  std::vector<Cost> ours, bare, fresh;
  for (int round = 0; round < kRounds; ++round) {
    ours.push_back(CostOf([&] {
      for (Offset from(0); from < log->end();) {
        auto job = log->PlanRead(from, 1 << 20, log->end());
        auto result = job->Run();
        CATAMARAN_CHECK(result.ok(), result.status().ToString());
        from = result->next_offset;
      }
    }));
    const auto read_all = [&](bool fresh_memory) {
      std::string into(batch.size(), '\0');
      for (size_t i = 0; i < kBatches; ++i) {
        char* const block = fresh_memory ? static_cast<char*>(std::malloc(batch.size())) : nullptr;
        const ssize_t got = pread(fd, fresh_memory ? block : into.data(), batch.size(),
                                  static_cast<off_t>(i * batch.size()));
        CATAMARAN_CHECK(got == static_cast<ssize_t>(batch.size()), "a bare pread failed");
        std::free(block);
      }
    };
    bare.push_back(CostOf([&] { read_all(false); }));
    fresh.push_back(CostOf([&] { read_all(true); }));
  }
  close(fd);
  const double megabytes = static_cast<double>(batch.size()) * kBatches / 1e6;
  Row("read, 1 MiB at a time, checked", Median(ours), Median(bare), "bare pread(), one block",
      megabytes);
  Row("read, 1 MiB at a time, checked", Median(ours), Median(fresh), "pread() into malloc",
      megabytes);
  MaintenanceJob deleted = log->Delete();
  deleted.Run();
  TailPool().SetCapacity(kTailCacheBytesDefault);
}

size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  size_t total = 0;
  size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void BenchEmptyLogs(FileSystem& fs) {
  malloc_trim(0);
  const size_t before = ResidentBytes();
  std::vector<std::unique_ptr<PartitionLog>> logs;
  const Cost seconds = CostOf([&] {
    for (int i = 0; i < kEmptyLogs; ++i) logs.push_back(OpenLog(fs, "empty-" + std::to_string(i)));
  });
  std::printf("%d empty logs: opened in %.0f ms, %.0f bytes each\n", kEmptyLogs, seconds.wall * 1e3,
              static_cast<double>(ResidentBytes() - before) / kEmptyLogs);
}

void BenchUsedLogs(FileSystem& fs) {
  constexpr int kLogs = 200;
  const std::string batch = MakeBatch(Codec::kZstd);
  for (int i = 0; i < kLogs; ++i) {
    auto log = OpenLog(fs, "used-" + std::to_string(i));
    std::vector<StageRequest> requests(1);
    requests[0].bytes = batch;
    auto staged = log->Stage(std::move(requests), LeaderEpoch(1), TimestampMs(1));
    staged.job->Run();
    CATAMARAN_CHECK(log->FinishWrite(*std::move(staged.job)).ok(), "a write failed");
    MaintenanceJob closed = log->Close();
    closed.Run();
  }
  malloc_trim(0);
  const size_t before = ResidentBytes();
  std::vector<std::unique_ptr<PartitionLog>> logs;
  const Cost seconds = CostOf([&] {
    for (int i = 0; i < kLogs; ++i) logs.push_back(OpenLog(fs, "used-" + std::to_string(i)));
  });
  std::printf("%d logs with one batch, cleanly closed: opened in %.0f ms, %.0f bytes each\n", kLogs,
              seconds.wall * 1e3, static_cast<double>(ResidentBytes() - before) / kLogs);
  for (auto& log : logs) {
    MaintenanceJob deleted = log->Delete();
    deleted.Run();
  }
}

int Main(const std::string& parent) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string directory = parent + "/storage-bench-data";
  std::filesystem::create_directories(directory);
  auto fs = OpenPosixFileSystem(directory);
  CATAMARAN_CHECK(fs.ok(), fs.status().ToString());
  BenchEmptyLogs(**fs);
  BenchUsedLogs(**fs);
  Header();
  BenchAppend(**fs, directory);
  BenchRead(**fs, directory);
  fs->reset();
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace catamaran::storage

int main(int argc, char** argv) { return catamaran::storage::Main(argc > 1 ? argv[1] : "."); }
