// The recent changes, kept so that a watcher can resume where it was: a bounded ring of deltas and
// the watchers that read along. Each watcher pulls at its own pace; one that falls behind the ring
// is cut off with kWatchExpired and begins again from a snapshot. So a slow watcher costs no memory
// of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "metadata/image.h"

namespace catamaran::metadata {

struct WatchHubOptions {
  size_t deltas_kept_max = 4'096;
  size_t topics_kept_max = 100'000;  // in all kept deltas together
  size_t watchers_max = 1'000;       // more are kOverloaded
};

// Thread-safe.
class WatchHub {
 public:
  struct WatcherTag : IdTag<false> {};
  using WatcherId = StrongId<WatcherTag, uint64_t>;
  // Told that Next() may have something; called once per time that Next() answered "nothing yet",
  // on the thread that publishes and without a lock of the hub: quick, may call Next(). It may
  // still be running when Remove() returns.
  using Wake = absl::AnyInvocable<void()>;

  WatchHub(WatchHubOptions options, ImageRef image);

  // `from`: the last revision that the watcher has; absent: its first Next() is a snapshot.
  // kWatchExpired when `from` isn't kept any more (or lies in the future), kOverloaded.
  absl::StatusOr<WatcherId> Add(std::optional<MetadataRevision> from, Wake wake);
  void Remove(WatcherId watcher);

  struct Event {
    ImageRef snapshot;                           // the watcher's beginning, or
    std::shared_ptr<const MetadataDelta> delta;  // the next change
  };
  // The watcher's next event; nullopt: nothing yet, `wake` will be called. kWatchExpired when the
  // watcher is too far behind or was closed.
  absl::StatusOr<std::optional<Event>> Next(WatcherId watcher);

  // The service's part.
  void Publish(ImageRef image, std::shared_ptr<const MetadataDelta> delta);
  // Every Next() and Add() answers `why` from now on; wakes all.
  void Close(absl::Status why);
  size_t watcher_count() const;

 private:
  struct Watcher {
    std::optional<MetadataRevision> at;  // absent: wants a snapshot
    std::shared_ptr<Wake> wake;
    bool waiting = false;
  };
  std::vector<std::shared_ptr<Wake>> TakeWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsKept(MetadataRevision from) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const WatchHubOptions options_;
  mutable Mutex mu_;
  ImageRef image_ ABSL_GUARDED_BY(mu_);
  std::deque<std::shared_ptr<const MetadataDelta>> ring_ ABSL_GUARDED_BY(mu_);  // without gaps
  size_t topics_kept_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<WatcherId, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
  uint64_t next_watcher_ ABSL_GUARDED_BY(mu_) = 1;
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mu_);
};

}  // namespace catamaran::metadata
