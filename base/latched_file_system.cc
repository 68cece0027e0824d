#include "base/latched_file_system.h"

#include <utility>

#include "base/error.h"
#include "base/mutex.h"

namespace catamaran {
namespace {

// Shared by the file system and its files.
class Latch {
 public:
  // Runs `sync` unless one failed before.
  template <class Sync>
  absl::Status Try(const Sync& sync) {
    {
      MutexLock lock(&mu_);
      if (!failure_.ok()) return failure_;
    }
    absl::Status status = sync();
    // A name that isn't there says nothing of the device.
    if (!status.ok() && ReasonOf(status) != Reason::kStorageFailed) return status;
    MutexLock lock(&mu_);
    // One that succeeded while another failed is worth nothing either.
    if (failure_.ok()) failure_ = status;
    return failure_;
  }

 private:
  Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

class LatchedFile final : public File {
 public:
  LatchedFile(std::shared_ptr<File> file, std::shared_ptr<Latch> latch)
      : file_(std::move(file)), latch_(std::move(latch)) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) override {
    return file_->WriteAt(position, parts);
  }
  absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) override {
    return file_->ReadAt(position, into, length);
  }
  absl::Status SyncData() override {
    return latch_->Try([this] { return file_->SyncData(); });
  }
  absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
  absl::Status Allocate(uint64_t size) override { return file_->Allocate(size); }
  absl::StatusOr<uint64_t> Size() override { return file_->Size(); }
  void StartWriteback(uint64_t position, uint64_t length) override {
    file_->StartWriteback(position, length);
  }

 private:
  const std::shared_ptr<File> file_;
  const std::shared_ptr<Latch> latch_;
};

class LatchedFileSystem final : public FileSystem {
 public:
  explicit LatchedFileSystem(FileSystem* files)
      : files_(files), latch_(std::make_shared<Latch>()) {}

  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    CATAMARAN_ASSIGN_OR_RETURN(std::shared_ptr<File> file, files_->Open(path, mode));
    return std::make_shared<LatchedFile>(std::move(file), latch_);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return files_->Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return files_->Remove(path); }
  absl::Status MakeDirectory(const std::string& path) override {
    return files_->MakeDirectory(path);
  }
  absl::Status RemoveDirectory(const std::string& path) override {
    return files_->RemoveDirectory(path);
  }
  absl::StatusOr<std::vector<FileInfo>> List(const std::string& directory) override {
    return files_->List(directory);
  }
  absl::StatusOr<FileInfo> Stat(const std::string& path) override { return files_->Stat(path); }
  absl::Status SyncDirectory(const std::string& directory) override {
    return latch_->Try([&] { return files_->SyncDirectory(directory); });
  }
  absl::Status SyncAll() override {
    return latch_->Try([&] { return files_->SyncAll(); });
  }
  absl::StatusOr<FreeSpace> GetFreeSpace() override { return files_->GetFreeSpace(); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override {
    return files_->Lock(path);
  }

 private:
  FileSystem* const files_;
  const std::shared_ptr<Latch> latch_;
};

}  // namespace

std::unique_ptr<FileSystem> LatchSyncFailures(FileSystem* files) {
  return std::make_unique<LatchedFileSystem>(files);
}

}  // namespace catamaran
