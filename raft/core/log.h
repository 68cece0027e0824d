// The log since its base, in memory. Plain bookkeeping; what is durable is the core's business.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "raft/core/types.h"

namespace catamaran::raft {

// Owner: one Raft. Not thread-safe. Indexes and terms are CHECKed: who appends has verified them.
class Log {
 public:
  // `base` stands before the first entry: what compaction or a snapshot left, or zero.
  explicit Log(LogPosition base) : base_(base) {}

  LogPosition base() const { return base_; }
  LogIndex first() const { return base_.index + 1; }
  LogIndex last() const { return base_.index + static_cast<int64_t>(entries_.size()); }
  LogPosition end() const {
    return entries_.empty() ? base_ : LogPosition{entries_.back().term, entries_.back().index};
  }
  size_t bytes() const { return bytes_; }  // of the entries' payloads, plus a fixed cost of each

  // nullopt outside [base, last].
  std::optional<Term> TermAt(LogIndex index) const {
    if (index < base_.index || index > last()) return std::nullopt;
    return index == base_.index ? base_.term : At(index).term;
  }
  bool Matches(LogPosition position) const { return TermAt(position.index) == position.term; }
  const Entry& At(LogIndex index) const;

  void Append(Entry entry);
  void TruncateFrom(LogIndex index);  // index > base
  // Removes entries up to `index`, which becomes the base.
  void CompactThrough(LogIndex index);
  // Empties the log; the next entry follows `base`.
  void Reset(LogPosition base);

  // Entries from `from` on: at least one if there is one, then as many as both limits allow.
  std::vector<Entry> Slice(LogIndex from, LogIndex through, size_t entries_max,
                           size_t bytes_max) const;
  // The last position at or before `index` whose term isn't above `term` (§5.3, conflict hint); the
  // base if there's none.
  LogPosition LastAtMost(LogIndex index, Term term) const;

 private:
  LogPosition base_;
  std::deque<Entry> entries_;  // Invariant: consecutive after base_, terms never fall.
  size_t bytes_ = 0;
};

// What an entry costs in limits beyond its payload.
inline constexpr size_t kEntryOverheadBytes = 32;
inline size_t CostOf(const Entry& entry) { return entry.payload.size() + kEntryOverheadBytes; }

}  // namespace catamaran::raft
