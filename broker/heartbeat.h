// Whether event loops turn: a task on each executor notes the time every second. For /livez.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"

namespace catamaran::broker {

inline constexpr Duration kHeartbeatInterval = std::chrono::seconds(1);
// An executor that hasn't turned for so long is stuck, not slow.
inline constexpr Duration kHeartbeatAgeMax = std::chrono::seconds(30);

// Thread-safe. Executors may be destroyed before or after it.
class Heartbeats {
 public:
  explicit Heartbeats(Clock* clock) : clock_(clock) {}
  void Watch(std::string name, Executor* executor);  // before the first Oldest()
  struct Age {
    std::string name;
    Duration age{0};
  };
  Age Oldest() const;

 private:
  struct Beat {
    std::string name;
    Clock* clock = nullptr;
    Executor* executor = nullptr;
    std::atomic<int64_t> last{0};  // nanoseconds on the monotonic clock
  };
  static void Turn(const std::shared_ptr<Beat>& beat);

  Clock* const clock_;
  std::vector<std::shared_ptr<Beat>> beats_;
};

}  // namespace catamaran::broker
