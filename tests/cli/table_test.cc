#include "client/cli/table.h"

#include <gtest/gtest.h>

namespace catamaran::cli {
namespace {

TEST(Table, AlignsByWhatIsShown) {
  Table table({{"NAME"}, {"PARTITIONS", Table::Align::kRight}, {"ID"}});
  table.AddRow({"cars", "3", "9f1c2f4e"});
  table.AddRow({"\u6f22\u5b57", "10000", ""});
  EXPECT_EQ(table.Render(),
            "NAME  PARTITIONS  ID\n"
            "cars           3  9f1c2f4e\n"
            "\u6f22\u5b57       10000  -\n");
}

TEST(Table, ShowsNoControlCharacters) {
  Table table({{"NAME"}});
  table.AddRow({"a\x1b[2J\n"});
  EXPECT_EQ(table.Render(), "NAME\na\\x1b[2J\\n\n");
}

TEST(Table, WithoutRowsIsItsHeader) { EXPECT_EQ(Table({{"A"}, {"B"}}).Render(), "A  B\n"); }

TEST(Fields, AlignsValues) {
  EXPECT_EQ(RenderFields({{"Name", "cars"}, {"Partitions", "3"}}),
            "Name:        cars\nPartitions:  3\n");
}

}  // namespace
}  // namespace catamaran::cli
