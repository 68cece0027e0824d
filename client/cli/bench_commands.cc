// catamaran bench ...
#include <algorithm>

#include "base/error.h"
#include "base/mutex.h"
#include "base/random.h"
#include "client/cli/commands.h"
#include "client/cli/latency.h"
#include "client/cli/send_options.h"
#include "client/cli/session.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/consumer.h"
#include "client/producer.h"

namespace catamaran::cli {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(50);
// Made-up values are cut out of one block, so that making them costs nothing.
constexpr size_t kBlockBytes = 4u << 20;
constexpr uint64_t kBlockSeed = 42;
// Without a rate the latency is that of a full queue; measuring every record would only slow it.
constexpr int64_t kSampleEvery = 16;
// Waiting for less than this takes longer than it should.
constexpr Duration kShortestWait = std::chrono::microseconds(60);

double Seconds(Duration duration) { return static_cast<double>(duration.count()) / 1e9; }

// Letters, which compress by about a quarter.
std::string MakeBlock(size_t bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  Random random(kBlockSeed);
  std::string block(bytes, ' ');
  for (char& c : block) c = kLetters[random.Next() >> 58];
  return block;
}

// What the callbacks tell. Thread-safe.
class Measurement {
 public:
  void Add(MonotonicTime due, const absl::Status& status) {
    Duration latency = SystemClock().Now() - due;
    MutexLock lock(&mutex_);
    if (status.ok()) histogram_.Add(latency);
    if (!status.ok() && first_failure_.ok()) first_failure_ = status;
  }
  LatencyHistogram histogram() const {
    MutexLock lock(&mutex_);
    return histogram_;
  }
  absl::Status first_failure() const {
    MutexLock lock(&mutex_);
    return first_failure_;
  }

 private:
  mutable Mutex mutex_;
  LatencyHistogram histogram_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_failure_ ABSL_GUARDED_BY(mutex_);
};

struct Throughput {
  std::string topic;
  int64_t records = 0;
  int64_t bytes = 0;  // of keys and values
  Duration elapsed{0};
};

struct Percentile {
  const char* name;
  double fraction;
};
constexpr Percentile kPercentiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1.0}};

Report BenchReport(const Throughput& throughput, const LatencyHistogram* latency) {
  double seconds = std::max(1e-9, Seconds(throughput.elapsed));
  double record_rate = static_cast<double>(throughput.records) / seconds;
  double byte_rate = static_cast<double>(throughput.bytes) / seconds;
  Report report;
  report.document = Members({{"topic", throughput.topic},
                             {"records", throughput.records},
                             {"bytes", throughput.bytes},
                             {"seconds", seconds},
                             {"records_per_second", record_rate},
                             {"bytes_per_second", byte_rate}});
  report.names = {throughput.topic};
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Records", FormatCount(throughput.records)},
      {"Data", FormatBytes(static_cast<double>(throughput.bytes))},
      {"Time", FormatDuration(throughput.elapsed)},
      {"Rate", Cat({FormatCount(static_cast<int64_t>(record_rate)), " records/s, ",
                    FormatBytes(byte_rate), "/s"})}};
  if (latency != nullptr && latency->count() > 0) {
    Value::Object milliseconds;
    std::string text;
    for (const Percentile& percentile : kPercentiles) {
      Duration value =
          percentile.fraction == 1.0 ? latency->max() : latency->Percentile(percentile.fraction);
      milliseconds.emplace_back(percentile.name, static_cast<double>(value.count()) / 1e6);
      text += Cat({text.empty() ? "" : ", ", percentile.name, " ", FormatDuration(value)});
    }
    fields.push_back({"Latency", text});
    report.document.Add("latency_ms", Value(std::move(milliseconds)));
  }
  report.table = RenderFields(fields);
  return report;
}

class BenchProduceRun {
 public:
  BenchProduceRun(const GlobalOptions& global, const BenchProduce& command, Console* console)
      : global_(global),
        command_(command),
        console_(console),
        size_(static_cast<size_t>(command.size)),
        block_(MakeBlock(std::max(kBlockBytes, 2 * size_))) {}

  absl::StatusOr<ExitCode> Run();

