// The implementations of LogStore behind one face.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "raft/store/log_store.h"
#include "raft/store/rocks_log_store.h"
#include "tests/raft/store/sim_rocks_env.h"
#include "tests/raft/store/sim_store.h"
#include "tests/raft/store/store_values.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::raft {

// An empty place for one store.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  virtual absl::StatusOr<std::unique_ptr<LogStore>> Open(const StoreIdentity& identity,
                                                         bool create_if_missing) = 0;
  // Lets background work end, where it would wait for being told to.
  virtual void Settle() {}
  // Changes whenever anything is written.
  virtual std::string Fingerprint() = 0;
};

class SimFixture final : public StoreFixture {
 public:
  absl::StatusOr<std::unique_ptr<LogStore>> Open(const StoreIdentity& identity,
                                                 bool create_if_missing) override {
    return disk_.Open(identity, create_if_missing);
  }
  std::string Fingerprint() override { return std::to_string(disk_.write_count()); }

 private:
  SimStoreDisk disk_{7};
};

// RocksDB on the machine's disk.
class RocksFixture final : public StoreFixture {
 public:
  RocksFixture() {
    std::string pattern = ::testing::TempDir() + "/catamaran-store-XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~RocksFixture() override { std::filesystem::remove_all(root_); }
  absl::StatusOr<std::unique_ptr<LogStore>> Open(const StoreIdentity& identity,
                                                 bool create_if_missing) override {
    RocksStoreOptions options;
    options.path = path();
    options.identity = identity;
    options.create_if_missing = create_if_missing;
    return OpenRocksLogStore(options);
  }
  std::string Fingerprint() override {
    std::map<std::string, std::string> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(root_)) {
      if (!file.is_regular_file()) continue;
      std::ifstream in(file.path(), std::ios::binary);
      files[file.path()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    std::string all;
    for (const auto& [name, bytes] : files) all += name + "\n" + bytes + "\n";
    return all;
  }
  std::string path() const { return root_ + "/raft"; }

 private:
  std::string root_;
};

// RocksDB on the simulated disk, with memtables so small that they're flushed and compacted.
class RocksSimFixture final : public StoreFixture {
 public:
  explicit RocksSimFixture(uint64_t seed = 7) : disk_(seed) {}
  absl::StatusOr<std::unique_ptr<LogStore>> Open(const StoreIdentity& identity,
                                                 bool create_if_missing) override {
    RocksStoreOptions options;
    options.path = "raft";
    options.identity = identity;
    options.create_if_missing = create_if_missing;
    options.env = &env_;
    options.memtable_bytes = size_t{64} << 10;
    return OpenRocksLogStore(options);
  }
  void Settle() override { env_.Drain(); }
  std::string Fingerprint() override { return std::to_string(disk_.operation_count()); }
  sim::SimFileSystem& disk() { return disk_; }
  SimRocksEnv& env() { return env_; }

 private:
  sim::SimFileSystem disk_;
  SimRocksEnv env_{&disk_};
};

}  // namespace catamaran::raft
