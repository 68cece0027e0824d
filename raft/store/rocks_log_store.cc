#include "raft/store/rocks_log_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/error.h"
#include "base/mutex.h"
#include "raft/store/kv_log_store.h"
#include "raft/store/store_errors.h"
#include "raft/store/wal_check.h"

namespace catamaran::raft {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// By family: meta, entries, snapshots.
constexpr size_t kMemtableBytes[kStoreFamilies] = {size_t{1} << 20, size_t{4} << 20,
                                                   size_t{8} << 20};
// Flushes the family whose data is oldest, so that rarely written keys don't keep old logs.
constexpr uint64_t kWalBytesMax = uint64_t{16} << 20;
constexpr uint64_t kWalMemtablesMax = 4;  // the same, where tests choose the memtable's size
constexpr int kMemtablesMax = 4;
constexpr size_t kBlockCacheBytes = size_t{4} << 20;
constexpr int kOpenFilesMax = 64;
constexpr int kBackgroundJobs = 2;
constexpr uint64_t kTableBytes = uint64_t{8} << 20;
constexpr uint64_t kManifestBytesMax = uint64_t{1} << 20;
constexpr size_t kWarningBytesMax = 512;

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view FromSlice(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

// --- A file system on which the first failed sync is the last ------------------------------------
// A second sync succeeds without having written what the first one lost (invariants.md S4). It also
// tells a disk that was full at a write from one that was at a sync.
class SyncLatch {
 public:
  IOStatus Run(const std::function<IOStatus()>& sync) {
    {
      MutexLock lock(&mu_);
      if (failed_) return IOStatus::IOError("a sync has failed before", first_);
    }
    IOStatus status = sync();
    if (!status.ok()) {
      MutexLock lock(&mu_);
      if (!failed_) first_ = status.ToString();
      failed_ = true;
    }
    return status;
  }
  bool failed() {
    MutexLock lock(&mu_);
    return failed_;
  }

 private:
  Mutex mu_;
  bool failed_ ABSL_GUARDED_BY(mu_) = false;
  std::string first_ ABSL_GUARDED_BY(mu_);
};

class LatchedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LatchedFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::shared_ptr<SyncLatch> latch)
      : FSWritableFileOwnerWrapper(std::move(file)), latch_(std::move(latch)) {}
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    return latch_->Run([&] { return FSWritableFileOwnerWrapper::Sync(options, dbg); });
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return latch_->Run([&] { return FSWritableFileOwnerWrapper::Fsync(options, dbg); });
  }

 private:
  const std::shared_ptr<SyncLatch> latch_;
};

class LatchedDirectory final : public rocksdb::FSDirectoryWrapper {
 public:
  LatchedDirectory(std::unique_ptr<rocksdb::FSDirectory> directory,
                   std::shared_ptr<SyncLatch> latch)
      : FSDirectoryWrapper(std::move(directory)), latch_(std::move(latch)) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    return latch_->Run([&] { return FSDirectoryWrapper::Fsync(options, dbg); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions& directory) override {
    return latch_->Run(
        [&] { return FSDirectoryWrapper::FsyncWithDirOptions(options, dbg, directory); });
  }

 private:
  const std::shared_ptr<SyncLatch> latch_;
};

class LatchedFiles final : public rocksdb::FileSystemWrapper {
 public:
  LatchedFiles(const std::shared_ptr<rocksdb::FileSystem>& files, std::shared_ptr<SyncLatch> latch)
      : FileSystemWrapper(files), latch_(std::move(latch)) {}
  const char* Name() const override { return "CatamaranLatchedFiles"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           IODebugContext* dbg) override {
    IOStatus status = target()->NewWritableFile(name, options, file, dbg);
    if (status.ok()) *file = std::make_unique<LatchedFile>(std::move(*file), latch_);
    return status;
  }
  IOStatus NewDirectory(const std::string& name, const IOOptions& options,
                        std::unique_ptr<rocksdb::FSDirectory>* directory,
                        IODebugContext* dbg) override {
    IOStatus status = target()->NewDirectory(name, options, directory, dbg);
    if (status.ok()) {
      *directory = std::make_unique<LatchedDirectory>(std::move(*directory), latch_);
    }
    return status;
  }

