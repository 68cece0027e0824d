#include "client/cli/report.h"

#include <gtest/gtest.h>

#include <set>

namespace catamaran::cli {
namespace {

TEST(Report, EveryFormat) {
  Report report;
  report.document = Members({{"topics", Value::Array{Members({{"name", "cars"}})}}});
  report.names = {"cars"};
  report.table = "NAME\ncars\n";
  EXPECT_EQ(RenderReport(report, OutputFormat::kTable), "NAME\ncars\n");
  EXPECT_EQ(RenderReport(report, OutputFormat::kWide), "NAME\ncars\n");
  EXPECT_EQ(RenderReport(report, OutputFormat::kName), "cars\n");
  EXPECT_EQ(RenderReport(report, OutputFormat::kYaml), "topics:\n  - name: cars\n");
  EXPECT_EQ(RenderReport(report, OutputFormat::kJson),
            "{\n  \"topics\": [\n    {\n      \"name\": \"cars\"\n    }\n  ]\n}\n");
}

TEST(Failure, JsonHasAllItsFields) {
  absl::Status status =
      MakeError(Reason::kUnknownTopic, "There is no topic \"x\".", {{"topic", "x"}});
  EXPECT_EQ(RenderFailure(status, OutputFormat::kJson, true),
            R"({"error":{"code":"NOT_FOUND","reason":"UNKNOWN_TOPIC","message":"There is no topic )"
            R"(\"x\".","hint":"catamaran topic list shows the topics there are.","metadata":{)"
            R"("topic":"x"}}})"
            "\n");
  EXPECT_EQ(RenderFailure(absl::UnavailableError("gone"), OutputFormat::kJson, false),
            R"({"error":{"code":"UNAVAILABLE","reason":"UNAVAILABLE","message":"gone","hint":"",)"
            R"("metadata":{}}})"
            "\n");
}

TEST(Failure, TextIsSafeForATerminal) {
  absl::Status status = MakeFailure(absl::StatusCode::kUnavailable, "CONNECT_FAILED",
                                    "No answer from \x1b[2J.", "Is it running?");
  EXPECT_EQ(RenderFailure(status, OutputFormat::kTable, false),
            "error: No answer from \\x1b[2J.\nhint: Is it running?\n");
  EXPECT_EQ(RenderFailure(status, OutputFormat::kTable, true).substr(0, 17),
            "\x1b[1;31merror:\x1b[0m");
}

TEST(Failure, WhatCannotBeReadSaysHowToGoOn) {
  absl::Status status =
      MakeError(Reason::kRecordTooLarge, "too large",
                {{"topic", "t"}, {"partition", "3"}, {"offset", "5"}, {"next_offset", "9"}});
  EXPECT_EQ(DescribeFailure(status).hint,
            "catamaran consume t --partition 3 --offset 9 goes on behind it.");
  // What is stored is nothing that the command line got wrong.
  EXPECT_EQ(ExitCodeOf(status), ExitCode::kFailure);
  EXPECT_EQ(ExitCodeOf(MakeError(Reason::kCorruptBatch, "x")), ExitCode::kFailure);
}

TEST(ExitCode, EveryReasonHasTheCodeOfItsKind) {
  auto code = [](Reason reason) { return ExitCodeOf(MakeError(reason, "x")); };
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(code(Reason::kInternal), ExitCode::kFailure);
  EXPECT_EQ(code(Reason::kNotSupported), ExitCode::kFailure);
  EXPECT_EQ(code(Reason::kCorruptLog), ExitCode::kFailure);
  EXPECT_EQ(code(Reason::kInvalidTopicName), ExitCode::kUsage);
  EXPECT_EQ(code(Reason::kInvalidConfig), ExitCode::kUsage);
  EXPECT_EQ(code(Reason::kInvalidRecord), ExitCode::kUsage);
  EXPECT_EQ(code(Reason::kInvalidTimestamp), ExitCode::kUsage);
  EXPECT_EQ(code(Reason::kRecordTooLarge), ExitCode::kUsage);
  EXPECT_EQ(code(Reason::kUnknownTopic), ExitCode::kNotFound);
  EXPECT_EQ(code(Reason::kUnknownPartition), ExitCode::kNotFound);
  EXPECT_EQ(code(Reason::kTopicExists), ExitCode::kConflict);
  EXPECT_EQ(code(Reason::kVersionMismatch), ExitCode::kConflict);
  EXPECT_EQ(code(Reason::kOffsetOutOfRange), ExitCode::kConflict);
  EXPECT_EQ(code(Reason::kLeaderUnknown), ExitCode::kUnavailable);
  EXPECT_EQ(code(Reason::kStorageFull), ExitCode::kUnavailable);
  EXPECT_EQ(code(Reason::kNotLeader), ExitCode::kUnavailable);
  EXPECT_EQ(code(Reason::kOutcomeUnknown), ExitCode::kDeadline);
  EXPECT_EQ(ExitCodeOf(absl::UnauthenticatedError("")), ExitCode::kDenied);
  EXPECT_EQ(ExitCodeOf(absl::PermissionDeniedError("")), ExitCode::kDenied);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), ExitCode::kUnavailable);
}

}  // namespace
}  // namespace catamaran::cli
