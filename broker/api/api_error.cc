#include "broker/api/api_error.h"

#include "absl/strings/numbers.h"
#include "base/error.h"

namespace catamaran::broker {

int64_t RetryDelayMs(const absl::Status& status) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  if (!detail.has_value()) return 0;
  for (const auto& [key, value] : detail->metadata) {
    int64_t delay;
    if (key == kRetryDelayKey && absl::SimpleAtoi(value, &delay)) return delay;
  }
  switch (detail->reason) {
    case Reason::kOverloaded:
      return 100;
    case Reason::kLeaderUnknown:
      return 100;
    case Reason::kNotEnoughReplicas:
      return 500;
    case Reason::kShuttingDown:
      return 500;
    case Reason::kQuotaExceeded:
      return 1'000;
    case Reason::kStorageFull:
      return 1'000;
    default:
      return 0;
  }
}

void ToProto(const absl::Status& status, v1::Error* error) {
  error->set_code(static_cast<int32_t>(status.code()));
  error->set_message(std::string(status.message()));
  error->set_retry_delay_ms(RetryDelayMs(status));
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  error->set_reason(
      std::string(ReasonName(detail.has_value() ? detail->reason : Reason::kInternal)));
  if (!detail.has_value()) return;
  for (const auto& [key, value] : detail->metadata) {
    if (key != kRetryDelayKey) (*error->mutable_metadata())[key] = value;
  }
}

}  // namespace catamaran::broker
