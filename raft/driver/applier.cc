#include "raft/driver/applier.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace catamaran::raft {

Applier::Applier(StateMachine* machine, SnapshotIo* snapshots, OnApplied on_applied,
                 OnFailed on_failed)
    : machine_(machine),
      snapshots_(snapshots),
      on_applied_(std::move(on_applied)),
      on_failed_(std::move(on_failed)),
      applied_(machine->applied()) {}

Applier::~Applier() { *alive_ = false; }

void Applier::Restore(SnapshotMeta meta) {
  // Images that were asked for are answered; of what then.
  std::erase_if(steps_, [](const Step& step) { return !std::holds_alternative<Image>(step); });
  steps_.emplace_back(std::move(meta));
  RunNext();
}

void Applier::Apply(std::vector<Entry> entries) {
  steps_.emplace_back(std::move(entries));
  RunNext();
}

void Applier::TakeImage(Image done) {
  steps_.emplace_back(std::move(done));
  RunNext();
}

// A step that ends within its call comes back here by the loop, not by recursion.
void Applier::RunNext() {
  if (looping_) return;
  looping_ = true;
  const std::shared_ptr<bool> alive = alive_;
  while (*alive && !busy_ && !steps_.empty()) {
    busy_ = true;
    Step step = std::move(steps_.front());
    steps_.pop_front();
    std::visit([&](auto& value) { Run(std::move(value)); }, step);
  }
  if (*alive) looping_ = false;
}

void Applier::OnDone(LogIndex applied) {
  busy_ = false;
  const std::shared_ptr<bool> alive = alive_;
  if (applied > applied_) {
    applied_ = applied;
    on_applied_(applied);
  }
  if (*alive) RunNext();
}

void Applier::Run(Entries entries) {
  const LogIndex last = entries.back().index;
  machine_->Apply(std::move(entries), [this, last, alive = alive_] {
    if (*alive) OnDone(last);
  });
}

void Applier::Run(Image image) {
  auto shared = std::make_shared<Image>(std::move(image));
  machine_->TakeSnapshot([this, shared, alive = alive_](absl::StatusOr<SnapshotParts> parts) {
    if (!*alive) return;
    (*shared)(applied_, std::move(parts));
    if (*alive) OnDone(applied_);
  });
}

void Applier::Run(SnapshotMeta meta) {
  const LogPosition last = meta.last;
  snapshots_->ReadAll(
      meta, [this, meta, last, alive = alive_](absl::StatusOr<SnapshotParts> parts) {
        if (!*alive) return;
        if (!parts.ok()) {
          if (ReasonOf(parts.status()) != Reason::kVersionMismatch) {
            on_failed_(parts.status());
            return;
          }
          // A newer one was installed meanwhile: its restore follows, and covers what waits.
          OnDone(applied_);
          return;
        }
        machine_->Restore(meta, *std::move(parts), [this, last, alive](absl::Status restored) {
          if (!*alive) return;
          if (!restored.ok()) {
            on_failed_(std::move(restored));
            return;
          }
          OnDone(last.index);
        });
      });
}

}  // namespace catamaran::raft
