#include "tests/sim/sim_broker.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/latched_file_system.h"
#include "tests/sim/sim_network.h"

namespace catamaran::sim {
namespace {

constexpr BrokerId kSelf{1};
constexpr char kMetadataDirectory[] = "metadata";
constexpr size_t kWarningsKept = 100;

}  // namespace

// Everything of one life of the process, in the order made.
struct SimBroker::Life {
  std::unique_ptr<FileSystem> files;
  std::unique_ptr<Executor> rpc;
  std::unique_ptr<Executor> meta;
  std::vector<std::unique_ptr<Executor>> shards;
  std::unique_ptr<IoPool> pool;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<storage::DataDirectory> directory;
  std::unique_ptr<metadata::MetadataLog> log;
  std::unique_ptr<metadata::MetadataService> metadata;
  std::unique_ptr<storage::SyncService> sync;
  std::unique_ptr<broker::BrokerNode> node;
  std::unique_ptr<broker::TopicApi> topics;
  std::unique_ptr<broker::ClusterApi> cluster;
  std::unique_ptr<SimServer> server;
  int64_t epoch = 0;
  std::function<void()> stopped;
};

SimBroker::SimBroker(World* world, SimNetwork* network, const Plan& plan)
    : world_(world),
      network_(network),
      plan_(plan),
      disk_(plan.seed ^ 0x5151515151515151),
      files_(&disk_, plan.sabotage),
      node_(*world, kBrokerHost, plan.broker_node),
      random_(plan.seed + 2) {
  node_.clock().SetDrift(plan.broker_clock_drift_ppm);
  node_.Kill();  // no process yet
}

SimBroker::~SimBroker() {
  if (state_ != State::kDown) Die(Death::kProcessOnly);
}

broker::BrokerNode* SimBroker::broker_node() {
  return life_ != nullptr && (state_ == State::kUp || state_ == State::kStopping)
             ? life_->node.get()
             : nullptr;
}

metadata::MetadataService* SimBroker::metadata() {
  return life_ != nullptr ? life_->metadata.get() : nullptr;
}

void SimBroker::Start(std::function<void(absl::Status)> ready) {
  CATAMARAN_CHECK(state_ == State::kDown, "a machine starts when it is down");
  ++starts_;
  state_ = State::kStarting;
  ready_ = std::move(ready);
  node_.Restart();
  life_ = std::make_unique<Life>();
  absl::Status booted = Boot();
  if (!booted.ok()) Fail(booted);
}

absl::Status SimBroker::Boot() {
  Life& life = *life_;
  life.rpc = node_.MakeExecutor("rpc");
  life.meta = node_.MakeExecutor("meta");
  std::vector<Executor*> shards;
  for (int i = 0; i < plan_.shards; ++i) {
    life.shards.push_back(node_.MakeExecutor(absl::StrCat("shard", i)));
    shards.push_back(life.shards.back().get());
  }
  life.pool = node_.MakeIoPool();
  life.transport = network_->MakeTransport(kBrokerHost);
  life.files = LatchSyncFailures(files_.files());
  FileSystem& files = *life.files;
  CATAMARAN_ASSIGN_OR_RETURN(
      life.directory, storage::DataDirectory::Open(files, {.node = kSelf, .cluster = {}}, random_));
  life.log = metadata::MakeLocalMetadataLog(files, kMetadataDirectory, *life.pool, *life.meta);
  metadata::MetadataServiceOptions options;
  options.controller = kSelf;
  options.snapshot_after_bytes = plan_.snapshot_after_bytes;
  life.metadata = std::make_unique<metadata::MetadataService>(life.meta.get(), life.log.get(),
                                                              random_.Fork(), options);
  CATAMARAN_RETURN_IF_ERROR(life.metadata->Start());
  life.sync = SabotageSync(storage::MakeSyncService(plan_.sync_strategy, files, *life.pool),
                           plan_.sabotage);

  broker::NodeSeams seams;
  seams.clock = &node_.clock();
  seams.fs = &files;
  seams.pool = life.pool.get();
  seams.sync = life.sync.get();
  seams.metadata = life.metadata.get();
  seams.counters = &counters_;
  seams.warn = [this](const std::string& text) {
    world_->Trace(text);
    if (warnings_.size() < kWarningsKept) warnings_.push_back(text);
  };
  broker::NodeOptions node_options;
  node_options.self = kSelf;
  node_options.replicas.free_bytes_min = plan_.free_bytes_min;
  node_options.limits.stream_window_bytes = plan_.stream_window_bytes;
  node_options.seed = random_.Next();
  life.node = std::make_unique<broker::BrokerNode>(seams, shards, node_options);
  life.topics = std::make_unique<broker::TopicApi>(life.metadata.get(), metadata::TopicDefaults());
  life.cluster = std::make_unique<broker::ClusterApi>(
      life.metadata.get(), broker::ClusterApiOptions{.broker = kSelf, .version = "sim"});
  life.server = std::make_unique<SimServer>(
      ServerParts{life.node.get(), life.topics.get(), life.cluster.get(), &node_.clock()},
      life.rpc.get());

  metadata::RegisterBrokerCommand registration;
  registration.broker = kSelf;
  registration.directory = life.directory->identity().directory;
  registration.address = kBrokerAddress;
  registration.cluster = life.directory->identity().cluster;
  life.metadata->Submit(registration, {}, [this](const absl::StatusOr<metadata::Answer>& answer) {
    OnRegistered(answer);
  });
  return absl::OkStatus();
}

void SimBroker::OnRegistered(const absl::StatusOr<metadata::Answer>& answer) {
  if (!answer.ok()) return Fail(answer.status());
  life_->epoch = std::get<metadata::BrokerAnswer>(*answer).epoch;
  life_->node->Start(
      [this](absl::Status status) { life_->rpc->Post([this, status] { OnServing(status); }); });
}

void SimBroker::OnServing(const absl::Status& status) {
  if (!status.ok()) return Fail(status);
  CATAMARAN_CHECK(life_->server->Listen(*life_->transport, kBrokerAddress).ok(),
                  "nobody else listens here");
  state_ = State::kUp;
  if (ready_) std::exchange(ready_, nullptr)(absl::OkStatus());
}

void SimBroker::Fail(const absl::Status& status) {
  state_ = State::kStartFailed;
  world_->Trace(absl::StrCat("the broker can't start: ", std::string(status.message())));
  if (ready_) std::exchange(ready_, nullptr)(status);
}

void SimBroker::Die(Death death) {
  CATAMARAN_CHECK(state_ != State::kDown, "what is down can't die");
  if (death == Death::kPowerLoss) network_->TakeDown(kBrokerHost);
  // Tasks of the dead process must not reach the disk any more; its handles die with the restart.
  if (death == Death::kPowerLoss) disk_.Crash();
  EndLife();
  disk_.Restart(death == Death::kPowerLoss ? SimCrash::kPowerLoss : SimCrash::kProcessOnly);
  if (death == Death::kPowerLoss) network_->BringUp(kBrokerHost);
}

void SimBroker::LosePowerWhileDown() {
  CATAMARAN_CHECK(state_ == State::kDown, "a running broker dies of it");
  disk_.Crash();
  disk_.Restart(SimCrash::kPowerLoss);
}

void SimBroker::EndLife() {
  ready_ = nullptr;
  state_ = State::kDown;
  node_.Kill();
  // Connections first, since they refer to everything else; executors last.
  if (life_ != nullptr) {
    life_->server.reset();
    life_->cluster.reset();
    life_->topics.reset();
    life_->node.reset();
    life_->sync.reset();
    life_->metadata.reset();
    life_->log.reset();
    life_->directory.reset();
    life_.reset();
  }
}

void SimBroker::StopCleanly(std::function<void()> stopped) {
  CATAMARAN_CHECK(state_ == State::kUp, "only a running broker stops");
  state_ = State::kStopping;
  life_->stopped = std::move(stopped);
  life_->server->StopListening();
  life_->node->Stop([this](bool clean) {
    if (!clean) return life_->metadata->Stop([this] { OnStopped(); });
    life_->metadata->Submit(metadata::FenceBrokerCommand{kSelf, life_->epoch}, {},
                            [this](const absl::StatusOr<metadata::Answer>&) {
                              life_->metadata->Stop([this] { OnStopped(); });
                            });
  });
}

// From a task of the broker: the process ends in an event of its own.
void SimBroker::OnStopped() {
  world_->Schedule(world_->Now(), "broker/exit", [this, life = life_.get()] {
    if (life_.get() != life) return;
    std::function<void()> stopped = std::move(life_->stopped);
    EndLife();
    disk_.Restart(SimCrash::kProcessOnly);
    stopped();
  });
}

}  // namespace catamaran::sim
