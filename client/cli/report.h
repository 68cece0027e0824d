// What a command found or did, in every output format.
#pragma once

#include <string>
#include <vector>

#include "client/cli/document.h"
#include "client/cli/failure.h"

namespace catamaran::cli {

struct Report {
  Value document;                  // json, yaml
  std::vector<std::string> names;  // name: one a line
  std::string table;               // table, with its line breaks
  std::string wide;                // wide; as the table when empty
  std::string next;                // the command to try next; a hint on standard error, for people
};

// What goes to standard output.
std::string RenderReport(const Report& report, OutputFormat format);

inline bool IsForPeople(OutputFormat format) {
  return format == OutputFormat::kTable || format == OutputFormat::kWide;
}

}  // namespace catamaran::cli
