// Virtual time, nodes and the network: what they do wrong on purpose, and that twins are equal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "base/error.h"
#include "tests/sim/sim_executor.h"
#include "tests/sim/sim_network.h"

namespace catamaran::sim {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

TEST(WorldTest, TimeJumpsToTheNextEvent) {
  World world(1);
  std::vector<int64_t> times;
  for (int h : {3, 1, 2}) {
    world.Schedule(MonotonicTime{hours(h)}, "event", [&] {
      times.push_back(std::chrono::duration_cast<hours>(world.Now().since_start).count());
    });
  }
  EXPECT_TRUE(world.RunUntilIdle(hours(10)));
  EXPECT_THAT(times, ElementsAre(1, 2, 3));
  EXPECT_EQ(world.Now(), MonotonicTime{hours(3)});
  EXPECT_FALSE(world.Step());
}

TEST(WorldTest, RunForEndsExactlyThen) {
  World world(1);
  int ran = 0;
  world.Schedule(MonotonicTime{seconds(1)}, "due", [&] { ++ran; });
  world.Schedule(MonotonicTime{seconds(3)}, "not due", [&] { ++ran; });
  world.RunFor(seconds(2));
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(world.Now(), MonotonicTime{seconds(2)});
  EXPECT_FALSE(world.RunUntil([&] { return ran == 3; }, seconds(5)));
  EXPECT_EQ(world.Now(), MonotonicTime{seconds(7)});
}

TEST(WorldTest, TheSeedOrdersWhatIsDueAtOnce) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    World world(seed);
    std::string order;
    for (char c : {'a', 'b', 'c'}) {
      world.Schedule(MonotonicTime{seconds(1)}, "event", [&order, c] { order.push_back(c); });
    }
    world.RunUntilIdle(seconds(2));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6u);
}

TEST(WorldTest, ObserversSeeEveryEvent) {
  World world(1);
  int seen = 0;
  world.AddObserver([&] { ++seen; });
  for (int i = 0; i < 5; ++i) world.Schedule(MonotonicTime(), "event", [] {});
  EventId cancelled = world.Schedule(MonotonicTime(), "event", [] { FAIL(); });
  EXPECT_TRUE(world.Cancel(cancelled));
  EXPECT_FALSE(world.Cancel(cancelled));
  world.RunUntilIdle(seconds(1));
  EXPECT_EQ(seen, 5);
}

