#include "client/cli/report.h"

namespace catamaran::cli {

std::string RenderReport(const Report& report, OutputFormat format) {
  switch (format) {
    case OutputFormat::kTable:
      return report.table;
    case OutputFormat::kWide:
      return report.wide.empty() ? report.table : report.wide;
    case OutputFormat::kJson:
      return WriteJsonPretty(report.document);
    case OutputFormat::kYaml:
      return WriteYaml(report.document);
    case OutputFormat::kName: {
      std::string lines;
      for (const std::string& name : report.names) lines.append(name).push_back('\n');
      return lines;
    }
  }
  return "";
}

}  // namespace catamaran::cli
