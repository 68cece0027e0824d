#include "client/cli/document.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace catamaran::cli {
namespace {

Value Sample() {
  return Members(
      {{"name", "cars"},
       {"offset", int64_t{9223372036854775807}},
       {"rate", 1.5},
       {"empty", Value::Array()},
       {"none", Value()},
       {"partitions", Value::Array{Members({{"partition", 0}, {"replicas", Value::Array{1, 2}}}),
                                   Members({{"partition", 1}, {"internal", true}})}}});
}

TEST(Json, WritesOneLineWithNumbersAsNumbers) {
  EXPECT_EQ(WriteJsonLine(Sample()),
            R"({"name":"cars","offset":9223372036854775807,"rate":1.5,"empty":[],"none":null,)"
            R"("partitions":[{"partition":0,"replicas":[1,2]},{"partition":1,"internal":true}]})");
}

TEST(Json, WritesIndented) {
  EXPECT_EQ(WriteJsonPretty(Members({{"a", Value::Array{1}}, {"b", Value::Object()}})),
            "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}\n");
}

TEST(Json, EscapesStrings) {
  EXPECT_EQ(WriteJsonLine(Value(std::string("\"\\\n\x01\x7f \u00e9\xff", 9))),
            "\"\\\"\\\\\\n\\u0001\\u007f \u00e9\xEF\xBF\xBD\"");
}

TEST(Json, ReadsBackWhatItWrites) {
  std::string why;
  EXPECT_EQ(ReadJson(WriteJsonLine(Sample()), &why), Sample());
  EXPECT_EQ(ReadJson(WriteJsonPretty(Sample()), &why), Sample());
}

TEST(Json, RefusesWhatIsNoJson) {
  std::string why;
  for (const char* bad : {"", "{", "{\"a\":}", "[1,]", "nul", "{} {}", "\"\xff\"", "01"}) {
    EXPECT_FALSE(ReadJson(bad, &why).has_value()) << bad;
    EXPECT_NE(why, "") << bad;
  }
  EXPECT_FALSE(ReadJson(std::string(1000, '['), &why).has_value());
  EXPECT_EQ(why, "it is nested deeper than 64 levels");
}

TEST(Json, EqualNamesAreRefused) {
  std::string why;
  EXPECT_FALSE(ReadJson(R"([{"a":1,"b":{"a":1}},{"a":1,"a":2}])", &why).has_value());
  EXPECT_EQ(why, "it has \"a\" twice");
}

TEST(Json, SurvivesNoise) {
  Random random(11);
  std::string text = WriteJsonLine(Sample());
  std::string why;
  for (int i = 0; i < 5'000; ++i) {
    std::string broken = text;
    broken[random.Below(broken.size())] = static_cast<char>(random.Below(256));
    std::optional<Value> value = ReadJson(broken, &why);
    if (!value.has_value()) continue;
    EXPECT_EQ(ReadJson(WriteJsonLine(*value), &why), value);
  }
}

TEST(Yaml, WritesBlocks) {
  EXPECT_EQ(WriteYaml(Sample()),
            "name: cars\n"
            "offset: 9223372036854775807\n"
            "rate: 1.5\n"
            "empty: []\n"
            "none: null\n"
            "partitions:\n"
            "  - partition: 0\n"
            "    replicas:\n"
            "      - 1\n"
            "      - 2\n"
            "  - partition: 1\n"
            "    internal: true\n");
}

TEST(Yaml, QuotesWhatWouldBeReadOtherwise) {
  for (const char* word :
       {"true", "No", "null", "1", "-", "", "a: b", "# x", "1.5", "~", "y", "a b"}) {
    EXPECT_EQ(WriteYaml(Members({{"v", word}})), std::string("v: \"") + word + "\"\n") << word;
  }
  EXPECT_EQ(WriteYaml(Members({{"v", "retention.ms"}})), "v: retention.ms\n");
  EXPECT_EQ(WriteYaml(Value("cars")), "cars\n");
}

}  // namespace
}  // namespace catamaran::cli
