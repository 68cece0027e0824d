#include "tests/raft/sim/history.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace catamaran::raft::sim {

void History::Fail(uint64_t number, const std::string& what) {
  if (violation_->empty()) *violation_ = absl::StrCat("history: operation ", number, ": ", what);
}

Op& History::Begin(OpKind kind, uint8_t key, uint64_t expected) {
  Op op;
  op.kind = kind;
  op.command.op = ops_.size();
  op.command.key = key;
  op.command.compare = kind == OpKind::kCompareAndSet;
  op.command.expected = expected;
  op.command.value = ops_.size() + 1;
  op.version_floor = seen_[key].version;
  op.commit_floor = acknowledged_;
  ops_.push_back(op);
  ++open_;
  return ops_.back();
}

void History::See(uint64_t number, Cell cell) {
  const uint8_t key = ops_[number].command.key;
  const auto [it, first] = values_[key].emplace(cell.version, cell.value);
  if (!first && it->second != cell.value) {
    Fail(number, absl::StrCat("version ", cell.version, " of key ", key, " is ", cell.value,
                              " and was ", it->second));
  }
  if (cell.version > seen_[key].version) seen_[key] = cell;
}

void History::EndCommitted(uint64_t number, bool changed, Cell cell, LogIndex index) {
  Op& op = ops_[number];
  if (op.state != OpState::kOpen) return;
  op.state = OpState::kCommitted;
  --open_;
  ++committed;
  const uint64_t least = op.version_floor + (changed ? 1 : 0);
  if (cell.version < least) {
    Fail(number, absl::StrCat("made version ", cell.version, " after ", op.version_floor,
                              " had been seen"));
  }
  if (changed && cell.value != op.command.value) Fail(number, "another value stands there");
  if (!changed && op.kind == OpKind::kWrite) Fail(number, "a write changed nothing");
  if (!changed && cell.value == op.command.expected) Fail(number, "failed with what it expected");
  if (changed && op.command.compare) {
    auto before = values_[op.command.key].find(cell.version - 1);
    if (before != values_[op.command.key].end() && before->second != op.command.expected) {
      Fail(number, "replaced what it didn't expect");
    }
  }
  See(number, cell);
  acknowledged_ = std::max(acknowledged_, index);
}

void History::EndRead(uint64_t number, Cell cell, LogIndex index) {
  Op& op = ops_[number];
  if (op.state != OpState::kOpen) return;
  op.state = OpState::kCommitted;
  --open_;
  ++reads;
  if (index < op.commit_floor) {
    Fail(number, absl::StrCat("R17: read at index ", index.value(), ", but ",
                              op.commit_floor.value(), " was acknowledged before it began"));
  }
  if (cell.version < op.version_floor) {
    Fail(number, absl::StrCat("R17: read version ", cell.version, " after ", op.version_floor,
                              " had been seen"));
  }
  See(number, cell);
}

void History::EndRejected(uint64_t number) {
  Op& op = ops_[number];
  if (op.state != OpState::kOpen) return;
  op.state = OpState::kRejected;
  --open_;
  ++rejected;
  if (op.applied_at != kNoIndex) Fail(number, "was rejected, but is applied");
}

void History::EndUnknown(uint64_t number) {
  Op& op = ops_[number];
  if (op.state != OpState::kOpen) return;
  op.state = OpState::kUnknown;
  --open_;
  ++unknown;
}

void History::OnApplied(uint64_t number, LogIndex index) {
  if (number >= ops_.size()) {
    if (violation_->empty()) *violation_ = "history: an operation that nobody asked for is applied";
    return;
  }
  Op& op = ops_[number];
  if (op.state == OpState::kRejected) Fail(number, "was rejected, but is applied");
  if (op.applied_at == kNoIndex) op.applied_at = index;
  if (op.applied_at != index) Fail(number, "is applied at two indexes");
}

}  // namespace catamaran::raft::sim
