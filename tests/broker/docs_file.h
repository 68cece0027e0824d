// Documents that are made from tables in the code: what stands between two markers must be the
// table's text. CATAMARAN_UPDATE_DOCS=1 writes it anew.
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace catamaran::broker {

inline void ExpectGenerated(const std::string& path, const std::string& expected) {
  const std::string begin = "<!-- generated from the code: begin -->\n";
  const std::string end = "<!-- generated from the code: end -->\n";
  std::ifstream in(path, std::ios::binary);
  ASSERT_TRUE(in) << path;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  size_t from = text.find(begin);
  size_t to = text.find(end);
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos && from < to) << path;
  from += begin.size();
  if (std::getenv("CATAMARAN_UPDATE_DOCS") != nullptr) {
    std::ofstream(path, std::ios::binary) << text.substr(0, from) << expected << text.substr(to);
    return;
  }
  EXPECT_EQ(text.substr(from, to - from), expected)
      << path << " is behind the code; CATAMARAN_UPDATE_DOCS=1 writes it anew";
}

}  // namespace catamaran::broker
