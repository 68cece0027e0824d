// Tells a torn tail of RocksDB's write-ahead log from damage in its middle. RocksDB can't: with
// kAbsoluteConsistency a power cut during a write is corruption, with kPointInTimeRecovery damage
// anywhere silently drops acknowledged writes after it. Here every write is synced before the next
// one begins, so a record that doesn't hold was lost unsynced exactly when nothing follows it.
//
// The format is RocksDB's (its wiki, "Write Ahead Log File Format"): blocks of 32 KiB of fragments
// crc:u32 length:u16 type:u8 payload, little-endian; a record begins with its first sequence:u64
// and count:u32, and records have contiguous sequences over all files. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace catamaran::raft {

struct WalFile {
  uint64_t number = 0;
  std::string bytes;
};

struct WalVerdict {
  bool corrupt = false;
  std::string what;            // when corrupt: which file, where, why
  bool torn = false;           // an unsynced tail was found, in any of the files
  uint64_t last_sequence = 0;  // of the last record that holds; 0: there's none
};

// `files` by rising number, without those that RocksDB no longer needs.
WalVerdict CheckWal(const std::vector<WalFile>& files);

}  // namespace catamaran::raft
