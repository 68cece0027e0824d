#include "tests/sim/sim_file_system.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "tests/sim/sim_disk.h"

namespace catamaran::sim {
namespace {

std::string LeafName(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

absl::Status NotFound(const std::string& path) {
  return absl::NotFoundError(absl::StrCat("\"", path, "\" doesn't exist"));
}

absl::Status Precondition(const std::string& path, std::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" ", std::string(what)));
}

absl::Status AlreadyExists(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat("\"", path, "\" exists already"));
}

}  // namespace

class SimFileSystem::SimFile : public File {
 public:
  // disk->mu is held by the caller.
  SimFile(std::shared_ptr<SimDisk> disk, NodePtr node, std::string path, uint64_t generation,
          bool writable)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        generation_(generation),
        writable_(writable) {
    ++node_->handles;
  }

  ~SimFile() override {
    MutexLock lock(&disk_->mu);
    if (generation_ != disk_->generation) return;
    --node_->handles;
    disk_->Charge(*node_);
  }

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(Writable());
    return disk_->Write(*node_, path_, position, parts);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(disk_->Usable(generation_));
    if (disk_->ShouldFail(SimDiskOperation::kRead, disk_->faults.read_error, path_)) {
      return InjectedError("a read", path_);
    }
    return node_->data.live().Read(position, into, length);
  }

  absl::Status SyncData() override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(disk_->Usable(generation_));
    return disk_->Sync(*node_, path_);
  }

  absl::Status Truncate(uint64_t size) override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(Writable());
    CATAMARAN_RETURN_IF_ERROR(
        disk_->Begin(SimDiskOperation::kTruncate, disk_->faults.metadata_error, path_));
    if (disk_->CutBefore()) return disk_->End();
    node_->data.Resize(size);
    node_->reserved_bytes = std::min(node_->reserved_bytes, size);
    disk_->Charge(*node_);
    return disk_->End();
  }

  absl::Status Allocate(uint64_t size) override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(Writable());
    CATAMARAN_RETURN_IF_ERROR(
        disk_->Begin(SimDiskOperation::kAllocate, disk_->faults.metadata_error, path_));
    if (disk_->CutBefore()) return disk_->End();
    if (size > disk_->SizeLimit(*node_)) return FullError(path_);
    node_->reserved_bytes = std::max(node_->reserved_bytes, size);
    if (size > node_->data.size()) node_->data.Resize(size);
    disk_->Charge(*node_);
    return disk_->End();
  }

  absl::StatusOr<uint64_t> Size() override {
    MutexLock lock(&disk_->mu);
    CATAMARAN_RETURN_IF_ERROR(disk_->Usable(generation_));
    return node_->data.size();
  }

  // What reaches the platter before a sync is chosen at the crash, so there's nothing to do.
  void StartWriteback(uint64_t, uint64_t) override {}

 private:
  absl::Status Writable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(disk_->mu) {
    if (!writable_) return Precondition(path_, "is open for reading only");
    return disk_->Usable(generation_);
  }

  const std::shared_ptr<SimDisk> disk_;
  const NodePtr node_;
  const std::string path_;
  const uint64_t generation_;
  const bool writable_;
};

class SimFileSystem::SimLock : public DirectoryLock {
 public:
  SimLock(std::shared_ptr<SimDisk> disk, std::string path, uint64_t generation)
      : disk_(std::move(disk)), path_(std::move(path)), generation_(generation) {}
  ~SimLock() override {
    MutexLock lock(&disk_->mu);
    if (generation_ == disk_->generation) disk_->locks.erase(path_);
  }

 private:
  const std::shared_ptr<SimDisk> disk_;
  const std::string path_;
  const uint64_t generation_;
};

SimFileSystem::SimFileSystem(uint64_t seed, uint64_t capacity_bytes)
    : disk_(std::make_shared<SimDisk>(seed, capacity_bytes)) {}
SimFileSystem::~SimFileSystem() = default;

