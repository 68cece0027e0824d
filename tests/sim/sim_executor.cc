#include "tests/sim/sim_executor.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace catamaran::sim {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kDriftPpmMin = -500'000;
constexpr int64_t kDriftPpmMax = 1'000'000;
// Clocks of nodes start up to this far apart, so that nobody compares them across nodes.
constexpr int64_t kMonotonicStartSecondsMax = 1'000'000;
constexpr TimestampMs kWallStart{1'800'000'000'000};  // 2027-01-15

uint64_t MixByte(uint64_t hash, uint8_t byte) { return (hash ^ byte) * 0x100000001b3; }  // FNV-1a

uint64_t MixWord(uint64_t hash, uint64_t word) {
  for (int i = 0; i < 8; ++i) hash = MixByte(hash, static_cast<uint8_t>(word >> (8 * i)));
  return hash;
}

Duration Pick(Random& random, Duration low, Duration high) {
  return Duration(random.Between(low.count(), high.count()));
}

}  // namespace

// --- World
// -----------------------------------------------------------------------------------------

EventId World::Schedule(MonotonicTime when, std::string label, Task task) {
  Key key{std::max(when, now_), random_.Next(), ++last_id_};
  events_.emplace(key, Event{std::move(label), std::move(task)});
  keys_.emplace(key.id, key);
  return EventId(key.id);
}

bool World::Cancel(EventId event) {
  auto key = keys_.find(event.value());
  if (key == keys_.end()) return false;
  auto it = events_.find(key->second);
  Task doomed = std::move(it->second.task);  // destroyed last: it may come back here
  events_.erase(it);
  keys_.erase(key);
  return true;
}

bool World::Step() {
  if (events_.empty()) return false;
  auto it = events_.begin();
  now_ = it->first.when;
  uint64_t id = it->first.id;
  Event event = std::move(it->second);
  events_.erase(it);
  keys_.erase(id);
  ++events_run_;
  trace_hash_ = MixWord(trace_hash_, id);
  Trace(event.label);
  std::move(event.task)();
  event.task = nullptr;
  for (const std::function<void()>& observer : observers_) observer();
  return true;
}

void World::RunFor(Duration duration) {
  RunUntil([] { return false; }, duration);
}

bool World::RunUntil(const std::function<bool()>& done, Duration limit) {
  MonotonicTime end = now_ + limit;
  while (!done()) {
    if (events_.empty() || events_.begin()->first.when > end) {
      now_ = end;
      return done();
    }
    Step();
  }
  return true;
}

bool World::RunUntilIdle(Duration limit) {
  MonotonicTime end = now_ + limit;
  while (!events_.empty() && events_.begin()->first.when <= end) Step();
  return events_.empty();
}

void World::AddObserver(std::function<void()> observer) {
  observers_.push_back(std::move(observer));
}

void World::Trace(std::string_view what) {
  trace_hash_ = MixWord(trace_hash_, static_cast<uint64_t>(now_.since_start.count()));
  for (char c : what) trace_hash_ = MixByte(trace_hash_, static_cast<uint8_t>(c));
  trace_hash_ = MixWord(trace_hash_, what.size());
  if (trace_sink_) trace_sink_(absl::StrCat(now_.since_start.count(), " ", std::string(what)));
}

// --- SimClock
// --------------------------------------------------------------------------------------

SimClock::SimClock(World& world, Duration monotonic_start, TimestampMs wall_start)
    : world_(world),
      base_world_(world.Now()),
      base_local_{monotonic_start},
      start_local_{monotonic_start},
      wall_start_(wall_start) {}

MonotonicTime SimClock::Now() const {
  __int128 passed = (world_.Now() - base_world_).count();
  return base_local_ + Duration(static_cast<int64_t>(passed * (kMillion + drift_ppm_) / kMillion));
}

