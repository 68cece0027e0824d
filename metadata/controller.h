// Decides: a command and the image become records and an answer. Pure; changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/random.h"
#include "metadata/commands.h"
#include "metadata/image.h"
#include "metadata/replay.h"

namespace catamaran::metadata {

struct Decision {
  std::vector<Record> records;  // empty when there is nothing to change
  // The topic that the answer is about: looked up in the image after the records.
  TopicId topic;
  // Set when the answer doesn't depend on the next image.
  std::optional<Answer> answer;
};

// Refusals are typed (base/error.h) and change nothing: kInvalidTopicName, kInvalidArgument,
// kInvalidConfig, kNotSupported, kTopicExists, kUnknownTopic, kTopicIdMismatch, kVersionMismatch,
// kReplicationUnavailable, kLimitExceeded. `random` makes topic ids; everything else follows from
// the arguments.
absl::StatusOr<Decision> Handle(const Command& command, const CommandOptions& options,
                                const MetadataImage& image, const ControllerLimits& limits,
                                Random& random);

// The answer of `decision`, given the image after its records.
Answer AnswerOf(const Decision& decision, const MetadataImage& after);

}  // namespace catamaran::metadata