 private:
  absl::Status Open();
  absl::Status SendAll();
  absl::Status SendOne(int64_t index, MonotonicTime due);
  // Waits until record `index` is due; now when there is no rate.
  MonotonicTime WaitUntilDue(int64_t index);
  void Drain();
  void ShowProgress();

  const GlobalOptions& global_;
  const BenchProduce& command_;
  Console* const console_;
  const size_t size_;
  const std::string block_;
  std::string key_;
  // Shared with the callbacks, which the producer may call until it is destroyed.
  std::shared_ptr<Measurement> measurement_ = std::make_shared<Measurement>();
  std::unique_ptr<client::Producer> producer_;
  MonotonicTime started_;
  int64_t sent_ = 0;
  int64_t key_bytes_ = 0;
};

absl::Status BenchProduceRun::Open() {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Admin> admin, OpenAdmin(global_));
  CATAMARAN_ASSIGN_OR_RETURN(client::TopicDescription topic, admin->DescribeTopic(command_.topic));
  std::vector<int32_t> partitions;
  if (command_.partition.has_value()) partitions.push_back(*command_.partition);
  CATAMARAN_RETURN_IF_ERROR(SelectPartitions(topic, partitions).status());
  client::ProducerOptions options = MakeProducerOptions(command_.send, global_.timeout);
  options.on_batch = [measurement = measurement_](const client::BatchDelivery& batch) {
    if (!batch.status.ok()) measurement->Add(SystemClock().Now(), batch.status);
  };
  CATAMARAN_ASSIGN_OR_RETURN(
      producer_, client::Producer::Create(MakeClientOptions(global_), std::move(options)));
  return absl::OkStatus();
}

absl::Status BenchProduceRun::SendOne(int64_t index, MonotonicTime due) {
  client::ProducerRecord record;
  record.topic = command_.topic;
  if (command_.partition.has_value()) record.partition = PartitionIndex(*command_.partition);
  if (command_.keys > 0) {
    key_ = Cat({"key-", std::to_string(index % command_.keys)});
    record.key = key_;
    key_bytes_ += static_cast<int64_t>(key_.size());
  }
  size_t at = static_cast<size_t>(index) * 61 % (block_.size() - size_ + 1);
  record.value = std::string_view(block_).substr(at, size_);
  if (!command_.rate.has_value() && index % kSampleEvery != 0) return producer_->Send(record);
  return producer_->Send(
      record, [measurement = measurement_.get(), due](const absl::StatusOr<client::Delivery>& to) {
        measurement->Add(due, to.status());
      });
}

MonotonicTime BenchProduceRun::WaitUntilDue(int64_t index) {
  if (!command_.rate.has_value()) return SystemClock().Now();
  double ns = static_cast<double>(index) * 1e9 / static_cast<double>(*command_.rate);
  MonotonicTime due = started_ + Duration(static_cast<int64_t>(ns));
  while (!Interrupted()) {
    Duration left = due - SystemClock().Now();
    if (left <= Duration(0)) break;
    if (left >= kShortestWait) WaitInterruptible(std::min(left, kTick));
  }
  return due;
}

absl::Status BenchProduceRun::SendAll() {
  constexpr int64_t kLookEvery = 4096;
  started_ = SystemClock().Now();
  for (int64_t i = 0; i < command_.records && !Interrupted(); ++i) {
    CATAMARAN_RETURN_IF_ERROR(SendOne(i, WaitUntilDue(i)));
    sent_ = i + 1;
    if (i % kLookEvery != 0) continue;
    ShowProgress();
    CATAMARAN_RETURN_IF_ERROR(measurement_->first_failure());
  }
  return absl::OkStatus();
}

void BenchProduceRun::ShowProgress() {
  console_->Progress(Cat({FormatCount(static_cast<int64_t>(producer_->stats().records_delivered)),
                          " of ", FormatCount(command_.records), " records stored"}));
}

void BenchProduceRun::Drain() {
  while (producer_->Flush(kTick).code() == absl::StatusCode::kDeadlineExceeded) {
    client::ProducerStats stats = producer_->stats();
    if (stats.records_delivered + stats.records_failed >= stats.records_accepted) break;
    ShowProgress();
  }
  console_->EndProgress();
}