TimestampMs SimClock::WallNow() const {
  Duration passed = Now() - start_local_ + wall_offset_;
  return wall_start_ + std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

void SimClock::SetDrift(int64_t parts_per_million) {
  CATAMARAN_CHECK(parts_per_million >= kDriftPpmMin && parts_per_million <= kDriftPpmMax,
                  "a clock doesn't drift that much");
  base_local_ = Now();
  base_world_ = world_.Now();
  drift_ppm_ = parts_per_million;
}

MonotonicTime SimClock::WorldTimeOf(MonotonicTime local) const {
  // Timers at "never" stay there: the sum below would overflow.
  constexpr Duration kFarAway = std::chrono::hours(24 * 365 * 100);
  if (local > base_local_ + kFarAway) return kNever;
  if (local <= base_local_) return base_world_;
  __int128 wait = (local - base_local_).count();
  __int128 rate = kMillion + drift_ppm_;
  return base_world_ + Duration(static_cast<int64_t>((wait * kMillion + rate - 1) / rate));
}

// --- SimNode
// ---------------------------------------------------------------------------------------

// One life of a process: shared by its executors, pools and their events in the world, which may
// outlive all of them.
struct SimNode::Life {
  // Tasks of one executor.
  struct Queue {
    std::string label;
    bool open = true;
    bool running = false;
    std::deque<Task> tasks;
    struct Timer {
      Task task;
      EventId event{0};
    };
    std::map<TimerId, Timer> timers;

    // Destroys what hasn't run. The destructor of a task may come back and post: that is refused.
    void Close() {
      open = false;
      std::deque<Task> doomed_tasks = std::exchange(tasks, {});
      std::map<TimerId, Timer> doomed_timers = std::exchange(timers, {});
    }

    void Run(Task task) {
      CATAMARAN_CHECK(!running, "a serial executor runs one task at a time");
      running = true;
      std::move(task)();
      task = nullptr;
      running = false;
    }
  };

  // Jobs of one pool that aren't done.
  struct Job {
    Task work;
    Executor* reply_to;
    Task done;
  };
  struct Jobs {
    bool open = true;
    std::map<uint64_t, Job> by_id;

    void Close() {
      open = false;
      std::map<uint64_t, Job> doomed = std::exchange(by_id, {});
    }
  };

  bool alive = true;
  MonotonicTime paused_until;
  std::vector<std::weak_ptr<Queue>> queues;
  std::vector<std::weak_ptr<Jobs>> jobs;
};

class SimNode::SimExecutor : public Executor {
 public:
  SimExecutor(SimNode& node, const std::string& executor_name)
      : world_(node.world_),
        clock_(node.clock_),
        delay_max_(node.options_.task_delay_max),
        life_(node.life_),
        queue_(std::make_shared<Life::Queue>()) {
    queue_->label = absl::StrCat(node.name_, "/", executor_name);
    queue_->open = life_->alive;
    life_->queues.push_back(queue_);
  }
  ~SimExecutor() override { queue_->Close(); }

  void Post(Task task) override {
    if (!queue_->open) return;
    queue_->tasks.push_back(std::move(task));
    MonotonicTime when = world_.Now() + Pick(world_.random(), Duration(0), delay_max_);
    ScheduleTurn(world_, when, life_, queue_);
  }

  TimerId PostAt(MonotonicTime when, Task task) override {
    TimerId id(++last_timer_);
    if (!queue_->open) return id;
    queue_->timers[id].task = std::move(task);
    ScheduleTimer(world_, clock_, when, id, life_, queue_);
    return id;
  }

  bool Cancel(TimerId timer) override {
    auto it = queue_->timers.find(timer);
    if (it == queue_->timers.end()) return false;
    Life::Queue::Timer doomed = std::move(it->second);
    queue_->timers.erase(it);
    world_.Cancel(doomed.event);
    return true;
  }

  bool IsCurrent() const override { return queue_->running; }

 private:
  // A turn runs the front of the queue, so tasks keep their order while executors interleave.
  static void ScheduleTurn(World& world, MonotonicTime when, const std::shared_ptr<Life>& life,
                           const std::shared_ptr<Life::Queue>& queue) {
    world.Schedule(when, queue->label, [&world, life, queue] {
      if (!queue->open || queue->tasks.empty()) return;
      if (life->paused_until > world.Now()) {
        ScheduleTurn(world, life->paused_until, life, queue);
        return;
      }
      Task task = std::move(queue->tasks.front());
      queue->tasks.pop_front();
      queue->Run(std::move(task));
    });
  }

  static void ScheduleTimer(World& world, SimClock& clock, MonotonicTime when, TimerId id,
                            const std::shared_ptr<Life>& life,
                            const std::shared_ptr<Life::Queue>& queue) {
    MonotonicTime due = std::max(clock.WorldTimeOf(when), life->paused_until);
    if (due == kNever) return;
    auto fire = [&world, &clock, when, id, life, queue] {
      auto it = queue->timers.find(id);
      if (it == queue->timers.end()) return;
      // Paused, or the clock was slowed down meanwhile.
      if (life->paused_until > world.Now() || clock.Now() < when) {
        ScheduleTimer(world, clock, when, id, life, queue);
        return;
      }
      Task task = std::move(it->second.task);
      queue->timers.erase(it);
      queue->Run(std::move(task));
    };
    queue->timers[id].event = world.Schedule(due, queue->label, std::move(fire));
  }

  World& world_;
  SimClock& clock_;
  const Duration delay_max_;
  const std::shared_ptr<Life> life_;
  const std::shared_ptr<Life::Queue> queue_;
  uint64_t last_timer_ = 0;
};

class SimNode::SimIoPool : public IoPool {
 public:
  explicit SimIoPool(SimNode& node)
      : world_(node.world_),
        options_(node.options_.io),
        name_(node.name_),
        jobs_(std::make_shared<Life::Jobs>()) {
    jobs_->open = node.life_->alive;
    node.life_->jobs.push_back(jobs_);
  }
  ~SimIoPool() override { jobs_->Close(); }

  void Submit(IoLane lane, Task job, Executor* reply_to, Task done) override {
    CATAMARAN_CHECK(reply_to != nullptr, "`done` needs an executor to run on");
    if (!jobs_->open) return;
    uint64_t id = ++last_job_;
    jobs_->by_id.emplace(id, Life::Job{std::move(job), reply_to, std::move(done)});
    MonotonicTime start = world_.Now() + Delay(lane);
    MonotonicTime end = start + Delay(lane);
    std::string label = absl::StrCat(name_, "/io", static_cast<int>(lane));
    world_.Schedule(start, label, [jobs = jobs_, id] {
      auto it = jobs->by_id.find(id);
      if (it == jobs->by_id.end()) return;
      Task work = std::move(it->second.work);
      std::move(work)();
    });
    world_.Schedule(end, label + "/done", [jobs = jobs_, id] {
      auto it = jobs->by_id.find(id);
      if (it == jobs->by_id.end()) return;
      Life::Job finished = std::move(it->second);
      jobs->by_id.erase(it);
      finished.reply_to->Post(std::move(finished.done));
    });
  }

 private:
  // At least a nanosecond, so that a job never ends before it began.
  Duration Delay(IoLane lane) {
    auto i = static_cast<size_t>(lane);
    if (world_.random().Chance(options_.spike_probability)) return options_.spike;
    return std::max(Pick(world_.random(), options_.delay_min[i], options_.delay_max[i]),
                    Duration(1));
  }

  World& world_;
  const SimIoOptions options_;
  const std::string name_;
  const std::shared_ptr<Life::Jobs> jobs_;
  uint64_t last_job_ = 0;
};

SimNode::SimNode(World& world, std::string name, SimNodeOptions options)
    : world_(world),
      name_(std::move(name)),
      options_(options),
      clock_(world, std::chrono::seconds(world.random().Between(0, kMonotonicStartSecondsMax)),
             kWallStart),
      life_(std::make_shared<Life>()) {}

SimNode::~SimNode() {
  if (life_->alive) Kill();
}

bool SimNode::alive() const { return life_->alive; }

std::unique_ptr<Executor> SimNode::MakeExecutor(const std::string& executor_name) {
  return std::make_unique<SimExecutor>(*this, executor_name);
}

std::unique_ptr<IoPool> SimNode::MakeIoPool() { return std::make_unique<SimIoPool>(*this); }

void SimNode::Kill() {
  life_->alive = false;
  // All stop taking tasks before any is destroyed, so that none revives another.
  std::vector<std::shared_ptr<Life::Queue>> queues;
  std::vector<std::shared_ptr<Life::Jobs>> jobs;
  for (const auto& weak : life_->queues) {
    if (auto queue = weak.lock()) queues.push_back(std::move(queue));
  }
  for (const auto& weak : life_->jobs) {
    if (auto job = weak.lock()) jobs.push_back(std::move(job));
  }
  for (const auto& queue : queues) {
    CATAMARAN_CHECK(!queue->running, "a node can't be killed by one of its own tasks");
    queue->open = false;
  }
  for (const auto& job : jobs) job->open = false;
  for (const auto& queue : queues) queue->Close();
  for (const auto& job : jobs) job->Close();
}

void SimNode::Restart() {
  CATAMARAN_CHECK(!life_->alive, "kill a node before its next life");
  life_ = std::make_shared<Life>();
}

void SimNode::Pause(Duration duration) {
  life_->paused_until = std::max(life_->paused_until, world_.Now() + duration);
}

}  // namespace catamaran::sim
