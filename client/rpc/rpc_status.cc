#include "client/rpc/rpc_status.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace catamaran::client::rpc {
namespace {

constexpr char kDomain[] = "catamaran";
constexpr Duration kRetryDelayMax = std::chrono::minutes(1);  // a broker can't silence a client

template <class Map>
ErrorMetadata MetadataOf(const Map& map) {
  ErrorMetadata metadata;
  for (const auto& [key, value] : std::map<std::string, std::string>(map.begin(), map.end())) {
    metadata.emplace_back(key, value);
  }
  return metadata;
}

template <class Detail>
std::optional<Detail> FindDetail(const grpc::Status& status) {
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) {
    return std::nullopt;
  }
  for (const google::protobuf::Any& any : details.details()) {
    Detail detail;
    if (any.Is<Detail>() && any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

// Codes beyond the canonical ones are UNKNOWN, as gRPC has it; an error is never OK.
absl::StatusCode CodeOf(int code) {
  return code >= 1 && code <= 16 ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
}

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  if (auto info = FindDetail<google::rpc::ErrorInfo>(status);
      info.has_value() && info->domain() == kDomain) {
    if (std::optional<Reason> reason = ReasonFromName(info->reason()); reason.has_value()) {
      return MakeError(*reason, status.error_message(), MetadataOf(info->metadata()));
    }
  }
  // gRPC itself turns down a message over the receiver's limit, before anything of ours sees it.
  if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
      status.error_message().find("message larger than max") != std::string::npos) {
    return MakeError(
        Reason::kRequestTooLarge,
        absl::StrCat(address, " takes no message of this size, and nothing was stored: ",
                     status.error_message(), ". Send smaller records or batches."));
  }
  return absl::Status(CodeOf(static_cast<int>(status.error_code())),
                      absl::StrCat(address, ": ", status.error_message()));
}

absl::Status FromProtoError(const v1::Error& error) {
  if (std::optional<Reason> reason = ReasonFromName(error.reason()); reason.has_value()) {
    return MakeError(*reason, error.message(), MetadataOf(error.metadata()));
  }
  return absl::Status(CodeOf(error.code()), error.message());
}

Duration RetryDelayOf(const grpc::Status& status) {
  auto info = FindDetail<google::rpc::RetryInfo>(status);
  if (!info.has_value()) return Duration(0);
  const int64_t seconds = std::clamp<int64_t>(info->retry_delay().seconds(), 0, 3600);
  const int64_t nanos = std::clamp<int64_t>(info->retry_delay().nanos(), 0, 999'999'999);
  return std::min<Duration>(kRetryDelayMax,
                            std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos));
}

}  // namespace catamaran::client::rpc
