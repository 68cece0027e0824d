// The state behind SimFileSystem: a tree of names with what readers see and what the platter holds,
// the name changes that aren't durable yet, and the faults. Used by sim_file_system.cc only.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/random.h"
#include "tests/sim/sim_file_data.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::sim {

struct Node;
using NodePtr = std::shared_ptr<Node>;
using Names = std::map<std::string, NodePtr>;

struct Node {
  bool is_directory = false;
  SimFileData data;     // files
  Names names;          // directories: as readers see it
  Names durable_names;  // directories: on the platter
  bool named = false;   // some live directory holds it
  int handles = 0;
  uint64_t reserved_bytes = 0;  // by Allocate
  uint64_t charged_bytes = 0;   // Invariant: its part of Disk::used
};

// One name operation that isn't durable yet. A rename has two edits, which a crash never parts; but
// syncing only one of two directories makes only that one's edit durable, as POSIX allows.
struct Edit {
  NodePtr directory;
  std::string name;
  NodePtr node;  // null: the name is gone
};
using Change = std::vector<Edit>;

absl::Status CrashedError();
absl::Status InjectedError(std::string_view what, const std::string& path);
absl::Status FullError(const std::string& path);

// All state, behind one mutex, shared by the facade and the handles.
struct SimDisk {
  SimDisk(uint64_t seed, uint64_t capacity_bytes) : random(seed), capacity(capacity_bytes) {
    root->is_directory = true;
    root->named = true;
  }

  Mutex mu;

  // --- Beginning and ending an operation ---------------------------------------------------------
  absl::Status Usable(uint64_t handle_generation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return crashed || handle_generation != generation ? CrashedError() : absl::OkStatus();
  }

  // Counts a mutating operation. After OK, `crashed` says that this operation is the one to cut:
  // it takes effect in part and then answers End().
  absl::Status Begin(SimDiskOperation operation, double probability, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    Count();
    if (!crashed && ShouldFail(operation, probability, path)) {
      return InjectedError("a metadata operation", path);
    }
    return absl::OkStatus();
  }
  void Count() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    ++operation_count;
    if (crash_after > 0 && --crash_after == 0) crashed = true;
  }
  absl::Status End() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return crashed ? CrashedError() : absl::OkStatus();
  }
  // Whether a name operation that is being cut has no effect at all.
  bool CutBefore() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return crashed && random.OneIn(2); }

  bool ShouldFail(SimDiskOperation operation, double probability, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    for (Armed& fault : armed) {
      if (fault.count > 0 && fault.operation == operation && path.starts_with(fault.prefix)) {
        --fault.count;
        return true;
      }
    }
    return probability > 0 && random.Chance(probability);
  }

  // --- Names -------------------------------------------------------------------------------------
  NodePtr Find(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    NodePtr node = root;
    for (size_t at = 0; at < path.size() && node != nullptr;) {
      size_t slash = std::min(path.find('/', at), path.size());
      auto it = node->names.find(path.substr(at, slash - at));
      node = it == node->names.end() ? nullptr : it->second;
      at = slash + 1;
    }
    return node;
  }

  // The directory in which the path's last name stands or would stand; null when there is none.
  NodePtr FindParent(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    NodePtr parent = Find(ParentDirectory(path));
    return parent != nullptr && parent->is_directory ? parent : nullptr;
  }

  void Apply(Change change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    for (const Edit& edit : change) {
      NodePtr& slot = edit.directory->names[edit.name];
      if (slot != nullptr) {
        slot->named = false;
        Charge(*slot);
      }
      slot = edit.node;
      if (edit.node == nullptr) edit.directory->names.erase(edit.name);
    }
    for (const Edit& edit : change) {
      if (edit.node == nullptr) continue;
      edit.node->named = true;
      Charge(*edit.node);
    }
    pending.push_back(std::move(change));
  }

  void MakeNamesDurable(const NodePtr& directory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    directory->durable_names = directory->names;
    for (Change& change : pending) {
      std::erase_if(change, [&](const Edit& edit) { return edit.directory == directory; });
    }
    std::erase_if(pending, [](const Change& change) { return change.empty(); });
  }

  // --- Space -------------------------------------------------------------------------------------
  uint64_t ChargeFor(const Node& node, uint64_t size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    return (std::max(size, node.reserved_bytes) + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  }
  void Charge(Node& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    bool held = !node.is_directory && (node.named || node.handles > 0);
    uint64_t charge = held ? ChargeFor(node, node.data.size()) : 0;
    used += charge - node.charged_bytes;
    node.charged_bytes = charge;
  }
  // How large the node's file may become.
  uint64_t SizeLimit(const Node& node) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    uint64_t others = used - node.charged_bytes;
    uint64_t room = capacity > others ? (capacity - others) / kSectorBytes * kSectorBytes : 0;
    return std::max(room, node.charged_bytes);
  }

  // --- Files -------------------------------------------------------------------------------------
  absl::Status Write(Node& node, const std::string& path, uint64_t position,
                     std::span<const std::string_view> parts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  absl::Status Sync(Node& node, const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  absl::Status SyncEverything() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void ForEachNode(const NodePtr& node, const std::function<void(const NodePtr&)>& visit)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  // --- Crashes -----------------------------------------------------------------------------------
  void Restart(SimCrash kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void RecoverNames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  uint64_t StateHash() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);

  struct Armed {
    SimDiskOperation operation;
    int count;
    std::string prefix;
  };

  Random random ABSL_GUARDED_BY(mu);
  uint64_t capacity ABSL_GUARDED_BY(mu);
  uint64_t used ABSL_GUARDED_BY(mu) = 0;
  NodePtr root ABSL_GUARDED_BY(mu) = std::make_shared<Node>();
  std::vector<Change> pending ABSL_GUARDED_BY(mu);  // in the order made
  std::set<std::string> locks ABSL_GUARDED_BY(mu);
  SimDiskFaults faults ABSL_GUARDED_BY(mu);
  std::vector<Armed> armed ABSL_GUARDED_BY(mu);
  uint64_t operation_count ABSL_GUARDED_BY(mu) = 0;
  uint64_t crash_after ABSL_GUARDED_BY(mu) = 0;
  bool crashed ABSL_GUARDED_BY(mu) = false;
  uint64_t generation ABSL_GUARDED_BY(mu) = 0;  // rises at each restart; handles die with theirs
};

}  // namespace catamaran::sim
