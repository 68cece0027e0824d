// Turning what a replica read into the API's answers.
#pragma once

#include "absl/status/status.h"
#include "broker/api/api_context.h"
#include "broker/replica/commands.h"
#include "catamaran/v1/batch_service.pb.h"

namespace catamaran::broker {

// Everything but the topic and the partition. Copies the batches once, into the message.
void ToProto(const absl::Status& status, const ReadOutcome& outcome, v1::PartitionData* data);

void CountFetch(Counters& counters, const absl::Status& status, size_t bytes);

}  // namespace catamaran::broker
