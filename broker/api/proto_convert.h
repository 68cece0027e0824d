// Metadata as the public API's messages.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "catamaran/v1/cluster_service.pb.h"
#include "catamaran/v1/topic_service.pb.h"
#include "metadata/image.h"
#include "metadata/topic_config.h"

namespace catamaran::broker {

// Without settings.
void ToProto(const metadata::TopicState& topic, v1::Topic* out);
// With settings, their effective values and origins.
void ToProtoWithConfigs(const metadata::TopicState& topic, const metadata::TopicDefaults& defaults,
                        v1::Topic* out);
void ToProto(const metadata::BrokerInfo& broker, v1::Broker* out);
// Everything of the image: what a watcher begins with.
void ToProto(const metadata::MetadataImage& image, v1::GetMetadataResponse* out);
void ToProto(const metadata::MetadataDelta& delta, const metadata::MetadataImage& image,
             v1::WatchMetadataResponse* out);

// kInvalidArgument unless exactly 16 bytes.
absl::StatusOr<TopicId> TopicIdFromProto(const std::string& bytes);

}  // namespace catamaran::broker
