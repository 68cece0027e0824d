// catamaran topic ...
#include "base/error.h"
#include "client/cli/commands.h"
#include "client/cli/session.h"
#include "client/cli/text.h"
#include "client/cli/topic_report.h"

namespace catamaran::cli {
namespace {

using client::Admin;
using client::TopicDescription;

std::string DescribeShape(const TopicDescription& topic) {
  return Cat({Plural(static_cast<int64_t>(topic.partitions.size()), "partition"),
              ", replication factor ", ReplicationFactorText(topic)});
}

// Shows what became of several topics. One topic's failure alone is the command's.
absl::StatusOr<ExitCode> ShowOutcomes(const std::vector<TopicOutcome>& outcomes,
                                      const std::string& next, Console* console) {
  if (outcomes.size() == 1 && !outcomes[0].status.ok()) return outcomes[0].status;
  size_t failed = 0;
  absl::Status first_failure;
  for (const TopicOutcome& outcome : outcomes) {
    if (outcome.status.ok()) continue;
    if (failed++ == 0) first_failure = outcome.status;
  }
  console->Show(OutcomeReport(outcomes, next));
  for (const TopicOutcome& outcome : outcomes) {
    if (!outcome.status.ok()) console->ShowFailure(outcome.status);
  }
  if (failed == 0) return ExitCode::kOk;
  return failed == outcomes.size() ? ExitCodeOf(first_failure) : ExitCode::kPartial;
}

TopicOutcome CreateOne(Admin* admin, const TopicCreate& command, const std::string& name) {
  client::NewTopic topic{name, command.partitions, command.replication_factor, command.configs};
  absl::StatusOr<TopicDescription> created = admin->CreateTopic(topic, command.dry_run);
  if (created.ok()) {
    return {name, command.dry_run ? "would_be_created" : "created",
            Cat({command.dry_run ? "Would create topic " : "Created topic ", name, ": ",
                 DescribeShape(*created), "."}),
            *created, absl::OkStatus()};
  }
  if (!command.if_not_exists || ReasonOf(created.status()) != Reason::kTopicExists) {
    return {name, "failed", "", std::nullopt, created.status()};
  }
  TopicOutcome outcome{name, "exists", Cat({"Topic ", name, " exists already: unchanged."}),
                       std::nullopt, absl::OkStatus()};
  absl::StatusOr<TopicDescription> existing = admin->DescribeTopic(name);
  if (existing.ok()) outcome.topic = *existing;
  return outcome;
}

absl::StatusOr<ExitCode> ShowChanged(const TopicDescription& topic, std::string sentence,
                                     const std::string& next, Console* console) {
  Report report;
  report.document = TopicDocument({topic, {}});
  report.names = {topic.name};
  report.table = std::move(sentence) + "\n";
  report.next = next;
  console->Show(report);
  return ExitCode::kOk;
}

// The bounds of every partition; one that can't be asked stays unknown.
std::vector<std::optional<PartitionBounds>> TryBounds(Admin* admin, const TopicDescription& topic,
                                                      Console* console) {
  std::vector<client::OffsetQuery> queries;
  for (const client::PartitionDescription& partition : topic.partitions) {
    client::TopicPartition where{topic.name, partition.partition};
    queries.push_back({where, client::StartPosition::Earliest()});
    queries.push_back({where, client::StartPosition::Latest()});
  }
  std::vector<std::optional<PartitionBounds>> bounds(topic.partitions.size());
  auto answers = admin->ListOffsets(queries, client::IsolationLevel::kReadUncommitted);
  if (!answers.ok()) {
    console->Note(Cat({"The offsets of ", topic.name,
                       " can't be had: ", Printable(DescribeFailure(answers.status()).message)}));
    return bounds;
  }
  for (size_t i = 0; i < bounds.size(); ++i) {
    const client::OffsetAnswer& start = (*answers)[2 * i];
    const client::OffsetAnswer& end = (*answers)[2 * i + 1];
    if (start.status.ok() && end.status.ok()) bounds[i] = {start.offset, end.offset};
  }
  return bounds;
}

int64_t RecordsIn(const std::vector<std::optional<PartitionBounds>>& bounds) {
  int64_t records = 0;
  for (const auto& partition : bounds) {
    if (partition.has_value()) records += partition->end - partition->start;
  }
  return records;
}

// What is to be deleted, looked up first so that the question can tell what would be lost.
struct Doomed {
  TopicOutcome outcome;  // already decided when `topic` is absent
  std::optional<TopicDescription> topic;
  int64_t records = 0;
};

Doomed LookUpDoomed(Admin* admin, const TopicDelete& command, const std::string& name,
                    Console* console) {
  absl::StatusOr<TopicDescription> topic = admin->DescribeTopic(name);
  if (topic.ok()) return {{}, *topic, RecordsIn(TryBounds(admin, *topic, console))};
  if (command.if_exists && ReasonOf(topic.status()) == Reason::kUnknownTopic) {
    return {{name, "absent", Cat({"There is no topic ", Printable(name), ": nothing to delete."}),
             std::nullopt, absl::OkStatus()},
            std::nullopt};
  }
  return {{name, "failed", "", std::nullopt, topic.status()}, std::nullopt};
}

std::string DeleteQuestion(const std::vector<Doomed>& doomed) {
  std::vector<std::string> parts;
  for (const Doomed& item : doomed) {
    if (!item.topic.has_value()) continue;
    parts.push_back(Cat({item.topic->name, " (",
                         Plural(static_cast<int64_t>(item.topic->partitions.size()), "partition"),
                         ", ", Plural(item.records, "record"), ")"}));
  }
  return parts.empty() ? "" : Cat({"Delete for ever: ", Join(parts, ", "), "?"});
}

TopicOutcome DeleteOne(Admin* admin, const TopicDelete& command, const TopicDescription& topic) {
  absl::StatusOr<TopicId> deleted = admin->DeleteTopic(topic.name, topic.topic_id, command.dry_run);
  bool gone = ReasonOf(deleted.status()) == Reason::kUnknownTopic && command.if_exists;
  if (!deleted.ok() && !gone) return {topic.name, "failed", "", topic, deleted.status()};
  return {topic.name, command.dry_run ? "would_be_deleted" : "deleted",
          Cat({command.dry_run ? "Would delete topic " : "Deleted topic ", topic.name, "."}), topic,
          absl::OkStatus()};
}

// One partition of delete-records.
struct Trim {
  PartitionIndex partition;
  PartitionBounds bounds;
  Offset before;
  Offset log_start;  // afterwards
  std::string outcome;
  absl::Status status;
};

std::string TrimSentence(const std::string& topic, const Trim& trim, bool dry_run) {
  std::string where = Cat({topic, " partition ", std::to_string(trim.partition.value())});
  int64_t count = std::max<int64_t>(0, trim.before - trim.bounds.start);
  if (count == 0)
    return Cat({"Nothing to delete in ", where, ": it starts at offset ",
                std::to_string(trim.bounds.start.value()), "."});
  return Cat({dry_run ? "Would delete " : "Deleted ", Plural(count, "record"), " of ", where,
              ": offsets ", std::to_string(trim.bounds.start.value()), " to ",
              std::to_string(trim.before.value() - 1), "."});
}

absl::StatusOr<std::vector<Trim>> PlanTrims(Admin* admin, const TopicDeleteRecords& command) {
  CATAMARAN_ASSIGN_OR_RETURN(TopicDescription topic, admin->DescribeTopic(command.topic));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<PartitionIndex> partitions,
                             SelectPartitions(topic, command.partitions));
  CATAMARAN_ASSIGN_OR_RETURN(
      std::vector<PartitionBounds> bounds,
      LookUpBounds(admin, command.topic, partitions, client::IsolationLevel::kReadUncommitted));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<Offset> before,
                             ResolveAll(admin, command.topic, partitions, bounds, command.before));
  std::vector<Trim> trims;
  for (size_t i = 0; i < partitions.size(); ++i) {
    trims.push_back(
        {partitions[i], bounds[i], before[i], bounds[i].start, "unchanged", absl::OkStatus()});
  }
  return trims;
}

