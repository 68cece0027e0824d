// Strong ids: everything that is a number with a meaning has a type of its own, explicit both ways,
// so that an offset can't be passed where a leader epoch is meant. All are trivially copyable.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace catamaran {

// A number of representation `Rep` whose meaning is named by `Tag`. `Tag::kIsPosition` allows
// position arithmetic: position + distance -> position, position - position -> distance.
template <class Tag, class Rep>
class StrongId {
 public:
  using rep = Rep;

  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongId&) const = default;

  constexpr StrongId operator+(Rep distance) const requires Tag::kIsPosition {
    return StrongId(value_ + distance);
  }
  constexpr StrongId operator-(Rep distance) const requires Tag::kIsPosition {
    return StrongId(value_ - distance);
  }
  constexpr Rep operator-(StrongId other) const requires Tag::kIsPosition {
    return value_ - other.value_;
  }
  constexpr StrongId& operator+=(Rep distance) requires Tag::kIsPosition {
    value_ += distance;
    return *this;
  }

  template <typename H>
  friend H AbslHashValue(H state, const StrongId& id) {
    return H::combine(std::move(state), id.value_);
  }

 private:
  Rep value_{};
};

template <bool kPosition>
struct IdTag {
  static constexpr bool kIsPosition = kPosition;
};

// A record's place in its partition, from 0, without gaps at append. 2^63-1 is never reached.
struct OffsetTag : IdTag<true> {};
using Offset = StrongId<OffsetTag, int64_t>;

// The generation of a partition's leadership; rises by at least one at each change of leader.
struct LeaderEpochTag : IdTag<false> {};
using LeaderEpoch = StrongId<LeaderEpochTag, int32_t>;
inline constexpr LeaderEpoch kNoLeaderEpoch{-1};

struct PartitionIndexTag : IdTag<false> {};
using PartitionIndex = StrongId<PartitionIndexTag, int32_t>;

// The operator's number of a node, from 0 up; unique in a cluster.
struct BrokerIdTag : IdTag<false> {};
using BrokerId = StrongId<BrokerIdTag, int32_t>;
inline constexpr BrokerId kNoBroker{-1};

// An idempotent producer: id, the epoch that fences older instances of it, and the per-partition
// sequence of a batch's first record, which wraps from 2^31-1 to 0 (Kafka record batch v2).
struct ProducerIdTag : IdTag<false> {};
using ProducerId = StrongId<ProducerIdTag, int64_t>;
inline constexpr ProducerId kNoProducerId{-1};
struct ProducerEpochTag : IdTag<false> {};
using ProducerEpoch = StrongId<ProducerEpochTag, int16_t>;
inline constexpr ProducerEpoch kNoProducerEpoch{-1};
struct SequenceTag : IdTag<false> {};
using Sequence = StrongId<SequenceTag, int32_t>;
inline constexpr Sequence kNoSequence{-1};

// Index of a record in the metadata log.
struct MetadataRevisionTag : IdTag<true> {};
using MetadataRevision = StrongId<MetadataRevisionTag, int64_t>;

// Milliseconds since 1970-01-01T00:00Z, as in record batches; -1 means "no timestamp".
struct TimestampMsTag : IdTag<true> {};
using TimestampMs = StrongId<TimestampMsTag, int64_t>;
inline constexpr TimestampMs kNoTimestamp{-1};

// A 128-bit random identity (RFC 4122 version 4 when made by Uuid::FromRandom).
class Uuid {
 public:
  constexpr Uuid() = default;  // the nil UUID: "none"
  constexpr explicit Uuid(std::array<uint8_t, 16> bytes) : bytes_(bytes) {}

  // Sets the version and variant bits of 128 random bits.
  static Uuid FromRandom(uint64_t high, uint64_t low);
  // Reads the 36-character text form, e.g. "9f1c2f4e-8a56-4c5e-9c0d-0f6f5c8a2b11"; nullopt if
  // malformed.
  static std::optional<Uuid> FromString(std::string_view text);
  // Reads exactly 16 bytes; nullopt for any other length.
  static std::optional<Uuid> FromBytes(std::string_view bytes);

  std::string ToString() const;  // 36 characters, lower case
  std::string ToBytes() const;   // 16 bytes
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  bool is_nil() const { return *this == Uuid(); }
  auto operator<=>(const Uuid&) const = default;

  template <typename H>
  friend H AbslHashValue(H state, const Uuid& id) {
    return H::combine(std::move(state), id.bytes_);
  }

 private:
  std::array<uint8_t, 16> bytes_{};
};

// Each is a Uuid with a meaning: a topic incarnation (never reused), a data directory, a cluster.
template <class Tag>
struct TypedUuid {
  Uuid uuid;
  auto operator<=>(const TypedUuid&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const TypedUuid& id) {
    return H::combine(std::move(state), id.uuid);
  }
};
struct TopicIdTag {};
using TopicId = TypedUuid<TopicIdTag>;
struct DirectoryIdTag {};
using DirectoryId = TypedUuid<DirectoryIdTag>;
struct ClusterIdTag {};
using ClusterId = TypedUuid<ClusterIdTag>;

// One partition of one topic incarnation: the key by which brokers and logs know it.
struct TopicPartitionId {
  TopicId topic;
  PartitionIndex partition;
  auto operator<=>(const TopicPartitionId&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const TopicPartitionId& id) {
    return H::combine(std::move(state), id.topic, id.partition);
  }
};

}  // namespace catamaran
