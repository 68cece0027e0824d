#include "broker/api/producer_ids.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace catamaran::broker {
namespace {

absl::Status NeverGivenOut(ProducerId id, int32_t epoch) {
  return MakeError(
      Reason::kUnknownProducer,
      absl::StrCat("Producer ", id.value(), " epoch ", epoch,
                   " was never given out: ask InitProducerId for a new id, without `current`."),
      {{"producer_id", absl::StrCat(id.value())}, {"producer_epoch", absl::StrCat(epoch)}});
}

}  // namespace

void ProducerIds::Next(Reply reply) {
  std::optional<absl::StatusOr<ProducerId>> answer;
  bool ask = false;
  {
    MutexLock lock(&state_->mu);
    if (state_->next < state_->end) {
      answer = state_->next;
      state_->next = ProducerId(state_->next.value() + 1);
    } else if (state_->waiting.size() >= kProducerIdWaitersMax) {
      answer = MakeError(Reason::kOverloaded,
                         "Too many producers wait for an id. Wait a little and try again.",
                         {{"limit", absl::StrCat(kProducerIdWaitersMax)}});
    } else {
      state_->waiting.push_back(std::move(reply));
      ask = !std::exchange(state_->asking, true);
    }
  }
  if (answer.has_value()) reply(*std::move(answer));
  if (ask) Ask(state_, service_, self_);
}

absl::StatusOr<std::optional<int32_t>> ProducerIds::NextEpoch(ProducerId id, int32_t epoch) {
  constexpr int32_t kEpochMax = std::numeric_limits<int16_t>::max();
  MutexLock lock(&state_->mu);
  if (state_->first_of_run.value() < 0 || id < state_->first_of_run) return std::nullopt;
  const auto known = state_->epochs.find(id);
  const int32_t last = known == state_->epochs.end() ? 0 : known->second;
  if (epoch > last) {
    return NeverGivenOut(id, epoch);
  }
  if (last >= kEpochMax) return std::nullopt;
  if (known == state_->epochs.end() && state_->epochs.size() >= kProducerEpochsMax) {
    return std::nullopt;
  }
  state_->epochs[id] = last + 1;
  return last + 1;
}

absl::Status ProducerIds::Check(ProducerId id, ProducerEpoch epoch) const {
  if (id >= service_->image()->next_producer_id()) return NeverGivenOut(id, epoch.value());
  MutexLock lock(&state_->mu);
  if (state_->first_of_run.value() < 0 || id < state_->first_of_run) return absl::OkStatus();
  const bool waits_in_block = id >= state_->next && id < state_->end;
  const auto known = state_->epochs.find(id);
  const int32_t last = known == state_->epochs.end() ? 0 : known->second;
  if (waits_in_block || epoch.value() > last) return NeverGivenOut(id, epoch.value());
  return absl::OkStatus();
}

void ProducerIds::Ask(const std::shared_ptr<State>& state, metadata::MetadataService* service,
                      BrokerId self) {
  service->AllocateProducerIds(
      self, [state, service, self](absl::StatusOr<metadata::ProducerIdBlock> block) {
        std::vector<std::pair<Reply, absl::StatusOr<ProducerId>>> answers;
        bool ask_again = false;
        {
          MutexLock lock(&state->mu);
          state->asking = false;
          if (block.ok()) {
            state->next = block->first;
            if (state->first_of_run.value() < 0) state->first_of_run = block->first;
            state->end = ProducerId(block->first.value() + block->count);
          }
          std::vector<Reply> left;
          for (Reply& reply : state->waiting) {
            if (!block.ok()) {
              answers.emplace_back(std::move(reply), block.status());
            } else if (state->next < state->end) {
              answers.emplace_back(std::move(reply), state->next);
              state->next = ProducerId(state->next.value() + 1);
            } else {
              left.push_back(std::move(reply));
            }
          }
          state->waiting = std::move(left);
          if (!state->waiting.empty()) ask_again = state->asking = true;
        }
        for (auto& [reply, answer] : answers) reply(std::move(answer));
        if (ask_again) Ask(state, service, self);
      });
}

}  // namespace catamaran::broker
