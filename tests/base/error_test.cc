#include "base/error.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/status/statusor.h"

namespace catamaran {
namespace {

#define X(enumerator, name, code, retriable, outcome) Reason::enumerator,
const Reason kAllReasons[] = {CATAMARAN_ERROR_REASONS(X)};
#undef X

TEST(ErrorTest, EveryReasonMakesTheRoundTrip) {
  std::set<std::string_view> names;
  for (Reason reason : kAllReasons) {
    EXPECT_TRUE(names.insert(ReasonName(reason)).second) << ReasonName(reason);
    EXPECT_EQ(ReasonFromName(ReasonName(reason)), reason);
    absl::Status status = MakeError(reason, "Something. Do this.", {{"key", "value"}});
    EXPECT_EQ(status.code(), ReasonCode(reason));
    EXPECT_FALSE(status.ok());
    std::optional<ErrorDetail> detail = GetErrorDetail(status);
    ASSERT_TRUE(detail.has_value());
    EXPECT_EQ(detail->reason, reason);
    EXPECT_EQ(detail->metadata, (ErrorMetadata{{"key", "value"}}));
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_EQ(OutcomeOf(status), OutcomeOf(reason));
  }
  EXPECT_EQ(ReasonFromName("NO_SUCH_REASON"), std::nullopt);
}

// Retrying an unknown outcome blindly would duplicate, so no reason invites to it.
TEST(ErrorTest, RetriableMeansRejected) {
  for (Reason reason : kAllReasons) {
    if (IsRetriable(reason)) {
      EXPECT_EQ(OutcomeOf(reason), Outcome::kRejected) << ReasonName(reason);
    }
  }
}

TEST(ErrorTest, MetadataKeepsOrderAndAnyBytes) {
  ErrorMetadata metadata = {
      {"b", std::string("\0\xFF", 2)}, {"a", ""}, {"c", std::string(300, 'x')}};
  std::optional<ErrorDetail> detail = GetErrorDetail(MakeError(Reason::kInternal, "x", metadata));
  ASSERT_TRUE(detail.has_value());
  EXPECT_EQ(detail->metadata, metadata);
}

TEST(ErrorTest, AStatusOfOthersHasNoReasonAndAnUnknownOutcome) {
  EXPECT_EQ(GetErrorDetail(absl::OkStatus()), std::nullopt);
  absl::Status foreign = absl::UnavailableError("connection reset");
  EXPECT_EQ(GetErrorDetail(foreign), std::nullopt);
  EXPECT_EQ(ReasonOf(foreign), Reason::kInternal);
  EXPECT_EQ(OutcomeOf(foreign), Outcome::kUnknown);
}

TEST(ErrorTest, CutsLongMessagesBetweenCharacters) {
  absl::Status status = MakeError(Reason::kInternal, std::string(5000, 'x'));
  EXPECT_EQ(status.message().size(), kErrorMessageBytesMax);
  // A two-byte character across the limit goes as a whole.
  std::string text(kErrorMessageBytesMax - 1, 'x');
  text += "\xC3\xA9 and more";
  EXPECT_EQ(MakeError(Reason::kInternal, text).message().size(), kErrorMessageBytesMax - 1);
}

absl::StatusOr<int> Half(int v) {
  if (v % 2 != 0) return MakeError(Reason::kInvalidArgument, "odd");
  return v / 2;
}

absl::StatusOr<int> Quarter(int v) {
  CATAMARAN_ASSIGN_OR_RETURN(int half, Half(v));
  CATAMARAN_RETURN_IF_ERROR(Half(half).status());
  return Half(half);
}

TEST(ErrorTest, MacrosReturnTheError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(ReasonOf(Quarter(6).status()), Reason::kInvalidArgument);
  EXPECT_EQ(ReasonOf(Quarter(7).status()), Reason::kInvalidArgument);
}

}  // namespace
}  // namespace catamaran