absl::StatusOr<ExitCode> BenchProduceRun::Run() {
  CATAMARAN_RETURN_IF_ERROR(Open());
  SetInterruptMode(InterruptMode::kFinish);
  absl::Status failure = SendAll();
  Drain();
  Throughput throughput{command_.topic};
  throughput.elapsed = SystemClock().Now() - started_;
  throughput.records = static_cast<int64_t>(producer_->stats().records_delivered);
  if (failure.ok()) failure = measurement_->first_failure();
  if (!failure.ok()) return failure;
  throughput.bytes = throughput.records * command_.size + key_bytes_;
  LatencyHistogram latency = measurement_->histogram();
  console_->Show(BenchReport(throughput, &latency));
  if (!command_.rate.has_value()) {
    console_->Note("The latency is that of a full queue; --rate N measures it at a steady rate.");
  }
  return Interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

// The end of each partition as it was when the run began.
struct Ends {
  std::map<PartitionIndex, Offset> open;  // partitions that aren't read to their end
  int64_t records = 0;
};

absl::StatusOr<Ends> AssignAll(const GlobalOptions& global, const std::string& topic_name,
                               client::Consumer* consumer) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Admin> admin, OpenAdmin(global));
  CATAMARAN_ASSIGN_OR_RETURN(client::TopicDescription topic, admin->DescribeTopic(topic_name));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<PartitionIndex> partitions, SelectPartitions(topic, {}));
  CATAMARAN_ASSIGN_OR_RETURN(
      std::vector<PartitionBounds> bounds,
      LookUpBounds(admin.get(), topic_name, partitions, client::IsolationLevel::kReadCommitted));
  Ends ends;
  std::vector<client::Consumer::Assignment> assignments;
  for (size_t i = 0; i < partitions.size(); ++i) {
    if (bounds[i].end <= bounds[i].start) continue;
    ends.open[partitions[i]] = bounds[i].end;
    ends.records += bounds[i].end - bounds[i].start;
    assignments.push_back(
        {{topic_name, partitions[i]}, client::StartPosition::At(bounds[i].start)});
  }
  CATAMARAN_RETURN_IF_ERROR(consumer->Assign(std::move(assignments)));
  return ends;
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const BenchProduce& command,
                             Console* console) {
  return BenchProduceRun(global, command, console).Run();
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const BenchConsume& command,
                             Console* console) {
  client::ConsumerOptions options;
  options.auto_reset = client::OffsetReset::kEarliest;
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Consumer> consumer,
                             client::Consumer::Create(MakeClientOptions(global), options));
  MonotonicTime started = SystemClock().Now();
  CATAMARAN_ASSIGN_OR_RETURN(Ends ends, AssignAll(global, command.topic, consumer.get()));
  SetInterruptMode(InterruptMode::kFinish);
  int64_t wanted = std::min(command.records.value_or(ends.records), ends.records);
  Throughput throughput{command.topic};
  MonotonicTime last_records = started;
  while (throughput.records < wanted && !ends.open.empty() && !Interrupted()) {
    CATAMARAN_ASSIGN_OR_RETURN(client::PolledRecords records, consumer->Poll(kTick));
    MonotonicTime now = SystemClock().Now();
    if (!records.empty()) last_records = now;
    // The library waits out a broker that is away; who measures doesn't.
    absl::Status trouble = consumer->trouble();
    if (!trouble.ok() && now - last_records > global.timeout) return trouble;
    for (const client::ConsumedRecord& record : records) {
      throughput.bytes +=
          static_cast<int64_t>(record.key.value_or("").size() + record.value.value_or("").size());
    }
    throughput.records += static_cast<int64_t>(records.size());
    // Gaps make fewer records than offsets, so the positions decide when the count doesn't.
    for (const client::PartitionProgress& progress : consumer->ProgressOfAll()) {
      auto end = ends.open.find(progress.partition.partition);
      if (end == ends.open.end() || !progress.position.has_value()) continue;
      if (*progress.position >= end->second) ends.open.erase(end);
    }
    console->Progress(
        Cat({FormatCount(throughput.records), " of ", FormatCount(wanted), " records read"}));
  }
  throughput.elapsed = SystemClock().Now() - started;
  console->EndProgress();
  console->Show(BenchReport(throughput, nullptr));
  return Interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace catamaran::cli
