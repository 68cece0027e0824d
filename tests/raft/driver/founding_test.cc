// The first start of a cluster, step by step, and at random: two clusters never come of one list.
#include "raft/driver/founding.h"

#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace catamaran::raft {
namespace {

constexpr MonotonicTime kNow{std::chrono::seconds(1)};

ReplicaId Id(int node, uint64_t directory = 1) {
  return {BrokerId(node), DirectoryId{Uuid::FromRandom(directory, static_cast<uint64_t>(node))}};
}
std::vector<FounderSeed> List(int nodes) {
  std::vector<FounderSeed> list;
  for (int i = 1; i <= nodes; ++i) list.push_back({BrokerId(i), {}});
  return list;
}

// One directory, with what it has durably.
struct Directory {
  ReplicaId id;
  FoundingStart stored;
  std::unique_ptr<Founding> founding;  // null while it's down
  bool started = false;                // of its life: then its term is above 0

  void Boot(const std::vector<FounderSeed>& list, uint64_t seed) {
    founding = std::make_unique<Founding>(FoundingConfig{{id, {}}, list, {}}, stored, Random(seed));
  }
  Report MakeReport() const {
    Report report;
    report.state = started ? FoundingState::kStarted : founding->state();
    report.cluster = stored.cluster;
    for (BrokerId node : founding->founders()) report.founders.push_back(node);
    return report;
  }
  // Does what it's told to, durably; what it would send comes back.
  std::vector<AskPledge> Run(MonotonicTime now) {
    std::vector<AskPledge> asks;
    bool wrote = true;
    while (wrote && !started) {
      wrote = false;
      asks.clear();
      for (FoundingAction& action : founding->Next(now)) {
        if (auto* adopt = std::get_if<AdoptCluster>(&action)) {
          EXPECT_TRUE(stored.cluster.uuid.is_nil() || stored.cluster == adopt->cluster);
          stored.cluster = adopt->cluster;
          founding->OnAdopted(adopt->cluster);
          wrote = true;
        } else if (auto* write = std::get_if<WriteMembership>(&action)) {
          EXPECT_TRUE(stored.membership.voters.empty());
          stored.membership = write->membership;
          founding->OnMembershipWritten(write->membership);
          wrote = true;
        } else if (auto* ask = std::get_if<AskPledge>(&action)) {
          asks.push_back(*ask);
        } else {
          started = true;
        }
      }
    }
    return asks;
  }
};

class Founders {
 public:
  explicit Founders(int nodes) : list_(List(nodes)) {
    for (int i = 1; i <= nodes; ++i) Add(Id(i));
  }
  Directory& Add(ReplicaId id) {
    directories_.push_back(std::make_unique<Directory>());
    directories_.back()->id = id;
    directories_.back()->Boot(list_, directories_.size());
    return *directories_.back();
  }
  Directory& at(int index) { return *directories_[static_cast<size_t>(index)]; }
  size_t size() const { return directories_.size(); }
  const std::vector<FounderSeed>& list() const { return list_; }

  void Tell(int from, int to, MonotonicTime now = kNow) {
    if (at(from).founding == nullptr || at(to).founding == nullptr) return;
    at(to).founding->OnReport(now, at(from).id, {}, at(from).MakeReport());
  }
  void TellAll() {
    for (int from = 0; from < static_cast<int>(size()); ++from) {
      for (int to = 0; to < static_cast<int>(size()); ++to) {
        if (from != to) Tell(from, to);
      }
    }
  }
  std::vector<AskPledge> RunAll() {
    std::vector<AskPledge> asks;
    for (auto& directory : directories_) {
      if (directory->founding == nullptr) continue;
      for (AskPledge& ask : directory->Run(kNow)) asks.push_back(std::move(ask));
    }
    return asks;
  }
  void Deliver(const AskPledge& ask, const ReplicaId& from) {
    for (auto& directory : directories_) {
      if (directory->id != ask.to || directory->founding == nullptr) continue;
      directory->founding->OnPledge(from, ask.pledge);
      directory->Run(kNow);
    }
  }

