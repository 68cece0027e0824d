#include "storage/binding.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/varint.h"

namespace catamaran::storage {

uint32_t BindingOf(const TopicPartitionId& partition, Offset base_offset, LeaderEpoch epoch,
                   uint32_t batch_crc) {
  char bytes[36];
  std::memcpy(bytes, partition.topic.uuid.bytes().data(), 16);
  StoreBigEndian<int32_t>(bytes + 16, partition.partition.value());
  StoreBigEndian<int64_t>(bytes + 20, base_offset.value());
  StoreBigEndian<int32_t>(bytes + 28, epoch.value());
  StoreBigEndian<uint32_t>(bytes + 32, batch_crc);
  return Crc32c(std::string_view(bytes, sizeof(bytes)));
}

void AppendBindEntry(const BindEntry& entry, std::string* out) {
  AppendBigEndian<int64_t>(out, entry.base_offset.value());
  AppendBigEndian<int32_t>(out, entry.leader_epoch.value());
  AppendBigEndian<uint32_t>(out, entry.binding);
  AppendBigEndian<int64_t>(out, entry.synced_end.value());
}

BindEntry ReadBindEntry(const char* at) {
  BindEntry entry;
  entry.base_offset = Offset(LoadBigEndian<int64_t>(at));
  entry.leader_epoch = LeaderEpoch(LoadBigEndian<int32_t>(at + 8));
  entry.binding = LoadBigEndian<uint32_t>(at + 12);
  entry.synced_end = Offset(LoadBigEndian<int64_t>(at + 16));
  return entry;
}

BindEntry MakeBindEntry(const TopicPartitionId& partition, const BatchHeader& header,
                        Offset synced_end) {
  return {header.base_offset, header.leader_epoch,
          BindingOf(partition, header.base_offset, header.leader_epoch, header.crc), synced_end};
}

bool BindEntryMatches(const BindEntry& entry, const TopicPartitionId& partition,
                      const BatchHeader& header) {
  return entry.base_offset == header.base_offset && entry.leader_epoch == header.leader_epoch &&
         entry.binding == BindingOf(partition, header.base_offset, header.leader_epoch, header.crc);
}

}  // namespace catamaran::storage
