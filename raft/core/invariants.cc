// What one replica can check of itself (README.md); the simulation checks what needs all of them.
#include <algorithm>

#include "base/check.h"
#include "raft/core/planted_bugs.h"
#include "raft/core/raft.h"

namespace catamaran::raft {

void Raft::CheckInvariants() const {
  // R9.
  CATAMARAN_CHECK(applied_ <= handed_, "only what was handed out is applied");
  CATAMARAN_CHECK(handed_ <= commit_, "only what is committed is handed out");
  CATAMARAN_CHECK(commit_ <= log_.last(), "only what is in the log is committed");
  CATAMARAN_CHECK(snapshot_.last.index <= commit_, "snapshots are of committed entries");
  CATAMARAN_CHECK(restore_after_ || snapshot_.last.index <= handed_, "snapshots are applied");
  CATAMARAN_CHECK(log_.base() <= snapshot_.last, "the log reaches back to the snapshot");
  CATAMARAN_CHECK(log_.Matches(snapshot_.last), "the snapshot ends on an entry of this log");
  CATAMARAN_CHECK(log_.end().term <= term(), "no entry is of a later term");
  // Durability.
  CATAMARAN_CHECK(durable_ <= log_.last(), "only what is in the log is durable");
  CATAMARAN_CHECK(handed_ <= std::max(durable_, snapshot_.last.index),
                  "what is applied is durable");
  CATAMARAN_CHECK(durable_ < unpersisted_from_, "what is durable was in a batch");
  CATAMARAN_CHECK(done_handle_ <= last_handle_, "what is done was given out");
  CATAMARAN_CHECK(in_flight_ || done_handle_ == last_handle_, "what isn't in flight is done");
  for (const WithheldMessage& withheld : withheld_) {
    CATAMARAN_CHECK(withheld.handle > done_handle_ && withheld.handle <= last_handle_ + 1,
                    "a message waits for a batch that isn't done");
  }
  // Membership.
  CATAMARAN_CHECK(membership_index() <= log_.last(), "a membership stands in the log");
  const Leader* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) {
    const bool campaigns = role() != RoleName::kFollower;
    CATAMARAN_CHECK(!campaigns || IsVoter(membership(), config_.self) ||
                        IsVoter(memberships_.At(commit_), config_.self),
                    "only voters campaign");
    return;
  }
  CATAMARAN_CHECK(log_.end().term == term(), "a leader's last entry is its own");
  CATAMARAN_CHECK(hard_state_.vote == config_.self, "a leader voted for itself");
  CATAMARAN_CHECK(!hard_state_dirty_ && hard_state_handle_ <= done_handle_,
                  "a leader's term and vote are durable");
  CATAMARAN_CHECK(leader->peers.size() + (FindMember(membership(), config_.self) ? 1 : 0) ==
                      AllIds(membership()).size(),
                  "a leader follows each member");
  for (const auto& [id, progress] : leader->peers) {
    CATAMARAN_CHECK(progress.match() <= log_.last(), "a follower holds no more than the leader");
    CATAMARAN_CHECK(progress.match() < progress.next(), "what is held isn't sent again");
    CATAMARAN_CHECK(progress.next() <= log_.last() + 1, "what isn't there isn't sent");
  }
  CATAMARAN_CHECK(
      !leader->transfer || FindMember(membership(), leader->transfer->target) != nullptr,
      "leadership goes to a member");
}

}  // namespace catamaran::raft
