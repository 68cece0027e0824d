#include "client/cli/record_template.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace catamaran::cli {
namespace {

using namespace std::string_view_literals;

struct Sample {
  std::vector<RecordHeader> headers = {{"type", "a\xff"sv}, {"flag", std::nullopt}};
  RecordView view{.topic = "cars",
                  .partition = PartitionIndex(2),
                  .offset = Offset(41),
                  .leader_epoch = LeaderEpoch(3),
                  .timestamp = TimestampMs(1'700'000'000'125),
                  .key = "k\n"sv,
                  .value = "\x00\xffz"sv,
                  .headers = {}};
  Sample() { view.headers = headers; }
};

std::string Render(std::string_view format, const RecordView& record) {
  absl::StatusOr<RecordTemplate> parsed = RecordTemplate::Parse(format);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  std::string out;
  if (parsed.ok()) AppendRecord(&out, *parsed, record);
  return out;
}

TEST(RecordTemplate, Fields) {
  Sample sample;
  EXPECT_EQ(Render("%t/%p/%o %T\\n", sample.view), "cars/2/41 1700000000125\n");
  EXPECT_EQ(Render("%k|%v", sample.view), "k\n|\0\xffz"sv);
  EXPECT_EQ(Render("100%%\\x41", sample.view), "100%A");
  EXPECT_EQ(Render("%T{iso}", sample.view), "2023-11-14T22:13:20.125Z");
}

TEST(RecordTemplate, Modifiers) {
  Sample sample;
  EXPECT_EQ(Render("%k{hex} %v{base64} %k{json}", sample.view), "6b0a AP96 \"k\\n\"");
  EXPECT_EQ(Render("%v{json}", sample.view), "{\"base64\":\"AP96\"}") << "no byte is lost";
  EXPECT_EQ(Render("%h", sample.view), "type=a\xff,flag");
  EXPECT_EQ(Render("%h{hex}", sample.view), "type=61ff,flag");
  EXPECT_EQ(Render("%h{json}", sample.view),
            R"([{"key":"type","value_base64":"Yf8="},{"key":"flag","value":null}])");
  EXPECT_EQ(Render("%o{json}", sample.view), "41");
}

TEST(RecordTemplate, NullIsNothingOrJsonNull) {
  RecordView record;
  EXPECT_EQ(Render("[%k][%v{hex}]", record), "[][]");
  EXPECT_EQ(Render("%k{json} %v{json}", record), "null null");
}

TEST(RecordTemplate, RefusesWhatItDoesNotKnow) {
  for (const char* bad : {"%", "%x", "%k{rot13}", "%k{hex", "%k{iso}", "\\q", "a\\"}) {
    absl::StatusOr<RecordTemplate> parsed = RecordTemplate::Parse(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(ReasonOf(parsed.status()), Reason::kInvalidArgument) << bad;
  }
}

TEST(RecordJson, KeepsEveryByte) {
  Sample sample;
  std::string out;
  AppendRecordJson(&out, sample.view);
  EXPECT_EQ(out,
            R"({"topic":"cars","partition":2,"offset":41,"timestamp_ms":1700000000125,"key":"k\n",)"
            R"("value_base64":"AP96","headers":[{"key":"type","value_base64":"Yf8="},)"
            R"({"key":"flag","value":null}],"leader_epoch":3})"
            "\n");
}

TEST(RecordOthers, NameWideYaml) {
  Sample sample;
  std::string name, wide, yaml;
  AppendRecordName(&name, sample.view);
  EXPECT_EQ(name, "cars/2/41\n");
  AppendRecordWide(&wide, sample.view);
  EXPECT_EQ(wide,
            "2     41          2023-11-14T22:13:20.125Z  k\\n           \\x00\\xffz  "
            "[type=a\\xff,flag]\n");
  AppendRecordYaml(&yaml, sample.view);
  EXPECT_EQ(yaml.substr(0, 40), "---\ntopic: cars\npartition: 2\noffset: 41\n");
}

}  // namespace
}  // namespace catamaran::cli
