// Checks of the public options, and what the cores take from them.
#pragma once

#include "absl/status/status.h"
#include "client/client_options.h"
#include "client/consumer.h"
#include "client/core/consumer_core.h"
#include "client/core/producer_core.h"
#include "client/producer.h"

namespace catamaran::client::core {

// OK, or kInvalidArgument that names the field and its range.
absl::Status ValidateProducerOptions(const ProducerOptions& options);
absl::Status ValidateConsumerOptions(const ConsumerOptions& options);

MetadataOptions MakeMetadataOptions(const ClientOptions& options);
ProducerCoreOptions MakeProducerCoreOptions(const ClientOptions& client,
                                            const ProducerOptions& options);
ConsumerCoreOptions MakeConsumerCoreOptions(const ClientOptions& client,
                                            const ConsumerOptions& options);
RecordAccumulator::Options MakeAccumulatorOptions(const ProducerOptions& options);

}  // namespace catamaran::client::core
