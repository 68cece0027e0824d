#include "tests/raft/store/sim_rocks_env.h"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "rocksdb/system_clock.h"

namespace catamaran::raft {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// "./a//b/" -> "a/b"; "." -> "".
std::string Plain(const std::string& path) {
  std::string plain;
  size_t at = 0;
  while (at < path.size()) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, slash - at);
    if (!name.empty() && name != ".") plain += (plain.empty() ? "" : "/") + name;
    at = slash + 1;
  }
  return plain;
}

IOStatus ToIo(const absl::Status& status) {
  if (status.ok()) return IOStatus::OK();
  const std::string text(status.message().data(), status.message().size());
  if (absl::IsNotFound(status)) return IOStatus::PathNotFound(text);
  if (ReasonOf(status) == Reason::kStorageFull) return IOStatus::NoSpace(text);
  return IOStatus::IOError(text);
}

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::shared_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(size_t length, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) override {
    const absl::StatusOr<size_t> read = file_->ReadAt(position_, scratch, length);
    if (!read.ok()) return ToIo(read.status());
    *result = Slice(scratch, *read);
    position_ += *read;
    return IOStatus::OK();
  }
  IOStatus Skip(uint64_t length) override {
    position_ += length;
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<File> file_;
  uint64_t position_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::shared_ptr<File> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t position, size_t length, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    const absl::StatusOr<size_t> read = file_->ReadAt(position, scratch, length);
    if (!read.ok()) return ToIo(read.status());
    *result = Slice(scratch, *read);
    return IOStatus::OK();
  }

 private:
  const std::shared_ptr<File> file_;
};

class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::shared_ptr<File> file, uint64_t size, uint64_t* failed_syncs)
      : file_(std::move(file)), size_(size), failed_syncs_(failed_syncs) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& bytes, const IOOptions&, IODebugContext*) override {
    const absl::Status written =
        file_->WriteAt(size_, std::string_view(bytes.data(), bytes.size()));
    if (written.ok()) size_ += bytes.size();
    return ToIo(written);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    const absl::Status cut = file_->Truncate(size);
    if (cut.ok()) size_ = size;
    return ToIo(cut);
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    const absl::Status synced = file_->SyncData();
    *failed_syncs_ += synced.ok() ? 0 : 1;
    return ToIo(synced);
  }
  bool IsSyncThreadSafe() const override { return true; }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  const std::shared_ptr<File> file_;
  uint64_t size_;
  uint64_t* const failed_syncs_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(catamaran::FileSystem* files, std::string path)
      : files_(files), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ToIo(files_->SyncDirectory(path_));
  }

 private:
  catamaran::FileSystem* const files_;
  const std::string path_;
};

class HeldLock final : public rocksdb::FileLock {
 public:
  explicit HeldLock(std::unique_ptr<DirectoryLock> lock) : lock_(std::move(lock)) {}

 private:
  const std::unique_ptr<DirectoryLock> lock_;
};

class RocksFiles final : public rocksdb::FileSystem {
 public:
  RocksFiles(catamaran::FileSystem* files, const uint64_t* pretended_free, uint64_t* failed_syncs)
      : files_(files), pretended_free_(pretended_free), failed_syncs_(failed_syncs) {}
  const char* Name() const override { return "RocksFiles"; }