Report TrimReport(const TopicDeleteRecords& command, const std::vector<Trim>& trims) {
  Report report;
  Value::Array documents;
  for (const Trim& trim : trims) {
    documents.push_back(Members({{"partition", trim.partition.value()},
                                 {"outcome", trim.outcome},
                                 {"log_start_offset", trim.log_start.value()},
                                 {"high_watermark", trim.bounds.end.value()}}));
    if (!trim.status.ok()) continue;
    report.names.push_back(Cat({command.topic, "/", std::to_string(trim.partition.value())}));
    report.table += TrimSentence(command.topic, trim, command.dry_run) + "\n";
  }
  report.document = Members({{"topic", command.topic}, {"partitions", std::move(documents)}});
  return report;
}

void ExecuteTrim(Admin* admin, const TopicDeleteRecords& command, Trim* trim) {
  bool past_end = trim->before > trim->bounds.end;  // the broker's to refuse, dry run or not
  if (trim->before <= trim->bounds.start) return;
  if (command.dry_run && past_end) {
    trim->status =
        MakeError(Reason::kOffsetOutOfRange,
                  Cat({"Partition ", std::to_string(trim->partition.value()), " of ", command.topic,
                       " ends at offset ", std::to_string(trim->bounds.end.value()), "."}));
    trim->outcome = "failed";
    return;
  }
  if (command.dry_run) {
    trim->outcome = "would_be_deleted";
    return;
  }
  absl::StatusOr<Offset> start =
      admin->DeleteRecords({command.topic, trim->partition}, trim->before);
  trim->outcome = start.ok() ? "deleted" : "failed";
  trim->status = start.status();
  if (start.ok()) trim->log_start = *start;
}

