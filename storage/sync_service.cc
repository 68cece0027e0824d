#include "storage/sync_service.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/error.h"
#include "base/mutex.h"

namespace catamaran::storage {
namespace {

struct Request {
  std::vector<std::shared_ptr<File>> files;
  Executor* reply_to = nullptr;
  SyncDone done;
};

// Shared by the service and the round in flight, which may outlive it.
class Rounds : public std::enable_shared_from_this<Rounds> {
 public:
  Rounds(SyncStrategy strategy, FileSystem& fs, IoPool& pool)
      : strategy_(strategy), fs_(fs), pool_(pool) {}

  void Add(Request request) {
    {
      MutexLock lock(&mu_);
      waiting_.push_back(std::move(request));
      if (in_flight_) return;
      in_flight_ = true;
    }
    Begin();
  }

 private:
  // A round is in flight. Its job takes what waits at the moment when it runs, so that whoever
  // asked before that shares it.
  void Begin() {
    Executor* reply_to = nullptr;
    {
      MutexLock lock(&mu_);
      reply_to = waiting_.front().reply_to;
    }
    pool_.Submit(
        IoLane::kSync, [self = shared_from_this()] { self->Run(); }, reply_to, [] {});
  }

  void Run() {
    std::vector<Request> round;
    absl::Status status;
    {
      MutexLock lock(&mu_);
      round.swap(waiting_);
      status = failed_;
    }
    if (status.ok()) status = SyncFiles(round);
    bool more = false;
    {
      MutexLock lock(&mu_);
      if (!status.ok()) failed_ = status;
      more = !waiting_.empty();
      in_flight_ = more;
    }
    if (more) Begin();
    Answer(std::move(round), status);
  }

  absl::Status SyncFiles(const std::vector<Request>& round) {
    // In the order asked for, not by address, so that a simulated run can be repeated.
    absl::flat_hash_set<File*> seen;
    std::vector<File*> files;
    for (const Request& request : round) {
      for (const auto& file : request.files) {
        if (seen.insert(file.get()).second) files.push_back(file.get());
      }
    }
    const bool all = strategy_ == SyncStrategy::kSyncfs ||
                     (strategy_ == SyncStrategy::kAdaptive && files.size() > kAdaptiveFilesMax);
    if (all && !files.empty()) return fs_.SyncAll();
    for (File* file : files) CATAMARAN_RETURN_IF_ERROR(file->SyncData());
    return absl::OkStatus();
  }

  // One task per executor, since each is a wake-up.
  static void Answer(std::vector<Request> round, const absl::Status& status) {
    while (!round.empty()) {
      Executor* const reply_to = round.front().reply_to;
      const auto others = std::stable_partition(
          round.begin(), round.end(),
          [reply_to](const Request& request) { return request.reply_to == reply_to; });
      std::vector<SyncDone> dones;
      for (auto it = round.begin(); it != others; ++it) dones.push_back(std::move(it->done));
      round.erase(round.begin(), others);
      reply_to->Post([dones = std::move(dones), status]() mutable {
        for (SyncDone& done : dones) done(status);
      });
    }
  }

  const SyncStrategy strategy_;
  FileSystem& fs_;
  IoPool& pool_;
  Mutex mu_;
  bool in_flight_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Request> waiting_ ABSL_GUARDED_BY(mu_);
  absl::Status failed_ ABSL_GUARDED_BY(mu_);
};

class SyncServiceImpl : public SyncService {
 public:
  SyncServiceImpl(SyncStrategy strategy, FileSystem& fs, IoPool& pool)
      : rounds_(std::make_shared<Rounds>(strategy, fs, pool)) {}

  void Sync(std::vector<std::shared_ptr<File>> files, Executor* reply_to, SyncDone done) override {
    rounds_->Add({std::move(files), reply_to, std::move(done)});
  }

 private:
  const std::shared_ptr<Rounds> rounds_;
};

}  // namespace

std::unique_ptr<SyncService> MakeSyncService(SyncStrategy strategy, FileSystem& fs, IoPool& pool) {
  return std::make_unique<SyncServiceImpl>(strategy, fs, pool);
}

}  // namespace catamaran::storage
