#include "metadata/watch_hub.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "metadata/text.h"

namespace catamaran::metadata {
namespace {

absl::Status Expired(MetadataRevision from, MetadataRevision now) {
  return MakeError(
      Reason::kWatchExpired,
      Cat("The changes after revision ", from.value(), " aren't kept any more (the metadata is at ",
          now.value(), "). Begin a new watch without a revision."),
      {{"from_revision", Cat(from.value())}, {"revision", Cat(now.value())}});
}

}  // namespace

WatchHub::WatchHub(WatchHubOptions options, ImageRef image)
    : options_(options), image_(std::move(image)) {}

// Whether the ring holds every change after `from`.
bool WatchHub::IsKept(MetadataRevision from) const {
  if (from == image_->revision()) return true;
  if (from > image_->revision() || ring_.empty() || from < ring_.front()->from) return false;
  for (const auto& delta : ring_) {
    if (delta->from == from) return true;
  }
  return false;  // within a delta: no watcher was ever brought there
}

absl::StatusOr<WatchHub::WatcherId> WatchHub::Add(std::optional<MetadataRevision> from, Wake wake) {
  MutexLock lock(&mu_);
  if (closed_) return *closed_;
  if (watchers_.size() >= options_.watchers_max) {
    return MakeError(Reason::kOverloaded,
                     Cat("There are ", watchers_.size(),
                         " metadata watches already. Close some, or ask another broker."),
                     {{"max", Cat(options_.watchers_max)}});
  }
  if (from && !IsKept(*from)) return Expired(*from, image_->revision());
  WatcherId id(next_watcher_++);
  watchers_.emplace(id, Watcher{from, std::make_shared<Wake>(std::move(wake)), false});
  return id;
}

void WatchHub::Remove(WatcherId watcher) {
  MutexLock lock(&mu_);
  watchers_.erase(watcher);
}

absl::StatusOr<std::optional<WatchHub::Event>> WatchHub::Next(WatcherId id) {
  MutexLock lock(&mu_);
  if (closed_) return *closed_;
  auto it = watchers_.find(id);
  if (it == watchers_.end()) {
    return MakeError(Reason::kCancelled, "The metadata watch was cancelled.");
  }
  Watcher& watcher = it->second;
  if (!watcher.at) {
    watcher.at = image_->revision();
    return Event{image_, nullptr};
  }
  if (*watcher.at == image_->revision()) {
    watcher.waiting = true;
    return std::nullopt;
  }
  // Deltas join without gaps, so the place of the next one is found from the ring's ends.
  auto next = ring_.begin();
  while (next != ring_.end() && (*next)->from < *watcher.at) ++next;
  if (next == ring_.end() || (*next)->from != *watcher.at) {
    return Expired(*watcher.at, image_->revision());
  }
  watcher.at = (*next)->to;
  return Event{nullptr, *next};
}

void WatchHub::Publish(ImageRef image, std::shared_ptr<const MetadataDelta> delta) {
  std::vector<std::shared_ptr<Wake>> wakes;
  {
    MutexLock lock(&mu_);
    image_ = std::move(image);
    auto weight = [](const MetadataDelta& d) {
      return d.topics_updated.size() + d.topics_removed.size();
    };
    topics_kept_ += weight(*delta);
    ring_.push_back(std::move(delta));
    while (ring_.size() > options_.deltas_kept_max || topics_kept_ > options_.topics_kept_max) {
      topics_kept_ -= weight(*ring_.front());
      ring_.pop_front();
    }
    wakes = TakeWaiting();
  }
  for (const auto& wake : wakes) (*wake)();
}

void WatchHub::Close(absl::Status why) {
  std::vector<std::shared_ptr<Wake>> wakes;
  {
    MutexLock lock(&mu_);
    if (!closed_) closed_ = std::move(why);
    wakes = TakeWaiting();
  }
  for (const auto& wake : wakes) (*wake)();
}

std::vector<std::shared_ptr<WatchHub::Wake>> WatchHub::TakeWaiting() {
  std::vector<std::shared_ptr<Wake>> wakes;
  for (auto& [id, watcher] : watchers_) {
    if (!watcher.waiting) continue;
    watcher.waiting = false;
    wakes.push_back(watcher.wake);
  }
  return wakes;
}

size_t WatchHub::watcher_count() const {
  MutexLock lock(&mu_);
  return watchers_.size();
}

}  // namespace catamaran::metadata
