#include "client/cli/topic_report.h"

#include "client/cli/table.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

constexpr size_t kShortIdCharacters = 8;

std::string_view OriginName(client::ConfigOrigin origin) {
  switch (origin) {
    case client::ConfigOrigin::kUnknown:
      return "unknown";
    case client::ConfigOrigin::kDefault:
      return "default";
    case client::ConfigOrigin::kCluster:
      return "cluster";
    case client::ConfigOrigin::kBroker:
      return "broker";
    case client::ConfigOrigin::kTopic:
      return "topic";
  }
  return "unknown";
}

Value BrokerArray(const std::vector<BrokerId>& brokers) {
  Value::Array array;
  for (BrokerId broker : brokers) array.push_back(broker.value());
  return array;
}

std::string BrokerList(const std::vector<BrokerId>& brokers) {
  std::vector<std::string> parts;
  for (BrokerId broker : brokers) parts.push_back(std::to_string(broker.value()));
  return Join(parts, ",");
}

Value PartitionDocument(const client::PartitionDescription& partition,
                        const std::optional<PartitionBounds>& bounds) {
  Value document =
      Members({{"partition", partition.partition.value()},
               {"leader", partition.leader.value()},
               {"leader_epoch", partition.leader_epoch.value()},
               {"replicas", BrokerArray(partition.replicas)},
               {"in_sync_replicas", BrokerArray(partition.in_sync_replicas)},
               {"eligible_leader_replicas", BrokerArray(partition.eligible_leader_replicas)}});
  if (bounds.has_value()) {
    document.Add("log_start_offset", bounds->start.value());
    document.Add("high_watermark", bounds->end.value());
  }
  return document;
}

std::string PartitionTable(const TopicWithOffsets& topic, bool wide) {
  constexpr Table::Align kRight = Table::Align::kRight;
  std::vector<Table::Column> columns = {{"PARTITION", kRight}, {"LEADER", kRight}, {"REPLICAS"},
                                        {"IN-SYNC"},           {"START", kRight},  {"END", kRight},
                                        {"RECORDS", kRight}};
  if (wide) columns.insert(columns.begin() + 2, {"EPOCH", kRight});
  Table table(columns);
  for (size_t i = 0; i < topic.topic.partitions.size(); ++i) {
    const client::PartitionDescription& partition = topic.topic.partitions[i];
    bool known = i < topic.bounds.size() && topic.bounds[i].has_value();
    PartitionBounds bounds = known ? *topic.bounds[i] : PartitionBounds{};
    std::vector<std::string> row = {
        std::to_string(partition.partition.value()),
        partition.leader == kNoBroker ? "none" : std::to_string(partition.leader.value()),
        BrokerList(partition.replicas),
        BrokerList(partition.in_sync_replicas),
        known ? std::to_string(bounds.start.value()) : "",
        known ? std::to_string(bounds.end.value()) : "",
        known ? std::to_string(bounds.end - bounds.start) : ""};
    if (wide) row.insert(row.begin() + 2, std::to_string(partition.leader_epoch.value()));
    table.AddRow(std::move(row));
  }
  return table.Render();
}

// Settings that somebody chose; all of them when wide.
std::string ConfigTable(const client::TopicDescription& topic, bool wide) {
  Table table({{"SETTING"}, {"VALUE"}, {"FROM"}});
  for (const client::ConfigValue& config : topic.configs) {
    if (!wide && config.origin == client::ConfigOrigin::kDefault) continue;
    table.AddRow({config.name, config.value, std::string(OriginName(config.origin))});
  }
  if (table.empty()) return "All settings have their defaults; -o wide shows them.\n";
  return table.Render();
}

std::string DescribeText(const TopicWithOffsets& topic, bool wide) {
  std::string text = RenderFields({{"Topic", topic.topic.name},
                                   {"Id", topic.topic.topic_id.uuid.ToString()},
                                   {"Version", std::to_string(topic.topic.version)},
                                   {"Partitions", std::to_string(topic.topic.partitions.size())},
                                   {"Replication", ReplicationFactorText(topic.topic)}});
  text += Cat({"\n", PartitionTable(topic, wide), "\n", ConfigTable(topic.topic, wide)});
  return text;
}

}  // namespace

