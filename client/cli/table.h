// Tables for people: columns aligned by what the terminal shows, headers in capitals.
#pragma once

#include <string>
#include <vector>

namespace catamaran::cli {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  Table() = default;
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell a column; an empty cell shows as "-".
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Cells are made printable. The last column isn't padded; two blanks stand between columns.
  std::string Render() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "Name:   value" lines with the values aligned.
std::string RenderFields(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace catamaran::cli
