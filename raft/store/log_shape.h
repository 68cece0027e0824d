// What a log consists of, without its payloads: where it begins and ends, and the term of each
// index, as runs of equal terms. Plain values; pure. One owner.
#pragma once

#include <optional>
#include <vector>

#include "raft/core/types.h"

namespace catamaran::raft {

class LogShape {
 public:
  // An empty log whose next entry follows `base`.
  explicit LogShape(LogPosition base = {}) : base_(base), last_(base) {}

  // The position before the first entry: the last one that was compacted away, or (0, 0).
  LogPosition base() const { return base_; }
  // The last entry's position; `base` in an empty log.
  LogPosition last() const { return last_; }
  LogIndex first_index() const { return base_.index + 1; }  // of the first entry, if there is one
  bool empty() const { return base_.index == last_.index; }
  // The first entry of each term, ascending.
  const std::vector<LogPosition>& runs() const { return runs_; }

  // nullopt before `base` and after `last`; the base has a term.
  std::optional<Term> TermAt(LogIndex index) const;
  bool Contains(LogPosition position) const { return TermAt(position.index) == position.term; }

  // True when an entry at `position` may follow: the next index, and no lower a term.
  bool MayFollow(LogPosition position) const;
  void Append(LogPosition position);  // MayFollow
  void TruncateFrom(LogIndex index);  // first_index() <= index; past the end changes nothing
  void CompactTo(LogIndex index);     // base().index <= index <= last().index
  bool operator==(const LogShape&) const = default;

 private:
  LogPosition base_;
  LogPosition last_;
  std::vector<LogPosition> runs_;  // Invariant: terms and indexes rise; the first is first_index()
};

}  // namespace catamaran::raft
