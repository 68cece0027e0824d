// What every Executor and IoPool promises, run on real threads and in the simulated world.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/base/runtime_fixture.h"

namespace catamaran {
namespace {

using ::testing::ElementsAre;

class ExecutorContractTest : public ::testing::TestWithParam<RuntimeChoice> {
 protected:
  Clock& clock() { return runtime_->clock(); }
  bool Await(int count) { return runtime_->Await(gate_, count); }

  std::unique_ptr<Runtime> runtime_ = GetParam().make();
  Gate gate_;
};

TEST_P(ExecutorContractTest, RunsTasksInTheOrderPosted) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  std::vector<int> ran;
  constexpr int kTasks = 1000;
  for (int i = 0; i < kTasks; ++i) {
    executor->Post([&, i] {
      ran.push_back(i);
      gate_.Add();
    });
  }
  ASSERT_TRUE(Await(kTasks));
  for (int i = 0; i < kTasks; ++i) ASSERT_EQ(ran[static_cast<size_t>(i)], i);
}

TEST_P(ExecutorContractTest, ATaskMayPostMore) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  std::vector<int> ran;
  executor->Post([&] {
    executor->Post([&] {
      ran.push_back(2);
      gate_.Add();
    });
    ran.push_back(1);
  });
  ASSERT_TRUE(Await(1));
  EXPECT_THAT(ran, ElementsAre(1, 2));
}

TEST_P(ExecutorContractTest, KnowsItsOwnTasks) {
  std::unique_ptr<Executor> one = runtime_->MakeExecutor("one");
  std::unique_ptr<Executor> two = runtime_->MakeExecutor("two");
  EXPECT_FALSE(one->IsCurrent());
  bool in_one = false;
  bool in_two = true;
  one->Post([&] {
    in_one = one->IsCurrent();
    in_two = two->IsCurrent();
    gate_.Add();
  });
  ASSERT_TRUE(Await(1));
  EXPECT_TRUE(in_one);
  EXPECT_FALSE(in_two);
}

TEST_P(ExecutorContractTest, TimersRunInTheirOrderAndNotBeforeTheirTime) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  std::vector<int> ran;
  MonotonicTime start = clock().Now();
  auto at = [&](int ms, int label) {
    MonotonicTime when = start + std::chrono::milliseconds(ms);
    executor->PostAt(when, [&, when, label] {
      EXPECT_GE(clock().Now(), when);
      ran.push_back(label);
      gate_.Add();
    });
  };
  at(30, 3);
  at(10, 1);
  at(20, 2);
  ASSERT_TRUE(Await(3));
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST_P(ExecutorContractTest, ATimerInThePastRunsSoon) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  executor->PostAt(clock().Now() - std::chrono::hours(1), [&] { gate_.Add(); });
  executor->PostAt(kNever, [] { FAIL() << "this is never"; });
  EXPECT_TRUE(Await(1));
}

TEST_P(ExecutorContractTest, AnEarlierTimerOvertakesTheOneThatIsWaitedFor) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  executor->PostAt(clock().Now() + std::chrono::hours(1), [] { FAIL() << "too early"; });
  executor->Post([&] { gate_.Add(); });
  ASSERT_TRUE(Await(1));
  executor->PostAt(clock().Now() + std::chrono::milliseconds(1), [&] { gate_.Add(); });
  EXPECT_TRUE(Await(2));
}

TEST_P(ExecutorContractTest, ACancelledTimerNeverRunsAndItsTaskIsDestroyed) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  auto captured = std::make_shared<int>(0);
  MonotonicTime when = clock().Now() + std::chrono::hours(1);
  TimerId timer = executor->PostAt(when, [captured] { FAIL() << "cancelled"; });
  EXPECT_NE(timer, kNoTimer);
  EXPECT_TRUE(executor->Cancel(timer));
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_FALSE(executor->Cancel(timer));
  EXPECT_FALSE(executor->Cancel(kNoTimer));
}

TEST_P(ExecutorContractTest, ATimerThatRanCantBeCancelled) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  TimerId timer = executor->PostAt(clock().Now(), [&] { gate_.Add(); });
  ASSERT_TRUE(Await(1));
  EXPECT_FALSE(executor->Cancel(timer));
}

TEST_P(ExecutorContractTest, ATaskMayCancelADueTimer) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  MonotonicTime due = clock().Now() + std::chrono::milliseconds(5);
  TimerId timers[2];
  // Both are due at once; whichever runs first cancels the other.
  executor->Post([&] {
    for (int i = 0; i < 2; ++i) {
      timers[i] = executor->PostAt(due, [&, i] {
        EXPECT_TRUE(executor->Cancel(timers[1 - i]));
        gate_.Add();
      });
    }
  });
  ASSERT_TRUE(Await(1));
  executor->PostAt(due + std::chrono::milliseconds(5), [&] { gate_.Add(); });
  ASSERT_TRUE(Await(2));
  EXPECT_EQ(gate_.count(), 2);
}

