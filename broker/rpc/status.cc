#include "broker/rpc/status.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "broker/api/api_error.h"
#include "google/protobuf/any.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace catamaran::broker {
namespace {

// A value longer than this says nothing more to a program.
constexpr size_t kMetadataValueBytesMax = 256;
constexpr size_t kMessageBytesFallback = 256;

// As grpc-message carries it: everything but printable ASCII takes three bytes.
size_t EncodedSize(std::string_view message) {
  size_t size = 0;
  for (unsigned char c : message) size += c >= 0x20 && c < 0x7f && c != '%' ? 1 : 3;
  return size;
}

// Not in the middle of a UTF-8 character.
std::string Truncate(std::string text, size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  text.resize(size);
  return text;
}

std::string Details(const absl::Status& status, const std::string& message,
                    const ErrorDetail& detail, size_t metadata_count) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  rpc.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(ReasonName(detail.reason)));
  info.set_domain(kErrorDomain);
  for (size_t i = 0; i < metadata_count; ++i) {
    const auto& [key, value] = detail.metadata[i];
    if (key == kRetryDelayKey) continue;
    (*info.mutable_metadata())[key] = Truncate(value, kMetadataValueBytesMax);
  }
  rpc.add_details()->PackFrom(info);
  if (int64_t delay = RetryDelayMs(status); delay > 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(delay / 1'000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(delay % 1'000) * 1'000'000);
    rpc.add_details()->PackFrom(retry);
  }
  return rpc.SerializeAsString();
}

// Base64, as binary metadata travels.
size_t EncodedDetailsSize(const std::string& details) { return (details.size() + 2) / 3 * 4; }

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string message(status.message());
  ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
  size_t metadata_count = detail.metadata.size();
  std::string details = Details(status, message, detail, metadata_count);
  while (EncodedSize(message) + EncodedDetailsSize(details) > kStatusBytesMax) {
    if (message.size() > kMessageBytesFallback) {
      // Swapped, not assigned: GCC 12 warns of the move assignment once it's inlined.
      std::string shorter = Truncate(message, kMessageBytesFallback);
      message.swap(shorter);
    } else if (metadata_count > 0) {
      --metadata_count;
    } else {
      break;
    }
    details = Details(status, message, detail, metadata_count);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details);
}

}  // namespace catamaran::broker