 private:
  const std::vector<FounderSeed> list_;
  std::vector<std::unique_ptr<Directory>> directories_;
};

TEST(Founding, ASoleVoterStartsAtOnce) {
  Founders one(1);
  one.RunAll();
  EXPECT_TRUE(one.at(0).started);
  EXPECT_EQ(one.at(0).stored.membership.voters.size(), 1u);
}

TEST(Founding, AllPledgeBeforeAnybodyStarts) {
  Founders three(3);
  three.Tell(1, 0);
  EXPECT_TRUE(three.RunAll().empty()) << "node 3 is missing";
  EXPECT_TRUE(three.at(0).stored.cluster.uuid.is_nil());
  three.TellAll();
  const std::vector<AskPledge> asks = three.RunAll();
  ASSERT_EQ(asks.size(), 2u);
  EXPECT_EQ(three.at(0).stored.membership.voters.size(), 3u);
  three.Deliver(asks[0], Id(1));
  three.TellAll();
  three.RunAll();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(three.at(i).started) << "node 3 hasn't pledged";
  three.Deliver(asks[1], Id(1));
  three.TellAll();
  three.RunAll();
  EXPECT_TRUE(three.at(0).started);
  EXPECT_FALSE(three.at(1).started) << "nobody told it";
  three.TellAll();
  three.RunAll();
  EXPECT_TRUE(three.at(1).started && three.at(2).started);
  EXPECT_EQ(three.at(1).stored.membership, three.at(0).stored.membership);
}

TEST(Founding, ADifferentListIsNamed) {
  Founders three(3);
  three.at(2).Boot(List(5), 9);
  three.TellAll();
  EXPECT_TRUE(three.RunAll().empty());
  EXPECT_NE(three.at(0).founding->status().find("another list"), std::string::npos);
}

TEST(Founding, AWipedFounderJoinsWhatItHasFounded) {
  Founders three(3);
  for (int round = 0; round < 4; ++round) {
    three.TellAll();
    for (const AskPledge& ask : three.RunAll()) three.Deliver(ask, Id(1));
  }
  ASSERT_TRUE(three.at(2).started);
  const ClusterId cluster = three.at(0).stored.cluster;
  three.at(0).id = Id(1, 2);
  three.at(0).stored = {};
  three.at(0).started = false;
  three.at(0).Boot(three.list(), 5);
  three.TellAll();
  three.RunAll();
  EXPECT_TRUE(three.at(0).started);
  EXPECT_EQ(three.at(0).stored.cluster, cluster);
  EXPECT_TRUE(three.at(0).stored.membership.voters.empty()) << "a learner to be, not a voter";
}

// Reports and pledges late, twice and lost; restarts; wipes; a second process as node 1. One node
// of the list, whichever, keeps its one directory: the promise is void when all of them are
// replaced.
TEST(Founding, NeverTwoClustersOfOneListAtRandom) {
  int started_runs = 0;
  for (uint64_t seed = 1; seed <= 3'000; ++seed) {
    Random random(seed);
    Founders group(static_cast<int>(random.Between(1, 5)));
    const bool harsh = random.OneIn(2);  // wipes, and node 1 twice
    const auto spared = static_cast<int32_t>(1 + random.Below(group.list().size()));
    if (harsh && spared != 1 && random.OneIn(2)) group.Add(Id(1, 77));
    std::vector<std::pair<ReplicaId, AskPledge>> flying;
    std::set<ClusterId> started;
    for (int step = 0; step < 400; ++step) {
      const int at = static_cast<int>(random.Below(group.size()));
      Directory& directory = group.at(at);
      switch (random.Below(8)) {
        case 0:  // restart, perhaps before what it heard was served
          directory.Boot(group.list(), random.Next());
          break;
        case 1:
          if (!harsh || directory.id.node == BrokerId(spared) || !random.OneIn(20)) break;
          directory.id = Id(directory.id.node.value(), random.Next());
          directory.stored = {};
          directory.started = false;
          directory.Boot(group.list(), random.Next());
          break;
        case 2:
          if (flying.empty()) break;
          {
            const auto [from, ask] = flying[random.Below(flying.size())];  // perhaps again
            group.Deliver(ask, from);
          }
          break;
        default:
          group.Tell(static_cast<int>(random.Below(group.size())), at);
          for (AskPledge& ask : directory.Run(kNow)) flying.emplace_back(directory.id, ask);
      }
      if (directory.started) started.insert(directory.stored.cluster);
      ASSERT_LE(started.size(), 1u) << "seed " << seed;
    }
    started_runs += started.empty() ? 0 : 1;
  }
  EXPECT_GT(started_runs, 1'500) << "else nothing was tested";
}

}  // namespace
}  // namespace catamaran::raft
