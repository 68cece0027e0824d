// catamaran cluster info
#include "base/error.h"
#include "client/cli/commands.h"
#include "client/cli/session.h"
#include "client/cli/table.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

constexpr Duration kLookAgainAfter = std::chrono::milliseconds(50);

absl::StatusOr<client::ClusterDescription> Look(const GlobalOptions& global) {
  CATAMARAN_ASSIGN_OR_RETURN(std::unique_ptr<client::Admin> admin, OpenAdmin(global));
  return admin->DescribeCluster();
}

std::string_view StateName(client::BrokerState state) {
  switch (state) {
    case client::BrokerState::kUnknown:
      return "unknown";
    case client::BrokerState::kRunning:
      return "running";
    case client::BrokerState::kFenced:
      return "fenced";
    case client::BrokerState::kDraining:
      return "draining";
  }
  return "unknown";
}

Value ClusterDocument(const client::ClusterDescription& cluster) {
  Value::Array brokers;
  for (const client::BrokerDescription& broker : cluster.brokers) {
    brokers.push_back(Members({{"broker_id", broker.broker_id.value()},
                               {"address", broker.address},
                               {"rack", broker.rack},
                               {"state", StateName(broker.state)},
                               {"broker_epoch", broker.broker_epoch}}));
  }
  return Members({{"cluster_id", cluster.cluster_id},
                  {"broker_id", cluster.answering_broker.value()},
                  {"controller_id", cluster.controller.value()},
                  {"brokers", std::move(brokers)},
                  {"topic_count", cluster.topic_count},
                  {"partition_count", cluster.partition_count},
                  {"revision", cluster.revision.value()},
                  {"version", cluster.version},
                  {"limits", Members({{"request_bytes_max", cluster.request_bytes_max},
                                      {"batch_bytes_max", cluster.batch_bytes_max}})}});
}

std::string BrokerTable(const client::ClusterDescription& cluster, bool wide) {
  std::vector<Table::Column> columns = {
      {"BROKER", Table::Align::kRight}, {"ADDRESS"}, {"STATE"}, {"RACK"}, {"ROLE"}};
  if (wide) columns.push_back({"EPOCH", Table::Align::kRight});
  Table table(columns);
  for (const client::BrokerDescription& broker : cluster.brokers) {
    std::vector<std::string> row = {
        std::to_string(broker.broker_id.value()), broker.address,
        std::string(StateName(broker.state)), broker.rack,
        broker.broker_id == cluster.controller ? "controller" : "broker"};
    if (wide) row.push_back(std::to_string(broker.broker_epoch));
    table.AddRow(std::move(row));
  }
  return table.Render();
}

std::string ClusterText(const client::ClusterDescription& cluster, bool wide) {
  std::vector<std::pair<std::string, std::string>> fields = {
      {"Cluster", cluster.cluster_id},
      {"Version", cluster.version},
      {"Topics", Cat({FormatCount(cluster.topic_count), " (",
                      Plural(cluster.partition_count, "partition"), ")"})}};
  if (wide) {
    fields.push_back({"Revision", std::to_string(cluster.revision.value())});
    fields.push_back(
        {"Largest request", FormatBytes(static_cast<double>(cluster.request_bytes_max))});
    fields.push_back({"Largest batch", FormatBytes(static_cast<double>(cluster.batch_bytes_max))});
  }
  return Cat({RenderFields(fields), "\n", BrokerTable(cluster, wide)});
}

}  // namespace

absl::StatusOr<ExitCode> Run(const GlobalOptions& global, const ClusterInfo& command,
                             Console* console) {
  MonotonicTime deadline = SystemClock().Now() + command.wait;
  absl::StatusOr<client::ClusterDescription> found = Look(global);
  while (!found.ok() && found.status().code() == absl::StatusCode::kUnavailable &&
         SystemClock().Now() < deadline) {
    WaitInterruptible(kLookAgainAfter);
    found = Look(global);
  }
  if (!found.ok()) return found.status();
  const client::ClusterDescription& cluster = *found;
  Report report;
  report.document = ClusterDocument(cluster);
  for (const client::BrokerDescription& broker : cluster.brokers) {
    report.names.push_back(std::to_string(broker.broker_id.value()));
  }
  report.table = ClusterText(cluster, false);
  report.wide = ClusterText(cluster, true);
  if (cluster.topic_count == 0) report.next = "catamaran topic create NAME --partitions 3";
  console->Show(report);
  return ExitCode::kOk;
}

}  // namespace catamaran::cli