  // CURRENT names a manifest that was just made. RocksDB syncs the directory after the rename only,
  // and no rule says that the older of two names is durable first.
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* dbg) override {
    const size_t slash = to.rfind('/');
    if (slash != std::string::npos && to.substr(slash) == "/CURRENT") {
      std::unique_ptr<rocksdb::FSDirectory> directory;
      IOStatus status = NewDirectory(to.substr(0, slash), options, &directory, dbg);
      if (status.ok()) status = directory->Fsync(options, dbg);
      if (!status.ok()) return status;
    }
    return target()->RenameFile(from, to, options, dbg);
  }

 private:
  const std::shared_ptr<SyncLatch> latch_;
};

// These files with the threads and the clock of another Env.
class StoreEnv final : public rocksdb::EnvWrapper {
 public:
  StoreEnv(rocksdb::Env* threads, const std::shared_ptr<rocksdb::FileSystem>& files)
      : EnvWrapper(rocksdb::NewCompositeEnv(files)), threads_(threads) {
    file_system_ = files;
    system_clock_ = threads->GetSystemClock();
  }
  const char* Name() const override { return "CatamaranStoreEnv"; }
  void Schedule(void (*function)(void*), void* argument, Priority priority, void* tag,
                void (*unschedule)(void*)) override {
    threads_->Schedule(function, argument, priority, tag, unschedule);
  }
  int UnSchedule(void* tag, Priority priority) override {
    return threads_->UnSchedule(tag, priority);
  }
  unsigned int GetThreadPoolQueueLen(Priority priority) const override {
    return threads_->GetThreadPoolQueueLen(priority);
  }

 private:
  rocksdb::Env* const threads_;
};

// RocksDB's info log would be a file of its own that grows; only its warnings are of use.
class WarningLogger final : public rocksdb::Logger {
 public:
  explicit WarningLogger(std::function<void(std::string_view)> on_warning)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), on_warning_(std::move(on_warning)) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (!on_warning_) return;
    char line[kWarningBytesMax];
    const int length = std::vsnprintf(line, sizeof(line), format, arguments);
    if (length > 0) {
      on_warning_(std::string_view(line, std::min<size_t>(length, sizeof(line) - 1)));
    }
  }
  void LogHeader(const char*, va_list) override {}

 private:
  const std::function<void(std::string_view)> on_warning_;
};

// A full disk is resumed from by RocksKv, when it's asked to write, and not by a thread of RocksDB
// that looks for space and flushes.
class NoResumption final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* automatic) override {
    *automatic = false;
  }
};

struct Machine {
  explicit Machine(const RocksStoreOptions& options)
      : latch(std::make_shared<SyncLatch>()),
        files(std::make_shared<LatchedFiles>(
            (options.env == nullptr ? rocksdb::Env::Default() : options.env)->GetFileSystem(),
            latch)),
        env(options.env == nullptr ? rocksdb::Env::Default() : options.env, files),
        logger(std::make_shared<WarningLogger>(options.on_warning)),
        cache(rocksdb::NewLRUCache(kBlockCacheBytes)),
        memtable_bytes(options.memtable_bytes) {}

  const std::shared_ptr<SyncLatch> latch;
  const std::shared_ptr<LatchedFiles> files;
  StoreEnv env;
  const std::shared_ptr<rocksdb::Logger> logger;
  const std::shared_ptr<rocksdb::Cache> cache;
  const size_t memtable_bytes;
};

