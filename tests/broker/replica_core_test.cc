// Runs the scripts in tests/broker/testdata/replica: each command of a block is an event for one
// replica core over the simulated disk, whose jobs run only when the script says so; the text below
// "----" is what the core decided. CATAMARAN_REWRITE=1 rewrites the files: read the diff.
#include "broker/replica/replica_core.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/batch/batch.h"
#include "base/error.h"
#include "tests/sim/sim_file_system.h"

namespace catamaran::broker {
namespace {

using storage::PartitionLog;

class ReplicaScript {
 public:
  ReplicaScript() { Restart(); }

  // Runs one line; returns what happened, line by line.
  std::string Run(const std::string& line) {
    std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    verb_ = words.at(0);
    words_.assign(words.begin() + 1, words.end());
    arguments_.clear();
    for (const std::string& word : words_) {
      std::vector<std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
      arguments_[pair[0]] = pair.size() == 2 ? pair[1] : "";
    }
    transcript_.clear();
    Dispatch();
    Collect();
    core_->CheckInvariants();
    return transcript_.empty() ? "ok\n" : transcript_;
  }

 private:
  int64_t Int(const std::string& name, int64_t otherwise) const {
    auto it = arguments_.find(name);
    int64_t value = otherwise;
    if (it != arguments_.end()) {
      EXPECT_TRUE(absl::SimpleAtoi(it->second, &value)) << it->second;
    }
    return value;
  }
  bool Has(const std::string& name) const { return arguments_.contains(name); }
  Times Now() const { return {now_, TimestampMs(1'000)}; }
  void Say(const std::string& line) { absl::StrAppend(&transcript_, line, "\n"); }

  void Restart() {
    ReplicaConfig config;
    config.log.segment_bytes = 1 << 20;
    core_ = std::make_unique<ReplicaCore>(
        storage::LogIdentity{"t-0", {TopicId{Uuid::FromRandom(1, 2)}, PartitionIndex(0)}}, config,
        LeaderEpoch(3));
    write_.reset();
    syncs_.clear();
    maintenance_.reset();
    opening_ = false;
  }

  void Dispatch() {
    if (verb_ == "produce") {
      Produce();
    } else if (verb_ == "read") {
      Read();
    } else if (verb_ == "offsets") {
      Offsets();
    } else if (verb_ == "delete-records") {
      DeleteRecords();
    } else if (verb_ == "cancel") {
      core_->CancelReads(static_cast<uint64_t>(Int("token", 0)));
    } else if (verb_ == "open") {
      FinishOpen();
    } else if (verb_ == "write") {
      FinishWrite();
    } else if (verb_ == "sync") {
      FinishSync();
    } else if (verb_ == "maintenance") {
      FinishMaintenance();
    } else if (verb_ == "tick") {
      now_ = now_ + std::chrono::milliseconds(Int("ms", 0));
      core_->Tick(Now());
    } else if (verb_ == "config") {
      SetConfig();
    } else if (verb_ == "epoch") {
      core_->SetLeaderEpoch(LeaderEpoch(static_cast<int32_t>(Int("to", 0))));
    } else if (verb_ == "close") {
      core_->Close(Has("remove"), MakeError(Reason::kShuttingDown, "closing"));
    } else if (verb_ == "crash") {
      core_.reset();
      fs_.Restart(Has("power") ? sim::SimCrash::kPowerLoss : sim::SimCrash::kProcessOnly);
      Restart();
    } else if (verb_ == "disk") {
      if (Has("fail-sync")) fs_.FailNext(sim::SimDiskOperation::kSync, 1, "t-0");
      if (Has("fail-write")) fs_.FailNext(sim::SimDiskOperation::kWrite, 1, "t-0");
      if (Has("full")) fs_.SetCapacity(fs_.used_bytes());
      if (Has("space")) fs_.SetCapacity(uint64_t{1} << 40);
    } else if (verb_ == "view") {
      PartitionView view = core_->view();
      Say(absl::StrCat(std::string(ReplicaPhaseName(core_->phase())), " log ",
                       view.log_start.value(), "..", view.log_end.value(), " high watermark ",
                       view.high_watermark.value(), " epoch ", view.leader_epoch.value()));
    } else {
      ADD_FAILURE() << "unknown command " << verb_;
    }
  }

  void Produce() {
    BatchBuilderOptions options;
    if (Has("producer")) {
      options.producer_id = ProducerId(Int("producer", 0));
      options.producer_epoch = ProducerEpoch(0);
      options.base_sequence = Sequence(static_cast<int32_t>(Int("sequence", 0)));
    }
    BatchBuilder builder(options);
    std::string value(static_cast<size_t>(Int("bytes", 10)), 'v');
    for (int64_t i = 0; i < Int("records", 1); ++i) {
      builder.Add(TimestampMs(100 + i), std::nullopt, value);
    }
    ProduceCommand command;
    command.batch = builder.Build().value();
    std::string acks = Has("acks") ? arguments_["acks"] : "all";
    command.acks = acks == "none" ? Acks::kNone : acks == "leader" ? Acks::kLeader : Acks::kAll;
    command.raise_to_sync = Has("durable");
    command.deadline = now_ + std::chrono::milliseconds(Int("timeout", 1'000));
    if (Has("epoch")) command.expected_epoch = LeaderEpoch(static_cast<int32_t>(Int("epoch", 0)));
    command.reply = [this, name = words_.at(0)](absl::StatusOr<ProduceOutcome> outcome) {
      if (!outcome.ok()) {
        Say(absl::StrCat("answer ", name, ": ",
                         std::string(ReasonName(ReasonOf(outcome.status())))));
        return;
      }
      Say(absl::StrCat("answer ", name, ": offsets ", outcome->appended.base_offset.value(), "..",
                       outcome->appended.last_offset.value(), " synced on ",
                       outcome->replicas_synced, outcome->appended.duplicate ? " duplicate" : ""));
    };
    core_->Produce(std::move(command), Now());
  }

  void Read() {
    ReadCommand command;
    command.offset = Offset(Int("offset", 0));
    command.bytes_max = static_cast<size_t>(Int("bytes", 1 << 20));
    command.deadline = now_ + std::chrono::milliseconds(Int("wait", 0));
    command.token = static_cast<uint64_t>(Int("token", 0));
    if (Has("epoch")) command.expected_epoch = LeaderEpoch(static_cast<int32_t>(Int("epoch", 0)));
    command.reply = [this, name = words_.at(0)](const absl::Status& status, ReadOutcome outcome) {
      std::string text = status.ok() ? "" : std::string(ReasonName(ReasonOf(status)));
      if (status.ok()) {
        text = absl::StrCat(outcome.data.bytes > 0 ? "batches" : "nothing", " next ",
                            outcome.data.next_offset.value());
      }
      Say(absl::StrCat("answer ", name, ": ", text, " (high watermark ",
                       outcome.view.high_watermark.value(), ")"));
    };
    core_->Read(std::move(command), Now());
  }

  void Offsets() {
    OffsetCommand command;
    if (Has("time")) command.at_or_after = TimestampMs(Int("time", 0));
    command.reply = [this](absl::StatusOr<OffsetAnswer> answer) {
      if (!answer.ok()) {
        Say(absl::StrCat("offsets: ", std::string(ReasonName(ReasonOf(answer.status())))));
      } else if (answer->found.has_value()) {
        Say(absl::StrCat("offsets: found ", answer->found->offset.value()));
      } else {
        Say(absl::StrCat("offsets: ", answer->view.log_start.value(), "..",
                         answer->view.high_watermark.value()));
      }
    };
    core_->ListOffset(std::move(command));
  }

  void DeleteRecords() {
    DeleteRecordsCommand command;
    if (Has("before")) command.before = Offset(Int("before", 0));
    command.reply = [this](absl::StatusOr<Offset> start) {
      Say(start.ok()
              ? absl::StrCat("deleted: log start ", start->value())
              : absl::StrCat("deleted: ", std::string(ReasonName(ReasonOf(start.status())))));
    };
    core_->DeleteRecords(std::move(command));
  }

  void SetConfig() {
    ReplicaConfig config = core_->config();
    if (Has("sync")) config.sync = true;
    if (Has("async")) config.sync = false;
    config.min_insync_replicas = static_cast<int32_t>(Int("min-insync", 1));
    core_->SetConfig(config, Now());
  }

  void FinishOpen() {
    ASSERT_TRUE(opening_) << "nothing opens";
    opening_ = false;
    core_->OnOpened(PartitionLog::Open(fs_, core_->identity(), core_->config().log, Now().wall),
                    Now());
  }
  void FinishWrite() {
    ASSERT_TRUE(write_.has_value()) << "no write is in flight";
    storage::WriteJob job = *std::move(write_);
    write_.reset();
    job.Run();
    core_->OnWriteDone(std::move(job), Now());
  }
  void FinishSync() {
    ASSERT_FALSE(syncs_.empty()) << "no sync is in flight";
    storage::SyncTarget target = syncs_.front();
    syncs_.pop_front();
    absl::Status status;
    for (const auto& file : target.files) {
      if (status.ok()) status = file->SyncData();
    }
    core_->OnSyncDone(target, status, Now());
  }
  void FinishMaintenance() {
    ASSERT_TRUE(maintenance_.has_value()) << "no maintenance is in flight";
    storage::MaintenanceJob job = *std::move(maintenance_);
    maintenance_.reset();
    job.Run();
    core_->OnMaintenanceDone(std::move(job));
  }

  // Takes what the core decided. Reads and look-ups from disk run at once.
  void Collect() {
    while (core_->has_output()) {
      ReplicaCore::Output out = core_->TakeOutput();
      if (out.open) {
        opening_ = true;
        Say("-> open the log");
      }
      if (out.write.has_value()) {
        EXPECT_FALSE(write_.has_value()) << "two writes in flight";
        write_ = *std::move(out.write);
        Say("-> write");
      }
      if (out.sync.has_value()) {
        Say(absl::StrCat("-> sync to ", out.sync->end.value()));
        syncs_.push_back(*std::move(out.sync));
      }
      if (out.maintenance.has_value()) {
        EXPECT_FALSE(maintenance_.has_value()) << "two maintenance jobs in flight";
        maintenance_ = *std::move(out.maintenance);
        Say("-> maintenance");
      }
      for (auto& answer : out.answers) answer();
      for (ReplicaCore::Output::Read& read : out.reads) {
        Say("-> read from disk");
        absl::StatusOr<storage::ReadResult> result = read.job.Run();
        core_->OnReadDone(std::move(read), std::move(result));
      }
      for (ReplicaCore::Output::Lookup& lookup : out.lookups) {
        auto result = lookup.job();
        core_->OnLookupDone(std::move(lookup), std::move(result));
      }
      if (out.closed) Say("-> closed");
    }
  }

  sim::SimFileSystem fs_{42};
  MonotonicTime now_{std::chrono::seconds(1)};
  std::unique_ptr<ReplicaCore> core_;
  std::optional<storage::WriteJob> write_;
  std::deque<storage::SyncTarget> syncs_;
  std::optional<storage::MaintenanceJob> maintenance_;
  bool opening_ = false;
  std::string verb_;
  std::vector<std::string> words_;
  std::map<std::string, std::string> arguments_;
  std::string transcript_;
};

// Runs a script; returns it with what really happened below each "----".
std::string RunScript(const std::string& text) {
  ReplicaScript script;
  std::string result;
  std::vector<std::string> block;
  bool in_expectation = false;
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (const std::string& line : lines) {
    if (line == "----") {
      absl::StrAppend(&result, "----\n");
      for (const std::string& command : block) absl::StrAppend(&result, script.Run(command));
      block.clear();
      in_expectation = true;
    } else if (in_expectation) {
      if (line.empty()) {
        absl::StrAppend(&result, "\n");
        in_expectation = false;
      }
    } else {
      absl::StrAppend(&result, line, "\n");
      if (!line.empty() && line[0] != '#') block.push_back(line);
    }
  }
  EXPECT_TRUE(block.empty()) << "commands without ---- at the end";
  while (result.ends_with("\n\n")) result.pop_back();
  return result;
}

class ReplicaScripts : public testing::TestWithParam<std::string> {};

TEST_P(ReplicaScripts, Transcript) {
  const std::string path = GetParam();
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  std::string happened = RunScript(text.str());
  if (std::getenv("CATAMARAN_REWRITE") != nullptr) {
    std::ofstream(path) << happened;
    return;
  }
  EXPECT_EQ(happened, text.str()) << path;
}

std::vector<std::string> Scripts() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/broker/testdata/replica")) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

INSTANTIATE_TEST_SUITE_P(All, ReplicaScripts, testing::ValuesIn(Scripts()), [](const auto& script) {
  std::string name = std::filesystem::path(script.param).stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace catamaran::broker
