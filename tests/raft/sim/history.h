// What clients asked and were told, and whether it's linearizable. Registers carry versions, so
// that the order of all changes of a key is known, and a history is linearizable exactly if that
// order respects real time: what begins after another has ended sees at least its version. Every
// value is unique; each check takes constant time. Knows nothing of Raft but log indexes (for R17).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/core/types.h"
#include "tests/raft/sim/state_machine.h"

namespace catamaran::raft::sim {

enum class OpKind : uint8_t { kWrite, kCompareAndSet, kRead };
enum class OpState : uint8_t { kOpen, kCommitted, kRejected, kUnknown };

struct Op {
  OpKind kind = OpKind::kRead;
  Command command;
  OpState state = OpState::kOpen;
  uint64_t version_floor = 0;  // what had been seen of the key when it began
  LogIndex commit_floor;       // what had been acknowledged when it began
  LogIndex applied_at;         // by the first replica
};

class History {
 public:
  explicit History(std::string* violation) : violation_(violation) {}

  // Returns the new operation, whose number is `command.op`.
  Op& Begin(OpKind kind, uint8_t key, uint64_t expected);
  Op& op(uint64_t number) { return ops_[number]; }
  size_t size() const { return ops_.size(); }

  // The cell as it was right after (write) or when (read) the operation took effect.
  void EndCommitted(uint64_t number, bool changed, Cell cell, LogIndex index);
  void EndRead(uint64_t number, Cell cell, LogIndex index);
  void EndRejected(uint64_t number);
  void EndUnknown(uint64_t number);
  // A replica applied it.
  void OnApplied(uint64_t number, LogIndex index);
  // The last value that a client saw, to guess with in a compare-and-set.
  uint64_t last_value(uint8_t key) const { return seen_[key].value; }

  uint64_t open() const { return open_; }
  uint64_t committed = 0, rejected = 0, unknown = 0, reads = 0;

 private:
  void Fail(uint64_t number, const std::string& what);
  void See(uint64_t number, Cell cell);

  std::string* violation_;
  std::vector<Op> ops_;
  std::array<Cell, kKeys> seen_;  // the highest version of each key that a client was told
  std::array<std::map<uint64_t, uint64_t>, kKeys> values_;  // by version
  LogIndex acknowledged_;
  uint64_t open_ = 0;
};

}  // namespace catamaran::raft::sim