rocksdb::DBOptions DatabaseOptions(Machine& machine) {
  rocksdb::DBOptions options;
  options.env = &machine.env;
  options.info_log = machine.logger;
  options.paranoid_checks = true;
  // CheckWal has told a torn tail from damage before; what it lets through is an unsynced tail.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;  // a log file that is gone is damage
  options.max_open_files = kOpenFilesMax;
  options.max_file_opening_threads = 1;
  options.max_total_wal_size =
      machine.memtable_bytes > 0 ? kWalMemtablesMax * machine.memtable_bytes : kWalBytesMax;
  options.max_manifest_file_size = kManifestBytesMax;
  options.max_background_jobs = kBackgroundJobs;
  options.max_bgerror_resume_count = 0;
  options.listeners = {std::make_shared<NoResumption>()};
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(size_t memtable_bytes,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = memtable_bytes;
  options.max_write_buffer_number = kMemtablesMax;
  options.compression = rocksdb::kNoCompression;  // small, or compressed by its writer
  options.target_file_size_base = kTableBytes;
  // Nothing is rewritten for its age.
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status InUseError(const std::string& path, const std::string& why) {
  return MakeError(Reason::kDirectoryInUse,
                   absl::StrCat("Raft's store in ", path, " is open already: ", why,
                                ". Stop the other process, or use another directory."),
                   {{"path", path}});
}

bool IsFull(const rocksdb::Status& status) {
  return status.IsNoSpace() || status.subcode() == rocksdb::Status::SubCode::kNoSpace;
}

absl::Status ToStatus(const std::string& path, const rocksdb::Status& status) {
  if (status.ok()) return absl::OkStatus();
  if (IsFull(status)) return StoreFullError(path);
  const std::string text = status.ToString();
  if (status.IsIOError() && !status.IsPathNotFound()) return StoreFailedError(path, text);
  return CorruptStoreError(text);
}

enum class Access : uint8_t { kRead, kWrite, kCreate };

class Database {
 public:
  Database() = default;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { Close(); }

  absl::Status Open(Machine& machine, const std::string& path, Access access);
  void Close() {
    if (db_ == nullptr) return;
    for (rocksdb::ColumnFamilyHandle*& family : families_) {
      if (family != nullptr) db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
      family = nullptr;
    }
    db_->Close().PermitUncheckedError();
    db_.reset();
  }
  bool is_open() const { return db_ != nullptr; }
  rocksdb::DB& db() { return *db_; }
  // nullptr: a family that a creation which was cut short hasn't made.
  rocksdb::ColumnFamilyHandle* family(StoreFamily family) {
    return families_[static_cast<size_t>(family)];
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::array<rocksdb::ColumnFamilyHandle*, kStoreFamilies> families_{};
};

absl::Status Database::Open(Machine& machine, const std::string& path, Access access) {
  rocksdb::DBOptions options = DatabaseOptions(machine);
  std::vector<std::string> names;
  if (access == Access::kRead) {
    const rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(options, path, &names);
    CATAMARAN_RETURN_IF_ERROR(ToStatus(path, listed));
  }
  options.create_if_missing = access == Access::kCreate;
  options.create_missing_column_families = access == Access::kCreate;
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  std::vector<StoreFamily> opened;
  for (const StoreFamily family :
       {StoreFamily::kMeta, StoreFamily::kEntries, StoreFamily::kSnapshots}) {
    const std::string name(FamilyName(family));
    const bool there = std::find(names.begin(), names.end(), name) != names.end();
    if (access == Access::kRead && !there) continue;
    const size_t memtable_bytes = machine.memtable_bytes > 0
                                      ? machine.memtable_bytes
                                      : kMemtableBytes[static_cast<size_t>(family)];
    descriptors.emplace_back(name, FamilyOptions(memtable_bytes, machine.cache));
    opened.push_back(family);
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      access == Access::kRead
          ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &handles, &db)
          : rocksdb::DB::Open(options, path, descriptors, &handles, &db);
  CATAMARAN_RETURN_IF_ERROR(ToStatus(path, status));
  db_.reset(db);
  for (size_t i = 0; i < opened.size(); ++i) {
    families_[static_cast<size_t>(opened[i])] = handles[i];
  }
  return absl::OkStatus();
}

class RocksKv final : public Kv {
 public:
  RocksKv(std::shared_ptr<Machine> machine, std::string path)
      : machine_(std::move(machine)), path_(std::move(path)) {}

  absl::Status Open(Access access) {
    CATAMARAN_RETURN_IF_ERROR(database_.Open(*machine_, path_, access));
    last_sequence_ = database_.db().GetLatestSequenceNumber();
    return absl::OkStatus();
  }
  rocksdb::DB& db() { return database_.db(); }
  uint64_t last_sequence() const { return last_sequence_; }

  absl::Status Write(const KvBatch& batch) override;
  absl::StatusOr<std::optional<std::string>> Get(StoreFamily family, std::string_view key) override;
  absl::Status Scan(StoreFamily family, std::string_view from, const Visit& visit) override;
  absl::StatusOr<std::optional<std::pair<std::string, std::string>>> FindLast(
      StoreFamily family, std::string_view at) override;

 private:
  absl::Status NeedSpace(uint64_t bytes);
  absl::Status Resume();
  // nullptr where the family isn't there.
  absl::StatusOr<std::unique_ptr<rocksdb::Iterator>> Iterate(StoreFamily family);

  const std::shared_ptr<Machine> machine_;
  const std::string path_;
  Database database_;
  uint64_t last_sequence_ = 0;  // of the last write that succeeded
  bool full_ = false;           // RocksDB itself met a full disk and takes no writes
};

absl::Status RocksKv::NeedSpace(uint64_t bytes) {
  uint64_t free_bytes = 0;
  const IOStatus status = machine_->files->GetFreeSpace(path_, IOOptions(), &free_bytes, nullptr);
  if (!status.ok()) return StoreFailedError(path_, status.ToString());
  return free_bytes < kStoreFreeBytesMin + bytes ? StoreFullError(path_) : absl::OkStatus();
}

// RocksDB stays closed to writes after a failed one. Opening it anew recovers what was acknowledged
// and cuts what the refused write left behind.
absl::Status RocksKv::Resume() {
  database_.Close();
  CATAMARAN_RETURN_IF_ERROR(database_.Open(*machine_, path_, Access::kWrite));
  if (database_.db().GetLatestSequenceNumber() != last_sequence_) {
    return CorruptStoreError("after a full disk it holds other writes than it has acknowledged");
  }
  full_ = false;
  return absl::OkStatus();
}

absl::Status RocksKv::Write(const KvBatch& batch) {
  // Once in the log, once more when it is flushed.
  CATAMARAN_RETURN_IF_ERROR(NeedSpace(2 * batch.bytes()));
  if (full_) CATAMARAN_RETURN_IF_ERROR(Resume());
  rocksdb::WriteBatch steps(batch.bytes() + 64 * batch.steps().size());
  for (const KvStep& step : batch.steps()) {
    rocksdb::ColumnFamilyHandle* family = database_.family(step.family);
    rocksdb::Status added;
    switch (step.kind) {
      case KvStep::Kind::kPut:
        added = steps.Put(family, step.key, step.value);
        break;
      case KvStep::Kind::kDelete:
        added = steps.Delete(family, step.key);
        break;
      case KvStep::Kind::kDeleteRange:
        added = steps.DeleteRange(family, step.key, step.value);
        break;
    }
    CATAMARAN_CHECK(added.ok(), added.ToString());
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status status = database_.db().Write(options, &steps);
  if (status.ok()) {
    last_sequence_ = database_.db().GetLatestSequenceNumber();
    return absl::OkStatus();
  }
  // A sync that found no space is a failed sync: nobody knows what it has written.
  if (IsFull(status) && !machine_->latch->failed()) {
    full_ = true;
    return StoreFullError(path_);
  }
  if (status.IsCorruption()) return ToStatus(path_, status);
  return StoreFailedError(path_, status.ToString());
}

absl::StatusOr<std::unique_ptr<rocksdb::Iterator>> RocksKv::Iterate(StoreFamily family) {
  // Only while a resumption of a full store fails.
  if (!database_.is_open()) return StoreFullError(path_);
  if (database_.family(family) == nullptr) return std::unique_ptr<rocksdb::Iterator>();
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(
      database_.db().NewIterator(options, database_.family(family)));
}

absl::StatusOr<std::optional<std::string>> RocksKv::Get(StoreFamily family, std::string_view key) {
  if (!database_.is_open()) return StoreFullError(path_);
  if (database_.family(family) == nullptr) return std::nullopt;
  std::string value;
  const rocksdb::Status status =
      database_.db().Get(rocksdb::ReadOptions(), database_.family(family), ToSlice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  CATAMARAN_RETURN_IF_ERROR(ToStatus(path_, status));
  return value;
}

absl::Status RocksKv::Scan(StoreFamily family, std::string_view from, const Visit& visit) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::unique_ptr<rocksdb::Iterator> at, Iterate(family));
  if (at == nullptr) return absl::OkStatus();
  for (at->Seek(ToSlice(from)); at->Valid(); at->Next()) {
    CATAMARAN_ASSIGN_OR_RETURN(const bool more,
                               visit(FromSlice(at->key()), FromSlice(at->value())));
    if (!more) return absl::OkStatus();
  }
  return ToStatus(path_, at->status());
}

absl::StatusOr<std::optional<std::pair<std::string, std::string>>> RocksKv::FindLast(
    StoreFamily family, std::string_view at_most) {
  CATAMARAN_ASSIGN_OR_RETURN(const std::unique_ptr<rocksdb::Iterator> at, Iterate(family));
  if (at == nullptr) return std::nullopt;
  at->SeekForPrev(ToSlice(at_most));
  if (at->Valid()) return std::make_pair(at->key().ToString(), at->value().ToString());
  CATAMARAN_RETURN_IF_ERROR(ToStatus(path_, at->status()));
  return std::nullopt;
}

absl::StatusOr<std::vector<std::string>> FilesIn(Machine& machine, const std::string& path) {
  std::vector<std::string> names;
  const IOStatus status = machine.files->GetChildren(path, IOOptions(), &names, nullptr);
  CATAMARAN_RETURN_IF_ERROR(ToStatus(path, status));
  std::erase_if(names, [](const std::string& name) { return name == "." || name == ".."; });
  return names;
}

// A directory without CURRENT holds at most what a creation has made before it: RocksDB would take
// it for a new database and remove everything else.
absl::Status CheckIsNew(Machine& machine, const std::string& path) {
  if (machine.files->FileExists(path, IOOptions(), nullptr).IsNotFound()) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(const std::vector<std::string> names, FilesIn(machine, path));
  for (const std::string& name : names) {
    const bool harmless = name == "LOCK" || name == "IDENTITY" || name == "MANIFEST-000001" ||
                          name.ends_with(".dbtmp") || name == "lost+found";
    if (!harmless) {
      return CorruptStoreError(absl::StrCat(path, "/CURRENT is missing but ", name, " is there"));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(Machine& machine, const std::string& path) {
  CATAMARAN_RETURN_IF_ERROR(
      ToStatus(path, machine.files->CreateDirIfMissing(path, IOOptions(), nullptr)));
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  std::unique_ptr<rocksdb::FSDirectory> directory;
  CATAMARAN_RETURN_IF_ERROR(
      ToStatus(path, machine.files->NewDirectory(parent, IOOptions(), &directory, nullptr)));
  return ToStatus(path, directory->Fsync(IOOptions(), nullptr));
}

// The write-ahead logs that are still needed hold, but for an unsynced tail, and RocksDB has read
// all of what holds.
absl::Status CheckLogs(Machine& machine, const std::string& path, RocksKv& kv) {
  uint64_t first_needed = 0;
  if (!kv.db().GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &first_needed)) {
    return StoreFailedError(path, "RocksDB doesn't tell which logs it needs");
  }
  CATAMARAN_ASSIGN_OR_RETURN(const std::vector<std::string> names, FilesIn(machine, path));
  std::vector<WalFile> files;
  for (const std::string& name : names) {
    WalFile file;
    if (!name.ends_with(".log") ||
        !absl::SimpleAtoi(name.substr(0, name.size() - 4), &file.number) ||
        file.number < first_needed) {
      continue;
    }
    CATAMARAN_RETURN_IF_ERROR(ToStatus(
        path, rocksdb::ReadFileToString(machine.files.get(), path + "/" + name, &file.bytes)));
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(),
            [](const WalFile& a, const WalFile& b) { return a.number < b.number; });
  const WalVerdict verdict = CheckWal(files);
  if (verdict.corrupt) return CorruptStoreError(verdict.what);
  if (verdict.last_sequence > kv.last_sequence()) {
    return CorruptStoreError(absl::StrCat("the write-ahead log reaches sequence ",
                                          verdict.last_sequence, " and RocksDB read up to ",
                                          kv.last_sequence()));
  }
  return absl::OkStatus();
}

struct Inspected {
  FoundStore found;
  uint64_t last_sequence = 0;
};

absl::StatusOr<Inspected> Inspect(const std::shared_ptr<Machine>& machine,
                                  const RocksStoreOptions& options) {
  // A reader takes no lock of its own, and beside a writer it would take files that go for damage.
  rocksdb::FileLock* lock = nullptr;
  const IOStatus locked =
      machine->files->LockFile(options.path + "/LOCK", IOOptions(), &lock, nullptr);
  if (!locked.ok()) return InUseError(options.path, locked.ToString());
  const absl::Cleanup unlock = [&] {
    machine->files->UnlockFile(lock, IOOptions(), nullptr).PermitUncheckedError();
  };
  RocksKv kv(machine, options.path);
  CATAMARAN_RETURN_IF_ERROR(kv.Open(Access::kRead));
  Inspected inspected;
  inspected.last_sequence = kv.last_sequence();
  CATAMARAN_ASSIGN_OR_RETURN(inspected.found, InspectStore(kv, options.identity));
  CATAMARAN_RETURN_IF_ERROR(CheckLogs(*machine, options.path, kv));
  return inspected;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LogStore>> OpenRocksLogStore(const RocksStoreOptions& options) {
  const auto machine = std::make_shared<Machine>(options);
  const IOStatus current =
      machine->files->FileExists(options.path + "/CURRENT", IOOptions(), nullptr);
  if (!current.ok() && !current.IsNotFound()) return ToStatus(options.path, current);
  Inspected inspected;
  inspected.found.empty = true;
  if (current.ok()) {
    CATAMARAN_ASSIGN_OR_RETURN(inspected, Inspect(machine, options));
  } else {
    CATAMARAN_RETURN_IF_ERROR(CheckIsNew(*machine, options.path));
  }
  const bool create = inspected.found.empty;
  if (create && !options.create_if_missing) {
    return CorruptStoreError(
        absl::StrCat("there's none in ", options.path, ", where one was made"));
  }
  if (create) CATAMARAN_RETURN_IF_ERROR(MakeDirectory(*machine, options.path));
  auto kv = std::make_unique<RocksKv>(machine, options.path);
  CATAMARAN_RETURN_IF_ERROR(kv->Open(create ? Access::kCreate : Access::kWrite));
  if (!create && kv->last_sequence() != inspected.last_sequence) {
    return InUseError(options.path, "it was changed while it was opened");
  }
  return StartStore(std::move(kv), std::move(inspected.found), options.identity);
}

}  // namespace catamaran::raft
