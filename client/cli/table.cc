#include "client/cli/table.h"

#include <algorithm>

#include "base/check.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

void AppendCell(std::string* line, const std::string& cell, size_t width, Table::Align align,
                bool last) {
  size_t columns = DisplayWidth(cell);
  size_t padding = width > columns ? width - columns : 0;
  if (align == Table::Align::kRight) line->append(padding, ' ');
  line->append(cell);
  if (last) return;
  if (align == Table::Align::kLeft) line->append(padding, ' ');
  line->append(2, ' ');
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  CATAMARAN_CHECK(cells.size() == columns_.size(), "a row has one cell for each column");
  for (std::string& cell : cells) cell = cell.empty() ? "-" : Printable(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Render() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = DisplayWidth(columns_[i].header);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  std::string text;
  auto append_line = [&](auto cell_of) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      AppendCell(&line, cell_of(i), widths[i], columns_[i].align, i + 1 == columns_.size());
    }
    text.append(line).push_back('\n');
  };
  append_line([&](size_t i) -> const std::string& { return columns_[i].header; });
  for (const auto& row : rows_) {
    append_line([&](size_t i) -> const std::string& { return row[i]; });
  }
  return text;
}

std::string RenderFields(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, DisplayWidth(name));
  std::string text;
  for (const auto& [name, value] : fields) {
    text.append(name).push_back(':');
    text.append(width - DisplayWidth(name) + 2, ' ').append(Printable(value)).push_back('\n');
  }
  return text;
}

}  // namespace catamaran::cli
