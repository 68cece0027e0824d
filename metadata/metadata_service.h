// The metadata of one node, running: takes commands one after another, makes their records durable,
// replays them and publishes the new image.
//
//   Submit -> queue -> Handle (pure) -> MetadataLog::Append -> Replay -> publish image -> deltas
//
// While an append is in flight commands gather; then all of them are decided, each upon the outcome
// of the one before, and appended together. Nothing is published before it is durable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/random.h"
#include "metadata/commands.h"
#include "metadata/controller.h"
#include "metadata/image.h"
#include "metadata/metadata_log.h"
#include "metadata/watch_hub.h"

namespace catamaran::metadata {

struct MetadataServiceOptions {
  ControllerLimits limits;
  BrokerId controller = kNoBroker;      // recorded as the active controller at the start
  size_t pending_commands_max = 1'000;  // more are kOverloaded
  size_t commands_per_append_max = 256;
  uint64_t snapshot_after_bytes = 16u << 20;  // of log, then a snapshot is written
  WatchHubOptions watch;
};

// Thread-safe except where said. Must outlive its callbacks: destroy it only when its executor runs
// no more tasks, or from it.
class MetadataService {
 public:
  using Reply = absl::AnyInvocable<void(absl::StatusOr<Answer>)>;
  // Runs on the subscriber's executor, in the order of revisions, without gaps.
  using DeltaCallback = absl::AnyInvocable<void(const ImageRef& image,
                                                const std::shared_ptr<const MetadataDelta>& delta)>;

  // `executor` and `log` must outlive it. `random` makes topic ids.
  MetadataService(Executor* executor, MetadataLog* log, Random random,
                  MetadataServiceOptions options);
  ~MetadataService();

  // Blocking; once, before everything else, on any thread: reads the log and rebuilds the image.
  absl::Status Start();

  // The last published image; never null after Start(). Cheap.
  ImageRef image() const;

  // The reply comes on the service's executor, exactly once: the answer, a refusal of the
  // controller, kOverloaded, kStorageFull (nothing changed), kStorageFailed (unknown; latched until
  // a restart) or kShuttingDown.
  void Submit(Command command, CommandOptions options, Reply reply);
  // The block is issued to `broker` for ever, used or not (invariants.md M7).
  void AllocateProducerIds(BrokerId broker,
                           absl::AnyInvocable<void(absl::StatusOr<ProducerIdBlock>)> reply);

  // The callback gets the image as it is first (with a delta that holds all of it, from revision
  // 0), then every change. Posted to `executor`, which must outlive the service.
  void Subscribe(Executor* executor, DeltaCallback callback);

  // For WatchMetadata (metadata/watch_hub.h).
  WatchHub& watch_hub();

  // Refuses new commands (kShuttingDown), lets those in the queue end, then calls `done` on the
  // service's executor.
  void Stop(absl::AnyInvocable<void()> done);

  // OK, or the latched failure of the log: the node can't change metadata until it is restarted.
  absl::Status health() const;
  size_t pending_commands() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace catamaran::metadata
