#include "tests/raft/store/sim_store.h"

#include <utility>

#include "base/crc32c.h"
#include "base/error.h"

namespace catamaran::raft {
namespace {

absl::Status DownError() {
  return MakeError(Reason::kStorageFailed,
                   "The simulated machine is down; restart it before using its store.");
}

}  // namespace

// A handle of one generation: dead after the machine's restart.
class SimKv final : public Kv {
 public:
  explicit SimKv(SimStoreDisk* disk) : disk_(disk), generation_(disk->generation_) {
    ++disk_->open_;
  }
  ~SimKv() override {
    if (generation_ == disk_->generation_) --disk_->open_;
  }

  absl::Status Write(const KvBatch& batch) override {
    return alive() ? disk_->Write(batch) : DownError();
  }

  absl::StatusOr<std::optional<std::string>> Get(StoreFamily family,
                                                 std::string_view key) override {
    if (!alive()) return DownError();
    const auto found = Of(family).find(key);
    if (found == Of(family).end()) return std::nullopt;
    return found->second;
  }

  absl::Status Scan(StoreFamily family, std::string_view from, const Visit& visit) override {
    if (!alive()) return DownError();
    for (auto at = Of(family).lower_bound(from); at != Of(family).end(); ++at) {
      CATAMARAN_ASSIGN_OR_RETURN(const bool more, visit(at->first, at->second));
      if (!more) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> FindLast(
      StoreFamily family, std::string_view at_most) override {
    if (!alive()) return DownError();
    const auto after = Of(family).upper_bound(at_most);
    if (after == Of(family).begin()) return std::nullopt;
    return std::pair<std::string, std::string>(*std::prev(after));
  }

 private:
  bool alive() const { return generation_ == disk_->generation_ && !disk_->crashed_; }
  const SimStoreDisk::Family& Of(StoreFamily family) const {
    return disk_->families_[static_cast<size_t>(family)];
  }

  SimStoreDisk* const disk_;
  const uint64_t generation_;
};

SimStoreDisk::SimStoreDisk(uint64_t seed) : random_(seed) {}

absl::StatusOr<std::unique_ptr<LogStore>> SimStoreDisk::Open(const StoreIdentity& identity,
                                                             bool create_if_missing) {
  if (crashed_) return DownError();
  if (open_ > 0) return MakeError(Reason::kDirectoryInUse, "The store is open already.");
  SettleUnknown();
  auto kv = std::make_unique<SimKv>(this);
  CATAMARAN_ASSIGN_OR_RETURN(FoundStore found, InspectStore(*kv, identity));
  if (found.empty && !create_if_missing) {
    return CorruptStoreError("there's none, where one must have been");
  }
  return StartStore(std::move(kv), std::move(found), identity);
}

absl::Status SimStoreDisk::Write(const KvBatch& batch) {
  ++write_count_;
  if (full_) return MakeError(Reason::kStorageFull, "The simulated disk is full; free some space.");
  const bool cut = crash_after_ > 0 && --crash_after_ == 0;
  const bool fails = failing_ > 0 || random_.Chance(write_error_);
  if (!cut && !fails) {
    Apply(batch);
    return absl::OkStatus();
  }
  if (failing_ > 0) --failing_;
  if (random_.OneIn(2)) unknown_ = batch;
  crashed_ = crashed_ || cut;
  return cut ? DownError()
             : MakeError(Reason::kStorageFailed,
                         "Simulated failure of a sync; restart to see what is on disk.");
}

void SimStoreDisk::Apply(const KvBatch& batch) {
  for (const KvStep& step : batch.steps()) {
    Family& family = families_[static_cast<size_t>(step.family)];
    switch (step.kind) {
      case KvStep::Kind::kPut:
        family[step.key] = step.value;
        break;
      case KvStep::Kind::kDelete:
        family.erase(step.key);
        break;
      case KvStep::Kind::kDeleteRange:
        family.erase(family.lower_bound(step.key), family.lower_bound(step.value));
        break;
    }
  }
}

void SimStoreDisk::SettleUnknown() {
  if (unknown_.has_value()) Apply(*unknown_);
  unknown_.reset();
}

void SimStoreDisk::Restart() {
  ++generation_;
  open_ = 0;
  crashed_ = false;
  crash_after_ = 0;
  SettleUnknown();
}

bool SimStoreDisk::FlipRandomBit() {
  size_t keys = 0;
  for (const Family& family : families_) keys += family.size();
  if (keys == 0) return false;
  uint64_t chosen = random_.Below(keys);
  for (Family& family : families_) {
    for (auto& [key, value] : family) {
      if (chosen-- > 0) continue;
      const uint64_t at = random_.Below(value.size());
      value[at] = static_cast<char>(value[at] ^ (1 << random_.Below(8)));
      return true;
    }
  }
  return false;
}

absl::StatusOr<FoundStore> SimStoreDisk::Inspect(const StoreIdentity& identity) {
  const bool crashed = std::exchange(crashed_, false);
  SimKv kv(this);
  absl::StatusOr<FoundStore> found = InspectStore(kv, identity);
  crashed_ = crashed;
  return found;
}

uint64_t SimStoreDisk::StateHash() const {
  uint64_t hash = 0;
  for (const Family& family : families_) {
    for (const auto& [key, value] : family) {
      hash = hash * 0x100000001b3 + ExtendCrc32c(Crc32c(key), value);
    }
    hash = hash * 0x100000001b3 + family.size();
  }
  return hash;
}

}  // namespace catamaran::raft
