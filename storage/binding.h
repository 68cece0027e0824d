// The binding of a batch to its place (invariants.md S2): what `<segment>.bind` holds per batch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/batch/batch.h"
#include "base/ids.h"

namespace catamaran::storage {

// CRC-32C over topic id (16 bytes), partition (i32), base offset (i64), leader epoch (i32) and
// batch CRC (u32), big-endian. Peers send and check the same value.
uint32_t BindingOf(const TopicPartitionId& partition, Offset base_offset, LeaderEpoch epoch,
                   uint32_t batch_crc);

// One entry, big-endian, kBindEntryBytes long. Eight-byte fields lie on multiples of eight, so that
// a torn sector never leaves half a field.
struct BindEntry {
  Offset base_offset{0};
  LeaderEpoch leader_epoch{0};
  uint32_t binding = 0;
  // Everything below this offset was known to be on disk when the batch was written. Tells a power
  // cut's hole from damage: see recovery.cc.
  Offset synced_end{0};
  bool operator==(const BindEntry&) const = default;
};
inline constexpr size_t kBindEntryBytes = 24;

void AppendBindEntry(const BindEntry& entry, std::string* out);
// `at` has kBindEntryBytes.
BindEntry ReadBindEntry(const char* at);

// The entry of a stamped batch.
BindEntry MakeBindEntry(const TopicPartitionId& partition, const BatchHeader& header,
                        Offset synced_end);
// Whether `entry` is that of this batch at this place.
bool BindEntryMatches(const BindEntry& entry, const TopicPartitionId& partition,
                      const BatchHeader& header);

}  // namespace catamaran::storage
