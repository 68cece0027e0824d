// The simulated world: one thread, virtual time, one queue of events; and what a node lives on in
// it: clock, executors, I/O pool. The same seed gives the same run, event by event, which the trace
// hash proves.
//
//   World world(seed);
//   SimNode node(world, "n1");
//   auto shard = node.MakeExecutor("shard0");
//   shard->Post(...);
//   bool done = world.RunUntil([&] { return finished; }, std::chrono::seconds(10));
//
// Nothing here is thread-safe: everything runs on the thread that calls Step/Run*.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"

namespace catamaran::sim {

struct EventIdTag : IdTag<false> {};
using EventId = StrongId<EventIdTag, uint64_t>;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  MonotonicTime Now() const { return now_; }  // true time, which no node sees
  Random& random() { return random_; }

  // Runs `task` at `when` (now, if that has passed). Events of the same time run in an order chosen
  // by the seed. `label` names the event in the trace.
  EventId Schedule(MonotonicTime when, std::string label, Task task);
  bool Cancel(EventId event);  // true if it was pending; its task is destroyed

  // Runs the next event and moves time to it; false when none is left.
  bool Step();
  void RunFor(Duration duration);  // leaves time at exactly now + duration
  // Runs until `done()` holds, which is asked first and after each event, or until `limit` of
  // virtual time has passed. Returns done().
  bool RunUntil(const std::function<bool()>& done, Duration limit);
  // Runs until no event is left, or for `limit`; true in the first case.
  bool RunUntilIdle(Duration limit);

  // Called after every event, e.g. to check invariants.
  void AddObserver(std::function<void()> observer);

  // Mixes something that happened into the trace hash (a message's content, a decision).
  void Trace(std::string_view what);
  // Called with every line that is mixed in: "<ns> <label>". For printing a run; slow.
  void SetTraceSink(std::function<void(std::string_view)> sink) { trace_sink_ = std::move(sink); }
  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t events_run() const { return events_run_; }
  size_t pending_events() const { return events_.size(); }

 private:
  struct Key {
    MonotonicTime when;
    uint64_t tie_break;  // random
    uint64_t id;
    auto operator<=>(const Key&) const = default;
  };
  struct Event {
    std::string label;
    Task task;
  };

  Random random_;
  MonotonicTime now_;
  uint64_t last_id_ = 0;
  std::map<Key, Event> events_;   // Invariant: no key is earlier than now_
  std::map<uint64_t, Key> keys_;  // by id, of the same events
  std::vector<std::function<void()>> observers_;
  std::function<void(std::string_view)> trace_sink_;
  uint64_t trace_hash_ = 0xcbf29ce484222325;
  uint64_t events_run_ = 0;
};

// A node's clocks: the monotonic one starts anywhere and runs too fast or too slow, the wall clock
// jumps besides.
class SimClock : public Clock {
 public:
  SimClock(World& world, Duration monotonic_start, TimestampMs wall_start);

  MonotonicTime Now() const override;
  TimestampMs WallNow() const override;

  // From now on this many parts per million faster (negative: slower) than true time.
  // -500,000 to 1,000,000.
  void SetDrift(int64_t parts_per_million);
  void JumpWall(Duration by) { wall_offset_ += by; }
  // The first true time at which Now() will be `local` or later, as the clock runs now.
  MonotonicTime WorldTimeOf(MonotonicTime local) const;

 private:
  World& world_;
  int64_t drift_ppm_ = 0;
  MonotonicTime base_world_;  // local time was base_local_ then, and ran with drift_ppm_ since
  MonotonicTime base_local_;
  MonotonicTime start_local_;
  TimestampMs wall_start_;
  Duration wall_offset_{0};
};

// How long a job waits and works on each lane; uniform between the two, sometimes a spike.
struct SimIoOptions {
  Duration delay_min[kIoLanes] = {std::chrono::microseconds(5), std::chrono::microseconds(100),
                                  std::chrono::microseconds(5), std::chrono::microseconds(5)};
  Duration delay_max[kIoLanes] = {std::chrono::microseconds(200), std::chrono::milliseconds(2),
                                  std::chrono::microseconds(500), std::chrono::milliseconds(1)};
  double spike_probability = 0.001;
  Duration spike = std::chrono::milliseconds(200);
};

struct SimNodeOptions {
  Duration task_delay_max = std::chrono::microseconds(10);  // from Post to run, uniform from 0
  SimIoOptions io;
};

// A process on a machine. Executors and pools that it makes belong to its present life: Kill() ends
// them all at once, and after Restart() new ones are made. Must outlive them.
class SimNode {
 public:
  SimNode(World& world, std::string name, SimNodeOptions options = {});
  ~SimNode();

  const std::string& name() const { return name_; }
  World& world() { return world_; }
  SimClock& clock() { return clock_; }
  bool alive() const;

  // Owned by the caller, as real ones are.
  std::unique_ptr<Executor> MakeExecutor(const std::string& executor_name);
  std::unique_ptr<IoPool> MakeIoPool();

  // The process is gone: tasks, timers, jobs and replies that haven't run are destroyed, later ones
  // too. Call it from outside its tasks (e.g. World::Schedule). Its objects may then be destroyed.
  void Kill();
  void Restart();  // a new life; CHECKs that the old one was killed
  // No task runs for so long (a stop-the-world pause, SIGSTOP); I/O jobs that began go on.
  void Pause(Duration duration);

 private:
  struct Life;
  class SimExecutor;
  class SimIoPool;

  World& world_;
  const std::string name_;
  const SimNodeOptions options_;
  SimClock clock_;
  std::shared_ptr<Life> life_;
};

}  // namespace catamaran::sim
