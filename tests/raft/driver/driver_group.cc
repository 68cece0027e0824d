#include "tests/raft/driver/driver_group.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::raft {

DriverGroup::DriverGroup(uint64_t seed) : world(seed), network(world) {
  core.snapshot_after_entries = 200;
  core.entries_kept = 20;
  core.snapshot_chunk_bytes_max = 1'500;
}

DriverGroup::~DriverGroup() {
  for (auto& replica : replicas) {
    if (replica->up()) Kill(*replica);
  }
}

SimReplica& DriverGroup::AddReplica(int node, std::vector<FounderSeed> founders,
                                    std::vector<std::string> seeds) {
  auto replica = std::make_unique<SimReplica>();
  replica->node = BrokerId(node);
  replica->id = {BrokerId(node), DirectoryId{world.random().NextUuid()}};
  replica->host = absl::StrCat("h", ++last_host_);
  replica->disk = std::make_unique<SimStoreDisk>(world.random().Next());
  replica->founders = std::move(founders);
  replica->seeds = std::move(seeds);
  replica->process = std::make_unique<sim::SimNode>(world, absl::StrCat("n", last_host_));
  replica->process->Kill();
  replicas.push_back(std::move(replica));
  return *replicas.back();
}

void DriverGroup::AddFounders(int count) {
  std::vector<FounderSeed> founders;
  for (int i = 1; i <= count; ++i) {
    founders.push_back({BrokerId(i), {absl::StrCat("h", last_host_ + i, ":raft")}});
  }
  for (int i = 1; i <= count; ++i) AddReplica(i, founders, {});
}

void DriverGroup::StartAll() {
  for (auto& replica : replicas) {
    if (!replica->up()) Start(*replica);
  }
}

void DriverGroup::Start(SimReplica& replica) {
  ASSERT_FALSE(replica.up());
  replica.process->Restart();
  replica.disk->Restart();
  network.BringUp(replica.host);
  Boot(replica);
}

