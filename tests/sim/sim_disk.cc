#include "tests/sim/sim_disk.h"

#include "absl/strings/str_cat.h"

namespace catamaran::sim {
namespace {

enum class NameRecovery : uint8_t { kNone, kAll, kPrefix, kEachByChance };
inline constexpr uint64_t kNameRecoveries = 4;

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  for (char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;  // FNV-1a
  return (hash ^ bytes.size()) * 0x100000001b3;
}

uint64_t MixImage(uint64_t hash, const SectorImage& image) {
  for (uint64_t i = 0; i < image.sector_count(); ++i) {
    const SectorImage::Sector* sector = image.sector(i);
    if (sector != nullptr) hash = Mix(hash + i, std::string_view(sector->data(), sector->size()));
  }
  return Mix(hash, std::to_string(image.size()));
}

}  // namespace

absl::Status CrashedError() {
  return MakeError(Reason::kStorageFailed,
                   "The simulated machine is down; restart it before using its disk.");
}

absl::Status InjectedError(std::string_view what, const std::string& path) {
  return MakeError(Reason::kStorageFailed,
                   absl::StrCat("Simulated input/output error in ", std::string(what), " of \"",
                                path, "\"; reopen the log, which recovers what is durable."),
                   {{"path", path}});
}

absl::Status FullError(const std::string& path) {
  return MakeError(Reason::kStorageFull,
                   absl::StrCat("The simulated disk is full at \"", path, "\"; free some space."),
                   {{"path", path}});
}

absl::Status SimDisk::Write(Node& node, const std::string& path, uint64_t position,
                            std::span<const std::string_view> parts) {
  Count();
  uint64_t total = 0;
  for (std::string_view part : parts) total += part.size();
  uint64_t allowed = total;
  absl::Status answer = absl::OkStatus();
  if (crashed) {
    allowed = random.Below(total + 1);
    answer = CrashedError();
  } else if (ShouldFail(SimDiskOperation::kWrite, faults.write_error, path)) {
    allowed = random.Below(total + 1);
    answer = InjectedError("a write", path);
  } else if (uint64_t limit = SizeLimit(node); position + total > limit) {
    allowed = limit > position ? limit - position : 0;
    answer = FullError(path);
  }
  for (std::string_view part : parts) {
    std::string_view kept = part.substr(0, std::min<uint64_t>(part.size(), allowed));
    node.data.Write(position, kept);
    position += kept.size();
    allowed -= kept.size();
  }
  Charge(node);
  return answer;
}

absl::Status SimDisk::Sync(Node& node, const std::string& path) {
  Count();
  // A sync that the crash cuts leaves its bytes dirty: Restart() chooses what got through.
  if (crashed) return CrashedError();
  if (ShouldFail(SimDiskOperation::kSync, faults.sync_error, path)) {
    node.data.FailSync(random);
    return InjectedError("a sync", path);
  }
  node.data.Sync();
  return absl::OkStatus();
}

void SimDisk::ForEachNode(const NodePtr& node, const std::function<void(const NodePtr&)>& visit) {
  visit(node);
  for (const auto& [name, child] : node->names) ForEachNode(child, visit);
}

absl::Status SimDisk::SyncEverything() {
  Count();
  if (crashed) return CrashedError();
  bool fails = ShouldFail(SimDiskOperation::kSyncAll, faults.sync_error, "");
  ForEachNode(root, [&](const NodePtr& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (node->is_directory) {
      if (!fails) MakeNamesDurable(node);
    } else if (fails) {
      node->data.FailSync(random);
    } else {
      node->data.Sync();
    }
  });
  return fails ? InjectedError("a sync of everything", "") : absl::OkStatus();
}

void SimDisk::RecoverNames() {
  auto plan = static_cast<NameRecovery>(random.Below(kNameRecoveries));
  uint64_t prefix = random.Below(pending.size() + 1);
  for (size_t i = 0; i < pending.size(); ++i) {
    bool applies = plan == NameRecovery::kAll || (plan == NameRecovery::kPrefix && i < prefix) ||
                   (plan == NameRecovery::kEachByChance && random.OneIn(2));
    if (!applies) continue;
    for (const Edit& edit : pending[i]) {
      if (edit.node == nullptr) {
        edit.directory->durable_names.erase(edit.name);
      } else {
        edit.directory->durable_names[edit.name] = edit.node;
      }
    }
  }
  pending.clear();
}

void SimDisk::Restart(SimCrash kind) {
  ++generation;
  crashed = false;
  crash_after = 0;
  locks.clear();
  if (kind == SimCrash::kPowerLoss) {
    RecoverNames();
    // Directories first become what the platter holds, top down, so that the walk sees only that.
    ForEachNode(root, [&](const NodePtr& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (node->is_directory) {
        node->names = node->durable_names;
      } else {
        node->data.LosePower(random);
        node->reserved_bytes = 0;
      }
    });
  }
  used = 0;
  ForEachNode(root, [&](const NodePtr& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    node->named = true;
    node->handles = 0;
    node->charged_bytes = 0;
  });
  ForEachNode(root, [&](const NodePtr& node) ABSL_NO_THREAD_SAFETY_ANALYSIS { Charge(*node); });
}

uint64_t SimDisk::StateHash() {
  uint64_t hash = 0xcbf29ce484222325;
  ForEachNode(root, [&](const NodePtr& node) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const auto& [name, child] : node->names) hash = Mix(hash, name);
    for (const auto& [name, child] : node->durable_names) hash = Mix(hash, name);
    hash = MixImage(MixImage(hash, node->data.live()), node->data.durable());
  });
  return hash;
}

}  // namespace catamaran::sim
