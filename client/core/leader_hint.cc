#include "client/core/leader_hint.h"

#include <string_view>

#include "absl/strings/numbers.h"
#include "base/error.h"

namespace catamaran::client::core {
namespace {

std::optional<int32_t> ParseCount(std::string_view text) {
  int32_t number = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number) || number < 0) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<LeaderHint> LeaderHintOf(const absl::Status& refusal) {
  std::optional<ErrorDetail> detail = GetErrorDetail(refusal);
  if (!detail.has_value() || detail->reason != Reason::kNotLeader) return std::nullopt;
  std::optional<int32_t> leader, epoch;
  LeaderHint hint;
  for (auto& [name, value] : detail->metadata) {
    if (name == "leader") leader = ParseCount(value);
    if (name == "leader_epoch") epoch = ParseCount(value);
    if (name == "leader_address") hint.address = std::move(value);
  }
  if (!leader.has_value() || !epoch.has_value()) return std::nullopt;
  hint.leader = BrokerId(*leader);
  hint.leader_epoch = LeaderEpoch(*epoch);
  return hint;
}

}  // namespace catamaran::client::core
