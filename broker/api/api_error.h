// Errors inside answers: catamaran.v1.Error.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "catamaran/v1/common.pb.h"

namespace catamaran::broker {

// Metadata key with which an error says how long to wait, in milliseconds.
inline constexpr char kRetryDelayKey[] = "retry_delay_ms";

// How long to wait before the next try, in milliseconds; 0 when waiting doesn't help.
int64_t RetryDelayMs(const absl::Status& status);

// `status` isn't OK. One that carries no Reason becomes INTERNAL with its own code.
void ToProto(const absl::Status& status, v1::Error* error);

}  // namespace catamaran::broker
