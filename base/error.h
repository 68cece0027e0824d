// Typed errors. Every refusal that can reach a user is an absl::Status that carries one Reason of
// the table below, a sentence that says what happened and what to do next, and the values that the
// sentence names as metadata, so that a program needn't parse the sentence (AIP-193).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace catamaran {

// What may be done after an error, told apart by type (a write is committed, rejected or unknown).
enum class Outcome : uint8_t {
  kRejected,  // Nothing was changed; the same request may be sent again once its cause is mended.
  kUnknown,   // It may have been done. Retry only with a producer id and sequence, or read first.
};

// X(enumerator, NAME on the wire, canonical status code, retriable by a client as it is, outcome)
// Part of the public API (google.rpc.ErrorInfo.reason, domain "catamaran"): names are never
// changed.
#define CATAMARAN_ERROR_REASONS(X)                                                          \
  X(kInternal, "INTERNAL", kInternal, false, kUnknown)                                      \
  X(kInvalidArgument, "INVALID_ARGUMENT", kInvalidArgument, false, kRejected)               \
  X(kInvalidTopicName, "INVALID_TOPIC_NAME", kInvalidArgument, false, kRejected)            \
  X(kInvalidConfig, "INVALID_CONFIG", kInvalidArgument, false, kRejected)                   \
  X(kInvalidRecord, "INVALID_RECORD", kInvalidArgument, false, kRejected)                   \
  X(kInvalidTimestamp, "INVALID_TIMESTAMP", kInvalidArgument, false, kRejected)             \
  X(kCorruptBatch, "CORRUPT_BATCH", kInvalidArgument, false, kRejected)                     \
  X(kUnsupportedCompression, "UNSUPPORTED_COMPRESSION", kInvalidArgument, false, kRejected) \
  X(kRecordTooLarge, "RECORD_TOO_LARGE", kInvalidArgument, false, kRejected)                \
  X(kRequestTooLarge, "REQUEST_TOO_LARGE", kInvalidArgument, false, kRejected)              \
  X(kUnknownTopic, "UNKNOWN_TOPIC", kNotFound, false, kRejected)                            \
  X(kUnknownPartition, "UNKNOWN_PARTITION", kNotFound, false, kRejected)                    \
  X(kTopicIdMismatch, "TOPIC_ID_MISMATCH", kFailedPrecondition, false, kRejected)           \
  X(kTopicExists, "TOPIC_EXISTS", kAlreadyExists, false, kRejected)                         \
  X(kTopicInUse, "TOPIC_IN_USE", kFailedPrecondition, false, kRejected)                     \
  X(kVersionMismatch, "VERSION_MISMATCH", kAborted, false, kRejected)                       \
  X(kNotLeader, "NOT_LEADER", kFailedPrecondition, true, kRejected)                         \
  X(kLeaderUnknown, "LEADER_UNKNOWN", kUnavailable, true, kRejected)                        \
  X(kFencedEpoch, "FENCED_EPOCH", kAborted, true, kRejected)                                \
  X(kProducerFenced, "PRODUCER_FENCED", kAborted, false, kRejected)                         \
  X(kUnknownProducer, "UNKNOWN_PRODUCER", kFailedPrecondition, false, kRejected)            \
  X(kOutOfOrderSequence, "OUT_OF_ORDER_SEQUENCE", kOutOfRange, false, kRejected)            \
  X(kOffsetOutOfRange, "OFFSET_OUT_OF_RANGE", kOutOfRange, false, kRejected)                \
  X(kNotEnoughReplicas, "NOT_ENOUGH_REPLICAS", kUnavailable, true, kRejected)               \
  X(kReplicationUnavailable, "REPLICATION_UNAVAILABLE", kUnimplemented, false, kRejected)   \
  X(kOverloaded, "OVERLOADED", kResourceExhausted, true, kRejected)                         \
  X(kQuotaExceeded, "QUOTA_EXCEEDED", kResourceExhausted, true, kRejected)                  \
  X(kLimitExceeded, "LIMIT_EXCEEDED", kResourceExhausted, false, kRejected)                 \
  X(kStorageFull, "STORAGE_FULL", kResourceExhausted, true, kRejected)                      \
  X(kStorageFailed, "STORAGE_FAILED", kUnavailable, false, kUnknown)                        \
  X(kCorruptLog, "CORRUPT_LOG", kDataLoss, false, kRejected)                                \
  X(kOutcomeUnknown, "OUTCOME_UNKNOWN", kDeadlineExceeded, false, kUnknown)                 \
  X(kDeadlineExceeded, "DEADLINE_EXCEEDED", kDeadlineExceeded, true, kRejected)             \
  X(kShuttingDown, "SHUTTING_DOWN", kUnavailable, true, kRejected)                          \
  X(kWatchExpired, "WATCH_EXPIRED", kOutOfRange, false, kRejected)                          \
  X(kDirectoryInUse, "DIRECTORY_IN_USE", kFailedPrecondition, false, kRejected)             \
  X(kDirectoryMismatch, "DIRECTORY_MISMATCH", kFailedPrecondition, false, kRejected)        \
  X(kAddressInUse, "ADDRESS_IN_USE", kFailedPrecondition, false, kRejected)                 \
  X(kUnsupportedVersion, "UNSUPPORTED_VERSION", kFailedPrecondition, false, kRejected)      \
  X(kNotSupported, "NOT_SUPPORTED", kUnimplemented, false, kRejected)                       \
  X(kCancelled, "CANCELLED", kCancelled, false, kUnknown)