absl::StatusOr<ExitCode> ShowTrims(const TopicDeleteRecords& command,
                                   const std::vector<Trim>& trims, Console* console) {
  size_t failed = 0;
  for (const Trim& trim : trims) failed += trim.status.ok() ? 0 : 1;
  if (trims.size() == 1 && failed == 1) return trims[0].status;
  console->Show(TrimReport(command, trims));
  ExitCode code = ExitCode::kOk;
  for (const Trim& trim : trims) {
    if (trim.status.ok()) continue;
    console->ShowFailure(trim.status);
    code = failed == trims.size() ? ExitCodeOf(trim.status) : ExitCode::kPartial;
  }
  return code;
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicCreate& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  std::vector<TopicOutcome> outcomes;
  for (const std::string& name : command.topics) {
    outcomes.push_back(CreateOne(admin.get(), command, name));
  }
  std::string next = command.dry_run ? "the same without --dry-run"
                                     : Cat({"echo hello | catamaran produce ", command.topics[0]});
  return ShowOutcomes(outcomes, next, console);
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicList& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<TopicDescription> topics,
                             admin->ListTopics(command.internal));
  console->Show(ListReport(topics));
  return ExitCode::kOk;
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDescribe& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  std::vector<TopicWithOffsets> found;
  std::vector<absl::Status> failures;
  for (const std::string& name : command.topics) {
    absl::StatusOr<TopicDescription> topic = admin->DescribeTopic(name);
    if (!topic.ok()) {
      failures.push_back(topic.status());
      continue;
    }
    found.push_back({*topic, TryBounds(admin.get(), *topic, console)});
  }
  if (found.empty() && failures.size() == 1) return failures[0];
  console->Show(DescribeReport(found));
  for (const absl::Status& failure : failures) console->ShowFailure(failure);
  if (failures.empty()) return ExitCode::kOk;
  return found.empty() ? ExitCodeOf(failures[0]) : ExitCode::kPartial;
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicAlter& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  client::ConfigChange change{command.set, command.remove, command.expected_version};
  CATAMARAN_ASSIGN_OR_RETURN(TopicDescription topic,
                             admin->AlterTopicConfig(command.topic, change, command.dry_run));
  std::vector<std::string> changes;
  for (const auto& [name, value] : command.set) changes.push_back(Cat({name, "=", value}));
  for (const std::string& name : command.remove) changes.push_back(name + " back to its default");
  return ShowChanged(topic,
                     Cat({command.dry_run ? "Would change topic " : "Changed topic ", topic.name,
                          ": ", Printable(Join(changes, ", ")), "."}),
                     Cat({"catamaran topic describe ", topic.name}), console);
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicAddPartitions& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  CATAMARAN_ASSIGN_OR_RETURN(
      TopicDescription topic,
      admin->CreatePartitions(command.topic, command.partitions, command.dry_run));
  return ShowChanged(topic,
                     Cat({"Topic ", topic.name, command.dry_run ? " would have " : " has ",
                          Plural(static_cast<int64_t>(topic.partitions.size()), "partition"),
                          command.dry_run ? "." : " now; keys go to other ones from here on."}),
                     Cat({"catamaran topic describe ", topic.name}), console);
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDelete& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  std::vector<Doomed> doomed;
  for (const std::string& name : command.topics) {
    doomed.push_back(LookUpDoomed(admin.get(), command, name, console));
  }
  std::string question = DeleteQuestion(doomed);
  if (!question.empty() && !command.yes && !command.dry_run) {
    CATAMARAN_ASSIGN_OR_RETURN(bool yes, console->Confirm(question));
    if (!yes) {
      console->Note("Nothing was deleted.");
      return ExitCode::kFailure;
    }
  }
  std::vector<TopicOutcome> outcomes;
  for (const Doomed& item : doomed) {
    outcomes.push_back(item.topic.has_value() ? DeleteOne(admin.get(), command, *item.topic)
                                              : item.outcome);
  }
  return ShowOutcomes(outcomes, "", console);
}

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const TopicDeleteRecords& command,
                             Console* console) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<Admin> admin, OpenAdmin(global));
  CATAMARAN_ASSIGN_OR_RETURN(std::vector<Trim> trims, PlanTrims(admin.get(), command));
  int64_t records = 0;
  for (const Trim& trim : trims) {
    records += std::max<int64_t>(0, std::min(trim.before, trim.bounds.end) - trim.bounds.start);
  }
  if (records > 0 && !command.yes && !command.dry_run) {
    CATAMARAN_ASSIGN_OR_RETURN(
        bool yes, console->Confirm(Cat({"Delete for ever: ", Plural(records, "record"), " of ",
                                        command.topic, "?"})));
    if (!yes) {
      console->Note("Nothing was deleted.");
      return ExitCode::kFailure;
    }
  }
  for (Trim& trim : trims) ExecuteTrim(admin.get(), command, &trim);
  return ShowTrims(command, trims, console);
}

}  // namespace catamaran::cli
