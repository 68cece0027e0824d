// Statuses of ours as gRPC carries them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "broker/rpc/status.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace catamaran::broker {
namespace {

constexpr Reason kReasons[] = {
#define X(enumerator, name, code, retriable, outcome) Reason::enumerator,
    CATAMARAN_ERROR_REASONS(X)
#undef X
};

TEST(RpcStatusTest, EveryReasonTravelsWithItsDetails) {
  for (Reason reason : kReasons) {
    absl::Status status = MakeError(reason, "What happened, and what to do.", {{"limit", "7"}});
    grpc::Status carried = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(carried.error_code()), static_cast<int>(ReasonCode(reason)));
    EXPECT_EQ(carried.error_message(), "What happened, and what to do.");
    google::rpc::Status details;
    ASSERT_TRUE(details.ParseFromString(carried.error_details()));
    EXPECT_EQ(details.code(), static_cast<int>(ReasonCode(reason)));
    EXPECT_EQ(details.message(), carried.error_message());
    ASSERT_GE(details.details_size(), 1);
    google::rpc::ErrorInfo info;
    ASSERT_TRUE(details.details(0).UnpackTo(&info));
    EXPECT_EQ(info.reason(), std::string(ReasonName(reason)));
    EXPECT_LE(info.reason().size(), 63u);
    EXPECT_EQ(info.domain(), "catamaran");
    EXPECT_EQ(info.metadata().at("limit"), "7");
  }
}

TEST(RpcStatusTest, RetryInfoSaysHowLong) {
  absl::Status status = MakeError(Reason::kOverloaded, "Wait.", {{"retry_delay_ms", "2500"}});
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(ToGrpcStatus(status).error_details()));
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 2);
  EXPECT_EQ(retry.retry_delay().nanos(), 500'000'000);
}

TEST(RpcStatusTest, NeverTooLargeForTheTrailers) {
  std::string umlauts;
  for (int i = 0; i < 600; ++i) umlauts += "\xc3\xa4";
  ErrorMetadata metadata;
  for (int i = 0; i < 50; ++i)
    metadata.emplace_back("key" + std::to_string(i), std::string(999, 'x'));
  grpc::Status status = ToGrpcStatus(MakeError(Reason::kInternal, umlauts, metadata));
  EXPECT_LE(status.error_message().size() * 3 + status.error_details().size() * 4 / 3,
            kStatusBytesMax + 100);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
}

TEST(RpcStatusTest, AStatusWithoutReasonIsInternal) {
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(ToGrpcStatus(absl::UnknownError("?")).error_details()));
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "INTERNAL");
}

// docs/errors.md has exactly one row for each reason, with its code, retriability and outcome.
TEST(RpcStatusTest, EveryReasonIsDocumented) {
  std::ifstream file("docs/errors.md");
  ASSERT_TRUE(file.is_open());
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| `")) rows.push_back(line);
  }
  EXPECT_EQ(rows.size(), std::size(kReasons));
  for (Reason reason : kReasons) {
    std::string row = "| `" + std::string(ReasonName(reason)) + "` | " +
                      absl::StatusCodeToString(ReasonCode(reason)) + " | " +
                      (IsRetriable(reason) ? "yes" : "no") + " | " +
                      (OutcomeOf(reason) == Outcome::kRejected ? "rejected" : "unknown") + " | ";
    EXPECT_EQ(std::count_if(rows.begin(), rows.end(),
                            [&](const std::string& have) { return have.starts_with(row); }),
              1)
        << row;
  }
}

}  // namespace
}  // namespace catamaran::broker
