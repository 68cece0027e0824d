// What the store needs of a database: ordered keys in a few families, and batches that are atomic
// and synced. Real: RocksDB (rocks_log_store.cc). Simulated: a map with seeded faults
// (tests/raft/store/sim_kv.h). Everything that Raft means by the keys is above it, in
// kv_log_store.h, so that simulations run that code and not a copy of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/store/records.h"

namespace catamaran::raft {

// Applied in order: later steps see earlier ones.
struct KvStep {
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange };
  Kind kind = Kind::kPut;
  StoreFamily family = StoreFamily::kMeta;
  std::string key;
  std::string value;  // kPut: the value; kDeleteRange: the end, exclusive
};

class KvBatch {
 public:
  void Put(StoreFamily family, std::string key, std::string value) {
    Add({KvStep::Kind::kPut, family, std::move(key), std::move(value)});
  }
  void Delete(StoreFamily family, std::string key) {
    Add({KvStep::Kind::kDelete, family, std::move(key), {}});
  }
  void DeleteRange(StoreFamily family, std::string from, std::string end) {
    if (from < end) Add({KvStep::Kind::kDeleteRange, family, std::move(from), std::move(end)});
  }
  const std::vector<KvStep>& steps() const { return steps_; }
  size_t bytes() const { return bytes_; }  // of keys and values
  bool empty() const { return steps_.empty(); }

 private:
  void Add(KvStep step) {
    bytes_ += step.key.size() + step.value.size();
    steps_.push_back(std::move(step));
  }
  std::vector<KvStep> steps_;
  size_t bytes_ = 0;
};

// One call at a time; calls block.
class Kv {
 public:
  virtual ~Kv() = default;

  // Atomic; durable when it returns OK. kStorageFull: nothing changed, and a later Write may
  // succeed. Any other error: unknown, and the caller writes no more.
  virtual absl::Status Write(const KvBatch& batch) = 0;

  virtual absl::StatusOr<std::optional<std::string>> Get(StoreFamily family,
                                                         std::string_view key) = 0;
  // In order from `from`, until `visit` answers false or an error, which is then the answer.
  using Visit = std::function<absl::StatusOr<bool>(std::string_view key, std::string_view value)>;
  virtual absl::Status Scan(StoreFamily family, std::string_view from, const Visit& visit) = 0;
  // The greatest key that is at most `at`, with its value.
  virtual absl::StatusOr<std::optional<std::pair<std::string, std::string>>> FindLast(
      StoreFamily family, std::string_view at) = 0;
};

}  // namespace catamaran::raft
