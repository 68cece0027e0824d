// catamaran consume
#include <algorithm>

#include "base/error.h"
#include "client/cli/commands.h"
#include "client/cli/session.h"
#include "client/cli/text.h"
#include "client/consumer.h"

namespace catamaran::cli {
namespace {

// How long one Poll waits before the loop looks at signals.
constexpr Duration kTick = std::chrono::milliseconds(100);
// A broker that is away for so long is worth a note.
constexpr Duration kTroubleNoteAfter = std::chrono::seconds(2);

// One partition of the run.
struct Reading {
  PartitionIndex partition;
  std::optional<Offset> until;  // exclusive
};

class ConsumeRun {
 public:
  ConsumeRun(const GlobalOptions& global, const Consume& command, Console* console)
      : global_(global), command_(command), console_(console) {}

  absl::StatusOr<ExitCode> Run();

 private:
  absl::Status Open();
  // Leaves out partitions with nothing to read.
  std::vector<client::Consumer::Assignment> Assignments(
      const std::vector<PartitionIndex>& partitions, const std::vector<PartitionBounds>& bounds,
      const std::vector<Offset>& from, const std::optional<std::vector<Offset>>& until);
  absl::Status Show(const client::PolledRecords& records);
  void ShowRecord(const client::ConsumedRecord& record);
  // Takes partitions out that were read to their end.
  void Retire();
  absl::Status CheckTrouble(bool progress);
  bool Done() const {
    return readings_.empty() || (command_.num.has_value() && shown_ >= *command_.num) ||
           console_->out_broken() || Interrupted();
  }
  bool bounded() const { return command_.offsets.until.has_value(); }

  const GlobalOptions& global_;
  const Consume& command_;
  Console* const console_;
  std::unique_ptr<client::Consumer> consumer_;
  std::vector<Reading> readings_;
  int64_t shown_ = 0;
  std::string out_;
  std::optional<MonotonicTime> trouble_since_;
  std::string trouble_told_;
};

std::vector<client::Consumer::Assignment> ConsumeRun::Assignments(
    const std::vector<PartitionIndex>& partitions, const std::vector<PartitionBounds>& bounds,
    const std::vector<Offset>& from, const std::optional<std::vector<Offset>>& until) {
  std::vector<client::Consumer::Assignment> assignments;
  for (size_t i = 0; i < partitions.size(); ++i) {
    Offset start = from[i];
    // Of several partitions, some are shorter than the offset asked for; of one it is a mistake
    // that the broker tells.
    if (partitions.size() > 1) start = std::clamp(start, bounds[i].start, bounds[i].end);
    std::optional<Offset> end;
    if (until.has_value()) end = (*until)[i];
    bool inside = start >= bounds[i].start && start <= bounds[i].end;
    if (end.has_value() && *end <= start && inside) {
      // Told only when nobody could have meant it; where all was read, or one of several partitions
      // has nothing, is the usual end.
      if (*end < start && partitions.size() == 1) {
        console_->Note(
            Cat({"Nothing lies between: the range starts at offset ", std::to_string(start.value()),
                 " and ends at ", std::to_string(end->value()), "."}));
      }
      continue;
    }
    readings_.push_back({partitions[i], end});
    assignments.push_back({{command_.topic, partitions[i]}, client::StartPosition::At(start)});
  }
  return assignments;
}

absl::Status ConsumeRun::Open() {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Admin> admin, OpenAdmin(global_));
  CATAMARAN_ASSIGN_OR_RETURN(client::TopicDescription topic, admin->DescribeTopic(command_.topic));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<PartitionIndex> partitions,
                             SelectPartitions(topic, command_.partitions));
  CATAMARAN_ASSIGN_OR_RETURN(
      std::vector<PartitionBounds> bounds,
      LookUpBounds(admin.get(), command_.topic, partitions, command_.isolation));
  CATAMARAN_ASSIGN_OR_RETURN(
      std::vector<Offset> from,
      ResolveAll(admin.get(), command_.topic, partitions, bounds, command_.offsets.from));
  std::optional<std::vector<Offset>> until;
  if (bounded()) {
    CATAMARAN_ASSIGN_OR_RETURN(until, ResolveAll(admin.get(), command_.topic, partitions, bounds,
                                                 *command_.offsets.until));
  }
  std::vector<client::Consumer::Assignment> assignments =
      Assignments(partitions, bounds, from, until);
  if (assignments.empty()) return absl::OkStatus();
  client::ConsumerOptions options;
  options.isolation_level = command_.isolation;
  // Records that retention deletes while they are being read are no mistake of the reader.
  bool named = command_.offsets.from.kind == OffsetPoint::Kind::kOffset;
  options.auto_reset = named ? client::OffsetReset::kError : client::OffsetReset::kEarliest;
  CATAMARAN_ASSIGN_OR_RETURN(consumer_,
                             client::Consumer::Create(MakeClientOptions(global_), options));
  return consumer_->Assign(std::move(assignments));
}

