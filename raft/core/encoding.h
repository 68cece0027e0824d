// The bytes of memberships, entries, snapshot descriptions, hard states and messages. Bounded:
// decoding allocates no more than a constant factor of the input and refuses what exceeds the
// limits of config.h. All integers are zigzag varints unless said otherwise; docs are in
// encoding.cc beside each pair, and golden bytes in tests/raft/encoding_test.cc.
//
// Persisted and sent: a change needs a new version byte. Thread-safe (pure).
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "raft/core/message.h"
#include "raft/core/types.h"

namespace catamaran::raft {

inline constexpr uint8_t kEncodingVersion = 1;

// Errors: CORRUPT_LOG, with what doesn't hold. Decoders take the whole input; what is left over is
// an error. decode(encode(x)) == x. Terms and indexes are within [0, kPositionMax].
inline constexpr int64_t kPositionMax = int64_t{1} << 62;
std::string EncodeMembership(const Membership& membership);
absl::StatusOr<Membership> DecodeMembership(std::string_view bytes);

std::string EncodeHardState(const HardState& state);
absl::StatusOr<HardState> DecodeHardState(std::string_view bytes);

std::string EncodeSnapshotMeta(const SnapshotMeta& meta);
absl::StatusOr<SnapshotMeta> DecodeSnapshotMeta(std::string_view bytes);

// Without a checksum of its own: the store and the transport have theirs. The decoded entry's
// payload shares `bytes`.
std::string EncodeEntry(const Entry& entry);
absl::StatusOr<Entry> DecodeEntry(Buffer bytes);

// Payloads and chunk data of the result share `bytes`.
std::string EncodeMessage(const Message& message);
absl::StatusOr<Message> DecodeMessage(Buffer bytes);

}  // namespace catamaran::raft
