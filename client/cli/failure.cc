#include "client/cli/failure.h"

#include <optional>

#include "absl/strings/cord.h"
#include "client/cli/document.h"
#include "client/cli/text.h"

namespace catamaran::cli {
namespace {

// Carries reason and hint, apart by a NUL, inside this process.
constexpr const char* kFailureUrl = "catamaran/cli-failure";

std::string ToString(absl::string_view text) { return std::string(text.data(), text.size()); }

std::string HintOf(Reason reason) {
  switch (reason) {
    case Reason::kUnknownTopic:
      return "catamaran topic list shows the topics there are.";
    case Reason::kUnknownPartition:
      return "catamaran topic describe TOPIC shows its partitions.";
    case Reason::kTopicExists:
      return "--if-not-exists makes this a success.";
    case Reason::kVersionMismatch:
      return "Look again with catamaran topic describe TOPIC, then repeat with the new version.";
    case Reason::kOffsetOutOfRange:
      return "catamaran topic describe TOPIC shows the offsets of each partition.";
    case Reason::kLeaderUnknown:
    case Reason::kNotEnoughReplicas:
    case Reason::kShuttingDown:
      return "catamaran cluster info shows the brokers; try again when they run.";
    case Reason::kOutcomeUnknown:
      return "It may have been done: look before you repeat it.";
    case Reason::kStorageFull:
      return "Free space on the broker's disk, or shorten retention.ms.";
    case Reason::kDeadlineExceeded:
      return "--timeout sets how long to wait.";
    default:
      return "";
  }
}

std::string_view Find(const ErrorMetadata& metadata, std::string_view name) {
  for (const auto& [key, value] : metadata) {
    if (key == name) return value;
  }
  return "";
}

// It's about what is stored, not about what was given: a reader's error says where it happened.
bool IsOfStoredData(const ErrorDetail& detail) {
  return detail.reason == Reason::kCorruptBatch || !Find(detail.metadata, "offset").empty();
}

// How a reader gets past a batch that can't be read; empty when that isn't the matter.
std::string HintPast(const ErrorDetail& detail) {
  std::string_view next = Find(detail.metadata, "next_offset");
  if (next.empty()) return "";
  return Cat({"catamaran consume ", Find(detail.metadata, "topic"), " --partition ",
              Find(detail.metadata, "partition"), " --offset ", next, " goes on behind it."});
}

// The command line, a name, a setting or a record of the input is wrong.
bool IsUsage(const absl::Status& status) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  return !detail.has_value() || !IsOfStoredData(*detail);
}

// Refusals whose cause is that nobody serves the partition at the moment, whatever their code is.
bool IsLeadership(const absl::Status& status) {
  const Reason reason = ReasonOf(status);
  return reason == Reason::kNotLeader || reason == Reason::kFencedEpoch;
}

}  // namespace

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
      return IsUsage(status) ? ExitCode::kUsage : ExitCode::kFailure;
    case absl::StatusCode::kNotFound:
      return ExitCode::kNotFound;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
      return IsLeadership(status) ? ExitCode::kUnavailable : ExitCode::kConflict;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kDenied;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kDeadlineExceeded:
      return ExitCode::kDeadline;
    default:
      return ExitCode::kFailure;
  }
}

absl::Status MakeFailure(absl::StatusCode code, std::string_view reason, std::string_view message,
                         std::string_view hint) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  std::string payload(reason);
  payload.push_back('\0');
  payload.append(hint);
  status.SetPayload(kFailureUrl, absl::Cord(payload));
  return status;
}

Failure DescribeFailure(const absl::Status& status) {
  Failure failure;
  failure.code = absl::StatusCodeToString(status.code());
  failure.reason = failure.code;
  failure.message = ToString(status.message());
  if (std::optional<ErrorDetail> detail = GetErrorDetail(status); detail.has_value()) {
    failure.reason = ReasonName(detail->reason);
    failure.hint = HintPast(*detail);
    if (failure.hint.empty()) failure.hint = HintOf(detail->reason);
    failure.metadata = std::move(detail->metadata);
  }
  if (absl::optional<absl::Cord> payload = status.GetPayload(kFailureUrl); payload.has_value()) {
    std::string parts(*payload);
    size_t end = parts.find('\0');
    failure.reason = parts.substr(0, end);
    failure.hint = parts.substr(end + 1);
  }
  return failure;
}

std::string RenderFailure(const absl::Status& status, OutputFormat format, bool colour) {
  Failure failure = DescribeFailure(status);
  if (format == OutputFormat::kJson || format == OutputFormat::kYaml) {
    Value::Object metadata;
    for (const auto& [name, value] : failure.metadata) metadata.emplace_back(name, Value(value));
    Value error = Members({{"error", Members({{"code", failure.code},
                                              {"reason", failure.reason},
                                              {"message", failure.message},
                                              {"hint", failure.hint},
                                              {"metadata", Value(std::move(metadata))}})}});
    return format == OutputFormat::kJson ? WriteJsonLine(error) + "\n" : WriteYaml(error);
  }
  std::string text =
      Cat({colour ? "\x1b[1;31merror:\x1b[0m " : "error: ", Printable(failure.message), "\n"});
  if (!failure.hint.empty()) text += Cat({"hint: ", failure.hint, "\n"});
  return text;
}

}  // namespace catamaran::cli
