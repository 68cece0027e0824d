// catamaran produce
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "client/cli/commands.h"
#include "client/cli/deliveries.h"
#include "client/cli/send_options.h"
#include "client/cli/session.h"
#include "client/cli/table.h"
#include "client/cli/text.h"
#include "client/producer.h"

namespace catamaran::cli {
namespace {

constexpr size_t kReadBytes = 256u << 10;
// How long the loop waits for input or deliveries before it looks at signals and failures.
constexpr Duration kTick = std::chrono::milliseconds(50);

class ProduceRun {
 public:
  ProduceRun(const GlobalOptions& global, const Produce& command, Console* console)
      : global_(global),
        command_(command),
        console_(console),
        deliveries_(std::make_shared<Deliveries>(command.receipts)) {}

  absl::StatusOr<ExitCode> Run();

 private:
  absl::Status Open();
  absl::Status ReadValueFile();
  absl::Status SendSingle();
  // Reads standard input to its end, the first failure, or Ctrl-C.
  absl::Status SendInput();
  absl::Status SendRecords(RecordReader* reader);
  absl::Status Send(const InputRecord& record);
  // Waits for what is on its way.
  void Drain();
  void ShowReceipts();
  void ShowProgress();
  Report Summarize() const;
  absl::StatusOr<ExitCode> Conclude(const absl::Status& failure);

  const GlobalOptions& global_;
  const Produce& command_;
  Console* const console_;
  // Shared with the callbacks, which the producer may call until it is destroyed.
  std::shared_ptr<Deliveries> deliveries_;
  std::unique_ptr<client::Producer> producer_;
  std::string value_file_;
  int64_t accepted_ = 0;
  int64_t bytes_ = 0;  // of keys and values accepted
};

absl::Status ProduceRun::Open() {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Admin> admin, OpenAdmin(global_));
  // Asked first, so that a misspelt topic is told before anything is typed or read.
  CATAMARAN_ASSIGN_OR_RETURN(client::TopicDescription topic, admin->DescribeTopic(command_.topic));
  std::vector<int32_t> partitions;
  if (command_.partition.has_value()) partitions.push_back(*command_.partition);
  CATAMARAN_RETURN_IF_ERROR(SelectPartitions(topic, partitions).status());
  client::ProducerOptions options = MakeProducerOptions(command_.send, global_.timeout);
  CATAMARAN_ASSIGN_OR_RETURN(
      producer_, client::Producer::Create(MakeClientOptions(global_), std::move(options)));
  return absl::OkStatus();
}

absl::Status ProduceRun::Send(const InputRecord& record) {
  std::vector<RecordHeader> headers;
  for (const HeaderOption& header : command_.headers) {
    headers.push_back({header.name, header.value});
  }
  headers.insert(headers.end(), record.headers.begin(), record.headers.end());
  client::ProducerRecord out;
  out.topic = command_.topic;
  out.partition = record.partition;
  if (command_.partition.has_value()) out.partition = PartitionIndex(*command_.partition);
  out.key = record.key;
  if (command_.key.has_value()) out.key = *command_.key;
  out.value = record.value;
  out.headers = headers;
  out.timestamp = record.timestamp;
  int64_t number = accepted_ + 1;
  absl::Status status = producer_->Send(
      out, [deliveries = deliveries_, number](const absl::StatusOr<client::Delivery>& delivery) {
        deliveries->Add(number, delivery);
      });
  if (!status.ok()) return status;
  accepted_ = number;
  bytes_ += static_cast<int64_t>(out.key.value_or("").size() + out.value.value_or("").size());
  return absl::OkStatus();
}

absl::Status ProduceRun::ReadValueFile() {
  if (!command_.value_file.has_value()) return absl::OkStatus();
  CATAMARAN_ASSIGN_OR_RETURN(value_file_, ReadWholeFile(*command_.value_file, kRecordTextBytesMax));
  return absl::OkStatus();
}

absl::Status ProduceRun::SendSingle() {
  InputRecord record;
  if (command_.value.has_value()) record.value = *command_.value;
  if (command_.value_file.has_value()) record.value = value_file_;
  return Send(record);
}

absl::Status ProduceRun::SendRecords(RecordReader* reader) {
  InputRecord record;
  while (!Interrupted()) {
    absl::StatusOr<bool> found = reader->Next(&record);
    if (!found.ok()) return found.status();
    if (!*found) return absl::OkStatus();
    CATAMARAN_RETURN_IF_ERROR(Send(record));
  }
  return absl::OkStatus();
}

absl::Status ProduceRun::SendInput() {
  RecordReader reader(command_.reader);
  std::string buffer(kReadBytes, '\0');
  while (!Interrupted()) {
    ShowReceipts();
    ShowProgress();
    if (!deliveries_->first_failure().ok()) return absl::OkStatus();  // Conclude() tells it
    if (!WaitReadable(STDIN_FILENO, kTick)) continue;
    ssize_t count = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) {
      return MakeFailure(absl::StatusCode::kInternal, "INPUT_FAILED",
                         Cat({"Reading standard input failed: ", std::strerror(errno), "."}));
    }
    if (count == 0) reader.Finish();
    reader.Feed(std::string_view(buffer.data(), static_cast<size_t>(count)));
    CATAMARAN_RETURN_IF_ERROR(SendRecords(&reader));
    if (count == 0) return absl::OkStatus();
  }
  return absl::OkStatus();
}

