#include "raft/core/progress.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace catamaran::raft {

const char* Progress::phase_name() const {
  switch (phase_) {
    case Phase::kProbing:
      return "probing";
    case Phase::kReplicating:
      return "replicating";
    case Phase::kSnapshot:
      return "snapshot";
  }
  return "?";
}

void Progress::BecomeProbing() {
  phase_ = Phase::kProbing;
  probing_ = Probing();
  next_ = match_ + 1;
}

void Progress::BecomeReplicating() {
  phase_ = Phase::kReplicating;
  replicating_.in_flight.clear();
  replicating_.bytes = 0;
  next_ = match_ + 1;
}

void Progress::BecomeSendingSnapshot(SnapshotMeta meta) {
  const uint64_t sequence = snapshot_.sequence;
  phase_ = Phase::kSnapshot;
  snapshot_ = SendingSnapshot();
  snapshot_.meta = std::move(meta);
  snapshot_.sequence = sequence;  // goes on, so that an answer to an older transfer fits none
}

bool Progress::RaiseMatch(LogIndex match) {
  if (match <= match_) return false;
  match_ = match;
  next_ = std::max(next_, match + 1);
  if (phase_ == Phase::kReplicating) {
    auto& queue = replicating_.in_flight;
    while (!queue.empty() && queue.front().last <= match) {
      replicating_.bytes -= queue.front().bytes;
      queue.pop_front();
    }
  }
  return true;
}

bool Progress::LowerNext(LogIndex refused, LogIndex agree) {
  if (phase_ == Phase::kProbing) {
    if (refused != next_ - 1) return false;
    next_ = std::max(match_ + 1, std::min(refused, agree + 1));
    probing_.sent = false;
    return true;
  }
  if (phase_ != Phase::kReplicating || refused <= match_) return false;
  // An append was lost, and what followed it doesn't fit: what is known is `match_`.
  BecomeProbing();
  return true;
}

bool Progress::MaySend(const Config& config) const {
  switch (phase_) {
    case Phase::kProbing:
      return !probing_.sent;
    case Phase::kReplicating:
      return replicating_.in_flight.size() < config.in_flight_messages_max &&
             (replicating_.in_flight.empty() || replicating_.bytes < config.in_flight_bytes_max);
    case Phase::kSnapshot:
      return !snapshot_.in_flight;
  }
  return false;
}

void Progress::Sent(LogIndex last, size_t bytes, MonotonicTime now) {
  if (phase_ == Phase::kProbing) {
    probing_.sent = true;
    probing_.sent_at = now;
    return;
  }
  CATAMARAN_CHECK(phase_ == Phase::kReplicating && last >= next_, "appends go on from next");
  next_ = last + 1;
  replicating_.in_flight.push_back({last, bytes, now});
  replicating_.bytes += bytes;
}

void Progress::MaybeForget(const Config& config, MonotonicTime now) {
  switch (phase_) {
    case Phase::kProbing:
      if (now - probing_.sent_at >= config.retransmit_after) probing_.sent = false;
      break;
    case Phase::kReplicating:
      if (!replicating_.in_flight.empty() &&
          now - replicating_.in_flight.front().sent_at >= config.retransmit_after) {
        BecomeProbing();
      }
      break;
    case Phase::kSnapshot:
      if (now - snapshot_.sent_at >= config.retransmit_after) snapshot_.in_flight = false;
      break;
  }
}

void Progress::ObserveCatchUp(const Config& config, LogIndex last, MonotonicTime now) {
  if (catch_up_.target == kNoIndex) {
    catch_up_.target = last;
    catch_up_.began = now;
  }
  if (match_ < catch_up_.target) return;
  catch_up_.last_round_was_quick = now - catch_up_.began <= config.catch_up_round_max;
  catch_up_.target = last;
  catch_up_.began = now;
}

bool Progress::IsCaughtUp(const Config& config, MonotonicTime now) const {
  return heard_at.has_value() && now - *heard_at < config.election_timeout_min &&
         catch_up_.last_round_was_quick &&
         (match_ >= catch_up_.target || now - catch_up_.began <= config.catch_up_round_max);
}

}  // namespace catamaran::raft
