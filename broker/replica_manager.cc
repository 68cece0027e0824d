#include "broker/replica_manager.h"

#include <algorithm>
#include <utility>

#include "base/batch/batch.h"
#include "base/check.h"

namespace catamaran::broker {

// Asks for the free space again and again; lives while a check or its timer does.
struct ReplicaManager::SpaceWatch : std::enable_shared_from_this<SpaceWatch> {
  NodeSeams seams;
  ReplicaManagerOptions options;
  Executor* executor = nullptr;
  std::shared_ptr<SpaceBudget> budget;
  bool was_full = false;
  std::atomic<bool> stopped{false};

  void Check() {
    if (stopped) return;
    auto space = std::make_shared<absl::StatusOr<FreeSpace>>(absl::CancelledError());
    seams.pool->Submit(
        IoLane::kBackground, [space, fs = seams.fs]() { *space = fs->GetFreeSpace(); }, executor,
        [self = shared_from_this(), space]() { self->OnChecked(*space); });
  }

  void OnChecked(const absl::StatusOr<FreeSpace>& space) {
    if (stopped) return;
    if (space.ok()) {
      budget->Refill(*space);
      bool now_full = budget->full();
      if (std::exchange(was_full, now_full) != now_full && seams.warn) {
        seams.warn(now_full ? "the disk is full up to the reserve: produce requests are refused"
                            : "there is space on the disk again: produce requests are taken");
      }
    }
    executor->PostAt(seams.clock->Now() + options.free_space_interval, [weak = weak_from_this()]() {
      if (auto self = weak.lock()) self->Check();
    });
  }
};

ReplicaManager::ReplicaManager(std::vector<Executor*> shards, NodeSeams seams,
                               std::shared_ptr<TopicCatalog> catalog, ReplicaManagerOptions options)
    : seams_(std::move(seams)),
      options_(options),
      space_(std::make_shared<SpaceBudget>(options.free_bytes_min)) {
  CATAMARAN_CHECK(!shards.empty(), "a node needs a shard");
  const size_t count = shards.size();
  for (size_t i = 0; i < count; ++i) {
    auto owns = [i, count](std::string_view topic, PartitionIndex partition) {
      return ShardIndex(topic, partition, count) == i;
    };
    shards_.push_back(
        std::make_shared<ReplicaShard>(shards[i], seams_, catalog, owns, space_,
                                       options.read_bytes_max / static_cast<int64_t>(count)));
  }
}

ReplicaManager::~ReplicaManager() {
  if (space_watch_ != nullptr) space_watch_->stopped = true;
}

size_t ReplicaManager::ShardIndex(std::string_view topic, PartitionIndex partition, size_t shards) {
  return (static_cast<uint32_t>(Murmur2(topic)) + static_cast<uint32_t>(partition.value())) %
         shards;
}

void ReplicaManager::Start(absl::AnyInvocable<void(absl::Status)> ready) {
  space_watch_ = std::make_shared<SpaceWatch>();
  space_watch_->seams = seams_;
  space_watch_->options = options_;
  space_watch_->executor = shards_[0]->executor();
  space_watch_->budget = space_;
  space_watch_->Check();

  auto listed = std::make_shared<absl::StatusOr<std::vector<FileInfo>>>(absl::CancelledError());
  auto on_listed = [listed, shards = shards_, ready = std::move(ready)]() mutable {
    if (!listed->ok()) {
      ready(listed->status());
      return;
    }
    auto directories = std::make_shared<std::vector<std::string>>();
    for (const FileInfo& file : **listed) {
      if (file.is_directory) directories->push_back(file.name);
    }
    std::sort(directories->begin(), directories->end());
    struct Waiting {
      std::atomic<size_t> shards;
      absl::AnyInvocable<void(absl::Status)> ready;
    };
    auto waiting = std::shared_ptr<Waiting>(new Waiting{{shards.size()}, std::move(ready)});
    for (const auto& shard : shards) {
      shard->Start(directories, [waiting]() {
        if (waiting->shards.fetch_sub(1) == 1) waiting->ready(absl::OkStatus());
      });
    }
  };
  seams_.pool->Submit(
      IoLane::kRead, [listed, fs = seams_.fs]() { *listed = fs->List(""); }, shards_[0]->executor(),
      std::move(on_listed));
}

void ReplicaManager::Stop(absl::AnyInvocable<void(bool clean)> done) {
  if (space_watch_ != nullptr) space_watch_->stopped = true;
  struct Waiting {
    std::atomic<size_t> shards;
    absl::AnyInvocable<void(bool clean)> done;
    std::atomic<bool> clean = true;
  };
  auto waiting = std::shared_ptr<Waiting>(new Waiting{{shards_.size()}, std::move(done)});
  for (const auto& shard : shards_) {
    shard->Stop([waiting](bool clean) {
      if (!clean) waiting->clean = false;
      if (waiting->shards.fetch_sub(1) == 1) waiting->done(waiting->clean);
    });
  }
}

}  // namespace catamaran::broker