absl::StatusOr<std::shared_ptr<File>> SimFileSystem::Open(const std::string& path, OpenMode mode) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr parent = disk_->FindParent(path);
  if (parent == nullptr) return NotFound(path);
  NodePtr node = disk_->Find(path);
  if (node != nullptr && node->is_directory) return Precondition(path, "is a directory");
  if (node != nullptr && mode == OpenMode::kCreateNew) return AlreadyExists(path);
  if (node == nullptr) {
    if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) return NotFound(path);
    CATAMARAN_RETURN_IF_ERROR(
        disk_->Begin(SimDiskOperation::kCreate, disk_->faults.metadata_error, path));
    if (disk_->CutBefore()) return disk_->End();
    node = std::make_shared<Node>();
    disk_->Apply({Edit{parent, LeafName(path), node}});
    CATAMARAN_RETURN_IF_ERROR(disk_->End());
  }
  return std::make_shared<SimFile>(disk_, node, path, disk_->generation, mode != OpenMode::kRead);
}

absl::Status SimFileSystem::Rename(const std::string& from, const std::string& to) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(from));
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(to));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(from);
  NodePtr from_parent = disk_->FindParent(from);
  NodePtr to_parent = disk_->FindParent(to);
  if (node == nullptr || from_parent == nullptr) return NotFound(from);
  if (to_parent == nullptr) return NotFound(to);
  NodePtr replaced = disk_->Find(to);
  if (replaced == node) return absl::OkStatus();
  if ((to + "/").starts_with(from + "/")) return Precondition(to, "is inside what is renamed");
  if (replaced != nullptr && replaced->is_directory != node->is_directory) {
    return Precondition(to, "exists and is of another kind");
  }
  if (replaced != nullptr && !replaced->names.empty()) return Precondition(to, "isn't empty");
  CATAMARAN_RETURN_IF_ERROR(
      disk_->Begin(SimDiskOperation::kRename, disk_->faults.metadata_error, from));
  if (disk_->CutBefore()) return disk_->End();
  disk_->Apply({Edit{from_parent, LeafName(from), nullptr}, Edit{to_parent, LeafName(to), node}});
  return disk_->End();
}

absl::Status SimFileSystem::Remove(const std::string& path) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(path);
  if (node == nullptr) return NotFound(path);
  if (node->is_directory) return Precondition(path, "is a directory");
  CATAMARAN_RETURN_IF_ERROR(
      disk_->Begin(SimDiskOperation::kRemove, disk_->faults.metadata_error, path));
  if (disk_->CutBefore()) return disk_->End();
  disk_->Apply({Edit{disk_->FindParent(path), LeafName(path), nullptr}});
  return disk_->End();
}

absl::Status SimFileSystem::MakeDirectory(const std::string& path) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr parent = disk_->FindParent(path);
  if (parent == nullptr) return NotFound(path);
  if (NodePtr there = disk_->Find(path); there != nullptr) {
    return there->is_directory ? absl::OkStatus() : Precondition(path, "is a file");
  }
  CATAMARAN_RETURN_IF_ERROR(
      disk_->Begin(SimDiskOperation::kMakeDirectory, disk_->faults.metadata_error, path));
  if (disk_->CutBefore()) return disk_->End();
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  disk_->Apply({Edit{parent, LeafName(path), node}});
  return disk_->End();
}

absl::Status SimFileSystem::RemoveDirectory(const std::string& path) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(path);
  if (node == nullptr) return NotFound(path);
  if (!node->is_directory) return Precondition(path, "isn't a directory");
  if (!node->names.empty()) return Precondition(path, "isn't empty");
  CATAMARAN_RETURN_IF_ERROR(
      disk_->Begin(SimDiskOperation::kRemoveDirectory, disk_->faults.metadata_error, path));
  if (disk_->CutBefore()) return disk_->End();
  disk_->Apply({Edit{disk_->FindParent(path), LeafName(path), nullptr}});
  return disk_->End();
}

absl::StatusOr<std::vector<FileInfo>> SimFileSystem::List(const std::string& directory) {
  if (!directory.empty()) CATAMARAN_RETURN_IF_ERROR(ValidatePath(directory));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(directory);
  if (node == nullptr) return NotFound(directory);
  if (!node->is_directory) return Precondition(directory, "isn't a directory");
  std::vector<FileInfo> infos;
  for (const auto& [name, child] : node->names) {
    infos.push_back({name, child->is_directory, child->data.size()});
  }
  return infos;
}

absl::StatusOr<FileInfo> SimFileSystem::Stat(const std::string& path) {
  CATAMARAN_RETURN_IF_ERROR(ValidatePath(path));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(path);
  if (node == nullptr) return NotFound(path);
  return FileInfo{LeafName(path), node->is_directory, node->data.size()};
}