  IOStatus NewSequentialFile(const std::string& name, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext*) override {
    auto file = files_->Open(Plain(name), OpenMode::kRead);
    if (file.ok()) *result = std::make_unique<SequentialFile>(*std::move(file));
    return ToIo(file.status());
  }
  IOStatus NewRandomAccessFile(const std::string& name, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = files_->Open(Plain(name), OpenMode::kRead);
    if (file.ok()) *result = std::make_unique<RandomAccessFile>(*std::move(file));
    return ToIo(file.status());
  }
  IOStatus NewWritableFile(const std::string& name, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext*) override {
    return OpenForWriting(name, /*keep=*/false, result);
  }
  IOStatus ReopenWritableFile(const std::string& name, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result,
                              IODebugContext*) override {
    return OpenForWriting(name, /*keep=*/true, result);
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    *result = std::make_unique<Directory>(files_, Plain(name));
    return IOStatus::OK();
  }
  IOStatus FileExists(const std::string& name, const IOOptions&, IODebugContext*) override {
    const absl::Status found = files_->Stat(Plain(name)).status();
    return absl::IsNotFound(found) ? IOStatus::NotFound() : ToIo(found);
  }
  IOStatus GetChildren(const std::string& directory, const IOOptions&,
                       std::vector<std::string>* result, IODebugContext*) override {
    result->clear();
    auto files = files_->List(Plain(directory));
    if (!files.ok()) return ToIo(files.status());
    for (const FileInfo& file : *files) result->push_back(file.name);
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions&, IODebugContext*) override {
    return ToIo(files_->Remove(Plain(name)));
  }
  IOStatus CreateDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return ToIo(files_->MakeDirectory(Plain(name)));
  }
  IOStatus CreateDirIfMissing(const std::string& name, const IOOptions&, IODebugContext*) override {
    return ToIo(files_->MakeDirectory(Plain(name)));
  }
  IOStatus DeleteDir(const std::string& name, const IOOptions&, IODebugContext*) override {
    return ToIo(files_->RemoveDirectory(Plain(name)));
  }
  IOStatus GetFileSize(const std::string& name, const IOOptions&, uint64_t* size,
                       IODebugContext*) override {
    auto found = files_->Stat(Plain(name));
    if (found.ok()) *size = found->size;
    return ToIo(found.status());
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return ToIo(files_->Rename(Plain(from), Plain(to)));
  }
  IOStatus LockFile(const std::string& name, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    auto held = files_->Lock(Plain(name));
    if (held.ok()) {
      *lock = new HeldLock(*std::move(held));
      return IOStatus::OK();
    }
    if (ReasonOf(held.status()) == Reason::kDirectoryInUse) {
      return IOStatus::IOError("While lock file: " + name, "held already");
    }
    return ToIo(held.status());
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "test";
    return IOStatus::OK();
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                           IODebugContext*) override {
    *result = path;
    return IOStatus::OK();
  }
  IOStatus GetFreeSpace(const std::string&, const IOOptions&, uint64_t* bytes,
                        IODebugContext*) override {
    auto space = files_->GetFreeSpace();
    if (space.ok()) *bytes = *pretended_free_ > 0 ? *pretended_free_ : space->free_bytes;
    return ToIo(space.status());
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                       IODebugContext*) override {
    auto found = files_->Stat(Plain(path));
    if (found.ok()) *is_directory = found->is_directory;
    return ToIo(found.status());
  }

 private:
  IOStatus OpenForWriting(const std::string& name, bool keep,
                          std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = files_->Open(Plain(name), OpenMode::kCreate);
    if (!file.ok()) return ToIo(file.status());
    auto size = (*file)->Size();
    if (!size.ok()) return ToIo(size.status());
    if (!keep && *size > 0) {
      const absl::Status cut = (*file)->Truncate(0);
      if (!cut.ok()) return ToIo(cut);
      *size = 0;
    }
    *result = std::make_unique<WritableFile>(*std::move(file), *size, failed_syncs_);
    return IOStatus::OK();
  }

  catamaran::FileSystem* const files_;
  const uint64_t* const pretended_free_;
  uint64_t* const failed_syncs_;
};

// RocksDB waits a second after each failure in the background.
class ImpatientClock final : public rocksdb::SystemClockWrapper {
 public:
  ImpatientClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "ImpatientClock"; }
  void SleepForMicroseconds(int) override {}
};

}  // namespace

SimRocksEnv::SimRocksEnv(catamaran::FileSystem* files) : EnvWrapper(rocksdb::Env::Default()) {
  file_system_ = std::make_shared<RocksFiles>(files, &pretended_free_, &failed_syncs_);
  system_clock_ = std::make_shared<ImpatientClock>();
}

void SimRocksEnv::Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                           void (*unschedule)(void*)) {
  MutexLock lock(&mu_);
  jobs_.push_back({function, argument, priority, tag, unschedule});
}

int SimRocksEnv::UnSchedule(void* tag, Priority priority) {
  std::deque<Job> removed;
  {
    MutexLock lock(&mu_);
    for (auto job = jobs_.begin(); job != jobs_.end();) {
      if (job->tag != tag || job->priority != priority) {
        ++job;
        continue;
      }
      removed.push_back(*job);
      job = jobs_.erase(job);
    }
  }
  for (const Job& job : removed) {
    if (job.unschedule != nullptr) job.unschedule(job.argument);
  }
  return static_cast<int>(removed.size());
}

unsigned int SimRocksEnv::GetThreadPoolQueueLen(Priority priority) const {
  MutexLock lock(&mu_);
  return static_cast<unsigned int>(std::count_if(
      jobs_.begin(), jobs_.end(), [&](const Job& job) { return job.priority == priority; }));
}

void SimRocksEnv::Drain() {
  while (true) {
    Job job{};
    {
      MutexLock lock(&mu_);
      if (jobs_.empty()) return;
      job = jobs_.front();
      jobs_.pop_front();
    }
    job.function(job.argument);
    ++jobs_run_;
  }
}

}  // namespace catamaran::raft
