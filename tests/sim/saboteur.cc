#include "tests/sim/saboteur.h"

#include <utility>

namespace catamaran::sim {
namespace {

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

class LyingFile final : public File {
 public:
  LyingFile(std::shared_ptr<File> file, std::string path, Sabotage sabotage)
      : file_(std::move(file)), path_(std::move(path)), sabotage_(sabotage) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> parts) override {
    return file_->WriteAt(position, parts);
  }
  absl::StatusOr<size_t> ReadAt(uint64_t position, char* into, size_t length) override {
    return file_->ReadAt(position, into, length);
  }
  absl::Status SyncData() override {
    const bool is_log = EndsWith(path_, ".log");
    const bool is_metadata = path_.starts_with("metadata/");
    if (sabotage_ == Sabotage::kSyncLies && is_log) return absl::OkStatus();
    if (sabotage_ == Sabotage::kMetadataSyncLies && is_metadata) return absl::OkStatus();
    absl::Status status = file_->SyncData();
    if (!status.ok() && sabotage_ == Sabotage::kSyncRetried) return file_->SyncData();
    return status;
  }
  absl::Status Truncate(uint64_t size) override {
    // Recovery cuts a torn tail of a log: take what stands before it, too.
    if (sabotage_ == Sabotage::kTailCutTooFar && EndsWith(path_, ".log") && size > 0) {
      return file_->Truncate(0);
    }
    return file_->Truncate(size);
  }
  absl::Status Allocate(uint64_t size) override { return file_->Allocate(size); }
  absl::StatusOr<uint64_t> Size() override { return file_->Size(); }
  void StartWriteback(uint64_t position, uint64_t length) override {
    file_->StartWriteback(position, length);
  }

 private:
  const std::shared_ptr<File> file_;
  const std::string path_;
  const Sabotage sabotage_;
};

class LyingFileSystem final : public FileSystem {
 public:
  LyingFileSystem(FileSystem* disk, Sabotage sabotage) : disk_(disk), sabotage_(sabotage) {}

  absl::StatusOr<std::shared_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    absl::StatusOr<std::shared_ptr<File>> file = disk_->Open(path, mode);
    if (!file.ok()) return file.status();
    return std::make_shared<LyingFile>(*std::move(file), path, sabotage_);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return disk_->Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return disk_->Remove(path); }
  absl::Status MakeDirectory(const std::string& path) override {
    return disk_->MakeDirectory(path);
  }
  absl::Status RemoveDirectory(const std::string& path) override {
    return disk_->RemoveDirectory(path);
  }
  absl::StatusOr<std::vector<FileInfo>> List(const std::string& directory) override {
    return disk_->List(directory);
  }
  absl::StatusOr<FileInfo> Stat(const std::string& path) override { return disk_->Stat(path); }
  absl::Status SyncDirectory(const std::string& directory) override {
    if (sabotage_ == Sabotage::kDirectorySyncLies) return absl::OkStatus();
    return disk_->SyncDirectory(directory);
  }
  absl::Status SyncAll() override {
    if (sabotage_ == Sabotage::kSyncLies) return absl::OkStatus();
    absl::Status status = disk_->SyncAll();
    if (!status.ok() && sabotage_ == Sabotage::kSyncRetried) return disk_->SyncAll();
    return status;
  }
  absl::StatusOr<FreeSpace> GetFreeSpace() override { return disk_->GetFreeSpace(); }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> Lock(const std::string& path) override {
    return disk_->Lock(path);
  }

 private:
  FileSystem* const disk_;
  const Sabotage sabotage_;
};

class EarlySyncService final : public storage::SyncService {
 public:
  explicit EarlySyncService(std::unique_ptr<storage::SyncService> service)
      : service_(std::move(service)) {}
  void Sync(std::vector<std::shared_ptr<File>> files, Executor* reply_to,
            storage::SyncDone done) override {
    reply_to->Post([done = std::move(done)]() mutable { done(absl::OkStatus()); });
    service_->Sync(std::move(files), reply_to, [](const absl::Status&) {});
  }

 private:
  const std::unique_ptr<storage::SyncService> service_;
};

}  // namespace

SabotagedFiles::SabotagedFiles(FileSystem* disk, Sabotage sabotage)
    : disk_(disk),
      wrapper_(sabotage == Sabotage::kNone ? nullptr
                                           : std::make_unique<LyingFileSystem>(disk, sabotage)) {}
SabotagedFiles::~SabotagedFiles() = default;

std::unique_ptr<storage::SyncService> SabotageSync(std::unique_ptr<storage::SyncService> service,
                                                   Sabotage sabotage) {
  if (sabotage != Sabotage::kEarlySyncAnswer) return service;
  return std::make_unique<EarlySyncService>(std::move(service));
}

CarrierSabotage SabotageCarrier(Sabotage sabotage, bool idempotent) {
  CarrierSabotage carrier;
  carrier.duplicate_appends = sabotage == Sabotage::kAppendsTwice && !idempotent;
  carrier.unknown_as_rejected = sabotage == Sabotage::kUnknownAsRejected;
  carrier.skip_a_record = sabotage == Sabotage::kRecordSkipped;
  return carrier;
}

}  // namespace catamaran::sim
