// Whole nodes on real threads with RocksDB: what the simulation can't see, races and the real
// store.
#include <stdlib.h>

#include <filesystem>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/raft/driver/log_machine.h"
#include "tests/raft/driver/real_group.h"

namespace catamaran::raft {
namespace {

using std::chrono::seconds;

class DriverThreads : public ::testing::Test {
 protected:
  DriverThreads() {
    std::string pattern = ::testing::TempDir() + "/catamaran-driver-XXXXXX";
    root_ = mkdtemp(pattern.data());
    group_ = std::make_unique<RealGroup>(
        root_, 3, [this] { return std::make_unique<LogMachine>(&committed_, nullptr); });
  }
  ~DriverThreads() override {
    group_.reset();
    std::filesystem::remove_all(root_);
  }

  // Until one is committed; tells who led.
  int CommitSomething(const std::string& what) {
    const MonotonicTime end = SystemClock().Now() + seconds(30);
    for (int attempt = 0; SystemClock().Now() < end; ++attempt) {
      const int leader = group_->AwaitLeader(seconds(30));
      if (leader < 0) return -1;
      if (group_->Propose(leader, absl::StrCat(what, "-", attempt)).ok()) return leader;
    }
    return -1;
  }

  bool AwaitApplied(int index, LogIndex at_least) {
    const MonotonicTime end = SystemClock().Now() + seconds(30);
    while (SystemClock().Now() < end) {
      if (group_->StatusOf(index).applied >= at_least) return true;
    }
    return false;
  }

  std::string root_;
  CommittedLog committed_;
  std::unique_ptr<RealGroup> group_;
};

TEST_F(DriverThreads, AStoppedLeaderIsReplacedAndComesBack) {
  const int first = CommitSomething("first");
  ASSERT_GE(first, 0);
  for (int i = 0; i < 50; ++i) (void)group_->Propose(first, absl::StrCat("load-", i));
  group_->Stop(first);
  const int second = CommitSomething("second");
  ASSERT_GE(second, 0);
  EXPECT_NE(second, first);
  group_->Start(first);
  const int third = CommitSomething("third");
  ASSERT_GE(third, 0);
  const LogIndex commit = group_->StatusOf(third).commit;
  ASSERT_TRUE(AwaitApplied(first, commit));
  EXPECT_EQ(group_->StatusOf(first).start_counter, 2u);
  EXPECT_EQ(committed_.CountOf("load-7"), 1);
}

TEST_F(DriverThreads, ManyInFlightAreAllAnswered) {
  const int leader = CommitSomething("first");
  ASSERT_GE(leader, 0);
  constexpr int kProposals = 2'000;
  Signal all;
  int answered = 0;  // on the leader's executor only
  int committed = 0;
  group_->at(leader).executor->Post([&] {
    for (int i = 0; i < kProposals; ++i) {
      group_->at(leader).node->Propose(Buffer::FromString(absl::StrCat("many-", i)),
                                       [&](const absl::StatusOr<LogPosition>& result) {
                                         committed += result.ok() ? 1 : 0;
                                         if (++answered == kProposals) all.Set();
                                       });
    }
  });
  ASSERT_TRUE(all.Wait(seconds(30)));
  EXPECT_GT(committed, kProposals / 2);
  const LogIndex commit = group_->StatusOf(leader).commit;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(AwaitApplied(i, commit));
}

}  // namespace
}  // namespace catamaran::raft
