// The state machine of driver tests: the list of all commands that were applied. What any replica
// applied at an index is compared with what the first one did (invariant R7), over all replicas and
// restarts of a test.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/executor.h"
#include "base/mutex.h"
#include "base/varint.h"
#include "gtest/gtest.h"
#include "raft/core/encoding.h"
#include "raft/driver/state_machine.h"

namespace catamaran::raft {

// What was committed where. Thread-safe.
class CommittedLog {
 public:
  // False when another entry stands there.
  bool Check(const Entry& entry) {
    MutexLock lock(&mu_);
    auto [it, inserted] = entries_.try_emplace(entry.index, EncodeEntry(entry));
    if (inserted && entry.kind == EntryKind::kCommand) {
      ++commands_[std::string(entry.payload.view())];
    }
    return inserted || it->second == EncodeEntry(entry);
  }
  // False when a state of another length was seen at this index.
  bool CheckLength(LogIndex index, size_t commands) {
    MutexLock lock(&mu_);
    return lengths_.try_emplace(index, commands).first->second == commands;
  }
  int CountOf(const std::string& command) {
    MutexLock lock(&mu_);
    auto it = commands_.find(command);
    return it == commands_.end() ? 0 : it->second;
  }

 private:
  Mutex mu_;
  std::map<LogIndex, std::string> entries_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> commands_ ABSL_GUARDED_BY(mu_);
  std::map<LogIndex, size_t> lengths_ ABSL_GUARDED_BY(mu_);
};

class LogMachine : public StateMachine {
 public:
  // `defer` runs a task a little later on the node's executor; empty: at once.
  LogMachine(CommittedLog* committed, std::function<void(Task)> defer)
      : committed_(committed), defer_(std::move(defer)) {}

  LogIndex applied() const override { return kNoIndex; }

  void Apply(std::vector<Entry> entries, absl::AnyInvocable<void()> done) override {
    for (const Entry& entry : entries) {
      EXPECT_EQ(entry.index, applied_ + 1) << "no gap, nothing twice";
      EXPECT_TRUE(committed_->Check(entry)) << "another entry at " << entry.index.value();
      applied_ = entry.index;
      if (entry.kind == EntryKind::kCommand) commands_.emplace_back(entry.payload.view());
      EXPECT_TRUE(committed_->CheckLength(applied_, commands_.size())) << applied_.value();
    }
    Finish(std::move(done));
  }

  void TakeSnapshot(absl::AnyInvocable<void(absl::StatusOr<SnapshotParts>)> done) override {
    SnapshotParts parts;
    std::string part;
    AppendVarint64(&part, applied_.value());
    for (const std::string& command : commands_) {
      AppendVarint64(&part, static_cast<int64_t>(command.size()));
      part += command;
      if (part.size() < kPartBytes) continue;
      parts.push_back(Buffer::FromString(std::exchange(part, {})));
    }
    if (!part.empty()) parts.push_back(Buffer::FromString(std::move(part)));
    ++images_;
    Finish(
        [done = std::move(done), parts = std::move(parts)]() mutable { done(std::move(parts)); });
  }

  void Restore(const SnapshotMeta& meta, SnapshotParts parts,
               absl::AnyInvocable<void(absl::Status)> done) override {
    std::string bytes;
    for (const Buffer& part : parts) bytes += part.view();
    ByteReader reader(bytes);
    const LogIndex applied(reader.ReadVarint64());
    EXPECT_EQ(applied, meta.last.index);
    EXPECT_GE(applied, applied_) << "a restore never goes back";
    commands_.clear();
    while (reader.ok() && reader.remaining() > 0) {
      const auto size = static_cast<size_t>(reader.ReadVarint64());
      commands_.emplace_back(reader.ReadBytes(size));
    }
    EXPECT_TRUE(reader.ok());
    applied_ = applied;
    EXPECT_TRUE(committed_->CheckLength(applied_, commands_.size())) << applied_.value();
    ++restores_;
    Finish([done = std::move(done)]() mutable { done(absl::OkStatus()); });
  }

  LogIndex last_applied() const { return applied_; }
  const std::vector<std::string>& commands() const { return commands_; }
  int images() const { return images_; }
  int restores() const { return restores_; }

 private:
  static constexpr size_t kPartBytes = 1'000;

  void Finish(Task task) {
    if (defer_) {
      defer_(std::move(task));
    } else {
      task();
    }
  }

  CommittedLog* const committed_;
  const std::function<void(Task)> defer_;
  LogIndex applied_;
  std::vector<std::string> commands_;
  int images_ = 0;
  int restores_ = 0;
};

}  // namespace catamaran::raft
