#include "client/cli/record_reader.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"

namespace catamaran::cli {
namespace {

using Mode = RecordReaderOptions::Mode;
using namespace std::string_literals;

struct Read {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  std::optional<int32_t> partition;
  int64_t timestamp = -1;
  bool operator==(const Read&) const = default;
};

std::optional<std::string> Copy(std::optional<std::string_view> bytes) {
  return bytes.has_value() ? std::optional<std::string>(*bytes) : std::nullopt;
}

// Feeds `input` in pieces of `step` bytes. An error ends the reading and is left in `error`.
std::vector<Read> ReadAll(const RecordReaderOptions& options, std::string_view input, size_t step,
                          absl::Status* error = nullptr) {
  RecordReader reader(options);
  std::vector<Read> all;
  InputRecord record;
  bool finished = false;
  while (true) {
    absl::StatusOr<bool> found = reader.Next(&record);
    if (!found.ok()) {
      if (error != nullptr) *error = found.status();
      if (error == nullptr) ADD_FAILURE() << found.status();
      return all;
    }
    if (*found) {
      Read read{Copy(record.key), Copy(record.value), {}, std::nullopt, record.timestamp.value()};
      for (const RecordHeader& header : record.headers) {
        read.headers.emplace_back(header.key, Copy(header.value));
      }
      if (record.partition.has_value()) read.partition = record.partition->value();
      all.push_back(std::move(read));
    } else if (finished) {
      return all;
    } else if (input.empty()) {
      reader.Finish();
      finished = true;
    } else {
      reader.Feed(input.substr(0, step));
      input.remove_prefix(std::min(step, input.size()));
    }
  }
}

std::vector<std::optional<std::string>> Values(const RecordReaderOptions& options,
                                               std::string_view input, size_t step = 3) {
  std::vector<std::optional<std::string>> values;
  for (Read& read : ReadAll(options, input, step)) values.push_back(read.value);
  return values;
}

RecordReaderOptions Template(std::string_view text) {
  absl::StatusOr<RecordTemplate> format = RecordTemplate::Parse(text);
  EXPECT_TRUE(format.ok()) << format.status();
  EXPECT_TRUE(ValidateReadable(*format).ok());
  return {.mode = Mode::kTemplate, .format = *format};
}

using Strings = std::vector<std::optional<std::string>>;

TEST(DelimitedReader, EmptyLinesAreRecordsAndALastOneNeedsNoDelimiter) {
  for (size_t step : {1, 2, 3, 100}) {
    EXPECT_EQ(Values({}, "a\n\nb\r\nlast", step), (Strings{"a", "", "b\r", "last"}));
    EXPECT_EQ(Values({}, "a\n", step), (Strings{"a"}));
    EXPECT_EQ(Values({}, "\n", step), (Strings{""}));
    EXPECT_EQ(Values({}, "", step), (Strings{}));
  }
}

TEST(DelimitedReader, DelimitersOfSeveralBytesAcrossPieces) {
  RecordReaderOptions options{.delimiter = "--\n"};
  for (size_t step : {1, 2, 3, 4, 100}) {
    EXPECT_EQ(Values(options, "a--\n-b---\nc--", step), (Strings{"a", "-b-", "c--"}));
  }
}

TEST(DelimitedReader, KeptDelimitersGiveBackEveryByte) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    std::string input;
    for (uint64_t i = random.Below(60); i > 0; --i)
      input.push_back("\n\nab\0\xff"[random.Below(6)]);
    RecordReaderOptions options{.keep_delimiter = true};
    std::string joined;
    for (const auto& value : Values(options, input, 1 + random.Below(7))) joined += *value;
    EXPECT_EQ(joined, input);
  }
}

TEST(DelimitedReader, SplitsKeysAtTheFirstSeparator) {
  RecordReaderOptions options{.key_separator = ":"};
  EXPECT_EQ(ReadAll(options, "k:v:w\n:x\ny:\n", 2),
            (std::vector<Read>{{"k", "v:w"}, {std::nullopt, "x"}, {"y", ""}}));
  absl::Status error;
  EXPECT_EQ(ReadAll(options, "k:v\nnone\nz:1\n", 100, &error).size(), 1u);
  EXPECT_EQ(ReasonOf(error), Reason::kInvalidRecord);
  EXPECT_EQ(error.message(),
            "Record 2 of the input (line 2) can't be read: it has no key separator \":\".");
  // Where records don't end with a line, nobody counts lines.
  options.delimiter = ";";
  ReadAll(options, "k:v;none;", 100, &error);
  EXPECT_EQ(error.message(), "Record 2 of the input can't be read: it has no key separator \":\".");
}

