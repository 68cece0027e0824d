#include "base/clock.h"

namespace catamaran {
namespace {

class MachineClock : public Clock {
 public:
  MonotonicTime Now() const override {
    return {std::chrono::steady_clock::now().time_since_epoch()};
  }
  TimestampMs WallNow() const override {
    auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return TimestampMs(std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count());
  }
};

}  // namespace

Clock& SystemClock() {
  // Never destroyed: threads may read it while the process exits.
  static Clock& clock = *new MachineClock();
  return clock;
}

}  // namespace catamaran
