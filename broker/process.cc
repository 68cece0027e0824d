#include "broker/process.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_system.h"
#include "base/latched_file_system.h"
#include "base/mutex.h"
#include "base/random.h"
#include "base/thread_executor.h"
#include "broker/heartbeat.h"
#include "broker/http.h"
#include "broker/listen.h"
#include "broker/logging.h"
#include "broker/metrics_export.h"
#include "broker/node.h"
#include "broker/rpc/server.h"
#include "broker/sync_meter.h"
#include "broker/version.h"
#include "grpc/support/log.h"
#include "metadata/metadata_log.h"
#include "metadata/metadata_service.h"
#include "metadata/text.h"
#include "storage/data_directory.h"
#include "storage/sync_service.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

constexpr int kShardsMax = 64;
constexpr Duration kStartTimeout =
    std::chrono::minutes(10);  // of recovery, which /startupz reports
// Calls that were answered by the stopping node need only be sent.
constexpr Duration kRpcGrace = std::chrono::milliseconds(500);
constexpr Duration kInterruptInterval = std::chrono::milliseconds(100);
constexpr const char* kMetadataDirectory = "metadata";

// One event that another thread waits for.
class Latch {
 public:
  void Set(absl::Status status = absl::OkStatus()) {
    MutexLock lock(&mu_);
    set_ = true;
    status_ = std::move(status);
    condition_.SignalAll();
  }
  // kDeadlineExceeded when it wasn't set by `deadline`, kCancelled when `interrupted` (which may be
  // null) said so.
  absl::Status WaitUntil(MonotonicTime deadline,
                         const std::function<bool()>& interrupted = nullptr) {
    MutexLock lock(&mu_);
    while (!set_) {
      if (interrupted && interrupted()) {
        return MakeError(Reason::kCancelled, "The start was interrupted.");
      }
      Duration left = deadline - SystemClock().Now();
      if (left <= Duration(0)) {
        return MakeError(Reason::kDeadlineExceeded, "It took too long.");
      }
      condition_.WaitFor(&mu_, std::min(left, kInterruptInterval));
    }
    return status_;
  }

 private:
  Mutex mu_;
  CondVar condition_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

storage::SyncStrategy StrategyOf(std::string_view name) {
  if (name == "fdatasync") return storage::SyncStrategy::kFdatasync;
  return name == "syncfs" ? storage::SyncStrategy::kSyncfs : storage::SyncStrategy::kAdaptive;
}

double ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  double resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// gRPC's own errors, most of which any client can cause, as lines of our log: at most one a second,
// so that they don't crowd out what matters.
void LogGrpcError(gpr_log_func_args* args) {
  static std::atomic<int64_t> next_at{0};
  if (args->severity != GPR_LOG_SEVERITY_ERROR) return;
  const int64_t now = SystemClock().Now().since_start.count();
  int64_t at = next_at.load();
  const int64_t second = Duration(std::chrono::seconds(1)).count();
  if (now < at || !next_at.compare_exchange_strong(at, now + second)) return;
  Log(LogLevel::kWarning, "grpc", args->message);
}

bool IsWildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

HostPort AdvertisedAddress(const BrokerConfig& config, const HostPort& listening) {
  HostPort address = listening;
  if (!config.advertised_client.empty()) {
    address = *ParseHostPort(config.advertised_client);
    if (address.port == 0) address.port = listening.port;
  } else if (IsWildcard(listening.host)) {
    char name[256] = "localhost";
    if (gethostname(name, sizeof(name) - 1) == 0) address.host = name;
  }
  return address;
}

class BrokerProcessImpl final : public BrokerProcess {
 public:
  BrokerProcessImpl(const BrokerConfig& config, std::function<bool()> interrupted)
      : config_(config), interrupted_(std::move(interrupted)) {}

  ~BrokerProcessImpl() override {
    http_.reset();
    rpc_.reset();
    // From here on nothing runs: first the pool, whose jobs post their ends to the executors, then
    // the executor that posts deltas to the shards. So the node may go though a failed start never
    // stopped it.
    pool_.reset();
    metadata_executor_.reset();
    shards_.clear();
    node_.reset();
  }

  absl::Status Run();
  bool Stop(Duration timeout) override;
  HostPort client_address() const override { return client_address_; }
  HostPort http_address() const override { return http_address_; }

