// Topics as reports.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/admin.h"
#include "client/cli/offset_expression.h"
#include "client/cli/report.h"

namespace catamaran::cli {

// A topic and, as far as they're known, the bounds of its partitions (empty: not asked for).
struct TopicWithOffsets {
  client::TopicDescription topic;
  std::vector<std::optional<PartitionBounds>> bounds;
};

Value TopicDocument(const TopicWithOffsets& topic);
Report ListReport(const std::vector<client::TopicDescription>& topics);
Report DescribeReport(const std::vector<TopicWithOffsets>& topics);

// What became of one of several topics.
struct TopicOutcome {
  std::string name;
  std::string outcome;   // "created", "exists", "deleted", ... or "failed"
  std::string sentence;  // for people
  std::optional<client::TopicDescription> topic;
  absl::Status status;
};
Report OutcomeReport(const std::vector<TopicOutcome>& outcomes, const std::string& next);

std::string ReplicationFactorText(const client::TopicDescription& topic);

}  // namespace catamaran::cli
