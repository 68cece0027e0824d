#include "client/cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr TimestampMs kNow{1'700'000'000'000};

// Words are divided by blanks; "_" stands for an empty word.
std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words = Split(line, ' ');
  for (std::string& word : words) {
    if (word == "_") word.clear();
  }
  return words;
}

class ArgumentsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"CATAMARAN_BROKERS", "CATAMARAN_OUTPUT", "CATAMARAN_TIMEOUT",
                             "CATAMARAN_CONNECT_TIMEOUT", "CATAMARAN_QUIET"}) {
      unsetenv(name);
    }
  }
};

Invocation Parsed(const std::vector<std::string>& words) {
  auto result = ParseArguments(words, kNow);
  if (const EarlyExit* early = std::get_if<EarlyExit>(&result)) {
    ADD_FAILURE() << Join(words, " ") << ": " << early->out << early->error;
    return {};
  }
  return std::get<Invocation>(result);
}

template <class T>
T ParsedAs(std::string_view line) {
  Invocation invocation = Parsed(Words(line));
  const T* command = std::get_if<T>(&invocation.command);
  if (command == nullptr) ADD_FAILURE() << line << ": another command";
  return command == nullptr ? T{} : *command;
}

EarlyExit Refused(std::string_view line) {
  auto result = ParseArguments(Words(line), kNow);
  const EarlyExit* early = std::get_if<EarlyExit>(&result);
  if (early == nullptr) ADD_FAILURE() << line << " was accepted";
  return early == nullptr ? EarlyExit{} : *early;
}

TEST_F(ArgumentsTest, Topics) {
  auto create = ParsedAs<TopicCreate>(
      "topic create a b -p 3 --replication-factor 2 -c retention.ms=5 --config x=y=z "
      "--if-not-exists "
      "--dry-run");
  EXPECT_THAT(create.topics, ElementsAre("a", "b"));
  EXPECT_EQ(create.partitions, 3);
  EXPECT_EQ(create.replication_factor, 2);
  EXPECT_EQ(create.configs,
            (std::map<std::string, std::string>{{"retention.ms", "5"}, {"x", "y=z"}}));
  EXPECT_TRUE(create.if_not_exists);
  EXPECT_TRUE(create.dry_run);

  auto alter = ParsedAs<TopicAlter>("topic alter a --set b=c --unset d --expected-version 7");
  EXPECT_EQ(alter.set, (std::map<std::string, std::string>{{"b", "c"}}));
  EXPECT_THAT(alter.remove, ElementsAre("d"));
  EXPECT_EQ(alter.expected_version, 7);

  EXPECT_TRUE(ParsedAs<TopicList>("topic list --internal").internal);
  EXPECT_TRUE(ParsedAs<TopicDelete>("topic delete a -y").yes);
  EXPECT_EQ(ParsedAs<TopicAddPartitions>("topic add-partitions a -p 6").partitions, 6);
  auto trim = ParsedAs<TopicDeleteRecords>("topic delete-records a -p 0 -p 1 --before -100");
  EXPECT_THAT(trim.partitions, ElementsAre(0, 1));
  EXPECT_EQ(trim.before, (OffsetPoint{OffsetPoint::Kind::kLast, 100}));
}

TEST_F(ArgumentsTest, Produce) {
  auto produce = ParsedAs<Produce>(
      "produce t -f %k\\t%v\\n -H a=b -H c --acks leader --compression zstd --linger 10ms "
      "--batch-bytes "
      "1m --durability sync -p 2 -k key");
  EXPECT_EQ(produce.reader.mode, RecordReaderOptions::Mode::kTemplate);
  EXPECT_EQ(produce.reader.format.pieces().size(), 4u);
  ASSERT_EQ(produce.headers.size(), 2u);
  EXPECT_EQ(produce.headers[0].value, "b");
  EXPECT_FALSE(produce.headers[1].value.has_value());
  EXPECT_EQ(produce.send.acks, client::Acks::kLeader);
  EXPECT_EQ(produce.send.compression, Codec::kZstd);
  EXPECT_EQ(produce.send.linger, Duration(std::chrono::milliseconds(10)));
  EXPECT_EQ(produce.send.batch_bytes, 1 << 20);
  EXPECT_EQ(produce.send.durability, client::Durability::kSync);
  EXPECT_EQ(produce.partition, 2);
  EXPECT_EQ(produce.key, "key");

  EXPECT_EQ(ParsedAs<Produce>("produce t --json").reader.mode, RecordReaderOptions::Mode::kJson);
  auto lines = ParsedAs<Produce>("produce t --key-separator \\t --delimiter \\0 --keep-delimiter");
  EXPECT_EQ(lines.reader.key_separator, "\t");
  EXPECT_EQ(lines.reader.delimiter, std::string(1, '\0'));
  EXPECT_TRUE(lines.reader.keep_delimiter);
  EXPECT_EQ(ParsedAs<Produce>("produce t --value _").value, "");
  EXPECT_EQ(ParsedAs<Produce>("produce t -k _ --value-file -").value_file, "-");
  EXPECT_EQ(ParsedAs<Produce>("produce t -k _ --tombstone").key, "");
}