void DriverGroup::Boot(SimReplica& replica) {
  replica.failure = absl::OkStatus();
  replica.transport = network.MakeTransport(replica.host);
  replica.executor = replica.process->MakeExecutor("raft");
  replica.pool = replica.process->MakeIoPool();
  replica.machine = std::make_unique<LogMachine>(&committed, [this, &replica](Task task) {
    const Duration delay(world.random().Between(0, 200'000));
    replica.executor->PostAt(replica.process->clock().Now() + delay, std::move(task));
  });
  RaftNodeOptions options;
  options.self = replica.id;
  options.listen_endpoint = replica.host + ":raft";
  options.founders = replica.founders;
  options.seeds = replica.seeds;
  options.core = core;
  options.keeper = keeper;
  options.automatic_quorum = automatic_quorum;
  options.random_seed = world.random().Next();
  // A store that was cut off before it had anything counts as none: it has promised nothing.
  options.open_store = [&replica]() -> absl::StatusOr<std::unique_ptr<LogStore>> {
    absl::StatusOr<std::unique_ptr<LogStore>> store =
        replica.disk->Open({ClusterId(), replica.id}, !replica.disk_used);
    if (store.ok()) replica.disk_used = true;
    return store;
  };
  options.on_failed = [&replica](const absl::Status& why) { replica.failure = why; };
  options.executor = replica.executor.get();
  options.pool = replica.pool.get();
  options.clock = &replica.process->clock();
  options.transport = replica.transport.get();
  replica.raft = std::make_unique<RaftNode>(std::move(options), replica.machine.get());
  replica.executor->Post([raft = replica.raft.get()] { raft->Start(); });
}

void DriverGroup::TearDown(SimReplica& replica) {
  replica.process->Kill();
  replica.raft.reset();
  replica.machine.reset();
  replica.pool.reset();
  replica.executor.reset();
  replica.transport.reset();
}

void DriverGroup::Kill(SimReplica& replica) { TearDown(replica); }

void DriverGroup::PowerCut(SimReplica& replica) {
  replica.disk->Crash();
  network.TakeDown(replica.host);
  TearDown(replica);
}

void DriverGroup::Wipe(SimReplica& replica) {
  ASSERT_FALSE(replica.up());
  replica.id.directory = DirectoryId{world.random().NextUuid()};
  replica.disk = std::make_unique<SimStoreDisk>(world.random().Next());
  replica.disk_used = false;
}

void DriverGroup::Move(SimReplica& replica) {
  ASSERT_FALSE(replica.up());
  replica.host = absl::StrCat("h", ++last_host_);
}

SimReplica& DriverGroup::Clone(const SimReplica& from) {
  SimReplica& clone = AddReplica(from.node.value(), from.founders, from.seeds);
  clone.id = from.id;
  *clone.disk = *from.disk;
  clone.disk_used = from.disk_used;
  return clone;
}

void DriverGroup::Isolate(const SimReplica& replica, bool isolated) {
  for (const auto& other : replicas) {
    if (other.get() == &replica) continue;
    for (const auto& [from, to] :
         {std::pair(replica.host, other->host), std::pair(other->host, replica.host)}) {
      if (isolated) {
        network.Cut(from, to);
      } else {
        network.Heal(from, to);
      }
    }
  }
}

bool DriverGroup::Await(const std::function<bool()>& done, Duration limit) {
  return world.RunUntil(done, limit);
}

SimReplica* DriverGroup::Leader() {
  SimReplica* best = nullptr;
  for (auto& replica : replicas) {
    if (!replica->up() || replica->raft->core() == nullptr || !replica->failure.ok()) continue;
    const Raft& raft = *replica->raft->core();
    if (raft.role() != RoleName::kLeader) continue;
    if (best == nullptr || raft.term() > best->raft->core()->term()) best = replica.get();
  }
  return best;
}

bool DriverGroup::Converged() {
  SimReplica* leader = Leader();
  if (leader == nullptr) return false;
  const Raft& raft = *leader->raft->core();
  if (raft.commit() != raft.log().last()) return false;
  if (leader->machine->last_applied() != raft.commit()) return false;
  for (auto& replica : replicas) {
    if (!replica->up() || !replica->failure.ok()) continue;
    if (replica->machine->last_applied() != raft.commit()) return false;
    const auto& here = replica->machine->commands();
    const auto& there = leader->machine->commands();
    const auto differ = std::mismatch(here.begin(), here.end(), there.begin(), there.end());
    EXPECT_EQ(here.size(), there.size()) << "at node " << replica->node.value();
    EXPECT_EQ(differ.first - here.begin(), std::ssize(here)) << "the first command that differs";
  }
  return true;
}

void DriverGroup::Propose(SimReplica& replica) {
  const std::string command = absl::StrCat("c", ++last_command_, std::string(50, '.'));
  replica.executor->Post([this, command, raft = replica.raft.get()] {
    raft->Propose(Buffer::Copy(command), [this, command](absl::StatusOr<LogPosition> result) {
      if (result.ok()) {
        ++acknowledged;
        acked_.insert(command);
        acknowledged_through_ = std::max(acknowledged_through_, result->index);
      } else if (OutcomeOf(result.status()) == Outcome::kRejected) {
        ++rejected;
        refused_.insert(command);
      } else {
        ++unknown;
      }
    });
  });
}

void DriverGroup::Read(SimReplica& replica) {
  replica.executor->Post([this, &replica, raft = replica.raft.get()] {
    raft->ReadIndex(
        [this, &replica, before = acknowledged_through_](absl::StatusOr<LogIndex> index) {
          if (!index.ok()) return;
          ++reads;
          EXPECT_GE(*index, before) << "R17: all that was acknowledged before the read";
          EXPECT_GE(replica.machine->last_applied(), *index);
        });
  });
}

bool DriverGroup::AwaitProgress(Duration limit) {
  const int before = acknowledged;
  const MonotonicTime end = world.Now() + limit;
  while (world.Now() < end) {
    if (SimReplica* leader = Leader()) Propose(*leader);
    world.RunFor(std::chrono::milliseconds(100));
    if (acknowledged > before) return true;
  }
  return false;
}

void DriverGroup::CheckOutcomes() {
  for (const std::string& command : acked_) EXPECT_EQ(committed.CountOf(command), 1) << command;
  for (const std::string& command : refused_) EXPECT_EQ(committed.CountOf(command), 0) << command;
}

}  // namespace catamaran::raft
