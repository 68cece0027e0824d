// Synced writes of Raft's store at several batch sizes, against bare fdatasync of the same disk in
// the same run, interleaved.
//   raft_store_bench [directory = .] [seconds per cell = 2] [rounds = 3]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/file_system.h"
#include "raft/store/rocks_log_store.h"

namespace catamaran::raft {
namespace {

constexpr size_t kPayloadBytes = 200;
constexpr int kBatchSizes[] = {1, 16, 256};
constexpr int64_t kCompactEvery = 20'000;  // entries, so that the log stays as short as in life

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

struct Cell {
  std::string name;
  int entries = 0;                   // per write
  std::function<void(int)> write;    // `entries` entries, durable on return
  std::vector<double> microseconds;  // of each write, over all rounds
  double seconds = 0;
};

void Run(Cell& cell, double seconds) {
  const Clock& clock = SystemClock();
  const MonotonicTime begin = clock.Now();
  MonotonicTime last = begin;
  while (Seconds(last - begin) < seconds) {
    cell.write(cell.entries);
    const MonotonicTime now = clock.Now();
    cell.microseconds.push_back(Seconds(now - last) * 1e6);
    last = now;
  }
  cell.seconds += Seconds(last - begin);
}

// Appends as many bytes as the entries have and syncs: the floor.
class Bare {
 public:
  Bare(FileSystem& fs, const std::string& name)
      : file_(fs.Open(name, OpenMode::kCreateNew).value()) {}
  void Write(int entries) {
    const std::string bytes(kPayloadBytes * static_cast<size_t>(entries), 'x');
    CATAMARAN_CHECK(file_->WriteAt(position_, bytes).ok(), "the disk takes it");
    position_ += bytes.size();
    CATAMARAN_CHECK(file_->SyncData().ok(), "the disk syncs");
  }

 private:
  const std::shared_ptr<File> file_;
  uint64_t position_ = 0;
};

class Store {
 public:
  explicit Store(const std::string& path) {
    RocksStoreOptions options;
    options.path = path;
    options.identity.replica = {BrokerId(1), DirectoryId{Uuid::FromRandom(1, 2)}};
    options.create_if_missing = true;
    auto opened = OpenRocksLogStore(options);
    CATAMARAN_CHECK(opened.ok(), opened.status().ToString());
    store_ = *std::move(opened);
    LogWrite write;
    write.hard_state = HardState{Term(1), std::nullopt};
    CATAMARAN_CHECK(store_->Write(write).ok(), "the store takes it");
  }
  void Write(int entries) {
    LogWrite write;
    for (int i = 0; i < entries; ++i) {
      last_ += 1;
      write.entries.push_back({last_, Term(1), EntryKind::kCommand,
                               Buffer::FromString(std::string(kPayloadBytes, 'x'))});
    }
    const absl::Status status = store_->Write(write);
    CATAMARAN_CHECK(status.ok(), status.ToString());
    if (last_ - compacted_ < kCompactEvery) return;
    SnapshotMeta meta;
    meta.last = {Term(1), last_};
    CATAMARAN_CHECK(store_->BeginSnapshot(meta).ok(), "it begins");
    CATAMARAN_CHECK(store_->FinishSnapshot(meta.last).ok(), "it ends");
    CATAMARAN_CHECK(store_->CompactLog(last_).ok(), "it compacts");
    compacted_ = last_;
  }

 private:
  std::unique_ptr<LogStore> store_;
  LogIndex last_;
  LogIndex compacted_;
};

double Percentile(std::vector<double>& values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1,
                         static_cast<size_t>(share * static_cast<double>(values.size())))];
}

void Print(std::vector<Cell>& cells) {
  std::printf("%-16s %8s %10s %12s %10s %10s %12s\n", "", "entries", "writes/s", "entries/s",
              "p50 us", "p99 us", "of fdatasync");
  for (size_t i = 0; i < cells.size(); ++i) {
    Cell& cell = cells[i];
    const double rate = static_cast<double>(cell.microseconds.size()) / cell.seconds;
    Cell& floor = cells[i - i % 2];
    const double floor_rate = static_cast<double>(floor.microseconds.size()) / floor.seconds;
    std::printf("%-16s %8d %10.0f %12.0f %10.0f %10.0f %11.0f%%\n", cell.name.c_str(), cell.entries,
                rate, rate * cell.entries, Percentile(cell.microseconds, 0.5),
                Percentile(cell.microseconds, 0.99), 100 * rate / floor_rate);
  }
}

int Main(const std::string& directory, double seconds, int rounds) {
  const std::string root = directory + "/raft-store-bench";
  std::filesystem::remove_all(root);
  std::filesystem::create_directory(root);
  auto fs = OpenPosixFileSystem(root).value();
  std::vector<std::unique_ptr<Bare>> bare;
  Store store(root + "/raft");
  std::vector<Cell> cells;
  for (const int size : kBatchSizes) {
    bare.push_back(std::make_unique<Bare>(*fs, "bare-" + std::to_string(size)));
    cells.push_back(
        {"write+fdatasync", size, [file = bare.back().get()](int n) { file->Write(n); }, {}, 0});
    cells.push_back({"store", size, [&store](int n) { store.Write(n); }, {}, 0});
  }
  std::printf("entries of %zu bytes, %d rounds of %.1f s a cell\n", kPayloadBytes, rounds, seconds);
  for (int round = 0; round < rounds; ++round) {
    for (Cell& cell : cells) Run(cell, seconds);
  }
  Print(cells);
  std::filesystem::remove_all(root);
  return 0;
}

}  // namespace
}  // namespace catamaran::raft

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : ".";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 2;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 3;
  return catamaran::raft::Main(directory, seconds, rounds);
}