void ConsumeRun::ShowRecord(const client::ConsumedRecord& record) {
  RecordView view{record.topic,     record.partition, record.offset, record.leader_epoch,
                  record.timestamp, record.key,       record.value,  record.headers};
  if (command_.format.has_value()) return AppendRecord(&out_, *command_.format, view);
  switch (console_->format()) {
    case OutputFormat::kTable:
      out_.append(view.value.value_or("")).push_back('\n');
      return;
    case OutputFormat::kWide:
      return AppendRecordWide(&out_, view);
    case OutputFormat::kJson:
      return AppendRecordJson(&out_, view);
    case OutputFormat::kYaml:
      return AppendRecordYaml(&out_, view);
    case OutputFormat::kName:
      return AppendRecordName(&out_, view);
  }
}

absl::Status ConsumeRun::Show(const client::PolledRecords& records) {
  out_.clear();
  for (const client::ConsumedRecord& record : records) {
    if (command_.num.has_value() && shown_ >= *command_.num) break;
    auto reading = std::find_if(readings_.begin(), readings_.end(), [&](const Reading& candidate) {
      return candidate.partition == record.partition;
    });
    if (reading == readings_.end()) continue;
    if (reading->until.has_value() && record.offset >= *reading->until) continue;
    ShowRecord(record);
    ++shown_;
  }
  console_->WriteOut(out_);
  console_->FlushOut();
  return console_->out_status();
}

void ConsumeRun::Retire() {
  if (!bounded()) return;
  for (const client::PartitionProgress& progress : consumer_->ProgressOfAll()) {
    auto reading = std::find_if(readings_.begin(), readings_.end(), [&](const Reading& candidate) {
      return candidate.partition == progress.partition.partition;
    });
    if (reading == readings_.end() || !progress.position.has_value()) continue;
    if (*progress.position < *reading->until) continue;
    readings_.erase(reading);
    // It can only fail for a partition that isn't assigned, which is what is wanted.
    consumer_->RemoveAssignment(progress.partition).IgnoreError();
  }
}

absl::Status ConsumeRun::CheckTrouble(bool progress) {
  absl::Status trouble = progress ? absl::OkStatus() : consumer_->trouble();
  if (trouble.ok()) {
    if (!trouble_told_.empty()) console_->Note("Reading again.");
    trouble_since_.reset();
    trouble_told_.clear();
    return absl::OkStatus();
  }
  MonotonicTime now = SystemClock().Now();
  if (!trouble_since_.has_value()) trouble_since_ = now;
  Duration lasting = now - *trouble_since_;
  if (bounded() && lasting > global_.timeout) return trouble;
  std::string message(trouble.message().data(), trouble.message().size());
  if (lasting > kTroubleNoteAfter && trouble_told_.empty()) {
    console_->Note(Cat({"Waiting: ", Printable(message)}));
    trouble_told_ = message;
  }
  return absl::OkStatus();
}

absl::StatusOr<ExitCode> ConsumeRun::Run() {
  CATAMARAN_RETURN_IF_ERROR(Open());
  SetInterruptMode(InterruptMode::kFinish);
  if (!bounded() && !command_.num.has_value()) {
    console_->Note(
        Cat({"Following ", command_.topic,
             "; Ctrl-C stops. (--offset start:end stops at the end, --num after so many.)"}));
  }
  while (!Done()) {
    int64_t left = command_.num.has_value() ? *command_.num - shown_ : client::kPollRecordsDefault;
    auto records = consumer_->Poll(
        kTick, static_cast<int32_t>(std::min<int64_t>(left, client::kPollRecordsDefault)));
    if (!records.ok()) return records.status();
    CATAMARAN_RETURN_IF_ERROR(Show(*records));
    Retire();
    CATAMARAN_RETURN_IF_ERROR(CheckTrouble(!records->empty()));
  }
  return Interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Consume& command,
                             Console* console) {
  return ConsumeRun(global, command, console).Run();
}

}  // namespace catamaran::cli
