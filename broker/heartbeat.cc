#include "broker/heartbeat.h"

#include <utility>

namespace catamaran::broker {

void Heartbeats::Turn(const std::shared_ptr<Beat>& beat) {
  MonotonicTime now = beat->clock->Now();
  beat->last.store(now.since_start.count(), std::memory_order_relaxed);
  beat->executor->PostAt(now + kHeartbeatInterval, [beat] { Turn(beat); });
}

void Heartbeats::Watch(std::string name, Executor* executor) {
  auto beat = std::make_shared<Beat>();
  beat->name = std::move(name);
  beat->clock = clock_;
  beat->executor = executor;
  beat->last.store(clock_->Now().since_start.count());
  beats_.push_back(beat);
  executor->Post([beat] { Turn(beat); });
}

Heartbeats::Age Heartbeats::Oldest() const {
  Age oldest;
  Duration now = clock_->Now().since_start;
  for (const auto& beat : beats_) {
    Duration age = now - Duration(beat->last.load(std::memory_order_relaxed));
    if (age > oldest.age) oldest = {beat->name, age};
  }
  return oldest;
}

}  // namespace catamaran::broker