 private:
  absl::Status OpenDirectory();
  absl::Status StartMetadata();
  absl::Status CheckMetadataIsThere();
  absl::Status StartHttp();
  absl::Status StartNode();
  absl::Status Register();
  void CountPartitions();
  NodeOptions MakeNodeOptions() const;
  RpcOptions MakeRpcOptions() const;
  std::vector<SampledGauge> MakeGauges();
  std::vector<ProbeCheck> Live() const;
  std::vector<ProbeCheck> Started() const;
  std::vector<ProbeCheck> Ready() const;
  bool StopSteps(MonotonicTime deadline);

  const BrokerConfig config_;
  const std::function<bool()> interrupted_;
  Random random_{RandomSeedFromSystem()};
  Counters counters_;
  Heartbeats heartbeats_{&SystemClock()};
  std::atomic<bool> metadata_loaded_{false};
  std::atomic<bool> recovered_{false};
  std::atomic<bool> stopping_{false};
  int64_t broker_epoch_ = 0;
  HostPort client_address_;
  HostPort http_address_;

  // In the order made.
  std::unique_ptr<FileSystem> disk_;
  std::unique_ptr<FileSystem> fs_;  // disk_, until a sync fails
  std::unique_ptr<storage::DataDirectory> directory_;
  std::unique_ptr<IoPool> pool_;
  std::unique_ptr<Executor> metadata_executor_;
  std::unique_ptr<metadata::MetadataLog> metadata_log_;
  std::unique_ptr<metadata::MetadataService> metadata_;
  std::vector<std::unique_ptr<Executor>> shards_;
  std::unique_ptr<RoundMeter> round_meter_;
  std::unique_ptr<storage::SyncService> sync_;
  std::unique_ptr<BrokerNode> node_;
  std::unique_ptr<TopicApi> topic_api_;
  std::unique_ptr<ClusterApi> cluster_api_;
  std::unique_ptr<MetricsExport> metrics_;
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<HttpServer> http_;
};

absl::Status BrokerProcessImpl::OpenDirectory() {
  std::error_code error;
  std::filesystem::create_directories(config_.data_directory, error);
  if (error) {
    return MakeError(Reason::kInvalidConfig,
                     Cat("The data directory '", config_.data_directory, "' can't be made: ",
                         error.message(), ". Make it, or set data.directory to another one."),
                     {{"directory", config_.data_directory}});
  }
  CATAMARAN_ASSIGN_OR_RETURN(disk_, OpenPosixFileSystem(config_.data_directory));
  fs_ = LatchSyncFailures(disk_.get());
  storage::DataDirectory::Expectation expected;
  expected.node = BrokerId(static_cast<int32_t>(config_.node_id));
  if (!config_.cluster_id.empty())
    expected.cluster = ClusterId{*Uuid::FromString(config_.cluster_id)};
  CATAMARAN_ASSIGN_OR_RETURN(directory_, storage::DataDirectory::Open(*fs_, expected, random_));
  return absl::OkStatus();
}

absl::Status BrokerProcessImpl::StartMetadata() {
  IoPoolOptions pool;
  int threads = static_cast<int>(config_.io_threads);
  for (IoLane lane : {IoLane::kWrite, IoLane::kSync, IoLane::kRead}) {
    pool.threads[static_cast<size_t>(lane)] = threads;
  }
  pool_ = MakeIoThreadPool(pool);
  metadata_executor_ = MakeThreadExecutor("metadata", SystemClock());
  heartbeats_.Watch("metadata", metadata_executor_.get());
  metadata_log_ =
      metadata::MakeLocalMetadataLog(*fs_, kMetadataDirectory, *pool_, *metadata_executor_);
  metadata::MetadataServiceOptions options;
  options.limits.partitions_max = config_.partitions;
  options.limits.topic_defaults = config_.topic_defaults;
  options.controller = directory_->identity().node;
  options.watch.watchers_max = static_cast<size_t>(config_.metadata_watches);
  metadata_ = std::make_unique<metadata::MetadataService>(
      metadata_executor_.get(), metadata_log_.get(), random_.Fork(), std::move(options));
  CATAMARAN_RETURN_IF_ERROR(metadata_->Start());
  CATAMARAN_RETURN_IF_ERROR(CheckMetadataIsThere());
  metadata_loaded_ = true;
  return absl::OkStatus();
}

// Partitions without any metadata mean that its folder was lost: an empty cluster beside them would
// look as if everything were well.
absl::Status BrokerProcessImpl::CheckMetadataIsThere() {
  if (metadata_->image()->revision() > MetadataRevision(0)) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(const std::vector<FileInfo> files, fs_->List(""));
  for (const FileInfo& file : files) {
    if (!file.is_directory || !fs_->Stat(file.name + "/topic-id").ok()) continue;
    return MakeError(
        Reason::kCorruptLog,
        "The data directory holds partitions, '" + file.name + "' for one, but no metadata: its " +
            "folder '" + std::string(kMetadataDirectory) + "' was lost. Restore that folder from " +
            "a copy of this directory, or begin with an empty data directory. Nothing was changed.",
        {{"partition_directory", file.name}});
  }
  return absl::OkStatus();
}

NodeOptions BrokerProcessImpl::MakeNodeOptions() const {
  NodeOptions options;
  options.self = directory_->identity().node;
  options.topic_defaults = config_.topic_defaults;
  options.replicas.free_bytes_min = static_cast<uint64_t>(config_.free_bytes_reserve);
  options.limits.request_bytes_max = static_cast<size_t>(config_.request_bytes);
  options.limits.fetch_buffers_bytes = config_.inflight_bytes;
  options.replicas.read_bytes_max = config_.inflight_bytes;
  options.limits.decompressed_bytes_max = static_cast<size_t>(config_.decompressed_bytes);
  return options;
}

RpcOptions BrokerProcessImpl::MakeRpcOptions() const {
  RpcOptions options;
  options.listen_address = config_.listen_client;
  options.message_bytes_max = static_cast<size_t>(config_.request_bytes);
  options.inflight_bytes_max = config_.inflight_bytes;
  options.connection_inflight_bytes_max = config_.connection_inflight_bytes;
  options.calls_max = static_cast<int32_t>(config_.calls);
  options.streams_max = static_cast<int32_t>(config_.streams);
  options.streams_per_connection_max = static_cast<int32_t>(config_.streams_per_connection);
  options.connections_max = static_cast<int32_t>(config_.connections);
  options.reflection = config_.reflection;
  return options;
}

absl::Status BrokerProcessImpl::StartNode() {
  int64_t count = config_.shards;
  if (count == 0) count = std::clamp<int64_t>(std::thread::hardware_concurrency(), 1, kShardsMax);
  std::vector<Executor*> shards;
  for (int64_t i = 0; i < count; ++i) {
    shards_.push_back(MakeThreadExecutor(Cat("shard-", i), SystemClock()));
    shards.push_back(shards_.back().get());
    heartbeats_.Watch(Cat("shard-", i), shards.back());
  }
  round_meter_ = std::make_unique<RoundMeter>(pool_.get(), &SystemClock(), &counters_);
  sync_ = std::make_unique<SyncFailureMeter>(
      storage::MakeSyncService(StrategyOf(config_.sync_strategy), *fs_, *round_meter_), &counters_);
  NodeSeams seams;
  seams.clock = &SystemClock();
  seams.fs = fs_.get();
  seams.pool = pool_.get();
  seams.sync = sync_.get();
  seams.metadata = metadata_.get();
  seams.counters = &counters_;
  seams.warn = [](const std::string& text) { Log(LogLevel::kWarning, "data_plane", text); };
  NodeOptions options = MakeNodeOptions();
  options.seed = random_.Next();
  node_ = std::make_unique<BrokerNode>(seams, std::move(shards), std::move(options));
  topic_api_ = std::make_unique<TopicApi>(metadata_.get(), config_.topic_defaults);
  ClusterApiOptions cluster;
  cluster.broker = directory_->identity().node;
  cluster.version = VersionText();
  cluster.request_bytes_max = config_.request_bytes;
  cluster.batch_bytes_max = metadata::kMaxMessageBytesLimit;
  cluster_api_ = std::make_unique<ClusterApi>(metadata_.get(), std::move(cluster));

  RpcHandlers handlers;
  handlers.clock = &SystemClock();
  handlers.counters = &counters_;
  handlers.produce = &node_->produce_api();
  handlers.fetch = &node_->fetch_api();
  handlers.batch = &node_->batch_api();
  handlers.offsets = &node_->offsets_api();
  handlers.topics = topic_api_.get();
  handlers.cluster = cluster_api_.get();
  gpr_set_log_function(&LogGrpcError);
  // gRPC would say no more than that it can't.
  const HostPort listen = *ParseHostPort(config_.listen_client);
  CATAMARAN_RETURN_IF_ERROR(CheckListenable(listen.host, listen.port, "listen.client"));
  CATAMARAN_ASSIGN_OR_RETURN(rpc_, RpcServer::Start(MakeRpcOptions(), handlers));
  client_address_ = listen;
  client_address_.port = rpc_->port();
  return absl::OkStatus();
}

// Keeps the gauge of the partitions that this broker leads, on the metadata executor.
void BrokerProcessImpl::CountPartitions() {
  auto count = [this, before = int64_t{0}](
                   const metadata::ImageRef& image,
                   const std::shared_ptr<const metadata::MetadataDelta>&) mutable {
    int64_t led = 0;
    for (const auto& [name, topic] : image->topics()) {
      for (const metadata::PartitionState& partition : topic->partitions) {
        led += partition.leader == directory_->identity().node ? 1 : 0;
      }
    }
    counters_.Change(Gauge::kPartitions, led - before);
    before = led;
  };
  metadata_->Subscribe(metadata_executor_.get(), std::move(count));
}

// Makes this run known: a higher broker epoch, and new leader epochs after a crash.
absl::Status BrokerProcessImpl::Register() {
  const storage::DirectoryIdentity& identity = directory_->identity();
  metadata::RegisterBrokerCommand command;
  command.broker = identity.node;
  command.directory = identity.directory;
  command.cluster = identity.cluster;
  command.address = JoinHostPort(AdvertisedAddress(config_, client_address_));
  command.rack = config_.node_rack;
  auto latch = std::make_shared<Latch>();
  auto epoch = std::make_shared<int64_t>(0);
  metadata_->Submit(std::move(command), {},
                    [latch, epoch](absl::StatusOr<metadata::Answer> answer) {
                      if (answer.ok()) *epoch = std::get<metadata::BrokerAnswer>(*answer).epoch;
                      latch->Set(answer.status());
                    });
  CATAMARAN_RETURN_IF_ERROR(latch->WaitUntil(SystemClock().Now() + kStartTimeout, interrupted_));
  broker_epoch_ = *epoch;
  return absl::OkStatus();
}

std::vector<SampledGauge> BrokerProcessImpl::MakeGauges() {
  std::vector<SampledGauge> gauges;
  auto space = [this](bool total) {
    FreeSpace free = node_->replicas().free_space();
    return static_cast<double>(total ? free.total_bytes : free.free_bytes);
  };
  gauges.push_back({"storage_free_bytes",
                    "Free bytes on the data directory's file system",
                    [space] { return space(false); },
                    {}});
  gauges.push_back({"storage_total_bytes",
                    "Size of the data directory's file system",
                    [space] { return space(true); },
                    {}});
  gauges.push_back({"metadata_revision",
                    "Index of the last metadata record that is in force",
                    [this] { return static_cast<double>(metadata_->image()->revision().value()); },
                    {}});
  gauges.push_back({"metadata_topics",
                    "Topics, the cluster's own too",
                    [this] { return static_cast<double>(metadata_->image()->topics().size()); },
                    {}});
  gauges.push_back({"metadata_partitions",
                    "Partitions of all topics",
                    [this] { return static_cast<double>(metadata_->image()->partition_count()); },
                    {}});
  gauges.push_back({"metadata_pending_commands",
                    "Metadata changes that wait or are being written",
                    [this] { return static_cast<double>(metadata_->pending_commands()); },
                    {}});
  gauges.push_back({"metadata_healthy",
                    "1 while the metadata log takes changes",
                    [this] { return metadata_->health().ok() ? 1.0 : 0.0; },
                    {}});
  gauges.push_back({"metadata_watchers",
                    "Metadata watches that are open",
                    [this] { return static_cast<double>(metadata_->watch_hub().watcher_count()); },
                    {}});
  double start = static_cast<double>(SystemClock().WallNow().value()) / 1000.0;
  gauges.push_back({"node_incarnation_start_timestamp_seconds",
                    "When this run began",
                    [start] { return start; },
                    {}});
  gauges.push_back({"node_draining",
                    "1 while the broker stops",
                    [this] { return stopping_.load() ? 1.0 : 0.0; },
                    {}});
  gauges.push_back({"resident_memory_bytes",
                    "Memory of the process that is in RAM",
                    [] { return ResidentBytes(); },
                    {}});
  return gauges;
}

std::vector<ProbeCheck> BrokerProcessImpl::Live() const {
  Heartbeats::Age oldest = heartbeats_.Oldest();
  bool ok = oldest.age <= kHeartbeatAgeMax;
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(oldest.age).count();
  return {{"event_loops", ok,
           ok ? std::string() : Cat(oldest.name, " hasn't turned for ", seconds, " s")}};
}

std::vector<ProbeCheck> BrokerProcessImpl::Started() const {
  return {{"metadata", metadata_loaded_, metadata_loaded_ ? "loaded" : "being read"},
          {"recovery", recovered_, recovered_ ? "ended" : "partition logs are being opened"}};
}

std::vector<ProbeCheck> BrokerProcessImpl::Ready() const {
  std::vector<ProbeCheck> checks = Started();
  absl::Status health = metadata_->health();
  checks.push_back(
      {"metadata_log", health.ok(),
       health.ok() ? std::string() : std::string(metadata::FromAbsl(health.message()))});
  checks.push_back({"serving", !stopping_, stopping_ ? "the broker is stopping" : ""});
  // Both stay "ok": another broker can't take over what this one holds, and reads go on.
  const bool full = node_->replicas().storage_full();
  checks.push_back({"storage", true,
                    full ? "the disk is full up to its reserve: produce requests are refused until "
                           "records or topics are deleted, retention is lowered or space is added"
                         : ""});
  int64_t failed = counters_.Get(Gauge::kLogsFailed);
  if (failed > 0) checks.push_back({"logs", true, Cat(failed, " partition logs have failed")});
  return checks;
}

absl::Status BrokerProcessImpl::StartHttp() {
  MetricsExportOptions options;
  options.version = VersionText();
  options.gauges = MakeGauges();
  metrics_ = std::make_unique<MetricsExport>(&counters_, std::move(options));
  http_address_ = *ParseHostPort(config_.listen_http);
  HttpOptions http;
  http.host = http_address_.host;
  http.port = http_address_.port;
  HttpSources sources;
  sources.metrics = [this] { return metrics_->Text(); };
  sources.live = [this] { return Live(); };
  sources.started = [this] { return Started(); };
  sources.ready = [this] { return Ready(); };
  CATAMARAN_ASSIGN_OR_RETURN(http_, HttpServer::Start(http, std::move(sources)));
  http_address_.port = http_->port();
  return absl::OkStatus();
}

absl::Status BrokerProcessImpl::Run() {
  CATAMARAN_RETURN_IF_ERROR(OpenDirectory());
  CATAMARAN_RETURN_IF_ERROR(StartMetadata());
  CATAMARAN_RETURN_IF_ERROR(StartNode());
  CATAMARAN_RETURN_IF_ERROR(StartHttp());
  CountPartitions();
  CATAMARAN_RETURN_IF_ERROR(Register());
  auto ready = std::make_shared<Latch>();
  node_->Start([ready](absl::Status status) { ready->Set(std::move(status)); });
  CATAMARAN_RETURN_IF_ERROR(ready->WaitUntil(SystemClock().Now() + kStartTimeout, interrupted_));
  recovered_ = true;
  rpc_->SetServing(true);
  return absl::OkStatus();
}

bool BrokerProcessImpl::Stop(Duration timeout) {
  stopping_ = true;
  rpc_->SetServing(false);
  return StopSteps(SystemClock().Now() + timeout);
}

bool BrokerProcessImpl::StopSteps(MonotonicTime deadline) {
  auto node_stopped = std::make_shared<Latch>();
  auto clean = std::make_shared<std::atomic<bool>>(false);
  node_->Stop([node_stopped, clean](bool all_clean) {
    *clean = all_clean;
    node_stopped->Set();
  });
  if (!node_stopped->WaitUntil(deadline).ok()) return false;
  metadata_->watch_hub().Close(MakeError(Reason::kShuttingDown, "The broker is stopping."));
  rpc_->Shutdown(std::min(kRpcGrace, std::max(Duration(0), deadline - SystemClock().Now())));
  // Only a run whose logs all closed is told as clean: the next start then keeps the leader epochs.
  if (*clean) {
    auto fenced = std::make_shared<Latch>();
    metadata_->Submit(
        metadata::FenceBrokerCommand{directory_->identity().node, broker_epoch_}, {},
        [fenced](absl::StatusOr<metadata::Answer> answer) { fenced->Set(answer.status()); });
    absl::Status status = fenced->WaitUntil(deadline);
    if (!status.ok()) {
      Log(LogLevel::kWarning, "stop_not_recorded",
          "The stop couldn't be recorded as clean; the next start takes new leader epochs.",
          {{"error", std::string(metadata::FromAbsl(status.message()))}});
    }
  }
  auto metadata_stopped = std::make_shared<Latch>();
  metadata_->Stop([metadata_stopped] { metadata_stopped->Set(); });
  return metadata_stopped->WaitUntil(deadline).ok();
}

}  // namespace

absl::StatusOr<std::unique_ptr<BrokerProcess>> BrokerProcess::Start(
    const BrokerConfig& config, const std::function<bool()>& interrupted) {
  auto process = std::make_unique<BrokerProcessImpl>(config, interrupted);
  CATAMARAN_RETURN_IF_ERROR(process->Run());
  return absl::StatusOr<std::unique_ptr<BrokerProcess>>(std::move(process));
}

}  // namespace catamaran::broker