std::string ReplicationFactorText(const client::TopicDescription& topic) {
  size_t factor = topic.partitions.empty() ? 0 : topic.partitions[0].replicas.size();
  return std::to_string(factor);
}

Value TopicDocument(const TopicWithOffsets& described) {
  const client::TopicDescription& topic = described.topic;
  Value::Array partitions;
  for (size_t i = 0; i < topic.partitions.size(); ++i) {
    bool known = i < described.bounds.size();
    partitions.push_back(
        PartitionDocument(topic.partitions[i], known ? described.bounds[i] : std::nullopt));
  }
  Value document = Members({{"name", topic.name},
                            {"topic_id", topic.topic_id.uuid.ToString()},
                            {"partitions", std::move(partitions)}});
  Value::Array configs;
  for (const client::ConfigValue& config : topic.configs) {
    configs.push_back(Members(
        {{"name", config.name}, {"value", config.value}, {"origin", OriginName(config.origin)}}));
  }
  if (!configs.empty()) document.Add("configs", std::move(configs));
  document.Add("version", topic.version);
  document.Add("internal", topic.internal);
  return document;
}

Report ListReport(const std::vector<client::TopicDescription>& topics) {
  constexpr Table::Align kRight = Table::Align::kRight;
  Report report;
  Value::Array documents;
  Table table({{"NAME"}, {"PARTITIONS", kRight}, {"REPLICAS", kRight}, {"ID"}});
  Table wide({{"NAME"},
              {"PARTITIONS", kRight},
              {"REPLICAS", kRight},
              {"VERSION", kRight},
              {"INTERNAL"},
              {"ID"}});
  for (const client::TopicDescription& topic : topics) {
    documents.push_back(TopicDocument({topic, {}}));
    report.names.push_back(topic.name);
    std::string count = std::to_string(topic.partitions.size());
    std::string id = topic.topic_id.uuid.ToString();
    table.AddRow(
        {topic.name, count, ReplicationFactorText(topic), id.substr(0, kShortIdCharacters)});
    wide.AddRow({topic.name, count, ReplicationFactorText(topic), std::to_string(topic.version),
                 topic.internal ? "yes" : "no", id});
  }
  report.document = Members({{"topics", std::move(documents)}});
  report.table = table.Render();
  report.wide = wide.Render();
  if (topics.empty()) report.next = "catamaran topic create NAME --partitions 3";
  return report;
}

Report DescribeReport(const std::vector<TopicWithOffsets>& topics) {
  Report report;
  Value::Array documents;
  for (const TopicWithOffsets& topic : topics) {
    documents.push_back(TopicDocument(topic));
    report.names.push_back(topic.topic.name);
    if (!report.table.empty()) report.table += "\n";
    report.table += DescribeText(topic, false);
    if (!report.wide.empty()) report.wide += "\n";
    report.wide += DescribeText(topic, true);
  }
  report.document = Members({{"topics", std::move(documents)}});
  return report;
}

Report OutcomeReport(const std::vector<TopicOutcome>& outcomes, const std::string& next) {
  Report report;
  Value::Array documents;
  for (const TopicOutcome& outcome : outcomes) {
    Value document = Members({{"name", outcome.name}});
    if (outcome.topic.has_value()) document = TopicDocument({*outcome.topic, {}});
    document.Add("outcome", outcome.outcome);
    if (!outcome.status.ok()) {
      Failure failure = DescribeFailure(outcome.status);
      document.Add("error", Members({{"code", failure.code},
                                     {"reason", failure.reason},
                                     {"message", failure.message}}));
    } else {
      report.names.push_back(outcome.name);
      report.table += outcome.sentence + "\n";
      report.next = next;
    }
    documents.push_back(std::move(document));
  }
  report.document = Members({{"topics", std::move(documents)}});
  return report;
}

}  // namespace catamaran::cli
