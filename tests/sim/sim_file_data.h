// The bytes of one simulated file: what readers see and what the platter holds, sector by sector.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace catamaran::sim {

inline constexpr uint64_t kSectorBytes = 4096;  // what the disk writes back on its own
inline constexpr uint64_t kTearBytes = 512;     // what it writes atomically
static_assert(kSectorBytes % kTearBytes == 0);

// Sparse, copy-on-write bytes: copying costs a pointer per sector. Invariant: bytes at and past
// `size` within the sectors are zero.
class SectorImage {
 public:
  using Sector = std::array<char, kSectorBytes>;

  uint64_t size() const { return size_; }
  void Resize(uint64_t size);  // new bytes are zero
  size_t Read(uint64_t position, char* into, size_t length) const;
  void Write(uint64_t position, std::string_view bytes);  // extends when needed

  uint64_t sector_count() const { return sectors_.size(); }
  // A null sector is all zeroes, and so is one past the end.
  const Sector* sector(uint64_t index) const {
    return index < sectors_.size() ? sectors_[index].get() : nullptr;
  }
  // Takes over the other image's sector without a copy; doesn't change the size, past which the
  // caller must Resize().
  void ShareSector(const SectorImage& from, uint64_t index);
  Sector& MutableSector(uint64_t index);

 private:
  std::vector<std::shared_ptr<Sector>> sectors_;
  uint64_t size_ = 0;
};

// Not thread-safe; owned by SimFileSystem.
class SimFileData {
 public:
  uint64_t size() const { return live_.size(); }
  const SectorImage& live() const { return live_; }
  const SectorImage& durable() const { return durable_; }

  void Write(uint64_t position, std::string_view bytes);
  void Resize(uint64_t size);

  // Everything written so far is durable.
  void Sync();
  // A failed sync: an arbitrary part of what was dirty has reached the platter, the rest never
  // will although readers go on seeing it, and a later Sync() has nothing to write and succeeds.
  void FailSync(Random& random);
  // Power is lost: of what is dirty, an arbitrary part survives (kept, dropped, torn in 512-byte
  // units or zeroed per sector; the size may be extended without its data; a truncation may come
  // undone). Synced bytes that weren't overwritten since always survive.
  void LosePower(Random& random);
  // Silent damage: changes both images and tells nobody. [position, +size) must be in the file.
  void Damage(uint64_t position, std::string_view bytes);

 private:
  static constexpr uint64_t kNotTruncated = std::numeric_limits<uint64_t>::max();

  SectorImage PartlyWrittenBack(Random& random, bool whole_writes) const;

  SectorImage live_;
  SectorImage durable_;
  std::set<uint64_t> dirty_;               // sectors written since the last sync
  uint64_t truncated_to_ = kNotTruncated;  // the least size since the last sync
};

}  // namespace catamaran::sim
