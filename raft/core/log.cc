#include "raft/core/log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace catamaran::raft {

const Entry& Log::At(LogIndex index) const {
  CATAMARAN_CHECK(index > base_.index && index <= last(), "the entry is in the log");
  return entries_[static_cast<size_t>(index - base_.index - 1)];
}

void Log::Append(Entry entry) {
  CATAMARAN_CHECK(entry.index == last() + 1, "entries follow without gaps");
  CATAMARAN_CHECK(entry.term >= end().term, "terms never fall along a log");
  bytes_ += CostOf(entry);
  entries_.push_back(std::move(entry));
}

void Log::TruncateFrom(LogIndex index) {
  CATAMARAN_CHECK(index > base_.index, "what was compacted can't be truncated");
  while (last() >= index) {
    bytes_ -= CostOf(entries_.back());
    entries_.pop_back();
  }
}

void Log::CompactThrough(LogIndex index) {
  CATAMARAN_CHECK(index <= last(), "compaction stays within the log");
  while (base_.index < index) {
    const Entry& entry = entries_.front();
    base_ = {entry.term, entry.index};
    bytes_ -= CostOf(entry);
    entries_.pop_front();
  }
}

void Log::Reset(LogPosition base) {
  entries_.clear();
  bytes_ = 0;
  base_ = base;
}

std::vector<Entry> Log::Slice(LogIndex from, LogIndex through, size_t entries_max,
                              size_t bytes_max) const {
  std::vector<Entry> slice;
  through = std::min(through, last());
  size_t bytes = 0;
  for (LogIndex i = from; i <= through && slice.size() < entries_max; i += 1) {
    const Entry& entry = At(i);
    bytes += CostOf(entry);
    if (!slice.empty() && bytes > bytes_max) break;
    slice.push_back(entry);
  }
  return slice;
}

LogPosition Log::LastAtMost(LogIndex index, Term term) const {
  // Terms never fall along the log, so this is a search for a boundary.
  LogIndex low = base_.index;
  LogIndex high = std::min(index, last());
  while (low < high) {
    const LogIndex middle = high - (high - low) / 2;
    if (At(middle).term <= term) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return {*TermAt(low), low};
}

}  // namespace catamaran::raft