void ProduceRun::Drain() {
  while (deliveries_->counts().all() < accepted_) {
    // Its status repeats what the callbacks tell.
    absl::Status flushed = producer_->Flush(kTick);
    ShowReceipts();
    ShowProgress();
    bool waiting = flushed.code() == absl::StatusCode::kDeadlineExceeded;
    if (!flushed.ok() && !waiting && deliveries_->first_failure().ok()) break;
  }
  ShowReceipts();
  console_->EndProgress();
}

void ProduceRun::ShowReceipts() {
  std::string out;
  for (const Receipt& receipt : deliveries_->TakeReceipts()) {
    const client::Delivery& delivery = receipt.delivery;
    std::string partition = std::to_string(delivery.partition.value());
    std::string offset = std::to_string(delivery.offset.value());
    switch (console_->format()) {
      case OutputFormat::kYaml:
        out += "- ";  // a JSON object is YAML, too
        [[fallthrough]];
      case OutputFormat::kJson:
        out += WriteJsonLine(Members({{"record", receipt.record},
                                      {"topic", command_.topic},
                                      {"partition", delivery.partition.value()},
                                      {"offset", delivery.offset.value()},
                                      {"timestamp_ms", delivery.timestamp.value()}}));
        break;
      case OutputFormat::kName:
        out += Cat({command_.topic, "/", partition, "/", offset});
        break;
      case OutputFormat::kTable:
      case OutputFormat::kWide:
        out += Cat({std::to_string(receipt.record), " ", partition, " ", offset});
        break;
    }
    out += "\n";
  }
  if (out.empty()) return;
  console_->EndProgress();
  console_->WriteOut(out);
  console_->FlushOut();
}

void ProduceRun::ShowProgress() {
  // A person who types sees what they type; a count in between would only disturb.
  if (isatty(STDIN_FILENO) == 1) return;
  console_->Progress(Cat({FormatCount(deliveries_->counts().stored), " of ", FormatCount(accepted_),
                          " records stored"}));
}

Report ProduceRun::Summarize() const {
  DeliveryCounts counts = deliveries_->counts();
  bool acknowledged = command_.send.acks != client::Acks::kNone;
  Report report;
  Value::Array partitions;
  std::vector<std::string> places;
  for (const auto& [partition, tally] : deliveries_->tallies()) {
    std::string number = std::to_string(partition);
    partitions.push_back(Members({{"partition", partition},
                                  {"records", tally.records},
                                  {"first_offset", tally.first.value()},
                                  {"last_offset", tally.last.value()}}));
    report.names.push_back(Cat({command_.topic, "/", number}));
    std::string first = std::to_string(tally.first.value());
    std::string last = std::to_string(tally.last.value());
    places.push_back(first == last ? Cat({"partition ", number, " offset ", first})
                                   : Cat({"partition ", number, " offsets ", first, " to ", last}));
  }
  report.document = Members({{"topic", command_.topic},
                             {"records", counts.stored},
                             {"bytes", bytes_},
                             {"rejected", counts.rejected},
                             {"unknown", counts.unknown},
                             {"partitions", std::move(partitions)}});
  std::string count = Plural(counts.stored, "record");
  report.table = acknowledged ? Cat({"Stored ", count, " in ", command_.topic,
                                     places.empty() ? "" : ": ", Join(places, ", "), ".\n"})
                              : Cat({"Sent ", count, " to ", command_.topic,
                                     "; with --acks none nobody says what became of them.\n"});
  if (counts.stored > 0 && !Interrupted()) {
    report.next = Cat({"catamaran consume ", command_.topic, " --offset start:end"});
  }
  return report;
}

absl::StatusOr<ExitCode> ProduceRun::Conclude(const absl::Status& failure) {
  absl::Status first = deliveries_->first_failure();
  if (first.ok()) first = failure;
  DeliveryCounts counts = deliveries_->counts();
  if (command_.receipts) {
    if (IsForPeople(console_->format())) {
      std::string summary = Summarize().table;
      summary.pop_back();  // Note() ends the line
      console_->Note(summary);
    }
  } else if (counts.stored > 0 || first.ok()) {
    console_->Show(Summarize());
  }
  if (!first.ok() && counts.rejected + counts.unknown > 0) {
    console_->Note(Cat({Plural(counts.rejected, "record"), " surely not stored, ",
                        FormatCount(counts.unknown), " perhaps stored."}));
  }
  CATAMARAN_RETURN_IF_ERROR(console_->out_status());
  if (!first.ok() && counts.stored == 0) return first;
  if (!first.ok()) {
    console_->ShowFailure(first);
    return ExitCode::kPartial;
  }
  return Interrupted() ? ExitCode::kInterrupted : ExitCode::kOk;
}

absl::StatusOr<ExitCode> ProduceRun::Run() {
  CATAMARAN_RETURN_IF_ERROR(ReadValueFile());
  CATAMARAN_RETURN_IF_ERROR(Open());
  SetInterruptMode(InterruptMode::kFinish);
  bool single = command_.value.has_value() || command_.value_file.has_value() || command_.tombstone;
  if (!single && isatty(STDIN_FILENO) == 1) {
    console_->Note("Type records, one a line; Ctrl-D ends.");
  }
  absl::Status failure = single ? SendSingle() : SendInput();
  Drain();
  return Conclude(failure);
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const Produce& command,
                             Console* console) {
  return ProduceRun(global, command, console).Run();
}

}  // namespace catamaran::cli
