// Three or more RaftNodes on real threads, the loopback transport and RocksDB in a directory: for
// the test and the bench.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/loopback_transport.h"
#include "base/mutex.h"
#include "base/thread_executor.h"
#include "raft/driver/raft_node.h"
#include "raft/store/rocks_log_store.h"

namespace catamaran::raft {

struct RealReplica {
  ReplicaId id;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<IoPool> pool;
  std::unique_ptr<StateMachine> machine;
  std::unique_ptr<RaftNode> node;
  bool used = false;  // the store was made
  bool up() const { return node != nullptr; }
};

// What a thread waits for; never with a sleep. It may go as soon as Wait has returned, though Set
// is still on its way out.
class Signal {
 public:
  void Set() {
    const std::shared_ptr<State> state = state_;
    MutexLock lock(&state->mu);
    state->set = true;
    state->changed.SignalAll();
  }
  bool Wait(Duration limit) {
    const MonotonicTime end = SystemClock().Now() + limit;
    MutexLock lock(&state_->mu);
    while (!state_->set) {
      const Duration left = end - SystemClock().Now();
      if (left <= Duration(0)) return false;
      state_->changed.WaitFor(&state_->mu, left);
    }
    return true;
  }

 private:
  struct State {
    Mutex mu;
    CondVar changed;
    bool set ABSL_GUARDED_BY(mu) = false;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class RealGroup {
 public:
  using MakeMachine = std::function<std::unique_ptr<StateMachine>()>;

  // Below `directory`, which must exist.
  RealGroup(std::string directory, int count, MakeMachine make_machine)
      : directory_(std::move(directory)),
        make_machine_(std::move(make_machine)),
        transport_(MakeLoopbackTransport(kConnectionSendBytesMaxDefault)) {
    for (int i = 1; i <= count; ++i) founders_.push_back({BrokerId(i), {Endpoint(i)}});
    for (int i = 1; i <= count; ++i) {
      replicas_.push_back(std::make_unique<RealReplica>());
      replicas_.back()->id = {BrokerId(i),
                              DirectoryId{Uuid::FromRandom(77, static_cast<uint64_t>(i))}};
      Start(i - 1);
    }
  }
  ~RealGroup() {
    for (int i = 0; i < size(); ++i) {
      if (at(i).up()) Stop(i);
    }
  }

  int size() const { return static_cast<int>(replicas_.size()); }
  RealReplica& at(int index) { return *replicas_[static_cast<size_t>(index)]; }

  void Start(int index) {
    RealReplica& replica = at(index);
    replica.executor = MakeThreadExecutor(absl::StrCat("raft-", index + 1), SystemClock());
    replica.pool = MakeIoThreadPool({});
    replica.machine = make_machine_();
    RaftNodeOptions options;
    options.self = replica.id;
    options.listen_endpoint = Endpoint(index + 1);
    options.founders = founders_;
    options.automatic_quorum = false;
    options.random_seed = static_cast<uint64_t>(index) + 1;
    const std::string path = absl::StrCat(directory_, "/raft-", index + 1);
    options.open_store = [path, id = replica.id, create = !replica.used] {
      RocksStoreOptions store;
      store.path = path;
      store.identity = {ClusterId(), id};
      store.create_if_missing = create;
      return OpenRocksLogStore(store);
    };
    replica.used = true;
    options.executor = replica.executor.get();
    options.pool = replica.pool.get();
    options.clock = &SystemClock();
    options.transport = transport_.get();
    replica.node = std::make_unique<RaftNode>(std::move(options), replica.machine.get());
    replica.executor->Post([node = replica.node.get()] { node->Start(); });
  }

  void Stop(int index) {
    RealReplica& replica = at(index);
    Signal stopped;
    replica.executor->Post([&] { replica.node->Stop([&] { stopped.Set(); }); });
    stopped.Wait(std::chrono::seconds(30));
    Signal gone;
    replica.executor->Post([&] {
      replica.node.reset();
      gone.Set();
    });
    gone.Wait(std::chrono::seconds(30));
    replica.pool.reset();
    replica.executor.reset();
    replica.machine.reset();
  }

  RaftNodeStatus StatusOf(int index) {
    RaftNodeStatus status;
    Signal done;
    at(index).executor->Post([&] {
      status = at(index).node->status();
      done.Set();
    });
    done.Wait(std::chrono::seconds(30));
    return status;
  }

  // Who leads; -1: nobody within `limit`. Asks again as soon as it has been answered.
  int AwaitLeader(Duration limit) {
    const MonotonicTime end = SystemClock().Now() + limit;
    while (SystemClock().Now() < end) {
      for (int i = 0; i < size(); ++i) {
        if (at(i).up() && StatusOf(i).role == RoleName::kLeader) return i;
      }
    }
    return -1;
  }

  absl::StatusOr<LogPosition> Propose(int index, std::string payload) {
    absl::StatusOr<LogPosition> result = absl::UnknownError("no answer");
    Signal done;
    at(index).executor->Post([&] {
      at(index).node->Propose(Buffer::FromString(std::move(payload)),
                              [&](absl::StatusOr<LogPosition> answer) {
                                result = std::move(answer);
                                done.Set();
                              });
    });
    done.Wait(std::chrono::seconds(30));
    return result;
  }

 private:
  static std::string Endpoint(int node) { return absl::StrCat("node-", node); }

  const std::string directory_;
  const MakeMachine make_machine_;
  const std::unique_ptr<Transport> transport_;
  std::vector<FounderSeed> founders_;
  std::vector<std::unique_ptr<RealReplica>> replicas_;
};

}  // namespace catamaran::raft