enum class Reason : uint8_t {
#define X(enumerator, name, code, retriable, outcome) enumerator,
  CATAMARAN_ERROR_REASONS(X)
#undef X
};

std::string_view ReasonName(Reason reason);
std::optional<Reason> ReasonFromName(std::string_view name);
absl::StatusCode ReasonCode(Reason reason);
bool IsRetriable(Reason reason);
Outcome OutcomeOf(Reason reason);

using ErrorMetadata = std::vector<std::pair<std::string, std::string>>;

struct ErrorDetail {
  Reason reason = Reason::kInternal;
  ErrorMetadata metadata;  // in the order given; keys are unique, lower_snake_case
};

// An error of the reason's canonical code. `message` is a sentence for a person: what happened, and
// what to do next. At most kErrorMessageBytesMax bytes of it are kept, so that the status always
// fits into gRPC's metadata limits.
inline constexpr size_t kErrorMessageBytesMax = 1024;
absl::Status MakeError(Reason reason, std::string_view message, ErrorMetadata metadata = {});

// nullopt for an OK status and for one that MakeError didn't make (its outcome is then unknown).
std::optional<ErrorDetail> GetErrorDetail(const absl::Status& status);

// The reason of `status`, or kInternal where it carries none.
Reason ReasonOf(const absl::Status& status);
// Whether a mutation that was answered by `status` may have taken effect. An OK status has: pass
// only errors. A status without a Reason (made by gRPC when a connection broke) is unknown.
Outcome OutcomeOf(const absl::Status& status);

}  // namespace catamaran

// Returns from the enclosing function when `expr` is not OK.
#define CATAMARAN_RETURN_IF_ERROR(expr)                 \
  do {                                                  \
    if (absl::Status _status = (expr); !_status.ok()) { \
      return _status;                                   \
    }                                                   \
  } while (false)

#define CATAMARAN_CONCAT_INNER(a, b) a##b
#define CATAMARAN_CONCAT(a, b) CATAMARAN_CONCAT_INNER(a, b)
// CATAMARAN_ASSIGN_OR_RETURN(auto value, StatusOrExpression());
#define CATAMARAN_ASSIGN_OR_RETURN(lhs, expr) \
  CATAMARAN_ASSIGN_OR_RETURN_IMPL(CATAMARAN_CONCAT(_status_or_, __LINE__), lhs, expr)
#define CATAMARAN_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                    \
  if (!result.ok()) return std::move(result).status();     \
  lhs = std::move(result).value()