TEST(DelimitedReader, ARecordWithoutEndIsRefused) {
  RecordReader reader({});
  std::string piece(8 << 20, 'x');
  InputRecord record;
  for (int i = 0; i < 8; ++i) {
    reader.Feed(piece);
    absl::StatusOr<bool> found = reader.Next(&record);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(*found);
  }
  reader.Feed(piece);
  EXPECT_EQ(ReasonOf(reader.Next(&record).status()), Reason::kInvalidRecord);
}

TEST(TemplateReader, ReadsFields) {
  for (size_t step : {1, 5, 100}) {
    EXPECT_EQ(ReadAll(Template("%k\\t%v\\n"), "a\tb\tc\n\td\ne\t\n", step),
              (std::vector<Read>{{"a", "b\tc"}, {std::nullopt, "d"}, {"e", ""}}));
    EXPECT_EQ(ReadAll(Template("%p %T %k{hex} %v{base64}\\n"), "3 1700 6100 AP8=\n", step),
              (std::vector<Read>{{"a\0"s, "\0\xff"s, {}, 3, 1700}}));
    EXPECT_EQ(ReadAll(Template("%t %o %k{json} %v{json}"), "cars 7 null \"x\\n\"", step),
              (std::vector<Read>{{std::nullopt, "x\n"}}));
  }
}

TEST(TemplateReader, ATerminatorInsideComesOnceMore) {
  EXPECT_EQ(ReadAll(Template("%k\\n%v\\n"), "a\nb\nc\nd\n", 3),
            (std::vector<Read>{{"a", "b"}, {"c", "d"}}));
}

TEST(TemplateReader, ReadsHeaders) {
  EXPECT_EQ(ReadAll(Template("%h|%v\\n"), "a=1,b=x=y,c|v\n|w\n", 100),
            (std::vector<Read>{{std::nullopt, "v", {{"a", "1"}, {"b", "x=y"}, {"c", std::nullopt}}},
                               {std::nullopt, "w"}}));
  EXPECT_EQ(ReadAll(Template("%h{json} %v\\n"), R"([{"key":"a","value":"1"}] v)", 100),
            (std::vector<Read>{{std::nullopt, "v", {{"a", "1"}}}}));
}

TEST(TemplateReader, TellsWhatDoesNotFit) {
  struct Case {
    const char* format;
    const char* input;
    const char* message;
  };
  for (const Case& c :
       {Case{"%k\\t%v\\n", "no tab\n", "\"\\t\" of the template isn't there"},
        Case{"%v{hex}\\n", "xyz\n", "%v: it is no hex"},
        Case{"<%v\\n", "v\n", "\"<\" of the template isn't there"},
        Case{"%p %v\\n", "-1 v\n", "%p: it is no partition number"},
        Case{"%v{json}\\n", "7\n", "%v: it must be a JSON string, null, or {\"base64\":\"...\"}"},
        Case{"%v{json}\\n", "{\"base64\":\"!\"}\n",
             "%v: it must be a JSON string, null, or {\"base64\":\"...\"}"},
        Case{"%h{json}\\n", "[],\"partition\":3\n", "%h: it is no valid JSON at byte 3"},
        Case{"%T %v\\n", "noon v\n", "%T: it is no time (milliseconds since 1970 or RFC 3339)"}}) {
    absl::Status error;
    EXPECT_TRUE(ReadAll(Template(c.format), c.input, 100, &error).empty());
    EXPECT_EQ(error.message(),
              std::string("Record 1 of the input (line 1) can't be read: ") + c.message + ".");
  }
}

TEST(TemplateReader, RefusesTemplatesThatCannotBeRead) {
  EXPECT_FALSE(ValidateReadable(*RecordTemplate::Parse("%k%v\\n")).ok());
  EXPECT_FALSE(ValidateReadable(*RecordTemplate::Parse("text\\n")).ok());
}

TEST(JsonReader, ReadsObjects) {
  RecordReaderOptions options{.mode = Mode::kJson};
  EXPECT_EQ(ReadAll(options,
                    "{\"key\":\"k\",\"value_base64\":\"AP8=\",\"partition\":1,\"timestamp_ms\":5}\n"
                    "\n"
                    "{\"topic\":\"t\",\"offset\":3,\"leader_epoch\":0,\"value\":\"{}\"}\n"
                    "{\"headers\":[{\"key\":\"h\",\"value\":null}],\"timestamp_ms\":-1}\n"
                    "{\"headers\":[{\"key\":\"h\",\"value\":\"x\"},{\"key_base64\":\"aA==\","
                    "\"value_base64\":\"/w==\"}],\"value\":\"\"}",
                    4),
            (std::vector<Read>{{"k", "\0\xff"s, {}, 1, 5},
                               {std::nullopt, "{}"},
                               {std::nullopt, std::nullopt, {{"h", std::nullopt}}},
                               {std::nullopt, "", {{"h", "x"}, {"h", "\xff"}}}}));
}