TEST_P(ExecutorContractTest, TheDestructorDestroysWhatHasNotRun) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  auto captured = std::make_shared<int>(0);
  executor->PostAt(clock().Now() + std::chrono::hours(1), [captured] {});
  // The destructor of a task that is dropped may come back.
  struct PostsAtTheEnd {
    Executor* executor;
    std::shared_ptr<int> captured;
    ~PostsAtTheEnd() {
      executor->Post([c = captured] {});
      executor->PostAt(MonotonicTime(), [c = captured] {});
    }
  };
  auto last = std::make_shared<PostsAtTheEnd>();
  last->executor = executor.get();
  last->captured = captured;
  executor->PostAt(clock().Now() + std::chrono::hours(1), [l = std::move(last)] {});
  executor.reset();
  EXPECT_EQ(captured.use_count(), 1);
}

TEST_P(ExecutorContractTest, JobsRunAndReplyOnTheirExecutor) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  std::unique_ptr<IoPool> pool = runtime_->MakeIoPool();
  bool right_place[kIoLanes] = {};
  int results[kIoLanes] = {};
  for (int i = 0; i < kIoLanes; ++i) {
    pool->Submit(
        static_cast<IoLane>(i),
        [&, i] {
          right_place[i] = !executor->IsCurrent();
          results[i] = i + 1;
        },
        executor.get(),
        [&, i] {
          EXPECT_TRUE(executor->IsCurrent());
          EXPECT_TRUE(right_place[i]);
          EXPECT_EQ(results[i], i + 1);
          gate_.Add();
        });
  }
  EXPECT_TRUE(Await(kIoLanes));
}

TEST_P(ExecutorContractTest, ManyJobsAreAllDone) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  std::unique_ptr<IoPool> pool = runtime_->MakeIoPool();
  constexpr int kJobs = 500;
  for (int i = 0; i < kJobs; ++i) {
    pool->Submit(
        static_cast<IoLane>(i % kIoLanes), [] {}, executor.get(), [&] { gate_.Add(); });
  }
  EXPECT_TRUE(Await(kJobs));
}

TEST_P(ExecutorContractTest, APoolMayGoWhileJobsAreQueued) {
  std::unique_ptr<Executor> executor = runtime_->MakeExecutor("shard");
  auto captured = std::make_shared<int>(0);
  std::unique_ptr<IoPool> pool = runtime_->MakeIoPool();
  for (int i = 0; i < 100; ++i) {
    pool->Submit(
        IoLane::kRead, [captured] {}, executor.get(), [captured] {});
  }
  pool.reset();
  executor.reset();
  EXPECT_EQ(captured.use_count(), 1);
}

INSTANTIATE_TEST_SUITE_P(Each, ExecutorContractTest, ::testing::ValuesIn(kRuntimes),
                         [](const auto& instance) { return instance.param.name; });

// What only threads can get wrong.
TEST(ThreadExecutorTest, KeepsTheOrderOfEachPoster) {
  Gate gate;
  std::unique_ptr<Executor> executor = MakeThreadExecutor("shard", SystemClock());
  constexpr int kPosters = 4;
  constexpr int kTasks = 5000;
  std::vector<int> next(kPosters, 0);
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&, p] {
      for (int i = 0; i < kTasks; ++i) {
        executor->Post([&, p, i] {
          EXPECT_EQ(next[static_cast<size_t>(p)]++, i);
          if (i == kTasks - 1) gate.Add();
        });
      }
    });
  }
  for (std::thread& poster : posters) poster.join();
  EXPECT_TRUE(gate.WaitFor(kPosters));
}

TEST(ThreadExecutorTest, MayBeDestroyedWhileOthersPost) {
  std::unique_ptr<Executor> worker = MakeThreadExecutor("worker", SystemClock());
  Gate started;
  auto target = MakeThreadExecutor("target", SystemClock());
  std::unique_ptr<IoPool> pool = MakeIoThreadPool(IoPoolOptions());
  for (int i = 0; i < 200; ++i) {
    pool->Submit(
        IoLane::kWrite, [] {}, target.get(), [&] { started.Add(); });
  }
  ASSERT_TRUE(started.WaitFor(1));
  pool.reset();
  target.reset();
}

}  // namespace
}  // namespace catamaran
