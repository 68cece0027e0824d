#include "base/error.h"

#include "absl/strings/cord.h"
#include "base/check.h"
#include "base/varint.h"

namespace catamaran {
namespace {

struct ReasonInfo {
  std::string_view name;
  absl::StatusCode code;
  bool retriable;
  Outcome outcome;
};

constexpr ReasonInfo kReasons[] = {
#define X(enumerator, name, code, retriable, outcome) \
  {name, absl::StatusCode::code, retriable, Outcome::outcome},
    CATAMARAN_ERROR_REASONS(X)
#undef X
};

const ReasonInfo& InfoOf(Reason reason) {
  auto index = static_cast<size_t>(reason);
  CATAMARAN_CHECK(index < std::size(kReasons), "a Reason outside the table");
  return kReasons[index];
}

// The payload never leaves the process: broker/rpc turns it into google.rpc.ErrorInfo. Layout: one
// byte of Reason, then per entry key and value, each as a varint length and its bytes.
constexpr std::string_view kPayloadUrl = "catamaran/error-detail";

void AppendString(std::string* out, std::string_view text) {
  AppendVarint64(out, static_cast<int64_t>(text.size()));
  out->append(text);
}

std::string ReadString(ByteReader& reader) {
  int64_t length = reader.ReadVarint64();
  if (length < 0) reader.Fail();
  return std::string(reader.ReadBytes(static_cast<size_t>(length)));
}

// Cuts at the limit without splitting a UTF-8 character: gRPC refuses a message that isn't UTF-8.
std::string_view CutMessage(std::string_view message) {
  if (message.size() <= kErrorMessageBytesMax) return message;
  size_t end = kErrorMessageBytesMax;
  while (end > 0 && (static_cast<uint8_t>(message[end]) & 0xC0) == 0x80) --end;
  return message.substr(0, end);
}

}  // namespace

std::string_view ReasonName(Reason reason) { return InfoOf(reason).name; }
absl::StatusCode ReasonCode(Reason reason) { return InfoOf(reason).code; }
bool IsRetriable(Reason reason) { return InfoOf(reason).retriable; }
Outcome OutcomeOf(Reason reason) { return InfoOf(reason).outcome; }

std::optional<Reason> ReasonFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(kReasons); ++i) {
    if (kReasons[i].name == name) return static_cast<Reason>(i);
  }
  return std::nullopt;
}

absl::Status MakeError(Reason reason, std::string_view message, ErrorMetadata metadata) {
  std::string_view cut = CutMessage(message);
  absl::Status status(ReasonCode(reason), absl::string_view(cut.data(), cut.size()));
  std::string payload(1, static_cast<char>(reason));
  for (const auto& [key, value] : metadata) {
    AppendString(&payload, key);
    AppendString(&payload, value);
  }
  status.SetPayload(absl::string_view(kPayloadUrl.data(), kPayloadUrl.size()),
                    absl::Cord(std::move(payload)));
  return status;
}

std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status) {
  absl::optional<absl::Cord> payload =
      status.GetPayload(absl::string_view(kPayloadUrl.data(), kPayloadUrl.size()));
  if (!payload.has_value()) return std::nullopt;
  std::string bytes(*payload);
  ByteReader reader(bytes);
  ErrorDetail detail;
  detail.reason = static_cast<Reason>(reader.ReadBigEndian<uint8_t>());
  while (reader.ok() && reader.remaining() > 0) {
    std::string key = ReadString(reader);
    std::string value = ReadString(reader);
    detail.metadata.emplace_back(std::move(key), std::move(value));
  }
  CATAMARAN_CHECK(reader.ok(), "only MakeError writes this payload");
  return detail;
}

Reason ReasonOf(const absl::Status& status) {
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : Reason::kInternal;
}

Outcome OutcomeOf(const absl::Status& status) {
  CATAMARAN_CHECK(!status.ok(), "an OK status has no outcome to doubt");
  std::optional<ErrorDetail> detail = GetErrorDetail(status);
  return detail.has_value() ? OutcomeOf(detail->reason) : Outcome::kUnknown;
}

}  // namespace catamaran