TEST(JsonReader, TellsWhatIsWrong) {
  RecordReaderOptions options{.mode = Mode::kJson};
  for (const char* bad : {"[]",
                          "{",
                          "{\"kye\":1}",
                          "{\"value_base64\":\"!\"}",
                          "{\"value\":1,\"value_base64\":\"\"}",
                          "{\"partition\":-2}",
                          "{\"partition\":1.5}",
                          "{\"partition\":4294967296}",
                          "{\"headers\":[1]}",
                          "{\"headers\":[{\"value\":\"x\"}]}",
                          "{\"headers\":{\"h\":\"x\"}}",
                          "{\"headers\":\"h=x\"}",
                          "{\"headers\":[{\"key\":7}]}",
                          "{\"headers\":[{\"key\":\"\"}]}",
                          "{\"headers\":[{\"key\":\"h\",\"value\":7}]}",
                          "{\"headers\":[{\"key\":\"h\",\"vale\":\"\"}]}",
                          "{\"partition\":-1}",
                          "{\"partition\":\"0\"}",
                          "{\"timestamp_ms\":-2}",
                          "{\"key\":7}",
                          "{\"value\":{\"a\":1}}",
                          "{\"value\":true}",
                          "{\"key\":\"a\",\"key\":\"b\"}",
                          "7",
                          "\"text\"",
                          "null",
                          "{} {}"}) {
    absl::Status error;
    EXPECT_TRUE(ReadAll(options, bad, 100, &error).empty()) << bad;
    EXPECT_EQ(ReasonOf(error), Reason::kInvalidRecord) << bad;
  }
  absl::Status error;
  ReadAll(options, "{}\n\n \n{\"kye\":1}\n", 100, &error);
  EXPECT_EQ(
      error.message(),
      "Record 2 of the input (line 4) can't be read: it has an unknown field \"kye\" (did you "
      "mean \"key\"?).");
  EXPECT_EQ(GetErrorDetail(error)->metadata,
            (ErrorMetadata{{"record_number", "2"}, {"line_number", "4"}}));
}

// What a template or JSON writes, the same reads.
TEST(RoundTrip, RandomRecords) {
  Random random(13);
  auto bytes = [&random] {
    std::string text;
    for (uint64_t i = random.Below(20); i > 0; --i) {
      text.push_back(static_cast<char>(random.Below(256)));
    }
    return text;
  };
  std::string hex, text, json;
  RecordTemplate as_hex = *RecordTemplate::Parse("%p %T %k{hex} %h{json} %v{hex}\\n");
  RecordTemplate as_json = *RecordTemplate::Parse("%p %T %k{json}\\t%h{json}\\t%v{json}\\n");
  std::vector<Read> expected;
  for (int i = 0; i < 300; ++i) {
    Read read{"k" + bytes(),
              bytes(),
              {},
              static_cast<int32_t>(random.Below(9)),
              random.Between(0, 1 << 30)};
    for (uint64_t h = random.Below(3); h > 0; --h) read.headers.emplace_back("h", bytes());
    std::vector<RecordHeader> headers;
    for (const auto& [name, value] : read.headers) headers.push_back({name, *value});
    RecordView view{.topic = "t",
                    .partition = PartitionIndex(*read.partition),
                    .timestamp = TimestampMs(read.timestamp),
                    .key = *read.key,
                    .value = *read.value,
                    .headers = headers};
    AppendRecord(&hex, as_hex, view);
    AppendRecord(&text, as_json, view);
    AppendRecordJson(&json, view);
    expected.push_back(std::move(read));
  }
  RecordReaderOptions hex_options{.mode = Mode::kTemplate, .format = as_hex};
  EXPECT_EQ(ReadAll(hex_options, hex, 17), expected);
  RecordReaderOptions json_options{.mode = Mode::kTemplate, .format = as_json};
  EXPECT_EQ(ReadAll(json_options, text, 17), expected);
  EXPECT_EQ(ReadAll({.mode = Mode::kJson}, json, 17), expected);
}

TEST(Noise, NeverCrashes) {
  constexpr std::string_view kNoise = "{}[]\":,\\\nkeyvalu= \xff\x80n5";
  Random random(17);
  RecordTemplate format = *RecordTemplate::Parse("%k{json} %h{json} %v{base64}\\n");
  for (int round = 0; round < 2'000; ++round) {
    std::string input;
    for (uint64_t i = random.Below(60); i > 0; --i) {
      input.push_back(kNoise[random.Below(kNoise.size())]);
    }
    absl::Status error;
    ReadAll({.mode = Mode::kJson}, input, 7, &error);
    ReadAll({.mode = Mode::kTemplate, .format = format}, input, 7, &error);
  }
}

}  // namespace
}  // namespace catamaran::cli
