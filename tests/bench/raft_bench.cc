// Proposals per second of a quorum of three in one process (loopback transport, RocksDB), beside
// how often the same disk does an fdatasync in the same run.
//   raft_bench [directory = .] [seconds per cell = 3] [payload bytes = 100]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file_system.h"
#include "tests/raft/driver/real_group.h"

namespace catamaran::raft {
namespace {

// Counts, and keeps nothing.
class CountingMachine final : public StateMachine {
 public:
  LogIndex applied() const override { return kNoIndex; }
  void Apply(std::vector<Entry>, absl::AnyInvocable<void()> done) override { done(); }
  void TakeSnapshot(absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done) override {
    done(SnapshotParts());
  }
  void Restore(const SnapshotMeta&, SnapshotParts,
               absl::AnyInvocable<void(absl::Status)> done) override {
    done(absl::OkStatus());
  }
};

double SecondsSince(MonotonicTime begin) {
  return std::chrono::duration<double>(SystemClock().Now() - begin).count();
}

// Appends of a page, each followed by an fdatasync, on one thread.
double SyncsPerSecond(const std::string& directory, double seconds) {
  auto fs = OpenPosixFileSystem(directory);
  CATAMARAN_CHECK(fs.ok(), fs.status().ToString());
  auto file = (*fs)->Open("syncs", OpenMode::kCreate);
  CATAMARAN_CHECK(file.ok(), file.status().ToString());
  const std::string page(4'096, 'x');
  const MonotonicTime begin = SystemClock().Now();
  uint64_t count = 0;
  while (SecondsSince(begin) < seconds) {
    CATAMARAN_CHECK((*file)->WriteAt(count * page.size(), page).ok(), "the disk takes a page");
    CATAMARAN_CHECK((*file)->SyncData().ok(), "the disk syncs");
    ++count;
  }
  return static_cast<double>(count) / SecondsSince(begin);
}

struct Cell {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  uint64_t failed = 0;
};

// Keeps `in_flight` proposals going; everything on the leader's executor.
class Load {
 public:
  Load(RealReplica* leader, int in_flight, double seconds, size_t payload)
      : leader_(leader), in_flight_(in_flight), seconds_(seconds), payload_(payload, 'p') {}

  Cell Run() {
    leader_->executor->Post([this] {
      begin_ = SystemClock().Now();
      for (int i = 0; i < in_flight_; ++i) One();
    });
    CATAMARAN_CHECK(done_.Wait(std::chrono::seconds(120)), "the load ends");
    Cell cell;
    std::sort(latencies_ms_.begin(), latencies_ms_.end());
    cell.per_second = static_cast<double>(latencies_ms_.size()) / took_;
    cell.failed = failed_;
    if (latencies_ms_.empty()) return cell;
    cell.p50_ms = latencies_ms_[latencies_ms_.size() / 2];
    cell.p99_ms = latencies_ms_[latencies_ms_.size() * 99 / 100];
    return cell;
  }

 private:
  void One() {
    ++running_;
    const MonotonicTime sent = SystemClock().Now();
    leader_->node->Propose(Buffer::Copy(payload_), [this, sent](const auto& result) {
      --running_;
      if (result.ok()) {
        latencies_ms_.push_back(SecondsSince(sent) * 1e3);
      } else {
        ++failed_;
      }
      took_ = SecondsSince(begin_);
      if (took_ < seconds_ && failed_ == 0) return One();
      if (running_ == 0) done_.Set();
    });
  }

  RealReplica* const leader_;
  const int in_flight_;
  const double seconds_;
  const std::string payload_;
  Signal done_;
  MonotonicTime begin_;
  int running_ = 0;
  uint64_t failed_ = 0;
  double took_ = 0;
  std::vector<double> latencies_ms_;
};

int Main(const std::string& directory, double seconds, size_t payload) {
  const std::string root = directory + "/raft-bench";
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root);
  const double syncs_before = SyncsPerSecond(root, 1);
  std::vector<std::pair<int, Cell>> cells;
  {
    RealGroup group(root, 3, [] { return std::make_unique<CountingMachine>(); });
    const int leader = group.AwaitLeader(std::chrono::seconds(30));
    CATAMARAN_CHECK(leader >= 0, "somebody leads");
    for (int in_flight : {1, 16, 256}) {
      Load warm_up(&group.at(leader), in_flight, 0.3, payload);
      warm_up.Run();
      Load load(&group.at(leader), in_flight, seconds, payload);
      cells.emplace_back(in_flight, load.Run());
    }
  }
  const double syncs = (syncs_before + SyncsPerSecond(root, 1)) / 2;
  std::printf("fdatasync of an appended page: %.0f/s (mean of before and after)\n\n", syncs);
  std::printf("%10s %14s %12s %10s %10s %8s\n", "in flight", "proposals/s", "per fdatasync",
              "p50 ms", "p99 ms", "failed");
  for (const auto& [in_flight, cell] : cells) {
    std::printf("%10d %14.0f %12.2f %10.2f %10.2f %8lu\n", in_flight, cell.per_second,
                cell.per_second / syncs, cell.p50_ms, cell.p99_ms,
                static_cast<unsigned long>(cell.failed));
  }
  std::filesystem::remove_all(root);
  return 0;
}

}  // namespace
}  // namespace catamaran::raft

int main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : ".";
  const double seconds = argc > 2 ? std::atof(argv[2]) : 3;
  const size_t payload = argc > 3 ? static_cast<size_t>(std::atoll(argv[3])) : 100;
  return catamaran::raft::Main(directory, seconds, payload);
}