absl::Status SimFileSystem::SyncDirectory(const std::string& directory) {
  if (!directory.empty()) CATAMARAN_RETURN_IF_ERROR(ValidatePath(directory));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  NodePtr node = disk_->Find(directory);
  if (node == nullptr) return NotFound(directory);
  if (!node->is_directory) return Precondition(directory, "isn't a directory");
  CATAMARAN_RETURN_IF_ERROR(
      disk_->Begin(SimDiskOperation::kSyncDirectory, disk_->faults.metadata_error, directory));
  if (disk_->CutBefore()) return disk_->End();
  disk_->MakeNamesDurable(node);
  return disk_->End();
}

absl::Status SimFileSystem::SyncAll() {
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  return disk_->SyncEverything();
}

absl::StatusOr<FreeSpace> SimFileSystem::GetFreeSpace() {
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  uint64_t free = disk_->capacity > disk_->used ? disk_->capacity - disk_->used : 0;
  return FreeSpace{free, disk_->capacity};
}

absl::StatusOr<std::unique_ptr<DirectoryLock>> SimFileSystem::Lock(const std::string& path) {
  // Creates the file when it's missing, as the real one does.
  CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, Open(path, OpenMode::kCreate));
  MutexLock lock(&disk_->mu);
  CATAMARAN_RETURN_IF_ERROR(disk_->Usable(disk_->generation));
  if (!disk_->locks.insert(path).second) return DirectoryInUseError(path);
  return std::make_unique<SimLock>(disk_, path, disk_->generation);
}

void SimFileSystem::SetFaults(const SimDiskFaults& faults) {
  MutexLock lock(&disk_->mu);
  disk_->faults = faults;
}

void SimFileSystem::FailNext(SimDiskOperation operation, int count, std::string path_prefix) {
  MutexLock lock(&disk_->mu);
  std::erase_if(disk_->armed, [](const SimDisk::Armed& armed) { return armed.count == 0; });
  disk_->armed.push_back({operation, count, std::move(path_prefix)});
}

void SimFileSystem::SetCapacity(uint64_t bytes) {
  MutexLock lock(&disk_->mu);
  disk_->capacity = bytes;
}

uint64_t SimFileSystem::used_bytes() const {
  MutexLock lock(&disk_->mu);
  return disk_->used;
}

bool SimFileSystem::FlipBit(const std::string& path, uint64_t position, int bit) {
  MutexLock lock(&disk_->mu);
  NodePtr node = disk_->Find(path);
  CATAMARAN_CHECK(node != nullptr && !node->is_directory, path);
  char byte = 0;
  if (node->data.live().Read(position, &byte, 1) != 1) return false;
  byte = static_cast<char>(byte ^ (1 << bit));
  node->data.Damage(position, std::string_view(&byte, 1));
  return true;
}

std::optional<uint64_t> SimFileSystem::FlipRandomBit(const std::string& path) {
  uint64_t position = 0;
  int bit = 0;
  {
    MutexLock lock(&disk_->mu);
    NodePtr node = disk_->Find(path);
    if (node == nullptr || node->data.size() == 0) return std::nullopt;
    position = disk_->random.Below(node->data.size());
    bit = static_cast<int>(disk_->random.Below(8));
  }
  FlipBit(path, position, bit);
  return position;
}

bool SimFileSystem::Damage(const std::string& path, uint64_t position, std::string_view bytes) {
  MutexLock lock(&disk_->mu);
  NodePtr node = disk_->Find(path);
  CATAMARAN_CHECK(node != nullptr && !node->is_directory, path);
  if (position + bytes.size() > node->data.size()) return false;
  node->data.Damage(position, bytes);
  return true;
}

void SimFileSystem::SetCrashAfter(uint64_t operations) {
  MutexLock lock(&disk_->mu);
  disk_->crash_after = operations;
}

uint64_t SimFileSystem::operation_count() const {
  MutexLock lock(&disk_->mu);
  return disk_->operation_count;
}

void SimFileSystem::Crash() {
  MutexLock lock(&disk_->mu);
  disk_->crashed = true;
}

bool SimFileSystem::crashed() const {
  MutexLock lock(&disk_->mu);
  return disk_->crashed;
}

void SimFileSystem::Restart(SimCrash kind) {
  MutexLock lock(&disk_->mu);
  disk_->Restart(kind);
}

uint64_t SimFileSystem::StateHash() const {
  MutexLock lock(&disk_->mu);
  return disk_->StateHash();
}

}  // namespace catamaran::sim