TEST(SimClockTest, DriftsAndJumps) {
  World world(1);
  SimNode node(world, "n1");
  SimClock& clock = node.clock();
  MonotonicTime start = clock.Now();
  TimestampMs wall = clock.WallNow();
  world.RunFor(seconds(10));
  EXPECT_EQ(clock.Now() - start, seconds(10));
  clock.SetDrift(100'000);  // 10 % too fast
  world.RunFor(seconds(10));
  EXPECT_EQ(clock.Now() - start, seconds(21));
  clock.SetDrift(-100'000);
  world.RunFor(seconds(10));
  EXPECT_EQ(clock.Now() - start, seconds(30));
  clock.JumpWall(hours(-1));
  EXPECT_EQ(clock.WallNow() - wall, 30'000 - 3'600'000);
  EXPECT_EQ(clock.Now() - start, seconds(30)) << "the monotonic clock doesn't jump";
}

TEST(SimClockTest, TimersFollowTheNodesClock) {
  World world(1);
  SimNode node(world, "n1");
  std::unique_ptr<Executor> shard = node.MakeExecutor("shard");
  node.clock().SetDrift(-500'000);  // half speed
  bool ran = false;
  MonotonicTime when = node.clock().Now() + seconds(1);
  shard->PostAt(when, [&] { ran = true; });
  world.RunFor(milliseconds(1999));
  EXPECT_FALSE(ran);
  world.RunFor(milliseconds(2));
  EXPECT_TRUE(ran);
  // Slowed down while the timer waits: still not before its time on the node's clock.
  node.clock().SetDrift(0);
  when = node.clock().Now() + seconds(1);
  shard->PostAt(when, [&] { EXPECT_GE(node.clock().Now(), when); });
  node.clock().SetDrift(-500'000);
  world.RunFor(seconds(3));
}

TEST(SimNodeTest, KillDropsEverythingAndAnotherLifeBegins) {
  World world(1);
  SimNode node(world, "n1");
  std::unique_ptr<Executor> shard = node.MakeExecutor("shard");
  std::unique_ptr<IoPool> pool = node.MakeIoPool();
  auto captured = std::make_shared<int>(0);
  auto never = [captured] { FAIL() << "the node is dead"; };
  shard->Post(never);
  shard->PostAt(node.clock().Now() + seconds(1), never);
  pool->Submit(IoLane::kSync, never, shard.get(), never);
  node.Kill();
  EXPECT_FALSE(node.alive());
  EXPECT_EQ(captured.use_count(), 2) << "only `never` itself holds it";
  shard->Post(never);
  pool->Submit(IoLane::kSync, never, shard.get(), never);
  world.RunFor(seconds(2));
  node.Restart();
  std::unique_ptr<Executor> next = node.MakeExecutor("shard");
  bool ran = false;
  next->Post([&] { ran = true; });
  shard->Post(never);
  world.RunFor(seconds(1));
  EXPECT_TRUE(ran);
}

TEST(SimNodeTest, AJobMayBeDoneWithoutItsReplyWhenTheNodeDies) {
  bool seen = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    World world(seed);
    SimNode node(world, "n1");
    std::unique_ptr<Executor> shard = node.MakeExecutor("shard");
    std::unique_ptr<IoPool> pool = node.MakeIoPool();
    bool job = false;
    bool done = false;
    pool->Submit(
        IoLane::kSync, [&] { job = true; }, shard.get(), [&] { done = true; });
    world.RunFor(milliseconds(2));
    node.Kill();
    world.RunFor(seconds(1));
    seen = seen || (job && !done);
  }
  EXPECT_TRUE(seen);
}

TEST(SimNodeTest, APausedNodeRunsNothingAndThenGoesOnInOrder) {
  World world(1);
  SimNode node(world, "n1");
  std::unique_ptr<Executor> shard = node.MakeExecutor("shard");
  std::vector<int> ran;
  node.Pause(seconds(5));
  for (int i = 0; i < 3; ++i) shard->Post([&, i] { ran.push_back(i); });
  shard->PostAt(node.clock().Now() + seconds(1), [&] { ran.push_back(3); });
  world.RunFor(seconds(4));
  EXPECT_TRUE(ran.empty());
  world.RunFor(seconds(2));
  EXPECT_EQ(ran.size(), 4u);
  std::erase(ran, 3);
  EXPECT_THAT(ran, ElementsAre(0, 1, 2));
}

// Two hosts; n1 connects to n2 and each keeps what it gets.
class SimNetworkTest : public ::testing::Test {
 protected:
  SimNetworkTest() {
    auto acceptor = [this](std::unique_ptr<Connection> connection) {
      server_ = std::move(connection);
      ConnectionEvents events;
      events.on_message = [this](Buffer m) { server_got_.push_back(std::string(m.view())); };
      events.on_closed = [this](absl::Status why) {
        server_closed_ = why;
        server_.reset();
      };
      return events;
    };
    listener_ = transport2_->Listen("n2:peer", executor2_.get(), std::move(acceptor)).value();
    ConnectionEvents events;
    events.on_message = [this](Buffer m) { client_got_.push_back(std::string(m.view())); };
    events.on_closed = [this](absl::Status why) {
      client_closed_ = why;
      client_.reset();
    };
    client_ = transport1_->Connect("n2:peer", executor1_.get(), std::move(events));
    EXPECT_TRUE(world_.RunUntil([this] { return server_ != nullptr; }, seconds(1)));
  }

  bool Send(const std::string& text) { return client_->Send(Buffer::Copy(text)).ok(); }

  World world_{21};
  SimNode node1_{world_, "n1"};
  SimNode node2_{world_, "n2"};
  SimNetwork network_{world_};
  std::unique_ptr<Transport> transport1_ = network_.MakeTransport("n1");
  std::unique_ptr<Transport> transport2_ = network_.MakeTransport("n2");
  std::unique_ptr<Executor> executor1_ = node1_.MakeExecutor("shard");
  std::unique_ptr<Executor> executor2_ = node2_.MakeExecutor("shard");
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Connection> client_;
  std::unique_ptr<Connection> server_;
  std::vector<std::string> client_got_;
  std::vector<std::string> server_got_;
  absl::Status client_closed_;
  absl::Status server_closed_;
};

TEST_F(SimNetworkTest, ACutHoldsMessagesAndHealingReleasesThem) {
  network_.Cut("n1", "n2");
  EXPECT_TRUE(Send("a"));
  EXPECT_TRUE(Send("b"));
  EXPECT_TRUE(server_->Send(Buffer::Copy("the other way is open")).ok());
  world_.RunFor(seconds(300));
  EXPECT_TRUE(server_got_.empty());
  EXPECT_EQ(client_got_.size(), 1u);
  network_.Heal("n1", "n2");
  world_.RunFor(seconds(1));
  EXPECT_THAT(server_got_, ElementsAre("a", "b"));
}

TEST_F(SimNetworkTest, AClogDelays) {
  network_.Clog("n1", "n2", seconds(10));
  EXPECT_TRUE(Send("a"));
  world_.RunFor(seconds(9));
  EXPECT_TRUE(server_got_.empty());
  world_.RunFor(seconds(2));
  EXPECT_THAT(server_got_, ElementsAre("a"));
}

TEST_F(SimNetworkTest, AResetTellsBothEndsAndLosesWhatIsUnderWay) {
  network_.SetLink("n1", "n2", {.delay_min = seconds(1), .delay_max = seconds(1)});
  EXPECT_TRUE(Send("lost"));
  network_.Break("n2", "n1", SimBreak::kReset);
  world_.RunFor(seconds(5));
  EXPECT_TRUE(server_got_.empty());
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
  EXPECT_TRUE(absl::IsUnavailable(server_closed_)) << server_closed_;
}

TEST_F(SimNetworkTest, AHalfOpenConnectionSwallowsMessages) {
  network_.Break("n2", "n1", SimBreak::kHalfOpen);
  world_.RunFor(seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(server_closed_)) << server_closed_;
  EXPECT_TRUE(Send("into the void"));
  world_.RunFor(hours(1));
  EXPECT_TRUE(client_closed_.ok()) << "nobody tells this side";
  EXPECT_TRUE(server_got_.empty());
}

TEST_F(SimNetworkTest, AHostWithoutPowerIsSilent) {
  EXPECT_TRUE(Send("under way"));
  network_.TakeDown("n2");
  EXPECT_TRUE(Send("too late"));
  world_.RunFor(seconds(10));
  EXPECT_TRUE(server_got_.empty());
  EXPECT_TRUE(client_closed_.ok()) << "nobody tells this side";
  network_.BringUp("n2");
  EXPECT_TRUE(Send("still on the old connection"));
  world_.RunFor(seconds(10));
  EXPECT_TRUE(server_got_.empty());
}

TEST_F(SimNetworkTest, ADyingProcessClosesItsConnections) {
  node2_.Kill();
  server_.reset();
  listener_.reset();
  executor2_.reset();
  world_.RunFor(seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(client_closed_)) << client_closed_;
}

TEST_F(SimNetworkTest, AProcessThatDiesBeforeItAcceptedHearsNothing) {
  node2_.Pause(seconds(5));
  absl::Status closed;
  ConnectionEvents events;
  events.on_closed = [&closed](absl::Status why) { closed = why; };
  std::unique_ptr<Connection> late =
      transport1_->Connect("n2:peer", executor1_.get(), std::move(events));
  world_.RunFor(seconds(1));  // there, and not accepted
  node2_.Kill();
  server_.reset();
  listener_.reset();
  executor2_.reset();
  EXPECT_TRUE(late->Send(Buffer::Copy("to nobody")).ok());
  world_.RunFor(seconds(1));
  EXPECT_TRUE(absl::IsUnavailable(closed)) << closed;
}

TEST_F(SimNetworkTest, RandomResetsHappen) {
  network_.SetLink("n1", "n2", {.reset_probability = 1});
  EXPECT_TRUE(Send("x"));
  world_.RunFor(seconds(1));
  EXPECT_FALSE(client_closed_.ok());
  EXPECT_FALSE(server_closed_.ok());
}

// A small cluster in which nodes chatter, crash, pause and lose each other, twice from one seed.
uint64_t RunChatter(uint64_t seed) {
  World world(seed);
  SimNetwork network(world, {.reset_probability = 0.01});
  struct Peer {
    std::unique_ptr<SimNode> node;
    std::unique_ptr<Transport> transport;
    std::unique_ptr<Executor> executor;
    std::unique_ptr<Listener> listener;
    std::vector<std::unique_ptr<Connection>> accepted;
    std::unique_ptr<Connection> out;
  };
  constexpr int kPeers = 4;
  std::vector<Peer> peers(kPeers);
  auto start = [&](int i) {
    Peer& peer = peers[static_cast<size_t>(i)];
    std::string name = "n" + std::to_string(i);
    peer.executor = peer.node->MakeExecutor("shard");
    auto acceptor = [&world, &peer](std::unique_ptr<Connection> connection) {
      Connection* back = connection.get();
      peer.accepted.push_back(std::move(connection));
      ConnectionEvents events;
      events.on_message = [&world, back](Buffer m) {
        world.Trace(m.view());
        (void)back->Send(m);
      };
      return events;
    };
    peer.listener = peer.transport->Listen(name, peer.executor.get(), std::move(acceptor)).value();
    peer.out = peer.transport->Connect("n" + std::to_string((i + 1) % kPeers), peer.executor.get(),
                                       ConnectionEvents());
    for (int k = 0; k < 5; ++k) {
      (void)peer.out->Send(Buffer::FromString(name + ":" + std::to_string(k)));
    }
  };
  auto stop = [&](int i) {
    Peer& peer = peers[static_cast<size_t>(i)];
    peer.node->Kill();
    peer.accepted.clear();
    peer.out.reset();
    peer.listener.reset();
    peer.executor.reset();
  };
  for (int i = 0; i < kPeers; ++i) {
    std::string name = "n" + std::to_string(i);
    peers[static_cast<size_t>(i)].node = std::make_unique<SimNode>(world, name);
    peers[static_cast<size_t>(i)].transport = network.MakeTransport(name);
    start(i);
  }
  for (int round = 0; round < 100; ++round) {
    int victim = static_cast<int>(world.random().Below(kPeers));
    std::string name = "n" + std::to_string(victim);
    stop(victim);
    peers[static_cast<size_t>(victim)].node->Restart();
    world.RunFor(microseconds(world.random().Between(0, 3000)));
    start(victim);
    if (world.random().OneIn(4)) network.Cut(name, "n0");
    if (world.random().OneIn(4)) network.HealAll();
    peers[0].node->Pause(microseconds(world.random().Between(0, 1000)));
    world.RunFor(milliseconds(1));
  }
  network.HealAll();
  world.RunFor(seconds(1));
  uint64_t hash = world.trace_hash();
  for (int i = 0; i < kPeers; ++i) stop(i);
  return hash;
}

TEST(TwinTest, TheSameSeedGivesTheSameTrace) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    uint64_t hash = RunChatter(seed);
    EXPECT_EQ(RunChatter(seed), hash) << seed;
    hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 5u) << "different seeds give different traces";
}

}  // namespace
}  // namespace catamaran::sim