TEST_F(ArgumentsTest, Consume) {
  auto consume = ParsedAs<Consume>("consume t --offset -10:end -n 5 -p 1 -p 2 -f %v{hex}");
  EXPECT_EQ(consume.offsets,
            (OffsetRange{{OffsetPoint::Kind::kLast, 10}, OffsetPoint{OffsetPoint::Kind::kEnd, 0}}));
  EXPECT_EQ(consume.num, 5);
  EXPECT_THAT(consume.partitions, ElementsAre(1, 2));
  EXPECT_TRUE(consume.format.has_value());
  EXPECT_EQ(ParsedAs<Consume>("consume t").offsets,
            (OffsetRange{{OffsetPoint::Kind::kStart, 0}, std::nullopt}));
}

TEST_F(ArgumentsTest, GlobalFlagsWorkEverywhere) {
  for (const char* line : {"-b h:1,[::1]:2 -o json topic list", "topic -b h:1,[::1]:2 list -o json",
                           "topic list --brokers=h:1,[::1]:2 --output=json"}) {
    Invocation invocation = Parsed(Words(line));
    EXPECT_THAT(invocation.global.brokers, ElementsAre("h:1", "[::1]:2")) << line;
    EXPECT_EQ(invocation.global.output, OutputFormat::kJson) << line;
  }
  EXPECT_THAT(Parsed(Words("topic list")).global.brokers, ElementsAre(kDefaultBroker));
}

TEST_F(ArgumentsTest, EnvironmentStandsInForFlags) {
  setenv("CATAMARAN_BROKERS", "env:9", 1);
  setenv("CATAMARAN_OUTPUT", "yaml", 1);
  setenv("CATAMARAN_TIMEOUT", "5s", 1);
  setenv("CATAMARAN_QUIET", "true", 1);
  Invocation invocation = Parsed(Words("topic list"));
  EXPECT_THAT(invocation.global.brokers, ElementsAre("env:9"));
  EXPECT_EQ(invocation.global.output, OutputFormat::kYaml);
  EXPECT_EQ(invocation.global.timeout, Duration(std::chrono::seconds(5)));
  EXPECT_TRUE(invocation.global.quiet);
  EXPECT_THAT(Parsed(Words("topic list -b flag:1")).global.brokers, ElementsAre("flag:1"));
  setenv("CATAMARAN_OUTPUT", "xml", 1);
  EXPECT_EQ(Refused("topic list").code, ExitCode::kUsage);
}

TEST_F(ArgumentsTest, UsageErrorsAreTwoAndSayWhatWasMeant) {
  struct Case {
    const char* line;
    const char* text;
  };
  for (const Case& c : {
           Case{"tpoic list", "Unknown command \"catamaran tpoic\". Did you mean topic?"},
           Case{"topic lst", "Unknown command \"catamaran topic lst\". Did you mean list?"},
           Case{"topic", "catamaran topic needs a command: create, list"},
           Case{"topic create a --partitons 3",
                "Unknown flag --partitons. Did you mean --partitions?"},
           Case{"topic list --outptu json", "Unknown flag --outptu. Did you mean --output?"},
           Case{"topic list extra", "Unexpected argument \"extra\"."},
           Case{"topic create", "TOPIC is required"},
           Case{"topic create a -p 0", "whole number from 1 to 10000"},
           Case{"topic create a -p x", "whole number from 1 to 10000"},
           Case{"topic create a -c retention.ms", "write name=value"},
           Case{"topic create a -c a=1 -c a=2", "given twice"},
           Case{"topic alter a", "pass --set or --unset"},
           Case{"topic delete-records a -p 0", "--before is required"},
           Case{"topic list -o xml", "table, wide, json, yaml, name"},
           Case{"topic list -b nohost", "list of brokers"},
           Case{"topic list -b h:70000", "list of brokers"},
           Case{"topic list --timeout 1ms", "time from 100ms to 5m"},
           Case{"produce t --acks some", "all, leader, none"},
           Case{"produce t -f %k%v", "Two fields of the template touch"},
           Case{"produce t -f %q", "template"},
           Case{"produce t --json -f %v", "excludes"},
           Case{"produce t --value a --value-file b", "excludes"},
           Case{"produce t --delimiter _", "must not be empty"},
           Case{"produce t -H =x", "is no header"},
           Case{"produce t --receipts --acks none", "--receipts needs acknowledgements"},
           Case{"consume t --offset middle", "place in a log"},
           Case{"consume t -n 0", "at least 1"},
           Case{"consume t -p -1", "-p"},
           Case{"completion tcsh", "bash"},
           Case{"bench produce t --rate 0", "number of records a second"},
       }) {
    EarlyExit early = Refused(c.line);
    EXPECT_EQ(early.code, ExitCode::kUsage) << c.line;
    EXPECT_EQ(early.out, "") << c.line;
    EXPECT_THAT(early.error, HasSubstr(c.text)) << c.line;
    EXPECT_THAT(early.error, HasSubstr("hint: catamaran")) << c.line;
  }
}

