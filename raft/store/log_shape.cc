#include "raft/store/log_shape.h"

#include <algorithm>

#include "base/check.h"

namespace catamaran::raft {

std::optional<Term> LogShape::TermAt(LogIndex index) const {
  if (index < base_.index || index > last_.index) return std::nullopt;
  if (index == base_.index) return base_.term;
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), index,
                       [](LogIndex at, const LogPosition& run) { return at < run.index; });
  CATAMARAN_CHECK(after != runs_.begin(), "the first run begins at the first entry");
  return std::prev(after)->term;
}

bool LogShape::MayFollow(LogPosition position) const {
  return position.index == last_.index + 1 && position.term >= last_.term &&
         position.term > kNoTerm;
}

void LogShape::Append(LogPosition position) {
  CATAMARAN_CHECK(MayFollow(position), "an entry has the next index and no lower a term");
  if (runs_.empty() || runs_.back().term != position.term) runs_.push_back(position);
  last_ = position;
}

void LogShape::TruncateFrom(LogIndex index) {
  CATAMARAN_CHECK(index > base_.index, "what was compacted isn't truncated");
  if (index > last_.index) return;
  last_ = {*TermAt(index - 1), index - 1};
  while (!runs_.empty() && runs_.back().index >= index) runs_.pop_back();
}

void LogShape::CompactTo(LogIndex index) {
  const std::optional<Term> term = TermAt(index);
  CATAMARAN_CHECK(term.has_value(), "a log is compacted up to one of its entries");
  base_ = {*term, index};
  const auto beyond = std::find_if(runs_.begin(), runs_.end(),
                                   [&](const LogPosition& run) { return run.index > index; });
  // The run that the new first entry is in goes on from there.
  const bool begins_inside =
      index < last_.index && (beyond == runs_.end() || beyond->index > index + 1);
  const LogPosition begin{begins_inside ? std::prev(beyond)->term : kNoTerm, index + 1};
  runs_.erase(runs_.begin(), beyond);
  if (begins_inside) runs_.insert(runs_.begin(), begin);
}

}  // namespace catamaran::raft