TEST_F(ArgumentsTest, UsageErrorsFollowTheOutputFormat) {
  for (const char* line : {"topic lst -o json", "topic lst -ojson", "topic lst --output=json"}) {
    EXPECT_EQ(Refused(line).error.substr(0, 52),
              "{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"reason\":\"USAGE\"")
        << line;
  }
  EXPECT_EQ(Refused("topic lst -o yaml").error.substr(0, 7), "error:\n");
}

TEST_F(ArgumentsTest, HelpIsZeroAndShowsExamplesAndGlobals) {
  for (const char* line :
       {"--help", "topic --help", "topic create -h", "produce --help", "consume -h",
        "bench produce --help", "cluster info --help", "completion --help"}) {
    EarlyExit early = Refused(line);
    EXPECT_EQ(early.code, ExitCode::kOk) << line;
    EXPECT_THAT(early.out, HasSubstr("Usage: catamaran")) << line;
    EXPECT_THAT(early.out, HasSubstr("Examples:\n  ")) << line;
    EXPECT_THAT(early.out, HasSubstr("CATAMARAN_BROKERS")) << line;
  }
  auto nothing = ParseArguments({}, kNow);
  EXPECT_EQ(std::get<EarlyExit>(nothing).code, ExitCode::kUsage);
}

TEST_F(ArgumentsTest, EveryGlobalFlagHasAVariable) {
  std::string help = Refused("--help").out;
  size_t at = help.find("Global flags:");
  ASSERT_NE(at, help.npos);
  for (const char* name : {"CATAMARAN_BROKERS", "CATAMARAN_OUTPUT", "CATAMARAN_TIMEOUT",
                           "CATAMARAN_CONNECT_TIMEOUT", "CATAMARAN_QUIET", "CATAMARAN_NO_COLOR"}) {
    EXPECT_NE(help.find(name, at), help.npos) << name;
  }
}

TEST_F(ArgumentsTest, Completion) {
  auto words = [](std::string_view line) { return FindCandidates(Words(line)).words; };
  EXPECT_THAT(words("to"), ElementsAre("topic"));
  EXPECT_THAT(words("topic _"), Contains("describe"));
  EXPECT_THAT(words("topic d"), ElementsAre("describe", "delete", "delete-records"));
  EXPECT_THAT(words("-o _"), ElementsAre("table", "wide", "json", "yaml", "name"));
  EXPECT_THAT(words("topic list -o j"), ElementsAre("json"));
  EXPECT_THAT(words("topic list --output=j"), ElementsAre("--output=json"));
  EXPECT_THAT(words("produce t --ac"), ElementsAre("--acks"));
  EXPECT_THAT(words("completion _"), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(words("_"), Not(Contains(HasSubstr("__"))));
  EXPECT_TRUE(FindCandidates(Words("consume _")).topics);
  EXPECT_TRUE(FindCandidates(Words("consume -n 3 c")).topics);
  EXPECT_FALSE(FindCandidates(Words("consume cars _")).topics);
  EXPECT_TRUE(FindCandidates(Words("topic delete a _")).topics);
  EXPECT_FALSE(FindCandidates(Words("topic create _")).topics);
  EXPECT_TRUE(FindCandidates(Words("produce t --value-file _")).files);
  EXPECT_THAT(FindCandidates(Words("-b h:1 consume _")).global.brokers, ElementsAre("h:1"));
}

TEST_F(ArgumentsTest, CompleteTakesAnyWords) {
  Invocation invocation = Parsed({"__complete", "topic", "-o", ""});
  EXPECT_THAT(std::get<Complete>(invocation.command).words, ElementsAre("topic", "-o", ""));
}

}  // namespace
}  // namespace catamaran::cli
